//! Objects and records by digest.
//!
//! An *object* is a file's bytes, named by their BLAKE3 digest. A *record* is a small blob named by a
//! digest that the caller computes (the store knows digests and bytes, never keys), in one of a few
//! [`Space`]s, with the digests of the objects that it refers to, so that eviction can follow them.

use std::io;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_fsx::place::{Placed, Wish};

/// What a record is about. The store treats them alike but for eviction: see [`Space::is_shared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}

impl Space {
    /// Whether other machines could use such a record; the others hold this machine's paths.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::PathSets | Self::Entries)
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
    /// Whether it was not there before.
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
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where objects and records are kept.
pub trait Store {
    /// A record, or `None`. A damaged one is removed and reported as [`StoreError::Corrupt`].
    ///
    /// # Errors
    /// [`StoreError`].
    fn get_record(&self, space: Space, key: &Digest) -> Result<Option<Record>, StoreError>;

    /// Stores or replaces a record; it appears whole or not at all.
    ///
    /// # Errors
    /// [`StoreError`].
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
    /// [`StoreError`].
    fn remove_record(&self, space: Space, key: &Digest) -> Result<(), StoreError>;

    /// Places an object's bytes at `dest` (whose directory exists), checked against its digest on
    /// the way. A damaged one is removed and reported as [`StoreError::Corrupt`].
    ///
    /// # Errors
    /// [`StoreError`].
    fn place_object(&self, digest: &Digest, dest: &Path, wish: Wish) -> Result<Placed, StoreError>;

    /// Stores the bytes of `source` as an object.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_object(&self, source: &Path, wish: Wish) -> Result<Stored, StoreError>;
}
