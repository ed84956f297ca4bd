//! What the tests share.

use std::future::Future;
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Name};

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

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Bytes that do not compress and do not repeat.
pub(crate) fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
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

/// Says by name that a test cannot run here.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let list = std::fs::OpenOptions::new().append(true).open(file);
        let _ = list.and_then(|mut list| list.write_all(line.as_bytes()));
    }
}
