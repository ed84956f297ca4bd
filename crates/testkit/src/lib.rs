//! What tests of several crates share. Never shipped.
//!
//! - [`blobs`]: what every kind of remote must do, as one check.
//! - [`servers`]: real servers on this machine, started for one test and gone with it.
//! - [`github_cache`]: a stand-in for GitHub's cache service, which cannot run here.
//! - [`reapi`]: a Remote Execution server's caches, of any manner and with faults.
//! - [`scripted`]: a server that says what a test wants, for what no real one does on demand.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "helpers of tests fail the test, look for programs and change files of servers"
)]

pub mod blobs;
pub mod github_cache;
pub mod reapi;
pub mod scripted;
pub mod servers;
mod stand_in;

use std::io::Write;

/// Says that a test lacks something: on the real standard error, which the harness does not capture, and in the file that
/// `cargo xtask test` counts skips in.
pub fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let list = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        let _ = list.and_then(|mut list| list.write_all(line.as_bytes()));
    }
}
