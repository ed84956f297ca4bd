//! Observes real programs. What is compared is all that was seen below the test's own directory, so
//! that nothing is missing and nothing is too much.
#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "plays what a caller and another program do"
)]

mod environment;
mod files;
mod nested;
mod processes;
mod quiet;
mod redirect;
mod spare;
mod support;
