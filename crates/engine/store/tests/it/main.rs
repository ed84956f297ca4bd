//! The store from outside: what it promises to callers, to other processes, after a kill, on a full
//! or read-only disk.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests change files behind the store's back, and hand variables to themselves"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod beyond;
mod concurrency;
mod crash;
mod disk;
mod eviction;
mod records_and_objects;
mod support;
mod verification;
