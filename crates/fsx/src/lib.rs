//! The only user of `std::fs`: atomic writes, placing files, locks, times, signatures of files.
//!
//! Parts: [`StatSig`] tells whether a file is still the one that was seen; [`place`] moves bytes
//! between the store and a target directory, checking their digest on the way; [`atomic`] publishes
//! by rename; [`lock`] is advisory locking; [`time`] the clocks that decide whether a source was
//! changed while it was compiled. The rest are thin wrappers, so that every other crate can be
//! checked not to reach around them.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this crate is the one that owns the file system"
)]

#[cfg(target_os = "linux")]
mod apart;
pub mod atomic;
pub mod disk;
mod failpoint;
mod hash;
pub mod lock;
pub mod place;
pub mod scan;
pub mod stamped;
mod stat;
pub mod time;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use hash::hash_file;
pub use stat::{FileKind, StatSig, stat, stat_follow};
pub use std::fs::FileType;

/// The names that `uname` gives, as files of these names in `/proc/sys/kernel` hold them.
pub const MACHINE_NAMES: &[&str] = &[
    "ostype",
    "hostname",
    "osrelease",
    "version",
    "arch",
    "domainname",
];

/// Lets this thread, and those that it starts, have little of what others want: 19 leaves them nearly all. Where the system refuses, they
/// wait a little longer.
pub fn yield_to_others(niceness: i32) {
    // Elsewhere this would be the whole process, whose children inherit it.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, niceness);
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

/// What `uname` says, by the name of the file in `/proc/sys/kernel` that says the same; `None` for another
/// name. Old kernels have not all of these files.
#[must_use]
pub fn machine_name(name: &[u8]) -> Option<Vec<u8>> {
    let names = rustix::system::uname();
    let value = match name {
        b"ostype" => names.sysname(),
        b"hostname" => names.nodename(),
        b"osrelease" => names.release(),
        b"version" => names.version(),
        b"arch" => names.machine(),
        #[cfg(target_os = "linux")]
        b"domainname" => names.domainname(),
        _ => return None,
    };
    Some(value.to_bytes().to_vec())
}

/// How this host is called.
#[must_use]
pub fn host_name() -> Vec<u8> {
    machine_name(b"hostname").unwrap_or_default()
}

/// The bytes of a file.
///
/// # Errors
/// As [`fs::read`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// A NUL this early tells that a file is no text.
const HEAD_BYTES: u64 = 4096;

/// The bytes of a file that may be a text; `None`, and little is read, where its first ones hold a NUL.
///
/// # Errors
/// As opening and reading.
pub fn read_unless_binary(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_such(path, HEAD_BYTES, |head| memchr::memchr(0, head).is_none())
}

/// The bytes of a file whose first ones, at most `head_bytes` of them, are such as wanted; else `None`, and no more than
/// those is read.
///
/// # Errors
/// As opening and reading.
fn read_such(
    path: &Path,
    head_bytes: u64,
    wanted: impl FnOnce(&[u8]) -> bool,
) -> io::Result<Option<Vec<u8>>> {
    let mut file = open(path)?;
    // With no room to begin with it would be read by pieces of 32 bytes and their doubles.
    let mut bytes = Vec::with_capacity(usize::try_from(head_bytes).unwrap_or(0));
    file.by_ref().take(head_bytes).read_to_end(&mut bytes)?;
    if !wanted(&bytes) {
        return Ok(None);
    }
    if bytes.len() as u64 == head_bytes {
        file.read_to_end(&mut bytes)?;
    }
    Ok(Some(bytes))
}

/// The bytes of a file, or `None` where there is none.
///
/// # Errors
/// As [`fs::read`], but for a missing file.
pub fn read_if_exists(path: &Path) -> io::Result<Option<Vec<u8>>> {
    found(fs::read(path))
}

/// The first `at_most` bytes of a file and its signature, of the same inode; `None` where there is
/// none. For files that others may have damaged: a huge one costs no more than the bound.
///
/// # Errors
/// As opening and reading, but for a missing file.
pub fn read_with_sig(path: &Path, at_most: u64) -> io::Result<Option<(Vec<u8>, StatSig)>> {
    use std::io::Read;
    let Some(file) = found(fs::File::open(path))? else {
        return Ok(None);
    };
    let sig = StatSig::of(&file.metadata()?);
    let expected = usize::try_from(sig.size.min(at_most)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(expected.saturating_add(1));
    file.take(at_most).read_to_end(&mut bytes)?;
    Ok(Some((bytes, sig)))
}

/// The text of a file.
///
/// # Errors
/// As [`fs::read_to_string`].
pub fn read_to_string(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// Turns "not found" into `None`.
///
/// # Errors
/// Any other error, unchanged.
pub fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates a directory and its parents.
///
/// # Errors
/// Makes a change; where its directory is missing makes that and tries once more.
///
/// # Errors
/// As the change, and as making the directory.
pub fn with_dir<T>(dir: &Path, change: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match change() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_dir_all(dir)?;
            change()
        }
        result => result,
    }
}

/// As [`fs::create_dir_all`].
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    failpoint::hit();
    fs::create_dir_all(path)
}

