//! What became of a store that many machines share, in a run or in several added up; also its part of `stats --format
//! json`.

use rekindle_events::{RemotePulled, RemotePushed, RemoteUsed, StoreUsed};
use serde::Serialize;

/// Figures of remotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Remotes {
    /// Runs that found a save.
    pub found: u64,
    /// Runs that saved.
    pub saved: u64,
    /// Requests, each try for itself.
    pub requests: u64,
    /// Of these, those that came to nothing.
    pub failed: u64,
    /// Bytes read.
    pub bytes_down: u64,
    /// Bytes written.
    pub bytes_up: u64,
    /// Objects that were fetched since something read them.
    pub objects_fetched: u64,
    /// Their bytes when they are unpacked.
    pub bytes_fetched: u64,
    /// Bytes of the saves' other objects, which nothing read: unpacked.
    pub bytes_unread: u64,
    /// Time of looking for saves, in milliseconds.
    pub pull_ms: u64,
    /// Time that ends of runs waited for saves, in milliseconds.
    pub push_ms: u64,
    /// Time that somebody waited for objects, in milliseconds, added up.
    pub waited_ms: u64,
    /// What was asked of each remote, the nearest first; empty in logs that do not say.
    pub stores: Vec<RemoteStore>,
}

/// Figures of one remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct RemoteStore {
    /// What kind, as its address begins: `s3`, `file`.
    pub kind: String,
    /// Requests, each try for itself.
    pub requests: u64,
    /// Of these, those that came to nothing.
    pub failed: u64,
    /// Bytes read.
    pub bytes_down: u64,
    /// Bytes written.
    pub bytes_up: u64,
}

impl RemoteStore {
    fn of(used: &StoreUsed) -> Self {
        Self {
            kind: used.kind.clone(),
            requests: used.requests,
            failed: used.failed,
            bytes_down: used.bytes_down,
            bytes_up: used.bytes_up,
        }
    }
}

impl Remotes {
    pub(crate) fn add_pulled(&mut self, pulled: &RemotePulled) {
        self.found += u64::from(pulled.found);
        self.pull_ms += pulled.time_us / 1000;
    }

    pub(crate) fn add_pushed(&mut self, pushed: &RemotePushed) {
        self.saved += 1;
        self.push_ms += pushed.time_us / 1000;
    }

    pub(crate) fn add_used(&mut self, used: &RemoteUsed) {
        self.requests += used.requests;
        self.failed += used.failed;
        self.bytes_down += used.bytes_down;
        self.bytes_up += used.bytes_up;
        self.objects_fetched += used.fetched;
        self.bytes_fetched += used.fetched_bytes;
        self.bytes_unread += used.unread_bytes;
        self.waited_ms += used.waited_us / 1000;
        for store in &used.stores {
            self.add_store(&RemoteStore::of(store));
        }
    }

    /// Adds the figures of other runs.
    pub(crate) fn add(&mut self, other: &Self) {
        self.found += other.found;
        self.saved += other.saved;
        self.requests += other.requests;
        self.failed += other.failed;
        self.bytes_down += other.bytes_down;
        self.bytes_up += other.bytes_up;
        self.objects_fetched += other.objects_fetched;
        self.bytes_fetched += other.bytes_fetched;
        self.bytes_unread += other.bytes_unread;
        self.pull_ms += other.pull_ms;
        self.push_ms += other.push_ms;
        self.waited_ms += other.waited_ms;
        for store in &other.stores {
            self.add_store(store);
        }
    }

    fn add_store(&mut self, other: &RemoteStore) {
        let known = self
            .stores
            .iter_mut()
            .find(|known| known.kind == other.kind);
        let Some(known) = known else {
            self.stores.push(other.clone());
            return;
        };
        known.requests += other.requests;
        known.failed += other.failed;
        known.bytes_down += other.bytes_down;
        known.bytes_up += other.bytes_up;
    }

    /// Whether no run used any.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
