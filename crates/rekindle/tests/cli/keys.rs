//! What may be used again, and what may not: a project that is built, changed in one thing, and built
//! anew. The modules `keys_*` hold the rules.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) use crate::project::skip;
use crate::project::{Done, Project};

/// A project in which one thing after the other is changed.
pub(crate) struct Lab {
    project: Project,
    /// Where cargo is started.
    pub(crate) checkout: PathBuf,
    /// Variables of the next commands.
    pub(crate) vars: Vec<(OsString, OsString)>,
}

/// A run and its log.
pub(crate) struct Run {
    pub(crate) done: Done,
    pub(crate) units: Vec<Value>,
    /// The whole log.
    pub(crate) events: Vec<Value>,
}

impl Lab {
    /// A project of these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Project::new("");
        let checkout = project.path("ws");
        std::fs::remove_dir_all(&checkout).unwrap();
        let lab = Self {
            project,
            checkout,
            vars: Vec::new(),
        };
        for (name, text) in files {
            lab.put(name, text);
        }
        lab
    }

    /// The directory of the checkout.
    pub(crate) fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// A path in the checkout.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.checkout.join(name)
    }

    /// A path outside of all checkouts.
    pub(crate) fn outside(&self, name: impl AsRef<Path>) -> PathBuf {
        self.project.path("").join(name)
    }

    /// Writes a file of the checkout.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Replaces a piece of a file that is there exactly once.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {text}");
        self.put(name, &text.replace(from, to));
    }

    /// Sets a variable for the next commands.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.unset(name);
        self.vars.push((name.into(), value.as_ref().to_owned()));
    }

    /// Takes a variable from the next commands.
    pub(crate) fn unset(&mut self, name: &str) {
        self.vars.retain(|(other, _)| other != name);
    }

    /// Goes on in a copy of the checkout, without its target directory.
    pub(crate) fn move_to(&mut self, checkout: PathBuf) {
        let _ = std::fs::remove_dir_all(self.path("target"));
        copy_tree(&self.checkout, &checkout);
        self.checkout = checkout;
    }

    /// A program with the lab's surroundings, in the checkout.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.project.command(program, arguments);
        // What a developer's shell or the cargo around this test may hold, and what decides what is built.
        for name in [
            "LD_LIBRARY_PATH",
            "RUSTFLAGS",
            "SOURCE_DATE_EPOCH",
            "LIBRARY_PATH",
            "COMPILER_PATH",
        ] {
            command.env_remove(name);
        }
        command.current_dir(&self.checkout).envs(self.vars.clone());
        command
    }

    /// Runs `rekindle`, whatever comes of it.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> Run {
        self.logged(self.command(env!("CARGO_BIN_EXE_rekindle"), arguments))
    }

    /// Runs a command that starts `rekindle`, whatever comes of it.
    pub(crate) fn logged(&self, mut command: Command) -> Run {
        let runs = self.project.path("store/v1/runs");
        let before = names(&runs);
        let done: Done = command.output().unwrap().into();
        let mut events = Vec::new();
        for name in names(&runs).iter().filter(|name| !before.contains(name)) {
            events.extend(events_of(&runs.join(name).join("events.jsonl")));
        }
        Run::new(done, events)
    }

    /// Runs `rekindle`, which must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.try_run(arguments).ok()
    }

    /// Runs `rekindle` without a target directory to start from.
    pub(crate) fn anew(&self, arguments: &[&str]) -> Run {
        let _ = std::fs::remove_dir_all(self.path("target"));
        self.run(arguments)
    }

    /// What `target/debug/app` prints, on both streams.
    pub(crate) fn app(&self) -> String {
        let mut command = self.command("target/debug/app", &[]);
        let output = command.env("RUST_BACKTRACE", "0").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        // A panic's message holds the thread's number.
        match (text.find("thread 'main' ("), text.find(") panicked")) {
            (Some(from), Some(to)) => format!("{}{}", &text[..from], &text[to + 2..]),
            _ => text,
        }
    }

    /// One rule: with a change, `unit` misses for `reason` (kind and part of the name); with the
    /// change taken back, everything is a hit, and the program is what it was. The project has been
    /// built before. Returns what the program printed with the change, and its build.
    pub(crate) fn check(
        &mut self,
        unit: &str,
        reason: (&str, &str),
        change: impl Fn(&mut Self),
        back: impl Fn(&mut Self),
    ) -> (String, Run) {
        let before = self.app();
        change(self);
        let run = self.anew(&["build"]);
        run.missed_for(unit, reason);
        let after = self.app();
        self.anew(&["build"]).only_hits();
        assert_eq!(self.app(), after);
        back(self);
        self.anew(&["build"]).only_hits();
        assert_eq!(self.app(), before, "the change was taken back");
        (after, run)
    }

    /// Calls the wrapper as cargo does, with `rustc` and these arguments.
    pub(crate) fn wrapper(&self, arguments: &[&str]) -> Run {
        let words = [&["rustc"], arguments].concat();
        let log = self.outside("direct/events.jsonl");
        let _ = std::fs::remove_file(&log);
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_rekindle-rustc"), &words);
        // What a test wrote a moment ago is no change during the compile.
        rekindle_fsx::time::await_next_stamp();
        let runs = self.project.path("store/v1/runs");
        let before = names(&runs);
        let known: Vec<usize> = before
            .iter()
            .map(|name| events_of(&runs.join(name).join("events.jsonl")).len())
            .collect();
        let done: Done = command.output().unwrap().into();
        let mut events = Vec::new();
        for name in names(&runs) {
            let seen = before
                .iter()
                .position(|other| *other == name)
                .map_or(0, |at| known[at]);
            events.extend(
                events_of(&runs.join(name).join("events.jsonl"))
                    .into_iter()
                    .skip(seen),
            );
        }
        Run::new(done, events)
    }

    /// All bytes below the store, with the names of their files.
    pub(crate) fn store_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut pending = vec![self.outside("store")];
        while let Some(dir) = pending.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    pending.push(entry.path());
                } else {
                    files.push((entry.path(), std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        files
    }
}

impl Run {
    /// The run, which must have succeeded.
    pub(crate) fn ok(self) -> Self {
        Self {
            done: self.done.ok(),
            ..self
        }
    }

    fn new(done: Done, events: Vec<Value>) -> Self {
        let of_units = |event: &&Value| event["event"] == "unit";
        Self {
            done,
            units: events.iter().filter(of_units).cloned().collect(),
            events,
        }
    }

    /// The event of a unit, given as `crate` or `crate/kind`.
    pub(crate) fn unit(&self, unit: &str) -> &Value {
        let (name, kind) = unit.split_once('/').unwrap_or((unit, ""));
        let mut found = self.units.iter().filter(|event| {
            event["crate_name"] == name && (kind.is_empty() || event["kind"] == kind)
        });
        let event = found.next();
        event.unwrap_or_else(|| panic!("no unit `{unit}`: {:#?}", self.units))
    }

    /// The fate of a unit.
    pub(crate) fn fate(&self, unit: &str) -> &str {
        self.unit(unit)["fate"].as_str().unwrap()
    }

    /// Every unit came from the store, and nothing was started to find that out.
    pub(crate) fn only_hits(&self) -> &Self {
        assert!(!self.units.is_empty(), "{}", self.done.stderr);
        for unit in &self.units {
            assert_eq!(unit["fate"], "hit", "{unit:#}");
            assert_eq!(unit["rustc"], 0, "{unit:#}");
            assert_eq!(unit["linkers"], 0, "{unit:#}");
        }
        self
    }

    /// A unit missed, and among its changes is one of this kind with this in its name.
    pub(crate) fn missed_for(&self, unit: &str, (kind, name): (&str, &str)) -> &Self {
        let event = self.unit(unit);
        assert_eq!(event["fate"], "miss", "{event:#}");
        let changes = event["miss"]["changes"].as_array();
        let named = changes.is_some_and(|changes| {
            changes.iter().any(|change| {
                change["kind"] == kind
                    && change["name"]
                        .as_str()
                        .is_some_and(|text| text.contains(name))
            })
        });
        assert!(named, "no change of {kind} `{name}`: {event:#}");
        self
    }

    /// A unit was compiled and not stored, for this reason.
    pub(crate) fn uncacheable(&self, unit: &str, reason: &str) -> &Self {
        let event = self.unit(unit);
        assert_eq!(event["fate"], "uncacheable", "{event:#}");
        assert_eq!(event["uncacheable"]["reason"], reason, "{event:#}");
        self
    }

    /// Standard error without the lines that tell of times or are `rekindle`'s own.
    pub(crate) fn messages(&self) -> String {
        let lines = self.done.stderr.split_inclusive('\n');
        // Tests that run beside this one share its `CARGO_HOME`, and so wait for each other.
        let passing = |line: &&str| {
            line.starts_with("rekindle:")
                || line.contains("Finished")
                || (line.contains("Blocking") && line.contains("waiting for file lock"))
        };
        let kept = lines.filter(|line| !passing(line));
        kept.collect()
    }
}

fn events_of(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(dir: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

/// Copies a directory.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Whether a target is not installed, which skips a test.
pub(crate) fn lacks_target(test: &str, target: &str) -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    let installed = output.is_ok_and(|output| {
        output.status.success()
            && Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists()
    });
    if !installed {
        skip(test, &format!("the target {target} is not installed"));
    }
    !installed
}

/// Runs a program of the system, which must succeed.
pub(crate) fn sh(dir: &Path, program: &str, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .status();
    assert!(status.unwrap().success(), "{program} {arguments:?}");
}

/// A manifest for a package of this name, with more of it behind.
pub(crate) fn package(name: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}")
}
