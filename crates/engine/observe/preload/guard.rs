//! Telling whether a Rust program reads its variables as a whole.
//!
//! Such a program reaches `environ` through slots of its global offset table, also where it only hands
//! its variables on to a child. The supervisor says where these slots are; they are made to lead to a
//! variable of this library's, which points to memory that cannot be read. Whoever goes through the
//! variables faults there: that is told, the memory becomes a copy of the list, and the slots lead to
//! the C library again. Programs' own handlers of that signal are kept, and called for all other faults.
//!
//! Where the supervisor says that Rust's own library reads the list only to hand it on to a child, in a
//! changed copy, the reader gets the list itself in its registers, and all stays guarded.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

use crate::protocol::{GUARDED, MOST_SLOTS, VARIABLES};
use crate::{Real, sys};

/// Room for the list of variables, in bytes.
const SIZE: usize = 64 << 10;
const SEGV: c_int = 11;
const SIGINFO: c_int = 4;
const ON_STACK: c_int = 0x0800_0000;
const NODEFER: c_int = 0x4000_0000;
/// The handler goes after its first call.
const ONCE: c_int = 0x8000_0000_u32 as c_int;

type Strings = *const *const c_char;

/// The C library's `struct sigaction`, the same on both architectures.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Action {
    handler: usize,
    mask: [u64; 16],
    flags: c_int,
    restorer: usize,
}

/// What `environ` is to the program.
static SEEN: AtomicPtr<*const c_char> = AtomicPtr::new(core::ptr::null_mut());
/// The memory that cannot be read; 0 where nothing is guarded.
static GUARD: AtomicUsize = AtomicUsize::new(0);
/// Where the program's file is loaded.
static BASE: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);
static SLOTS: [AtomicUsize; MOST_SLOTS] = [const { AtomicUsize::new(0) }; MOST_SLOTS];

struct Own(core::cell::UnsafeCell<Action>);

// SAFETY: programs set handlers from one thread, as the kernel's own are one for all threads.
unsafe impl Sync for Own {}

/// The program's own handler.
static OWN: Own = Own(core::cell::UnsafeCell::new(Action {
    handler: 0,
    mask: [0; 16],
    flags: 0,
    restorer: 0,
}));

static SIGACTION: Real = Real::new();
static SIGNAL: Real = Real::new();

fn set(action: *const Action, old: *mut Action) -> c_int {
    next_sigaction(SEGV, action, old)
}

fn next_sigaction(signal: c_int, action: *const Action, old: *mut Action) -> c_int {
    let next = SIGACTION.get(b"sigaction\0");
    if next.is_null() {
        return -1;
    }
    // SAFETY: that function has this type.
    unsafe {
        let next: extern "C" fn(c_int, *const Action, *mut Action) -> c_int =
            core::mem::transmute(next);
        next(signal, action, old)
    }
}

/// Guards the slots that a reply names: see `protocol::HELLO`.
pub(crate) fn start(reply: &[u64]) {
    let [entry, count, slots @ ..] = reply else {
        return;
    };
    let count = *count as usize;
    let environ = sys::environ_variable();
    let here = sys::entry();
    if count == 0 || count > MOST_SLOTS || environ == 0 || here == 0 {
        return;
    }
    let base = here.wrapping_sub(*entry as usize);
    for (own, slot) in SLOTS.iter().zip(&slots[..count]) {
        let slot = base.wrapping_add(*slot as usize);
        // SAFETY: a slot of the program that runs, by its own file; it says itself whether it is.
        if unsafe { *(slot as *const usize) } != environ {
            return;
        }
        own.store(slot, SeqCst);
    }
    let guard = sys::unreadable(SIZE);
    if guard == 0 {
        return;
    }
    let mut own = unsafe { *OWN.0.get() };
    if set(core::ptr::null(), &raw mut own) != 0 {
        return;
    }
    // SAFETY: before the program has a second thread.
    unsafe { *OWN.0.get() = own };
    if set(&ours(own), core::ptr::null_mut()) != 0 {
        return;
    }
    BASE.store(base, SeqCst);
    SEEN.store(guard as *mut *const c_char, SeqCst);
    GUARD.store(guard, SeqCst);
    if lead(&raw const SEEN as usize) {
        sys::say(GUARDED, 0, 0);
    }
}

