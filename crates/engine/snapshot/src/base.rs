//! Which snapshot to restore, and what leads to one that was made.
//!
//! The CLI gathers facts ([`Wanted`]); [`choose`] looks for a [`Pointer`] under each name that they
//! give, the best first, and [`publish`] writes one under all of these names.
//!
//! Every name is the digest of tagged fields (see [`Name`]) in the space `Pointers`, so a look-up reads
//! one record, and a name that leads nowhere costs one `lstat`. All but the commit's lead to the newest
//! snapshot that was made under them. In the same space, one index for each project and profile
//! directory bounds how many trees there are: see [`publish`].

pub mod afar;
mod publish;
#[cfg(test)]
mod tests;

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rekindle_base::{Digest, DigestHasher};
use rekindle_store::{LocalStore, Space, Store};

use crate::model::Pointer;

pub use publish::{KEPT_TREES, Made, publish};

/// Version of a [`Pointer`]; a later one is none to us.
pub const POINTER_VERSION: u32 = 1;

/// What a snapshot is wanted for. Two machines find each other's where all but `workspace` and `dirs`
/// is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The compiler. A guess is fine: cargo decides what is fresh, a wrong one costs time.
    pub toolchain: Digest,
    /// Compiler flags, target and profile settings from outside the manifests.
    pub flags: Digest,
    /// The project, whatever its state: where its repository comes from and where it is in that.
    pub project: Digest,
    /// The workspace's root.
    pub workspace: PathBuf,
    /// The content of `Cargo.lock`, where there is one.
    pub lock: Option<Digest>,
    /// What git says, where it says anything.
    pub git: Option<Git>,
    /// Profile directories that the command builds in, as in [`Pointer::trees`]. A snapshot with none
    /// of them is no base. Empty where that is not known: any will do.
    pub dirs: Vec<String>,
}

/// What git says of the checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    /// The commit that is checked out, in hex.
    pub head: String,
    /// Commits before it, the nearest first, in a bounded number.
    pub ancestors: Vec<Ancestor>,
    /// Commits that a snapshot of this checkout also serves: the head of a pull request, where what is
    /// checked out is its merge with the target, which no later commit will have as an ancestor.
    pub stands_for: Vec<String>,
    /// The branch; of a pull request's merge what its run is called, as in `12/merge`.
    pub branch: Option<String>,
    /// Branches whose newest snapshot is a good base: the pull request's target, the default branch.
    pub targets: Vec<String>,
    /// The root of the work tree.
    pub root: PathBuf,
    /// The workspace's place in it, ended by a slash where it is not empty.
    pub relative: PathBuf,
    /// Where it comes from: host and path without credentials, or the repository's directory.
    pub origin: Vec<u8>,
}

/// A commit before the one that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its name in hex.
    pub commit: String,
    /// How many commits were made since, as far as history is known here.
    pub distance: usize,
}

/// A base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What to restore: only trees that are there, and of [`Wanted::dirs`] where these are known.
    pub pointer: Pointer,
    /// Why this one.
    pub why: Why,
}

/// Why a base was chosen. Displays as the end of a sentence: "from the snapshot of …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The nearest commit that has one.
    Commit {
        /// Which.
        commit: String,
        /// How many commits ago; 0 for the one that is checked out.
        distance: usize,
    },
    /// The newest of this branch.
    Branch {
        /// Which.
        name: String,
    },
    /// The newest that had the same `Cargo.lock`.
    LockFile,
    /// The newest of this directory.
    Directory,
    /// The newest of this project.
    Project,
    /// The newest of this toolchain and these flags, of whatever project.
    Toolchain,
}

impl Why {
    /// Whether it was made from the commit that is checked out.
    #[must_use]
    pub const fn is_this_commit(&self) -> bool {
        matches!(self, Self::Commit { distance: 0, .. })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit {
                commit,
                distance: 0,
            } => write!(f, "this commit, {}", short(commit)),
            Self::Commit { commit, distance } => {
                let plural = if *distance == 1 { "" } else { "s" };
                write!(f, "commit {}, {distance} commit{plural} ago", short(commit))
            }
            Self::Branch { name } => write!(f, "the newest build of branch `{name}`"),
            Self::LockFile => write!(f, "the newest build with this Cargo.lock"),
            Self::Directory => write!(f, "the newest build in this directory"),
            Self::Project => write!(f, "the newest build of this project"),
            Self::Toolchain => write!(f, "the newest build with this toolchain"),
        }
    }
}

fn short(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}

/// That there is no base. Displays as a sentence's part that says where was looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoBase {
    /// How many commits were looked for; 0 without git.
    pub commits: usize,
    /// How many names led to a snapshot that is no longer there.
    pub evicted: usize,
    /// How many led to snapshots of other profile directories only.
    pub elsewhere: usize,
    /// The profile directories that were wanted.
    pub dirs: Vec<String>,
}

impl fmt::Display for NoBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.elsewhere, self.evicted) {
            (0, 0) => write!(f, "no build with this toolchain and these flags is stored")?,
            (0, _) => write!(f, "the snapshots that would do were evicted")?,
            _ => write!(f, "no stored build has `{}`", self.dirs.join("` or `"))?,
        }
        match self.commits {
            0 => write!(f, " (without git)"),
            1 => write!(f, " (1 commit tried)"),
            commits => write!(f, " ({commits} commits tried)"),
        }
    }
}

