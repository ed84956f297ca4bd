//! What Rekindle's programs share: surroundings, configuration, settings, run directories.
//!
//! The wrapper starts once for every unit, so nothing here is slow, and nothing here sees the
//! command line's parser. Parts: [`Surroundings`] is the only reader of environment and home;
//! [`config`] reads Rekindle's own files, [`cargo_config`] the few things that matter in cargo's;
//! [`settings`] merges them; [`remote`] says where saves are shared and who may write there; [`runs`] is where event
//! logs are kept, [`sampler`] notes what the machine does; [`layout`] finds where cargo builds,
//! [`selection`] (with [`git`]) what a snapshot is wanted for.
#![allow(
    clippy::disallowed_methods,
    reason = "this crate is the one that reads the environment; files are read through fsx"
)]

pub mod cargo_config;
pub mod ci;
pub mod config;
pub mod git;
pub mod given;
pub mod layout;
pub mod remote;
pub mod runs;
pub mod sampler;
pub mod selection;
pub mod settings;
mod surroundings;

pub use settings::{Resolved, resolve_settings};
pub use surroundings::Surroundings;

/// The version of these programs: a wrapper obeys settings of its own version only.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// File name of the wrapper that cargo calls.
pub const WRAPPER: &str = "rekindle-rustc";

/// The name under which the wrapper stands in for the documentation generator.
pub const RUSTDOC: &str = "rustdoc";

/// The program called `name` beside the running one, links resolved: a link to one program in a
/// directory of links must not hide the others.
///
/// # Errors
/// Where the running program cannot be found, or none called `name` is beside it.
pub fn sibling(name: &str) -> std::io::Result<std::path::PathBuf> {
    let own = std::env::current_exe()?;
    let mut tried = own.with_file_name(name);
    if rekindle_fsx::exists(&tried) {
        return Ok(tried);
    }
    if let Ok(real) = rekindle_fsx::canonicalize(&own) {
        tried = real.with_file_name(name);
        if rekindle_fsx::exists(&tried) {
            return Ok(tried);
        }
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::NotFound,
        format!("`{}` does not exist", tried.display()),
    ))
}
