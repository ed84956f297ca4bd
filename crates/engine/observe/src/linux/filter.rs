//! The filter that stops calls: a program of the kernel's packet filter.
//!
//! A call that no rule names is allowed whatever its arguments are, which the kernel remembers in a
//! bitmap: it then costs nothing.

use std::io;

use super::calls::{Quiet, When, rules};
use super::loader::{Constant, constants};
use crate::ring;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const CALLER: u32 = 8;
const ARGUMENTS: u32 = 16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const SUBTRACT: u16 = (libc::BPF_ALU | libc::BPF_SUB | libc::BPF_X) as u16;
const ASIDE: u16 = (libc::BPF_MISC | libc::BPF_TAX) as u16;

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// The low half of an argument; both architectures are little-endian.
const fn argument(index: usize) -> libc::sock_filter {
    step(LOAD, 0, 0, ARGUMENTS + 8 * index as u32)
}

/// Allows a call that the ring's code makes: what it reads has been written down.
fn quietly(quiet: Quiet) -> Vec<libc::sock_filter> {
    let caller = ring::CODE + ring::CODE_BYTES.1;
    #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
    let (low, high) = (caller as u32, (caller >> 32) as u32);
    let allow = match quiet {
        Quiet::Never => return Vec::new(),
        Quiet::Always => vec![step(RETURN, 0, 0, ALLOW)],
        Quiet::Without(index, bits) => vec![
            argument(index),
            step(BITS, 1, 0, bits),
            step(RETURN, 0, 0, ALLOW),
        ],
    };
    #[expect(clippy::cast_possible_truncation, reason = "a few steps")]
    let beyond = allow.len() as u8;
    let mut steps = vec![
        step(LOAD, 0, 0, CALLER),
        step(EQUAL, 0, beyond + 2, low),
        step(LOAD, 0, 0, CALLER + 4),
        step(EQUAL, 0, beyond, high),
    ];
    steps.extend(allow);
    steps
}

/// Allows a call of the loader with a text of its own, see [`super::loader`].
fn constant(constant: &Constant) -> Vec<libc::sock_filter> {
    #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
    let (low, high) = (constant.distance as u32, (constant.distance >> 32) as u32);
    let text = ARGUMENTS + 8 * constant.argument as u32;
    // Where subtracting the low halves borrows, the high ones differ by one less: that is stopped.
    vec![
        step(LOAD, 0, 0, CALLER),
        step(ASIDE, 0, 0, 0),
        step(AND, 0, 0, 0xfff),
        step(EQUAL, 0, 9, constant.on_page),
        step(LOAD, 0, 0, text),
        step(SUBTRACT, 0, 0, 0),
        step(EQUAL, 0, 6, low),
        step(LOAD, 0, 0, CALLER + 4),
        step(ASIDE, 0, 0, 0),
        step(LOAD, 0, 0, text + 4),
        step(SUBTRACT, 0, 0, 0),
        step(EQUAL, 0, 1, high),
        step(RETURN, 0, 0, ALLOW),
    ]
}

/// The filter.
pub(super) fn program() -> Vec<libc::sock_filter> {
    let mut program = vec![
        step(LOAD, 0, 0, ARCH),
        step(EQUAL, 1, 0, ARCHITECTURE),
        // Calls of another architecture: a program of that is noticed when it is started.
        step(RETURN, 0, 0, ALLOW),
        step(LOAD, 0, 0, NUMBER),
    ];
    for rule in rules() {
        let mut then = quietly(rule.quiet);
        let constants = constants().iter();
        then.extend(
            constants
                .filter(|constant| constant.number == rule.number)
                .flat_map(constant),
        );
        then.extend(match rule.when {
            When::Always => vec![step(RETURN, 0, 0, NOTIFY)],
            When::Absent => vec![step(RETURN, 0, 0, ABSENT)],
            When::Unless(index, value) => vec![
                argument(index),
                step(EQUAL, 0, 1, value),
                step(RETURN, 0, 0, ALLOW),
                step(RETURN, 0, 0, NOTIFY),
            ],
            When::Only(index, one, two) => vec![
                argument(index),
                step(EQUAL, 2, 0, one),
                step(EQUAL, 1, 0, two),
                step(RETURN, 0, 0, ALLOW),
                step(RETURN, 0, 0, NOTIFY),
            ],
            When::Bits(index, bits) => vec![
                argument(index),
                step(BITS, 1, 0, bits),
                step(RETURN, 0, 0, ALLOW),
                step(RETURN, 0, 0, NOTIFY),
            ],
        });
        #[expect(
            clippy::cast_sign_loss,
            reason = "numbers of calls are small and positive"
        )]
        program.push(step(EQUAL, 0, then.len() as u8, rule.number as u32));
        program.extend(then);
    }
    program.push(step(RETURN, 0, 0, ALLOW));
    program
}

/// Installs the filter for this thread and all that it starts; gives the listener. Called between
/// fork and exec: allocates nothing.
pub(super) fn install(program: &[libc::sock_filter]) -> io::Result<i32> {
    #[expect(clippy::cast_possible_truncation, reason = "a few hundred steps")]
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // Who may install filters anyway keeps what `no_new_privs` would take from its children (`sudo`).
    match listener(&filter) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {}
        done => return done,
    }
    // SAFETY: sets a flag of this process.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    listener(&filter)
}

fn listener(filter: &libc::sock_fprog) -> io::Result<i32> {
    // The filter keeps nobody from anything: before Linux 5.16 whoever has one computes slower otherwise, as a
    // guard against speculative execution, and so do all compilers.
    let new = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // From Linux 5.19: a call that has been taken is not interrupted by a signal that is handled,
    // as Go's and Java's runtimes send them all the time.
    let killable = new | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    for flags in [killable, new] {
        // SAFETY: the filter outlives the call, which copies it.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                std::ptr::from_ref(filter),
            )
        };
        if fd >= 0 {
            #[expect(clippy::cast_possible_truncation, reason = "a file descriptor")]
            return Ok(fd as i32);
        }
        last = io::Error::last_os_error();
        if last.raw_os_error() != Some(libc::EINVAL) {
            break;
        }
    }
    Err(last)
}
