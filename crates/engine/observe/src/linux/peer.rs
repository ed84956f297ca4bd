//! Reading another process: its memory, its directories, what it runs.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const PAGE: u64 = 4096;
const LONGEST_PATH: usize = 4096;

/// A string of the process.
pub(super) fn string(thread: i32, address: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut at = address;
    let mut piece = [0; 1024];
    while text.len() <= LONGEST_PATH {
        // Not beyond the page: the next one may not be there.
        let left = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
        let wanted = left.min(piece.len());
        let read = memory(thread, at, &mut piece[..wanted])?;
        if let Some(end) = piece[..read].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&piece[..end]);
            return Ok(text);
        }
        text.extend_from_slice(&piece[..read]);
        at += read as u64;
    }
    Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
}

/// Bytes of the process; fewer where not all are there, never none.
pub(super) fn memory(thread: i32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let (local, remote) = vectors(into.as_mut_ptr(), address, into.len());
    // SAFETY: the local vector is `into`.
    let read =
        unsafe { libc::process_vm_readv(thread, &raw const local, 1, &raw const remote, 1, 0) };
    moved(read)
}

/// Writes into the process.
pub(super) fn write(thread: i32, address: u64, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let left = &bytes[done..];
        let (local, remote) = vectors(left.as_ptr().cast_mut(), address + done as u64, left.len());
        // SAFETY: the local vector is `left`, which is only read.
        let wrote = unsafe {
            libc::process_vm_writev(thread, &raw const local, 1, &raw const remote, 1, 0)
        };
        done += moved(wrote)?;
    }
    Ok(())
}

fn vectors(local: *mut u8, remote: u64, length: usize) -> (libc::iovec, libc::iovec) {
    (
        libc::iovec {
            iov_base: local.cast(),
            iov_len: length,
        },
        libc::iovec {
            iov_base: remote as *mut libc::c_void,
            iov_len: length,
        },
    )
}

fn moved(result: libc::ssize_t) -> io::Result<usize> {
    match usize::try_from(result) {
        Ok(0) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Ok(moved) => Ok(moved),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// The current directory, or what a file descriptor is open on.
pub(super) fn directory(thread: i32, fd: i32) -> io::Result<PathBuf> {
    if fd == libc::AT_FDCWD {
        link(&format!("/proc/{thread}/cwd"))
    } else {
        link(&format!("/proc/{thread}/fd/{fd}"))
    }
}

/// What the process runs.
pub(super) fn program(thread: i32) -> io::Result<PathBuf> {
    link(&format!("/proc/{thread}/exe"))
}

fn link(path: &str) -> io::Result<PathBuf> {
    let path = CString::new(path)?;
    super::sys::read_link(&path).map(|target| PathBuf::from(OsString::from_vec(target)))
}

/// The words that the process was started with.
pub(super) fn arguments(thread: i32) -> io::Result<Vec<Vec<u8>>> {
    let path = CString::new(format!("/proc/{thread}/cmdline"))?;
    let text = super::sys::read_all(&path, 1 << 20)?;
    let text = text.strip_suffix(&[0]).unwrap_or(&text);
    Ok(text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}

/// A process by one of its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// The process.
    pub(super) process: i32,
    /// Who started it, or adopted it.
    pub(super) parent: i32,
}

/// Which process a thread belongs to.
pub(super) fn family(thread: i32) -> Option<Family> {
    let path = CString::new(format!("/proc/{thread}/status")).ok()?;
    let mut text = [0; 512];
    let read = super::sys::read_start(&path, &mut text).ok()?;
    let text = String::from_utf8_lossy(&text[..read]);
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|value| value.trim().parse().ok())
    };
    Some(Family {
        process: field("Tgid:")?,
        parent: field("PPid:")?,
    })
}

/// The file that is mapped at an address.
pub(super) fn object(thread: i32, address: u64) -> Option<PathBuf> {
    let path = CString::new(format!("/proc/{thread}/maps")).ok()?;
    let text = super::sys::read_all(&path, 16 << 20).ok()?;
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(2, |byte| *byte == b' ');
        let range = std::str::from_utf8(fields.next()?).ok()?;
        let (from, to) = range.split_once('-')?;
        let from = u64::from_str_radix(from, 16).ok()?;
        let to = u64::from_str_radix(to, 16).ok()?;
        if !(from..to).contains(&address) {
            return None;
        }
        let rest = fields.next()?;
        let at = rest.iter().position(|byte| *byte == b'/')?;
        Some(PathBuf::from(OsString::from_vec(rest[at..].to_vec())))
    })
}
