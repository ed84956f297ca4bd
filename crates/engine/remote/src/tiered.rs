//! Several remotes as one, the nearest first: a disk of the office's before a bucket far away.
//!
//! - **Read**: from the nearest that has it. What a farther one had goes to the nearer ones afterwards, whole, on the side, once, a
//!   bounded number of bytes, and only if it is what its name promises. Where whoever reads finds that it is damaged,
//!   the farther ones are asked ([`Blobs::read_copy`]), and what they have takes the place of what the nearer ones had.
//! - **Find**: all are asked at once, since the newest save may be in any: far, where other machines save, or near, where this
//!   one may write and the far one only reads. The best name wins, then the newest tip, then the nearest remote.
//!   Tips are not copied to nearer ones, which may lack what they lead to.
//! - **Write**: to all at once; one is enough. To one that has missed a write nothing more is written in this run: an index there
//!   would lead to packs that are not.
//! - **List** needs all, as whoever removes what is not named has to know all names; **remove** is done everywhere.
//!
//! Each is asked through a [`Client`] of its own, so one that is sick is left alone while the others go on.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use rekindle_base::Digest;
use tokio::runtime::Handle;
use tokio::sync::Mutex as Turn;

use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};
use crate::client::{Client, ClientError};
use crate::tip::Tip;

/// What a run copies to nearer remotes, at most.
const FILL_BYTES: u64 = 1 << 30;

/// Several remotes.
pub struct Tiered {
    tiers: Arc<[Client]>,
    /// Which have missed a write.
    behind: Arc<[AtomicBool]>,
    filler: Option<Arc<Filler>>,
    handle: Handle,
}

/// Copies blobs to nearer remotes, one at a time: what a build waits for comes first.
struct Filler {
    tiers: Arc<[Client]>,
    seen: Mutex<HashSet<Name>>,
    bytes: AtomicU64,
    turn: Turn<()>,
}

impl Tiered {
    /// These remotes, the nearest first; `fills` says whether nearer ones are filled from farther ones, on `handle`.
    #[must_use]
    pub fn new(tiers: Arc<[Client]>, fills: bool, handle: Handle) -> Self {
        let filler = fills.then(|| {
            Arc::new(Filler {
                tiers: Arc::clone(&tiers),
                seen: Mutex::default(),
                bytes: AtomicU64::new(0),
                turn: Turn::new(()),
            })
        });
        Self {
            behind: tiers.iter().map(|_| AtomicBool::new(false)).collect(),
            tiers,
            filler,
            handle,
        }
    }

    /// Begins to copy what the remote with this place had to those before it.
    fn fill(&self, name: &Name, (from, is_damaged): (usize, bool), bytes: &Bytes) {
        let Some(filler) = self.filler.as_ref().filter(|_| from > 0) else {
            return;
        };
        let Some(digest) = promised(name) else {
            return;
        };
        let mut seen = filler.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.insert(name.clone()) {
            return;
        }
        let (filler, name) = (Arc::clone(filler), name.clone());
        let whole = (Digest::of(bytes) == digest).then(|| bytes.clone());
        self.handle.spawn(async move {
            filler.fill(&name, digest, (from, is_damaged), whole).await;
        });
    }
}

impl Filler {
    async fn fill(
        &self,
        name: &Name,
        digest: Digest,
        (from, is_damaged): (usize, bool),
        whole: Option<Bytes>,
    ) {
        let _turn = self.turn.lock().await;
        let Some(farther) = self.tiers.get(from) else {
            return;
        };
        if self.bytes.load(Ordering::Relaxed) >= FILL_BYTES {
            return;
        }
        let bytes = match whole {
            Some(bytes) => bytes,
            // A part was read.
            None => match farther.reading(name, None, 0).await {
                Ok(bytes) => bytes,
                Err(_) => return,
            },
        };
        if Digest::of(&bytes) != digest {
            return;
        }
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        for nearer in self.tiers.iter().take(from) {
            if is_damaged {
                // A name that is taken is not written.
                let _ = nearer.removing(name).await;
            }
            let _ = nearer.writing(name, &bytes, Kind::Once).await;
        }
    }
}

/// The digest of the bytes that a name promises.
fn promised(name: &Name) -> Option<Digest> {
    let (kind, digest) = name.as_str().split_once('/')?;
    matches!(kind, "packs" | "index")
        .then(|| digest.parse().ok())
        .flatten()
}

/// What a client's error is to whoever asks several: never one that is worth another try, as there were some.
fn failed(error: ClientError) -> BlobError {
    match error {
        ClientError::Blob(error) => error,
        other => BlobError::Unavailable(other.to_string()),
    }
}

