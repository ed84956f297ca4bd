//! What became of snapshots.

use serde::{Deserialize, Serialize};

/// Before cargo: a snapshot was restored, or none was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotRestored {
    /// What was chosen and why, or why nothing was, in a sentence.
    pub base: String,
    /// Profile directories that were restored, as in `debug`.
    pub profiles: Vec<String>,
    /// Why others were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<ProfileSkipped>,
    /// Units whose files were placed.
    pub units: u64,
    /// Units of the snapshot that were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid: Vec<UnitLeft>,
    /// Files placed, placeholders included.
    pub files: u64,
    /// Bytes placed.
    pub placed_bytes: u64,
    /// Bytes that placeholders stand for.
    pub waiting_bytes: u64,
    /// Wall time in microseconds, choosing included.
    pub time_us: u64,
}

/// Before cargo: packages that its home lacked came back without a download.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PackagesRestored {
    /// How many.
    pub packages: u64,
    /// Of these, with all of their sources.
    pub whole: u64,
    /// Files placed.
    pub files: u64,
    /// Packages that were left to cargo.
    pub left: u64,
    /// Wall time in microseconds.
    pub time_us: u64,
}

/// After cargo: the target became a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotCaptured {
    /// Profile directories whose tree is new.
    pub new_trees: u64,
    /// Units that were read.
    pub units_new: u64,
    /// Units that are as they were recorded.
    pub units_kept: u64,
    /// Units that aged out.
    pub units_dropped: u64,
    /// Units that were built and are not in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<UnitLeft>,
    /// Bytes stored.
    pub stored_bytes: u64,
    /// Bytes read to know their digests.
    pub hashed_bytes: u64,
    /// Wall time in microseconds.
    pub time_us: u64,
}

/// After cargo: what a person collects was made real.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collected {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Wall time in microseconds.
    pub time_us: u64,
}

/// A profile directory that was not restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSkipped {
    /// As in `debug`.
    pub profile: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// A unit that is not in a snapshot, or was not restored from one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitLeft {
    /// Package.
    pub package: String,
    /// Tells units of one name apart.
    pub id: String,
    /// Why, in a sentence.
    pub reason: String,
}
