//! What changed since the last run on the branch that work goes to.

use crate::project::Done;
use crate::remote::Machine;
use crate::snapshots::{git, workspace};

/// The history travels with the remote, also to a run that may not write there.
#[test]
fn a_branch_is_compared_with_the_default_one_by_a_machine_born_now() {
    let project = workspace();
    Machine::new(&project, "first", "first/src").build();
    let second = Machine::new(&project, "second", "second/src")
        .with("CI", "true")
        .with("REKINDLE_REMOTE_MODE", "read-only");
    let checkout = project.path("second/src");
    let checkout = checkout.to_str().unwrap();
    git(&project, &["-C", checkout, "checkout", "-q", "-b", "topic"]);
    let edit = |text: &str| {
        let program = format!("fn main() {{ println!(\"{text}\"); }}");
        std::fs::write(project.path("second/src/app/src/main.rs"), program).unwrap();
    };
    let build = || {
        let done: Done = second.command(&["build"]).output().unwrap().into();
        done.ok().stderr
    };
    edit("one");
    let said = build();
    let (_, since) = said
        .split_once("Since the last run on `")
        .unwrap_or_else(|| panic!("{said}"));
    // All was compiled there, and one unit here.
    assert!(since.contains("1 compiled where it was"), "{said}");
    // It is no run of the default branch: the next one is compared with the same.
    edit("two");
    let again = build();
    assert!(again.contains("Since the last run on `"), "{again}");
    let report: Done = second
        .command(&["report", "--format", "text"])
        .output()
        .unwrap()
        .into();
    let report = report.ok().stdout;
    assert!(report.contains("Since the last run on `"), "{report}");
    let page: Done = second
        .command(&["report", "--output", "page.html"])
        .output()
        .unwrap()
        .into();
    page.ok();
    let page = std::fs::read_to_string(project.path("second/src/page.html")).unwrap();
    assert!(page.contains("Since the last run on <code>"), "{page}");
}