/// Ours in the place of the program's.
fn ours(own: Action) -> Action {
    Action {
        handler: faulted as *const () as usize,
        flags: (own.flags & !ONCE) | SIGINFO | ON_STACK | NODEFER,
        ..own
    }
}

/// Makes the slots lead to a variable.
fn lead(to: usize) -> bool {
    let slots = || {
        let all = SLOTS.iter().map(|slot| slot.load(SeqCst));
        all.filter(|slot| *slot != 0)
    };
    if !slots().all(sys::make_writable) {
        return false;
    }
    for slot in slots() {
        // SAFETY: a slot of the program's, checked before.
        unsafe { (*(slot as *const AtomicUsize)).store(to, SeqCst) };
    }
    true
}

extern "C" fn faulted(signal: c_int, info: *const u8, context: *mut c_void) {
    // SAFETY: `si_addr` in `siginfo_t`, on both architectures.
    let address = unsafe { *info.add(16).cast::<usize>() };
    let guard = GUARD.load(SeqCst);
    if guard != 0 && (guard..guard + SIZE).contains(&address) {
        // SAFETY: what the kernel gave.
        if !unsafe { registers(context).is_some_and(|all| hands_on(guard, all)) } {
            read_as_a_whole(guard);
        }
        return;
    }
    // SAFETY: the program's own.
    let own = unsafe { *OWN.0.get() };
    if own.handler <= 1 {
        // The same fault ends the program as it would have.
        let default = Action { handler: 0, ..own };
        set(&default, core::ptr::null_mut());
        return;
    }
    // SAFETY: the program's own handler has one of these types.
    unsafe {
        if own.flags & SIGINFO == 0 {
            let handler: extern "C" fn(c_int) = core::mem::transmute(own.handler);
            handler(signal);
        } else {
            let handler: extern "C" fn(c_int, *const u8, *mut c_void) =
                core::mem::transmute(own.handler);
            handler(signal, info, context);
        }
    }
}

/// How many registers there are of those that hold what a program computes with, and the two that tell
/// where it is.
#[cfg(target_arch = "x86_64")]
const GENERAL: usize = 15;
#[cfg(target_arch = "x86_64")]
const FRAME: usize = 10;
#[cfg(target_arch = "x86_64")]
const PLACE: usize = 16;

/// The registers of what was interrupted, in `ucontext_t`.
///
/// # Safety
/// The context is the one that the kernel gave a handler, and nobody else has it.
#[cfg(target_arch = "x86_64")]
unsafe fn registers<'context>(context: *mut c_void) -> Option<&'context mut [usize; 17]> {
    const GREGS: usize = 40;
    // SAFETY: as the caller says.
    Some(unsafe { &mut *context.byte_add(GREGS).cast() })
}

#[cfg(not(target_arch = "x86_64"))]
const GENERAL: usize = 0;
#[cfg(not(target_arch = "x86_64"))]
const FRAME: usize = 0;
#[cfg(not(target_arch = "x86_64"))]
const PLACE: usize = 0;

/// Not known elsewhere: there the list counts as read.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn registers<'context>(_: *mut c_void) -> Option<&'context mut [usize; 17]> {
    None
}

