//! The GitHub Action: its two steps under node, with a runner's environment and files, around plain cargo on a real
//! project.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkers;
use crate::project::{Done, Project, program_dir, skip};

const MAIN: &str = "mod other;\nfn main() { println!(\"{}\", other::text()) }\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Whether node runs here; a skip of the test where it does not.
pub(crate) fn has_node(test: &str) -> bool {
    let works = Command::new("node")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        skip(test, "no node, which runs the Action");
    }
    works
}

/// One job of a workflow, with the runner's files in a directory of its own.
pub(crate) struct Job<'a> {
    project: &'a Project,
    name: &'a str,
    pub(crate) workspace: PathBuf,
    /// What the runner and the workflow set.
    given: BTreeMap<String, String>,
}

impl<'a> Job<'a> {
    /// A job with a fresh checkout of the project's sources, where every job has it, on a machine of one's own: its
    /// tools' directory stays.
    pub(crate) fn new(project: &'a Project, name: &'a str) -> Self {
        let workspace = project.path("work");
        if workspace.exists() {
            std::fs::remove_dir_all(&workspace).unwrap();
        }
        for (file, text) in [
            (
                "Cargo.toml",
                "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
            ),
            (
                "Cargo.lock",
                "version = 4\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n",
            ),
            ("src/main.rs", MAIN),
            (
                "src/other.rs",
                "pub fn text() -> &'static str { \"one\" }\n",
            ),
        ] {
            project.put(&format!("work/{file}"), text);
        }
        for file in ["env", "path", "state", "output", "summary", "event.json"] {
            project.put(&format!("jobs/{name}/{file}"), "");
        }
        std::fs::create_dir_all(project.path(&format!("jobs/{name}/temp"))).unwrap();
        std::fs::create_dir_all(project.path("tools")).unwrap();
        let mut job = Self {
            project,
            name,
            workspace,
            given: BTreeMap::new(),
        };
        for (variable, file) in [
            ("GITHUB_ENV", "env"),
            ("GITHUB_PATH", "path"),
            ("GITHUB_STATE", "state"),
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_STEP_SUMMARY", "summary"),
            ("GITHUB_EVENT_PATH", "event.json"),
            ("RUNNER_TEMP", "temp"),
        ] {
            job.set(variable, &job.file(file).display().to_string());
        }
        job.set(
            "RUNNER_TOOL_CACHE",
            &project.path("tools").display().to_string(),
        );
        job.set("RUNNER_ENVIRONMENT", "self-hosted");
        job.set("GITHUB_WORKSPACE", &job.workspace.display().to_string());
        job.set("GITHUB_EVENT_NAME", "push");
        job.set("GITHUB_REPOSITORY", "o/r");
        job.input("binaries", &program_dir().display().to_string());
        // As `action.yml` gives them.
        job.input("profiles", "dev release");
        job
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.given.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn input(&mut self, name: &str, value: &str) {
        self.set(&format!("INPUT_{}", name.to_uppercase()), value);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.project.path(&format!("jobs/{}/{name}", self.name))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// A command with what the runner gives to each step; the tests' own store is not among it.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.project.command(program, arguments);
        command
            .current_dir(&self.workspace)
            .env_remove("REKINDLE_DIR")
            .env_remove("REKINDLE_SNAPSHOT");
        for name in [
            "ACTIONS_RUNTIME_TOKEN",
            "ACTIONS_RESULTS_URL",
            "RUNNER_ENVIRONMENT",
        ] {
            command.env_remove(name);
        }
        command.envs(&self.given);
        command.envs(variables(&self.text("env")));
        let path = std::env::var("PATH").unwrap();
        let added: Vec<String> = self.text("path").lines().rev().map(str::to_owned).collect();
        command.env("PATH", format!("{}:{path}", added.join(":")));
        command
    }

    pub(crate) fn node(&self, script: &str) -> Done {
        let script = root().join("action").join(script);
        let mut command = self.command("node", &[&script.display().to_string()]);
        for (name, value) in variables(&self.text("state")) {
            command.env(format!("STATE_{name}"), value);
        }
        command.output().unwrap().into()
    }

    /// A plain step of the job, as `run: cargo …`.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Done {
        let done: Done = self.command("cargo", arguments).output().unwrap().into();
        done.ok()
    }

