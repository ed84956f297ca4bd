//! Capture and restore against real cargo.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests set up and look at real files"
)]

mod checkout;
mod rules;
