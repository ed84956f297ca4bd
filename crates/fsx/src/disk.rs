//! How much room a file system has, what a directory takes of it, and what it can do.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use crate::{atomic, remove_file};

/// The room of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What this user may still write, in bytes.
    pub available_bytes: u64,
    /// Files and directories that it can hold; 0 where it has no such bound.
    pub total_files: u64,
    /// Of these, how many this user may still make.
    pub available_files: u64,
    /// Whether nothing can be written.
    pub read_only: bool,
}

/// The room of the file system that `path` is on.
///
/// # Errors
/// As `statvfs`.
pub fn room(path: &Path) -> io::Result<Room> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Room {
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_files: stat.f_files,
        available_files: stat.f_favail,
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// What a directory takes on its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes that are allocated: several names of one file count once, holes not at all.
    pub bytes: u64,
    /// The newest modification time of a file or directory in it: nanoseconds since 1970.
    pub newest_ns: i64,
    /// Whether all of it was looked at before the time was up.
    pub complete: bool,
}

/// What all below `root` takes, links not followed, other file systems left out; what cannot be read counts
/// as nothing. Stops at `until`.
#[must_use]
pub fn taken(root: &Path, until: Instant) -> Taken {
    let mut taken = Taken {
        complete: true,
        ..Taken::default()
    };
    let Ok(top) = fs::symlink_metadata(root) else {
        return taken;
    };
    let mut seen = HashSet::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        if Instant::now() > until {
            taken.complete = false;
            break;
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            let is_dir = data.is_dir();
            let again = !is_dir && data.nlink() > 1 && !seen.insert(data.ino());
            if again || data.dev() != top.dev() {
                continue;
            }
            let mtime_ns = data.mtime().saturating_mul(1_000_000_000) + data.mtime_nsec();
            taken.newest_ns = taken.newest_ns.max(mtime_ns);
            taken.bytes += data.blocks() * 512;
            if is_dir {
                pending.push(entry.path());
            }
        }
    }
    taken
}

/// Whether two files in a directory can share their blocks. Makes and removes two small files.
///
/// # Errors
/// Where the files cannot be written.
pub fn can_reflink(dir: &Path) -> io::Result<bool> {
    let (from, to) = (atomic::unique_in(dir), atomic::unique_in(dir));
    let written = fs::write(&from, [7; 4096]);
    let shared = written.map(|()| reflink_copy::reflink(&from, &to).is_ok());
    let _ = remove_file(&from);
    let _ = remove_file(&to);
    shared
}

/// Writes a file of zeros of this size, has it written to the disk, and removes it. For those who want to know
/// how long that takes.
///
/// # Errors
/// As writing; nothing is left behind.
pub fn write_through(path: &Path, size_bytes: usize) -> io::Result<()> {
    use std::io::Write;
    // Not all zeros: some file systems keep none of these.
    let piece: Vec<u8> = (0..64 * 1024_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let written = fs::File::create_new(path).and_then(|mut file| {
        let mut left = size_bytes;
        while left > 0 {
            let now = left.min(piece.len());
            file.write_all(&piece[..now])?;
            left -= now;
        }
        file.sync_data()
    });
    let _ = remove_file(path);
    written
}

/// The names of directories below `root` that hold a file of this name, at most `depth` levels down. Hidden
/// directories are looked into as well.
#[must_use]
pub fn holders(root: &Path, file: &str, depth: usize) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    let mut level = vec![root.to_owned()];
    for _ in 0..=depth {
        let mut next = Vec::new();
        for dir in level {
            if crate::exists(&dir.join(file)) {
                found.insert(dir);
                continue;
            }
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    next.push(entry.path());
                }
            }
        }
        level = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn two_names_of_a_file_take_its_room_once() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("one"), vec![1; 100_000]).unwrap();
        let one = taken(dir.path(), soon());
        assert!(one.complete && one.bytes >= 100_000, "{one:?}");
        fs::hard_link(below.join("one"), below.join("two")).unwrap();
        assert_eq!(taken(dir.path(), soon()).bytes, one.bytes);
        fs::copy(below.join("one"), below.join("three")).unwrap();
        assert!(taken(dir.path(), soon()).bytes >= one.bytes + 100_000);
    }

    #[test]
    fn a_look_that_takes_too_long_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        assert!(!taken(dir.path(), past).complete);
    }

    #[test]
    fn nothing_of_a_measurement_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        assert!(room(dir.path()).unwrap().total_bytes > 0);
        write_through(&dir.path().join("x"), 200_000).unwrap();
        can_reflink(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn holders_are_found_down_to_a_depth() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("mark"), "").unwrap();
        assert_eq!(holders(dir.path(), "mark", 2), BTreeSet::from([deep]));
        assert!(holders(dir.path(), "mark", 1).is_empty());
    }
}
