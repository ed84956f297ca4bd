//! What tests of several crates need: stand-ins for services that cannot run on the machine of the tests.
#![allow(clippy::unwrap_used, reason = "a fault of the testkit fails the test")]

pub mod github_cache;
pub mod reapi;