    /// All its steps: the Action, one build, and the Action's end.
    fn play(&self) -> (Done, Done, Done) {
        let begun = self.node("main.js").ok();
        let built = self.cargo(&["build", "-v"]);
        (begun, built, self.node("post.js").ok())
    }
}

/// What a file of the runner's holds: `name=value`, and `name<<delimiter` with lines.
fn variables(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line.split_once("<<") {
            Some((name, delimiter)) if !name.contains('=') => {
                let value: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| *line != delimiter)
                    .collect();
                found.insert(name.to_owned(), value.join("\n"));
            }
            _ => {
                let (name, value) = line.split_once('=').unwrap();
                found.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    found
}

#[test]
fn the_second_job_finds_what_plain_cargo_built_in_the_first() {
    const TEST: &str = "action::the_second_job_finds_what_plain_cargo_built_in_the_first";
    if !has_node(TEST) {
        return;
    }
    let project = Project::new("fn main() {}");
    let first = Job::new(&project, "first");
    let (begun, built, ended) = first.play();
    // Nothing is stored yet: that is no warning.
    assert!(!begun.stdout.contains("::warning"), "{}", begun.stdout);
    assert!(built.stderr.contains("Compiling tiny"), "{}", built.stderr);
    assert!(!ended.stdout.contains("::warning"), "{}", ended.stdout);
    assert!(ended.stdout.contains("captured"), "{}", ended.stdout);
    let outputs = variables(&first.text("output"));
    assert_eq!(outputs["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        outputs["directory"],
        project.path("tools/rekindle/store").display().to_string()
    );
    let summary = first.text("summary");
    assert!(summary.contains("| units compiled | 1 |"), "{summary}");

    let second = Job::new(&project, "second");
    let (begun, built, _) = second.play();
    assert!(
        begun.stdout.contains("restored 1 units"),
        "{}",
        begun.stdout
    );
    assert!(built.stderr.contains("Fresh tiny"), "{}", built.stderr);
    let ran = second.command("target/debug/tiny", &[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "one\n");

    // A job with another source builds it, and its program is the new one.
    let third = Job::new(&project, "third");
    project.put(
        "work/src/other.rs",
        "pub fn text() -> &'static str { \"two\" }\n",
    );
    let (_, built, _) = third.play();
    assert!(built.stderr.contains("Compiling tiny"), "{}", built.stderr);
    let ran = third.command("target/debug/tiny", &[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "two\n");
}

#[test]
fn jobs_of_strangers_only_read_and_keep_to_themselves() {
    if !has_node("action::jobs_of_strangers_only_read_and_keep_to_themselves") {
        return;
    }
    let project = Project::new("fn main() {}");
    let store = project.path("tools/rekindle/store").display().to_string();
    let check = |name: &'static str, event: &str, json: &str, is_trusted: bool| {
        let mut job = Job::new(&project, name);
        job.set("GITHUB_EVENT_NAME", event);
        project.put(&format!("jobs/{name}/event.json"), json);
        let begun = job.node("main.js").ok();
        let set = variables(&job.text("env"));
        let mode = set.get("REKINDLE_REMOTE_MODE").map(String::as_str);
        assert_eq!(
            mode,
            if is_trusted { None } else { Some("read-only") },
            "{name}: {}",
            begun.stdout
        );
        let expected = if is_trusted {
            store.clone()
        } else {
            format!("{store}-of-strangers")
        };
        assert_eq!(set["REKINDLE_DIR"], expected, "{name}");
        assert_eq!(
            variables(&job.text("state"))["saves"],
            is_trusted.to_string(),
            "{name}"
        );
    };
    let request = |head: &str| {
        format!(
            "{{\"pull_request\": {{\"head\": {{\"repo\": {head}}}, \"base\": {{\"repo\": {{\"full_name\": \"o/r\"}}}}}}}}"
        )
    };
    check(
        "own",
        "pull_request",
        &request("{\"full_name\": \"o/r\"}"),
        true,
    );
    check(
        "fork",
        "pull_request",
        &request("{\"full_name\": \"x/r\"}"),
        false,
    );
    check("gone", "pull_request", &request("null"), false);
    check("unreadable", "pull_request", "{", false);
    check(
        "target",
        "pull_request_target",
        &request("{\"full_name\": \"o/r\"}"),
        false,
    );
    check("comment", "issue_comment", "{}", false);
    check("schedule", "schedule", "{}", true);
    let mut never = Job::new(&project, "never");
    never.input("save", "never");
    never.node("main.js").ok();
    let set = variables(&never.text("env"));
    assert_eq!(set["REKINDLE_REMOTE_MODE"], "read-only");
    assert_eq!(set["REKINDLE_DIR"], store);
}

#[test]
fn what_only_actions_see_is_handed_on_where_it_is_needed() {
    if !has_node("action::what_only_actions_see_is_handed_on_where_it_is_needed") {
        return;
    }
    let project = Project::new("fn main() {}");
    let begin = |name: &'static str, set: &[(&str, &str)], inputs: &[(&str, &str)]| {
        let mut job = Job::new(&project, name);
        job.set("ACTIONS_RESULTS_URL", "https://results.example/");
        job.set("ACTIONS_RUNTIME_TOKEN", "secret.of.job");
        for (name, value) in set {
            job.set(name, value);
        }
        for (name, value) in inputs {
            job.input(name, value);
        }
        let begun = job.node("main.js").ok();
        (variables(&job.text("env")), begun.stdout)
    };
    let (set, said) = begin("hosted", &[("RUNNER_ENVIRONMENT", "github-hosted")], &[]);
    assert_eq!(set["REKINDLE_REMOTE"], "gha://");
    assert_eq!(set["ACTIONS_RESULTS_URL"], "https://results.example/");
    assert_eq!(set["ACTIONS_RUNTIME_TOKEN"], "secret.of.job");
    assert!(said.contains("::add-mask::secret.of.job"), "{said}");
    assert!(
        set["REKINDLE_DIR"].ends_with("jobs/hosted/temp/rekindle-store"),
        "{set:?}"
    );
    let keeps = |name: &'static str,
                 set: &[(&str, &str)],
                 inputs: &[(&str, &str)],
                 remote: Option<&str>| {
        let (set, _) = begin(name, set, inputs);
        assert_eq!(
            set.get("REKINDLE_REMOTE").map(String::as_str),
            remote,
            "{name}"
        );
        assert!(
            !set.contains_key("ACTIONS_RUNTIME_TOKEN"),
            "{name}: {set:?}"
        );
    };
    keeps("own", &[], &[], None);
    keeps(
        "none",
        &[("RUNNER_ENVIRONMENT", "github-hosted")],
        &[("remote", "none")],
        None,
    );
    keeps(
        "bucket",
        &[],
        &[("remote", "s3://bucket")],
        Some("s3://bucket"),
    );
}

#[test]
fn faults_cost_time_and_inputs_that_mean_nothing_the_job() {
    if !has_node("action::faults_cost_time_and_inputs_that_mean_nothing_the_job") {
        return;
    }
    let project = Project::new("fn main() {}");
    let begin = |name: &'static str, inputs: &[(&str, &str)]| {
        let mut job = Job::new(&project, name);
        for (name, value) in inputs {
            job.input(name, value);
        }
        (job.node("main.js"), job)
    };
    let (wrong, _) = begin("wrong", &[("save", "perhaps")]);
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong
            .stdout
            .contains("::error title=Rekindle::`save` is to be `auto` or `never`"),
        "{}",
        wrong.stdout
    );

    // Programs that are not there: the job goes on with plain cargo, and nothing is set.
    let (none, job) = begin("none", &[("binaries", "/nowhere")]);
    assert_eq!(none.code, Some(0));
    assert!(
        none.stdout
            .contains("::warning title=Rekindle::Rekindle is not used in this job"),
        "{}",
        none.stdout
    );
    assert_eq!(job.text("env"), "");
    job.cargo(&["build"]);
    assert_eq!(job.node("post.js").ok().stdout, "");

    // No checkout yet.
    let (early, job) = begin("early", &[("working-directory", "elsewhere")]);
    assert_eq!(early.code, Some(0));
    assert!(
        early.stdout.contains("put this step behind the checkout"),
        "{}",
        early.stdout
    );
    assert!(variables(&job.text("env")).contains_key("RUSTC_WRAPPER"));

    // A store that cannot be written.
    let (_, job) = begin("full", &[("directory", "/proc/nowhere")]);
    job.cargo(&["build"]);
    assert_eq!(job.node("post.js").code, Some(0));
}