/// As [`create_dir_all`], for a directory that thousands of files are about to be made in: at another place of the disk each
/// time, where the file system takes such a hint. ext4 without a journal passes over inodes that were freed in the
/// last minutes, one by one and for each new file: where a directory like this one was just removed, its like
/// beside it takes seconds.
///
/// # Errors
/// As [`create_dir_all`].
pub fn create_dir_apart(path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(parent) = path.parent()
        && !exists(path)
    {
        create_dir_all(parent)?;
        // Somebody else may be faster, and most file systems refuse the hint.
        let _ = apart::create(parent, path);
    }
    create_dir_all(path)
}

/// Removes a file; a missing one is fine.
///
/// # Errors
/// As [`fs::remove_file`], but for a missing file.
pub fn remove_file(path: &Path) -> io::Result<()> {
    failpoint::hit();
    found(fs::remove_file(path)).map(|_| ())
}

/// Removes a directory with all it holds; a missing one is fine.
///
/// # Errors
/// As [`fs::remove_dir_all`], but for a missing directory.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    failpoint::hit();
    found(fs::remove_dir_all(path)).map(|_| ())
}

/// Moves a file within one file system, replacing what is there.
///
/// # Errors
/// As [`fs::rename`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    failpoint::hit();
    fs::rename(from, to)
}

/// As [`rename`], for a large file that was just written. Where a rename replaces a file, some file systems (ext4) write
/// the new one to the disk first, so that a crash leaves one of the two whole; an exchange does not wait. After a
/// crash of the machine the file may be short; it is one that a build makes again.
///
/// # Errors
/// As [`rename`].
pub fn rename_large(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        failpoint::hit();
        if renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE).is_ok() {
            failpoint::hit();
            return remove_file(from);
        }
    }
    rename(from, to)
}

/// Whether something is at `path`, without following a last link.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a directory is at `path`, or behind a link there.
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    stat_follow(path).is_ok_and(|sig| sig.kind() == FileKind::Dir)
}

/// The path with links resolved.
///
/// # Errors
/// As [`fs::canonicalize`].
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// A path whose directory has no links in it; what is there need not be there yet, and may be one. As it stands where its
/// directory has no real path.
#[must_use]
pub fn real_but_last(path: &Path) -> PathBuf {
    let directory = path.parent().and_then(|dir| canonicalize(dir).ok());
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// Where a symbolic link points.
///
/// # Errors
/// As [`fs::read_link`].
pub fn read_link(path: &Path) -> io::Result<PathBuf> {
    fs::read_link(path)
}

/// Makes `link` a symbolic link to `original`, replacing what was there by rename.
///
/// # Errors
/// As [`std::os::unix::fs::symlink`].
pub fn symlink(original: &Path, link: &Path) -> io::Result<()> {
    let temporary = atomic::beside(link);
    remove_file(&temporary)?;
    failpoint::hit();
    std::os::unix::fs::symlink(original, &temporary)?;
    rename(&temporary, link)
}

/// Makes `link` another name of the file `original`, replacing what was there by rename.
///
/// # Errors
/// As [`fs::hard_link`].
pub fn hard_link(original: &Path, link: &Path) -> io::Result<()> {
    let temporary = atomic::beside(link);
    remove_file(&temporary)?;
    failpoint::hit();
    fs::hard_link(original, &temporary)?;
    rename_large(&temporary, link)?;
    // Renaming over another name of the same inode does nothing and leaves both names.
    remove_file(&temporary)
}

/// One entry of a directory.
#[derive(Debug, Clone)]
pub struct DirEntry {
    /// Its name.
    pub name: std::ffi::OsString,
    /// The directory joined with its name.
    pub path: PathBuf,
    /// What it is, its size and times, links not followed.
    pub sig: StatSig,
}

/// The entries of a directory, in no order; those that vanish meanwhile are left out.
///
/// # Errors
/// As [`fs::read_dir`].
pub fn list_dir(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let path = entry.path();
        if let Ok(sig) = stat(&path) {
            entries.push(DirEntry {
                name: entry.file_name(),
                path,
                sig,
            });
        }
    }
    Ok(entries)
}

/// The names in a directory, sorted, without a look at what they are; a missing directory has none.
///
/// # Errors
/// As [`fs::read_dir`], but for a missing directory.
pub fn list_names(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let Some(entries) = found(fs::read_dir(path))? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

/// The names in a directory in the order in which the kernel lists them, with what they are, links not
/// followed. For those who must meet files in the order in which another program does.
///
/// # Errors
/// As [`fs::read_dir`].
pub fn list_in_order(path: &Path) -> io::Result<Vec<(std::ffi::OsString, fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()?));
    }
    Ok(entries)
}

