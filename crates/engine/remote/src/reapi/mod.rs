//! A Bazel Remote Execution server, version 2 of its API, as a remote: bazel-remote, Buildbarn, BuildGrid, NativeLink, BuildBuddy,
//! buildbox-casd.
//!
//! Such a server keeps bytes by digest and, by the digest of an action, the action's result. So a blob is in its storage (`cas`),
//! and its name is an action whose result is that blob (`actions`). What the server can do is asked first
//! (`session`): its digest function, whether it takes zstd, how much fits into a batch.
//!
//! - **Requests.** The first call asks what the server can do. A read is the entry of its name, which is remembered, and then one
//!   read of bytes, checked against its digest where all of it is read. A search asks for the first name, then for all others at
//!   once. A write is a question (for a name that is written once), the upload, and the entry; a large blob is
//!   uploaded only where it is missing.
//! - **What it forgets.** Servers forget bytes that were not used for long; an entry whose bytes are gone is as missing.
//! - **Trust.** Who may change the server's action cache may change what a name stands for. Signatures are above.

mod actions;
mod cas;
mod digest;
mod session;
mod status;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bazel_remote_apis::build::bazel::remote::execution::v2::Digest;
use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use self::actions::Target;
use self::session::{Headers, Session};
use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};
use crate::memo::Memo;
use crate::secret::{Secret, quoted};
use crate::traffic::Traffic;

/// Names that are asked for at once.
const NAMES_AT_ONCE: usize = 8;
/// What is sent without asking whether it is there.
const SMALL_BYTES: usize = 256 << 10;

/// Where a server is and who asks.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Host and port, as in `cache.example.org:8980`.
    pub authority: String,
    /// Whether the connection is encrypted (`grpcs://`).
    pub tls: bool,
    /// The instance's name; may be empty.
    pub instance: String,
    /// Headers of each request, by lower-case name, as in `x-buildbuddy-api-key` or `authorization`.
    pub headers: Vec<(String, Secret)>,
}

/// Blobs in a Remote Execution server.
pub struct ReapiCache {
    settings: Settings,
    headers: Headers,
    traffic: Arc<Traffic>,
    session: OnceCell<Session>,
    targets: Memo<Target>,
    /// By hash: uploads that failed, which can be continued.
    uploads: Mutex<HashMap<String, String>>,
}

impl ReapiCache {
    /// Takes the settings; connects at the first call. Requests are counted in `traffic`.
    ///
    /// # Errors
    /// [`BlobError::Refused`] for a header that can be none.
    pub fn new(settings: Settings, traffic: Arc<Traffic>) -> Result<Self, BlobError> {
        let headers = Headers::new(&settings)?;
        Ok(Self {
            settings,
            headers,
            traffic,
            session: OnceCell::new(),
            targets: Memo::default(),
            uploads: Mutex::default(),
        })
    }

    async fn session(&self) -> Result<&Session, BlobError> {
        let open = || Session::open(&self.settings, &self.headers, &self.traffic);
        self.session.get_or_try_init(open).await
    }

