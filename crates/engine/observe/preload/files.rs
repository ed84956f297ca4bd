//! The C library's functions that read files by their paths, made without a stop where that can be.
//!
//! Only what is nothing but a system call in the C library is made here. All else (what may change a
//! file, paths relative to an open directory, unusual flags) is left to the C library, whose call is
//! stopped.

use core::ffi::{c_char, c_int, c_uint, c_void};

use crate::quiet::{self, call, write_down};
use crate::sys::number::{FACCESSAT, FACCESSAT2, NEWFSTATAT, OPENAT, READLINKAT, STATX};
use crate::{Real, real, ring, sys};

type Text = *const c_char;

const HERE: c_int = -100;
const NO_FOLLOW: c_int = 0x100;
const NO_AUTOMOUNT: c_int = 0x800;
const EFFECTIVE: c_int = 0x200;
const ABSENT: isize = -38;

const CLOSE_ON_EXEC: c_int = 0o2_000_000;
const NO_BLOCK: c_int = 0o4000;
#[cfg(target_arch = "x86_64")]
const DIRECTORY: c_int = 0o200_000;
#[cfg(target_arch = "x86_64")]
const OPEN_NO_FOLLOW: c_int = 0o400_000;
#[cfg(target_arch = "aarch64")]
const DIRECTORY: c_int = 0o40_000;
#[cfg(target_arch = "aarch64")]
const OPEN_NO_FOLLOW: c_int = 0o100_000;
const PATH_ONLY: c_int = 0o10_000_000;
/// The file may be changed: to write, to make, to empty, a temporary file.
const WRITES: c_int = 0o3 | 0o100 | 0o1000 | 0o20_000_000;

/// Whether a path counts from the current directory or the root.
fn is_plain(directory: c_int, path: Text) -> bool {
    // SAFETY: a string, where it is not in the first page, which is nobody's.
    directory == HERE || ((path as usize) >= 4096 && unsafe { *path } as u8 == b'/')
}

/// Opens to read; `None` where the C library is to do it.
fn open_quietly(directory: c_int, path: Text, flags: c_int) -> Option<isize> {
    if flags & WRITES != 0 || !is_plain(directory, path) {
        return None;
    }
    let kind = match (flags & PATH_ONLY != 0, flags & OPEN_NO_FOLLOW != 0) {
        (false, false) => ring::OPEN,
        (false, true) => ring::OPEN_LINK,
        (true, false) => ring::LOOK,
        (true, true) => ring::LOOK_LINK,
    };
    write_down(kind, path).map(|line| {
        let directory = HERE as isize as usize;
        line.ended(call(OPENAT, [directory, path as usize, flags as usize, 0]))
    })
}

/// What [`open_itself`] gives for a link.
pub(crate) const A_LINK: isize = -40;

/// Opens a file to read, which is no link; a number below 0 is an error's.
pub(crate) fn open_itself(path: Text) -> isize {
    const FLAGS: c_int = CLOSE_ON_EXEC | OPEN_NO_FOLLOW | NO_BLOCK;
    // Nothing is asked for here, perhaps between `vfork` and `exec`.
    let done = quiet::can_write().then(|| open_quietly(HERE, path, FLAGS));
    done.flatten()
        .unwrap_or_else(|| sys::open(path, FLAGS as usize))
}

/// Where a link leads: how many bytes that has, not more than there is room for, or an error's number.
pub(crate) fn link_itself(path: Text, into: &mut [u8]) -> isize {
    let (at, size) = (into.as_mut_ptr().cast(), into.len());
    let done = quiet::can_write().then(|| target(HERE, path, at, size));
    done.flatten()
        .unwrap_or_else(|| sys::read_link(path, into))
}

/// Asks for a path's state.
fn look(directory: c_int, path: Text, into: *mut c_void, flags: c_int) -> Option<isize> {
    if flags & !(NO_FOLLOW | NO_AUTOMOUNT) != 0 || !is_plain(directory, path) {
        return None;
    }
    write_down(looked_at(flags), path).map(|line| {
        let directory = HERE as isize as usize;
        line.ended(call(
            NEWFSTATAT,
            [directory, path as usize, into as usize, flags as usize],
        ))
    })
}

const fn looked_at(flags: c_int) -> u16 {
    if flags & NO_FOLLOW == 0 {
        ring::LOOK
    } else {
        ring::LOOK_LINK
    }
}

fn may(directory: c_int, path: Text, mode: c_int, flags: c_int) -> Option<isize> {
    if flags & !(NO_FOLLOW | EFFECTIVE) != 0 || !is_plain(directory, path) {
        return None;
    }
    let number = if flags == 0 { FACCESSAT } else { FACCESSAT2 };
    let done = write_down(looked_at(flags), path).map(|line| {
        let directory = HERE as isize as usize;
        line.ended(call(
            number,
            [directory, path as usize, mode as usize, flags as usize],
        ))
    });
    // The C library finds out in another way.
    done.filter(|done| *done != ABSENT)
}

