//! Which snapshot to restore.
