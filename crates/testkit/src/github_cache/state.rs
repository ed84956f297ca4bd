//! What the service keeps, and its rules; nothing here knows HTTP.

use std::collections::HashMap;

use bytes::Bytes;

use super::Fault;
use crate::stand_in::Requests;

/// What a job may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read and write, as jobs of branches.
    All,
    /// Read, as jobs that somebody outside has started.
    Read,
    /// Neither.
    None,
}

/// A cache that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// Its key.
    pub key: String,
    /// The format that its writer had.
    pub version: String,
    /// Whose it is: a branch, as `refs/heads/main`.
    pub scope: String,
    /// Its size in bytes.
    pub size: u64,
}

struct Job {
    scopes: Vec<String>,
    rights: Rights,
}

struct Kept {
    entry: Entry,
    is_finished: bool,
    used: u64,
}

/// A blob in the storage: blocks that were sent, and what was made of them.
#[derive(Default)]
pub(super) struct Blob {
    pub(super) blocks: HashMap<String, Bytes>,
    pub(super) bytes: Option<Bytes>,
}

/// Why a reservation is refused.
pub(super) enum Refused {
    Taken,
    Denied,
    UsedUp,
}

#[derive(Default)]
pub(super) struct State {
    /// Of the service, without a slash behind.
    pub(super) url: String,
    jobs: HashMap<String, Job>,
    kept: Vec<Kept>,
    pub(super) blobs: HashMap<u64, Blob>,
    /// Signatures that are good: for which blob, and whether to write it.
    signatures: HashMap<String, (u64, bool)>,
    pub(super) requests: Requests<Fault>,
    /// Counts everything that has an order.
    counter: u64,
    quota: Option<u64>,
    is_used_up: bool,
    /// Where bytes are instead: the address of a container, signed.
    pub(super) container: Option<String>,
}

impl State {
    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn issue_token(&mut self, scopes: &[&str], rights: Rights) -> String {
        let token = format!("e30.job{}.c2ln", self.next());
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.jobs.insert(token.clone(), Job { scopes, rights });
        token
    }

