//! Moving bytes between the store and a target directory, with their digest checked on the way.
//!
//! A placed file is a *reflink* where the file system can, else a *hardlink* where the caller allows
//! one (it then shares its inode with the store, so its bytes are read and checked each time that
//! they are served), else a *copy*. Every way ends in a rename, so that no half-written file is
//! ever seen under its own name.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;

use rekindle_base::{Digest, DigestHasher};
use rustix::io::Errno;

use crate::hash::{hash_open, piece_for};
use crate::{StatSig, failpoint};

/// How the bytes came to be where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Shares blocks until either side is written.
    Reflink,
    /// Shares the inode.
    Hardlink,
    /// Bytes of its own.
    Copy,
}

/// What a caller wants of a placed file.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Whether sharing an inode is acceptable: never for what people or tools change in place.
    pub hardlink: bool,
    /// Whether it must be executable.
    pub executable: bool,
}

/// A file that was placed.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// How.
    pub method: Method,
    /// The digest of its bytes, as read on the way.
    pub digest: Digest,
    /// Its signature afterwards.
    pub sig: StatSig,
}

/// Why a file could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is no source.
    #[error("there is no such file")]
    Missing,
    /// The source's bytes are not those that its name promises.
    #[error("its bytes have the digest {found}, not {expected}")]
    Corrupt {
        /// What was promised.
        expected: Digest,
        /// What was read.
        found: Digest,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<PlaceError> for io::Error {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Missing => io::ErrorKind::NotFound.into(),
            PlaceError::Io(error) => error,
            PlaceError::Corrupt { .. } => io::Error::other(error),
        }
    }
}

/// Places `source` at `dest` by way of `temporary` (on `dest`'s file system). With `expected`, the
/// bytes read must have that digest. A reflink or copy gets the present as its modification time;
/// a hardlink keeps its own. Where `dest` is itself temporary, both may be the same path.
///
/// # Errors
/// [`PlaceError`]; `dest` is then as it was and `temporary` is gone.
pub fn place(
    source: &Path,
    dest: &Path,
    temporary: &Path,
    expected: Option<Digest>,
    wish: Wish,
) -> Result<Placed, PlaceError> {
    let result = place_inner(source, dest, temporary, expected, wish);
    if result.is_err() {
        let _ = fs::remove_file(temporary);
    }
    result
}

fn place_inner(
    source: &Path,
    dest: &Path,
    temporary: &Path,
    expected: Option<Digest>,
    wish: Wish,
) -> Result<Placed, PlaceError> {
    let mut file = match File::open(source) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(PlaceError::Missing),
        Err(error) => return Err(error.into()),
    };
    let (method, digest) = if reflinked(source, temporary, &file, wish) {
        (Method::Reflink, hash_open(&mut file)?.0)
    } else if wish.hardlink && hardlinked(source, temporary, &file, wish) {
        (Method::Hardlink, hash_open(&mut file)?.0)
    } else {
        (Method::Copy, copy_open(&mut file, temporary, wish)?)
    };
    if let Some(expected) = expected
        && expected != digest
    {
        return Err(PlaceError::Corrupt {
            expected,
            found: digest,
        });
    }
    if temporary != dest {
        crate::rename(temporary, dest)?;
        if method == Method::Hardlink {
            // Renaming over another name of the same inode does nothing and leaves both names.
            crate::found(fs::remove_file(temporary))?;
        }
    }
    let sig = crate::stat(dest)?;
    Ok(Placed {
        method,
        digest,
        sig,
    })
}

fn mode_of(wish: Wish) -> u32 {
    if wish.executable { 0o777 } else { 0o666 }
}

/// Makes `temporary`, in the place of what somebody who was killed left there.
fn anew<T>(temporary: &Path, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    failpoint::hit();
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            crate::found(fs::remove_file(temporary))?;
            make()
        }
        result => result,
    }
}

/// Types of file systems that know no reflinks. To ask makes and removes a file, which costs more than to
/// copy a small one, and each process would ask anew.
const NEVER_REFLINKS: &[u32] = &[
    0xEF53,      // ext2, ext3, ext4
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
];

fn never_reflinks(directory: &Path) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the numbers have 32 bits, however wide and signed the field is"
    )]
    let kind = |stat: rustix::fs::StatFs| stat.f_type as u32;
    rustix::fs::statfs(directory).is_ok_and(|stat| NEVER_REFLINKS.contains(&kind(stat)))
}

/// Pairs of devices between which there are no reflinks, and which need not be asked again.
static WITHOUT_REFLINKS: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

