//! `rekindle switch` on a project's files.

use crate::project::Project;

const CI: &str = "on: [push, pull_request]\njobs:\n  test: # all\n    runs-on: ubuntu-latest # where\n    steps:\n      - run: sudo apt-get install -y x\n";

fn project() -> Project {
    let project = Project::new("fn main() {}");
    project.put("ws/.git/HEAD", "ref: refs/heads/main\n");
    project.put("ws/.github/workflows/ci.yml", CI);
    project
}

fn ci(project: &Project) -> String {
    std::fs::read_to_string(project.path("ws/.github/workflows/ci.yml")).unwrap()
}

#[test]
fn jobs_go_to_another_provider_and_back() {
    let project = project();
    let shown = project
        .rekindle(&["switch", "--to", "depot", "--size", "8", "--dry-run"])
        .ok();
    let diff = "-    runs-on: ubuntu-latest # where\n+    runs-on: depot-ubuntu-24.04-8 # where\n";
    assert!(shown.stdout.contains(diff), "{}", shown.stdout);
    assert_eq!(ci(&project), CI);

    let done = project
        .rekindle(&["switch", "--to", "depot", "--size", "8"])
        .ok();
    assert_eq!(done.stdout, shown.stdout);
    assert!(
        done.stderr.contains("1 place(s) in 1 file(s)"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("install Depot's GitHub app"),
        "{}",
        done.stderr
    );
    assert_eq!(
        ci(&project),
        CI.replace("ubuntu-latest", "depot-ubuntu-24.04-8")
    );
    // A second time there is nothing to do.
    let again = project.rekindle(&["switch", "--to", "depot"]).ok();
    assert!(
        again.stderr.contains("no job is to be switched"),
        "{}",
        again.stderr
    );

    project.rekindle(&["switch", "--to", "github"]).ok();
    assert_eq!(ci(&project), CI.replace("ubuntu-latest", "ubuntu-24.04"));
    // Two switches are taken back one after the other, with edits made between them.
    project.put(
        "ws/.github/workflows/ci.yml",
        &format!("# new\n{}", ci(&project)),
    );
    project.rekindle(&["switch", "--undo"]).ok();
    assert_eq!(
        ci(&project),
        format!(
            "# new\n{}",
            CI.replace("ubuntu-latest", "depot-ubuntu-24.04-8")
        )
    );
    project.rekindle(&["switch", "--undo"]).ok();
    assert_eq!(ci(&project), format!("# new\n{CI}"));
    let none = project.rekindle(&["switch", "--undo"]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(
        none.stderr.contains("no switch is recorded"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_line_that_was_changed_since_is_not_lost() {
    let project = project();
    project.rekindle(&["switch", "--to", "ubicloud"]).ok();
    let changed = ci(&project).replace("ubicloud-standard-4", "ubicloud-standard-30");
    project.put("ws/.github/workflows/ci.yml", &changed);
    let refused = project.rekindle(&["switch", "--undo"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("was changed since"),
        "{}",
        refused.stderr
    );
    assert_eq!(ci(&project), changed);
}

#[test]
fn dead_runners_and_open_doors_are_refused() {
    let project = project();
    let refused = |arguments: &[&str], said: &[&str]| {
        let done = project.rekindle(arguments);
        assert_eq!(done.code, Some(2), "{arguments:?}");
        for said in said {
            assert!(done.stderr.contains(said), "{}", done.stderr);
        }
        assert_eq!(ci(&project), CI);
    };
    refused(
        &["switch", "--to", "buildjet-8vcpu-ubuntu-2204"],
        &[
            "do not start since 2026-03-31",
            "`rekindle switch --to ubuntu-22.04`",
        ],
    );
    refused(
        &["switch", "--to", "self-hosted"],
        &["`pull_request` starts it", "--allow-forks REASON"],
    );
    refused(
        &["switch", "--to", "self-hosted", "--allow-forks", " "],
        &["`pull_request` starts it"],
    );
    refused(
        &["switch", "--to", "depot", "--job", "none"],
        &["ci.yml:test"],
    );
    refused(&["switch"], &["--to"]);
    let arguments = ["switch", "--to", "self-hosted", "--allow-forks", "private"];
    let done = project.rekindle(&arguments).ok();
    assert!(
        done.stderr
            .contains("warning: .github/workflows/ci.yml:6: job `test` needs sudo"),
        "{}",
        done.stderr
    );
    let record = std::fs::read_to_string(project.path("ws/.git/rekindle/switch.json")).unwrap();
    assert!(record.contains("\"allow_forks\":\"private\""), "{record}");
}

#[test]
fn without_workflows_or_a_repository_it_says_so() {
    let project = Project::new("fn main() {}");
    let none = project.rekindle(&["switch", "--to", "depot"]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.stderr.contains("there is no workflow in"),
        "{}",
        none.stderr
    );
    project.put("ws/.github/workflows/ci.yml", CI);
    let done = project.rekindle(&["switch", "--to", "depot"]).ok();
    assert!(done.stderr.contains("no git repository"), "{}", done.stderr);
    assert_eq!(
        ci(&project),
        CI.replace("ubuntu-latest", "depot-ubuntu-24.04-4")
    );
}
