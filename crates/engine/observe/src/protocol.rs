// What the preload library and nested observers say to the supervisor, and how. Included by both the
// crate and the preload library, which is compiled apart and without the standard library.
//
// Each is an `openat` whose directory is one of these numbers, which no process can have as a file
// descriptor: unobserved, it fails with `EBADF` and does nothing.

/// The C library is there: `(buffer, length)`. Answered with how many bytes of [`REDIRECT_SIZE`]
/// were written there.
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

/// Of this protocol.
pub(crate) const VERSION: i32 = 1;

/// Of the buffer for what is to be redirected: `redirector\0first\0name\0name\0…\0\0`.
pub(crate) const REDIRECT_SIZE: usize = 4096;