/// What a pointer is stored under. The fields of its digest, each length-prefixed: `rekindle pointer
/// 1`, the tag, toolchain, flags, then what is said at each.
#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    /// The commit, the workspace's place in the work tree. Not the project: a commit's name is the
    /// same in every clone and fork.
    Commit(&'a str),
    /// The project, the branch.
    Branch(&'a str),
    /// The lock file's content. Not the project: without git nothing says that two are one.
    Lock(&'a Digest),
    /// The workspace's directory.
    Directory,
    /// The project.
    Project,
    /// Nothing more.
    Toolchain,
    /// The project, a profile directory: an index, no pointer.
    Index(&'a str),
}

impl Name<'_> {
    fn digest(self, wanted: &Wanted) -> Digest {
        let mut hasher = DigestHasher::new();
        hasher.field(b"rekindle pointer 1");
        let tag: &[u8] = match self {
            Self::Commit(_) => b"commit",
            Self::Branch(_) => b"branch",
            Self::Lock(_) => b"lock",
            Self::Directory => b"directory",
            Self::Project => b"project",
            Self::Toolchain => b"toolchain",
            Self::Index(_) => b"index",
        };
        hasher
            .field(tag)
            .field(wanted.toolchain.as_bytes())
            .field(wanted.flags.as_bytes());
        match self {
            Self::Commit(commit) => {
                let place = wanted.git.as_ref().map(|git| git.relative.as_os_str());
                hasher
                    .field(commit.as_bytes())
                    .field(place.unwrap_or_default().as_bytes());
            }
            Self::Branch(name) | Self::Index(name) => {
                hasher
                    .field(wanted.project.as_bytes())
                    .field(name.as_bytes());
            }
            Self::Lock(lock) => {
                hasher.field(lock.as_bytes());
            }
            Self::Directory => {
                hasher.field(wanted.workspace.as_os_str().as_bytes());
            }
            Self::Project => {
                hasher.field(wanted.project.as_bytes());
            }
            Self::Toolchain => {}
        }
        hasher.finish()
    }
}

/// Chooses a base: the nearest commit that has a snapshot; else the newest of this branch, of the
/// branches that it goes to; else of the same lock file; else of this directory, of this project, of
/// this toolchain. All for the same toolchain and flags.
///
/// # Errors
/// [`NoBase`] where there is none. What cannot be read is not there.
pub fn choose(store: &LocalStore, wanted: &Wanted) -> Result<Chosen, NoBase> {
    let mut none = NoBase {
        dirs: wanted.dirs.clone(),
        ..NoBase::default()
    };
    let mut attempt = |name: Name<'_>| usable(store, wanted, name, &mut none);
    if let Some(git) = &wanted.git {
        let head = std::iter::once((git.head.as_str(), 0));
        let before = git.ancestors.iter();
        let before = before.map(|ancestor| (ancestor.commit.as_str(), ancestor.distance));
        for (commit, distance) in head.chain(before) {
            if let Some(pointer) = attempt(Name::Commit(commit)) {
                let commit = commit.to_owned();
                let why = Why::Commit { commit, distance };
                return Ok(Chosen { pointer, why });
            }
        }
        for name in git.branch.iter().chain(&git.targets) {
            if let Some(pointer) = attempt(Name::Branch(name)) {
                let why = Why::Branch { name: name.clone() };
                return Ok(Chosen { pointer, why });
            }
        }
    }
    let lock = wanted.lock.as_ref();
    let others = [
        lock.map(|lock| (Name::Lock(lock), Why::LockFile)),
        Some((Name::Directory, Why::Directory)),
        Some((Name::Project, Why::Project)),
        Some((Name::Toolchain, Why::Toolchain)),
    ];
    for (name, why) in others.into_iter().flatten() {
        if let Some(pointer) = attempt(name) {
            return Ok(Chosen { pointer, why });
        }
    }
    none.commits = wanted.git.as_ref().map_or(0, |git| git.ancestors.len() + 1);
    Err(none)
}

/// All trees of the project with this toolchain and these flags, by profile directory, those that were used last
/// first.
#[must_use]
pub fn known(store: &LocalStore, wanted: &Wanted) -> Vec<(String, Digest)> {
    let names = [Name::Directory, Name::Project];
    let pointers = names
        .into_iter()
        .filter_map(|name| read(store, &name.digest(wanted)));
    let mut dirs: Vec<String> = pointers
        .flat_map(|pointer| pointer.trees)
        .map(|(dir, _)| dir)
        .collect();
    dirs.sort_unstable();
    dirs.dedup();
    let mut known = Vec::new();
    for dir in dirs {
        let index = Name::Index(&dir).digest(wanted);
        for (_, tree) in publish::by_use(store, &index) {
            known.push((dir.clone(), tree));
        }
    }
    known
}

/// What a name leads to, as far as it is there and wanted.
fn usable(
    store: &LocalStore,
    wanted: &Wanted,
    name: Name<'_>,
    none: &mut NoBase,
) -> Option<Pointer> {
    let mut pointer = read(store, &name.digest(wanted))?;
    pointer
        .trees
        .retain(|(_, tree)| store.last_use_ns(Space::Trees, tree).is_some());
    if pointer.trees.is_empty() {
        none.evicted += 1;
        return None;
    }
    if !wanted.dirs.is_empty() {
        pointer.trees.retain(|(dir, _)| wanted.dirs.contains(dir));
    }
    if pointer.trees.is_empty() {
        none.elsewhere += 1;
        return None;
    }
    Some(pointer)
}

/// A pointer, where one can be read.
fn read(store: &LocalStore, key: &Digest) -> Option<Pointer> {
    let record = store.get_record(Space::Pointers, key).ok()??;
    let (version, _) = postcard::take_from_bytes::<u32>(&record.payload).ok()?;
    if version != POINTER_VERSION {
        return None;
    }
    postcard::from_bytes(&record.payload).ok()
}
