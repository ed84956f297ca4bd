//! Reading files without being stopped: what is read is written down first, in memory that is shared
//! with the supervisor, and the call is made from an address at which the filter allows it. See
//! `ring.rs`. Where that cannot be done for any reason, the call is made as ever, and is stopped.

use core::ffi::c_char;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};

use crate::ring::{self, CODE, SLOT_COUNT};
use crate::{Real, protocol, sys, variable};

/// The ring; null before it has been asked for, and where there is none.
static RING: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
/// What the supervisor calls this process, and children of it that start no program; with [`ring::ALOUD`].
static PROCESS: AtomicU32 = AtomicU32::new(0);
static STATE: AtomicU8 = AtomicU8::new(UNASKED);

const UNASKED: u8 = 0;
/// So many calls are stopped before the ring is asked for, which costs as much.
const EARLY: u8 = 2;
const ASKING: u8 = 250;
const NONE: u8 = 251;
const READY: u8 = 253;

/// The path of the current directory at most, and what is asked for behind it.
const ROOM: usize = ring::LONGEST;

/// A line that was written.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    slot: *mut u8,
    count: u64,
}

/// What the kernel gives where nothing is.
pub(crate) const NOT_THERE: isize = -2;

impl Line {
    /// Says what came of the call that it tells of, and hands that on.
    pub(crate) fn ended(self, result: isize) -> isize {
        if result == NOT_THERE {
            // SAFETY: a word of the ring, which stays mapped and which all who share it use as an atomic.
            let outcome = unsafe { AtomicU64::from_ptr(self.slot.add(ring::OUTCOME).cast()) };
            outcome.store(ring::missing(self.count), SeqCst);
        }
        result
    }
}

/// Writes down that a path, relative to the current directory, is going to be read.
pub(crate) fn write_down(kind: u16, path: *const c_char) -> Option<Line> {
    if !is_ready(kind == ring::REAL) {
        return None;
    }
    // The first page is nobody's: the kernel tells what is wrong with it.
    if (path as usize) < 4096 {
        return None;
    }
    // SAFETY: a string.
    let first = unsafe { *path } as u8;
    if first == b'/' {
        // What is there depends on who asks, and on when.
        if of_the_kernel(path) {
            return None;
        }
        put(kind, &[], path)
    } else {
        let mut here = [0_u8; ROOM];
        match sys::current_directory(&mut here) {
            _ if first == 0 => None,
            // Not below the root it says so.
            length @ 2.. if here[0] == b'/' && !of_the_kernel(here.as_ptr().cast()) => {
                here[length - 1] = b'/';
                put(kind, &here[..length], path)
            }
            _ => None,
        }
    }
}

/// Writes down that a variable is going to be read. Whether that was possible.
pub(crate) fn write_down_variable(name: *const c_char) -> bool {
    is_ready(false)
        && PROCESS.load(SeqCst) & ring::ALOUD == 0
        && put(ring::VARIABLE, &[], name).is_some()
}

/// Whether what is read can be written down by now.
pub(crate) fn can_write() -> bool {
    STATE.load(SeqCst) == READY
}

/// What this process does from now on is part of another observation than what it wrote down before. Called between
/// `fork` and `exec`, in the child.
#[unsafe(no_mangle)]
extern "C" fn rekindle_observe_aloud() {
    STATE.store(NONE, SeqCst);
}

fn of_the_kernel(path: *const c_char) -> bool {
    sys::begins(path, b"/proc") || sys::begins(path, b"/sys") || sys::begins(path, b"/dev")
}

