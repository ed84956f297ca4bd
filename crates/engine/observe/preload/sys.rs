//! System calls and strings, from nothing.

use core::arch::{asm, global_asm};
use core::ffi::{c_char, c_int, c_void};

// Libraries of Rust are compiled to unwind and name this; hidden, as a program's own must be found.
global_asm!(
    ".hidden rust_eh_personality",
    ".globl rust_eh_personality",
    "rust_eh_personality:",
);

// Symbols that may not be there, as in a program without the C library: Rust has no stable word
// for these.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".weak __environ",
    ".weak dlsym",
    ".weak __errno_location",
    ".weak getauxval",
    ".hidden rekindle_getauxval",
    ".globl rekindle_getauxval",
    "rekindle_getauxval: mov rax, [rip + getauxval@GOTPCREL]",
    "ret",
    ".hidden rekindle_environ",
    ".globl rekindle_environ",
    "rekindle_environ: mov rax, [rip + __environ@GOTPCREL]",
    "ret",
    ".hidden rekindle_dlsym",
    ".globl rekindle_dlsym",
    "rekindle_dlsym: mov rax, [rip + dlsym@GOTPCREL]",
    "ret",
    ".hidden rekindle_errno",
    ".globl rekindle_errno",
    "rekindle_errno: mov rax, [rip + __errno_location@GOTPCREL]",
    "ret",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".weak __environ",
    ".weak dlsym",
    ".weak __errno_location",
    ".weak getauxval",
    ".hidden rekindle_getauxval",
    ".globl rekindle_getauxval",
    "rekindle_getauxval: adrp x0, :got:getauxval",
    "ldr x0, [x0, :got_lo12:getauxval]",
    "ret",
    ".hidden rekindle_environ",
    ".globl rekindle_environ",
    "rekindle_environ: adrp x0, :got:__environ",
    "ldr x0, [x0, :got_lo12:__environ]",
    "ret",
    ".hidden rekindle_dlsym",
    ".globl rekindle_dlsym",
    "rekindle_dlsym: adrp x0, :got:dlsym",
    "ldr x0, [x0, :got_lo12:dlsym]",
    "ret",
    ".hidden rekindle_errno",
    ".globl rekindle_errno",
    "rekindle_errno: adrp x0, :got:__errno_location",
    "ldr x0, [x0, :got_lo12:__errno_location]",
    "ret",
);

unsafe extern "C" {
    fn rekindle_environ() -> *const *const *const c_char;
    fn rekindle_dlsym() -> *const c_void;
    fn rekindle_errno() -> *const c_void;
    fn rekindle_getauxval() -> *const c_void;
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod number {
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const NEWFSTATAT: usize = 262;
    pub(crate) const STATX: usize = 332;
    pub(crate) const FACCESSAT2: usize = 439;
    pub(crate) const READLINKAT: usize = 267;
    pub(crate) const GETCWD: usize = 79;
    pub(crate) const READ: usize = 0;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const FACCESSAT: usize = 269;
    pub(crate) const CLOCK_GETTIME: usize = 228;
    pub(crate) const GETTIMEOFDAY: usize = 96;
    pub(crate) const GETRANDOM: usize = 318;
    pub(crate) const EXECVE: usize = 59;
    pub(crate) const MMAP: usize = 9;
    pub(crate) const MUNMAP: usize = 11;
    pub(crate) const MPROTECT: usize = 10;
    pub(crate) const MREMAP: usize = 25;
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod number {
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const NEWFSTATAT: usize = 79;
    pub(crate) const STATX: usize = 291;
    pub(crate) const FACCESSAT2: usize = 439;
    pub(crate) const READLINKAT: usize = 78;
    pub(crate) const GETCWD: usize = 17;
    pub(crate) const READ: usize = 63;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const FACCESSAT: usize = 48;
    pub(crate) const CLOCK_GETTIME: usize = 113;
    pub(crate) const GETTIMEOFDAY: usize = 169;
    pub(crate) const GETRANDOM: usize = 278;
    pub(crate) const EXECVE: usize = 221;
    pub(crate) const MMAP: usize = 222;
    pub(crate) const MUNMAP: usize = 215;
    pub(crate) const MPROTECT: usize = 226;
    pub(crate) const MREMAP: usize = 216;
}

/// A system call; a negative number is an error's.
///
/// # Safety
/// As the call's.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the kernel's convention.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// A system call; a negative number is an error's.
///
/// # Safety
/// As the call's.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the kernel's convention.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack)
        );
    }
    result
}

