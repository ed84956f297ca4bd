//! Runs of build scripts that are used again, and those that are not: a project whose script reads one
//! kind of thing, which is changed and changed back. The modules `scripts_*` hold more of the rules.

use std::path::Path;

use serde_json::Value;

use crate::keys::{Lab, Run, package};
use crate::project::write_program;

/// A project whose `main` prints what its build script generated.
pub(crate) fn lab(script: &str) -> Lab {
    lab_with(script, &[])
}

/// As [`lab`], with more files.
pub(crate) fn lab_with(script: &str, files: &[(&str, &str)]) -> Lab {
    let manifest = package("app", "links = \"app\"\n[workspace]\n");
    let script = format!("{PRELUDE}\n{script}");
    let mut all = vec![
        ("Cargo.toml", manifest.as_str()),
        ("build.rs", &script),
        (
            "src/main.rs",
            "fn main() { println!(\"{}\", include_str!(concat!(env!(\"OUT_DIR\"), \"/made\"))); }",
        ),
    ];
    all.extend_from_slice(files);
    Lab::new(&all)
}

/// What scripts of these tests have at hand.
pub(crate) const PRELUDE: &str = r#"
#![allow(unused)]
use std::{env, fs, path::{Path, PathBuf}, process::Command};
fn out() -> PathBuf { PathBuf::from(env::var_os("OUT_DIR").unwrap()) }
fn make(text: impl AsRef<[u8]>) {
    println!("cargo:rerun-if-changed=build.rs");
    fs::write(out().join("made"), text).unwrap();
}
"#;

/// What one run did with build scripts.
pub(crate) fn steps(run: &Run) -> Vec<&Value> {
    let of_steps = |event: &&Value| event["event"] == "step" && event["kind"] == "build-script";
    run.events.iter().filter(of_steps).collect()
}

/// The run of the package's script.
pub(crate) fn step<'a>(run: &'a Run, package: &str) -> &'a Value {
    let found = steps(run)
        .into_iter()
        .find(|step| step["package"] == package);
    found.unwrap_or_else(|| panic!("no script of `{package}` ran: {:#?}", run.events))
}

/// All scripts were replayed, some at all.
pub(crate) fn replayed(run: &Run) {
    let steps = steps(run);
    assert!(!steps.is_empty(), "{}", run.done.stderr);
    for step in steps {
        assert_eq!(step["fate"], "hit", "{step:#}");
    }
}

/// The script ran because of a change, which is told in these words.
pub(crate) fn ran_because(run: &Run, kind: &str, name: &str) {
    let step = step(run, "app");
    assert_eq!(step["fate"], "miss", "{step:#}");
    let changes = step["miss"]["changes"].as_array();
    let is_it = |change: &Value| {
        change["kind"] == kind
            && change["name"]
                .as_str()
                .is_some_and(|text| text.ends_with(name))
    };
    let named = changes.is_some_and(|changes| changes.iter().any(is_it));
    assert!(named, "no change of {kind} `{name}`: {step:#}");
}

/// The script ran and was not stored.
pub(crate) fn refused(run: &Run, reason: &str) {
    let step = step(run, "app");
    assert_eq!(step["fate"], "refused", "{step:#}");
    assert_eq!(step["refused"]["reason"], reason, "{step:#}");
}

/// One rule: after a change the script runs for this reason and makes what it should; with the change
/// taken back it is replayed, and the program is what it was.
pub(crate) fn check(
    lab: &mut Lab,
    (kind, name): (&str, &str),
    change: impl Fn(&mut Lab),
    back: impl Fn(&mut Lab),
) {
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
    let before = lab.app();
    change(lab);
    ran_because(&lab.anew(&["build"]), kind, name);
    let after = lab.app();
    assert_ne!(after, before, "the change makes no difference");
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), after);
    back(lab);
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), before, "the change was taken back");
}

const READS_FILE: &str =
    r#"fn main() { make(fs::read("data/text").unwrap_or(b"nothing".to_vec())) }"#;

#[test]
fn an_undeclared_file_is_an_input() {
    check(
        &mut lab_with(READS_FILE, &[("data/text", "one")]),
        ("read", "data/text"),
        |lab| lab.put("data/text", "two"),
        |lab| lab.put("data/text", "one"),
    );
}

#[test]
fn a_file_that_appears_is_an_input() {
    check(
        &mut lab_with(READS_FILE, &[]),
        ("looked", "data/text"),
        |lab| lab.put("data/text", "two"),
        |lab| std::fs::remove_dir_all(lab.path("data")).unwrap(),
    );
}

