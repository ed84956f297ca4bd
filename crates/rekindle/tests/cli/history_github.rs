//! `rekindle history import github --repo`, against a stand-in for GitHub's interface: its paths, pages, headers and the
//! shapes of its JSON, as its documentation has them.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::project::{Done, Project};

const TOKEN: &str = "ghp_s3cr3tT0ken";
const HELLO: &str = "fn main() {}";

/// A question.
#[derive(Clone, Debug, Default)]
struct Asked {
    method: String,
    path: String,
    token: String,
    etag: Option<String>,
}

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

struct GitHub {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl GitHub {
    fn start(answers: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let question = question(&stream);
                noted.lock().unwrap().push(question.clone());
                respond(stream, answers(&question));
            }
        });
        Self { address, asked }
    }

    /// The paths that were asked for since the last time.
    fn paths(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        for question in &asked {
            assert_eq!(question.method, "GET", "{question:?}");
            assert_eq!(question.token, format!("Bearer {TOKEN}"));
        }
        asked.into_iter().map(|question| question.path).collect()
    }

    fn import(&self, project: &Project, more: &[&str]) -> Done {
        let arguments = ["history", "import", "github", "--repo", "acme/app"];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &arguments);
        command
            .env("GITHUB_API_URL", &self.address)
            .env("GH_TOKEN", TOKEN);
        let done: Done = command.output().unwrap().into();
        let shown = format!("{}{}", done.stdout, done.stderr);
        assert!(!shown.contains(TOKEN), "the token is shown: {shown}");
        for entry in std::fs::read_dir(project.path("store"))
            .into_iter()
            .flatten()
        {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(TOKEN), "the token is kept");
        }
        done
    }
}

fn question(mut stream: &TcpStream) -> Asked {
    let (mut request, mut some) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut some).unwrap_or(0);
        if count == 0 {
            break;
        }
        request.extend_from_slice(&some[..count]);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut asked = Asked {
        method: first.next().unwrap_or_default().to_owned(),
        path: first.next().unwrap_or_default().to_owned(),
        ..Asked::default()
    };
    for line in lines {
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                asked.token = value.to_owned();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                asked.etag = Some(value.to_owned());
            }
            _ => {}
        }
    }
    asked
}

fn respond(mut stream: TcpStream, (status, headers, body): Answer) {
    let mut text = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes());
}

fn ok(body: &Value) -> Answer {
    (
        200,
        vec![("etag", "W/\"first\"".to_owned())],
        body.to_string(),
    )
}

/// A time, so many hours before now.
fn hours_ago(hours: u64) -> String {
    let now = std::time::SystemTime::now();
    let now_ms = rekindle_base::Moment::from_system(now).0;
    let utc = rekindle_base::Moment(now_ms - hours * 3_600_000).utc();
    format!(
        "{:04}-{:02}-{:02}T{:02}:00:00Z",
        utc.year, utc.month, utc.day, utc.hour
    )
}

fn run(id: u64, hours: u64, status: &str) -> Value {
    json!({
        "id": id, "name": "CI", "head_branch": "main", "head_sha": "5c1d", "path": ".github/workflows/ci.yml",
        "run_number": id, "event": "push", "status": status, "conclusion": "success", "run_attempt": 1,
        "created_at": hours_ago(hours), "updated_at": hours_ago(hours), "repository": {"full_name": "acme/app"}
    })
}

fn job(id: u64, run: u64) -> Value {
    json!({
        "id": id, "run_id": run, "run_url": format!("https://api.github.com/repos/acme/app/actions/runs/{run}"),
        "workflow_name": "CI", "head_branch": "main", "head_sha": "5c1d", "status": "completed",
        "conclusion": "success", "name": format!("test {id}"), "labels": ["ubuntu-24.04"],
        "created_at": "2026-11-26T10:00:00Z", "started_at": "2026-11-26T10:00:12Z",
        "completed_at": "2026-11-26T10:03:12Z", "steps": [
            {"name": "build", "number": 1, "status": "completed", "conclusion": "success",
             "started_at": "2026-11-26T10:00:20Z", "completed_at": "2026-11-26T10:02:50Z"}]
    })
}

fn runs(of: &[Value]) -> Value {
    json!({"total_count": of.len(), "workflow_runs": of})
}

/// Jobs with a run's number and more: `first` of them and how many.
fn jobs(run: u64, (first, count): (u64, u64)) -> Value {
    let jobs: Vec<Value> = (first..first + count)
        .map(|id| job(run * 1000 + id, run))
        .collect();
    json!({"total_count": jobs.len(), "jobs": jobs})
}

