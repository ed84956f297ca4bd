//! Debuggers find the sources of a program wherever it was restored.

use std::path::Path;
use std::process::Command;

use crate::project::{Done, Project, skip};

/// The file and line that a debugger gives for `main`, asked from another directory.
fn gdb_says(program: &Path) -> Option<String> {
    let output = Command::new("gdb")
        .args([
            "-batch",
            "-nx",
            "-ex",
            "info source",
            "-ex",
            "list tiny::main",
        ])
        .arg(program)
        .current_dir("/")
        .output()
        .ok()?;
    Some(Done::from(output).stdout)
}

/// That a program names the directory of its sources, and no name that stands for it.
pub(crate) fn check_sources(program: &Path, directory: &Path) {
    let bytes = std::fs::read(program).unwrap();
    let holds = |text: &str| {
        let mut windows = bytes.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    };
    assert!(holds(&format!("{}//", directory.display())));
    assert!(!holds("/rekindle/workspace/"), "a mapped name was left");
}

#[test]
fn a_restored_program_names_the_sources_of_its_own_checkout() {
    let project = Project::new("fn main() {\n    println!(\"found by a debugger\");\n}\n");
    project.rekindle(&["build"]).ok();
    let second = project.path("a longer name than before");
    std::fs::create_dir_all(second.join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
        std::fs::copy(project.path("ws").join(file), second.join(file)).unwrap();
    }
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
    Done::from(command.current_dir(&second).output().unwrap()).ok();
    assert_eq!(project.stats()["units"]["hit"], 1);

    for directory in [project.path("ws"), second] {
        let program = directory.join("target/debug/tiny");
        check_sources(&program, &directory);
        // The programs differ in nothing else, so both run.
        assert!(Command::new(&program).status().unwrap().success());
        match gdb_says(&program) {
            Some(said) => assert!(said.contains("found by a debugger"), "{said}"),
            None => skip(
                "a_restored_program_names_the_sources_of_its_own_checkout (a part)",
                "gdb is not installed",
            ),
        }
    }
}

/// Whoever debugs does not care why a program was not stored.
#[test]
fn a_program_that_is_not_stored_names_its_sources_too() {
    let project = Project::new("fn main() {}\n");
    project.rekindle(&["build"]).ok();
    // Nothing can be written where objects go.
    let objects = project.path("store/v1/objects");
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::write(&objects, "").unwrap();
    project.put("ws/src/main.rs", "fn main() { println!(\"two\") }\n");
    let done = project.rekindle(&["build"]).ok();
    assert!(done.stderr.contains("can be stored"), "{}", done.stderr);
    check_sources(&project.path("ws/target/debug/tiny"), &project.path("ws"));
}
