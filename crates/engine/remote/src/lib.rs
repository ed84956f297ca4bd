//! Stores that many machines share.
//!
//! A remote keeps *blobs* under names, and nothing more is asked of it: [`blobs`] says what that is. Everything
//! that makes a store of it is above: packs of objects, indexes, pointers, signatures. So a new kind of remote is
//! one implementation of [`blobs::Blobs`].
//!
//! Parts: [`address`] says where a remote is, [`open`] makes it one. [`pack`] many objects in one blob; [`index`] what one
//! save holds; [`tip`] what a name leads to, signed where there is a key; [`client`] asks with deadlines, retries and a
//! breaker; [`pull`] finds a save and brings its records into the local store; [`far`] brings objects when they are asked
//! for, which [`broker`] does for the run's wrappers; [`push`] saves. Remotes: [`dir`] is the plainest; `object` is S3,
//! Google Cloud Storage, Azure Blob Storage and WebDAV; then `redis`, [`github`] and [`reapi`]; [`tiered`] is several. The whole is in design
//! note 0010.
//!
//! A crate of its own since it needs an asynchronous runtime and TLS, which the wrapper, started once for every
//! unit, must not have.

pub mod address;
pub mod ahead;
pub mod blobs;
pub mod broker;
pub mod client;
mod compact;
pub mod dir;
mod environment;
pub mod far;
#[cfg(any(test, feature = "faults"))]
pub mod faulty;
pub mod github;
mod http;
pub mod index;
pub mod keep;
mod memo;
mod object;
mod open;
pub mod pack;
pub mod pull;
pub mod push;
pub mod reapi;
mod redis;
pub mod runtime;
mod secret;
mod stream;
#[cfg(test)]
mod tests;
pub mod tiered;
pub mod tip;
pub mod tls;
mod traffic;

pub use environment::Environment;
pub use open::{OpenError, open};
pub use secret::Secret;
pub use traffic::{Counted, Traffic};
