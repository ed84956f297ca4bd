//! `realpath`, whose calls inside of the C library are its own and would all be stopped: one for each
//! part of a path, of which compilers ask for thousands.
//!
//! Only what is there or not there in the usual way is told here, for of that all versions of the C
//! library say the same. All else is left to it, from the start.

use core::ffi::{c_char, c_void};

use crate::quiet::{NOT_THERE, call, write_down};
use crate::sys::number::{NEWFSTATAT, READLINKAT};
use crate::{Real, ring, sys};

/// The C library's bound of a path, with its zero.
pub(crate) const LONGEST: usize = 4096;
/// Fewer than in the C library.
const MOST_LINKS: usize = 20;
/// Of the path so far, of what is left of it, and of a link.
const ROOM: usize = 1024;

const HERE: usize = -100_isize as usize;
const NO_FOLLOW: usize = 0x100;
const IS_NO_LINK: isize = -22;

/// A path that is being put together; there is always a zero behind it.
struct Path {
    text: [u8; ROOM],
    length: usize,
}

/// The real path; `None` where the C library is to find it.
pub(crate) fn path(asked: *const c_char, into: *mut c_char) -> Option<*mut c_void> {
    if (asked as usize) < 4096 {
        return None;
    }
    let length = sys::length(asked);
    // A line that cannot be written asks for no work.
    if length == 0 || length >= ring::LONGEST || write_down(ring::REAL, asked).is_none() {
        return None;
    }
    let mut real = Path {
        text: [0; ROOM],
        length: 0,
    };
    let mut rest = Path {
        text: [0; ROOM],
        length: 0,
    };
    // SAFETY: a string of this length.
    rest.put(unsafe { core::slice::from_raw_parts(asked.cast::<u8>(), length) })?;
    if rest.text[0] != b'/' {
        let here = sys::current_directory(&mut real.text);
        if here < 2 || real.text[0] != b'/' {
            return None;
        }
        real.length = if here == 2 { 0 } else { here - 1 };
    }
    if resolve(&mut real, &mut rest)? {
        return give(&real, into);
    }
    // The C library leaves there how far it has come.
    if !into.is_null() {
        give(&real, into)?;
    }
    sys::checked(NOT_THERE);
    Some(core::ptr::null_mut())
}

/// Whether it is there.
fn resolve(real: &mut Path, rest: &mut Path) -> Option<bool> {
    let mut links = 0;
    let mut at = 0;
    loop {
        while rest.at(at) == b'/' {
            at += 1;
        }
        let mut end = at;
        while !matches!(rest.at(end), 0 | b'/') {
            end += 1;
        }
        match &rest.text[at..end] {
            b"" => break,
            b"." => {}
            b".." => real.cut(),
            part => {
                let before = real.length;
                real.put(b"/")?;
                real.put(part)?;
                let link = match link(real) {
                    Err(NOT_THERE) => return Some(false),
                    found => found.ok()?,
                };
                if let Some(target) = link {
                    links += 1;
                    if links > MOST_LINKS || is_of_the_kernel(&target) {
                        return None;
                    }
                    rest.replace(end, &target)?;
                    end = 0;
                    real.length = if target.text[0] == b'/' { 0 } else { before };
                    real.end();
                } else if rest.needs_directory(end) && !is_directory(real) {
                    return None;
                }
            }
        }
        at = end;
    }
    if real.length == 0 {
        real.put(b"/")?;
    }
    Some(true)
}

impl Path {
    fn at(&self, index: usize) -> u8 {
        self.text.get(index).copied().unwrap_or(0)
    }

    fn put(&mut self, text: &[u8]) -> Option<()> {
        let end = self.length + text.len();
        if end >= ROOM {
            return None;
        }
        for (to, from) in self.text[self.length..end].iter_mut().zip(text) {
            *to = *from;
        }
        self.length = end;
        self.end();
        Some(())
    }

    fn end(&mut self) {
        if let Some(end) = self.text.get_mut(self.length) {
            *end = 0;
        }
    }

    /// Without its last part.
    fn cut(&mut self) {
        while self.length > 0 {
            self.length -= 1;
            if self.at(self.length) == b'/' {
                break;
            }
        }
        self.end();
    }

    /// What is before `end` becomes a link's target.
    fn replace(&mut self, end: usize, target: &Path) -> Option<()> {
        let mut new = Path {
            text: [0; ROOM],
            length: 0,
        };
        new.put(target.text.get(..target.length)?)?;
        new.put(self.text.get(end..self.length)?)?;
        *self = new;
        Some(())
    }

    /// Whether what follows asks for a directory without asking for anything in it.
    fn needs_directory(&self, end: usize) -> bool {
        let mut next = end;
        while self.at(next) == b'/' {
            next += 1;
        }
        if next == end {
            return false;
        }
        match (self.at(next), self.at(next + 1), self.at(next + 2)) {
            (0, ..) | (b'.', 0 | b'/', _) | (b'.', b'.', 0 | b'/') => true,
            _ => false,
        }
    }
}

/// Where a link leads; nothing where it is none.
fn link(path: &Path) -> Result<Option<Path>, isize> {
    let mut target = Path {
        text: [0; ROOM],
        length: 0,
    };
    let length = call(
        READLINKAT,
        [
            HERE,
            path.text.as_ptr() as usize,
            target.text.as_mut_ptr() as usize,
            ROOM - 1,
        ],
    );
    match length {
        IS_NO_LINK => Ok(None),
        1.. if (length as usize) < ROOM - 1 => {
            target.length = length as usize;
            Ok(Some(target))
        }
        error => Err(error),
    }
}

/// What such a link leads to depends on who asks.
fn is_of_the_kernel(target: &Path) -> bool {
    let text = target.text.as_ptr().cast();
    sys::begins(text, b"/proc") || sys::begins(text, b"/sys") || sys::begins(text, b"/dev")
}

fn is_directory(path: &Path) -> bool {
    // Large enough on both architectures.
    let mut state = [0_u64; 32];
    let done = call(
        NEWFSTATAT,
        [
            HERE,
            path.text.as_ptr() as usize,
            state.as_mut_ptr() as usize,
            NO_FOLLOW,
        ],
    );
    #[cfg(target_arch = "x86_64")]
    let mode = state[3] as u32;
    #[cfg(target_arch = "aarch64")]
    let mode = state[2] as u32;
    done == 0 && mode & 0o170_000 == 0o040_000
}

/// The path where the program wants it.
fn give(real: &Path, into: *mut c_char) -> Option<*mut c_void> {
    let size = real.length + 1;
    let into = if into.is_null() {
        allocated(size)?
    } else {
        into.cast()
    };
    // SAFETY: the program's buffer, which has room for the longest path, or one of this size.
    unsafe { core::ptr::copy_nonoverlapping(real.text.as_ptr(), into, size) };
    Some(into.cast())
}

/// Memory that the program is to free, so of its own allocator.
fn allocated(size: usize) -> Option<*mut u8> {
    static MALLOC: Real = Real::new();
    let malloc = MALLOC.usual(b"malloc\0");
    if malloc.is_null() {
        return None;
    }
    // SAFETY: that function has this type.
    let at = unsafe {
        let malloc: extern "C" fn(usize) -> *mut u8 = core::mem::transmute(malloc);
        malloc(size)
    };
    (!at.is_null()).then_some(at)
}
