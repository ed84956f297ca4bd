//! Putting the bytes in a placeholder's place.
//!
//! Called by the wrapper before a compiler starts, by the launcher before a program does, and by the
//! command for what a person collects. The bytes come from the store that the placeholder names, with
//! their digest checked, by reflink or copy. By checked hardlink only a library whose metadata lies
//! beside it (cargo takes the newer of the two times, which the metadata keeps), and metadata that nobody else
//! shares. Everything but the library has the placeholder's modification time and mode, so that cargo sees no change. A file appears by rename, whole; whoever dies half-way leaves the placeholder.
//!
//! Several processes may do it at once, and to one file: the placeholder itself is locked meanwhile
//! (for a link, its directory), and the second finds it done. Names that share a placeholder's inode
//! are left sharing the new one, since cargo links anew what does not.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, parallel, progress};
use rekindle_fsx::lock::{self, FileLock};
use rekindle_fsx::place::{Method, Wish};
use rekindle_fsx::{FileKind, StatSig};
use rekindle_store::{LocalStore, Store, StoreError};

use crate::early::Ready;
use crate::localise;
use crate::placeholder::Placeholder;
use crate::record;

/// What was put in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Materialised {
    /// Files that this call put in their places: none where they were real already. Names that share
    /// an inode count as one.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why a placeholder is still one.
#[derive(Debug, thiserror::Error)]
pub enum MaterialiseError {
    /// The store has no such object any more.
    #[error(
        "`{}` stands for an object that is gone from the store in `{}`; build with `rekindle`, which makes it anew",
        path.display(), store.display()
    )]
    Missing {
        /// The placeholder.
        path: PathBuf,
        /// The object.
        digest: Digest,
        /// The store's directory.
        store: PathBuf,
    },
    /// The object's bytes were not those that were stored; it has been removed.
    #[error(
        "`{}` stands for an object that is damaged in the store in `{}`; build with `rekindle`, which makes it anew",
        path.display(), store.display()
    )]
    Damaged {
        /// The placeholder.
        path: PathBuf,
        /// The object.
        digest: Digest,
        /// The store's directory.
        store: PathBuf,
    },
    /// The system refused.
    #[error("the bytes of `{}` could not be put in its place: {error}", path.display())]
    Io {
        /// The placeholder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl MaterialiseError {
    /// The placeholder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing { path, .. } | Self::Damaged { path, .. } | Self::Io { path, .. } => path,
        }
    }

    /// Whether no later try can help: the unit must be built anew.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// What became of many.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was put in its place.
    pub done: Materialised,
    /// Those of the paths whose bytes this call put in their places.
    pub paths: Vec<PathBuf>,
    /// What could not be.
    pub failed: Vec<MaterialiseError>,
}

impl Outcome {
    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        self.done.files += other.done.files;
        self.done.bytes += other.done.bytes;
        self.paths.extend(other.paths);
        self.failed.extend(other.failed);
    }
}

/// Puts the bytes in the place of one placeholder. A file that is none is left alone.
///
/// # Errors
/// [`MaterialiseError`]; a missing file is [`MaterialiseError::Io`].
pub fn materialise(path: &Path) -> Result<Materialised, MaterialiseError> {
    materialise_names(&[path.to_owned()], None)
}

/// As [`materialise`], for one file with all of the given names that share its inode. What is known
/// of the output is kept in the placeholder's store, or in `beside` where that takes no records.
///
/// # Errors
/// As [`materialise`], for the first name.
pub fn materialise_names(
    names: &[PathBuf],
    beside: Option<&LocalStore>,
) -> Result<Materialised, MaterialiseError> {
    one(names, beside, None)
}

