//! Real repositories for tests, made by `git`.

use std::path::PathBuf;
use std::process::Command;

use rekindle_snapshot::base::Git;

use super::facts;
use crate::Surroundings;

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    pub(crate) surroundings: Surroundings,
}

impl Fixture {
    /// A directory without a repository above it, and an environment without anybody's settings.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut surroundings = Surroundings {
            cwd: dir.path().to_owned(),
            ..Surroundings::default()
        };
        let ceiling = dir.path().to_str().unwrap().to_owned();
        for (name, value) in [
            ("PATH", std::env::var("PATH").unwrap().as_str()),
            ("HOME", &ceiling),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CEILING_DIRECTORIES", &ceiling),
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@b"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@b"),
        ] {
            surroundings.vars.insert(name.into(), value.into());
        }
        Self { dir, surroundings }
    }

    /// One with a repository `a` of one commit, on `main`.
    pub(crate) fn with_repository() -> Self {
        let fixture = Self::new();
        fixture.git(".", "init -q -b main a");
        fixture.commit("a");
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn git(&self, dir: &str, arguments: &str) -> String {
        let output = Command::new("git")
            .env_clear()
            .envs(&self.surroundings.vars)
            .current_dir(self.path(dir))
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits something new; the commit's name.
    pub(crate) fn commit(&self, dir: &str) -> String {
        let number = self.git(dir, "rev-list --all --count");
        rekindle_fsx::append(&self.path(dir).join("file"), number.as_bytes()).unwrap();
        self.git(dir, "add file");
        // A message may look like a header.
        self.git(dir, "commit -q -m parent\n\nparent");
        self.git(dir, "rev-parse HEAD")
    }

    pub(crate) fn clone(&self, arguments: &str, name: &str) {
        let from = self.path("a");
        let from = from.to_str().unwrap();
        self.git(".", &format!("clone -q {arguments} file://{from} {name}"));
    }

    pub(crate) fn var(&mut self, name: &str, value: &str) {
        self.surroundings.vars.insert(name.into(), value.into());
    }

    pub(crate) fn facts(&self, dir: &str) -> Git {
        facts(&self.surroundings, &self.path(dir)).unwrap()
    }

    pub(crate) fn refused(&self, dir: &str) -> String {
        let facts = facts(&self.surroundings, &self.path(dir));
        facts.unwrap_err().to_string()
    }

    /// As [`Fixture::commit`], without a conflict.
    pub(crate) fn commit_elsewhere(&self, dir: &str) -> String {
        rekindle_fsx::append(&self.path(dir).join("other"), b"x").unwrap();
        self.git(dir, "add other");
        self.git(dir, "commit -q -m other");
        self.git(dir, "rev-parse HEAD")
    }

    /// As a service checks a pull request out: the merge alone, on no branch.
    pub(crate) fn pull_request(&mut self) -> (String, String, String) {
        self.git("a", "checkout -q -b topic");
        let topic = self.commit("a");
        self.git("a", "checkout -q main");
        let base = self.commit_elsewhere("a");
        self.git("a", "checkout -q --detach");
        self.git("a", "merge -q --no-ff -m m topic");
        let merge = self.git("a", "rev-parse HEAD");
        self.git("a", "update-ref refs/pull/12/merge HEAD");
        self.git("a", "checkout -q main");
        let from = self.path("a");
        let from = from.to_str().unwrap().to_owned();
        self.git(".", "init -q -b main ci");
        self.git("ci", &format!("remote add origin file://{from}"));
        self.git(
            "ci",
            "fetch -q --depth=1 origin +refs/pull/12/merge:refs/remotes/pull/12/merge",
        );
        self.git("ci", "checkout -q --force refs/remotes/pull/12/merge");
        let event = self.path("event.json");
        let before = "b".repeat(40);
        let json = format!(
            r#"{{"before": "{before}", "repository": {{"default_branch": "trunk"}}, "number": 12}}"#
        );
        rekindle_fsx::append(&event, json.as_bytes()).unwrap();
        for (name, value) in [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_SHA", merge.as_str()),
            ("GITHUB_REF_NAME", "12/merge"),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_BASE_REF", "release"),
            ("GITHUB_HEAD_REF", "main"),
            ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
        ] {
            self.var(name, value);
        }
        (merge, topic, base)
    }
}
