//! What was asked of a remote, counted where it happens: one call may be several requests.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one remote. Shared: whoever opens the remote reads them at any time.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests that were begun, also those for credentials.
    pub requests: u64,
    /// Bytes of bodies that were sent.
    pub up_bytes: u64,
    /// Bytes of bodies that came, also of those that nobody wanted.
    pub down_bytes: u64,
}

impl Traffic {
    /// The counters now.
    #[must_use]
    pub fn counted(&self) -> Counted {
        Counted {
            requests: self.requests.load(Ordering::Relaxed),
            up_bytes: self.up.load(Ordering::Relaxed),
            down_bytes: self.down.load(Ordering::Relaxed),
        }
    }

    /// One request with so many bytes of body.
    pub fn asked(&self, body_bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.up.fetch_add(body_bytes, Ordering::Relaxed);
    }

    /// So many bytes of body came.
    pub fn came(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }
}
