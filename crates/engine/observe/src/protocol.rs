// What the preload library and nested observers say to the supervisor, and how. Included by both the
// crate and the preload library, which is compiled apart and without the standard library.
//
// Each is an `openat` whose directory is one of these numbers, which no process can have as a file
// descriptor: unobserved, it fails with `EBADF` and does nothing.

/// The C library is there: `(buffer, length)`. Answered with how many bytes were written
/// there: first [`SLOTS_SIZE`] bytes as `u64`s, the address at which the program's file says that
/// it begins, how many slots for `environ` it has and their addresses, to be guarded; then how programs are to be
/// started, if that is to be another way than they would be.
pub(crate) const HELLO: i32 = -0x5245_0001;
/// A variable was asked for: `(name, return address)`.
pub(crate) const GETENV: i32 = -0x5245_0002;
/// The calendar's clock was read: `(0, return address)`.
pub(crate) const CLOCK: i32 = -0x5245_0003;
/// Randomness was read: `(0, return address)`.
pub(crate) const RANDOM: i32 = -0x5245_0004;
/// The calling process and what it starts are observed apart from now on: `(options, length)`.
/// Answered with a number above 0.
pub(crate) const BEGIN: i32 = -0x5245_0005;
/// What was seen of that: `(number, 0)`, answered with the length of its encoding.
pub(crate) const END: i32 = -0x5245_0006;
/// Its encoding: `(number, buffer)`, answered with the length.
pub(crate) const FETCH: i32 = -0x5245_0007;
/// An observation to add to the caller's: `(encoding, length)`.
pub(crate) const ADD: i32 = -0x5245_0008;
/// Is an observer of ours here? Answered with [`VERSION`].
pub(crate) const ASK: i32 = -0x5245_0009;

/// The slots for `environ` are guarded.
pub(crate) const GUARDED: i32 = -0x5245_000A;
/// The list of variables is being read, through a guarded slot: `(address of the code that reads, its
/// frame pointer, where the program's file is loaded)`. Answered with 1 where it is only read to be
/// handed on to a child, and with 0 where it counts as read.
pub(crate) const VARIABLES: i32 = -0x5245_000B;

/// May this process write down what it reads? Answered with its number there in the high half, and
/// in the low half a file descriptor of the ring: see `ring.rs`.
pub(crate) const RING: i32 = -0x5245_000C;

/// Of this protocol.
pub(crate) const VERSION: i32 = 1;

/// More slots than this are not guarded.
pub(crate) const MOST_SLOTS: usize = 6;
/// Of the first part of a reply.
pub(crate) const SLOTS_SIZE: usize = 8 * (2 + MOST_SLOTS);

/// Of the text of how programs are to be started: the `LD_LIBRARY_PATH` that those of the system are loaded without, then what is
/// to be redirected: `library path\0redirector\0first\0name\0name\0…\0\0`. The first may be empty, the rest may not be there.
pub(crate) const STARTS_SIZE: usize = 4096;
