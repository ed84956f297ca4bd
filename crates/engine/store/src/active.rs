//! Running builds, as an eviction sees them.
//!
//! Each has a file in `active/`, locked for as long as its process lives, whose modification time is
//! when it started. Evictions leave alone what was used since the oldest of them started. A file that
//! nobody locks is left from a process that was killed, and removed by the next eviction.

use std::io;
use std::path::PathBuf;

use rekindle_fsx as fsx;
use rekindle_fsx::lock::{self, FileLock};

use crate::at;
use crate::layout::Layout;

/// A build that is running; dropping it says that it has ended.
#[derive(Debug)]
pub struct ActiveBuild {
    path: PathBuf,
    _lock: FileLock,
}

impl Drop for ActiveBuild {
    fn drop(&mut self) {
        // The lock goes with the process in any case, and an eviction removes what is left.
        let _ = fsx::remove_file(&self.path);
    }
}

/// An eviction may take the file between its creation and its lock; twice in a row is no accident.
const ATTEMPTS: usize = 8;

pub(crate) fn register(layout: &Layout) -> io::Result<ActiveBuild> {
    let dir = layout.active();
    for _ in 0..ATTEMPTS {
        let path = fsx::atomic::unique_in(&dir);
        let held = fsx::with_dir(&dir, || lock::exclusive(&path)).map_err(at("lock", &path))?;
        if fsx::exists(&path) {
            return Ok(ActiveBuild { path, _lock: held });
        }
    }
    Err(at("lock", &dir)(io::Error::other(
        "what is put there vanishes",
    )))
}

/// What an eviction found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Active {
    /// When the oldest running build started: nanoseconds since 1970.
    pub(crate) oldest_start_ns: Option<i64>,
    /// How many files of dead processes were removed.
    pub(crate) stale: u64,
}

pub(crate) fn scan(layout: &Layout) -> io::Result<Active> {
    let dir = layout.active();
    let mut seen = Active::default();
    for entry in fsx::found(fsx::list_dir(&dir))
        .map_err(at("list", &dir))?
        .unwrap_or_default()
    {
        if entry.sig.kind() != fsx::FileKind::File {
            continue;
        }
        if let Some(_held) = lock::try_exclusive(&entry.path).map_err(at("lock", &entry.path))? {
            // Removed under its lock: a builder that waits for it sees that it is gone.
            fsx::remove_file(&entry.path).map_err(at("remove", &entry.path))?;
            seen.stale += 1;
        } else {
            let start = entry.sig.mtime_ns;
            seen.oldest_start_ns = Some(seen.oldest_start_ns.map_or(start, |old| old.min(start)));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// An eviction may see the file before it is locked, and take it for a dead build's.
    #[test]
    fn a_build_that_registers_during_an_eviction_is_seen_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let evictions = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    scan(&layout).unwrap();
                }
            });
            let mut lost = 0;
            for _ in 0..300 {
                let build = register(&layout).unwrap();
                lost += usize::from(!fsx::exists(&build.path));
            }
            done.store(true, Ordering::Relaxed);
            evictions.join().unwrap();
            assert_eq!(lost, 0);
        });
    }
}
