//! A fresh checkout whose macros read what cargo does not watch: right where plain cargo is stale.

use crate::project::{Done, Project};
use crate::snapshots::{
    assert_fresh, commit, fresh_clone, in_git, manifest, program, rekindle, started,
};

const MACRO: &str = "#[proc_macro] pub fn text(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n\
     let file = format!(\"{}/data\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n\
     format!(\"{:?}\", std::fs::read_to_string(file).unwrap()).parse().unwrap()\n}";

fn workspace() -> Project {
    in_git(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"mac\", \"app\", \"other\"]\nresolver = \"2\"\n",
        ),
        (
            "mac/Cargo.toml",
            &manifest("mac", "[lib]\nproc-macro = true\n"),
        ),
        ("mac/src/lib.rs", MACRO),
        (
            "app/Cargo.toml",
            &manifest("app", "[dependencies]\nmac = { path = \"../mac\" }\n"),
        ),
        ("app/data", "one"),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", mac::text!()); }",
        ),
        ("other/Cargo.toml", &manifest("other", "")),
        ("other/src/lib.rs", ""),
        (".gitignore", "target\n"),
    ])
}

#[test]
fn a_macros_undeclared_input_is_looked_at_in_a_fresh_checkout() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    rekindle(&project, &["build"]).ok();
    assert_eq!(program(&project), "one");
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_fresh(&project);

    fresh_clone(&project);
    project.put("ws/app/data", "two");
    commit(&project, "second");
    rekindle(&project, &["build"]).ok();
    assert_eq!(program(&project), "two");
    let stats = project.stats();
    assert_eq!(started(&stats)[0], 1, "the program alone: {stats:#}");
    assert_fresh(&project);
}

/// What is compiled when its own source changes begins with the state of the compile before.
#[test]
fn what_is_left_out_keeps_its_incremental_state() {
    let project = workspace();
    let build = || {
        let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
        let command = command
            .env_remove("REKINDLE_SNAPSHOT")
            .env("CARGO_INCREMENTAL", "1");
        Done::from(command.output().unwrap()).ok();
    };
    build();
    // A checkout in which it is a hit, and one that comes after that.
    for _ in 0..2 {
        fresh_clone(&project);
        build();
        let dir = project.path("ws/target/debug/incremental");
        let names = rekindle_fsx::list_names(&dir).unwrap();
        let waits = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            name.starts_with("app-") && name.ends_with(".rekindle")
        };
        assert!(names.iter().any(waits), "{names:?}");
    }
}
