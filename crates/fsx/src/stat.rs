//! What the kernel says of a file, as a signature.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Tells whether a file is still the one that was seen. Any write, `chmod`, link or rename sets the
/// change time, which no program can set back, so an equal signature means equal bytes as long as
/// the clock was not moved back to the very nanosecond and the inode not reused in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct StatSig {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Names that this inode has.
    pub nlink: u64,
    /// Modification time: nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time: nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link, device, socket or pipe.
    Other,
}

impl StatSig {
    pub(crate) fn of(data: &std::fs::Metadata) -> Self {
        Self {
            dev: data.dev(),
            ino: data.ino(),
            size: data.size(),
            mode: data.mode(),
            nlink: data.nlink(),
            mtime_ns: nanoseconds(data.mtime(), data.mtime_nsec()),
            ctime_ns: nanoseconds(data.ctime(), data.ctime_nsec()),
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        match self.mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Dir,
            _ => FileKind::Other,
        }
    }

    /// Whether anyone may execute it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// The signature of what is at `path`, a last link not followed.
///
/// # Errors
/// As `lstat`.
pub fn stat(path: &Path) -> io::Result<StatSig> {
    std::fs::symlink_metadata(path).map(|data| StatSig::of(&data))
}

/// The signature of the file that `path` leads to.
///
/// # Errors
/// As `stat`.
pub fn stat_follow(path: &Path) -> io::Result<StatSig> {
    std::fs::metadata(path).map(|data| StatSig::of(&data))
}
