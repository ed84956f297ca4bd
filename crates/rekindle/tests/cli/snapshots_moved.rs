//! A checkout in another directory, with the snapshot of the first.

use std::path::PathBuf;

use crate::project::Project;
use crate::snapshots::{assert_fresh, in_git, manifest, program, rekindle, started};

/// A script that looks through all variables.
const LOOKS_THROUGH: &str = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
    for (name, _) in std::env::vars_os() { assert_ne!(name, \"NO SUCH NAME\"); } }";

/// A program with a build script.
fn project(script: &str, main: &str) -> Project {
    in_git(&[
        ("Cargo.toml", &manifest("app", "")),
        ("build.rs", script),
        ("read", "one"),
        ("src/main.rs", main),
        (".gitignore", "target\n"),
    ])
}

/// Moves the checkout, without what was built: its path is then that of what a link leads to.
pub(crate) fn moved(project: &Project, name: &str) -> PathBuf {
    let _ = std::fs::remove_dir_all(project.path("ws/target"));
    std::fs::rename(project.path("ws"), project.path(name)).unwrap();
    std::os::unix::fs::symlink(name, project.path("ws")).unwrap();
    std::fs::canonicalize(project.path(name)).unwrap()
}

/// What a build script wrote, by the name of its file.
fn wrote(project: &Project, name: &str) -> String {
    let build = project.path("ws/target/debug/build");
    let files = rekindle_fsx::walk_files(&build).unwrap();
    let file = files.iter().find(|file| file.path.ends_with(name)).unwrap();
    std::fs::read_to_string(&file.path).unwrap()
}

#[test]
fn texts_of_build_scripts_name_the_directory_that_they_are_in() {
    let script = r#"
        use std::{env, fs, path::Path};
        fn main() {
            let here = env::var("CARGO_MANIFEST_DIR").unwrap();
            println!("cargo:rerun-if-changed={here}/read");
            let out = env::var("OUT_DIR").unwrap();
            let out = Path::new(&out);
            fs::write(out.join("small"), format!("{here}/read {}", out.display())).unwrap();
            fs::write(out.join("large"), format!("{here}/read\n").repeat(1000)).unwrap();
            let word = fs::read_to_string("read").unwrap();
            fs::write(out.join("word.rs"), format!("const WORD: &str = {word:?};")).unwrap();
        }"#;
    let main =
        "include!(concat!(env!(\"OUT_DIR\"), \"/word.rs\")); fn main() { println!(\"{WORD}\"); }";
    let project = project(script, main);
    rekindle(&project, &["build"]).ok();
    let first = std::fs::canonicalize(project.path("ws")).unwrap();
    assert!(wrote(&project, "small").starts_with(first.to_str().unwrap()));

    let here = moved(&project, "elsewhere");
    rekindle(&project, &["build"]).ok();
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_eq!(program(&project), "one");
    let path = format!("{}/read", here.display());
    let small = wrote(&project, "small");
    assert!(
        small.starts_with(&format!("{path} {}/target/", here.display())),
        "{small}"
    );
    assert_eq!(wrote(&project, "large"), format!("{path}\n").repeat(1000));
    assert_fresh(&project);
    // What it declared to read is watched where it is now.
    project.put("ws/read", "two");
    rekindle(&project, &["build"]).ok();
    assert_eq!(started(&project.stats())[2], 1);
    assert_eq!(program(&project), "two");
}

/// Of where the compiler runs nobody is told by a variable.
#[test]
fn a_path_that_a_macro_puts_into_its_crate_is_that_of_the_present() {
    let macros = "#[proc_macro] pub fn here(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n\
        format!(\"{:?}\", std::env::current_dir().unwrap()).parse().unwrap() }";
    let project = in_git(&[
        (
            "Cargo.toml",
            &manifest(
                "app",
                "[workspace]\n[dependencies]\nmacros = { path = \"macros\" }\n",
            ),
        ),
        (
            "macros/Cargo.toml",
            &manifest("macros", "[lib]\nproc-macro = true\n"),
        ),
        ("macros/src/lib.rs", macros),
        (
            "src/main.rs",
            "fn main() { println!(\"{}\", macros::here!()); }",
        ),
        (".gitignore", "target\n"),
    ]);
    rekindle(&project, &["build"]).ok();
    let here = moved(&project, "elsewhere");
    rekindle(&project, &["build"]).ok();
    assert_eq!(program(&project), here.to_str().unwrap());
}

/// cargo tells build scripts of it in a variable, of which the capture knows nothing.
#[test]
fn a_linker_that_the_project_names_is_the_same_in_a_fresh_checkout() {
    let project = project(LOOKS_THROUGH, "fn main() { println!(\"one\") }");
    let version = project.command("rustc", &["-vV"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let target = version.lines().find_map(|line| line.strip_prefix("host: "));
    let target = target.unwrap();
    let linker = |name: &str| {
        let text = format!("[target.{target}]\nlinker = {name:?}\n");
        project.put("ws/.cargo/config.toml", &text);
    };
    let anew = || {
        let _ = std::fs::remove_dir_all(project.path("ws/target"));
        rekindle(&project, &["build", "--target", target]).ok();
        project.stats()
    };
    linker("cc");
    anew();
    let again = anew();
    assert_eq!(started(&again), [0, 0, 0]);
    assert_eq!(again["units"]["hit"], 0, "{again:#}");
    // Another one is told to a script that runs anew.
    linker("gcc");
    assert_eq!(started(&anew())[2], 1);
}

/// Nobody saw whether it may be told another directory; cargo itself puts the present one in the place of its own.
#[test]
fn what_an_unseen_script_prints_may_name_its_own_directory_however_much_it_is() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
        println!(\"cargo:rustc-link-search={}\", std::env::var(\"OUT_DIR\").unwrap());\n\
        println!(\"{}\", \"a word \".repeat(1000)); }";
    let project = project(script, "fn main() { println!(\"one\") }");
    let build = || {
        let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
        let command = command.env_remove("REKINDLE_SNAPSHOT");
        let done = command.env("REKINDLE_OBSERVE", "0").output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    build();
    moved(&project, "elsewhere");
    build();
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_fresh(&project);
}

#[test]
fn what_was_made_of_a_path_is_made_again_though_the_path_is_not_in_it() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
        println!(\"cargo:rustc-env=MADE={}\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()); }";
    let project = project(
        script,
        "const N: usize = env!(\"MADE\").len(); fn main() { println!(\"{N}\") }",
    );
    rekindle(&project, &["build"]).ok();
    let here = moved(&project, "somewhere-with-a-longer-name");
    rekindle(&project, &["build"]).ok();
    assert_eq!(program(&project), here.to_str().unwrap().len().to_string());
}

#[test]
fn a_file_included_by_a_variable_that_is_its_path_is_the_same_in_every_directory() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
        let path = format!(\"{}/made.rs\", std::env::var(\"OUT_DIR\").unwrap());\n\
        std::fs::write(&path, \"const WORD: &str = \\\"one\\\";\").unwrap();\n\
        println!(\"cargo:rustc-env=MADE={path}\"); }";
    let project = project(
        script,
        "include!(env!(\"MADE\")); fn main() { println!(\"{WORD}\") }",
    );
    rekindle(&project, &["build"]).ok();
    moved(&project, "somewhere-with-a-longer-name");
    rekindle(&project, &["build"]).ok();
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_eq!(program(&project), "one");
    assert_fresh(&project);
}

#[test]
fn a_macro_of_another_crate_may_make_anything_of_the_variable_that_the_crate_includes_by() {
    let project = in_git(&[
        (
            "Cargo.toml",
            &manifest("app", "[dependencies]\nm = { path = \"m\" }\n"),
        ),
        ("src/word.rs", "const WORD: &str = \"one\";"),
        (
            "src/main.rs",
            "include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/src/word.rs\"));\n\
             fn main() { println!(\"{WORD}{}\", m::len!()) }",
        ),
        ("m/Cargo.toml", &manifest("m", "")),
        (
            "m/src/lib.rs",
            "#[macro_export] macro_rules! len { () => {{ const N: usize = env!(\"CARGO_MANIFEST_DIR\").len(); N }} }",
        ),
        (".gitignore", "target\n"),
    ]);
    rekindle(&project, &["build"]).ok();
    let here = moved(&project, "somewhere-with-a-longer-name");
    rekindle(&project, &["build"]).ok();
    let len = here.to_str().unwrap().len();
    assert_eq!(program(&project), format!("one{len}"));
}
