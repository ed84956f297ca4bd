//! Packages are stored while cargo compiles.
//!
//! Every package of a first build is looked into, which takes a moment for some hundred of them. At the
//! build's end somebody waits for that; while compilers run, it takes what these leave.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rekindle::runs;
use rekindle_base::{Clock, SystemClock};
use rekindle_snapshot::registry;
use rekindle_store::LocalStore;

/// How often to look whether cargo compiles.
const PACE: Duration = Duration::from_millis(100);

/// A thread that stores packages once something was compiled: by then cargo has downloaded them all. What
/// it did not come to, or could not do, is done by the capture at the end, which also says so.
pub(super) struct Beforehand {
    // Dropped, it ends the waiting.
    waiting: Sender<()>,
    thread: JoinHandle<()>,
}

impl Beforehand {
    /// Starts it, just before cargo. `run_dir` has the log that whatever compiles writes to.
    pub(super) fn start(
        store: &LocalStore,
        (cargo_home, lock): (&Path, PathBuf),
        run_dir: &Path,
    ) -> Self {
        let (waiting, ended) = mpsc::channel();
        let store = store.clone();
        let cargo_home = cargo_home.to_owned();
        let log = run_dir.join(runs::LOG);
        let size_of = move || rekindle_fsx::stat(&log).map_or(0, |sig| sig.size);
        let at_first = size_of();
        let thread = std::thread::spawn(move || {
            while size_of() == at_first {
                if ended.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            // Only what no compiler wants.
            rekindle_fsx::yield_to_others(19);
            let _ = registry::capture(&store, &cargo_home, &lock, SystemClock::default().now());
        });
        Self { waiting, thread }
    }

    /// Waits for what it has begun, when cargo has ended.
    pub(super) fn end(self) {
        drop(self.waiting);
        // A panic there is told by the thread itself, and costs what is done again.
        let _ = self.thread.join();
    }
}
