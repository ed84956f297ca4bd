//! Advisory locks on files, released when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct FileLock(File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has a copy of the
        // descriptor until it execs, and would hold the lock for that long.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

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

/// Waits for the exclusive lock on a file or directory that is there, which is opened for reading only.
///
/// # Errors
/// As opening and `flock`; some network file systems lock only what is open for writing.
pub fn exclusive_on(path: &Path) -> io::Result<FileLock> {
    let file = File::open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(FileLock(file))
}

/// Waits for the exclusive lock on a file that is there, and makes none: `None` where it is gone, also
/// where the one who held the lock removed it.
///
/// # Errors
/// As opening and `flock`.
pub fn exclusive_existing(path: &Path) -> io::Result<Option<FileLock>> {
    let Some(file) = crate::found(File::open(path))? else {
        return Ok(None);
    };
    flock(&file, FlockOperation::LockExclusive)?;
    let ours = crate::StatSig::of(&file.metadata()?);
    let there = crate::found(crate::stat(path))?;
    let same = there.is_some_and(|sig| (sig.dev, sig.ino) == (ours.dev, ours.ino));
    Ok(same.then(|| FileLock(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lock_is_free_whoever_has_a_copy_of_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = exclusive(&path).unwrap();
        assert!(try_exclusive(&path).unwrap().is_none());
        let copy = held.0.try_clone().unwrap();
        drop(held);
        assert!(try_exclusive(&path).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn a_file_that_its_holder_removed_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marker");
        assert!(exclusive_existing(&path).unwrap().is_none());
        assert!(!crate::exists(&path));
        std::fs::write(&path, b"").unwrap();
        let held = exclusive_existing(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || exclusive_existing(&path).unwrap().is_none()
        });
        crate::remove_file(&path).unwrap();
        drop(held);
        assert!(waiting.join().unwrap());
    }
}