/// A system call, made by the code at an address.
///
/// # Safety
/// As the call's; the code is there, makes it and returns.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call_by(code: usize, number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the kernel's convention; without `nostack`, there is room for the address to return to.
    unsafe {
        asm!(
            "call r11",
            inlateout("r11") code => _,
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _,
        );
    }
    result
}

/// A system call, made by the code at an address.
///
/// # Safety
/// As the call's; the code is there, makes it and returns.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn call_by(code: usize, number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the kernel's convention.
    unsafe {
        asm!(
            "blr x9",
            in("x9") code,
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            out("x30") _,
        );
    }
    result
}

/// Tells the supervisor; its answer, or a negative number.
pub(crate) fn say(what: c_int, first: usize, second: usize) -> isize {
    say_more(what, [first, second, 0])
}

/// The same, with one thing more.
pub(crate) fn say_more(what: c_int, [first, second, third]: [usize; 3]) -> isize {
    // SAFETY: without a supervisor it fails: no directory has this number.
    unsafe {
        call(
            number::OPENAT,
            [what as isize as usize, first, second, third, 0, 0],
        )
    }
}

/// Puts an error where the C library has it.
pub(crate) fn checked(result: isize) -> isize {
    if result >= 0 {
        return result;
    }
    // SAFETY: the C library's function, where it is there.
    unsafe {
        let location = rekindle_errno();
        if !location.is_null() {
            let location: extern "C" fn() -> *mut c_int = core::mem::transmute(location);
            *location() = -result as c_int;
        }
    }
    -1
}

/// The program's variables.
pub(crate) fn environ() -> Option<*const *const c_char> {
    // SAFETY: the C library's variable, where it is there.
    unsafe {
        let variable = rekindle_environ();
        if variable.is_null() || (*variable).is_null() {
            None
        } else {
            Some(*variable)
        }
    }
}

/// The next definition of a function after this library's.
pub(crate) fn next(name: *const c_char) -> *mut c_void {
    const NEXT: isize = -1;
    look_up(NEXT, name)
}

/// The definition of a function that the program would use itself.
pub(crate) fn usual(name: *const c_char) -> *mut c_void {
    look_up(0, name)
}

fn look_up(from: isize, name: *const c_char) -> *mut c_void {
    // SAFETY: the C library's function, where it is there.
    unsafe {
        let dlsym = rekindle_dlsym();
        if dlsym.is_null() {
            return core::ptr::null_mut();
        }
        let dlsym: extern "C" fn(isize, *const c_char) -> *mut c_void = core::mem::transmute(dlsym);
        dlsym(from, name)
    }
}

pub(crate) fn clock_gettime(clock: c_int, time: *mut c_void) -> c_int {
    // SAFETY: the program's own arguments.
    checked(unsafe {
        call(
            number::CLOCK_GETTIME,
            [clock as usize, time as usize, 0, 0, 0, 0],
        )
    }) as c_int
}

pub(crate) fn gettimeofday(time: *mut c_void, zone: *mut c_void) -> c_int {
    // SAFETY: the program's own arguments.
    checked(unsafe {
        call(
            number::GETTIMEOFDAY,
            [time as usize, zone as usize, 0, 0, 0, 0],
        )
    }) as c_int
}

pub(crate) fn getrandom(into: *mut c_void, size: usize, flags: u32) -> isize {
    // SAFETY: the program's own arguments.
    checked(unsafe {
        call(
            number::GETRANDOM,
            [into as usize, size, flags as usize, 0, 0, 0],
        )
    })
}

