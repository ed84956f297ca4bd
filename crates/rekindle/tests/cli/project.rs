//! A tiny project with a store of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A project in a temporary directory.
pub(crate) struct Project {
    dir: tempfile::TempDir,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Writes a file that may be started, with the directories above it.
pub(crate) fn write_program(file: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, bytes).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(file, everybody).unwrap();
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Project {
    pub(crate) fn new(main: &str) -> Self {
        Self::new_in(&std::env::temp_dir(), main)
    }

    /// As [`Project::new`], on a file system of choice.
    pub(crate) fn new_in(parent: &Path, main: &str) -> Self {
        let dir = tempfile::tempdir_in(parent).unwrap();
        let project = Self { dir };
        let manifest =
            "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
        project.put("ws/Cargo.toml", manifest);
        project.put("ws/src/main.rs", main);
        project
    }

    /// Leaves the directory behind for a person to look into.
    pub(crate) fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Writes a program, such as a script; where it is.
    pub(crate) fn put_program(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path(name);
        write_program(&file, text);
        file
    }

    /// `program` with its surroundings swept of what the tests themselves run under.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign = [
                "REKINDLE_",
                "SCCACHE_",
                "CARGO_",
                "RUSTC",
                "XDG_",
                "GITHUB_",
                "GITLAB_",
                "RUNNER_",
                "MAKE",
            ];
            let kept = ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
            if matches!(&*text, "CARGO" | "CI")
                || (foreign.iter().any(|prefix| text.starts_with(prefix))
                    && !kept.contains(&&*text))
            {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.path("ws"))
            .env("REKINDLE_DIR", self.path("store"))
            // The unit cache is what most tests are about: a snapshot would be before it.
            .env("REKINDLE_SNAPSHOT", "0")
            // A person's home of cargo's has settings, and packages of whatever else they build.
            .env("CARGO_HOME", self.path("cargo-home"))
            .env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    /// Runs `rekindle`.
    pub(crate) fn rekindle(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        command.output().unwrap().into()
    }

    /// The last run, as JSON.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let done = self.rekindle(&["stats", "--format", "json"]).ok();
        serde_json::from_str(&done.stdout).unwrap()
    }

    pub(crate) fn runs(&self) -> usize {
        let runs = std::fs::read_dir(self.path("store/v1/runs"));
        runs.map_or(0, Iterator::count)
    }
}

/// The directory of the programs under test.
pub(crate) fn program_dir() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rekindle")).parent().unwrap()
}

/// Whether the toolchain has clippy.
pub(crate) fn has_clippy() -> bool {
    let mut command = std::process::Command::new("cargo");
    let output = command.args(["clippy", "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Says loudly that a test, or a part of it, cannot run here. The driver of the tests counts these
/// lines.
pub(crate) fn skip(test: &str, why: &str) {
    use std::io::Write;
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let list = std::fs::File::options()
            .create(true)
            .append(true)
            .open(list);
        list.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
