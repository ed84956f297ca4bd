//! Which linker makes an output: the setting, the user's own choice, and what happens when one fails.

use std::process::Command;

use crate::project::{Done, Project, skip};

const MAIN: &str = "fn main() {\n    println!(\"linked\");\n}\n";

fn build(project: &Project, linker: &str, variables: &[(&str, &str)]) -> Done {
    let _ = std::fs::remove_dir_all(project.path("ws/target"));
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
    command.env("REKINDLE_LINKER", linker);
    command.envs(variables.iter().copied());
    let done = Done::from(command.output().unwrap()).ok();
    let program = Command::new(project.path("ws/target/debug/tiny"))
        .output()
        .unwrap();
    assert_eq!(program.stdout, b"linked\n");
    done
}

/// The one linker that the last run's programs name in themselves.
fn linker(project: &Project) -> String {
    let stats = project.stats();
    let linkers = stats["linkers"].as_object().unwrap();
    assert_eq!(linkers.len(), 1, "{stats}");
    linkers.keys().next().unwrap().clone()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn a_named_linker_is_used_without_any_flag_of_the_users() {
    if !has("mold") {
        return skip(
            "a_named_linker_is_used_without_any_flag_of_the_users",
            "mold is not installed",
        );
    }
    let project = Project::new(MAIN);
    build(&project, "system", &[]);
    let system = linker(&project);
    assert!(!system.starts_with("mold"), "{system}");

    // Another linker makes another output, so it is a miss, and then a hit.
    build(&project, "mold", &[]);
    assert_eq!(project.stats()["units"]["miss"], 1);
    assert!(linker(&project).starts_with("mold"));
    build(&project, "mold", &[]);
    assert_eq!(project.stats()["units"]["hit"], 1);
    assert!(
        linker(&project).starts_with("mold"),
        "a hit still tells which linker made it"
    );

    // cargo knows nothing of the choice: plain cargo finds all fresh.
    let mut plain = project.command("cargo", &["build"]);
    let plain = Done::from(plain.output().unwrap()).ok();
    assert!(!plain.stderr.contains("Compiling"), "{}", plain.stderr);
}

#[test]
fn the_users_own_choice_wins() {
    if !has("ld.bfd") {
        return skip("the_users_own_choice_wins", "ld.bfd is not installed");
    }
    let project = Project::new(MAIN);
    let flags = "-Clink-arg=-fuse-ld=bfd -Clinker-features=-lld";
    build(&project, "mold", &[("RUSTFLAGS", flags)]);
    assert!(linker(&project).starts_with("GNU ld"));
}

#[test]
fn a_linker_that_fails_is_replaced_by_the_systems_and_named() {
    let project = Project::new(MAIN);
    let done = build(&project, "nosuchlinker", &[]);
    assert!(
        done.stderr.contains("nosuchlinker failed"),
        "{}",
        done.stderr
    );
    assert_eq!(project.stats()["processes"]["linker"], 2);
}

#[test]
fn errors_of_the_linker_name_the_driver_that_the_user_knows() {
    let project =
        Project::new("unsafe extern \"C\" { fn nowhere(); }\nfn main() { unsafe { nowhere() } }\n");
    let done = project.rekindle(&["build"]);
    assert_eq!(done.code, Some(101));
    assert!(
        done.stderr.contains("linking with `cc` failed"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains(".rekindle-link"), "{}", done.stderr);
}