pub(crate) fn execve(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: the program's own arguments.
    checked(unsafe {
        call(
            number::EXECVE,
            [path as usize, argv as usize, envp as usize, 0, 0, 0],
        )
    }) as c_int
}

/// Whether a file is there and may be run.
pub(crate) fn is_executable(path: *const c_char) -> bool {
    const HERE: isize = -100;
    const RUN: usize = 1;
    // SAFETY: a string.
    unsafe {
        call(
            number::FACCESSAT,
            [HERE as usize, path as usize, RUN, 0, 0, 0],
        ) == 0
    }
}

/// Opens a file; a number below 0 is an error's.
pub(crate) fn open(path: *const c_char, flags: usize) -> isize {
    const HERE: isize = -100;
    // SAFETY: a string.
    unsafe { call(number::OPENAT, [HERE as usize, path as usize, flags, 0, 0, 0]) }
}

/// Where a link leads: how many bytes that has, not more than there is room for, or an error's number.
pub(crate) fn read_link(path: *const c_char, into: &mut [u8]) -> isize {
    const HERE: isize = -100;
    let (at, size) = (into.as_mut_ptr() as usize, into.len());
    // SAFETY: a string, and a buffer of the length that is told.
    unsafe { call(number::READLINKAT, [HERE as usize, path as usize, at, size, 0, 0]) }
}

/// Reads the next bytes of a file: how many, or an error's number.
pub(crate) fn read(file: usize, into: &mut [u8]) -> isize {
    let (at, size) = (into.as_mut_ptr() as usize, into.len());
    // SAFETY: a buffer of the length that is told.
    unsafe { call(number::READ, [file, at, size, 0, 0, 0]) }
}

/// Memory of the process, zero; null where there is none.
pub(crate) fn pages(size: usize) -> *mut u8 {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    // SAFETY: a new mapping, anywhere.
    let at = unsafe {
        call(
            number::MMAP,
            [0, size, READ_WRITE, PRIVATE_ANONYMOUS, usize::MAX, 0],
        )
    };
    if at < 0 {
        core::ptr::null_mut()
    } else {
        at as *mut u8
    }
}

pub(crate) fn free(at: *mut u8, size: usize) {
    // SAFETY: mapped by `pages`.
    unsafe { call(number::MUNMAP, [at as usize, size, 0, 0, 0, 0]) };
}

/// What follows `name=` in a variable.
pub(crate) fn after(variable: *const c_char, name: *const c_char) -> Option<*const c_char> {
    let (mut at, mut name) = (variable, name);
    // SAFETY: two strings.
    unsafe {
        while *name != 0 {
            if *at != *name {
                return None;
            }
            at = at.add(1);
            name = name.add(1);
        }
        (*at as u8 == b'=').then(|| at.add(1))
    }
}

/// Whether a string is this, which ends with a zero.
pub(crate) fn is(text: *const c_char, wanted: &[u8]) -> bool {
    begins(text, wanted)
}

/// Whether a string begins so.
pub(crate) fn begins(text: *const c_char, wanted: &[u8]) -> bool {
    let mut at = text;
    for byte in wanted {
        // SAFETY: not beyond the string's zero, at which it differs at the latest.
        unsafe {
            if *at as u8 != *byte {
                return false;
            }
            at = at.add(1);
        }
    }
    true
}

/// How long a string is, in bytes.
pub(crate) fn length(text: *const c_char) -> usize {
    let mut count = 0;
    // SAFETY: a string.
    unsafe {
        while *text.add(count) != 0 {
            count += 1;
        }
    }
    count
}

/// A string's bytes, for as long as nobody changes it.
pub(crate) fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: a string of this length.
    unsafe { core::slice::from_raw_parts(text.cast(), length(text)) }
}

/// Where the C library's `environ` is; 0 without one.
pub(crate) fn environ_variable() -> usize {
    // SAFETY: reads an address.
    unsafe { rekindle_environ() as usize }
}

