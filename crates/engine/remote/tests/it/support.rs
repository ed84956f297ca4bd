//! What the tests share.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use rekindle_remote::blobs::BlobError;
pub(crate) use rekindle_testkit::blobs::{name, noise};
pub(crate) use rekindle_testkit::skipped;

/// Runs a test's future, for at most a minute.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    });
    runtime.block_on(async {
        let limited = tokio::time::timeout(Duration::from_secs(60), future);
        limited.await.expect("the test takes longer than a minute")
    })
}

/// Which kind of error it is.
pub(crate) fn kind<T>(result: &Result<T, BlobError>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(BlobError::Missing) => "missing",
        Err(BlobError::Denied(_)) => "denied",
        Err(BlobError::Throttled { .. }) => "throttled",
        Err(BlobError::Refused(_)) => "refused",
        Err(BlobError::Unavailable(_)) => "unavailable",
        Err(BlobError::Nonsense(_)) => "nonsense",
        Err(BlobError::Unsupported(_)) => "unsupported",
    }
}
