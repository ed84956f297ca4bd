//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Projects in a temporary directory.
pub(crate) struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The path of `name`, without links: cargo and git give such paths.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

/// `program` without what the tests themselves run under.
pub(crate) fn command(program: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO", "RUST", "REKINDLE", "GIT_"];
        let kept = ["CARGO_HOME", "RUSTUP_HOME"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) && !kept.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.args(arguments).current_dir(dir);
    command
}

/// What it printed to standard error; a failure fails the test.
pub(crate) fn run(program: &str, dir: &Path, arguments: &[&str]) -> String {
    let output = command(program, dir, arguments).output().unwrap();
    let Output { status, stderr, .. } = output;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{program} {arguments:?}: {stderr}");
    stderr
}

/// Makes a repository of all that is in `dir`.
pub(crate) fn commit(dir: &Path) {
    run("git", dir, &["init", "-q", "--template="]);
    run("git", dir, &["add", "-A"]);
    let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
    let mut arguments = identity.to_vec();
    arguments.extend(["-c", "commit.gpgsign=false", "commit", "-q", "-m", "all"]);
    run("git", dir, &arguments);
}

/// Says loudly that a test cannot run here. The driver of the tests counts these lines.
pub(crate) fn skip(test: &str, why: &str) {
    use std::io::Write;
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let list = fs::File::options().create(true).append(true).open(list);
        list.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
