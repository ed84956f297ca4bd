//! A machine of one's own for the tests of doctor, and what doctor says of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::project::{Done, Project};

/// What is so of the machine that the tests run on, planted or not.
const OF_THE_MACHINE: &[&str] = &["disk-low", "disk-full", "memory-for-links", "store-slow"];

/// A machine and a project of one's own: home, cargo's home, store, units of systemd's.
pub(crate) struct Ward {
    pub(crate) project: Project,
    /// Variables for each command.
    pub(crate) vars: Vec<(String, PathBuf)>,
    pub(crate) without: Vec<&'static str>,
}

impl Ward {
    pub(crate) fn new() -> Self {
        let project = Project::new("fn main() {\n    println!(\"here\");\n}\n");
        for dir in ["home", "cargo-home", "units"] {
            std::fs::create_dir_all(project.path(dir)).unwrap();
        }
        let rustup = std::env::var_os("RUSTUP_HOME").map_or_else(
            || std::env::home_dir().unwrap().join(".rustup"),
            PathBuf::from,
        );
        let vars = [
            ("HOME", project.path("home")),
            ("CARGO_HOME", project.path("cargo-home")),
            ("SYSTEMD_UNIT_PATH", project.path("units")),
            ("RUSTUP_HOME", rustup),
        ];
        Self {
            vars: vars.map(|(name, value)| (name.to_owned(), value)).into(),
            without: vec!["CC", "CXX", "AWS_REGION", "AWS_DEFAULT_REGION"],
            project,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<PathBuf>) -> Self {
        self.vars.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn rekindle(&self, arguments: &[&str]) -> Done {
        let mut command = self
            .project
            .command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        for name in &self.without {
            command.env_remove(name);
        }
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command.output().unwrap().into()
    }

    pub(crate) fn doctor(&self, arguments: &[&str]) -> Told {
        let mut all = vec!["doctor", "--format", "json"];
        all.extend(arguments);
        let done = self.rekindle(&all);
        let json = serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", done.stdout, done.stderr));
        let own = self.project.path("store").display().to_string();
        Told { done, json, own }
    }

    /// Plants are found, and nothing else; the exit code tells of errors.
    pub(crate) fn finds(&self, planted: &str) -> Value {
        let told = self.doctor(&[]);
        assert_eq!(
            told.ids(),
            BTreeSet::from([planted.to_owned()]),
            "{:#}",
            told.json
        );
        let finding = told.finding(planted);
        assert_eq!(told.done.code, Some(told.code()), "{:#}", told.json);
        let evidence = finding["evidence"].as_array().unwrap();
        assert!(
            finding["next"].as_str().unwrap().len() > 10 && !evidence.is_empty()
                || finding["severity"] != "error"
        );
        finding
    }

    /// The fix is shown and not made without a yes; made with one; then nothing is found.
    pub(crate) fn is_mended(&self, planted: &str, check: &str) {
        let asked = self.doctor(&["--check", check, "--fix"]);
        assert!(
            asked.done.stderr.contains("nothing was changed"),
            "{}",
            asked.done.stderr
        );
        assert_eq!(asked.json["repairs"][0]["outcome"], "declined");
        assert!(asked.ids().contains(planted), "{:#}", asked.json);
        let told = self.doctor(&["--fix", "--yes"]);
        assert_eq!(
            told.json["repairs"][0]["outcome"], "done",
            "{:#}",
            told.json
        );
        assert_eq!(told.json["repairs"][0]["id"], planted);
        assert_eq!(
            told.ids(),
            BTreeSet::new(),
            "{:#}\n{}",
            told.json,
            told.done.stderr
        );
        assert_eq!(told.done.code, Some(told.code()));
    }

    pub(crate) fn is_healthy(&self) {
        let told = self.doctor(&[]);
        assert_eq!(told.ids(), BTreeSet::new(), "{:#}", told.json);
    }
}

/// What doctor said.
pub(crate) struct Told {
    pub(crate) done: Done,
    pub(crate) json: Value,
    /// The store of the ward.
    own: String,
}

impl Told {
    /// Errors and warnings that are not of the machine that the tests run on.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["severity"] != "note")
            .filter(|finding| {
                let is_own = finding["title"].as_str().unwrap().contains(&self.own);
                is_own || !OF_THE_MACHINE.contains(&finding["id"].as_str().unwrap())
            })
            .map(|finding| finding["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The exit code that goes with what was found: errors of the machine count too.
    fn code(&self) -> i32 {
        let mut findings = self.json["findings"].as_array().unwrap().iter();
        i32::from(findings.any(|finding| finding["severity"] == "error"))
    }

    pub(crate) fn finding(&self, id: &str) -> Value {
        let findings = self.json["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["id"] == id);
        found
            .unwrap_or_else(|| panic!("no {id}: {:#}", self.json))
            .clone()
    }

    pub(crate) fn status(&self, check: &str) -> &str {
        let checks = self.json["checks"].as_array().unwrap();
        let found = checks.iter().find(|one| one["id"] == check).unwrap();
        found["status"].as_str().unwrap()
    }
}