/// Tries a reflink; most file systems say no, and are not asked again.
fn reflinked(source: &Path, temporary: &Path, file: &File, wish: Wish) -> bool {
    let directory = temporary.parent().unwrap_or(temporary);
    if never_reflinks(directory) {
        return false;
    }
    let device = |data: io::Result<fs::Metadata>| data.map(|data| data.dev()).ok();
    let to = device(fs::metadata(directory));
    let devices = device(file.metadata()).zip(to);
    let refused = |pair| WITHOUT_REFLINKS.lock().is_ok_and(|all| all.contains(&pair));
    if devices.is_none_or(refused) {
        return false;
    }
    if let Err(error) = anew(temporary, || reflink_copy::reflink(source, temporary)) {
        let _ = fs::remove_file(temporary);
        // Anything else may be another answer the next time.
        let is_final = [Errno::OPNOTSUPP, Errno::XDEV, Errno::NOTTY]
            .iter()
            .any(|code| error.raw_os_error() == Some(code.raw_os_error()));
        if let Some(pair) = devices.filter(|_| is_final)
            && let Ok(mut all) = WITHOUT_REFLINKS.lock()
        {
            all.insert(pair);
        }
        return false;
    }
    // The umask was applied when the clone was created; only the execute bits may differ.
    let Ok(data) = fs::metadata(temporary) else {
        return false;
    };
    let sig = StatSig::of(&data);
    if sig.is_executable() == wish.executable {
        return true;
    }
    let readable = sig.mode & 0o444;
    let mode = if wish.executable {
        (sig.mode & 0o777) | (readable >> 2)
    } else {
        sig.mode & 0o666
    };
    crate::set_mode(temporary, mode).is_ok()
}

/// Tries a hardlink of a source that is as it was published: a changed mode is a changed file. A
/// modification time that is still to come would make cargo rebuild what depends on it for ever.
fn hardlinked(source: &Path, temporary: &Path, file: &File, wish: Wish) -> bool {
    let Ok(data) = file.metadata() else {
        return false;
    };
    let sig = StatSig::of(&data);
    if sig.is_executable() != wish.executable
        || sig.mode & 0o600 != 0o600
        || sig.mtime_ns > crate::time::realtime_ns()
    {
        return false;
    }
    anew(temporary, || fs::hard_link(source, temporary)).is_ok()
}

fn copy_open(file: &mut File, temporary: &Path, wish: Wish) -> io::Result<Digest> {
    let mut copy = anew(temporary, || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode_of(wish));
        options.open(temporary)
    })?;
    let mut hasher = DigestHasher::new();
    let mut piece = vec![0; piece_for(file)];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&piece[..read]);
        failpoint::hit();
        copy.write_all(&piece[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic;

    fn wish(hardlink: bool) -> Wish {
        Wish {
            hardlink,
            executable: false,
        }
    }

    #[test]
    fn corrupt_bytes_are_never_placed() {
        let dir = tempfile::tempdir().unwrap();
        let (source, dest) = (dir.path().join("source"), dir.path().join("dest"));
        fs::write(&source, b"not what was promised").unwrap();
        fs::write(&dest, b"old").unwrap();
        for hardlink in [false, true] {
            let error = place(
                &source,
                &dest,
                &atomic::beside(&dest),
                Some(Digest::of(b"promised")),
                wish(hardlink),
            )
            .unwrap_err();
            assert!(matches!(error, PlaceError::Corrupt { .. }), "{error}");
            assert_eq!(fs::read(&dest).unwrap(), b"old");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_copy_is_independent_and_a_hardlink_placed_twice_leaves_no_second_name() {
        let dir = tempfile::tempdir().unwrap();
        let (source, dest) = (dir.path().join("source"), dir.path().join("dest"));
        fs::write(&source, b"bytes").unwrap();
        let placed = place(&source, &dest, &atomic::beside(&dest), None, wish(false)).unwrap();
        assert_eq!(placed.digest, Digest::of(b"bytes"));
        fs::write(&dest, b"changed").unwrap();
        assert_eq!(fs::read(&source).unwrap(), b"bytes");
        for _ in 0..2 {
            place(&source, &dest, &atomic::beside(&dest), None, wish(true)).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_executable_is_executable() {
        let dir = tempfile::tempdir().unwrap();
        let (source, dest) = (dir.path().join("source"), dir.path().join("dest"));
        fs::write(&source, b"#!/bin/true").unwrap();
        let wish = Wish {
            hardlink: true,
            executable: true,
        };
        let placed = place(&source, &dest, &atomic::beside(&dest), None, wish).unwrap();
        assert!(placed.sig.is_executable());
        assert_ne!(placed.method, Method::Hardlink);
    }
}