    #[allow(
        clippy::unused_self,
        reason = "one token will do, and callers need not know"
    )]
    pub(super) fn api_token(&self) -> &'static str {
        "ghs_0123456789abcdef"
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let finished = self.kept.iter().filter(|kept| kept.is_finished);
        finished.map(|kept| kept.entry.clone()).collect()
    }

    pub(super) fn expire_addresses(&mut self) {
        self.signatures.clear();
    }

    pub(super) fn set_quota(&mut self, bytes: u64) {
        self.quota = Some(bytes);
        self.evict();
    }

    pub(super) fn use_up_storage(&mut self) {
        self.is_used_up = true;
    }

    /// Whether the token is of a job.
    pub(super) fn knows(&self, token: &str) -> bool {
        self.jobs.contains_key(token)
    }

    pub(super) fn may_read(&self, token: &str) -> bool {
        self.jobs
            .get(token)
            .is_some_and(|job| job.rights != Rights::None)
    }

    /// Reserves a key in the job's own scope; the answer is where to upload to.
    pub(super) fn reserve(
        &mut self,
        token: &str,
        key: &str,
        version: &str,
    ) -> Result<String, Refused> {
        let job = self.jobs.get(token).ok_or(Refused::Denied)?;
        let scope = match (job.rights, job.scopes.first()) {
            (Rights::All, Some(scope)) => scope.clone(),
            _ => return Err(Refused::Denied),
        };
        if self.is_used_up {
            return Err(Refused::UsedUp);
        }
        let is_taken = self.kept.iter().any(|kept| {
            let entry = &kept.entry;
            entry.key == key && entry.version == version && entry.scope == scope
        });
        if is_taken {
            return Err(Refused::Taken);
        }
        let id = self.next();
        self.kept.push(Kept {
            entry: Entry {
                id,
                key: key.to_owned(),
                version: version.to_owned(),
                scope,
                size: 0,
            },
            is_finished: false,
            used: id,
        });
        self.blobs.insert(id, Blob::default());
        Ok(self.sign(id, true))
    }

    /// Makes an upload appear; `None` where there is none of this size.
    pub(super) fn finish(
        &mut self,
        token: &str,
        key: &str,
        version: &str,
        size: u64,
    ) -> Option<u64> {
        let scope = self.jobs.get(token)?.scopes.first()?;
        let kept = self.kept.iter_mut().find(|kept| {
            let entry = &kept.entry;
            !kept.is_finished
                && entry.key == key
                && entry.version == version
                && entry.scope == *scope
        })?;
        if self.container.is_none() {
            let uploaded = self.blobs.get(&kept.entry.id)?.bytes.as_ref()?;
            if uploaded.len() as u64 != size {
                return None;
            }
        }
        kept.entry.size = size;
        kept.is_finished = true;
        let id = kept.entry.id;
        self.evict();
        Some(id)
    }

    /// As GitHub documents it: in each scope the key as a whole, then keys that begin with it, then with each of the others.
    pub(super) fn find(
        &mut self,
        token: &str,
        key: &str,
        beginnings: &[String],
        version: &str,
    ) -> Option<(String, String)> {
        let scopes = &self.jobs.get(token)?.scopes;
        let newest = |scope: &str, fits: &dyn Fn(&str) -> bool| {
            self.kept.iter().rposition(|kept| {
                let entry = &kept.entry;
                kept.is_finished
                    && entry.scope == scope
                    && entry.version == version
                    && fits(&entry.key)
            })
        };
        let place = scopes.iter().find_map(|scope| {
            newest(scope, &|found| found == key)
                .or_else(|| newest(scope, &|found| found.starts_with(key)))
                .or_else(|| {
                    let mut beginnings = beginnings.iter();
                    beginnings.find_map(|beginning| {
                        newest(scope, &|found| found.starts_with(beginning.as_str()))
                    })
                })
        })?;
        let used = self.next();
        let kept = self.kept.get_mut(place)?;
        kept.used = used;
        let (key, id) = (kept.entry.key.clone(), kept.entry.id);
        Some((key, self.sign(id, false)))
    }

    fn sign(&mut self, id: u64, to_write: bool) -> String {
        let container = self
            .container
            .as_deref()
            .and_then(|address| address.split_once('?'));
        if let Some((container, signature)) = container {
            return format!("{container}/{id}?{signature}");
        }
        let signature = format!("s{}", self.next());
        self.signatures.insert(signature.clone(), (id, to_write));
        let rights = if to_write { "cw" } else { "r" };
        format!(
            "{}{}{id}?sv=2025-01-05&sp={rights}&sr=b&sig={signature}",
            self.url,
            super::azure::PLACE
        )
    }

    /// Whether a signature is good for a blob, and for writing it.
    pub(super) fn is_signed(&self, signature: &str, id: u64, to_write: bool) -> bool {
        self.signatures.get(signature) == Some(&(id, to_write))
    }

    pub(super) fn remove(&mut self, removes: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let (gone, kept) = std::mem::take(&mut self.kept)
            .into_iter()
            .partition(|kept| kept.is_finished && removes(&kept.entry));
        self.kept = kept;
        let gone: Vec<Entry> = gone.into_iter().map(|kept: Kept| kept.entry).collect();
        for entry in &gone {
            self.blobs.remove(&entry.id);
        }
        gone
    }

    fn evict(&mut self) {
        let Some(quota) = self.quota else { return };
        loop {
            let finished = self.kept.iter().filter(|kept| kept.is_finished);
            if finished.clone().map(|kept| kept.entry.size).sum::<u64>() <= quota {
                return;
            }
            let Some(oldest) = finished
                .min_by_key(|kept| kept.used)
                .map(|kept| kept.entry.id)
            else {
                return;
            };
            self.remove(|entry| entry.id == oldest);
        }
    }
}
