//! What became of snapshots in a run, or in several added up.

use rekindle_events::{PackagesRestored, SnapshotCaptured, SnapshotRestored};

/// Figures of snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshots {
    /// What was restored and why, or why nothing was; `None` for several runs, and without snapshots.
    pub base: Option<String>,
    /// Units whose files were placed.
    pub restored: u64,
    /// Units of snapshots that were not.
    pub invalid: u64,
    /// Files placed, placeholders included.
    pub files: u64,
    /// Bytes placed.
    pub placed_bytes: u64,
    /// Time of restoring, in microseconds.
    pub restore_us: u64,
    /// Time of capturing, in microseconds.
    pub capture_us: u64,
    /// Units that were captured anew.
    pub captured: u64,
    /// Units that were built and could not be captured.
    pub left_out: u64,
    /// Bytes stored by capturing.
    pub stored_bytes: u64,
    /// Packages that cargo's home lacked and that came back.
    pub packages: u64,
}

impl Snapshots {
    pub(crate) fn add_restored(&mut self, restored: &SnapshotRestored) {
        self.base = Some(restored.base.clone());
        self.restored += restored.units;
        self.invalid += restored.invalid.len() as u64;
        self.files += restored.files;
        self.placed_bytes += restored.placed_bytes;
        self.restore_us += restored.time_us;
    }

    pub(crate) fn add_packages(&mut self, restored: &PackagesRestored) {
        self.packages += restored.packages;
        self.files += restored.files;
        self.restore_us += restored.time_us;
    }

    pub(crate) fn add_captured(&mut self, captured: &SnapshotCaptured) {
        self.captured += captured.units_new;
        self.left_out += captured.left_out.len() as u64;
        self.stored_bytes += captured.stored_bytes;
        self.capture_us += captured.time_us;
    }

    /// Adds the figures of other runs; what was chosen is dropped.
    pub(crate) fn add(&mut self, other: &Self) {
        self.base = None;
        self.restored += other.restored;
        self.invalid += other.invalid;
        self.files += other.files;
        self.placed_bytes += other.placed_bytes;
        self.restore_us += other.restore_us;
        self.capture_us += other.capture_us;
        self.captured += other.captured;
        self.left_out += other.left_out;
        self.stored_bytes += other.stored_bytes;
        self.packages += other.packages;
    }
}
