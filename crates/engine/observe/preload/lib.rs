//! The preload library: tells the supervisor which variables and clocks a process reads, which needs
//! no system call and so passes by the filter, and sends compilers' starts to a redirector.
//!
//! It is loaded into every program of an observed tree, so it uses nothing: no standard library, no
//! allocation, no symbol that must be there. What it tells is a system call that fails where nobody
//! listens (see `protocol.rs`); then it changes nothing at all.
#![no_std]

#[path = "../src/protocol.rs"]
#[allow(dead_code, reason = "some are for nested observers")]
mod protocol;

#[path = "../src/ring.rs"]
#[allow(dead_code, reason = "some are for the supervisor")]
mod ring;

mod exec;
mod files;
mod guard;
mod quiet;
mod real;
mod spare;
mod sys;

use core::arch::naked_asm;
use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};

use protocol::{CLOCK, GETENV, HELLO, RANDOM, STARTS_SIZE, SLOTS_SIZE};
use sys::say;

/// Never reached: nothing here panics, as nothing here is checked by panicking.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Of the supervisor's reply.
const REPLY_SIZE: usize = SLOTS_SIZE + STARTS_SIZE;

/// The supervisor's reply, aligned as its numbers are.
#[repr(align(8))]
struct Reply([u8; REPLY_SIZE]);

/// How programs are to be started, where there is something to it.
static STARTS: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static STARTS_LENGTH: AtomicUsize = AtomicUsize::new(0);

fn starts() -> &'static [u8] {
    let text = STARTS.load(Relaxed);
    if text.is_null() {
        return &[];
    }
    // SAFETY: as long as that, and no longer written.
    unsafe { core::slice::from_raw_parts(text, STARTS_LENGTH.load(Relaxed)) }
}

/// The `LD_LIBRARY_PATH` that programs of the system's are loaded without; empty where there is none.
pub(crate) fn library_path() -> &'static [u8] {
    let text = starts();
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(0);
    &text[..end]
}

/// What is to be redirected; empty where nothing is.
pub(crate) fn redirect() -> &'static [u8] {
    let text = starts();
    let end = text.iter().position(|byte| *byte == 0);
    end.and_then(|end| text.get(end + 1..)).unwrap_or_default()
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn(c_int, *const *const c_char, *mut *const c_char) = start;

/// The C library's loader calls it with what `main` gets; another one may not, and its programs are never started with
/// anything to restore.
extern "C" fn start(_: c_int, _: *const *const c_char, variables: *mut *const c_char) {
    if cfg!(target_env = "gnu") {
        // SAFETY: as that loader hands it on.
        unsafe { spare::restore(variables) };
    }
    let mut reply = Reply([0; REPLY_SIZE]);
    let at = reply.0.as_mut_ptr();
    let written = say(HELLO, at as usize, REPLY_SIZE);
    if written < SLOTS_SIZE as isize || written as usize > REPLY_SIZE {
        return;
    }
    let length = written as usize - SLOTS_SIZE;
    let text = if length > 0 {
        sys::pages(length)
    } else {
        core::ptr::null_mut()
    };
    if !text.is_null() {
        // SAFETY: new memory of this length, and what the supervisor wrote.
        unsafe { core::ptr::copy_nonoverlapping(at.add(SLOTS_SIZE), text, length) };
        STARTS_LENGTH.store(length, Relaxed);
        STARTS.store(text, Relaxed);
    }
    // SAFETY: the first part of the reply, which is aligned.
    guard::start(unsafe { core::slice::from_raw_parts(at.cast::<u64>(), SLOTS_SIZE / 8) });
}

/// A function of the C library behind one of the ones below. It does not hold its own name: an address in
/// data is one that every process must correct.
pub(crate) struct Real(AtomicPtr<c_void>);

impl Real {
    /// Not looked for yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Its address by its name, which ends with a zero; null where it cannot be found.
    pub(crate) fn get(&self, name: &[u8]) -> *mut c_void {
        self.found(name, sys::next)
    }

    /// The one that the program itself would use, which may be its own.
    pub(crate) fn usual(&self, name: &[u8]) -> *mut c_void {
        self.found(name, sys::usual)
    }

    fn found(&self, name: &[u8], find: fn(*const c_char) -> *mut c_void) -> *mut c_void {
        let known = self.0.load(Relaxed);
        if !known.is_null() {
            return known;
        }
        let found = find(name.as_ptr().cast());
        self.0.store(found, Relaxed);
        found
    }
}

/// All of this library's data fits on one page.
const TOLD: usize = 128;

/// What has been told, by hash.
static SEEN: [AtomicU64; TOLD] = [const { AtomicU64::new(0) }; TOLD];

/// Whether this is told for the first time, or may be.
fn is_new(hash: u64) -> bool {
    let hash = hash | 1;
    for step in 0..16 {
        let slot = &SEEN[(hash as usize >> 8).wrapping_add(step) % TOLD];
        match slot.compare_exchange(0, hash, Relaxed, Relaxed) {
            Ok(_) => return true,
            Err(there) if there == hash => return false,
            Err(_) => {}
        }
    }
    true
}

