//! What became of a store that many machines share.

use serde::{Deserialize, Serialize};

/// Before cargo: what a remote had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemotePulled {
    /// Whether a save was found.
    pub found: bool,
    /// Bytes of its index.
    pub index_bytes: u64,
    /// Its records that this machine did not have.
    pub new_records: u64,
    /// Its objects, and their bytes when they are unpacked.
    pub objects: u64,
    /// Bytes of these.
    pub object_bytes: u64,
    /// Wall time in microseconds.
    pub time_us: u64,
}

/// After cargo: what went to a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemotePushed {
    /// Packs that were written.
    pub packs: u64,
    /// Objects in them.
    pub objects: u64,
    /// Records that are new or others.
    pub records: u64,
    /// Whether an index was written.
    pub indexed: bool,
    /// Wall time in microseconds that the run's end waited.
    pub time_us: u64,
}

/// What a run asked of a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteUsed {
    /// Requests, each try for itself.
    pub requests: u64,
    /// Of these, those that came to nothing.
    pub failed: u64,
    /// Bytes read.
    pub bytes_down: u64,
    /// Bytes written.
    pub bytes_up: u64,
    /// Objects that were fetched.
    pub fetched: u64,
    /// Their bytes when they are unpacked.
    pub fetched_bytes: u64,
    /// Bytes of the save's other objects, which nobody read: unpacked.
    pub unread_bytes: u64,
    /// Time that somebody waited for objects, in microseconds, added up.
    pub waited_us: u64,
    /// What was asked of each remote, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreUsed>,
}

/// What a run asked of one remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreUsed {
    /// What kind, as its address begins: `s3`, `file`. Nothing else of the address, which may hold secrets.
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
