//! A few system calls on paths, by the path's bytes. Not through `fsx`, whose functions follow
//! links, allocate paths and convert errors: this is called for every file that a tree touches.

use std::ffi::CStr;
use std::io;

/// What is at a path, links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) mode: u32,
    pub(super) inode: u64,
    pub(super) size: i64,
    pub(super) changed_ns: i64,
}

impl Kind {
    /// Whether it is of this type (`S_IFDIR`, …).
    pub(super) const fn is(&self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }
}

/// Looks at a path, not through a link.
pub(super) fn look(path: &CStr) -> io::Result<Kind> {
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a string and the structure that the call fills.
    check(unsafe { libc::lstat(path.as_ptr(), &raw mut stat) })?;
    Ok(Kind {
        mode: stat.st_mode,
        inode: stat.st_ino,
        size: stat.st_size,
        changed_ns: stat.st_ctime * 1_000_000_000 + stat.st_ctime_nsec,
    })
}

/// A link's target.
pub(super) fn read_link(path: &CStr) -> io::Result<Vec<u8>> {
    let mut target = vec![0; 4096];
    // SAFETY: a string and a buffer of the length that is told.
    let length = unsafe { libc::readlink(path.as_ptr(), target.as_mut_ptr().cast(), target.len()) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    target.truncate(length);
    Ok(target)
}

/// Whether this process may do that (`W_OK`, `X_OK`).
pub(super) fn may(path: &CStr, mode: i32) -> bool {
    // SAFETY: a string.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) == 0 }
}

/// A file that is open to be read.
#[derive(Debug)]
pub(super) struct Reader(i32);

impl Reader {
    /// Opens a regular file.
    pub(super) fn open(path: &CStr) -> io::Result<Self> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
        // SAFETY: a string.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        check(fd).map(|()| Self(fd))
    }

    /// Fills the buffer from a place, as far as the file goes.
    pub(super) fn at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match self.once(offset + done as u64, &mut into[done..])? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }

    /// What one call reads.
    pub(super) fn once(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let offset =
            i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        // SAFETY: a buffer of the length that is told.
        let read = unsafe { libc::pread(self.0, into.as_mut_ptr().cast(), into.len(), offset) };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: opened by this value.
        unsafe { libc::close(self.0) };
    }
}

/// The start of a file of the kernel's making, which gives all that it has, or as much as fits, at once.
pub(super) fn read_start(path: &CStr, into: &mut [u8]) -> io::Result<usize> {
    Reader::open(path)?.once(0, into)
}

/// A file, up to a bound in bytes.
pub(super) fn read_all(path: &CStr, at_most: usize) -> io::Result<Vec<u8>> {
    let file = Reader::open(path)?;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while bytes.len() < at_most {
        let read = file.at(bytes.len() as u64, &mut piece)?;
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..read]);
    }
    Ok(bytes)
}

/// Whether a thread is its process's first one.
pub(super) fn is_first_thread(thread: i32) -> bool {
    // SAFETY: three numbers; no signal is sent, and threads of other processes are refused.
    let done = unsafe { libc::syscall(libc::SYS_tgkill, thread, thread, 0) };
    done == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
