//! The unit graph of a real run: what a wrapper and a launcher note of who waits for whom.

use rekindle_events::read_log;
use rekindle_plan::{Graph, Job, Needs, critical_path, simulate};

use crate::project::Project;

/// The graph of the project's last run.
fn graph(project: &Project) -> Graph {
    let runs = std::fs::read_dir(project.path("store/v1/runs")).unwrap();
    let last = runs.map(|run| run.unwrap().path()).max().unwrap();
    let log = read_log(&std::fs::read(last.join("events.jsonl")).unwrap());
    Graph::of_events(&log.events)
}

/// What a job waits for itself, by name and until when.
fn waits(graph: &Graph, job: &Job) -> Vec<(String, Needs)> {
    let direct = job.dependencies.iter().filter(|wait| wait.is_direct);
    let mut waits: Vec<(String, Needs)> = direct
        .map(|wait| (graph.jobs()[wait.on].name(), wait.needs))
        .collect();
    waits.sort();
    waits
}

#[test]
fn units_wait_for_crates_for_scripts_and_scripts_for_their_programs() {
    let project = Project::new("fn main() { assert_eq!(mid::word(), 7) }");
    let member = |name: &str, more: &str| {
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}"
        );
        project.put(&format!("ws/{name}/Cargo.toml"), &text);
    };
    project.put(
        "ws/Cargo.toml",
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n\
         mid = { path = \"mid\" }\n[workspace]\n",
    );
    member("mid", "[dependencies]\nleaf = { path = \"../leaf\" }\n");
    project.put("ws/mid/src/lib.rs", "pub fn word() -> u8 { leaf::word() }");
    member("leaf", "build = \"build.rs\"\n");
    project.put(
        "ws/leaf/build.rs",
        "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); }",
    );
    project.put("ws/leaf/src/lib.rs", "pub fn word() -> u8 { 7 }");
    project.rekindle(&["build"]).ok();
    let graph = graph(&project);
    assert_eq!(graph.jobs().len(), 5, "{graph:?}");
    assert!(!graph.gaps().is_partial(), "{:?}", graph.gaps());
    let of = |name: &str| {
        let job = graph.jobs().iter().find(|job| job.name() == name).unwrap();
        waits(&graph, job)
    };
    let (script, run) = (
        "leaf 0.1.0 (build script)",
        "leaf 0.1.0 (run of its build script)",
    );
    assert_eq!(of(script), []);
    assert_eq!(of(run), [(script.to_owned(), Needs::End)]);
    assert_eq!(of("leaf 0.1.0 (lib)"), [(run.to_owned(), Needs::End)]);
    let leaf = ("leaf 0.1.0 (lib)".to_owned(), Needs::Metadata);
    assert_eq!(of("mid 0.1.0 (lib)"), [leaf]);
    let mid = ("mid 0.1.0 (lib)".to_owned(), Needs::End);
    assert_eq!(of("tiny 0.1.0 (bin)"), [mid]);
    let app = graph
        .jobs()
        .iter()
        .find(|job| job.package == "tiny")
        .unwrap();
    assert!(app.links);
    assert_eq!(app.options.debug.as_deref(), Some("2"));
    let path = critical_path(&graph);
    assert_eq!(graph.jobs()[path.steps[0].job].name(), script);
    assert!(simulate(&graph, 2).wall_us >= path.length_us);
}
