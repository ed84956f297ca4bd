//! Snapshots in another home of cargo's than the one that they were made with.

use std::fs;

use serde_json::Value;

use crate::project::Done;
use crate::registry_lab::{PRINTED, RegistryLab};

impl RegistryLab {
    /// Gives cargo's home another path.
    fn move_home(&mut self, name: &str) {
        let before = self.home();
        self.home_name = name.to_owned();
        fs::rename(before, self.home()).unwrap();
    }

    /// Builds in a target directory that is not there, and tells what came of it.
    fn anew(&self, arguments: &[&str]) -> Value {
        fs::remove_dir_all(self.path("ws/target")).unwrap();
        self.rekindle(arguments).ok();
        let said = self.rekindle(&["stats", "--format", "json"]).ok();
        serde_json::from_str(&said.stdout).unwrap()
    }
}

#[test]
fn units_of_another_home_are_fresh_but_for_those_that_hold_its_path() {
    let mut lab = RegistryLab::new();
    lab.rekindle(&["build"]).ok();
    lab.move_home("other");
    let moved = lab.anew(&["build"]);
    // `bound` and the program, which is made from it.
    assert_eq!(moved["units"]["miss"], 2, "{moved:#}");
    // What the build script of `linked` printed holds the path, and names the new one.
    assert_eq!(moved["scripts"]["replayed"], 0, "{moved:#}");
    assert_eq!(moved["units"]["hit"], 0, "{moved:#}");
    assert_eq!(moved["units"]["fresh"], 8, "{moved:#}");
    assert_eq!(lab.rekindle(&["run", "-q"]).ok().stdout, PRINTED);
    let built = lab.cargo(&["build", "-v"]).ok();
    assert!(!built.stderr.contains("Compiling"), "{}", built.stderr);
    // What was captured here is of here.
    let again = lab.anew(&["build"]);
    assert_eq!(
        (&again["units"]["miss"], &again["units"]["hit"]),
        (&0.into(), &0.into())
    );
    assert_eq!(lab.rekindle(&["run", "-q"]).ok().stdout, PRINTED);
}

/// The path of a package in the home is no path of the workspace: `bound` holds that of its own.
#[test]
fn units_that_hold_the_path_of_the_home_alone_are_fresh_in_another_checkout() {
    let lab = RegistryLab::new();
    let run = |dir: &str, arguments: &[&str]| -> Done {
        let mut command = lab.program(env!("CARGO_BIN_EXE_rekindle"), arguments);
        let done = command.current_dir(lab.path(dir)).output().unwrap();
        Done::from(done).ok()
    };
    run("ws", &["build"]);
    fs::remove_dir_all(lab.path("ws/target")).unwrap();
    fs::rename(lab.path("ws"), lab.path("another")).unwrap();
    run("another", &["build"]);
    let said = run("another", &["stats", "--format", "json"]).stdout;
    assert_eq!(run("another", &["run", "-q"]).stdout, PRINTED);
    let moved: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(moved["units"]["miss"], 0, "{moved:#}");
    assert_eq!(moved["units"]["hit"], 0, "{moved:#}");
}

/// A tree is written though nothing was built, since units are used again that were nearly forgotten.
#[test]
fn a_tree_that_is_written_in_another_home_has_that_homes_fingerprints() {
    let mut lab = RegistryLab::new();
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
        [dev-dependencies]\nplain = \"1\"\n";
    lab.put("ws/Cargo.toml", manifest);
    fs::remove_file(lab.path("ws/src/main.rs")).unwrap();
    let library = |text: &str| lab.put("ws/src/lib.rs", text);
    library("#[test] fn plain() { plain::plain(); }");
    let test = ["test", "--lib", "--no-run"];
    lab.rekindle(&test).ok();
    for edit in 0..6 {
        library(&format!("pub const EDIT: u8 = {edit};"));
        lab.anew(&["build"]);
    }
    library("#[test] fn plain() { plain::plain(); }");
    lab.move_home("other");
    for _ in 0..2 {
        let moved = lab.anew(&test);
        assert_eq!(moved["snapshot"]["units_restored"], 2, "{moved:#}");
        assert_eq!(moved["units"]["hit"], 0, "{moved:#}");
        assert_eq!(moved["units"]["miss"], 0, "{moved:#}");
    }
}

