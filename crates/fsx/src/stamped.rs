//! Files with times that the caller chooses: what a snapshot restores.

use std::fs::{FileTimes, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failpoint;

/// Writes a file that is not there yet, with this modification time. Its access time is the oldest
/// there is, so that a reader leaves a trace: see [`was_read`].
///
/// # Errors
/// As creating and writing; a file that is there is one.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32, mtime_ns: i64) -> io::Result<()> {
    failpoint::hit();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    failpoint::hit();
    let times = FileTimes::new()
        .set_modified(moment(mtime_ns))
        .set_accessed(UNIX_EPOCH);
    file.set_times(times)
}

fn moment(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 {
        UNIX_EPOCH - distance
    } else {
        UNIX_EPOCH + distance
    }
}

/// Whether something has read a file of [`write_new`]'s since. Where the file
/// system keeps no access times, nothing seems to have been read.
///
/// # Errors
/// As `lstat`.
pub fn was_read(path: &Path) -> io::Result<bool> {
    let data = std::fs::symlink_metadata(path)?;
    Ok((data.atime(), data.atime_nsec()) != (0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_that_were_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let time = 1_700_000_000_123_456_789;
        write_new(&path, b"x", 0o644, time).unwrap();
        assert_eq!(crate::stat(&path).unwrap().mtime_ns, time);
        assert!(!was_read(&path).unwrap());
        assert!(write_new(&path, b"x", 0o644, time).is_err());

        let before = dir.path().join("y");
        write_new(&before, b"", 0o644, -1).unwrap();
        assert_eq!(crate::stat(&before).unwrap().mtime_ns, -1);
    }
}