    /// The whole of what a name stands for; `None` where it stands for nothing that is there.
    async fn newest(session: &Session, name: &Name) -> Result<Option<Bytes>, BlobError> {
        let read = match session.target(name, true).await {
            Ok(Target {
                contents: Some(contents),
                ..
            }) => return Ok(Some(contents)),
            Ok(target) => session.whole(&target.digest).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(BlobError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of these names, those that are there, in any order.
    async fn newest_of(
        session: &Session,
        names: &[Name],
    ) -> Result<Option<(usize, Bytes)>, BlobError> {
        // Dropping it ends what is under way.
        let mut asked = JoinSet::new();
        for (place, name) in names.iter().cloned().enumerate() {
            let session = session.clone();
            asked.spawn(async move { (place, session.target(&name, true).await) });
        }
        let mut there = Vec::new();
        while let Some(answer) = asked.join_next().await {
            match answer.map_err(|error| BlobError::Unavailable(error.to_string()))? {
                (place, Ok(target)) => there.push((place, target)),
                (_, Err(BlobError::Missing)) => {}
                (_, Err(error)) => return Err(error),
            }
        }
        there.sort_by_key(|(place, _)| *place);
        for (place, target) in there {
            let read = match target.contents {
                Some(contents) => Ok(contents),
                None => session.whole(&target.digest).await,
            };
            match read {
                Ok(bytes) => return Ok(Some((place, bytes))),
                Err(BlobError::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn bytes(
        session: &Session,
        target: &Target,
        range: Option<&Range<u64>>,
    ) -> Result<Bytes, BlobError> {
        let Some(range) = range else {
            return session.whole(&target.digest).await;
        };
        let size = u64::try_from(target.digest.size_bytes).unwrap_or(0);
        if range.end > size {
            Err(BlobError::Missing)
        } else if range.is_empty() {
            Ok(Bytes::new())
        } else if *range == (0..size) {
            session.whole(&target.digest).await
        } else {
            session.part(&target.digest, range).await
        }
    }

    /// Whether a name stands for something that is there.
    async fn is_taken(session: &Session, name: &Name) -> Result<bool, BlobError> {
        match session.target(name, false).await {
            Ok(target) => Ok(session.missing(vec![target.digest]).await?.is_empty()),
            Err(BlobError::Missing) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Brings blobs into the server's storage, those that are not there.
    async fn put(
        &self,
        session: &Session,
        mut blobs: Vec<(Digest, Bytes)>,
    ) -> Result<(), BlobError> {
        blobs.retain(|(_, bytes)| !bytes.is_empty());
        let bytes: usize = blobs.iter().map(|(_, bytes)| bytes.len()).sum();
        if bytes > SMALL_BYTES {
            let digests = blobs.iter().map(|(digest, _)| digest.clone()).collect();
            let missing = session.missing(digests).await?;
            blobs.retain(|(digest, _)| missing.contains(digest));
        }
        let (small, large): (Vec<_>, Vec<_>) = blobs
            .into_iter()
            .partition(|blob| session.fits(std::slice::from_ref(blob)));
        if session.fits(&small) && !small.is_empty() {
            session.send_batch(&small).await?;
        } else {
            for blob in small.chunks(1) {
                session.send_batch(blob).await?;
            }
        }
        for (digest, bytes) in large {
            self.put_large(session, &digest, &bytes).await?;
        }
        Ok(())
    }

    async fn put_large(
        &self,
        session: &Session,
        digest: &Digest,
        bytes: &Bytes,
    ) -> Result<(), BlobError> {
        // Taken out while it is used: two at once with one id would disturb each other.
        let begun = self.uploads().remove(&digest.hash);
        let again = begun.is_some();
        let mut upload = Upload {
            of: self,
            hash: &digest.hash,
            id: Some(begun.unwrap_or_else(random_uuid)),
        };
        let id = upload.id.clone().unwrap_or_default();
        match session.send_stream(digest, bytes, &id, again).await {
            Ok(()) => {
                upload.id = None;
                Ok(())
            }
            // It does not continue uploads as it said.
            Err(BlobError::Refused(text)) if again => {
                upload.id = None;
                Err(BlobError::Unavailable(text))
            }
            Err(error) => Err(error),
        }
    }

    async fn do_read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        let session = self.session().await?;
        let ask = || session.target(name, false);
        let (target, remembered) = self.targets.get(name, ask()).await?;
        match Self::bytes(session, &target, range.as_ref()).await {
            // It stands for something else now, perhaps.
            Err(BlobError::Missing) => {
                self.targets.forget_if(name, &target).await;
                if !remembered {
                    return Err(BlobError::Missing);
                }
                let (target, _) = self.targets.get(name, ask()).await?;
                Self::bytes(session, &target, range.as_ref()).await
            }
            read => read,
        }
    }

    async fn do_find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        let Some((first, others)) = names.split_first() else {
            return Ok(None);
        };
        let session = self.session().await?;
        if let Some(bytes) = Self::newest(session, first).await? {
            return Ok(Some((0, bytes)));
        }
        for (turn, names) in others.chunks(NAMES_AT_ONCE).enumerate() {
            if let Some((place, bytes)) = Self::newest_of(session, names).await? {
                return Ok(Some((1 + turn * NAMES_AT_ONCE + place, bytes)));
            }
        }
        Ok(None)
    }

    async fn do_write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        let session = self.session().await?;
        if !session.can.updates {
            return Err(BlobError::Denied(
                "the server says that its action cache may not be changed".into(),
            ));
        }
        if session
            .can
            .blob_bytes
            .is_some_and(|most| bytes.len() as u64 > most)
        {
            return Err(BlobError::Refused(
                "it is larger than the server keeps".into(),
            ));
        }
        if kind == Kind::Once && Self::is_taken(session, name).await? {
            return Ok(Written::Present);
        }
        let action = session.action(name);
        let digest = session.can.function.of(&bytes);
        let mut blobs = vec![(digest.clone(), bytes)];
        blobs.extend(action.messages.iter().cloned());
        match self.put(session, blobs).await {
            Ok(()) => {}
            Err(BlobError::Missing) => {
                return Err(BlobError::Refused("there is no such instance".into()));
            }
            Err(error) => return Err(error),
        }
        session.point(&action, &digest).await?;
        self.targets.forget(name);
        Ok(Written::New)
    }

    /// Without tokens: some servers repeat what they were sent.
    fn cleaned<T>(&self, result: Result<T, BlobError>) -> Result<T, BlobError> {
        result.map_err(|mut error| {
            if let BlobError::Denied(text)
            | BlobError::Refused(text)
            | BlobError::Unavailable(text)
            | BlobError::Nonsense(text) = &mut error
            {
                for (_, secret) in &self.settings.headers {
                    *text = quoted(text, Some(secret));
                }
            }
            error
        })
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload under way: what is dropped before it is done can be continued.
struct Upload<'a> {
    of: &'a ReapiCache,
    hash: &'a str,
    id: Option<String>,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.of.uploads().insert(self.hash.to_owned(), id);
        }
    }
}

/// A UUID of version 4.
fn random_uuid() -> String {
    // Each is made with keys from the system's randomness.
    let random = || RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[async_trait]
impl Blobs for ReapiCache {
    fn forgets(&self) -> bool {
        true
    }

    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        self.cleaned(self.do_read(name, range).await)
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        self.cleaned(self.do_find(names).await)
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        self.cleaned(self.do_write(name, bytes, kind).await)
    }

    async fn list(&self, _prefix: &str) -> Result<Vec<Listed>, BlobError> {
        Err(BlobError::Unsupported("list what it has"))
    }

    async fn remove(&self, _name: &Name) -> Result<(), BlobError> {
        Err(BlobError::Unsupported(
            "remove anything; it forgets by itself",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::random_uuid;

    #[test]
    fn uuids() {
        let id = random_uuid();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_ne!(id, random_uuid());
    }
}
