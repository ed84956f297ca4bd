//! S3, Google Cloud Storage, Azure Blob Storage and WebDAV, through opendal.
//!
//! | | S3 | Google | Azure | WebDAV |
//! |---|---|---|---|---|
//! | write [`Kind::Once`] | `If-None-Match: *` | `ifGenerationMatch=0` | `If-None-Match: *` | plain `PUT` |
//! | large blobs | parts, the condition at their end | parts | blocks | one `PUT` |
//! | list | pages of 1,000 | pages of 1,000 | pages of 5,000 | one `PROPFIND` a directory |
//!
//! opendal knows the services and signs; what it does beyond one attempt (retries, timeouts) is off. Its requests go
//! through [`transport`], which counts them, keeps what the service said about a refusal, and stops an answer that
//! is longer than what was asked for before it fills the memory.

mod credentials;
mod errors;
mod services;
mod transport;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use http::StatusCode;
use opendal::{Entry, ErrorKind, HttpTransporter, Operator};

use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};

use errors::blob_error;
pub(crate) use services::{azure, gcs, s3, webdav};
use transport::{Asked, Client, Seen, Watched};

/// Above it a blob goes up in parts, where the service takes parts: one that fails is then not all lost.
const SINGLE_BYTES: usize = 64 << 20;
/// The size of a part.
const PART_BYTES: usize = 16 << 20;
/// How many parts of a blob go up at once.
const PARTS_AT_ONCE: usize = 4;
/// The largest blob that is read whole.
const LARGEST_BYTES: u64 = 1 << 30;
/// The most that an answer may be which is not a blob: a page of a list, an error.
const ANSWER_BYTES: u64 = 16 << 20;
/// The most files that a list may have.
const MAX_LISTED: usize = 1_000_000;
/// How many names are asked for at once, at most, when the first of several is looked for.
const FIND_AT_ONCE: usize = 4;

/// One of these services.
pub(crate) struct Objects {
    operator: Operator,
    client: Arc<Client>,
    kind: Service,
    /// The same service, asked to make directories first, which costs a request for each: where they have to be made.
    careful: Option<Operator>,
    /// The service has said that it knows no conditional writes.
    unconditional: AtomicBool,
}

/// In what the services differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// Names are keys: a list takes any prefix.
    Keys,
    /// Names are files in directories, which have to be made.
    Files,
}

impl Objects {
    fn new(operator: Operator, kind: Service, client: Arc<Client>) -> Self {
        Self {
            careful: None,
            operator,
            client,
            kind,
            unconditional: AtomicBool::new(false),
        }
    }

    /// The operator for one call, whose requests are watched.
    fn watched(&self, asked: Asked) -> (Operator, Arc<Seen>) {
        self.watch(&self.operator, asked)
    }

    fn watch(&self, operator: &Operator, asked: Asked) -> (Operator, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let transport = Watched::new(Arc::clone(&self.client), asked, Arc::clone(&seen));
        let context = operator
            .base_context()
            .with_http_transport(HttpTransporter::new(transport));
        (operator.clone().with_context(context), seen)
    }
}

#[async_trait]
impl Blobs for Objects {
    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        let Some(range) = range else {
            let (operator, seen) = self.watched(Asked::Blob);
            let read = operator.read(name.as_str()).await;
            return read
                .map(|buffer| buffer.to_bytes())
                .map_err(|error| blob_error(&error, &seen));
        };
        if range.is_empty() {
            return self.nothing_of(name).await;
        }
        let (operator, seen) = self.watched(Asked::Part(range.clone()));
        let read = operator.read_with(name.as_str()).range(range.clone()).await;
        let bytes = read.map_err(|error| blob_error(&error, &seen))?.to_bytes();
        match (bytes.len() as u64).cmp(&(range.end - range.start)) {
            std::cmp::Ordering::Less => Err(BlobError::Missing),
            std::cmp::Ordering::Equal => Ok(bytes),
            std::cmp::Ordering::Greater => Err(BlobError::Nonsense(
                "it is longer than what was asked for".to_owned(),
            )),
        }
    }

    /// Asks for one name, then for two at once, then for four: the first of them is mostly there, and where it is not,
    /// the time of one request after the other is what hurts.
    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        let mut rest = 0;
        let mut at_once = 1;
        while rest < names.len() {
            let wave = &names[rest..names.len().min(rest + at_once)];
            let answers = join_all(wave.iter().map(|name| self.read(name, None))).await;
            for (index, answer) in answers.into_iter().enumerate() {
                match answer {
                    Ok(bytes) => return Ok(Some((rest + index, bytes))),
                    Err(BlobError::Missing) => {}
                    Err(error) => return Err(error),
                }
            }
            rest += wave.len();
            at_once = (at_once * 2).min(FIND_AT_ONCE);
        }
        Ok(None)
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        let is_once = kind == Kind::Once
            && self.operator.info().capability().write_with_if_not_exists
            && !self.unconditional.load(Ordering::Relaxed);
        let (written, seen) = self.put(&self.operator, name, bytes.clone(), is_once).await;
        let status = seen.refusal().status;
        if let (Err(error), Some(careful)) = (&written, &self.careful)
            && status.is_some_and(wants_directory)
        {
            let first = write_error(error, &seen);
            let (written, seen) = self.put(careful, name, bytes, is_once).await;
            return match written {
                Ok(()) => Ok(Written::New),
                // It knows no directories at all.
                Err(_) if seen.refusal().status.is_some_and(is_unknown) => Err(first),
                Err(error) => Err(write_error(&error, &seen)),
            };
        }
        match written {
            Ok(()) => Ok(Written::New),
            Err(error) if is_once && is_taken(&error, &seen) => Ok(Written::Present),
            Err(_) if is_once && status == Some(StatusCode::NOT_IMPLEMENTED) => {
                self.unconditional.store(true, Ordering::Relaxed);
                let (written, seen) = self.put(&self.operator, name, bytes, false).await;
                written
                    .map(|()| Written::New)
                    .map_err(|error| write_error(&error, &seen))
            }
            Err(error) => Err(write_error(&error, &seen)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let (operator, seen) = self.watched(Asked::List);
        let directory = match self.kind {
            Service::Keys => prefix,
            Service::Files => prefix.rfind('/').map_or("", |slash| &prefix[..=slash]),
        };
        let failed = |error: opendal::Error| match blob_error(&error, &seen) {
            // A directory that nobody has made yet.
            BlobError::Missing => None,
            error => Some(error),
        };
        let mut lister = match operator.lister_with(directory).recursive(true).await {
            Ok(lister) => lister,
            Err(error) => return failed(error).map_or(Ok(Vec::new()), Err),
        };
        let mut listed = Vec::new();
        // Others' files count as well: a service that turns in a circle is to be left some time.
        for _ in 0..MAX_LISTED {
            match lister.try_next().await {
                Ok(None) => return Ok(listed),
                Ok(Some(entry)) => listed.extend(blob(&entry, prefix)),
                Err(error) => return failed(error).map_or(Ok(listed), Err),
            }
        }
        Err(BlobError::Nonsense(format!(
            "there are more than {MAX_LISTED} files"
        )))
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        let (operator, seen) = self.watched(Asked::Other);
        match operator.delete(name.as_str()).await {
            Ok(()) => Ok(()),
            Err(error) => match blob_error(&error, &seen) {
                BlobError::Missing => Ok(()),
                error => Err(error),
            },
        }
    }
}