/// The address at which the program began; 0 where it is not known.
pub(crate) fn entry() -> usize {
    const ENTRY: usize = 9;
    // SAFETY: the C library's function, where it is there.
    unsafe {
        let getauxval = rekindle_getauxval();
        if getauxval.is_null() {
            return 0;
        }
        let getauxval: extern "C" fn(usize) -> usize = core::mem::transmute(getauxval);
        getauxval(ENTRY)
    }
}

/// Memory that cannot be read; 0 where there is none.
pub(crate) fn unreadable(size: usize) -> usize {
    const PRIVATE_ANONYMOUS: usize = 0x22;
    // SAFETY: a new mapping, anywhere.
    let at = unsafe { call(number::MMAP, [0, size, 0, PRIVATE_ANONYMOUS, usize::MAX, 0]) };
    if at < 0 { 0 } else { at as usize }
}

/// Makes the page of an address writable. It stays so: what lies beside it may be written later.
pub(crate) fn make_writable(address: usize) -> bool {
    const READ_WRITE: usize = 3;
    // Whole pages of every size that the architectures have would take neighbours along: only the
    // smallest, and where that is refused nothing is guarded.
    const PAGE: usize = 4096;
    let page = address & !(PAGE - 1);
    // SAFETY: data of the program's, which was writable until it was relocated.
    unsafe { call(number::MPROTECT, [page, PAGE, READ_WRITE, 0, 0, 0]) == 0 }
}

/// Moves a mapping to where another one is.
pub(crate) fn move_to(from: usize, to: usize, size: usize) {
    const MAY_MOVE_FIXED: usize = 3;
    // SAFETY: both are this library's.
    unsafe { call(number::MREMAP, [from, size, size, MAY_MOVE_FIXED, to, 0]) };
}

/// Where the object begins that an address is in; 0 where it is not known.
pub(crate) fn object(address: *mut c_void) -> usize {
    static DLADDR: crate::Real = crate::Real::new();
    let dladdr = DLADDR.get(b"dladdr\0");
    if dladdr.is_null() || address.is_null() {
        return 0;
    }
    let mut about = [0_usize; 4];
    // SAFETY: the C library's function has this type; it fills four words.
    unsafe {
        let dladdr: extern "C" fn(*mut c_void, *mut usize) -> c_int = core::mem::transmute(dladdr);
        if dladdr(address, about.as_mut_ptr()) == 0 {
            return 0;
        }
    }
    about[1]
}

/// Where a byte is in a string.
pub(crate) fn first(text: *const c_char, wanted: u8) -> Option<usize> {
    // SAFETY: a string.
    (0..length(text)).find(|index| unsafe { *text.add(*index) } as u8 == wanted)
}

/// The current directory's path, with its zero: its length; less than 2 where there is none.
pub(crate) fn current_directory(into: &mut [u8]) -> usize {
    // SAFETY: a buffer of the length that is told.
    let length = unsafe {
        call(
            number::GETCWD,
            [into.as_mut_ptr() as usize, into.len(), 0, 0, 0, 0],
        )
    };
    if length < 0 { 0 } else { length as usize }
}

pub(crate) fn close(file: usize) {
    // SAFETY: a descriptor of this library's.
    unsafe { call(number::CLOSE, [file, 0, 0, 0, 0, 0]) };
}

/// Memory shared by a file; null where there is none.
pub(crate) fn shared(file: usize, from: usize, size: usize) -> *mut u8 {
    const READ_WRITE: usize = 3;
    const SHARED: usize = 1;
    // SAFETY: a new mapping, anywhere.
    let at = unsafe { call(number::MMAP, [0, size, READ_WRITE, SHARED, file, from]) };
    if at < 0 {
        core::ptr::null_mut()
    } else {
        at as *mut u8
    }
}

/// Code of a file, at an address and nowhere else.
pub(crate) fn code(file: usize, at: usize) -> bool {
    const READ_RUN: usize = 5;
    const PRIVATE_FIXED_NEW: usize = 0x10_0002;
    // SAFETY: a new mapping, where none is. A kernel before 4.17 may put it elsewhere, unused.
    let there = unsafe { call(number::MMAP, [at, 4096, READ_RUN, PRIVATE_FIXED_NEW, file, 0]) };
    there == at as isize
}
