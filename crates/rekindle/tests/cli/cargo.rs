//! cargo through `rekindle`: its output, exit code and signals are its own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::project::{Done, Project};

const HELLO: &str = "fn main() { println!(\"hello\"); }";

#[test]
fn a_build_is_counted_and_a_second_one_is_fresh() {
    let project = Project::new(HELLO);
    let done = project.rekindle(&["build"]).ok();
    assert_eq!(done.stdout, "");
    assert!(
        done.stderr.contains("rekindle: 0 fresh, "),
        "{}",
        done.stderr
    );
    let ours = |done: &Done| {
        done.stderr
            .lines()
            .filter(|l| l.starts_with("rekindle:"))
            .count()
    };
    assert!(ours(&done) <= 3, "{}", done.stderr);
    let done = project.rekindle(&["build"]).ok();
    let expected = "rekindle: 1 fresh, 0 hits, 0 misses, 0 uncacheable";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
    assert_eq!(ours(&project.rekindle(&["build", "-q"])), 0);
    assert_eq!(
        ours(&project.rekindle(&["metadata", "--format-version=1"])),
        0
    );
}

#[test]
fn a_program_keeps_its_output_and_its_exit_code() {
    let project = Project::new("fn main() { println!(\"out\"); std::process::exit(7); }");
    let done = project.rekindle(&["run", "-q"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(7), "out\n"));
}

#[test]
fn a_compile_error_is_cargos() {
    let project = Project::new("fn main() { nonsense }");
    let done = project.rekindle(&["check"]);
    assert_eq!(done.code, Some(101));
    assert!(
        done.stderr.contains("cannot find value `nonsense`"),
        "{}",
        done.stderr
    );
}

#[test]
fn messages_that_the_user_asks_for_pass_and_are_counted() {
    let project = Project::new(HELLO);
    project.rekindle(&["build"]).ok();
    let done = project
        .rekindle(&["build", "--message-format", "json"])
        .ok();
    assert!(
        done.stdout.starts_with("{\"reason\":\"compiler-artifact\""),
        "{}",
        done.stdout
    );
    assert_eq!(project.stats()["units"]["fresh"], 1);
}

#[test]
fn cargo_finds_it_as_a_subcommand() {
    let project = Project::new(HELLO);
    let mut command = project.command(
        env!("CARGO_BIN_EXE_cargo-rekindle"),
        &["rekindle", "build", "--message-format=json"],
    );
    let done = Done::from(command.output().unwrap()).ok();
    assert!(done.stdout.contains("build-finished"), "{}", done.stdout);
}

#[test]
fn a_toolchain_and_an_unknown_command_go_to_cargo() {
    let project = Project::new(HELLO);
    let shown = project.rekindle(&["cargo", "--version"]).ok();
    assert!(shown.stdout.starts_with("cargo "), "{}", shown.stdout);
    let done = project.rekindle(&["+no-such-toolchain", "build"]);
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("no-such-toolchain"), "{}", done.stderr);
    let done = project.rekindle(&["no-such-command"]);
    assert_eq!(done.code, Some(101));
}

#[test]
fn a_store_that_cannot_be_written_costs_a_warning() {
    let project = Project::new(HELLO);
    project.put("store", "a file where a directory belongs");
    let done = project.rekindle(&["build"]).ok();
    assert!(
        done.stderr.contains("rekindle: warning: the store in"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_second_cache_is_named() {
    let project = Project::new(HELLO);
    let cache = project.put_program("bin/sccache", "#!/bin/sh\nexec \"$@\"\n");
    let text = format!("build.rustc-wrapper = '{}'", cache.display());
    project.put("ws/.cargo/config.toml", &text);
    let done = project.rekindle(&["build"]).ok();
    let expected = "`sccache` is set as compiler wrapper by `build.rustc-wrapper` in";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
}

/// What a terminal does at Ctrl-C: the whole group gets the signal, and cargo decides.
#[test]
fn an_interrupt_ends_with_cargos_end() {
    let main = "fn main() { println!(\"up\"); loop { std::thread::park() } }";
    let project = Project::new(main);
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["run"]);
    command
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(project.stats()["exit_code"], 130);
}
