//! The Action on hosted machines that share GitHub's cache service and nothing else: what the first job's plain cargo
//! built, the second's finds.

use rekindle_testkit::github_cache::{CacheService, Fault, Rights};

use crate::action::{Job, has_node};
use crate::project::{Done, Project};

const MAIN: &[&str] = &["refs/heads/main"];

/// A job on a hosted machine that nothing else ran on.
fn hosted<'a>(
    project: &'a Project,
    service: &CacheService,
    name: &'a str,
    scopes: &[&str],
    rights: Rights,
) -> Job<'a> {
    let mut job = Job::new(project, name);
    let home = project.path(&format!("jobs/{name}/home"));
    std::fs::create_dir_all(&home).unwrap();
    job.set("HOME", &home.display().to_string());
    job.set("RUNNER_ENVIRONMENT", "github-hosted");
    job.set(
        "RUNNER_TOOL_CACHE",
        &project
            .path(&format!("jobs/{name}/tools"))
            .display()
            .to_string(),
    );
    job.set("ACTIONS_RESULTS_URL", &service.url());
    job.set("ACTIONS_RUNTIME_TOKEN", &service.token(scopes, rights));
    project.put(
        "work/src/lib.rs",
        "pub fn answer() -> u32 { 42 }\n#[test]\nfn it() { assert_eq!(answer(), 42); }\n",
    );
    project.put(
        "work/build.rs",
        "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); }\n",
    );
    job
}

fn assert_compiles_nothing(done: &Done) {
    assert!(!done.stderr.contains("Compiling"), "{}", done.stderr);
    assert!(done.stderr.contains("Fresh tiny"), "{}", done.stderr);
}

/// The summary of a job that has ended says so.
fn assert_compiled(job: &Job<'_>, units: u32) {
    let summary = job.text("summary");
    let said = format!("| units compiled | {units} |");
    assert!(summary.contains(&said), "{summary}");
}

fn assert_no_warning(done: &Done) {
    assert!(!done.stdout.contains("::warning"), "{}", done.stdout);
    assert!(!done.stdout.contains("::error"), "{}", done.stdout);
}

/// A service that holds what a job of the main branch built and tested.
fn saved(project: &Project) -> CacheService {
    let service = CacheService::start();
    let first = hosted(project, &service, "first", MAIN, Rights::All);
    assert_no_warning(&first.node("main.js").ok());
    let built = first.cargo(&["build", "-v"]);
    assert!(built.stderr.contains("Compiling tiny"), "{}", built.stderr);
    first.cargo(&["test"]);
    assert_no_warning(&first.node("post.js").ok());
    assert!(!service.entries().is_empty());
    service
}

#[test]
fn another_machine_compiles_nothing() {
    if !has_node("action_story::another_machine_compiles_nothing") {
        return;
    }
    let project = Project::new("fn main() {}");
    let service = saved(&project);

    let second = hosted(&project, &service, "second", MAIN, Rights::All);
    assert_no_warning(&second.node("main.js").ok());
    assert_compiles_nothing(&second.cargo(&["build", "-v"]));
    assert_compiles_nothing(&second.cargo(&["test", "-v"]));
    let ran = second.command("target/debug/tiny", &[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "one\n");
    assert_no_warning(&second.node("post.js").ok());

    // A job in a container: a home that is not the machine's, and no tools' directory of the runner's.
    let mut third = hosted(&project, &service, "third", MAIN, Rights::All);
    let home = project.path("github/home").display().to_string();
    std::fs::create_dir_all(&home).unwrap();
    third.set("HOME", &home);
    third.set("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache-that-is-not-here");
    assert_no_warning(&third.node("main.js").ok());
    assert_compiles_nothing(&third.cargo(&["build", "-v"]));
    assert_no_warning(&third.node("post.js").ok());
}

#[test]
fn a_pull_request_from_a_fork_reads_and_writes_nothing() {
    if !has_node("action_story::a_pull_request_from_a_fork_reads_and_writes_nothing") {
        return;
    }
    let project = Project::new("fn main() {}");
    let service = saved(&project);
    let before = service.entries();
    // The service itself would let it: what keeps it from writing is the Action.
    let scopes = &["refs/pull/1/merge", "refs/heads/main"];
    let mut fork = hosted(&project, &service, "fork", scopes, Rights::All);
    fork.set("GITHUB_EVENT_NAME", "pull_request");
    project.put(
        "jobs/fork/event.json",
        "{\"pull_request\": {\"head\": {\"repo\": {\"full_name\": \"x/r\"}}, \"base\": {\"repo\": {\"full_name\": \"o/r\"}}}}",
    );
    project.put(
        "work/src/other.rs",
        "pub fn text() -> &'static str { \"two\" }\n",
    );
    let begun = fork.node("main.js").ok();
    assert!(
        begun.stdout.contains("a pull request from a fork"),
        "{}",
        begun.stdout
    );
    assert_no_warning(&begun);
    fork.cargo(&["build"]);
    let ran = fork.command("target/debug/tiny", &[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "two\n");
    assert_no_warning(&fork.node("post.js").ok());
    // Its own change is compiled, and nothing else.
    assert_compiled(&fork, 1);
    assert_eq!(service.entries(), before);
}

#[test]
fn a_job_that_failed_keeps_what_it_built() {
    if !has_node("action_story::a_job_that_failed_keeps_what_it_built") {
        return;
    }
    let project = Project::new("fn main() {}");
    let service = CacheService::start();
    let first = hosted(&project, &service, "first", MAIN, Rights::All);
    // A build script may write sources for the crate that failed, so its run would be left out, and what stands on it.
    std::fs::remove_file(first.workspace.join("build.rs")).unwrap();
    project.put("work/src/other.rs", "pub fn text() -> &'static str { 1 }\n");
    first.node("main.js").ok();
    let failed: Done = first.command("cargo", &["build"]).output().unwrap().into();
    assert_eq!(failed.code, Some(101), "{}", failed.stderr);
    assert_no_warning(&first.node("post.js").ok());

    let second = hosted(&project, &service, "second", MAIN, Rights::All);
    std::fs::remove_file(second.workspace.join("build.rs")).unwrap();
    second.node("main.js").ok();
    second.cargo(&["build"]);
    second.node("post.js").ok();
    // The library is there, the program that failed is not.
    assert_compiled(&second, 1);
}

#[test]
fn a_service_that_is_down_costs_a_warning() {
    if !has_node("action_story::a_service_that_is_down_costs_a_warning") {
        return;
    }
    let project = Project::new("fn main() {}");
    let service = CacheService::start();
    service.fault(0..usize::MAX, Fault::Refuse(503, None));
    let job = hosted(&project, &service, "down", MAIN, Rights::All);
    job.node("main.js").ok();
    job.cargo(&["build"]);
    let ended = job.node("post.js").ok();
    assert!(
        ended.stdout.contains("::warning title=Rekindle::"),
        "{}",
        ended.stdout
    );
    let ran = job.command("target/debug/tiny", &[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "one\n");
}
