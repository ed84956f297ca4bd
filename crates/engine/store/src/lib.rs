//! Objects and records by digest.
//!
//! The unit cache and the snapshots keep what they made here and see it through [`Store`]; the CLI
//! opens the one on this machine's disk, [`LocalStore`], and minds its size. Parts: [`frame`] is a
//! record's form on disk, `local` the [`Store`] on a disk, `active` what tells an eviction that a
//! build is running, [`beyond`] where objects come from that this disk does not have, `account` when an eviction is due, `gc` and `evict` the eviction, `usage` and
//! `verify` what the store holds and whether it is sound. The layout on disk is in [`LocalStore`].
//!
//! An *object* is a file's bytes, named by their BLAKE3 digest. A *record* is a small blob named by a
//! digest that the caller computes (the store knows digests and bytes, never keys), in one of a few
//! [`Space`]s, with the digests of the objects that it refers to, so that eviction can follow them.

mod account;
mod active;
pub mod beyond;
mod evict;
pub mod frame;
mod gc;
mod layout;
mod local;
mod usage;
mod verify;

use std::io;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_fsx::place::{Placed, Wish};

pub use active::ActiveBuild;
pub use gc::GcReport;
pub use local::LocalStore;
pub use usage::{SpaceUsage, Usage};
pub use verify::{Bad, BadKind, VerifyReport};

/// What a record is about. The store treats them alike but for eviction: see [`Space::is_shared`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// By invocation digest: the names of the inputs that such invocations were seen to read.
    PathSets,
    /// By manifest digest: the outputs of a unit (an action entry).
    Entries,
    /// By unit: the manifest that it was last built with, for `explain`.
    Latest,
    /// By path on this machine: the digest of a file as it was at a signature.
    Outputs,
    /// By question on this machine: answers of compilers and tools.
    Memos,
    /// By content: the trees of snapshots.
    Trees,
    /// By commit, branch, lock file or directory: which trees a snapshot is made of.
    Pointers,
    /// By registry and package, or by git source: what cargo's home holds of it.
    Packages,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PathSets,
        Self::Entries,
        Self::Latest,
        Self::Outputs,
        Self::Memos,
        Self::Trees,
        Self::Pointers,
        Self::Packages,
    ];

    /// Its name: of its directory, and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PathSets => "pathsets",
            Self::Entries => "entries",
            Self::Latest => "latest",
            Self::Outputs => "outputs",
            Self::Memos => "memos",
            Self::Trees => "trees",
            Self::Pointers => "pointers",
            Self::Packages => "packages",
        }
    }

    /// What stands for it in checksums; part of the format, so never changed or used again.
    #[must_use]
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::PathSets => 1,
            Self::Entries => 2,
            Self::Latest => 3,
            Self::Outputs => 4,
            Self::Memos => 5,
            Self::Trees => 6,
            Self::Pointers => 7,
            Self::Packages => 8,
        }
    }

    /// Whether other machines could use such a record; the others hold this machine's paths.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(
            self,
            Self::PathSets | Self::Entries | Self::Trees | Self::Pointers | Self::Packages
        )
    }

    /// Whether such a record stands for large objects: the least recently used go until all that they refer
    /// to fits the budget. The others are small, and go by age.
    #[must_use]
    pub(crate) const fn holds_outputs(self) -> bool {
        matches!(self, Self::Entries | Self::Trees | Self::Packages)
    }
}

/// A record, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The objects that it refers to.
    pub refs: Vec<Digest>,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// An object, stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was not there before; one of another size was damaged, and does not count.
    pub new: bool,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The bytes are not those that were stored. What was damaged has been removed.
    #[error("its bytes were damaged")]
    Corrupt,
    /// The system refused; the message names the path.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where objects and records are kept.
///
/// Publishers put the objects first and the record that refers to them last, so that no record is
/// seen before what it promises. An object may still be gone when it is asked for (an eviction, a
/// hand): [`StoreError::Missing`] and [`StoreError::Corrupt`] are misses, and the caller compiles.
pub trait Store {
    /// A record, or `None`; one that a newer Rekindle wrote is `None` too. A damaged one is removed
    /// and reported as [`StoreError::Corrupt`]. Counts as a use of the record.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get_record(&self, space: Space, key: &Digest) -> Result<Option<Record>, StoreError>;

    /// Stores or replaces a record; it appears whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Io`]: of kind `Unsupported` where a newer Rekindle's record is in the way, which
    /// stays as it is; of kind `InvalidInput` where it is larger than [`frame::MAX_BYTES`].
    fn put_record(
        &self,
        space: Space,
        key: &Digest,
        refs: &[Digest],
        payload: &[u8],
    ) -> Result<(), StoreError>;

    /// Forgets a record; a missing one is fine.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn remove_record(&self, space: Space, key: &Digest) -> Result<(), StoreError>;

    /// Places an object's bytes at `dest` (whose directory exists), checked against its digest on
    /// the way. A damaged one is removed and reported as [`StoreError::Corrupt`]. One caller at a
    /// time places a given `dest`.
    ///
    /// # Errors
    /// [`StoreError`]; `dest` is then as it was.
    fn place_object(&self, digest: &Digest, dest: &Path, wish: Wish) -> Result<Placed, StoreError>;

    /// Stores the bytes of `source` as an object. With `wish.hardlink` the object may share the
    /// source's inode: for files that nothing writes in place (who does spoils the object, which is
    /// noticed when it is asked for). `wish.executable` says whether the source is.
    ///
    /// # Errors
    /// [`StoreError::Io`], of kind `NotFound` where there is no source.
    fn put_object(&self, source: &Path, wish: Wish) -> Result<Stored, StoreError>;
}

/// Adds to an error what was being done to which path.
pub(crate) fn at<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> io::Error + 'a {
    move |error| {
        io::Error::new(
            error.kind(),
            format!("cannot {doing} {}: {error}", path.display()),
        )
    }
}
