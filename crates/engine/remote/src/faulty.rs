//! A remote that fails when it is told to: only in builds for tests, with the feature `faults`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is gone from that request on.
    Die,
    /// It does not answer from that request on.
    Stall,
    /// It knows nobody from that request on.
    Deny,
    /// It asks to be left alone for an hour from that request on.
    Throttle,
    /// What is read or written in that request has other bytes.
    Garbage,
    /// What is read or written in that request has one other bit.
    Flip,
    /// What is read or written in that request is cut off, and nobody says so.
    Truncate,
}

/// A remote in front of another, which fails at one request.
pub struct Faulty {
    inner: Arc<dyn Blobs>,
    fault: Fault,
    at: u64,
    asked: AtomicU64,
}

impl Faulty {
    /// Fails at request `at`, counted from 1.
    #[must_use]
    pub fn new(inner: Arc<dyn Blobs>, fault: Fault, at: u64) -> Self {
        let asked = AtomicU64::new(0);
        Self {
            inner,
            fault,
            at,
            asked,
        }
    }

    /// As [`Faulty::new`], from a text as in `stall@3`.
    #[must_use]
    pub fn from_text(inner: Arc<dyn Blobs>, text: &str) -> Option<Self> {
        let (fault, at) = text.split_once('@')?;
        let fault = match fault {
            "die" => Fault::Die,
            "stall" => Fault::Stall,
            "deny" => Fault::Deny,
            "throttle" => Fault::Throttle,
            "garbage" => Fault::Garbage,
            "flip" => Fault::Flip,
            "truncate" => Fault::Truncate,
            _ => return None,
        };
        Some(Self::new(inner, fault, at.parse().ok()?))
    }

    /// Counts a request; says whether its bytes are to be spoilt.
    async fn count(&self) -> Result<bool, BlobError> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fault {
            _ if at < self.at => Ok(false),
            Fault::Die => Err(BlobError::Unavailable("it is gone".to_owned())),
            Fault::Deny => Err(BlobError::Denied("it knows nobody".to_owned())),
            Fault::Throttle => Err(BlobError::Throttled {
                after: Some(std::time::Duration::from_secs(3600)),
            }),
            Fault::Stall => std::future::pending().await,
            Fault::Garbage | Fault::Flip | Fault::Truncate => Ok(at == self.at),
        }
    }

    fn spoilt(&self, bytes: &Bytes, is_spoilt: bool) -> Bytes {
        let mut bytes = bytes.to_vec();
        if is_spoilt {
            match self.fault {
                Fault::Flip => {
                    let middle = bytes.len() / 2;
                    if let Some(byte) = bytes.get_mut(middle) {
                        *byte ^= 1;
                    }
                }
                Fault::Truncate => bytes.truncate(bytes.len() / 2),
                _ => bytes.fill(b'<'),
            }
        }
        Bytes::from(bytes)
    }
}

#[async_trait]
impl Blobs for Faulty {
    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        let is_spoilt = self.count().await?;
        let bytes = self.inner.read(name, range).await?;
        Ok(self.spoilt(&bytes, is_spoilt))
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        let is_spoilt = self.count().await?;
        let found = self.inner.find(names).await?;
        Ok(found.map(|(at, bytes)| (at, self.spoilt(&bytes, is_spoilt))))
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        let is_spoilt = self.count().await?;
        self.inner
            .write(name, self.spoilt(&bytes, is_spoilt), kind)
            .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        self.count().await?;
        self.inner.list(prefix).await
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        self.count().await?;
        self.inner.remove(name).await
    }
}
