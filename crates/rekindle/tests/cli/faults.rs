//! What the tests of faults share: a small workspace with every kind of unit, in as many checkouts as
//! a test wants, on one store.
#![allow(
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "tests change files as others would, and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle_events::{EventKind, Fate, MissReason, UnitEvent, read_log};
use rekindle_store::{LocalStore, VerifyReport};

use crate::project::{Done, Project, program_dir};

/// A directory with a store and checkouts.
pub(crate) struct Field {
    project: Project,
    pub(crate) store: PathBuf,
}

/// A copy of the workspace.
pub(crate) struct Checkout<'a> {
    field: &'a Field,
    pub(crate) root: PathBuf,
    /// Variables for every program that is run in it.
    pub(crate) vars: Vec<(&'static str, String)>,
}

/// What a unit came to, as in `dep lib miss`.
pub(crate) fn shown(units: &[UnitEvent]) -> Vec<String> {
    let show = |unit: &UnitEvent| {
        let why = match (&unit.miss, &unit.uncacheable) {
            (Some(miss), _) => format!("{miss:?}"),
            (_, Some(reason)) => format!("{reason:?}"),
            _ => String::new(),
        };
        format!("{} {} {:?} {why}", unit.crate_name, unit.kind, unit.fate)
    };
    units.iter().map(show).collect()
}

pub(crate) fn count(units: &[UnitEvent], fate: Fate) -> usize {
    units.iter().filter(|unit| unit.fate == fate).count()
}

pub(crate) fn assert_all_hits(units: &[UnitEvent], expected: usize) {
    assert_eq!(count(units, Fate::Hit), expected, "{:#?}", shown(units));
    assert_eq!(units.len(), expected, "{:#?}", shown(units));
}

/// The reasons of all misses.
pub(crate) fn misses(units: &[UnitEvent]) -> Vec<(String, MissReason)> {
    units
        .iter()
        .filter_map(|unit| Some((unit.crate_name.clone(), unit.miss.clone()?)))
        .collect()
}

pub(crate) use crate::project::skip as skipped;

/// The units that `rekindle build` has in a fresh checkout: dep, mac, the build script, app twice.
pub(crate) const UNITS: usize = 5;

/// What the program prints.
pub(crate) const OUTPUT: &str = "word 42 made\n";

/// The workspace.
pub(crate) const FILES: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[workspace]\nmembers = ['app', 'dep', 'mac']\nresolver = '2'\n",
    ),
    (
        "dep/Cargo.toml",
        "[package]\nname = 'dep'\nversion = '0.1.0'\nedition = '2021'\n",
    ),
    (
        "dep/src/lib.rs",
        "pub fn word() -> &'static str { \"word\" }\n#[test]\nfn t() { assert_eq!(word(), \"word\") }\n",
    ),
    (
        "mac/Cargo.toml",
        "[package]\nname = 'mac'\nversion = '0.1.0'\nedition = '2021'\n[lib]\nproc-macro = true\n",
    ),
    (
        "mac/src/lib.rs",
        "use proc_macro::TokenStream;\n#[proc_macro]\n\
         pub fn answer(_: TokenStream) -> TokenStream { \"42\".parse().unwrap() }\n",
    ),
    (
        "app/Cargo.toml",
        "[package]\nname = 'app'\nversion = '0.1.0'\nedition = '2021'\n\
         [dependencies]\ndep = { path = '../dep' }\nmac = { path = '../mac' }\n",
    ),
    (
        "app/build.rs",
        "fn main() {\n    println!(\"cargo:rerun-if-changed=made.txt\");\n    \
         let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
         let made = std::fs::read_to_string(\"made.txt\").unwrap();\n    \
         std::fs::write(out + \"/made.rs\", format!(\"{:?}\", made.trim())).unwrap();\n}\n",
    ),
    ("app/made.txt", "made\n"),
    (
        "app/src/lib.rs",
        "pub fn made() -> &'static str { include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\")) }\n",
    ),
    (
        "app/src/main.rs",
        "fn main() { println!(\"{} {} {}\", dep::word(), mac::answer!(), app::made()); }\n",
    ),
    (
        "app/tests/it.rs",
        "#[test]\nfn it() { assert_eq!((dep::word(), mac::answer!()), (\"word\", 42)) }\n",
    ),
];

impl Field {
    pub(crate) fn new() -> Self {
        let project = Project::new("fn main() {}");
        let store = project.path("store");
        Self { project, store }
    }

