//! `cargo xtask test`: every test of the workspace, and by name every test that could not run here.
//!
//! A test that lacks what it needs prints `SKIPPED: <test>: <why>` on stderr and appends the same
//! line to the file that [`SKIPS_VARIABLE`] names; runners swallow the output of tests that pass, so
//! the file is what is counted; it also takes notes of how much a test did. The last line of all is `N passed, N failed, N skipped`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::args::Args;
use crate::checkers;
use crate::counts::{Counts, Heard, Skips, closing_line, notes};
use crate::process::{self, cargo, command, watch, works};
use crate::servers;

/// Where tests append the skips that they report.
const SKIPS_VARIABLE: &str = "REKINDLE_TEST_SKIPS";

/// What tests use of a toolchain beyond its minimal profile. Tests that miss one skip themselves.
const COMPONENTS: &[&str] = &["clippy"];
const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-musl",
    "wasm32-unknown-unknown",
    "thumbv7em-none-eabihf",
];

/// What a run from clean writes below the target directory and where temporary files go, at most, in bytes.
const TARGET_ROOM: u64 = 8 << 30;
const TEMPORARY_ROOM: u64 = 2 << 30;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = Args::new(arguments);
    let filters = arguments.behind_dashes();
    let config = arguments.value("--config")?;
    arguments.finish()?;

    let target = (process::target_dir()?, TARGET_ROOM);
    for (dir, wanted) in [target, (std::env::temp_dir(), TEMPORARY_ROOM)] {
        if let Some(warning) = too_little_room(&dir, wanted) {
            eprintln!("note: {warning}");
        }
    }
    fetch_components();
    let checkers = checkers::fetch();
    if filters.is_empty() {
        servers::fetch();
    }
    let skips_file = fresh_skips_file()?;
    let mut build = in_clean_environment(cargo(), &skips_file);
    // Integration tests of several crates drive the programs that are shipped.
    build.args(["build", "--package", "rekindle", "--bins", "--all-features"]);
    build.args(process::of_config(config.as_deref()));
    process::run(&mut build).map_err(|failure| format!("the programs under test: {failure}"))?;

    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for mut step in steps(&filters, config.as_deref()) {
        let mut step = in_clean_environment(std::mem::replace(&mut step, cargo()), &skips_file);
        if let Some(checkers) = &checkers {
            step.env(checkers::VARIABLE, checkers);
            step.envs(checkers::path(checkers));
        }
        eprintln!("== {}", process::shown(&step));
        let mut heard = Heard::default();
        if !watch(&mut step, |line| heard.read_line(line))? {
            failures.push(process::shown(&step));
        }
        counts += heard.counts();
    }
    let told = fs::read_to_string(&skips_file).unwrap_or_default();
    for line in notes(&told) {
        eprintln!("{line}");
    }
    let skips = Skips::parse(&told);
    for line in skips.lines() {
        eprintln!("{line}");
    }
    println!("{}", closing_line(counts, &skips));
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{} failed; its output is above",
            failures.join(" and ")
        ))
    }
}

/// The commands that together run every test.
fn steps(filters: &[String], config: Option<&str>) -> Vec<Command> {
    let mut unit = cargo();
    let mut doc = cargo();
    if works("cargo", &["nextest", "--version"]) {
        unit.args([
            "nextest",
            "run",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
        ]);
        unit.args(["--no-tests", "pass", "--status-level", "fail"]);
        unit.args(["--show-progress", "none"]);
    } else {
        unit.args(["test", "--workspace", "--all-features", "--no-fail-fast"]);
        unit.args(["--lib", "--bins", "--tests"]);
    }
    doc.args([
        "test",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        "--doc",
    ]);
    for step in [&mut unit, &mut doc] {
        step.args(process::of_config(config));
        if !filters.is_empty() {
            step.arg("--").args(filters);
        }
    }
    vec![unit, doc]
}

/// Settings of the person who runs the tests must not reach them.
fn in_clean_environment(mut command: Command, skips_file: &Path) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("REKINDLE_") || text.starts_with("SCCACHE_") {
            command.env_remove(&name);
        }
    }
    command.env(SKIPS_VARIABLE, skips_file);
    command.env(servers::DIRECTORY_VARIABLE, servers::directory());
    command
}

/// Tests that find the disk full fail in many ways, of which few name it.
fn too_little_room(dir: &Path, wanted: u64) -> Option<String> {
    // The target directory may be yet to be made.
    let existing = dir.ancestors().find(|dir| dir.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    (free < wanted).then(|| {
        format!(
            "{:.1} GiB are free where `{}` is, and a run from clean writes up to {:.0} GiB; \
             if tests fail, make room and try again",
            gib(free),
            dir.display(),
            gib(wanted)
        )
    })
}

fn fresh_skips_file() -> Result<PathBuf, Failure> {
    let dir = process::target_dir()?.join("xtask");
    let file = dir.join(format!("skips-{}.txt", std::process::id()));
    fs::create_dir_all(&dir)
        .and_then(|()| fs::write(&file, ""))
        .map_err(|error| {
            format!(
                "cannot write `{}`: {error}; is the disk full?",
                file.display()
            )
        })?;
    Ok(file)
}

/// Asks rustup for what is missing. Without rustup or without a network the tests that need it are
/// skipped, by name.
fn fetch_components() {
    if !works("rustup", &["--version"]) {
        eprintln!("note: no rustup here; tests that need {COMPONENTS:?} or {TARGETS:?} may skip");
        return;
    }
    fetch("component", COMPONENTS);
    fetch("target", TARGETS);
}

fn fetch(kind: &str, names: &[&str]) {
    let installed =
        process::capture(command("rustup").args([kind, "list", "--installed"])).unwrap_or_default();
    for name in names {
        // Components are listed with their target behind them.
        if installed.lines().any(|line| line.starts_with(name)) {
            continue;
        }
        if let Err(failure) = process::run(command("rustup").args([kind, "add", name])) {
            eprintln!("note: {failure}; tests that need the {kind} `{name}` will skip");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_reach_every_step() {
        for step in steps(&["digest".to_owned()], Some("x=1")) {
            assert!(process::shown(&step).ends_with(" --config x=1 -- digest`"));
        }
    }

    #[test]
    fn a_disk_with_too_little_room_is_named() {
        let missing = std::env::temp_dir().join("not/there");
        assert_eq!(too_little_room(&missing, 0), None);
        let told = too_little_room(&missing, u64::MAX).unwrap();
        assert!(told.contains("not/there"), "{told}");
    }

    #[test]
    fn the_skips_file_is_handed_to_tests() {
        let file = Path::new("skips.txt");
        let command = in_clean_environment(command("true"), file);
        let given = command.get_envs().find(|(name, _)| *name == SKIPS_VARIABLE);
        assert_eq!(given.and_then(|(_, value)| value), Some(file.as_os_str()));
    }
}