impl Objects {
    /// No byte of a blob: HTTP knows no such part, so that it is asked for one that may not be there.
    async fn nothing_of(&self, name: &Name) -> Result<Bytes, BlobError> {
        let (operator, seen) = self.watched(Asked::Other);
        match operator.stat(name.as_str()).await {
            Ok(_) => Ok(Bytes::new()),
            Err(error) => Err(blob_error(&error, &seen)),
        }
    }

    async fn put(
        &self,
        operator: &Operator,
        name: &Name,
        bytes: Bytes,
        is_once: bool,
    ) -> (Result<(), opendal::Error>, Arc<Seen>) {
        let (operator, seen) = self.watch(operator, Asked::Other);
        let written = if bytes.len() > SINGLE_BYTES && operator.info().capability().write_can_multi
        {
            in_parts(&operator, name, bytes, is_once).await
        } else {
            let write = operator.write_with(name.as_str(), bytes);
            let write = if is_once {
                write.if_not_exists(true)
            } else {
                write
            };
            write.await.map(|_| ())
        };
        (written, seen)
    }
}

/// Several parts at once; one that fails leaves none behind, as far as the service can be reached.
async fn in_parts(
    operator: &Operator,
    name: &Name,
    bytes: Bytes,
    is_once: bool,
) -> Result<(), opendal::Error> {
    let writer = operator
        .writer_with(name.as_str())
        .chunk(PART_BYTES)
        .concurrent(PARTS_AT_ONCE);
    let writer = if is_once {
        writer.if_not_exists(true)
    } else {
        writer
    };
    let mut writer = writer.await?;
    let written = match writer.write(bytes).await {
        Ok(()) => writer.close().await.map(|_| ()),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // The first error is the one to tell.
        let _ = writer.abort().await;
    }
    written
}

/// Whether a write may have failed for want of a directory: by the standard it is 409; some say 404; nginx says 500.
fn wants_directory(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 409 | 500)
}

/// Whether the server does not know what it was asked to do.
fn is_unknown(status: StatusCode) -> bool {
    matches!(status.as_u16(), 405 | 501)
}

/// Whether a conditional write failed for its condition.
fn is_taken(error: &opendal::Error, seen: &Seen) -> bool {
    let refusal = seen.refusal();
    let is_conflict = refusal.status == Some(StatusCode::CONFLICT)
        && refusal.code.as_deref() == Some("BlobAlreadyExists");
    error.kind() == ErrorKind::ConditionNotMatch
        || refusal.status == Some(StatusCode::PRECONDITION_FAILED)
        || is_conflict
}

/// `Missing` is no answer to a write: what is missing is the place.
fn write_error(error: &opendal::Error, seen: &Seen) -> BlobError {
    match blob_error(error, seen) {
        BlobError::Missing => BlobError::Refused("there is no such bucket or directory".to_owned()),
        error => error,
    }
}

/// A file of a list, if its name is one of ours.
fn blob(entry: &Entry, prefix: &str) -> Option<Listed> {
    let metadata = entry.metadata();
    if !metadata.is_file() || !entry.path().starts_with(prefix) {
        return None;
    }
    let written = metadata
        .last_modified()
        .map(opendal::raw::Timestamp::into_inner);
    Some(Listed {
        name: Name::new(entry.path()).ok()?,
        size: metadata.content_length(),
        written_ms: written.and_then(|at| u64::try_from(at.as_millisecond()).ok()),
    })
}
