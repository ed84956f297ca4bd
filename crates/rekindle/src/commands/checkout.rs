//! The files of a project that its workflows are in, for the commands that read and change them.

use std::path::{Path, PathBuf};

use rekindle_fsx as fsx;
use rekindle_workflow::providers::Day;

use crate::error::CommandError;

/// Where GitHub looks for workflows.
pub(super) const WORKFLOWS: &str = ".github/workflows";

/// A project's directory.
pub(super) struct Checkout {
    /// What paths are written from: where `.git` is, else where `.github` is, else where one stands.
    pub(super) root: PathBuf,
    /// The repository's own files, where it is one.
    pub(super) git_dir: Option<PathBuf>,
}

impl Checkout {
    /// The one around a directory.
    pub(super) fn around(cwd: &Path) -> Self {
        for dir in cwd.ancestors() {
            if let Some(git_dir) = git_dir(dir) {
                return Self {
                    root: dir.to_owned(),
                    git_dir: Some(git_dir),
                };
            }
        }
        let with_workflows = cwd
            .ancestors()
            .find(|dir| fsx::exists(&dir.join(".github")));
        Self {
            root: with_workflows.unwrap_or(cwd).to_owned(),
            git_dir: None,
        }
    }

    /// The branch that pull requests go to: the remote's default, where a clone wrote it down, else the one that is
    /// checked out, else `main`.
    pub(super) fn branch(&self) -> String {
        let head = |file: &str, prefix: &str| {
            let text = fsx::read_to_string(&self.git_dir.as_ref()?.join(file)).ok()?;
            Some(
                text.trim()
                    .strip_prefix("ref: ")?
                    .strip_prefix(prefix)?
                    .to_owned(),
            )
        };
        head("refs/remotes/origin/HEAD", "refs/remotes/origin/")
            .or_else(|| head("HEAD", "refs/heads/"))
            .unwrap_or_else(|| "main".to_owned())
    }

    /// Every workflow's path from the root and its text, in the order of their names.
    pub(super) fn workflows(&self) -> Result<Vec<(String, String)>, CommandError> {
        let dir = self.root.join(WORKFLOWS);
        let names = fsx::found(fsx::list_names(&dir)).map_err(|error| unreadable(&dir, &error))?;
        let mut names: Vec<String> = names
            .unwrap_or_default()
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name.ends_with(".yml") || name.ends_with(".yaml"))
            .collect();
        names.sort();
        let read = |name: String| {
            let path = format!("{WORKFLOWS}/{name}");
            let text = self.read(&path)?.unwrap_or_default();
            Ok((path, text))
        };
        names.into_iter().map(read).collect()
    }

    /// A file's text; `None` where there is none.
    pub(super) fn read(&self, path: &str) -> Result<Option<String>, CommandError> {
        let file = self.root.join(path);
        let bytes = fsx::read_if_exists(&file).map_err(|error| unreadable(&file, &error))?;
        let text = bytes.map(|bytes| {
            String::from_utf8(bytes).map_err(|_| {
                CommandError::user(format!("`{}` is not UTF-8 text", file.display()))
                    .hint("GitHub reads workflows as UTF-8: save it as that")
            })
        });
        text.transpose()
    }

    /// Puts a text in the place of a file's, whole or not at all. A link stays one.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<(), CommandError> {
        let file = self.root.join(path);
        let file = fsx::canonicalize(&file).unwrap_or(file);
        let made = file.parent().map_or(Ok(()), fsx::create_dir_all);
        made.and_then(|()| fsx::atomic::write(&file, text.as_bytes()))
            .map_err(|error| {
                CommandError::environment(format!(
                    "`{}` cannot be written: {error}",
                    file.display()
                ))
            })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::environment(format!("`{}` cannot be read: {error}", path.display()))
}

/// `.git`, or where a worktree's `.git` leads.
fn git_dir(dir: &Path) -> Option<PathBuf> {
    let dot_git = dir.join(".git");
    if fsx::exists(&dot_git.join("HEAD")) {
        return Some(dot_git);
    }
    let link = fsx::read_to_string(&dot_git).ok()?;
    Some(dir.join(link.trim().strip_prefix("gitdir: ")?))
}

/// The present day.
pub(super) fn today() -> Day {
    const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
    let days = fsx::time::realtime_ns() / DAY_NS;
    Day::from_days_since_epoch(u64::try_from(days).unwrap_or_default())
}