#[test]
fn a_directory_that_is_listed_is_an_input() {
    let script = r#"fn main() {
        let mut names: Vec<_> = fs::read_dir("data").unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        make(format!("{names:?}"));
    }"#;
    check(
        &mut lab_with(script, &[("data/one", "")]),
        ("listing", "data"),
        |lab| lab.put("data/two", ""),
        |lab| std::fs::remove_file(lab.path("data/two")).unwrap(),
    );
}

#[test]
fn a_link_that_leads_elsewhere_is_an_input() {
    let script = r#"fn main() { make(format!("{:?}", fs::read_link("current").unwrap())) }"#;
    let link = |lab: &mut Lab, to: &str| {
        let _ = std::fs::remove_file(lab.path("current"));
        std::os::unix::fs::symlink(to, lab.path("current")).unwrap();
    };
    let mut lab = lab_with(script, &[("one", "same"), ("two", "same")]);
    link(&mut lab, "one");
    check(
        &mut lab,
        ("link", "current"),
        |lab| link(lab, "two"),
        |lab| link(lab, "one"),
    );
}

#[test]
fn a_file_outside_of_the_project_is_an_input() {
    let script = r#"fn main() { make(fs::read(env::var("HEADER").unwrap()).unwrap()) }"#;
    let mut lab = lab(script);
    let header = lab.outside("include/zlib.h");
    std::fs::create_dir_all(header.parent().unwrap()).unwrap();
    std::fs::write(&header, "1").unwrap();
    lab.set("HEADER", &header);
    let put = |text: &'static str| {
        let header = header.clone();
        move |_: &mut Lab| std::fs::write(&header, text).unwrap()
    };
    check(&mut lab, ("read", "include/zlib.h"), put("2"), put("1"));
}

#[test]
fn a_childs_read_is_an_input() {
    let script = r#"fn main() {
        let output = Command::new("cat").arg("data").output().unwrap();
        assert!(output.status.success());
        make(output.stdout);
    }"#;
    check(
        &mut lab_with(script, &[("data", "one")]),
        ("read", "data"),
        |lab| lab.put("data", "two"),
        |lab| lab.put("data", "one"),
    );
}

#[test]
fn a_variable_that_is_read_is_an_input() {
    let script = r#"fn main() { make(env::var("GREETING").unwrap_or("none".into())) }"#;
    let mut lab = lab(script);
    check(
        &mut lab,
        ("env", "GREETING"),
        |lab| lab.set("GREETING", "hello-and-never-seen"),
        |lab| lab.unset("GREETING"),
    );
    let seen = lab.store_files().into_iter().find(|(path, bytes)| {
        // What the script made of it is its own affair.
        !path.to_string_lossy().contains("objects")
            && bytes
                .windows(20)
                .any(|piece| piece == b"hello-and-never-seen")
    });
    assert_eq!(
        seen.map(|(path, _)| path),
        None,
        "a value is kept as a digest alone"
    );
}

/// What is left out of all variables counts where the script speaks of it and its value was made use of, however short
/// that is.
#[test]
fn a_short_value_that_is_picked_out_of_all_is_an_input() {
    let script = r#"fn main() {
        let branch = env::vars().filter(|(name, _)| name.starts_with("GITHUB_REF_N"));
        make(branch.map(|(_, value)| value).collect::<String>())
    }"#;
    let mut lab = lab(script);
    lab.set("GITHUB_REF_NAME", "main");
    check(
        &mut lab,
        ("env", "GITHUB_REF_NAME"),
        |lab| lab.set("GITHUB_REF_NAME", "next"),
        |lab| lab.set("GITHUB_REF_NAME", "main"),
    );
}

#[test]
fn a_short_value_that_is_there_by_chance_is_none() {
    let script = r#"fn main() { make(format!("main {}", env::vars().count().min(1))) }"#;
    let mut lab = lab(script);
    lab.set("GITHUB_REF_NAME", "main");
    lab.run(&["build"]);
    lab.set("GITHUB_REF_NAME", "123/merge");
    replayed(&lab.anew(&["build"]));
}

