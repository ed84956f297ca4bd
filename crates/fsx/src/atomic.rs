//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failpoint;

/// What every temporary name of ours begins with, so that sweeps know what is theirs to remove.
pub const TEMPORARY_PREFIX: &str = ".rekindle-";

/// A temporary name beside `path`, the same at each call: what a killed process left there is
/// replaced by the next one that places the same file. For directories with one writer per file.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(TEMPORARY_PREFIX);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

/// A temporary name in `dir` that no other process and no other call uses.
#[must_use]
pub fn unique_in(dir: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Process numbers are reused, and differ between containers that share a directory.
    let nanos = crate::time::realtime_ns();
    dir.join(format!("{TEMPORARY_PREFIX}{pid}-{nanos:x}-{number}"))
}

/// Writes `bytes` to `path` by way of `temporary`, which must be on the same file system.
///
/// # Errors
/// As creating, writing and renaming; the temporary file is removed then.
pub fn write_via(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let result = (|| {
        failpoint::hit();
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(temporary)?;
        failpoint::hit();
        file.write_all(bytes)?;
        drop(file);
        crate::rename(temporary, path)
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(temporary);
    }
    result
}

/// As [`write_via`], and makes the directories that are missing on the way. What was written already is kept:
/// a file that is made and removed costs those that are made after it.
///
/// # Errors
/// As [`write_via`], and as making directories.
pub fn write_making_way(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let result = crate::with_dir(dir_of(temporary), || {
        failpoint::hit();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        options.open(temporary)
    })
    .and_then(|mut file| {
        failpoint::hit();
        file.write_all(bytes)
    })
    .and_then(|()| crate::with_dir(dir_of(path), || crate::rename(temporary, path)));
    if result.is_err() {
        let _ = std::fs::remove_file(temporary);
    }
    result
}

/// Writes `bytes` to `path` by rename from a name of its own in the same directory.
///
/// # Errors
/// As [`write_via`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_via(&unique_in(dir_of(path)), path, bytes)
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
