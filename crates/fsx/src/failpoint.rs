//! Death at a chosen change to the file system, for the crash tests.

/// Counts a change; with the `failpoints` feature and `REKINDLE_FAILPOINT=N`, the Nth kills the
/// process as `kill -9` would: no destructor runs, nothing is flushed.
#[cfg(feature = "failpoints")]
pub(crate) fn hit() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static AT: OnceLock<Option<u64>> = OnceLock::new();
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let at = AT.get_or_init(|| std::env::var("REKINDLE_FAILPOINT").ok()?.parse().ok());
    if let Some(at) = at
        && SEEN.fetch_add(1, Ordering::SeqCst) + 1 == *at
    {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is delivered before the call returns; should it not be, die all the same.
        std::process::abort();
    }
}

/// Nothing, in a build for people.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit() {}
