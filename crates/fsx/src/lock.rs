//! Advisory locks on files, released when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code, reason = "held for its lock")] File);

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Waits for the exclusive lock on `path`, making the file if it is missing.
///
/// # Errors
/// As opening and `flock`.
pub fn exclusive(path: &Path) -> io::Result<FileLock> {
    let file = open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(FileLock(file))
}

/// Takes the exclusive lock on `path` if nobody holds one; `None` where somebody does.
///
/// # Errors
/// As opening and `flock`.
pub fn try_exclusive(path: &Path) -> io::Result<Option<FileLock>> {
    let file = open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(FileLock(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