/// Whether a file is there and may be run.
pub(crate) fn is_executable(path: Text) -> bool {
    const RUN: c_int = 1;
    // Nothing is asked for here, perhaps between `vfork` and `exec`.
    let done = quiet::can_write().then(|| may(HERE, path, RUN, 0)).flatten();
    done.map_or_else(|| sys::is_executable(path), |done| done == 0)
}

fn target(directory: c_int, path: Text, into: *mut c_char, size: usize) -> Option<isize> {
    if !is_plain(directory, path) {
        return None;
    }
    write_down(ring::LOOK_LINK, path).map(|line| {
        let directory = HERE as isize as usize;
        line.ended(call(
            READLINKAT,
            [directory, path as usize, into as usize, size],
        ))
    })
}

/// A function of the C library's: what it gives when it is made here, else what the next one gives.
macro_rules! replaced {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty { $quietly:expr })*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> $result {
            static NEXT: Real = Real::new();
            let done: Option<isize> = $quietly;
            if let Some(done) = done {
                return sys::checked(done) as $result;
            }
            let next = NEXT.get(concat!(stringify!($name), "\0").as_bytes());
            if next.is_null() {
                return sys::checked(ABSENT) as $result;
            }
            // SAFETY: that function has this type.
            unsafe {
                let next: extern "C" fn($($type),*) -> $result = core::mem::transmute(next);
                next($($argument),*)
            }
        }
    )*};
}

/// What `struct stat` old programs mean: the only one that there is.
const fn is_known(version: c_int) -> bool {
    version == 0 || (version == 1 && cfg!(target_arch = "x86_64"))
}

replaced! {
    open(path: Text, flags: c_int, mode: c_uint) -> c_int { open_quietly(HERE, path, flags) }
    open64(path: Text, flags: c_int, mode: c_uint) -> c_int { open_quietly(HERE, path, flags) }
    __open_2(path: Text, flags: c_int) -> c_int { open_quietly(HERE, path, flags) }
    __open64_2(path: Text, flags: c_int) -> c_int { open_quietly(HERE, path, flags) }
    openat(directory: c_int, path: Text, flags: c_int, mode: c_uint) -> c_int {
        open_quietly(directory, path, flags)
    }
    openat64(directory: c_int, path: Text, flags: c_int, mode: c_uint) -> c_int {
        open_quietly(directory, path, flags)
    }
    __openat_2(directory: c_int, path: Text, flags: c_int) -> c_int {
        open_quietly(directory, path, flags)
    }
    __openat64_2(directory: c_int, path: Text, flags: c_int) -> c_int {
        open_quietly(directory, path, flags)
    }
    stat(path: Text, into: *mut c_void) -> c_int { look(HERE, path, into, 0) }
    stat64(path: Text, into: *mut c_void) -> c_int { look(HERE, path, into, 0) }
    lstat(path: Text, into: *mut c_void) -> c_int { look(HERE, path, into, NO_FOLLOW) }
    lstat64(path: Text, into: *mut c_void) -> c_int { look(HERE, path, into, NO_FOLLOW) }
    fstatat(directory: c_int, path: Text, into: *mut c_void, flags: c_int) -> c_int {
        look(directory, path, into, flags)
    }
    fstatat64(directory: c_int, path: Text, into: *mut c_void, flags: c_int) -> c_int {
        look(directory, path, into, flags)
    }
    __xstat(version: c_int, path: Text, into: *mut c_void) -> c_int {
        if is_known(version) { look(HERE, path, into, 0) } else { None }
    }
    __xstat64(version: c_int, path: Text, into: *mut c_void) -> c_int {
        if is_known(version) { look(HERE, path, into, 0) } else { None }
    }
    __lxstat(version: c_int, path: Text, into: *mut c_void) -> c_int {
        if is_known(version) { look(HERE, path, into, NO_FOLLOW) } else { None }
    }
    __lxstat64(version: c_int, path: Text, into: *mut c_void) -> c_int {
        if is_known(version) { look(HERE, path, into, NO_FOLLOW) } else { None }
    }
    statx(directory: c_int, path: Text, flags: c_int, mask: c_uint, into: *mut c_void) -> c_int {
        statx_quietly(directory, path, flags, mask, into)
    }
    access(path: Text, mode: c_int) -> c_int { may(HERE, path, mode, 0) }
    eaccess(path: Text, mode: c_int) -> c_int { may(HERE, path, mode, EFFECTIVE) }
    euidaccess(path: Text, mode: c_int) -> c_int { may(HERE, path, mode, EFFECTIVE) }
    faccessat(directory: c_int, path: Text, mode: c_int, flags: c_int) -> c_int {
        may(directory, path, mode, flags)
    }
    readlink(path: Text, into: *mut c_char, size: usize) -> isize {
        target(HERE, path, into, size)
    }
    __readlink_chk(path: Text, into: *mut c_char, size: usize, room: usize) -> isize {
        if size <= room { target(HERE, path, into, size) } else { None }
    }
    readlinkat(directory: c_int, path: Text, into: *mut c_char, size: usize) -> isize {
        target(directory, path, into, size)
    }
}

