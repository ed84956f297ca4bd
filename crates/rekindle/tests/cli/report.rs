//! `rekindle report`, `rekindle import`, and what a run says to CI services.

use serde_json::Value;

use crate::project::{Done, Project};

const HELLO: &str = "fn main() {}";

/// A project with a build script and a library.
fn project() -> Project {
    let project = Project::new(HELLO);
    project.put(
        "ws/build.rs",
        "fn main() { std::thread::sleep(std::time::Duration::from_millis(300)) }",
    );
    project.put("ws/src/lib.rs", "pub fn f() {}");
    project
}

fn report(project: &Project) -> Value {
    let done = project.rekindle(&["report", "--format", "json"]).ok();
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn the_parts_of_a_run_are_what_a_person_waited() {
    let project = project();
    let began = std::time::Instant::now();
    project.rekindle(&["build"]).ok();
    let waited_us = began.elapsed().as_micros() as u64;
    let report = report(&project);
    let wall_us = report["run"]["wall_us"].as_u64().unwrap();
    let parts = report["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["time_us"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, wall_us, "{report}");
    assert!(
        report["accounted_share"].as_f64().unwrap() > 98.0,
        "{report}"
    );
    // What is before the first line of the program, and after its last, is the system's.
    assert!(wall_us <= waited_us, "{wall_us} {waited_us}");
    let unseen_us = waited_us - wall_us;
    assert!(
        unseen_us < waited_us / 50 + 50_000,
        "{wall_us} of {waited_us}"
    );
    let phases: Vec<_> = report["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phase| &phase["phase"])
        .collect();
    assert_eq!(phases, ["prepare", "cargo", "finish"]);
    assert!(
        !report["samples"]["cpu_milli"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn units_say_what_they_waited_for_and_scripts_are_among_them() {
    let project = project();
    project.rekindle(&["build"]).ok();
    let report = report(&project);
    let units = report["units"].as_array().unwrap();
    let find = |name: &str| {
        units
            .iter()
            .find(|unit| unit["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    let number = |unit: &Value, field: &str| unit[field].as_u64().unwrap();
    let program = find("tiny 0.1.0 build script");
    let script = find("tiny 0.1.0 build script run");
    let library = find("tiny 0.1.0");
    assert!(number(script, "time_us") >= 300_000);
    // Events carry milliseconds.
    let slack_us = 2_000;
    assert!(
        number(script, "at_us") + slack_us >= number(program, "at_us") + number(program, "time_us")
    );
    assert!(
        number(library, "ready_us") + slack_us
            >= number(script, "at_us") + number(script, "time_us")
    );
    let critical: Vec<_> = report["critical_path"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| &units[at.as_u64().unwrap() as usize]["kind"])
        .collect();
    assert_eq!(
        critical[..2],
        ["build-script", "run-build-script"],
        "{report}"
    );
    let binary = units.iter().find(|unit| unit["kind"] == "bin").unwrap();
    let parts: Vec<_> = binary["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["part"].as_str().unwrap())
        .collect();
    assert!(
        parts.contains(&"compile") && parts.contains(&"link"),
        "{binary}"
    );
}

#[test]
fn a_run_is_a_page_data_and_a_trace() {
    let project = project();
    project.rekindle(&["build"]).ok();
    let done = project.rekindle(&["report"]).ok();
    assert!(done.stdout.starts_with("Built in "), "{}", done.stdout);
    let page = done
        .stdout
        .lines()
        .last()
        .unwrap()
        .strip_prefix("page: ")
        .unwrap();
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("tiny 0.1.0"));
    let out = project.path("out/page.html");
    project
        .rekindle(&["report", "last", "--output", out.to_str().unwrap()])
        .ok();
    assert!(out.exists());
    let trace = project
        .rekindle(&["report", "--format", "trace"])
        .ok()
        .stdout;
    let trace: Value = serde_json::from_str(&trace).unwrap();
    assert!(trace["traceEvents"].as_array().unwrap().len() > 3);
    let done = project.rekindle(&["report", "20200101T000000.000Z-1"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
}

/// As a step of GitHub Actions.
fn step(project: &Project, arguments: &[&str], more: &[(&str, &str)]) -> Done {
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
    command
        .envs([("GITHUB_ACTIONS", "true"), ("CI", "true")])
        .env("GITHUB_STEP_SUMMARY", project.path("summary"))
        .env("GITHUB_OUTPUT", project.path("output"))
        .env("RUNNER_TEMP", project.path("temp"))
        .envs(more.iter().copied());
    command.output().unwrap().into()
}

fn text(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path(name)).unwrap_or_default()
}

#[test]
fn github_gets_a_summary_for_each_run_and_the_page_as_an_output() {
    let project = project();
    project.put("summary", "of another program");
    step(&project, &["build"], &[]).ok();
    let summary = text(&project, "summary");
    assert!(
        summary.starts_with("of another program\n\n<!-- rekindle run "),
        "{summary}"
    );
    assert!(
        summary.contains("<code>cargo build</code>") && summary.contains("| Linking |"),
        "{summary}"
    );
    assert!(!summary.contains("Since the run of"), "{summary}");
    let output = text(&project, "output");
    let page = output
        .lines()
        .next()
        .unwrap()
        .strip_prefix("rekindle-report=")
        .unwrap();
    assert!(std::path::Path::new(page).starts_with(project.path("temp")));
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("<h1>Built in ")
    );
    std::fs::remove_dir_all(project.path("ws/target")).unwrap();
    step(&project, &["build"], &[]).ok();
    let both = text(&project, "summary");
    assert!(both.starts_with(&summary), "{both}");
    assert_eq!(both.matches("<!-- rekindle run ").count(), 2, "{both}");
    assert!(
        both.contains("Since the run of") && both.contains("0 compiled where it was 3"),
        "{both}"
    );
    // A command that builds nothing is no run.
    step(&project, &["metadata", "--format-version=1"], &[]).ok();
    assert_eq!(text(&project, "summary"), both);
}

#[test]
fn a_warning_is_annotated_once_in_a_step() {
    let project = project();
    let other = project.path("sccache");
    project.put("sccache", "#!/bin/sh\nexec \"$@\"\n");
    std::process::Command::new("chmod")
        .arg("+x")
        .arg(&other)
        .status()
        .unwrap();
    let wrapper = [("RUSTC_WRAPPER", other.to_str().unwrap())];
    let annotations = |done: &Done| done.stderr.matches("::warning title=Rekindle::").count();
    assert_eq!(annotations(&step(&project, &["build"], &wrapper).ok()), 1);
    assert_eq!(annotations(&step(&project, &["check"], &wrapper).ok()), 0);
}

#[test]
fn a_summary_that_is_nearly_full_gets_a_line_and_a_full_one_nothing() {
    let project = project();
    project.put("summary", &"x".repeat(500 * 1024));
    step(&project, &["build"], &[]).ok();
    let added = text(&project, "summary").split_off(500 * 1024);
    assert!(added.contains("Built in ") && added.len() < 400, "{added}");
    project.put("summary", &"x".repeat(800 * 1024));
    step(&project, &["check"], &[]).ok();
    assert_eq!(text(&project, "summary").len(), 800 * 1024);
}

#[test]
fn a_setting_turns_it_off_and_a_broken_place_costs_a_warning() {
    let project = project();
    let done = step(&project, &["build"], &[("REKINDLE_REPORT", "0")]).ok();
    assert!(
        !project.path("summary").exists() && !project.path("temp").exists(),
        "{}",
        done.stderr
    );
    let nowhere = [
        ("GITHUB_STEP_SUMMARY", "/dev/null/x"),
        ("RUNNER_TEMP", "/dev/null/y"),
    ];
    let done = step(&project, &["check"], &nowhere).ok();
    assert!(
        done.stderr.contains("could not be written"),
        "{}",
        done.stderr
    );
}

#[test]
fn other_services_get_text() {
    let project = project();
    let run = |vars: &[(&str, &str)], arguments: &[&str]| {
        let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        Done::from(command.envs(vars.iter().copied()).output().unwrap())
            .ok()
            .stderr
    };
    let plain = run(&[("CI", "true")], &["build"]);
    assert!(plain.contains("Where the time went"), "{plain}");
    let gitlab = run(&[("GITLAB_CI", "true")], &["check"]);
    assert!(
        gitlab.contains("section_start:") && gitlab.contains("section_end:"),
        "{gitlab}"
    );
    assert!(gitlab.contains("Where the time went"), "{gitlab}");
    // Nothing was built, or nobody wants to hear of it.
    assert!(!run(&[("CI", "true")], &["build"]).contains("Where the time went"));
    std::fs::remove_dir_all(project.path("ws/target")).unwrap();
    assert!(!run(&[("CI", "true")], &["build", "-q"]).contains("Where the time went"));
}

#[test]
fn what_other_tools_recorded_becomes_a_run() {
    let project = project();
    let cargo = project
        .command("cargo", &["build", "--timings"])
        .output()
        .unwrap();
    Done::from(cargo).ok();
    let page = project.path("ws/target/cargo-timings/cargo-timing.html");
    let done = project
        .rekindle(&["import", "cargo-timings", page.to_str().unwrap()])
        .ok();
    assert!(done.stdout.starts_with("Built in "), "{}", done.stdout);
    let report = report(&project);
    assert_eq!(report["run"]["imported_from"], "cargo --timings");
    assert_eq!(report["units"].as_array().unwrap().len(), 4, "{report}");
    project.put("stats.json", r#"{"stats":{"compile_requests":9,"cache_hits":{"counts":{"Rust":5}},"cache_misses":{"counts":{}}},"version":"0.19.0"}"#);
    let stats = project.path("stats.json");
    project
        .rekindle(&["import", "sccache-stats", stats.to_str().unwrap()])
        .ok();
    assert_eq!(project.stats()["units"]["hit"], 5);
    let done = project.rekindle(&["import", "cargo-timings", stats.to_str().unwrap()]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("cargo build --timings"),
        "{}",
        done.stderr
    );
}
