//! Snapshots of target directories: units come back before cargo looks.
//!
//! The CLI captures one after a run and restores one before the next. Parts: [`model`] is what is
//! stored; [`base`] chooses what to restore; the rules are in `docs/design/0004-snapshots.md`.

pub mod base;
pub mod capture;
mod captured;
mod fingerprint;
mod incremental;
pub mod inputs;
pub mod layout;
pub mod ledger;
pub mod model;
pub mod restore;
mod scripts;
pub mod trees;

pub use captured::LeftOut;