/// A line of the ring. Not where there is no room, or the supervisor does not wait for it.
fn put(kind: u16, before: &[u8], path: *const c_char) -> Option<Line> {
    let at = RING.load(SeqCst);
    // SAFETY: the ring's memory, which stays mapped, and a string; all is inside of a slot.
    unsafe {
        let taken = AtomicU64::from_ptr(at.add(ring::TAKEN).cast());
        let done = AtomicU64::from_ptr(at.add(ring::DONE).cast());
        let mut count = taken.load(SeqCst);
        loop {
            if count.wrapping_sub(done.load(SeqCst)) >= SLOT_COUNT {
                return None;
            }
            match taken.compare_exchange_weak(count, count + 1, SeqCst, SeqCst) {
                Ok(_) => break,
                Err(there) => count = there,
            }
        }
        let slot = at.add(ring::SLOTS + (count % SLOT_COUNT) as usize * ring::SLOT_SIZE);
        let state = AtomicU64::from_ptr(slot.cast());
        let good = state.load(SeqCst) == ring::free(count)
            && fill(slot, kind, before, path)
            && state
                .compare_exchange(ring::free(count), ring::written(count), SeqCst, SeqCst)
                .is_ok();
        if good {
            return Some(Line { slot, count });
        }
        // Whoever cancelled it may have it back; if nobody has yet, it is cancelled here.
        let free = ring::free(count);
        if state
            .compare_exchange(free, ring::RELEASED, SeqCst, SeqCst)
            .is_err()
        {
            let cancelled = ring::cancelled(count);
            let _ = state.compare_exchange(cancelled, ring::RELEASED, SeqCst, SeqCst);
        }
        None
    }
}

/// # Safety
/// The slot is the caller's, and the path a string.
unsafe fn fill(slot: *mut u8, kind: u16, before: &[u8], path: *const c_char) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let text = slot.add(ring::PATH);
        core::ptr::copy_nonoverlapping(before.as_ptr(), text, before.len());
        let mut length = before.len();
        let mut from = path;
        while *from != 0 {
            if length == ring::LONGEST {
                return false;
            }
            *text.add(length) = *from as u8;
            length += 1;
            from = from.add(1);
        }
        let process = PROCESS.load(SeqCst) & !ring::ALOUD;
        AtomicU32::from_ptr(slot.add(ring::PROCESS).cast()).store(process, SeqCst);
        AtomicU16::from_ptr(slot.add(ring::KIND).cast()).store(kind, SeqCst);
        AtomicU16::from_ptr(slot.add(ring::LENGTH).cast()).store(length as u16, SeqCst);
    }
    true
}

/// Asks for the ring after a few calls, or before one that is many. Whether it is there.
pub(crate) fn is_ready(is_many: bool) -> bool {
    let state = STATE.load(SeqCst);
    let next = match state {
        READY => return true,
        EARLY => ASKING,
        ..EARLY if is_many => ASKING,
        ..EARLY => state + 1,
        _ => return false,
    };
    // In another thread, or in a handler of a signal, the same may go on.
    if STATE.compare_exchange(state, next, SeqCst, SeqCst).is_err() || next != ASKING {
        return false;
    }
    let state = if is_shared() { NONE } else { ask() };
    STATE.store(state, SeqCst);
    state == READY
}

/// Whether another library takes the C library's place, too: nothing may pass by it.
fn is_shared() -> bool {
    static OPEN: Real = Real::new();
    static OWN: Real = Real::new();
    let preloaded = variable(c"LD_PRELOAD".as_ptr());
    let alone = preloaded.is_null()
        || (sys::first(preloaded, b':').is_none() && sys::first(preloaded, b' ').is_none());
    let home = sys::object(OWN.get(b"gnu_get_libc_version\0"));
    !alone || home == 0 || home != sys::object(OPEN.get(b"open\0"))
}

fn ask() -> u8 {
    let answer = sys::say(protocol::RING, 0, 0);
    if answer < 0 {
        return NONE;
    }
    let file = answer & 0xffff_ffff;
    let at = sys::shared(file as usize, ring::START, ring::SIZE);
    let has_code = !at.is_null() && sys::code(file as usize, CODE as usize);
    sys::close(file as usize);
    if !has_code {
        return NONE;
    }
    PROCESS.store((answer >> 32) as u32, SeqCst);
    RING.store(at, SeqCst);
    READY
}

/// Makes a system call that reads what was written down.
pub(crate) fn call(number: usize, arguments: [usize; 4]) -> isize {
    let [a, b, c, d] = arguments;
    call_with_five(number, [a, b, c, d, 0])
}

/// The same, of five arguments.
pub(crate) fn call_with_five(number: usize, arguments: [usize; 5]) -> isize {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the program's own arguments; the code is there where something was written down.
    unsafe { sys::call_by(CODE as usize, number, [a, b, c, d, e, 0]) }
}