/// Every regular file below `root` (links not followed), in no order; a missing root has none.
///
/// # Errors
/// As [`fs::read_dir`], but for what vanishes meanwhile.
pub fn walk_files(root: &Path) -> io::Result<Vec<DirEntry>> {
    let mut files = walk_all(root)?;
    files.retain(|entry| entry.sig.kind() == FileKind::File);
    Ok(files)
}

/// As [`walk_files`], with links and whatever else is no directory.
///
/// # Errors
/// As [`walk_files`].
pub fn walk_all(root: &Path) -> io::Result<Vec<DirEntry>> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        let Some(entries) = found(list_dir(&dir))? else {
            continue;
        };
        for entry in entries {
            match entry.sig.kind() {
                FileKind::Dir => pending.push(entry.path),
                FileKind::File | FileKind::Other => files.push(entry),
            }
        }
    }
    Ok(files)
}

/// Every symbolic link below `root` (itself not followed, nor are those that are found), in no order;
/// a missing root has none. Asks of no file more than its directory says.
///
/// # Errors
/// As [`fs::read_dir`], but for what vanishes meanwhile.
pub fn walk_links(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut links = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        let Some(entries) = found(fs::read_dir(dir))? else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            match found(entry.file_type())? {
                Some(kind) if kind.is_dir() => pending.push(entry.path()),
                Some(kind) if kind.is_symlink() => links.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(links)
}

/// Writes a file in place from `content`, truncating what is there (a link is never followed), with
/// the permission bits `mode` as far as the umask leaves them and a modification time in seconds since
/// 1970. For files that nobody uses before something else says so. How many bytes it has.
///
/// # Errors
/// As opening, reading, writing and `futimens`.
pub fn write_file(
    path: &Path,
    content: &mut dyn io::Read,
    mode: u32,
    mtime_s: u64,
) -> io::Result<u64> {
    /// Read and written at once: a few times what a hasher or an unpacker on the way likes.
    const PIECE_BYTES: usize = 256 << 10;
    write_new(path, (mode, mtime_s), |file| {
        let mut pieces = io::BufWriter::with_capacity(PIECE_BYTES, file);
        let written = io::copy(content, &mut pieces)?;
        io::Write::flush(&mut pieces)?;
        Ok(written)
    })
}

/// As [`write_file`], from bytes.
///
/// # Errors
/// As [`write_file`].
pub fn write_file_bytes(path: &Path, bytes: &[u8], mode: u32, mtime_s: u64) -> io::Result<()> {
    write_new(path, (mode, mtime_s), |file| {
        io::Write::write_all(file, bytes)
    })
}

fn write_new<T>(
    path: &Path,
    (mode, mtime_s): (u32, u64),
    write: impl FnOnce(&mut fs::File) -> io::Result<T>,
) -> io::Result<T> {
    use std::os::unix::fs::OpenOptionsExt;
    failpoint::hit();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode & 0o777)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
        .open(path)?;
    failpoint::hit();
    let written = write(&mut file)?;
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(mtime_s));
    if let Some(time) = time {
        file.set_modified(time)?;
    }
    Ok(written)
}

/// Adds bytes to the end of a file with one `write`, which the kernel keeps whole among several
/// appenders on a local file system; makes the file if it is missing.
///
/// # Errors
/// As opening and writing; a short write is an error.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    failpoint::hit();
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    let written = file.write(bytes)?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::WriteZero,
            "the disk took only a part of an appended line",
        ))
    }
}

/// Sets both times of a file to now.
///
/// # Errors
/// As `utimensat`.
pub fn touch(path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
    failpoint::hit();
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    utimensat(CWD, path, &times, AtFlags::empty())?;
    Ok(())
}

/// Sets the modification time of what is at `path`, a last link not followed: nanoseconds since 1970.
///
/// # Errors
/// As `utimensat`.
pub fn set_mtime(path: &Path, mtime_ns: i64) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
    const SECOND_NS: i64 = 1_000_000_000;
    failpoint::hit();
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime_ns.div_euclid(SECOND_NS),
            tv_nsec: mtime_ns.rem_euclid(SECOND_NS),
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Sets the permission bits of a file.
///
/// # Errors
/// As `chmod`.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    failpoint::hit();
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Opens a file for reading.
///
/// # Errors
/// As [`fs::File::open`].
pub fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_that_is_not_wanted_only_the_head_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        atomic::write(&path, b"head and rest").unwrap();
        let read = |wanted: &[u8]| read_such(&path, 4, |head| head == wanted).unwrap();
        assert_eq!(read(b"head").as_deref(), Some(&b"head and rest"[..]));
        assert_eq!(read(b"head and"), None);
        let whole = read_such(&path, 99, |head| head.ends_with(b"rest")).unwrap();
        assert_eq!(whole.as_deref(), Some(&b"head and rest"[..]));
    }
}
