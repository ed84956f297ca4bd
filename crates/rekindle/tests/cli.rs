//! The programs as users run them, with a real cargo on a tiny project.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make files, read the environment, and fail by panicking"
)]

#[path = "cli/cargo.rs"]
mod cargo;
#[path = "cli/own.rs"]
mod own;
#[path = "cli/project.rs"]
mod project;
