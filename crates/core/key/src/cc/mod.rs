//! Command lines of C compilers and of `ar`, as build scripts start them.
//!
//! Pure, as the rest of this crate. [`driver`] tells a compiler by its name; [`response`] puts the words of
//! `@file`s in their place; [`options`] is the table of options and what each may do; [`command`] takes a
//! command line apart into a [`Compile`], or says why it is none; [`archive`] does the same for `ar`;
//! [`scan`] looks into sources for what no observation can see.
//!
//! An option that is not in the table makes the compile uncacheable, by name. What a compile *reads* is not
//! derived from its command line: it is observed.

pub mod archive;
pub mod command;
pub mod driver;
pub mod options;
pub mod response;
pub mod scan;

pub use archive::Archive;
pub use command::{Compile, DepFile, Mode, NotACompile, Word};
pub use driver::{Driver, Tool};