fn statx_quietly(
    directory: c_int,
    path: Text,
    flags: c_int,
    mask: c_uint,
    into: *mut c_void,
) -> Option<isize> {
    /// How much of a remote file's state may be old.
    const SYNC: c_int = 0x6000;
    if flags & !(NO_FOLLOW | NO_AUTOMOUNT | SYNC) != 0 || !is_plain(directory, path) {
        return None;
    }
    let done = write_down(looked_at(flags), path).map(|line| {
        let place = [HERE as isize as usize, path as usize];
        line.ended(crate::quiet::call_with_five(
            STATX,
            [place[0], place[1], flags as usize, mask as usize, into as usize],
        ))
    });
    done.filter(|done| *done != ABSENT)
}

/// Calls the next function of a name, which takes words and gives a pointer.
fn next_pointer(next: (&Real, &[u8]), arguments: [usize; 3]) -> *mut c_void {
    let next = next.0.get(next.1);
    if next.is_null() {
        sys::checked(ABSENT);
        return core::ptr::null_mut();
    }
    // SAFETY: that function takes at most three words, and gives a pointer.
    unsafe {
        let next: extern "C" fn(usize, usize, usize) -> *mut c_void = core::mem::transmute(next);
        next(arguments[0], arguments[1], arguments[2])
    }
}

/// A stream over what was opened; what was opened does not outlive its failure.
fn over(file: isize, make: (&Real, &[u8]), mode: usize) -> *mut c_void {
    if file < 0 {
        sys::checked(file);
        return core::ptr::null_mut();
    }
    let made = next_pointer(make, [file as usize, mode, 0]);
    if made.is_null() {
        sys::close(file as usize);
    }
    made
}

/// What `fopen` opens with, where it only reads and is asked for nothing unusual.
fn reads(mode: Text) -> Option<c_int> {
    if mode.is_null() || !sys::begins(mode, b"r") {
        return None;
    }
    let mut flags = 0;
    // SAFETY: a string.
    for index in 1..sys::length(mode) {
        match unsafe { *mode.add(index) } as u8 {
            b'b' => {}
            b'e' => flags |= CLOSE_ON_EXEC,
            _ => return None,
        }
    }
    Some(flags)
}

fn fopen_by(path: Text, mode: Text, next: (&Real, &[u8])) -> *mut c_void {
    static OVER: Real = Real::new();
    match reads(mode).and_then(|flags| open_quietly(HERE, path, flags)) {
        Some(file) => over(file, (&OVER, b"fdopen\0"), mode as usize),
        None => next_pointer(next, [path as usize, mode as usize, 0]),
    }
}

#[unsafe(no_mangle)]
extern "C" fn fopen(path: Text, mode: Text) -> *mut c_void {
    static NEXT: Real = Real::new();
    fopen_by(path, mode, (&NEXT, b"fopen\0"))
}

#[unsafe(no_mangle)]
extern "C" fn fopen64(path: Text, mode: Text) -> *mut c_void {
    static NEXT: Real = Real::new();
    fopen_by(path, mode, (&NEXT, b"fopen64\0"))
}

#[unsafe(no_mangle)]
extern "C" fn opendir(path: Text) -> *mut c_void {
    static NEXT: Real = Real::new();
    static OVER: Real = Real::new();
    match open_quietly(HERE, path, DIRECTORY | NO_BLOCK | CLOSE_ON_EXEC) {
        Some(file) => over(file, (&OVER, b"fdopendir\0"), 0),
        None => next_pointer((&NEXT, b"opendir\0"), [path as usize, 0, 0]),
    }
}

#[unsafe(no_mangle)]
extern "C" fn realpath(path: Text, into: *mut c_char) -> *mut c_void {
    static NEXT: Real = Real::new();
    real::path(path, into).unwrap_or_else(|| next_pointer((&NEXT, b"realpath\0"), [path as usize, into as usize, 0]))
}

#[unsafe(no_mangle)]
extern "C" fn __realpath_chk(path: Text, into: *mut c_char, room: usize) -> *mut c_void {
    static NEXT: Real = Real::new();
    let done = (room >= real::LONGEST).then(|| real::path(path, into));
    done.flatten()
        .unwrap_or_else(|| next_pointer((&NEXT, b"__realpath_chk\0"), [path as usize, into as usize, room]))
}

#[unsafe(no_mangle)]
extern "C" fn canonicalize_file_name(path: Text) -> *mut c_void {
    static NEXT: Real = Real::new();
    real::path(path, core::ptr::null_mut())
        .unwrap_or_else(|| next_pointer((&NEXT, b"canonicalize_file_name\0"), [path as usize, 0, 0]))
}
