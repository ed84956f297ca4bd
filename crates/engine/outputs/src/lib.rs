//! What is known of the files in a target directory, and files that only stand for their bytes.
//!
//! The unit cache keys dependents by the digests of outputs, and restores outputs; a snapshot puts
//! *placeholders* in their place, which become real when something reads them. Both meet here. Parts:
//! [`record`] says which bytes an output has and what is behind them; [`placeholder`] is the form of
//! what stands for an output; [`materialise`] puts the bytes in its place, which [`early`] has made ready for
//! programs; [`localise`] gives
//! programs the real paths of this directory in their debug information; [`incremental`] keeps a crate's
//! state until its own compile wants it; [`launch`] makes a program
//! ready to start; [`lost`] makes cargo build what is gone; [`layout`] knows where in a target
//! directory things are, [`elf`] what a file of the system's needs. Of a registry's package the sources
//! are missing until something compiles it: [`sparse`] fills them in from its [`archive`]. Digests of
//! outputs and of the system's files, none computed twice, are in [`files`]; [`environment`] is what a
//! process was given; [`present`] says what the names that a process was seen to read stand for now.

pub mod archive;
mod bring;
pub mod early;
pub mod elf;
pub mod environment;
pub mod files;
pub mod incremental;
pub mod launch;
pub mod layout;
pub mod listing;
pub mod localise;
pub mod lost;
pub mod materialise;
pub mod placeholder;
pub mod present;
pub mod record;
mod shelf;
pub mod sparse;
mod wasm;
