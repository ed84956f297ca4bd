//! The bytes of GitHub's caches: Azure blobs, at signed addresses.
//!
//! A small blob is one Put Blob. A larger one is blocks and then a list of them, so that a cut connection
//! costs one block: which blocks are there is remembered, and a second attempt sends the others only.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rekindle_base::Digest;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::task::JoinSet;

use crate::blobs::BlobError;
use crate::http::{self, Http};
use crate::secret::{Secret, quoted};

/// What a block holds, and the most that goes without blocks. A multiple of what fills the window of a fast link, and
/// little to send again.
pub(super) const BLOCK_BYTES: usize = 8 << 20;
/// Blocks of one blob that are under way at once.
const BLOCKS_AT_ONCE: usize = 4;
/// The longest blob that is read whole. Nothing that is written whole comes near.
const MAX_WHOLE_BYTES: u64 = 2 << 30;
/// The longest explanation of a refusal that is read.
const MAX_FAULT_BYTES: u64 = 64 << 10;

/// The version of the protocol: the first in which one Put Blob may be as large as ours.
const PROTOCOL: (&str, &str) = ("x-ms-version", "2020-10-02");

/// Reads a blob, or a part of it that is not empty.
pub(super) async fn get(
    http: &Http,
    address: &Secret,
    range: Option<&Range<u64>>,
) -> Result<Bytes, BlobError> {
    let mut request = request(http, Method::GET, address, "")?;
    if let Some(range) = range {
        request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
    }
    let response = http.send(request, Bytes::new()).await?;
    match (response.status(), range) {
        (StatusCode::OK, None) => http.body(response, MAX_WHOLE_BYTES).await,
        (StatusCode::PARTIAL_CONTENT, Some(range)) => part(http, response, range).await,
        (status, _) if status.is_success() => Err(BlobError::Nonsense(format!(
            "{status} to a read of {range:?}"
        ))),
        _ => Err(failure(http, response).await),
    }
}

/// The body of an answer to a ranged read.
async fn part(http: &Http, response: Response, range: &Range<u64>) -> Result<Bytes, BlobError> {
    let stated = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(content_range);
    let Some((start, total)) = stated else {
        return Err(BlobError::Nonsense("a part that does not say which".into()));
    };
    if start != range.start {
        return Err(BlobError::Nonsense(
            "another part than was asked for".into(),
        ));
    }
    if total < range.end {
        return Err(BlobError::Missing);
    }
    let wanted = range.end - range.start;
    let bytes = http.body(response, wanted).await?;
    if bytes.len() as u64 == wanted {
        Ok(bytes)
    } else {
        Err(BlobError::Nonsense("less than was asked for".into()))
    }
}