/// What every repository here has: three runs that have ended lately, one that has not, one of last year.
fn usual(asked: &Asked) -> Answer {
    if asked.etag.as_deref() == Some("W/\"first\"") {
        return (304, Vec::new(), String::new());
    }
    let of = |run: u64, page: u64| {
        format!("/repos/acme/app/actions/runs/{run}/jobs?per_page=100&page={page}")
    };
    let path = asked.path.as_str();
    if path == "/repos/acme/app/actions/runs?per_page=100&page=1" {
        let running = run(4, 1, "in_progress");
        let ended = [(3, 2), (2, 3), (1, 4)].map(|(id, hours)| run(id, hours, "completed"));
        let old = run(9, 400 * 24, "completed");
        let all: Vec<Value> = [running].into_iter().chain(ended).chain([old]).collect();
        ok(&runs(&all))
    } else if path == of(3, 1) {
        ok(&jobs(3, (0, 100)))
    } else if path == of(3, 2) {
        ok(&jobs(3, (100, 1)))
    } else if path == of(2, 1) {
        ok(&jobs(2, (0, 2)))
    } else if path == of(1, 1) {
        ok(&jobs(1, (0, 1)))
    } else {
        let message = json!({"message": "Not Found", "status": "404"});
        (404, Vec::new(), message.to_string())
    }
}

fn known_jobs(project: &Project) -> usize {
    let arguments = ["history", "--format", "json"];
    let done = project.rekindle(&arguments).ok();
    let history: Value = serde_json::from_str(&done.stdout).unwrap();
    history["jobs"].as_array().unwrap().len()
}

#[test]
fn pages_are_followed_and_nothing_is_asked_twice() {
    let (project, github) = (Project::new(HELLO), GitHub::start(usual));
    let said = github.import(&project, &[]).ok().stdout;
    assert!(
        said.starts_with("104 new jobs of 104, in 3 runs of acme/app"),
        "{said}"
    );
    let paths = github.paths();
    // Neither the run that has not ended nor the old one; two pages where there are more than a hundred jobs.
    assert_eq!(paths.len(), 5, "{paths:?}");
    let said = github.import(&project, &[]).ok().stdout;
    assert!(said.starts_with("0 new jobs of 0, in 0 runs"), "{said}");
    assert_eq!(github.paths().len(), 1, "the newest page has not changed");
    assert_eq!(known_jobs(&project), 104);
    // Further back than ever before is asked anew, and what is known is not.
    let said = github.import(&project, &["--days", "500"]).ok();
    assert!(said.stdout.starts_with("0 new jobs"), "{}", said.stdout);
    assert_eq!(github.paths().len(), 2);
}

#[test]
fn a_limit_ends_it_and_the_next_time_goes_on_from_there() {
    let project = Project::new(HELLO);
    let limit = Arc::new(Mutex::new(true));
    let is_limited = Arc::clone(&limit);
    let limited = GitHub::start(move |asked| {
        if *is_limited.lock().unwrap() && asked.path.contains("/runs/2/") {
            let body = json!({"message": "API rate limit exceeded"});
            let headers = [
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "99999999999"),
            ];
            let headers = headers.map(|(name, value)| (name, value.to_owned()));
            return (403, headers.into(), body.to_string());
        }
        usual(asked)
    });
    let done = limited.import(&project, &[]).ok();
    assert!(done.stdout.starts_with("101 new jobs"), "{}", done.stdout);
    assert!(done.stderr.contains("asked no more for"), "{}", done.stderr);
    let asked = limited.paths();
    assert!(asked.last().unwrap().contains("/runs/2/"), "{asked:?}");
    assert_eq!(asked.len(), 4, "it is left alone: {asked:?}");
    *limit.lock().unwrap() = false;
    let done = limited.import(&project, &[]).ok();
    assert!(
        done.stdout.starts_with("3 new jobs of 3"),
        "{}",
        done.stdout
    );
    assert_eq!(limited.paths().len(), 3, "what came is not asked for again");
}

#[test]
fn a_short_wait_is_waited_for() {
    let is_first = Mutex::new(true);
    let github = GitHub::start(move |asked| {
        if std::mem::take(&mut *is_first.lock().unwrap()) {
            return (429, vec![("retry-after", "0".to_owned())], String::new());
        }
        usual(asked)
    });
    let project = Project::new(HELLO);
    let done = github.import(&project, &[]).ok();
    assert!(done.stdout.starts_with("104 new jobs"), "{}", done.stdout);
    assert_eq!(github.paths().len(), 6);
}

#[test]
fn refusals_say_what_to_do_and_no_token() {
    let refused = |status: u16| {
        let message = format!("Bad credentials {TOKEN}");
        let body = json!({ "message": message }).to_string();
        let github = GitHub::start(move |_| (status, Vec::new(), body.clone()));
        let done = github.import(&Project::new(HELLO), &[]);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        done.stderr
    };
    assert!(refused(401).contains("GITHUB_TOKEN"));
    assert!(refused(403).contains("refuses"));
    assert!(refused(404).contains("has no repository `acme/app`"));
    assert!(refused(301).contains("another name"));
}

#[test]
fn a_file_and_a_repository_exclude_each_other() {
    let project = Project::new(HELLO);
    for more in [&[][..], &["--repo", "a/b", "x.json"][..]] {
        let arguments: Vec<&str> = ["history", "import", "github"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        assert_eq!(project.rekindle(&arguments).code, Some(2));
    }
}