    /// A fresh checkout without incremental state, under which rustc gives the members of libraries
    /// random names: what is compiled again has the same bits, and its dependents the same keys.
    pub(crate) fn steady(&self, name: &str) -> Checkout<'_> {
        self.checkout(name).with("CARGO_INCREMENTAL", "0")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.project.path(name)
    }

    /// Our programs in a directory of their own. The path of `rekindle`.
    pub(crate) fn install(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        std::fs::create_dir(&dir).unwrap();
        for program in ["rekindle", "rekindle-rustc"] {
            std::fs::copy(program_dir().join(program), dir.join(program)).unwrap();
        }
        dir.join("rekindle")
    }

    /// A fresh checkout.
    pub(crate) fn checkout(&self, name: &str) -> Checkout<'_> {
        let checkout = Checkout {
            field: self,
            root: self.path(name),
            vars: Vec::new(),
        };
        for (file, text) in FILES {
            checkout.put(file, text);
        }
        checkout
    }

    /// The files in a part of the store.
    pub(crate) fn files(&self, space: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut pending = vec![self.store.join("v1").join(space)];
        while let Some(dir) = pending.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    pub(crate) fn verify(&self) -> VerifyReport {
        LocalStore::open(&self.store).verify(false).unwrap()
    }

    pub(crate) fn assert_sound(&self, when: &str) {
        let report = self.verify();
        assert!(report.is_clean(), "{when}: {report:#?}");
    }

    /// The last run, as JSON.
    pub(crate) fn stats(&self) -> serde_json::Value {
        self.project.stats()
    }

    /// What became of the units of the latest run.
    pub(crate) fn units(&self) -> Vec<UnitEvent> {
        let runs = self.store.join("v1/runs");
        let mut names: Vec<_> = std::fs::read_dir(&runs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
            .collect();
        names.sort();
        units_of(&runs.join(names.last().unwrap()))
    }
}

/// The units in a run's log.
pub(crate) fn units_of(run: &Path) -> Vec<UnitEvent> {
    let log = read_log(&std::fs::read(run.join("events.jsonl")).unwrap());
    let unit = |event: rekindle_events::Event| match event.kind {
        EventKind::Unit(unit) => Some(*unit),
        _ => None,
    };
    log.events.into_iter().filter_map(unit).collect()
}

impl Checkout<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.vars.push((name, value.into()));
        self
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.field.project.command(program, arguments);
        command
            .current_dir(&self.root)
            .env("REKINDLE_DIR", &self.field.store)
            .env("REKINDLE_SNAPSHOT", "0")
            .env("CARGO_TERM_COLOR", "never")
            .envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `rekindle`.
    pub(crate) fn rekindle(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        command.output().unwrap().into()
    }

    /// `rekindle build` works, says at most one warning, and the program does what it should.
    pub(crate) fn build(&self) -> Vec<UnitEvent> {
        self.build_to(OUTPUT);
        self.field.units()
    }

    pub(crate) fn build_to(&self, output: &str) -> Done {
        let done = self.rekindle(&["build"]).ok();
        assert_eq!(self.run_program(), output, "{}", done.stderr);
        let warnings = |line: &&str| line.starts_with("rekindle") && line.contains("warning");
        assert!(
            done.stderr.lines().filter(warnings).count() <= 1,
            "{}",
            done.stderr
        );
        done
    }

    /// `rekindle build` works, by this `rekindle`.
    pub(crate) fn build_by(&self, rekindle: &Path) -> Done {
        let mut command = self.command(rekindle.to_str().unwrap(), &["build"]);
        Done::from(command.output().unwrap()).ok()
    }

    /// Runs cargo without Rekindle.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Done {
        self.command("cargo", arguments).output().unwrap().into()
    }

    /// A plain cargo with the wrapper.
    pub(crate) fn wrapped(&self, arguments: &[&str]) -> Done {
        let mut command = self.command("cargo", arguments);
        command.env("RUSTC_WRAPPER", program_dir().join("rekindle-rustc"));
        command.output().unwrap().into()
    }

    pub(crate) fn run_program(&self) -> String {
        let output = Command::new(self.path("target/debug/app"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Nothing is left to do, for a plain cargo and for ours.
    pub(crate) fn assert_fresh(&self, when: &str) {
        self.assert_fresh_for(&["build"], when);
    }

    pub(crate) fn assert_fresh_for(&self, arguments: &[&str], when: &str) {
        let mut arguments = arguments.to_vec();
        arguments.push("--message-format=json");
        for done in [self.cargo(&arguments), self.rekindle(&arguments)] {
            let done = done.ok();
            let dirty: Vec<&str> = done
                .stdout
                .lines()
                .filter(|line| line.contains("\"fresh\":false"))
                .collect();
            assert!(dirty.is_empty(), "{when}: {dirty:#?}\n{}", done.stderr);
            assert!(done.stdout.contains("\"fresh\":true"), "{}", done.stdout);
        }
    }

    /// As [`Checkout::assert_fresh`], for a plain cargo alone.
    pub(crate) fn assert_fresh_for_cargo(&self, when: &str) {
        let done = self.cargo(&["build", "--message-format=json"]).ok();
        assert!(
            !done.stdout.contains("\"fresh\":false"),
            "{when}: {}",
            done.stdout
        );
    }

    pub(crate) fn remove_target(&self) {
        std::fs::remove_dir_all(self.path("target")).unwrap();
    }

    /// The files in a directory of `target/debug` whose names begin and end so.
    pub(crate) fn outputs(&self, dir: &str, begin: &str, end: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path("target/debug").join(dir)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with(begin) && name.ends_with(end) {
                found.push(path);
            }
        }
        assert!(!found.is_empty(), "no {begin}*{end} in {dir}");
        found.sort();
        found
    }

    pub(crate) fn output(&self, dir: &str, begin: &str, end: &str) -> PathBuf {
        self.outputs(dir, begin, end).remove(0)
    }
}
