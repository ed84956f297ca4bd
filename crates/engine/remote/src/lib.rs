//! Stores that many machines share.
//!
//! A remote keeps *blobs* under names, and nothing more is asked of it: [`blobs`] says what that is. Everything
//! that makes a store of it is above: packs of objects, indexes, pointers, signatures. So a new kind of remote is
//! one implementation of [`blobs::Blobs`].
//!
//! Parts: [`pack`] many objects in one blob; [`index`] what one save holds; [`tip`] what a name leads to, signed where
//! there is a key; [`client`] asks with deadlines, retries and a breaker; [`pull`] finds a save and brings its records
//! into the local store; [`far`] brings objects when they are asked for, which [`broker`] does for the run's wrappers; [`push`]
//! saves; [`dir`] is the plainest of remotes. The whole is in design note 0010.
//!
//! A crate of its own since it needs an asynchronous runtime and TLS, which the wrapper, started once for every
//! unit, must not have.

pub mod blobs;
pub mod broker;
pub mod client;
pub mod dir;
pub mod far;
#[cfg(feature = "faults")]
pub mod faulty;
pub mod index;
pub mod keep;
pub mod pack;
pub mod pull;
pub mod push;
pub mod runtime;
pub mod tip;
