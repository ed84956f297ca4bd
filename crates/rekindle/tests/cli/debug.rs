//! Debuggers find the sources of a program wherever it was restored.

use std::process::Command;

use crate::project::{Done, Project, skip};

/// The file and line that a debugger gives for `main`, asked from another directory.
fn gdb_says(program: &std::path::Path) -> Option<String> {
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
        let bytes = std::fs::read(&program).unwrap();
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        assert!(holds(&format!("{}//", directory.display())));
        assert!(!holds("/rekindle/workspace/"), "a mapped name was left");
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