/// git has the list of all to hand it on, and asks for its own by name.
#[test]
fn who_starts_git_reads_what_git_asks_for() {
    let script = r#"fn main() {
        make(Command::new("git").args(["var", "GIT_EDITOR"]).output().unwrap().stdout)
    }"#;
    let mut lab = lab(script);
    lab.set("GIT_EDITOR", "ed");
    lab.anew(&["build"]);
    lab.set("GREETING", "hello");
    replayed(&lab.anew(&["build"]));
    lab.set("GIT_EDITOR", "vi");
    ran_because(&lab.anew(&["build"]), "env", "GIT_EDITOR");
    assert_eq!(lab.app(), "vi\n\n");
}

/// A project whose script looks for variables in a copy of all, which it takes as the `cc` crate does.
fn copying(script: &str) -> Lab {
    const CC: &str = "pub mod build_env {
            pub struct EnvSnapshot(pub Vec<(String, String)>);
            impl EnvSnapshot {
                #[inline(never)]
                pub fn capture() -> Self {
                    let text = |text: std::ffi::OsString| text.into_string().unwrap();
                    Self(std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
                }
                pub fn get(&self, name: &str) -> String {
                    let found = self.0.iter().find(|(other, _)| other == name);
                    found.map(|(_, value)| value.clone()).unwrap_or_default()
                }
            }
        }";
    let script =
        format!("fn main() {{ let copy = cc::build_env::EnvSnapshot::capture(); {script} }}");
    let manifest = package(
        "app",
        "links = \"app\"\n[build-dependencies]\ncc = { path = \"cc\" }\n[workspace]\n",
    );
    lab_with(
        &script,
        &[
            ("Cargo.toml", &manifest),
            ("cc/Cargo.toml", &package("cc", "")),
            ("cc/src/lib.rs", CC),
        ],
    )
}

#[test]
fn a_copy_of_all_variables_reads_those_that_its_program_speaks_of() {
    let mut lab = copying(
        "let name = [\"GREETING\", \"IN\", \"PARTS\"]; make(copy.get(name[0]) + &copy.get(&name[1..].join(\"_\")))",
    );
    check(
        &mut lab,
        ("env", "GREETING"),
        |lab| lab.set("GREETING", "hello"),
        |lab| lab.unset("GREETING"),
    );
    // Of a name that is put together its first part stands in the program.
    check(
        &mut lab,
        ("env", "IN_PARTS"),
        |lab| lab.set("IN_PARTS", "hello"),
        |lab| lab.unset("IN_PARTS"),
    );
    lab.set("DATABASE_URL", "postgres://nobody-asks");
    replayed(&lab.anew(&["build"]));
}

/// Who writes the copy as it is reads every variable, also one that is set later.
#[test]
fn a_copy_of_all_variables_that_is_written_reads_them_all() {
    let mut lab =
        copying("make(copy.0.into_iter().map(|(_, value)| value + \" \").collect::<String>())");
    lab.run(&["build"]);
    lab.set("QUARTER", "another");
    ran_because(&lab.anew(&["build"]), "env", "QUARTER");
    assert!(lab.app().contains("another"), "{}", lab.app());
}

#[test]
fn a_program_on_the_path_that_is_another_is_an_input() {
    let script = r#"fn main() { make(Command::new("genny").output().unwrap().stdout) }"#;
    let mut lab = lab(script);
    let dirs = ["first", "second"].map(|name| lab.outside(name));
    let put = |dir: &Path, text: &str| {
        write_program(&dir.join("genny"), format!("#!/bin/sh\necho {text}\n"));
    };
    put(&dirs[1], "one");
    std::fs::create_dir_all(&dirs[0]).unwrap();
    let path = std::env::var("PATH").unwrap();
    lab.set(
        "PATH",
        format!("{}:{}:{path}", dirs[0].display(), dirs[1].display()),
    );
    check(
        &mut lab,
        ("program", "genny"),
        |_| put(&dirs[1], "two"),
        |_| put(&dirs[1], "one"),
    );
    // One that is found earlier.
    check(
        &mut lab,
        ("program", "genny"),
        |_| put(&dirs[0], "three"),
        |_| std::fs::remove_file(dirs[0].join("genny")).unwrap(),
    );
}

