//! The unit cache: an invocation is looked up, its outputs are restored, or it runs and is published.
//!
//! Callers: the wrapper binary, once per unit, through [`wrapper::run`]; and the linker shim, once per
//! link, through [`shim::run`]; and what stands in for other programs that cargo starts, through
//! [`readers`]. Phases, each borrowing what the one before it made:
//!
//! 1. [`chain`] tells the compiler from wrappers before it; a question to the compiler is answered from a
//!    memo ([`probe`]).
//! 2. `rekindle_key` takes the command line apart; [`toolchain`] identifies the compiler by content.
//! 3. [`inputs`] builds the manifest: what the invocation says, then what such invocations were seen
//!    to read; [`lookup`] finds the entry for it.
//! 4. On a hit, [`restore`] places the outputs and replays what the compiler printed. No compiler starts.
//! 5. On a miss, [`reads`] puts the bytes of placeholders in their places that the compiler will read,
//!    [`execute`] runs the compiler, passing its output on as it comes, and [`publish`]
//!    stores what it made with what it read.
//!
//! Whatever fails here costs a miss or a warning, never the build.

pub mod cc;
pub mod chain;
pub mod command;
mod context;
mod debug;
mod elf;
mod execute;
mod included;
mod inputs;
mod journal;
mod link;
mod lookup;
mod natives;
mod observed;
pub mod probe;
mod publish;
pub mod readers;
mod reads;
mod restore;
pub mod rustdoc;
pub mod scripts;
mod sessions;
mod settings;
pub mod shim;
pub mod toolchain;
mod verify;
pub mod wrapper;

pub use journal::{Journal, PLACEHOLDER_LOST};
pub use rekindle_outputs::environment::Environment;
pub use rekindle_steps::Streams as StepStreams;
pub use settings::{LinkerChoice, Settings};