/// Answers each request with the same bytes.
fn serve(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            let is_known = String::from_utf8_lossy(&request[..read]).starts_with(
                "GET /o/rekindle/releases/download/v1.2.3/rekindle-v1.2.3-here.tar.gz ",
            );
            let status = if is_known { "200 OK" } else { "404 Not Found" };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    format!("http://{address}")
}

fn archive() -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for name in ["rekindle", "cargo-rekindle", "rekindle-rustc"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, &b"#!"[..]).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_release_is_used_by_its_digest_alone() {
    use sha2::Digest as _;
    if !has_node("action::a_release_is_used_by_its_digest_alone") {
        return;
    }
    let project = Project::new("fn main() {}");
    let bytes = archive();
    let digest: String = sha2::Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let server = serve(bytes);
    let install = |digest: &str, version: &str| -> Done {
        let script = format!(
            "const {{ fromRelease, WrongDigest }} = require({:?});\n\
             fromRelease({{ version: {version}, archives: {{ here: {digest:?} }} }}, 'here', {:?})\n\
             .then((found) => console.log(found), (error) => {{ console.log(error instanceof WrongDigest, error.message); process.exit(1); }});",
            root().join("action/install.js"),
            project.path("tools"),
        );
        let mut node = project.command("node", &["-e", &script]);
        node.env("GITHUB_SERVER_URL", &server)
            .env("GITHUB_ACTION_REPOSITORY", "o/rekindle");
        node.output().unwrap().into()
    };
    let wrong = install(&"0".repeat(64), "'1.2.3'");
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stdout.starts_with("true the archive has SHA-256"),
        "{}",
        wrong.stdout
    );
    assert_eq!(std::fs::read_dir(project.path("tools")).unwrap().count(), 0);
    let unknown = install(&digest, "'9.9.9'");
    assert!(
        unknown.stdout.contains("answered 404"),
        "{}",
        unknown.stdout
    );
    assert_eq!(install(&digest, "null").ok().stdout, "null\n");
    let right = install(&digest, "'1.2.3'").ok();
    let programs = Path::new(right.stdout.trim()).join("rekindle-rustc");
    assert_eq!(std::fs::read(programs).unwrap(), b"#!");
    // What is there is not fetched again: the server would answer a wrong address with 404.
    assert_eq!(install(&digest, "'1.2.3'").ok().stdout, right.stdout);
}

#[test]
fn the_action_and_our_own_workflows_pass_the_checkers() {
    const TEST: &str = "action::the_action_and_our_own_workflows_pass_the_checkers";
    checkers::action(TEST, &root().join("action.yml"));
    for entry in std::fs::read_dir(root().join(".github/workflows")).unwrap() {
        checkers::workflow(TEST, &entry.unwrap().path());
    }
}

/// The page says of each input what `action.yml` says.
#[test]
fn every_input_is_documented() {
    let action = std::fs::read_to_string(root().join("action.yml")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/action.md")).unwrap();
    let inputs = action
        .split("\ninputs:\n")
        .nth(1)
        .unwrap()
        .split("\noutputs:\n")
        .next()
        .unwrap();
    let mut names = inputs
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '));
    assert!(names.clone().count() > 5);
    assert!(
        names.all(|name| page.contains(&format!("| `{name}` |"))),
        "{page}"
    );
}
