//! The programs as users run them, with a real cargo on a tiny project.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make files, read the environment, and fail by panicking"
)]

#[path = "cli/cargo.rs"]
mod cargo;
#[path = "cli/faults.rs"]
mod faults;
#[path = "cli/faults_fresh.rs"]
mod faults_fresh;
#[path = "cli/faults_kill.rs"]
mod faults_kill;
#[path = "cli/own.rs"]
mod own;
#[path = "cli/project.rs"]
mod project;