/// How good a find is: less is better. A tip that is none, as one that was damaged, is worse than any.
fn rank(names: &[Name], (at, bytes): &(usize, Bytes)) -> (bool, usize, std::cmp::Reverse<u64>) {
    let tip = names
        .get(*at)
        .and_then(|name| Tip::decode(bytes, name, None).ok());
    let is_bad = tip.is_none();
    (
        is_bad,
        *at,
        std::cmp::Reverse(tip.map_or(0, |tip| tip.at_ms)),
    )
}

#[async_trait]
impl Blobs for Tiered {
    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        self.read_copy(name, range, 0).await
    }

    fn copies(&self) -> usize {
        self.tiers.len()
    }

    async fn read_copy(
        &self,
        name: &Name,
        range: Option<Range<u64>>,
        copy: usize,
    ) -> Result<Bytes, BlobError> {
        let mut worst = None;
        for (from, tier) in self.tiers.iter().enumerate().skip(copy) {
            match tier.reading(name, range.clone(), 0).await {
                Ok(bytes) => {
                    self.fill(name, (from, copy > 0), &bytes);
                    return Ok(bytes);
                }
                Err(error) if error.is_missing() => {}
                // It may be there; so nobody may say that it is missing.
                Err(error) => worst = Some(failed(error)),
            }
        }
        Err(worst.unwrap_or(BlobError::Missing))
    }

    fn forgets(&self) -> bool {
        self.tiers.iter().any(Client::forgets)
    }

    async fn touch(&self, name: &Name) -> Result<(), BlobError> {
        let asked = join_all(self.tiers.iter().map(|tier| tier.touching(name))).await;
        let mut worst = None;
        for answer in asked {
            match answer {
                Ok(()) => return Ok(()),
                Err(error) if error.is_missing() => {}
                Err(error) => worst = Some(failed(error)),
            }
        }
        Err(worst.unwrap_or(BlobError::Missing))
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        let answers = join_all(self.tiers.iter().map(|tier| tier.finding(names))).await;
        let (mut best, mut answered, mut worst) = (None, false, None);
        for answer in answers {
            match answer {
                Ok(found) => {
                    answered = true;
                    let is_better = |found: &(usize, Bytes)| {
                        best.as_ref()
                            .is_none_or(|best| rank(names, found) < rank(names, best))
                    };
                    if let Some(found) = found.filter(is_better) {
                        best = Some(found);
                    }
                }
                Err(error) => worst = Some(failed(error)),
            }
        }
        match worst {
            Some(error) if !answered => Err(error),
            _ => Ok(best),
        }
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        let writes = self.tiers.iter().zip(self.behind.iter());
        let writes = writes.map(|(tier, behind)| {
            let bytes = bytes.clone();
            async move {
                if behind.load(Ordering::SeqCst) {
                    return Err(ClientError::Off);
                }
                let written = tier.writing(name, &bytes, kind).await;
                if written.is_err() {
                    behind.store(true, Ordering::SeqCst);
                }
                written
            }
        });
        let (mut done, mut worst) = (None, None);
        for written in join_all(writes).await {
            match written {
                Ok(Written::New) => done = Some(Written::New),
                Ok(Written::Present) => done = done.or(Some(Written::Present)),
                Err(error) => worst = Some(failed(error)),
            }
        }
        done.ok_or_else(|| {
            worst.unwrap_or_else(|| BlobError::Unavailable("there is no remote".to_owned()))
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let mut all: BTreeMap<Name, Listed> = BTreeMap::new();
        let mut can = false;
        for tier in self.tiers.iter() {
            let listed = match tier.listing(prefix).await.map_err(failed) {
                Ok(listed) => listed,
                Err(BlobError::Unsupported(_)) => continue,
                Err(error) => return Err(error),
            };
            can = true;
            for blob in listed {
                let at = all.entry(blob.name.clone()).or_insert_with(|| blob.clone());
                // The youngest copy says how old it is; nobody knows where one does not say.
                at.written_ms = at.written_ms.zip(blob.written_ms).map(|(a, b)| a.max(b));
            }
        }
        can.then(|| all.into_values().collect())
            .ok_or(BlobError::Unsupported("list"))
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        let removed = join_all(self.tiers.iter().map(|tier| tier.removing(name))).await;
        let (mut can, mut worst) = (false, None);
        for result in removed.into_iter().map(|result| result.map_err(failed)) {
            match result {
                Ok(()) => can = true,
                Err(BlobError::Unsupported(_)) => {}
                Err(error) => worst = Some(error),
            }
        }
        match worst {
            Some(error) => Err(error),
            None => can.then_some(()).ok_or(BlobError::Unsupported("remove")),
        }
    }
}