fn one(
    names: &[PathBuf],
    beside: Option<&LocalStore>,
    ready: Option<&Ready>,
) -> Result<Materialised, MaterialiseError> {
    let Some(first) = names.first() else {
        return Ok(Materialised::default());
    };
    let io = |error| MaterialiseError::Io {
        path: first.clone(),
        error,
    };
    if Placeholder::read(first).map_err(io)?.is_none() {
        return Ok(Materialised::default());
    }
    let sig = rekindle_fsx::stat(first).map_err(io)?;
    let lock = locked(first, sig);
    // Whoever held the lock before may have done it.
    let Some(placeholder) = Placeholder::read(first).map_err(io)? else {
        return Ok(Materialised::default());
    };
    let sig = rekindle_fsx::stat(first).map_err(io)?;
    let temporary = temporary(first, lock.is_some());
    let result = fill(&placeholder, sig, &temporary, names, (beside, ready));
    if result.is_err() {
        let _ = rekindle_fsx::remove_file(&temporary);
    }
    drop(lock);
    result.map_err(|error| failed(first, &placeholder, error))
}

fn failed(path: &Path, placeholder: &Placeholder, error: StoreError) -> MaterialiseError {
    let path = path.to_owned();
    let (digest, store) = (placeholder.digest, placeholder.store.clone());
    match error {
        StoreError::Missing => MaterialiseError::Missing {
            path,
            digest,
            store,
        },
        StoreError::Corrupt => MaterialiseError::Damaged {
            path,
            digest,
            store,
        },
        StoreError::Io(error) => MaterialiseError::Io { path, error },
    }
}

/// Puts the bytes that a placeholder stands for at `beside`, which is replaced; the placeholder stays. A
/// program that is real already is copied.
///
/// # Errors
/// As [`materialise`].
pub fn materialise_beside(path: &Path, beside: &Path) -> Result<Materialised, MaterialiseError> {
    let io = |error| MaterialiseError::Io {
        path: path.to_owned(),
        error,
    };
    let temporary = rekindle_fsx::atomic::beside(beside);
    let Some(placeholder) = Placeholder::read(path).map_err(io)? else {
        let wish = Wish {
            hardlink: false,
            executable: true,
        };
        let placed = rekindle_fsx::place::place(path, beside, &temporary, None, wish);
        let placed = placed.map_err(|error| io(io::Error::other(error)))?;
        return Ok(Materialised {
            files: 0,
            bytes: placed.sig.size,
        });
    };
    let placed = bytes_at(&placeholder, &temporary)
        .and_then(|size| Ok(rekindle_fsx::rename(&temporary, beside).map(|()| size)?));
    if placed.is_err() {
        let _ = rekindle_fsx::remove_file(&temporary);
    }
    placed
        .map(|bytes| Materialised { files: 1, bytes })
        .map_err(|error| failed(path, &placeholder, error))
}

/// Puts the bytes at a path that nobody uses yet, with the placeholder's mode. Their number.
pub(crate) fn bytes_at(placeholder: &Placeholder, temporary: &Path) -> Result<u64, StoreError> {
    let store = LocalStore::open(&placeholder.store);
    let wish = Wish {
        hardlink: false,
        executable: placeholder.mode & 0o111 != 0,
    };
    let placed = store.place_object(&placeholder.digest, temporary, wish)?;
    localise::localise(temporary, &placeholder.replacements)?;
    rekindle_fsx::set_mode(temporary, placeholder.mode)?;
    Ok(placed.sig.size)
}

/// Materialises all of `paths` that are placeholders, several at a time. Paths that share an inode are
/// left sharing one.
#[must_use]
pub fn materialise_all(paths: &[PathBuf], beside: Option<&LocalStore>) -> Outcome {
    all(paths, beside, None)
}

/// As [`materialise_all`], with files that are made already.
#[must_use]
pub fn materialise_ready(paths: &[PathBuf], ready: &Ready) -> Outcome {
    all(paths, None, Some(ready))
}

fn all(paths: &[PathBuf], beside: Option<&LocalStore>, ready: Option<&Ready>) -> Outcome {
    let files = by_inode(paths);
    progress().expect(files.len() as u64);
    crate::bring::placeholders(&files);
    let results = parallel::map_at_most(threads(), &files, |names| {
        let result = one(names, beside, ready);
        progress().did(1);
        result
    });
    let mut outcome = Outcome::default();
    for (names, result) in files.iter().zip(results) {
        match result {
            Ok(done) if done.files > 0 => {
                outcome.done.files += done.files;
                outcome.done.bytes += done.bytes;
                outcome.paths.extend(names.iter().cloned());
            }
            Ok(_) => {}
            Err(error) => outcome.failed.push(error),
        }
    }
    outcome
}