/// Gives the reader the list itself, where it is only handed on. No other thread gets it so: whoever reads
/// the slots still gets the guard.
fn hands_on(guard: usize, registers: &mut [usize; 17]) -> bool {
    let Some(list) = sys::environ() else {
        return false;
    };
    let is_of_guard = |value: usize| (guard..guard + SIZE).contains(&value);
    let general = &registers[..GENERAL];
    // Only the start of the list: how far another place is from it means nothing to the list.
    let mut held = general.iter().filter(|value| is_of_guard(**value));
    if held.clone().count() == 0 || !held.all(|value| *value == guard) {
        return false;
    }
    let about = [registers[PLACE], registers[FRAME], BASE.load(SeqCst)];
    if sys::say_more(VARIABLES, about) != 1 {
        return false;
    }
    for value in &mut registers[..GENERAL] {
        if *value == guard {
            *value = list as usize;
        }
    }
    true
}

/// The list is put in the place of the guard in one step: another thread sees all of it or faults.
fn read_as_a_whole(guard: usize) {
    if DONE.swap(1, SeqCst) != 0 {
        return;
    }
    sys::say(VARIABLES, 0, 0);
    lead(sys::environ_variable());
    let copy = sys::pages(SIZE);
    let words = copy.cast::<*const c_char>();
    let most = SIZE / size_of::<*const c_char>() - 1;
    if let Some(list) = sys::environ() {
        for index in 0..most {
            // SAFETY: the program's list, which ends with null, and a mapping with room for it.
            unsafe {
                let variable = *list.add(index);
                *words.add(index) = variable;
                if variable.is_null() {
                    break;
                }
            }
        }
    }
    sys::move_to(copy as usize, guard, SIZE);
}

/// The list that a program means by what it gives as one.
pub(crate) fn meant(given: Strings) -> Strings {
    let guard = GUARD.load(SeqCst);
    if guard != 0 && given as usize == guard {
        sys::environ().unwrap_or(given)
    } else {
        given
    }
}

/// What `environ` is: what the program has set it to, if it has.
pub(crate) fn environ() -> Option<Strings> {
    let seen = SEEN.load(SeqCst);
    let guard = GUARD.load(SeqCst);
    if guard == 0 || seen as usize == guard {
        return sys::environ();
    }
    (!seen.is_null()).then_some(seen.cast_const().cast())
}

/// Calls `then` with the C library's `environ` as the program has set its own, which `then` reads to find
/// programs.
pub(crate) fn with_own<T>(then: impl FnOnce() -> T) -> T {
    let variable = sys::environ_variable() as *mut *const *const c_char;
    let seen = SEEN.load(SeqCst);
    let guard = GUARD.load(SeqCst);
    if guard == 0 || seen as usize == guard || variable.is_null() {
        return then();
    }
    // SAFETY: the C library's variable; programs set theirs in a child that has one thread.
    unsafe {
        let before = *variable;
        *variable = seen.cast_const().cast();
        let result = then();
        *variable = before;
        result
    }
}

#[unsafe(no_mangle)]
extern "C" fn sigaction(signal: c_int, action: *const Action, old: *mut Action) -> c_int {
    if signal == SEGV && GUARD.load(SeqCst) != 0 {
        // SAFETY: the program's own structures.
        unsafe {
            let before = *OWN.0.get();
            if !action.is_null() {
                let own = *action;
                *OWN.0.get() = own;
                if set(&ours(own), core::ptr::null_mut()) != 0 {
                    return -1;
                }
            }
            if !old.is_null() {
                *old = before;
            }
        }
        return 0;
    }
    next_sigaction(signal, action, old)
}

#[unsafe(no_mangle)]
extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    if signal == SEGV && GUARD.load(SeqCst) != 0 {
        let mut old = Action {
            handler,
            mask: [0; 16],
            flags: 0,
            restorer: 0,
        };
        let new = old;
        sigaction(signal, &raw const new, &raw mut old);
        return old.handler;
    }
    let next = SIGNAL.get(b"signal\0");
    if next.is_null() {
        return usize::MAX;
    }
    // SAFETY: that function has this type.
    unsafe {
        let next: extern "C" fn(c_int, usize) -> usize = core::mem::transmute(next);
        next(signal, handler)
    }
}
