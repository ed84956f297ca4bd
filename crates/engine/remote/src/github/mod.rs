//! GitHub's cache service, version 2, as a remote.
//!
//! Two services: one that knows keys (`twirp`), and Azure's blob storage (`azure`), at addresses that the first signs for
//! some minutes. Which key a blob has is in `keys`. What the service cannot do, list and remove, GitHub's ordinary
//! interface does where there is a token for it (`rest`).
//!
//! - **Scopes.** What a branch wrote is read by that branch, by pull requests against it, and, if it is the default
//!   branch, by all. The service sees to it, by the token; nobody can write for others. It searches all
//!   that was asked for in the nearest scope first, then in the next: so [`Blobs::find`] gives the first name *of
//!   the nearest scope that has one*.
//! - **Reservations.** A key is reserved, then uploaded, then finished. One that was reserved and never finished is taken and not
//!   there. A second attempt to write continues the first one's upload; where another run has reserved it, the write is
//!   [`BlobError::Unavailable`] until that run has finished.
//! - **Requests.** A read is one question and one read of bytes; more ranges of the same blob ask no more
//!   questions. A search is one question, for up to nine names. A write is two questions around its upload.

pub mod actions;
mod azure;
mod keys;
mod rest;
mod twirp;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_base::{Clock, SystemClock};
use reqwest::Url;
use sha2::{Digest as _, Sha256};

use self::azure::Upload;
use self::keys::Keys;
use self::rest::Rest;
use self::twirp::{Found, Refusal, Twirp};
use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};
use crate::http::Http;
use crate::memo::Memo;
use crate::secret::Secret;
use crate::traffic::Traffic;

/// What the bytes under our keys are; whoever has another format has another version, and neither finds the other's.
const FORMAT: &str = "rekindle-blobs-1";
/// Most keys that a question may hold (the official client's limit), without the first, which it searches differently.
const KEYS_IN_A_QUESTION: usize = 9;
/// The service's limit for one repository, so for one blob.
const MAX_BLOB_BYTES: u64 = 10 << 30;

/// What a job's environment says about the cache service.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `ACTIONS_RESULTS_URL`.
    pub results_url: Option<String>,
    /// `ACTIONS_RUNTIME_TOKEN`. The runner gives it to actions, not to `run` steps.
    pub runtime_token: Option<Secret>,
    /// `ACTIONS_CACHE_URL`: the address of version 1 of the service, which is not spoken.
    pub old_url: Option<String>,
    /// `ACTIONS_CACHE_MODE`: `none`, `read`, `write` or `write-only`, what this job may do; anything else is all.
    pub mode: Option<String>,
    /// What all keys begin with, before a slash; `rekindle` where it is empty.
    pub prefix: String,
    /// For listing and removing.
    pub repository: Option<Repository>,
}

/// A repository, and a token that may read, or also remove, its caches.
#[derive(Clone, Debug)]
pub struct Repository {
    /// `GITHUB_API_URL`.
    pub api_url: String,
    /// `GITHUB_REPOSITORY`: owner and name with a slash between.
    pub name: String,
    /// `GITHUB_TOKEN`; it takes `actions: write` to remove.
    pub token: Secret,
}

/// Blobs in GitHub's cache service.
pub struct GithubCache {
    http: Http,
    twirp: Twirp,
    rest: Option<Rest>,
    keys: Keys,
    reads: bool,
    writes: bool,
    /// Where bytes are.
    links: Memo<Found>,
    /// By key: what was reserved here and is not finished.
    uploads: Mutex<HashMap<String, Arc<Upload>>>,
}

