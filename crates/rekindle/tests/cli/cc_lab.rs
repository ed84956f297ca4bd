//! Compilers called as an observed build script's would be: through the wrapper.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::project::{Done, program_dir};

/// A directory with sources, and a store.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    /// Where compilers run; relative to the lab.
    pub(crate) at: String,
}

/// The compilers of this machine.
pub(crate) const COMPILERS: [&str; 2] = ["gcc", "clang"];

impl Lab {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = Self {
            dir,
            at: "one/ws".into(),
        };
        std::fs::create_dir_all(lab.path("")).unwrap();
        lab
    }

    /// A path below where compilers run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let top = self.dir.path().canonicalize().unwrap();
        top.join(&self.at).join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// A copy of all sources, as a checkout of another user's would have them.
    pub(crate) fn moved(&mut self, to: &str) {
        let from = self.path("");
        self.at = to.into();
        let into = self.path("");
        std::fs::create_dir_all(into.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg("-r").arg(from).arg(into).status();
        assert!(copied.unwrap().success());
    }

    /// The words of a line through the wrapper, with `@HERE@` for where it runs.
    pub(crate) fn command(&self, line: &str) -> Command {
        let here = self.path("").display().to_string();
        let line = line.replace("@HERE@", here.trim_end_matches('/'));
        let mut command = Command::new(program_dir().join("rekindle-rustc"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = ["REKINDLE_", "CARGO", "NEXTEST", "RUST", "SOURCE_DATE"];
            if ours.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
            .arg("--rekindle-cc")
            .args(line.split_whitespace())
            .current_dir(self.path(""))
            .env("REKINDLE_DIR", self.dir.path().join("store"))
            .env("CARGO_HOME", self.dir.path().join("cargo-home"))
            .env(
                "CARGO_MANIFEST_DIR",
                self.path("").display().to_string().trim_end_matches('/'),
            )
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"));
        command
    }

    /// Runs a line: what it did, and what became of it.
    pub(crate) fn run(&self, line: &str) -> (Done, String) {
        self.run_command(&mut self.command(line))
    }

    pub(crate) fn run_command(&self, command: &mut Command) -> (Done, String) {
        let before = self.fates().len();
        // What was written in the tick of the clock in which a compile begins may be written during it.
        rekindle_fsx::time::await_next_stamp();
        let done = Done::from(command.output().unwrap());
        let fates = self.fates();
        (done, fates[before..].join(" "))
    }

    /// What became of a line that ends well.
    #[track_caller]
    pub(crate) fn fate(&self, line: &str) -> String {
        let (done, fate) = self.run(line);
        done.ok();
        fate
    }

    /// Whether a compiler takes `SOURCE_DATE_EPOCH` for the present.
    pub(crate) fn knows_epoch(&self, compiler: &str) -> bool {
        self.put("epoch.c", "__DATE__\n");
        let mut command = Command::new(compiler);
        command.args(["-E", "epoch.c"]).current_dir(self.path(""));
        let output = command.env("SOURCE_DATE_EPOCH", "1000000000").output();
        String::from_utf8_lossy(&output.unwrap().stdout).contains("Sep  9 2001")
    }

    /// What became of each step so far: `hit`, `miss`, or `refused: WHY`.
    fn fates(&self) -> Vec<String> {
        let mut fates = Vec::new();
        for log in logs(&self.dir.path().join("store")) {
            let text = std::fs::read_to_string(log).unwrap();
            for line in text.lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                if event["event"] == "step" {
                    let fate = event["fate"].as_str().unwrap();
                    let why = event["refused"]["reason"].as_str();
                    fates.push(why.map_or(fate.to_owned(), |why| format!("{fate}: {why}")));
                }
            }
        }
        fates
    }
}

fn logs(store: &Path) -> Vec<PathBuf> {
    let runs = std::fs::read_dir(store.join("v1/runs"));
    let mut logs: Vec<PathBuf> = runs
        .into_iter()
        .flatten()
        .map(|run| run.unwrap().path().join("events.jsonl"))
        .filter(|log| log.exists())
        .collect();
    logs.sort();
    logs
}
