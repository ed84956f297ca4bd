//! Snapshots of target directories: units come back before cargo looks.
//!
//! The CLI captures one after a run and restores one before the next. Parts: [`model`] is what is
//! stored; [`base`] chooses what to restore; [`registry`] brings back what cargo's home has of a lock file's
//! packages. The rules are in `docs/design/0004-snapshots.md`.

pub mod base;
pub mod capture;
mod captured;
mod fingerprint;
mod incremental;
pub mod inputs;
pub mod layout;
pub mod ledger;
pub mod model;
pub mod narrow;
pub mod registry;
pub mod rehash;
pub mod restore;
mod scripts;
pub mod seen;
pub mod shared;
pub mod trees;
mod union;

pub use captured::LeftOut;
