//! A git repository that the bench makes: every state that is built is a tag of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::bench::projects::{entries, make_dir, remove};
use crate::process;

/// A repository with its work tree.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// An empty one, in the place of whatever was there.
    pub(in crate::bench) fn create(dir: &Path) -> Result<Self, Failure> {
        remove(dir)?;
        make_dir(dir)?;
        let repository = Self {
            dir: dir.to_owned(),
        };
        repository.git(&["init", "--quiet", "--initial-branch", "main"])?;
        Ok(repository)
    }

    /// One that was made earlier.
    pub(super) fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Where files are put before they are committed.
    pub(in crate::bench) fn tree(&self) -> &Path {
        &self.dir
    }

    /// Removes all files, to be replaced by those of the next version.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        for path in entries(&self.dir)? {
            if path.file_name().is_none_or(|name| name != ".git") {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Commits all that is in the tree. `number` makes the time of the commit, so that the same
    /// files always give the same commits.
    pub(in crate::bench) fn commit(&self, tag: &str, number: usize) -> Result<(), Failure> {
        self.git(&["add", "--all", "--force"])?;
        let date = format!("{} +0000", 1_700_000_000 + 60 * number);
        let mut commit = self.command(&["commit", "--quiet", "--message", tag]);
        process::run(
            commit
                .env("GIT_AUTHOR_DATE", &date)
                .env("GIT_COMMITTER_DATE", &date),
        )?;
        self.git(&["tag", "--force", tag]).map(|_| ())
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        let reference = format!("refs/tags/{tag}");
        self.git(&["rev-parse", "--quiet", "--verify", &reference])
            .is_ok()
    }

    /// Brings the tree to a state, to be edited beside `main`.
    pub(super) fn detach(&self, tag: &str) -> Result<(), Failure> {
        self.git(&["checkout", "--quiet", "--force", "--detach", tag])
            .map(|_| ())
    }

    /// Back to `main`, which clones take for the default branch.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        self.git(&["checkout", "--quiet", "--force", "main"])
            .map(|_| ())
    }

    /// A file as it is in a state.
    pub(super) fn file(&self, tag: &str, path: &str) -> Result<String, Failure> {
        self.git(&["show", &format!("{tag}:{path}")])
    }

    /// What a CI job's checkout leaves: nothing but that state, every file's time is now.
    pub(in crate::bench) fn check_out(
        &self,
        tag: &str,
        checkout: &Path,
        depth: Option<u64>,
    ) -> Result<(), Failure> {
        remove(checkout)?;
        make_dir(checkout.parent().unwrap_or(checkout))?;
        let mut clone = git();
        clone.args(["clone", "--quiet", "--branch", tag]);
        if let Some(depth) = depth {
            clone.args(["--depth", &depth.to_string()]);
        }
        // As a URL, so that depth counts and nothing is shared with the original.
        clone.arg(format!("file://{}", self.dir.display()));
        process::run(clone.arg(checkout))
    }

    /// What a developer does: only files that differ are written.
    pub(super) fn switch(&self, tag: &str, checkout: &Path) -> Result<(), Failure> {
        let mut fetch = git();
        fetch.arg("-C").arg(checkout);
        process::run(fetch.args(["fetch", "--quiet", "--force", "--tags", "origin"]))?;
        let mut switch = git();
        switch.arg("-C").arg(checkout);
        process::run(switch.args(["checkout", "--quiet", "--force", "--detach", tag]))
    }

    fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        process::capture(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = git();
        command.arg("-C").arg(&self.dir).args(arguments);
        command
    }
}

/// git without the settings of the person who measures.
fn git() -> Command {
    let mut command = process::command("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"])
        .args(["-c", "advice.detachedHead=false", "-c", "gc.auto=0"]);
    command
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_checkout_is_fresh_and_a_switch_writes_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::create(&dir.path().join("r")).unwrap();
        fs::write(repository.tree().join("same"), "1").unwrap();
        fs::write(repository.tree().join("other"), "1").unwrap();
        repository.commit("one", 0).unwrap();
        fs::write(repository.tree().join("other"), "2").unwrap();
        repository.commit("two", 1).unwrap();
        assert_eq!(repository.file("one", "other").unwrap(), "1");
        assert!(repository.has("two") && !repository.has("three"));

        let checkout = dir.path().join("c");
        fs::create_dir(&checkout).unwrap();
        fs::write(checkout.join("left over"), "").unwrap();
        repository.check_out("one", &checkout, Some(1)).unwrap();
        assert!(!checkout.join("left over").exists());
        let modified = |name| {
            fs::metadata(checkout.join(name))
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = modified("same");
        repository.switch("two", &checkout).unwrap();
        assert_eq!(fs::read_to_string(checkout.join("other")).unwrap(), "2");
        assert_eq!(modified("same"), before);
    }
}
