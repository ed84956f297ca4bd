//! What git says of a checkout, for choosing a base: [`facts`].
//!
//! Two processes of `git` at once, with a deadline; what they can't say comes from files of the
//! repository and from the variables of CI services ([`ci`]). [`graph`] orders the commits, [`remote`]
//! reads where the repository comes from.
//!
//! No fault here costs more than a worse base. A repository may be hostile (an unpacked archive with a
//! `.git`): nothing is started that its configuration could name, apart from [`is_clean`]'s filters,
//! which git runs for files that look changed in any `git status`; git's own check of the owner
//! (`safe.directory`) stands.

mod ci;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod process;
mod remote;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rekindle_snapshot::base::Git;

use self::ci::Ci;
pub(crate) use self::ci::event as ci_event;
use self::graph::Graph;
use self::process::{Query, lines};
use crate::Surroundings;

/// Commits that are looked at.
const COMMITS_MAX: usize = 500;

/// Why git says nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoGit {
    /// There is no program of that name, or it cannot be started.
    #[error("`git` cannot be run: {0}")]
    NotRun(std::io::Error),
    /// Its own words: no repository, one of another owner, no commit yet.
    #[error("git says: {0}")]
    Refused(String),
    /// It took too long.
    #[error("git gave no answer in {} s", process::DEADLINE.as_secs())]
    TooSlow,
    /// Its answer makes no sense to us: a version from before 2021, or names with line breaks.
    #[error("git's answer cannot be read")]
    Unreadable,
}

/// What git says of the work tree that `workspace` is in.
///
/// # Errors
/// [`NoGit`]; all of it is fine for a build.
pub fn facts(surroundings: &Surroundings, workspace: &Path) -> Result<Git, NoGit> {
    let places = Query::start(
        surroundings,
        workspace,
        &[
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--git-common-dir",
            "--show-prefix",
            "--symbolic-full-name",
            "HEAD",
        ],
    )?;
    let count = format!("--max-count={COMMITS_MAX}");
    // Raw: as the commit says, while other formats hide the parents where a shallow clone ends.
    let commits = Query::start(
        surroundings,
        workspace,
        &["rev-list", &count, "--format=raw", "HEAD"],
    )?;
    let places = places.answer()?;
    let graph = Graph::parse(&commits.answer()?).ok_or(NoGit::Unreadable)?;
    let [root, common, relative, name] = lines(&places)[..] else {
        return Err(NoGit::Unreadable);
    };
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let common = path(common);
    let checked_out = name.strip_prefix(b"refs/heads/");
    let checked_out = checked_out.map(|name| String::from_utf8_lossy(name).into_owned());
    let head = graph.head().to_owned();
    let ci = Ci::read(surroundings, &head);
    let remote = remote::read(&common);
    Ok(Git {
        ancestors: graph.ancestors(&ci, COMMITS_MAX),
        stands_for: graph.pull_request_head(&ci).into_iter().collect(),
        branch: ci.branch.clone().or(checked_out),
        targets: targets(&ci, remote.default_branch),
        root: path(root),
        relative: path(relative),
        origin: remote
            .url
            .unwrap_or_else(|| common.into_os_string().into_vec()),
        head,
    })
}

/// Whether the tracked files are as the commit says. Where git does not say: no.
#[must_use]
pub fn is_clean(surroundings: &Surroundings, git: &Git) -> bool {
    Cleanness::ask(surroundings, git).answer()
}

/// [`is_clean`], asked: git looks while the caller does something else.
pub struct Cleanness(Option<Query>);

impl Cleanness {
    /// Asks git.
    #[must_use]
    pub fn ask(surroundings: &Surroundings, git: &Git) -> Self {
        let arguments = ["status", "--porcelain", "--untracked-files=no"];
        Self(Query::start(surroundings, &git.root, &arguments).ok())
    }

    /// Waits for the answer.
    #[must_use]
    pub fn answer(self) -> bool {
        let answer = self.0.and_then(|query| query.answer().ok());
        answer.is_some_and(|changed| changed.is_empty())
    }
}

/// The branches that work goes to, the nearest first.
fn targets(ci: &Ci, of_remote: Option<String>) -> Vec<String> {
    let default = ci.default_branch.clone().or(of_remote);
    let default = match default {
        Some(name) => vec![name],
        None => vec!["main".to_owned(), "master".to_owned()],
    };
    let mut targets: Vec<String> = ci.target.iter().cloned().collect();
    targets.extend(
        default
            .into_iter()
            .filter(|name| ci.target.as_ref() != Some(name)),
    );
    targets
}
