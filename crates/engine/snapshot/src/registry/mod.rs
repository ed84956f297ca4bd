//! cargo's home: the packages of a lock file come back without a download.
//!
//! The CLI calls [`restore`] before cargo and [`capture`] after it. Packages of a registry come back
//! *sparse* (`rekindle_outputs::sparse`): with what cargo reads of a package that stays fresh. Git
//! dependencies come back whole. Parts: `lockfile` reads `Cargo.lock`; `index` cargo's cache of a
//! registry's index; `package` is a package's record, and what cargo looks at in its sources; `git`
//! repositories and their checkouts; [`Readers`] says which
//! packages have to come whole; `capture` and `restore` the two directions.
//!
//! # In the store
//!
//! All in the space `Packages`, under digests that [`key_of`] makes:
//!
//! - *package*, by registry directory, name, version and checksum: `package::Package`. No project's
//!   own, so a package that is known once costs nothing again.
//! - *registry*, by the source in the lock file: [`Registry`], the directory that this source had last.
//! - *git*, by the source in the lock file, which ends in the commit: `git::Repository`.
//!
//! # What is left to cargo
//!
//! Whatever is there already; registries whose index is a git repository; packages whose `.crate` has
//! another checksum than the lock file's or members that cargo would not unpack; what the store does not
//! have. What was left, and why, is in the result.

mod capture;
mod git;
mod index;
pub(crate) mod lockfile;
mod package;
mod readers;
mod restore;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_fsx as fsx;
use rekindle_outputs::sparse::Filled;
use rekindle_store::{LocalStore, StoreError};
use serde::{Deserialize, Serialize};

pub use capture::capture;
pub use readers::Readers;
pub use restore::{Wanted, restore};

/// What capturing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Whether the same was captured before, so that nothing was looked at.
    pub unchanged: bool,
    /// Packages that the store has now, and repositories.
    pub known: u64,
    /// Of these, those that it did not have before.
    pub new: u64,
    /// Bytes of their `.crate`s and files.
    pub new_bytes: u64,
    /// What was left to cargo.
    pub left: Vec<Left>,
}

/// What restoring did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Packages of registries that were put in place, with their files.
    pub packages: Filled,
    /// Of these, how many whole.
    pub whole: u64,
    /// Files of registries' indexes.
    pub index_files: u64,
    /// Git repositories and checkouts, with their files.
    pub git: Filled,
    /// Sparse packages whose sources the store has lost, so that cargo downloads them.
    pub lost: u64,
    /// What was left to cargo.
    pub left: Vec<Left>,
}

/// What was left to cargo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// A package, a repository or a registry, as people call it.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Why nothing was captured or restored.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The lock file cannot be read: cargo will say so, too.
    #[error("cannot read Cargo.lock: {0}")]
    Lock(String),
    /// The system refused.
    #[error("cannot use `{}`: {error}", path.display())]
    Io {
        /// What was used.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegistryError {
    fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}

/// What the directories of a lock file's packages are called, of those that come from a registry.
///
/// # Errors
/// Where the file cannot be read, or says nothing that is understood.
pub fn package_dirs(lock_path: &Path) -> Result<BTreeSet<String>, RegistryError> {
    let lock = read_lock(lock_path)?;
    let packages = lock.into_iter().flat_map(|(_, lock)| lock.registry);
    Ok(packages.map(|package| package.dir_name()).collect())
}

/// The keys of the records that a lock file's packages have, as far as their registries are known.
pub(crate) fn keys(store: &LocalStore, lock_path: &Path) -> Vec<Digest> {
    let Ok(Some((_, lock))) = read_lock(lock_path) else {
        return Vec::new();
    };
    let mut keys: Vec<Digest> = lock.git.iter().map(git::key).collect();
    let mut left = Restored::default();
    for (registry, packages) in restore::homes(store, &lock, &mut left) {
        let of_registry = packages
            .first()
            .map(|package| registry_key(&package.source));
        keys.extend(of_registry);
        let packages = packages.into_iter();
        keys.extend(packages.map(|package| package::key(&registry.dir, package)));
    }
    keys
}

/// The version of all that is below.
const VERSION: u32 = 1;

/// Where a registry is in cargo's home: the payload (postcard) of a record in the space `Packages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Registry {
    version: u32,
    /// The directory's name.
    dir: String,
    /// Its `config.json`.
    config: Vec<u8>,
}

impl Registry {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let registry: Self = postcard::from_bytes(bytes).ok()?;
        let fine = registry.version == VERSION && lockfile::is_plain(&registry.dir);
        fine.then_some(registry)
    }
}

fn registry_key(source: &str) -> Digest {
    key_of(&[b"registry", source.as_bytes()])
}

/// A record's name: the digest of `rekindle registry 1` and the parts, each behind its length.
fn key_of(parts: &[&[u8]]) -> Digest {
    let mut hasher = DigestHasher::new();
    for part in [&b"rekindle registry 1"[..]].iter().chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finish()
}

/// cargo's own lock of what it downloads to its home; waits for a cargo that is at it.
fn lock_packages(cargo_home: &Path) -> Result<fsx::lock::FileLock, RegistryError> {
    let path = cargo_home.join(".package-cache");
    fsx::create_dir_all(cargo_home).map_err(RegistryError::at(cargo_home))?;
    fsx::lock::exclusive(&path).map_err(RegistryError::at(&path))
}

fn read_lock(path: &Path) -> Result<Option<(String, lockfile::Lock)>, RegistryError> {
    let Some(bytes) = fsx::read_if_exists(path).map_err(RegistryError::at(path))? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|error| RegistryError::Lock(error.to_string()))?;
    let lock = lockfile::parse(&text)?;
    Ok(Some((text, lock)))
}
