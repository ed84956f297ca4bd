//! Stores that many machines share.
//!
//! A remote keeps *blobs* under names, and nothing more is asked of it: [`blobs`] says what that is. Everything
//! that makes a store of it is above: packs of objects, indexes, pointers, signatures. So a new kind of remote is
//! one implementation of [`blobs::Blobs`].
//!
//! [`address`] says where one is, [`open`] makes it one.
//!
//! A crate of its own since it needs an asynchronous runtime and TLS, which the wrapper, started once for every
//! unit, must not have.

pub mod address;
pub mod blobs;
mod environment;
pub mod github;
mod http;
mod memo;
mod object;
mod open;
pub mod reapi;
mod secret;
pub mod tls;
mod traffic;

pub use environment::Environment;
pub use open::{OpenError, open};
pub use secret::Secret;
pub use traffic::{Counted, Traffic};
