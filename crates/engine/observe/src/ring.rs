// The ring: memory that a tree's processes and the supervisor share. The preload library writes down
// there what a process is about to read, and then makes the call from an address at which the filter
// allows it. Included by both, as `protocol.rs`.
//
// A file in memory: first the code that makes a call, then (at [`START`]) two counters and the slots.
//
// | from `START` | what |
// |---|---|
// | 0 | `u64`: how many slots have been taken |
// | 64 | `u64`: how many the supervisor has been through |
// | 4096 | the slots: state `u64`, process `u32`, kind `u16`, length of the path `u16`, what came of it `u64`, the path |
//
// The supervisor waits for nobody: who has taken a slot and not written all of it, because it was
// stopped or killed in between, finds it cancelled and makes its call as a stopped one. As the call
// comes after the writing, nothing that was read is lost. A cancelled slot is used again once its
// writer has said that it has let go of it.
//
// After the call its maker says where nothing was there, with the count of its line: another line may have the slot
// by then, and takes no notice. Who never says so (it was killed, or the supervisor was faster) costs a look.

/// Where calls are made from: far from where the kernel, the loader and sanitizers put things.
pub(crate) const CODE: u64 = 0x2152_4500_0000;
/// What is there: make the call, return. And how far behind `CODE` the kernel sees the caller.
#[cfg(target_arch = "x86_64")]
pub(crate) const CODE_BYTES: (&[u8], u64) = (&[0x0f, 0x05, 0xc3], 2);
#[cfg(target_arch = "aarch64")]
pub(crate) const CODE_BYTES: (&[u8], u64) = (&[1, 0, 0, 0xd4, 0xc0, 3, 0x5f, 0xd6], 4);

/// Where the ring begins in the file: behind a page of any size.
pub(crate) const START: usize = 64 << 10;
pub(crate) const TAKEN: usize = 0;
pub(crate) const DONE: usize = 64;
pub(crate) const SLOTS: usize = 4096;
pub(crate) const SLOT_SIZE: usize = 512;
pub(crate) const SLOT_COUNT: u64 = 1024;
/// Of the ring.
pub(crate) const SIZE: usize = SLOTS + SLOT_SIZE * SLOT_COUNT as usize;

/// In a slot.
pub(crate) const PROCESS: usize = 8;
pub(crate) const KIND: usize = 12;
pub(crate) const LENGTH: usize = 14;
pub(crate) const OUTCOME: usize = 16;
pub(crate) const PATH: usize = 24;
/// Longer paths are not written down.
pub(crate) const LONGEST: usize = SLOT_SIZE - PATH;

/// A path is opened to be read; a link at its end is followed, or not.
pub(crate) const OPEN: u16 = 1;
pub(crate) const OPEN_LINK: u16 = 2;
/// It is asked for.
pub(crate) const LOOK: u16 = 3;
pub(crate) const LOOK_LINK: u16 = 4;
/// Every part of it is asked whether it is a link.
pub(crate) const REAL: u16 = 5;
/// No path: a variable of this name is asked for.
pub(crate) const VARIABLE: u16 = 6;

/// In the number that a process is given: which of its code asks for a variable matters, so that is told at once and
/// not written down.
pub(crate) const ALOUD: u32 = 1 << 30;

/// The states of a slot, by the count that it is taken with.
pub(crate) const fn free(count: u64) -> u64 {
    count << 2
}
/// It may be read.
pub(crate) const fn written(count: u64) -> u64 {
    count << 2 | 1
}
/// Cancelled; somebody may still write to it.
pub(crate) const fn cancelled(count: u64) -> u64 {
    count << 2 | 2
}
/// What came of it: the kernel said that nothing is there.
pub(crate) const fn missing(count: u64) -> u64 {
    count << 2 | 1
}
/// Cancelled, and nobody writes any more.
pub(crate) const RELEASED: u64 = 3;
