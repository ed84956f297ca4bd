//! Build scripts whose compilers leave the day in what they make, and that start interpreters.

use serde_json::Value;

use crate::project::Project;
use crate::snapshots::{in_git, manifest, program, started};

const SCRIPT: &str = r#"
    use std::{env, process::Command};
    fn run(program: &str, arguments: &[&str]) {
        assert!(Command::new(program).args(arguments).status().unwrap().success());
    }
    fn main() {
        println!("cargo:rerun-if-changed=now.c");
        let out = env::var("OUT_DIR").unwrap();
        let object = format!("{out}/now.o");
        run("cc", &["-c", "now.c", "-o", &object]);
        // It draws a seed when it starts. Where it is not installed, it does not.
        let _ = Command::new("perl").args(["-e", "1"]).status();
        run("ar", &["crs", &format!("{out}/libnow.a"), &object]);
        println!("cargo:rustc-link-search=native={out}");
        println!("cargo:rustc-link-lib=static=now");
    }"#;
const C: &str = "const char *now(void) { return __DATE__; }\n";
const LIBRARY: &str = "unsafe extern \"C\" { fn now() -> *const std::ffi::c_char; }\n\
    pub fn length() -> usize { unsafe { std::ffi::CStr::from_ptr(now()) }.to_bytes().len() }\n";
const MAIN: &str = "fn main() { println!(\"{}\", dep::length()) }";

/// A program that depends on such a package.
fn project(dependency: &str, dir: &str) -> Project {
    let file = |name: &str| format!("{dir}/{name}");
    in_git(&[
        ("Cargo.toml", &manifest("app", dependency)),
        ("src/main.rs", MAIN),
        (".gitignore", "target\n"),
        (&file("Cargo.toml"), &manifest("dep", "")),
        (&file("build.rs"), SCRIPT),
        (&file("now.c"), C),
        (&file("src/lib.rs"), LIBRARY),
    ])
}

/// Builds without a target directory, by the unit cache or by snapshots.
fn anew(project: &Project, snapshot: &str, variables: &[(&str, &str)]) -> Value {
    let _ = std::fs::remove_dir_all(project.path("ws/target"));
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
    command.envs(variables.iter().copied());
    let done = command.env("REKINDLE_SNAPSHOT", snapshot).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(program(project), "11");
    project.stats()
}

/// As cargo keeps a dependency's library for as long as it keeps the target directory.
fn keeps_its_day(project: &Project) {
    anew(project, "1", &[]);
    let again = anew(project, "0", &[]);
    assert_eq!(started(&again), [0, 0, 0], "{again:#}");
    assert_eq!(again["scripts"]["replayed"], 1, "{again:#}");
    let again = anew(project, "1", &[]);
    assert_eq!(started(&again), [0, 0, 0], "{again:#}");
    assert_eq!(again["units"]["hit"], 0, "{again:#}");
}

#[test]
fn a_package_of_git_keeps_the_day_of_its_build() {
    let origin = in_git(&[
        ("Cargo.toml", &manifest("dep", "")),
        ("build.rs", SCRIPT),
        ("now.c", C),
        ("src/lib.rs", LIBRARY),
    ]);
    let url = origin.path("ws");
    let dependency = format!(
        "[dependencies]\ndep = {{ git = {:?} }}",
        format!("file://{}", url.display())
    );
    let project = in_git(&[
        ("Cargo.toml", &manifest("app", &dependency)),
        ("src/main.rs", MAIN),
        (".gitignore", "target\n"),
    ]);
    keeps_its_day(&project);
}

#[test]
fn a_vendored_package_keeps_the_day_of_its_build_and_is_not_compared_with_another_day() {
    let project = project("[dependencies]\ndep = \"0.1.0\"", "vendor/dep");
    project.put("ws/vendor/dep/.cargo-checksum.json", "{\"files\":{}}");
    project.put(
        "ws/.cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"vendor\"\n[source.vendor]\ndirectory = \"vendor\"\n",
    );
    keeps_its_day(&project);
    let verified = anew(&project, "0", &[("REKINDLE_VERIFY", "1")]);
    assert_eq!(verified["processes"]["build_script"], 1, "{verified:#}");
    assert_eq!(verified["scripts"]["refused"], 1, "{verified:#}");
    assert_eq!(
        verified["reasons"]["verify_mismatch"],
        Value::Null,
        "{verified:#}"
    );
}

#[test]
fn what_people_build_themselves_has_the_day_on_which_they_do() {
    let project = project("[dependencies]\ndep = { path = \"dep\" }", "dep");
    for snapshot in ["1", "0", "1"] {
        let built = anew(&project, snapshot, &[]);
        assert_eq!(built["processes"]["build_script"], 1, "{built:#}");
        assert_eq!(built["scripts"]["refused"], 1, "{built:#}");
    }
}