#[test]
fn another_script_is_another_program() {
    let mut lab = lab(r#"fn main() { make("one") }"#);
    check(
        &mut lab,
        ("program", "program"),
        |lab| lab.edit("build.rs", "\"one\"", "\"two\""),
        |lab| lab.edit("build.rs", "\"two\"", "\"one\""),
    );
}

/// What the script prints reaches cargo, and the next build finds nothing to do.
#[test]
fn a_replayed_run_is_as_the_run_for_cargo() {
    let script = r#"fn main() {
        println!("cargo:rustc-cfg=made");
        println!("cargo:rustc-check-cfg=cfg(made)");
        println!("cargo:rustc-env=WHERE={}", out().display());
        println!("cargo:warning=mind the gap");
        println!("cargo:rerun-if-env-changed=GREETING");
        println!("cargo:rerun-if-changed=data");
        eprintln!("said aside");
        fs::create_dir_all(out().join("empty/er")).unwrap();
        std::os::unix::fs::symlink("made", out().join("link")).unwrap();
        std::os::unix::fs::symlink(out().join("made"), out().join("absolute")).unwrap();
        fs::write(out().join("where"), out().to_str().unwrap()).unwrap();
        fs::write(out().join("tool"), "a tool").unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(out().join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        make("text");
    }"#;
    let mut lab = lab_with(script, &[("data/x", "")]);
    lab.put(
        "src/main.rs",
        "#[cfg(made)] fn main() { println!(\"{}\", include_str!(concat!(env!(\"OUT_DIR\"), \"/where\"))); assert_eq!(env!(\"WHERE\"), env!(\"OUT_DIR\")); }",
    );
    let first = lab.anew(&["build"]);
    for moved in [false, true] {
        if moved {
            lab.move_to(lab.outside("elsewhere/deep"));
        }
        let run = lab.anew(&["build"]);
        replayed(&run);
        assert_eq!(warnings(&run), warnings(&first));
        let real = lab.app();
        let out = Path::new(real.trim());
        assert!(out.starts_with(&lab.checkout), "{real}");
        assert!(out.join("empty/er").is_dir());
        assert_eq!(
            std::fs::read_link(out.join("link")).unwrap(),
            Path::new("made")
        );
        assert_eq!(
            std::fs::read_link(out.join("absolute")).unwrap(),
            out.join("made")
        );
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(out.join("tool")).unwrap());
        assert_eq!(mode & 0o111, 0o111);
        let said = std::fs::read_to_string(out.parent().unwrap().join("stderr"));
        assert!(said.unwrap_or("said aside".into()).contains("said aside"));
        let second = lab.run(&["build"]);
        assert!(
            steps(&second).is_empty() && second.units.is_empty(),
            "{:#?}",
            second.events
        );
        let plain = lab.command("cargo", &["build"]).output().unwrap();
        assert!(plain.status.success());
        let text = String::from_utf8_lossy(&plain.stderr).into_owned();
        assert!(!text.contains("Compiling"), "{text}");
    }
}

fn warnings(run: &Run) -> Vec<&str> {
    let lines = run.done.stderr.lines();
    lines.filter(|line| line.contains("mind the gap")).collect()
}

/// Another user, on another machine, as far as one machine can tell.
#[test]
fn another_home_target_and_user_hit() {
    let script = r#"fn main() {
        let home = PathBuf::from(env::var_os("HOME").unwrap());
        let config = fs::read_to_string(home.join(".config/tool")).unwrap_or("none".into());
        make(config);
    }"#;
    let mut lab = lab(script);
    let homes = ["homes/one", "homes/two"].map(|name| lab.outside(name));
    for home in &homes {
        std::fs::create_dir_all(home).unwrap();
    }
    // rustup looks there.
    let real = std::env::home_dir().unwrap();
    let or = |name: &str, below: &str| std::env::var_os(name).unwrap_or(real.join(below).into());
    lab.set("RUSTUP_HOME", or("RUSTUP_HOME", ".rustup"));
    lab.set("CARGO_HOME", or("CARGO_HOME", ".cargo"));
    lab.set("HOME", &homes[0]);
    lab.set("USER", "someone");
    lab.anew(&["build"]);
    lab.set("HOME", &homes[1]);
    lab.set("USER", "another");
    replayed(&lab.anew(&["build"]));
    lab.set("CARGO_TARGET_DIR", lab.outside("targets/other"));
    replayed(&lab.run(&["build"]));
    lab.unset("CARGO_TARGET_DIR");
    lab.move_to(lab.outside("checkouts/second"));
    replayed(&lab.anew(&["build"]));
    // What is there for one of them is an input.
    std::fs::create_dir_all(homes[1].join(".config")).unwrap();
    std::fs::write(homes[1].join(".config/tool"), "mine").unwrap();
    ran_because(&lab.anew(&["build"]), "looked", "{home}/.config/tool");
    assert_eq!(lab.app(), "mine\n");
}