/// Start and size of the whole, of `bytes 5-9/100`.
fn content_range(value: &str) -> Option<(u64, u64)> {
    let (part, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = part.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

/// An upload that has begun: what a second attempt needs so that it sends only what is missing.
pub(super) struct Upload {
    address: Secret,
    bytes: Digest,
    /// Numbers of the blocks that are there.
    sent: Mutex<BTreeSet<usize>>,
    /// Whether the blob is whole.
    is_done: AtomicBool,
}

impl Upload {
    pub(super) fn new(address: Secret, bytes: &Bytes) -> Self {
        Self {
            address,
            bytes: Digest::of(bytes),
            sent: Mutex::default(),
            is_done: AtomicBool::new(false),
        }
    }

    /// Whether it was begun with these bytes.
    pub(super) fn is_of(&self, bytes: &Bytes) -> bool {
        self.bytes == Digest::of(bytes)
    }

    /// Sends what is not there yet, and makes a blob of it.
    pub(super) async fn send(
        self: &Arc<Self>,
        http: &Http,
        bytes: &Bytes,
    ) -> Result<(), BlobError> {
        if self.is_done.load(Relaxed) {
            return Ok(());
        }
        if bytes.len() <= BLOCK_BYTES {
            let request = request(http, Method::PUT, &self.address, "")?
                .header("x-ms-blob-type", "BlockBlob")
                .header(CONTENT_TYPE, "application/octet-stream");
            put(http, request, bytes.clone()).await?;
        } else {
            let blocks = bytes.len().div_ceil(BLOCK_BYTES);
            self.send_blocks(http, bytes, blocks).await?;
            self.list_blocks(http, blocks).await?;
        }
        self.is_done.store(true, Relaxed);
        Ok(())
    }

    async fn list_blocks(&self, http: &Http, blocks: usize) -> Result<(), BlobError> {
        // "Latest" finds a block also where a list whose answer was lost has used it already.
        let list: String = (0..blocks)
            .map(|block| format!("<Latest>{}</Latest>", block_id(block)))
            .collect();
        let list =
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
        let request = request(http, Method::PUT, &self.address, "comp=blocklist")?
            .header("x-ms-blob-content-type", "application/octet-stream")
            .header(CONTENT_TYPE, "application/xml");
        put(http, request, list.into()).await.inspect_err(|error| {
            // It names a block that is not there any more.
            if !error.is_transient() {
                self.sent().clear();
            }
        })
    }

    async fn send_blocks(
        self: &Arc<Self>,
        http: &Http,
        bytes: &Bytes,
        blocks: usize,
    ) -> Result<(), BlobError> {
        let there = self.sent().clone();
        let mut missing = (0..blocks).filter(|block| !there.contains(block));
        // Dropping it ends what is under way.
        let mut under_way: JoinSet<Result<(), BlobError>> = JoinSet::new();
        loop {
            while under_way.len() < BLOCKS_AT_ONCE
                && let Some(block) = missing.next()
            {
                let start = block * BLOCK_BYTES;
                let bytes = bytes.slice(start..bytes.len().min(start + BLOCK_BYTES));
                let query = format!("comp=block&blockid={}", block_id(block));
                let request = request(http, Method::PUT, &self.address, &query)?;
                let (upload, http) = (Arc::clone(self), http.clone());
                under_way.spawn(async move {
                    put(&http, request, bytes).await?;
                    upload.sent().insert(block);
                    Ok(())
                });
            }
            match under_way.join_next().await {
                Some(Ok(done)) => done?,
                Some(Err(error)) => return Err(BlobError::Unavailable(error.to_string())),
                None => return Ok(()),
            }
        }
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Block ids are base64 of equal length; eight digits are that as they stand.
fn block_id(block: usize) -> String {
    format!("{block:08}")
}

async fn put(http: &Http, request: RequestBuilder, bytes: Bytes) -> Result<(), BlobError> {
    let response = http.send(request, bytes).await?;
    if response.status() == StatusCode::CREATED {
        return Ok(());
    }
    if response.status().is_success() {
        let status = response.status();
        return Err(BlobError::Nonsense(format!("{status} to an upload")));
    }
    Err(failure(http, response).await)
}

fn request(
    http: &Http,
    method: Method,
    address: &Secret,
    query: &str,
) -> Result<RequestBuilder, BlobError> {
    let mut address = reqwest::Url::parse(address.reveal())
        .map_err(|_| BlobError::Nonsense("a signed address that is none".into()))?;
    if !query.is_empty() {
        let signed = address.query().unwrap_or_default();
        let query = format!("{signed}&{query}");
        address.set_query(Some(query.trim_start_matches('&')));
    }
    Ok(http.request(method, address).header(PROTOCOL.0, PROTOCOL.1))
}

/// A refusal. Azure's code for it is in a header, the rest of its explanation repeats what was signed.
async fn failure(http: &Http, response: Response) -> BlobError {
    let status = response.status();
    let after = http::retry_after(&response);
    let code = response
        .headers()
        .get("x-ms-error-code")
        .and_then(|code| code.to_str().ok())
        .map(|code| quoted(code, None))
        .unwrap_or_default();
    // Read so that the connection can be used again; what it says is not needed.
    let _ = http.body(response, MAX_FAULT_BYTES).await;
    http::failure(status, after, &code)
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn ranges_of_answers() {
        assert_eq!(content_range("bytes 5-9/100"), Some((5, 100)));
        for bad in ["bytes 5-9/*", "bytes */100", "5-9/100", "bytes 5/100", ""] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
