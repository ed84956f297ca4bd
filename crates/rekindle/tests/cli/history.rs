//! `rekindle history`: what is kept of runs, and that keeping it is never in the way.

use serde_json::Value;

use crate::project::{Done, Project};

const HELLO: &str = "fn main() {}";

fn history(project: &Project) -> Value {
    let done = project.rekindle(&["history", "--format", "json"]).ok();
    serde_json::from_str(&done.stdout).unwrap()
}

fn in_ci(project: &Project, arguments: &[&str]) -> Done {
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_JOB", "tests")
        .env("GITHUB_WORKFLOW", "CI")
        .env("RUNNER_OS", "Linux")
        .env("RUNNER_ARCH", "X64")
        .env("SECRET_TOKEN", "s3cr3t-value");
    command.output().unwrap().into()
}

#[test]
fn each_run_that_built_something_is_kept_with_what_it_came_to() {
    let project = Project::new(HELLO);
    project.rekindle(&["build"]).ok();
    project.rekindle(&["build"]).ok();
    project.rekindle(&["metadata", "--format-version=1"]).ok();
    project.put("ws/src/main.rs", "fn main() { wrong }");
    assert_eq!(in_ci(&project, &["check"]).code, Some(101));
    let history = history(&project);
    assert_eq!(history["version"], 1);
    let runs = history["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3, "{history}");
    assert_eq!(runs[0]["command"], "build");
    assert_eq!(runs[0]["misses"], 1);
    assert_eq!(runs[1]["fresh"], 1);
    assert_eq!(runs[2]["exit_code"], 101);
    assert_eq!(runs[2]["job"], "tests");
    assert_eq!(history["groups"][0]["runs"], 2);
    let csv = project
        .rekindle(&["history", "--format", "csv"])
        .ok()
        .stdout;
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.contains("github,CI,tests,Linux X64"), "{csv}");
    let page = project.path("page.html");
    let arguments = ["history", "--format", "html", "-o", page.to_str().unwrap()];
    project.rekindle(&arguments).ok();
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("<h1>History of ws</h1>")
    );
    let text = project
        .rekindle(&["history", "--command", "check"])
        .ok()
        .stdout;
    assert!(text.starts_with("1 run from"), "{text}");
}

#[test]
fn neither_arguments_nor_values_of_variables_are_kept() {
    let project = Project::new(HELLO);
    let arguments = ["build", "--config", "env.PASSWORD='hunter2'"];
    in_ci(&project, &arguments).ok();
    let mut bytes = Vec::new();
    for ending in ["", "-wal"] {
        let file = project.path(&format!("store/history.sqlite3{ending}"));
        bytes.extend(std::fs::read(file).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("tests"), "the job's name is kept");
    for secret in ["hunter2", "s3cr3t-value", "PASSWORD"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn a_history_that_cannot_be_kept_costs_a_warning() {
    let project = Project::new(HELLO);
    // Nothing can be put into the place of a directory.
    project.put("store/history.sqlite3/x", "");
    let done = project.rekindle(&["build"]).ok();
    assert!(
        done.stderr.contains("warning: the history in"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("1 miss"), "{}", done.stderr);
}

#[test]
fn a_damaged_history_is_begun_anew() {
    let project = Project::new(HELLO);
    project.put("store/history.sqlite3", &"no database ".repeat(1000));
    let done = project.rekindle(&["build"]).ok();
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    assert_eq!(history(&project)["runs"].as_array().unwrap().len(), 1);
    assert!(project.path("store/history.sqlite3.damaged").exists());
}

#[test]
fn jobs_of_github_are_taken_in_once() {
    let project = Project::new(HELLO);
    let none = project.rekindle(&["history"]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.stderr.contains("no run is recorded"),
        "{}",
        none.stderr
    );
    project.put(
        "ws/jobs.json",
        r#"{"total_count":1,"jobs":[{"id":1,"run_id":7,"name":"test","conclusion":"success",
        "workflow_name":"CI","run_url":"https://api.github.com/repos/o/r/actions/runs/7",
        "created_at":"2026-11-26T10:00:00Z","started_at":"2026-11-26T10:00:12Z",
        "completed_at":"2026-11-26T10:03:12Z","labels":["ubuntu-latest"],"steps":[{"name":"build",
        "conclusion":"success","started_at":"2026-11-26T10:00:20Z",
        "completed_at":"2026-11-26T10:02:50Z"}]}]}"#,
    );
    project.put("ws/other.json", "{\"message\":\"Bad credentials\"}");
    let import = |file: &str| project.rekindle(&["history", "import", "github", file]);
    assert_eq!(import("jobs.json").ok().stdout, "1 new jobs of 1\n");
    assert_eq!(import("jobs.json").ok().stdout, "0 new jobs of 1\n");
    assert_eq!(import("other.json").code, Some(2));
    assert_eq!(import("missing.json").code, Some(2));
    let history = history(&project);
    assert_eq!(history["jobs"][0]["queue_ms"]["p50"], 12_000);
    assert_eq!(history["jobs"][0]["steps"][0]["time_ms"]["p50"], 150_000);
}
