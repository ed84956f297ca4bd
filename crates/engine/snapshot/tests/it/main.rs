//! Capture, restore and fingerprints against real cargo and real git.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests set up and look at real files"
)]

mod checkout;
mod rehash;
mod rehash_listing;
mod rules;
mod support;