impl GithubCache {
    /// Takes what the environment says; asks nothing yet. Requests are counted in `traffic`.
    ///
    /// # Errors
    /// [`BlobError::Refused`] that names what is missing.
    pub fn new(settings: Settings, traffic: Arc<Traffic>) -> Result<Self, BlobError> {
        let refused = |text: &str| Err(BlobError::Refused(text.into()));
        let (url, token) = match (settings.results_url, settings.runtime_token) {
            (Some(url), Some(token)) => (url, token),
            (None, _) if settings.old_url.is_some() => {
                return refused(
                    "there is only version 1 of the cache service here (ACTIONS_CACHE_URL without ACTIONS_RESULTS_URL), \
                     which is not spoken; use another remote, such as S3",
                );
            }
            (None, _) => {
                return refused(
                    "ACTIONS_RESULTS_URL is not set; outside of GitHub Actions there is no cache service",
                );
            }
            (Some(_), None) => {
                return refused(
                    "ACTIONS_RUNTIME_TOKEN is not set; the runner gives it to actions only: export it with \
                     `core.exportVariable` of actions/github-script in a step before",
                );
            }
        };
        let url = Url::parse(&url)
            .map_err(|error| BlobError::Refused(format!("ACTIONS_RESULTS_URL: {error}")))?;
        let http = Http::new(traffic)?;
        let version = Sha256::digest(FORMAT)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let keys = Keys::new(&settings.prefix)?;
        let (reads, writes) = match settings.mode.as_deref().map(str::trim) {
            Some("none") => (false, false),
            Some("read") => (true, false),
            Some("write-only") => (false, true),
            _ => (true, true),
        };
        Ok(Self {
            rest: settings
                .repository
                .map(|repository| Rest::new(http.clone(), &repository))
                .transpose()?,
            twirp: Twirp::new(http.clone(), url, token, version),
            http,
            keys,
            reads,
            writes,
            links: Memo::default(),
            uploads: Mutex::default(),
        })
    }

    fn may_read(&self) -> Result<(), BlobError> {
        if self.reads {
            Ok(())
        } else {
            Err(BlobError::Denied(
                "ACTIONS_CACHE_MODE says that this job reads no caches".into(),
            ))
        }
    }

    /// The blob of a name: what was written once, or the newest version.
    async fn look_up(&self, name: &Name) -> Result<Found, Refusal> {
        let whole = self.keys.whole(name.as_str());
        let versions = self.keys.versions(name);
        let asked = std::slice::from_ref(&versions);
        let found = self.twirp.find(&whole, asked).await?;
        if found.key == whole || found.key.starts_with(&versions) {
            return Ok(found);
        }
        // The service takes keys that only begin with the name as well, and prefers the newest.
        let found = self.twirp.find(&versions, asked).await?;
        if found.key.starts_with(&versions) {
            Ok(found)
        } else {
            Err(Refusal::Absent)
        }
    }

    async fn bytes(&self, found: &Found, range: Option<&Range<u64>>) -> Result<Bytes, BlobError> {
        match range {
            // There is no empty range in HTTP; whether the blob reaches so far is asked by its last byte before it.
            Some(range) if range.is_empty() => {
                if let Some(last) = range.start.checked_sub(1) {
                    azure::get(&self.http, &found.address, Some(&(last..range.start))).await?;
                }
                Ok(Bytes::new())
            }
            range => azure::get(&self.http, &found.address, range).await,
        }
    }

    /// The first of up to [`KEYS_IN_A_QUESTION`] names.
    async fn find_some(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        let beginnings: Vec<String> = names.iter().map(|name| self.keys.versions(name)).collect();
        let Some(first) = beginnings.first() else {
            return Ok(None);
        };
        for again in [true, false] {
            let found = match self.twirp.find(first, &beginnings).await {
                Ok(found) => found,
                Err(Refusal::Absent) => return Ok(None),
                Err(refusal) => return Err(refusal.into()),
            };
            let Some(place) = beginnings
                .iter()
                .position(|beginning| found.key.starts_with(beginning))
            else {
                return Err(BlobError::Nonsense("a key that nobody asked for".into()));
            };
            match self.bytes(&found, None).await {
                // It went between the question and the read.
                Err(BlobError::Missing) if again => {}
                Err(BlobError::Missing) => break,
                read => return read.map(|bytes| Some((place, bytes))),
            }
        }
        Err(BlobError::Unavailable("what it names is not there".into()))
    }

