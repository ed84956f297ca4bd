//! What is known of an output: its bytes, and what is behind them.
//!
//! An *output record* says of a file in a target directory which bytes it has, which crates it was
//! compiled with, and what is behind those. It is kept by whoever puts a file in its place: the unit
//! cache when it publishes or restores, [`crate::materialise`] when a placeholder becomes real. A
//! placeholder says the same of itself.
//!
//! On disk: postcard, in the space `Outputs`, under a digest of the path. The record holds the file's
//! signature; under another signature the file is read again.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_fsx::StatSig;
use rekindle_store::{LocalStore, Space, Store};
use serde::{Deserialize, Serialize};

use crate::localise::{self, Replacements};
use crate::placeholder::{Known, Placeholder};

/// What is known of an output in a target directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRecord {
    /// Its bytes; of a program that was localised, those before.
    pub digest: Digest,
    /// The crates that it was compiled with, and theirs, down to the leaves.
    pub closure: Digest,
    /// The files of the crates on its command line.
    pub externs: Vec<PathBuf>,
}

/// The form on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    sig: Signature,
    digest: Digest,
    closure: Digest,
    externs: Vec<PathBuf>,
}

/// The parts of a signature that a hardlink made elsewhere leaves alone, but for the change time:
/// then the bytes are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature {
    dev: u64,
    ino: u64,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
}

impl Signature {
    /// Whether the file was changed before a time: nanoseconds since 1970.
    #[must_use]
    pub fn is_older_than(&self, time_ns: i64) -> bool {
        self.ctime_ns < time_ns
    }
}

impl From<StatSig> for Signature {
    fn from(sig: StatSig) -> Self {
        Self {
            dev: sig.dev,
            ino: sig.ino,
            size: sig.size,
            mtime_ns: sig.mtime_ns,
            ctime_ns: sig.ctime_ns,
        }
    }
}

impl From<Kept> for OutputRecord {
    fn from(kept: Kept) -> Self {
        Self {
            digest: kept.digest,
            closure: kept.closure,
            externs: kept.externs,
        }
    }
}

/// What is known of the file at `path`, asked of `stores` in their order; `None` where nothing is, or
/// its bytes are no longer those.
#[must_use]
pub fn read(stores: &[&LocalStore], path: &Path) -> Option<OutputRecord> {
    read_with(stores, path, || Some(rekindle_fsx::hash_file(path).ok()?.0))
}

/// As [`read`], for a program that was given real paths in its debug information: its digest is that
/// before.
#[must_use]
pub fn read_program(
    stores: &[&LocalStore],
    path: &Path,
    replacements: &Replacements,
) -> Option<OutputRecord> {
    read_with(stores, path, || {
        Some(localise::canonical_digest(path, replacements).ok()?.0)
    })
}

fn read_with(
    stores: &[&LocalStore],
    path: &Path,
    digest: impl FnOnce() -> Option<Digest>,
) -> Option<OutputRecord> {
    let key = key(b"output", path);
    let sig = rekindle_fsx::stat(path).ok()?;
    if let Some(kept) =
        of_machine::<Kept>(stores, Space::Outputs, &key).find(|kept| kept.sig == sig.into())
    {
        return Some(kept.into());
    }
    if let Some(placeholder) = Placeholder::read(path).ok()? {
        return of_placeholder(placeholder);
    }
    // Another process may have put the bytes in a placeholder's place just now: it kept the record
    // before that, so both are looked up again.
    let sig = rekindle_fsx::stat(path).ok()?;
    let all: Vec<Kept> = of_machine(stores, Space::Outputs, &key).collect();
    if all.is_empty() {
        return None;
    }
    // A hardlink made or removed elsewhere also sets the change time.
    let digest = digest()?;
    if rekindle_fsx::stat(path).ok()? != sig {
        return None;
    }
    let mut kept = all.into_iter().find(|kept| kept.digest == digest)?;
    kept.sig = sig.into();
    keep_of_machine(stores, Space::Outputs, &key, &kept);
    Some(kept.into())
}

/// What a placeholder says of itself; `None` where the unit cache does not know the output.
#[must_use]
pub fn of_placeholder(placeholder: Placeholder) -> Option<OutputRecord> {
    let known = placeholder.known?;
    Some(OutputRecord {
        digest: placeholder.digest,
        closure: known.closure,
        externs: known.externs,
    })
}

/// Keeps a record of an output that was put in its place, in the first of `stores` that takes it.
/// `sig` is the file's signature with these very bytes.
pub fn keep(stores: &[&LocalStore], path: &Path, sig: StatSig, digest: Digest, known: &Known) {
    let kept = Kept {
        sig: sig.into(),
        digest,
        closure: known.closure,
        externs: known.externs.clone(),
    };
    keep_of_machine(stores, Space::Outputs, &key(b"output", path), &kept);
}

/// The records of this machine under a key, of `stores` in their order.
pub fn of_machine<T: for<'de> Deserialize<'de>>(
    stores: &[&LocalStore],
    space: Space,
    key: &Digest,
) -> impl Iterator<Item = T> {
    stores.iter().filter_map(move |store| {
        let record = store.get_record(space, key).ok()??;
        postcard::from_bytes(&record.payload).ok()
    })
}

/// Keeps a record of this machine in the first of `stores` that takes it. One that can be kept
/// nowhere costs a second look, or makes the units that are compiled with an output uncacheable.
pub fn keep_of_machine<T: Serialize>(
    stores: &[&LocalStore],
    space: Space,
    key: &Digest,
    value: &T,
) {
    let Ok(payload) = postcard::to_stdvec(value) else {
        return;
    };
    let _ = stores
        .iter()
        .any(|store| store.put_record(space, key, &[], &payload).is_ok());
}

/// The key of a record about a path.
#[must_use]
pub fn key(kind: &[u8], path: &Path) -> Digest {
    DigestHasher::new()
        .field(kind)
        .field(path.as_os_str().as_bytes())
        .finish()
}