/// The names of a placeholder that are likely to share its inode, itself first: cargo gives programs
/// and libraries a second name beside the directory of the first.
#[must_use]
pub fn names(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    let Ok(sig) = rekindle_fsx::stat(path) else {
        return names;
    };
    let missing = sig.nlink.saturating_sub(1);
    if sig.kind() != FileKind::File || missing == 0 {
        return names;
    }
    for dir in crate::layout::neighbours(path) {
        for entry in rekindle_fsx::list_dir(&dir).unwrap_or_default() {
            let same = (entry.sig.dev, entry.sig.ino) == (sig.dev, sig.ino);
            if same && !names.contains(&entry.path) {
                names.push(entry.path);
            }
        }
        if names.len() as u64 > missing {
            break;
        }
    }
    names
}

/// Copying is bound by the disk and by memory: more would only take turns.
const THREADS_MAX: usize = 8;

fn threads() -> usize {
    let available = std::thread::available_parallelism().map_or(2, usize::from);
    available.clamp(2, THREADS_MAX)
}

/// The paths, names of one inode together. While a file is exchanged for its placeholder, that has the temporary name for a moment:
/// who walks a directory in which another process does so sees it, and a moment later does not find it.
fn by_inode(paths: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let mut files: Vec<Vec<PathBuf>> = Vec::with_capacity(paths.len());
    let mut shared = BTreeMap::new();
    for path in paths.iter().filter(|path| !is_temporary(path)) {
        let sig = rekindle_fsx::stat(path);
        let inode = sig
            .ok()
            .filter(|sig| sig.nlink > 1 && sig.kind() == FileKind::File)
            .map(|sig| (sig.dev, sig.ino));
        match inode {
            Some(inode) => {
                let index = *shared.entry(inode).or_insert(files.len());
                if index == files.len() {
                    files.push(Vec::new());
                }
                if !files[index].contains(path) {
                    files[index].push(path.clone());
                }
            }
            None => files.push(vec![path.clone()]),
        }
    }
    files
}

/// Keeps others out; `None` where the file system has no such locks.
fn locked(path: &Path, sig: StatSig) -> Option<FileLock> {
    match sig.kind() {
        FileKind::File => lock::exclusive_on(path).ok(),
        _ => lock::exclusive_on(path.parent()?).ok(),
    }
}

/// A short name: the placeholder's own may be as long as a name can be. Under the lock it is always
/// the same one, so that the next to come replaces what a killed process left.
fn temporary(path: &Path, locked: bool) -> PathBuf {
    let dir = path.parent().unwrap_or(Path::new("."));
    if !locked {
        return rekindle_fsx::atomic::unique_in(dir);
    }
    let name = Digest::of(path.file_name().unwrap_or_default().as_bytes()).to_hex();
    let mut temporary = OsString::from(rekindle_fsx::atomic::TEMPORARY_PREFIX);
    temporary.push(&name[..16]);
    dir.join(temporary)
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.starts_with(rekindle_fsx::atomic::TEMPORARY_PREFIX.as_bytes())
}