/// The newest build with this toolchain is a new project's base, whatever project that was of.
#[test]
fn a_new_project_gets_what_its_lock_file_has_of_anothers_build() {
    let lab = RegistryLab::new();
    lab.rekindle(&["build"]).ok();
    lab.put(
        "two/Cargo.toml",
        "[package]\nname = \"two\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nplain = \"1\"\n",
    );
    let config = fs::read_to_string(lab.path("ws/.cargo/config.toml")).unwrap();
    lab.put("two/.cargo/config.toml", &config);
    let run = |program: &str, arguments: &[&str]| -> Done {
        let mut command = lab.program(program, arguments);
        let done = command.current_dir(lab.path("two")).output().unwrap();
        Done::from(done).ok()
    };
    let rekindle = env!("CARGO_BIN_EXE_rekindle");
    let units = || -> Value {
        let said = run(rekindle, &["stats", "--format", "json"]).stdout;
        serde_json::from_str::<Value>(&said).unwrap()["units"].clone()
    };
    let built = || -> Vec<String> {
        let all = fs::read_dir(lab.path("two/target/debug/.fingerprint")).unwrap();
        let mut names: Vec<String> = all
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.rsplit_once('-').unwrap().0.to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    // What a build that fails finds there is still the base of the next.
    lab.put("two/src/main.rs", "fn main() { broken }");
    run("cargo", &["generate-lockfile"]);
    let mut command = lab.program(rekindle, &["build"]);
    let failed = command.current_dir(lab.path("two")).output().unwrap();
    assert!(!failed.status.success());
    lab.put(
        "two/src/main.rs",
        "fn main() { println!(\"{}\", plain::plain()); }",
    );
    run(rekindle, &["build"]);
    let first = units();
    assert_eq!((&first["fresh"], &first["miss"]), (&1.into(), &1.into()));
    assert_eq!(built(), ["plain", "two"]);
    // Nor does its own snapshot have the others.
    fs::remove_dir_all(lab.path("two/target")).unwrap();
    run(rekindle, &["build"]);
    assert_eq!(units()["fresh"], 2);
    assert_eq!(built(), ["plain", "two"]);
}

/// A compiler looks into the source of another crate's macro for the texts of `assert!` and the like, and gives the crate that it makes another hash where there is
/// none: whoever compiles against it would not know it again.
#[test]
fn what_is_compiled_without_the_sources_of_macros_is_the_same() {
    // Observed, the look-up knows what is read; otherwise, and the first time, all that may be is put in place.
    for observe in ["1", "0"] {
        let mut lab = RegistryLab::new();
        let build = |lab: &RegistryLab, anew: bool| -> Vec<u8> {
            let _ = fs::remove_dir_all(lab.path("ws/target"));
            let mut command = lab.program(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
            command
                .env("CARGO_INCREMENTAL", "0")
                .env("REKINDLE_OBSERVE", observe);
            if anew {
                command
                    .env("REKINDLE_RECACHE", "1")
                    .env("REKINDLE_SNAPSHOT", "0");
            }
            Done::from(command.output().unwrap()).ok();
            let deps = fs::read_dir(lab.path("ws/target/debug/deps")).unwrap();
            let mut files = deps.map(|entry| entry.unwrap().path());
            let metadata = files.find(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with("libapp-") && name.ends_with(".rmeta")
            });
            fs::read(metadata.unwrap()).unwrap()
        };
        let library = "plain::two!(Two);\npub fn two() -> u8 { Two { two: 2 }.two() }\n";
        lab.put("ws/src/lib.rs", library);
        build(&lab, false);
        let (whole, sparse) = (lab.home_name.clone(), "sparse".to_owned());
        lab.put("ws/src/lib.rs", &format!("{library}pub fn three() {{}}\n"));
        lab.home_name = sparse;
        let made = build(&lab, false);
        let left = lab.sparse();
        assert_eq!(left.contains(&"scripted"), observe == "1", "{left:?}");
        lab.home_name = whole;
        assert!(
            made == build(&lab, true),
            "observed: {observe}, still sparse: {left:?}"
        );
    }
}
