//! What an invocation is, and which inputs its key holds.
//!
//! Pure: no file system, environment or clock. Parts, in the order in which a look-up uses them:
//! [`arguments`] takes a compiler's command line apart into [`Invocation`]; [`roots`] names paths so that they are
//! the same in every directory; [`manifest`] is the ordered, tagged list of inputs that a key is the
//! digest of; [`table`] says which inputs there are, and what is left out and why; [`pathset`] is what
//! such an invocation was seen to read; [`entry`] is what it made; [`depinfo`] and [`makefile`] read
//! what compilers and linkers say they read; [`explain`] compares two manifests. [`step`] is the entry of
//! any other program that was run observed, [`loader`] reads the system's index of libraries, [`variables`] how its environment is keyed; [`cc`] takes the
//! command lines of C compilers and archivers apart.

pub mod arguments;
pub mod cc;
pub mod depinfo;
pub mod directives;
pub mod entry;
pub mod explain;
mod invocation;
pub mod loader;
pub mod makefile;
pub mod manifest;
mod options;
pub mod outdir;
pub mod pathset;
pub mod plain;
pub mod profile;
pub mod roots;
mod split_debug;
pub mod step;
pub mod table;
pub mod variables;
pub mod words;

pub use invocation::{
    Emit, Extern, Invocation, LinkOptions, NativeLibrary, NotAUnit, Search, SearchKind,
};
pub use manifest::{Item, Manifest};
pub use roots::{Root, Roots};
pub use table::Tag;
