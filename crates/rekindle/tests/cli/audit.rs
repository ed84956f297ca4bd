//! `rekindle audit` as users run it: what it prints, what it writes, how it ends.

use std::os::unix::fs::PermissionsExt;

use crate::project::{Done, Project};

const CI: &str = ".github/workflows/ci.yml";

const WASTING: &str = "\
# The only one.
on:
  pull_request:   # all
    paths-ignore: ['**.md']
env:
  CARGO_PROFILE_DEV_DEBUG: 1
jobs:
  test:
    runs-on: ubuntu-20.04 # old
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v6
      - run: |
          echo one   # two
          cargo test
";

fn project(text: &str) -> Project {
    let project = Project::new("fn main() {}");
    let manifest =
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\n[dependencies]\nserde = \"1\"\n";
    project.put("ws/Cargo.toml", manifest);
    project.put(&format!("ws/{CI}"), text);
    project
}

fn read(project: &Project) -> String {
    std::fs::read_to_string(project.path("ws").join(CI)).unwrap()
}

fn rules(done: &Done) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["version"], 1);
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| format!("{}:{}", finding["line"], finding["rule"].as_str().unwrap()))
        .collect()
}

#[test]
fn findings_are_told_in_each_format() {
    let project = project(WASTING);
    let done = project.rekindle(&["audit", "--format", "json"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert_eq!(
        rules(&done),
        ["2:no-concurrency", "8:no-cache", "9:runner-label-dead"]
    );
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let dead = &report["findings"][2];
    assert_eq!(
        (&dead["severity"], &dead["job"], &dead["fix"]["safety"]),
        (&"high".into(), &"test".into(), &"unsafe".into())
    );
    let text = project.rekindle(&["audit"]).stdout;
    assert!(
        text.contains(
            ".github/workflows/ci.yml:8:3: high [no-cache] (job `test`): `cargo test` compiles"
        ),
        "{text}"
    );
    let github = project.rekindle(&["audit", "--format", "github"]).stdout;
    assert!(github.starts_with("::warning file=.github/workflows/ci.yml,line=2,col=1,title=rekindle%3A no-concurrency::"), "{github}");
    let sarif: serde_json::Value =
        serde_json::from_str(&project.rekindle(&["audit", "--format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let index = usize::try_from(run["results"][1]["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(
        run["tool"]["driver"]["rules"][index]["id"],
        run["results"][1]["ruleId"]
    );
}

#[test]
fn safe_fixes_change_only_their_lines_and_a_second_run_none() {
    let project = project(WASTING);
    let file = project.path("ws").join(CI);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let done = project.rekindle(&["audit", "--fix"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stderr
            .contains("--- a/.github/workflows/ci.yml\n+++ b/.github/workflows/ci.yml\n@@ "),
        "{}",
        done.stderr
    );
    let added = "concurrency:\n  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.sha }}\n  \
                 cancel-in-progress: ${{ github.event_name == 'pull_request' }}\n\n";
    assert_eq!(
        read(&project),
        WASTING.replace("jobs:\n", &format!("{added}jobs:\n"))
    );
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let again = project.rekindle(&["audit", "--fix", "--format", "json"]);
    assert_eq!(rules(&again), ["12:no-cache", "13:runner-label-dead"]);
    assert!(!again.stderr.contains("@@"), "{}", again.stderr);
    project.rekindle(&["audit", "--fix=unsafe"]);
    assert!(
        read(&project).contains("    runs-on: ubuntu-latest # old\n"),
        "{}",
        read(&project)
    );
}

#[test]
fn recorded_runs_give_minutes() {
    let project = project(&WASTING.replace(
        "          echo one",
        "          cargo install cargo-deny\n          echo one",
    ));
    let step = "{\"name\": \"Run cargo install cargo-deny\", \"conclusion\": \"success\", \"started_at\": \"2026-11-26T10:00:00Z\", \
                \"completed_at\": \"2026-11-26T10:03:00Z\"}";
    project.put(
        "ws/jobs.json",
        &format!("{{\"jobs\": [{{\"name\": \"test\", \"steps\": [{step}]}}]}}"),
    );
    let done = project.rekindle(&["audit", "--runs", "jobs.json"]);
    let line = done
        .stdout
        .lines()
        .find(|line| line.contains("[tool-from-source]"));
    assert!(
        line.is_some_and(|line| line.ends_with("[3.0 min a run]")),
        "{}",
        done.stdout
    );
    assert_eq!(done.stdout.matches("min a run").count(), 1);
    project.put("ws/jobs.json", "{}");
    assert_eq!(
        project.rekindle(&["audit", "--runs", "jobs.json"]).code,
        Some(2)
    );
}

#[test]
fn comments_and_configuration_silence() {
    let said = WASTING
        .replace(
            "# The only one.",
            "# The only one. rekindle: ignore[no-concurrency]",
        )
        .replace("  test:\n", "  # rekindle: ignore[no-cache]\n  test:\n");
    let project = project(&said);
    assert_eq!(
        rules(&project.rekindle(&["audit", "--format", "json"])),
        ["10:runner-label-dead"]
    );
    project.put(
        "ws/.config/rekindle.toml",
        "[audit]\nignore = [\"runner-label-dead\"]\n",
    );
    let done = project.rekindle(&["audit"]).ok();
    assert_eq!(done.stdout, "");
    project.put(
        "ws/.config/rekindle.toml",
        "[audit]\nignore = [\"no-such-rule\"]\n",
    );
    let done = project.rekindle(&["audit"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("`no-such-rule`, which is no rule"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_file_that_is_none_is_refused_with_its_place_and_the_others_are_audited() {
    let project = project(WASTING);
    project.put(
        "ws/.github/workflows/broken.yml",
        "on: push\njobs:\n  a: [\n",
    );
    let done = project.rekindle(&["audit"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(
        done.stderr.contains("broken.yml: ") && done.stderr.contains(" at line 3, column 8"),
        "{}",
        done.stderr
    );
    assert!(done.stdout.contains("[no-cache]"), "{}", done.stdout);
    // Only what is asked for is told, and read from anywhere.
    let done = project.rekindle(&["audit", CI]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let elsewhere = project.rekindle(&["audit", "nowhere.yml"]);
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.stderr);
}