fn hash(text: *const c_char, from: usize) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ (from as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut at = text;
    // SAFETY: a string of the program's.
    unsafe {
        while *at != 0 {
            sum = (sum ^ u64::from(*at as u8)).wrapping_mul(0x0100_0000_01b3);
            at = at.add(1);
        }
    }
    sum
}

/// The value of a variable, as the C library gives it.
pub(crate) fn variable(name: *const c_char) -> *mut c_char {
    let Some(mut at) = guard::environ() else {
        return core::ptr::null_mut();
    };
    // SAFETY: the program's list of strings, which ends with null.
    unsafe {
        while !(*at).is_null() {
            if let Some(value) = sys::after(*at, name) {
                return value.cast_mut();
            }
            at = at.add(1);
        }
    }
    core::ptr::null_mut()
}

extern "C" fn getenv_from(name: *const c_char, from: usize) -> *mut c_char {
    if name.is_null() {
        return core::ptr::null_mut();
    }
    if is_new(hash(name, from)) && !quiet::write_down_variable(name) {
        say(GETENV, name as usize, from);
    }
    let value = variable(name);
    if !value.is_null() && sys::is(name, b"LD_PRELOAD\0") {
        return hide(value);
    }
    value
}

/// The user's own part of `LD_PRELOAD`.
fn hide(value: *mut c_char) -> *mut c_char {
    const OURS: &[u8] = b"librekindle-observe-";
    let mut at = value;
    let mut ours = false;
    // SAFETY: a string of the environment's.
    unsafe {
        while *at != 0 && *at as u8 != b':' && *at as u8 != b' ' {
            ours |= sys::begins(at, OURS);
            at = at.add(1);
        }
        match (ours, *at) {
            (false, _) => value,
            (true, 0) => core::ptr::null_mut(),
            (true, _) => at.add(1),
        }
    }
}

extern "C" fn clock_gettime_from(clock: c_int, time: *mut c_void, from: usize) -> c_int {
    static NEXT: Real = Real::new();
    const CALENDAR: [c_int; 3] = [0, 5, 11];
    if CALENDAR.contains(&clock) {
        tell(CLOCK, from);
    }
    let next = NEXT.get(b"clock_gettime\0");
    if next.is_null() {
        return sys::clock_gettime(clock, time);
    }
    // SAFETY: that function has this type.
    unsafe {
        let next: extern "C" fn(c_int, *mut c_void) -> c_int = core::mem::transmute(next);
        next(clock, time)
    }
}

extern "C" fn gettimeofday_from(time: *mut c_void, zone: *mut c_void, from: usize) -> c_int {
    static NEXT: Real = Real::new();
    tell(CLOCK, from);
    let next = NEXT.get(b"gettimeofday\0");
    if next.is_null() {
        return sys::gettimeofday(time, zone);
    }
    // SAFETY: that function has this type.
    unsafe {
        let next: extern "C" fn(*mut c_void, *mut c_void) -> c_int = core::mem::transmute(next);
        next(time, zone)
    }
}

extern "C" fn time_from(into: *mut i64, from: usize) -> i64 {
    tell(CLOCK, from);
    let mut now = [0_i64; 2];
    clock_gettime_from(5, now.as_mut_ptr().cast(), from);
    if !into.is_null() {
        // SAFETY: the program's own.
        unsafe { *into = now[0] };
    }
    now[0]
}

extern "C" fn timespec_get_from(time: *mut c_void, base: c_int, from: usize) -> c_int {
    const UTC: c_int = 1;
    if base == UTC && clock_gettime_from(0, time, from) == 0 {
        return base;
    }
    0
}

extern "C" fn getrandom_from(into: *mut c_void, size: usize, flags: u32, from: usize) -> isize {
    static NEXT: Real = Real::new();
    // With other flags it is for hash tables and the names of temporary files.
    if flags == 0 || flags == 2 {
        say(RANDOM, 0, from);
    }
    let next = NEXT.get(b"getrandom\0");
    if next.is_null() {
        return sys::getrandom(into, size, flags);
    }
    // SAFETY: that function has this type.
    unsafe {
        let next: extern "C" fn(*mut c_void, usize, u32) -> isize = core::mem::transmute(next);
        next(into, size, flags)
    }
}

fn tell(what: c_int, from: usize) {
    if is_new((from as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ what as u64) {
        say(what, 0, from);
    }
}

/// A function that passes on, after its own arguments, the address it was called from.
macro_rules! with_caller {
    ($name:ident, $to:path, $x86:literal, $arm:literal) => {
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            naked_asm!(
                concat!("mov ", $x86, ", [rsp]"),
                "jmp {to}",
                to = sym $to
            );
            #[cfg(target_arch = "aarch64")]
            naked_asm!(concat!("mov ", $arm, ", x30"), "b {to}", to = sym $to);
        }
    };
}

with_caller!(getenv, getenv_from, "rsi", "x1");
with_caller!(secure_getenv, getenv_from, "rsi", "x1");
with_caller!(__secure_getenv, getenv_from, "rsi", "x1");
with_caller!(clock_gettime, clock_gettime_from, "rdx", "x2");
with_caller!(gettimeofday, gettimeofday_from, "rdx", "x2");
with_caller!(time, time_from, "rsi", "x1");
with_caller!(timespec_get, timespec_get_from, "rdx", "x2");
with_caller!(getrandom, getrandom_from, "rcx", "x3");
