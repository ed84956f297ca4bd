//! How far the work of this process is: counters to which whoever works adds, and which the command shows to a person.
//!
//! They are the process's own: work is spread over threads and over layers that know nothing of each other, and nothing goes
//! by these numbers but what is shown. Wrappers count as well, and show nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one process. An item is what the work that is under way deals with one after the other: a unit, a
/// package, an object.
#[derive(Debug)]
pub struct Progress {
    expected: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Items in all, as far as is known; 0 where nothing is.
    pub expected: u64,
    /// Items that are done: never more than are expected.
    pub done: u64,
    /// Bytes that were moved over a network.
    pub bytes: u64,
}

static PROGRESS: Progress = Progress::new();

/// The process's.
#[must_use]
pub fn progress() -> &'static Progress {
    &PROGRESS
}

impl Progress {
    const fn new() -> Self {
        Self {
            expected: AtomicU64::new(0),
            done: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// So many items more are to be done.
    pub fn expect(&self, items: u64) {
        self.expected.fetch_add(items, Ordering::Relaxed);
    }

    /// So many are done.
    pub fn did(&self, items: u64) {
        self.done.fetch_add(items, Ordering::Relaxed);
    }

    /// So many bytes were sent or have come.
    pub fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins anew, for other work.
    pub fn restart(&self) {
        for counter in [&self.expected, &self.done, &self.bytes] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// How far it is.
    #[must_use]
    pub fn reached(&self) -> Reached {
        let expected = self.expected.load(Ordering::Relaxed);
        Reached {
            expected,
            // Work that was begun before the last restart may still end.
            done: self.done.load(Ordering::Relaxed).min(expected),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_done_than_is_expected_and_a_restart_forgets() {
        let progress = Progress::new();
        progress.did(3);
        assert_eq!(progress.reached(), Reached::default());
        progress.expect(2);
        progress.moved(10);
        let reached = progress.reached();
        assert_eq!((reached.expected, reached.done, reached.bytes), (2, 2, 10));
        progress.restart();
        assert_eq!(progress.reached(), Reached::default());
    }
}