fn fill(
    placeholder: &Placeholder,
    sig: StatSig,
    temporary: &Path,
    names: &[PathBuf],
    (beside, ready): (Option<&LocalStore>, Option<&Ready>),
) -> Result<Materialised, StoreError> {
    let store = LocalStore::open(&placeholder.store);
    let bytes = match shared(&store, placeholder, sig, temporary, names)? {
        Some(bytes) => bytes,
        None => {
            let is_ready = ready.and_then(|ready| ready.place(placeholder, temporary));
            let bytes = match is_ready {
                Some(bytes) => bytes,
                None => bytes_at(placeholder, temporary)?,
            };
            rekindle_fsx::set_mtime(temporary, sig.mtime_ns)?;
            bytes
        }
    };
    let stores: Vec<&LocalStore> = [&store].into_iter().chain(beside).collect();
    let keep = |at: &Path| -> io::Result<()> {
        if let Some(known) = &placeholder.known {
            let mut sig = rekindle_fsx::stat(at)?;
            if !placeholder.replacements.is_empty() {
                // The digest is not that of these bytes: only `record::read_program` may find it.
                sig.ctime_ns = 0;
            }
            for name in names {
                record::keep(&stores, name, sig, placeholder.digest, known);
            }
        }
        Ok(())
    };
    // Before the rename: whoever sees the file finds a record of it. After it: with the change time
    // that the rename set.
    keep(temporary)?;
    let (first, others) = names.split_first().ok_or(StoreError::Missing)?;
    for other in others {
        let is_same = |other: StatSig| (other.dev, other.ino) == (sig.dev, sig.ino);
        if rekindle_fsx::stat(other).is_ok_and(is_same) {
            rekindle_fsx::hard_link(temporary, other)?;
        }
    }
    rekindle_fsx::rename_large(temporary, first)?;
    keep(first)?;
    Ok(Materialised { files: 1, bytes })
}

/// How a file may share its inode with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// With whoever has it, so it has the object's time: a library, beside metadata that has the unit's.
    WithOthers,
    /// With the store alone, whose object then gets the placeholder's time: metadata.
    WithTheStore,
}

/// Puts the store's own inode at `temporary`, where that does as well. How many bytes it has.
fn shared(
    store: &LocalStore,
    placeholder: &Placeholder,
    sig: StatSig,
    temporary: &Path,
    names: &[PathBuf],
) -> Result<Option<u64>, StoreError> {
    let digest = &placeholder.digest;
    let Some(sharing) = sharing(placeholder, names) else {
        return Ok(None);
    };
    // Asked before, since to link an object is to read all of it.
    let is_in_vain = match (sharing, store.object_sig(digest)) {
        (Sharing::WithOthers, object) => {
            object.is_some_and(|object| object.mtime_ns > sig.mtime_ns)
        }
        (Sharing::WithTheStore, object) => object.is_none_or(|object| object.nlink != 1),
    };
    if is_in_vain {
        return Ok(None);
    }
    let wish = Wish {
        hardlink: true,
        executable: placeholder.mode & 0o111 != 0,
    };
    let placed = store.place_object(digest, temporary, wish)?;
    if placed.method != Method::Hardlink {
        rekindle_fsx::set_mode(temporary, placeholder.mode)?;
        rekindle_fsx::set_mtime(temporary, sig.mtime_ns)?;
        return Ok(Some(placed.sig.size));
    }
    let has_mode = placed.sig.mode & 0o777 == placeholder.mode & 0o777;
    let may_stay = match sharing {
        // A later time than the metadata's would be the unit's, and what depends on it out of date.
        Sharing::WithOthers => placed.sig.mtime_ns <= sig.mtime_ns,
        // Who linked it at the same moment has another time in mind.
        Sharing::WithTheStore => placed.sig.nlink == 2,
    };
    let fits = has_mode && may_stay;
    if fits && sharing == Sharing::WithTheStore {
        rekindle_fsx::set_mtime(temporary, sig.mtime_ns)?;
    }
    Ok(fits.then_some(placed.sig.size))
}

/// Whether and how a file may share its inode with the store: one that people have no second name of, and that compilers
/// replace as a whole.
fn sharing(placeholder: &Placeholder, names: &[PathBuf]) -> Option<Sharing> {
    let [name] = names else { return None };
    let ending = name.extension().and_then(OsStr::to_str);
    match ending.filter(|_| placeholder.replacements.is_empty())? {
        "rlib" if rekindle_fsx::exists(&name.with_extension("rmeta")) => Some(Sharing::WithOthers),
        "rmeta" => Some(Sharing::WithTheStore),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