    /// The upload for a key: continued, or begun; `None` where the key is taken and its blob there.
    async fn begin(
        &self,
        key: &str,
        bytes: &Bytes,
        kind: Kind,
    ) -> Result<Option<Arc<Upload>>, BlobError> {
        let begun = lock(&self.uploads).get(key).map(Arc::clone);
        if let Some(upload) = begun {
            return if upload.is_of(bytes) {
                Ok(Some(upload))
            } else {
                Err(BlobError::Refused(
                    "other bytes are being written under this name".into(),
                ))
            };
        }
        match self.twirp.create(key).await {
            Ok(address) => {
                let upload = Arc::new(Upload::new(address, bytes));
                // A second attempt at a version has another key.
                if kind == Kind::Once {
                    lock(&self.uploads).insert(key.to_owned(), Arc::clone(&upload));
                }
                Ok(Some(upload))
            }
            Err(Refusal::Taken) if self.is_there(key).await? => Ok(None),
            Err(Refusal::Taken) => Err(BlobError::Unavailable(
                "another run has begun to upload this and has not finished".into(),
            )),
            Err(Refusal::Absent) => Err(BlobError::Nonsense(
                "what is to be written is said to be missing".into(),
            )),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn is_there(&self, key: &str) -> Result<bool, BlobError> {
        match self.twirp.find(key, &[]).await {
            Ok(found) => Ok(found.key == key),
            Err(Refusal::Absent) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Makes what was uploaded appear; `Missing` where nothing is reserved any more.
    async fn finish(&self, key: &str, size_bytes: u64) -> Result<(), BlobError> {
        match self.twirp.finalize(key, size_bytes).await {
            Ok(()) => Ok(()),
            // An answer that was lost: it was finished by an attempt before this one.
            Err(Refusal::Taken | Refusal::Absent | Refusal::Other(BlobError::Refused(_)))
                if self.is_there(key).await? =>
            {
                Ok(())
            }
            Err(Refusal::Taken | Refusal::Absent) => Err(BlobError::Missing),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Blobs for GithubCache {
    fn forgets(&self) -> bool {
        true
    }

    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        self.may_read()?;
        let (found, remembered) = self.links.get(name, self.look_up(name)).await?;
        match self.bytes(&found, range.as_ref()).await {
            // The signature has run out, or the blob was replaced.
            Err(BlobError::Denied(_) | BlobError::Missing) if remembered => {
                self.links.forget_if(name, &found).await;
                let (found, _) = self.links.get(name, self.look_up(name)).await?;
                self.bytes(&found, range.as_ref()).await
            }
            read => read,
        }
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        self.may_read()?;
        for (turn, names) in names.chunks(KEYS_IN_A_QUESTION).enumerate() {
            if let Some((place, bytes)) = self.find_some(names).await? {
                return Ok(Some((turn * KEYS_IN_A_QUESTION + place, bytes)));
            }
        }
        Ok(None)
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        if !self.writes {
            return Err(BlobError::Denied(
                "ACTIONS_CACHE_MODE says that this job writes no caches".into(),
            ));
        }
        let size_bytes = bytes.len() as u64;
        if size_bytes > MAX_BLOB_BYTES {
            return Err(BlobError::Refused(
                "no cache may be larger than 10 GiB".into(),
            ));
        }
        let key = match kind {
            Kind::Once => self.keys.whole(name.as_str()),
            Kind::Latest => self.keys.version(name, SystemClock::default().now()),
        };
        let Some(upload) = self.begin(&key, &bytes, kind).await? else {
            return Ok(Written::Present);
        };
        let done = match upload.send(&self.http, &bytes).await {
            Ok(()) => self.finish(&key, size_bytes).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                lock(&self.uploads).remove(&key);
                self.links.forget(name);
                Ok(Written::New)
            }
            // The place to upload to is gone, or what was reserved: the next attempt begins anew.
            Err(BlobError::Missing) => {
                lock(&self.uploads).remove(&key);
                Err(BlobError::Unavailable(
                    "what was reserved for this upload is gone".into(),
                ))
            }
            Err(BlobError::Denied(text)) => {
                lock(&self.uploads).remove(&key);
                Err(BlobError::Denied(text))
            }
            Err(error) => Err(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        match &self.rest {
            Some(rest) => rest.list(&self.keys, prefix).await,
            None => Err(BlobError::Unsupported(
                "list what it has without GITHUB_TOKEN and GITHUB_REPOSITORY",
            )),
        }
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        let Some(rest) = &self.rest else {
            return Err(BlobError::Unsupported(
                "remove anything without GITHUB_TOKEN and GITHUB_REPOSITORY",
            ));
        };
        rest.remove(&self.keys, name).await?;
        self.links.forget(name);
        Ok(())
    }
}
