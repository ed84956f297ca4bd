//! Remotes from outside, against real servers.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod s3;
mod support;
