//! Starts of compilers that go to another program.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rekindle_observe::Redirect;

use crate::support::{ENVIRON, Lab, executable};

/// A script that writes down its arguments, and runs what it was given instead of.
fn redirector(lab: &Lab) -> PathBuf {
    let path = lab.beside("redirector");
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nshift\nexec \"$@\"\n",
        lab.beside("log").display()
    );
    executable(&path, &text);
    path
}

fn check(words: &[&str], expected: &[&str]) {
    let mut lab = Lab::new();
    fs::create_dir(lab.path("bin")).expect("a directory");
    for name in ["cc", "arm-gcc", "clang-19", "other"] {
        executable(&lab.path("bin").join(name), "#!/bin/sh\nexit 3\n");
    }
    lab.options.redirect = Some(Redirect {
        redirector: redirector(&lab),
        first: "--first".into(),
        names: ["cc", "*-gcc", "clang-*"].map(Into::into).to_vec(),
    });
    let mut command = Command::new(ENVIRON);
    command.args(words.iter().map(|word| lab.word(word)));
    command.env(
        "PATH",
        format!("{}:/usr/bin:/bin", lab.path("bin").display()),
    );
    let observed = lab.observed(&mut command);
    assert_eq!(observed.status.code(), Some(3), "{words:?}");
    let log = fs::read_to_string(lab.beside("log")).unwrap_or_default();
    let bin = format!("{}/", lab.path("bin").display());
    let lines: Vec<_> = log.lines().map(|line| line.replace(&bin, "BIN/")).collect();
    assert_eq!(lines, expected, "{words:?}");
}

#[test]
fn compilers_go_to_the_redirector() {
    check(&["run", "cc", "-c", "a.c"], &["--first BIN/cc -c a.c"]);
    check(&["run", "./bin/arm-gcc"], &["--first BIN/arm-gcc"]);
    check(&["run", "clang-19", ""], &["--first BIN/clang-19 "]);
    check(
        &["run", "/bin/sh", "-c", "cc x; exit $?"],
        &["--first BIN/cc x"],
    );
}

#[test]
fn others_do_not() {
    check(&["run", "other"], &[]);
}

#[test]
fn a_changed_path_is_the_one_that_counts() {
    let lab = Lab::new();
    drop(lab);
    check(&["runwith", "./bin", "cc"], &["--first BIN/cc"]);
}
