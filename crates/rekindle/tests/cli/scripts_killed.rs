//! Killed in the middle of a build script's run: the launcher, the script itself, or cargo, at several
//! instants. The next build is right, and nothing half-written is ever replayed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::keys::Lab;
use crate::scripts::{lab_with, replayed};

/// Stops at the instant that `wait` names, after it has told its number.
const SCRIPT: &str = r#"
fn stop(instant: &str) {
    fs::write(out().join(instant), std::process::id().to_string()).unwrap();
    while fs::read_to_string("wait").is_ok_and(|text| text == instant) { std::thread::yield_now(); }
}
fn main() {
    stop("begun");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=HALF=1");
    fs::write(out().join("made"), "half").unwrap();
    stop("half");
    fs::write(out().join("made"), "well").unwrap();
    println!("cargo:rustc-env=WHOLE=1");
    stop("done");
}
"#;

/// The number of a process that has told it, once it has.
fn told(build: &Path, instant: &str) -> Option<u32> {
    let units = std::fs::read_dir(build).ok()?.map(Result::unwrap);
    let mut said = units.filter_map(|unit| {
        let text = std::fs::read_to_string(unit.path().join("out").join(instant)).ok()?;
        text.parse().ok()
    });
    said.next()
}

fn field(process: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

fn parent(process: u32) -> u32 {
    field(process, "PPid:").unwrap().parse().unwrap()
}

/// The nearest process above of this name.
fn above(process: u32, name: &str) -> u32 {
    let mut at = process;
    loop {
        at = parent(at);
        assert!(at > 1, "no `{name}` above");
        if field(at, "Name:").unwrap().starts_with(name) {
            return at;
        }
    }
}

fn kill(process: u32) {
    let status = Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Starts a build that stops at an instant, and gives the script's number.
fn stopped(lab: &Lab, instant: &str) -> (Child, u32) {
    lab.put("wait", instant);
    let mut command = lab.command(env!("CARGO_BIN_EXE_rekindle"), &["build", "-q"]);
    let mut build = command.stderr(Stdio::null()).spawn().unwrap();
    loop {
        if let Some(script) = told(&lab.path("target/debug/build"), instant) {
            return (build, script);
        }
        assert!(build.try_wait().unwrap().is_none(), "the build ended");
        std::thread::yield_now();
    }
}

fn check(victim: &str) {
    for instant in ["begun", "half", "done"] {
        let lab = lab_with(SCRIPT, &[]);
        let (mut build, script) = stopped(&lab, instant);
        kill(match victim {
            "script" => script,
            // It starts the script itself; its name is the script's.
            "launcher" => parent(script),
            name => above(script, name),
        });
        let status = build.wait().unwrap();
        assert!(!status.success(), "{victim} {instant}");
        // A script that is left behind goes on, and ends, beside the next build.
        std::fs::remove_file(lab.path("wait")).unwrap();
        for _ in 0..2 {
            lab.run(&["build"]);
            assert_eq!(lab.app(), "well\n", "{victim} {instant}");
        }
        let run = lab.anew(&["build"]);
        assert_eq!(lab.app(), "well\n", "{victim} {instant}");
        if victim != "cargo" {
            replayed(&run);
        }
        replayed(&lab.anew(&["build"]));
        assert_eq!(lab.app(), "well\n", "{victim} {instant}");
    }
}

#[test]
fn the_launcher_is_killed() {
    check("launcher");
}

#[test]
fn the_script_is_killed() {
    check("script");
}

#[test]
fn cargo_is_killed() {
    check("cargo");
}
