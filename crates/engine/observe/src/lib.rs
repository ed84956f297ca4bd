//! What a process tree reads, writes and talks to, seen without privileges.
//!
//! Parts: [`Observation`] is what was seen; [`Options`] how to look; [`Observer`] starts a program
//! and looks. On Linux, seccomp's user notification stops the few system calls that name something
//! outside of the process, and a preload library sees variables and clocks, which are read without
//! a system call. Elsewhere the program runs unobserved and [`Observation::blind`] says so.
//!
//! An observer inside of an observed tree has no listener of its own (the kernel allows one): it
//! asks the outer one for a part of the observation. Called by the compiler wrapper, the launcher of
//! build scripts, and whatever else runs a step that turns files into files.
#![allow(
    unsafe_code,
    reason = "system calls that no safe wrapper offers: seccomp's listener, other processes' memory"
)]

mod kinds;
#[cfg(observable)]
mod linux;
mod observation;
mod options;
mod preload;
#[cfg(observable)]
mod protocol;
#[cfg(observable)]
mod ring;
mod run;
mod seen_paths;

pub use kinds::is_of_kind;
pub use observation::{Blind, Contact, EnvDoubt, EnvReads, Observation, Seen};
pub use options::{Options, Redirect};
pub use preload::install_preload;
pub use run::{Capability, Effort, Observed, Observer, Running, announce};
pub use seen_paths::SeenPaths;
