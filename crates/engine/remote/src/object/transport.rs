//! The requests of opendal, watched.
//!
//! Each call on a remote has a [`Watched`] of its own around the one [`Client`]. What it sees is what the call's error
//! is made of: opendal's errors keep no headers, and their texts hold addresses.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use opendal::raw::Operation;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};

type Result<T, E = Error> = std::result::Result<T, E>;

use super::{ANSWER_BYTES, LARGEST_BYTES};
use crate::blobs::BlobError;
use crate::http as http_of_ours;
use crate::traffic::Traffic;

/// How long a machine may take to say which role it has: one that has none may not answer at all.
const METADATA: Duration = Duration::from_secs(1);
/// How much of an error's body is looked at.
const ERROR_BYTES: usize = 64 << 10;

/// Connections to one remote, and what went over them.
pub(super) struct Client {
    http: reqwest::Client,
    traffic: Arc<Traffic>,
}

impl Client {
    /// A client without connections yet.
    ///
    /// # Errors
    /// [`BlobError`], where there are no certificates to check servers by.
    pub(super) fn new(traffic: Arc<Traffic>) -> Result<Self, BlobError> {
        let http = http_of_ours::client()?;
        Ok(Self { http, traffic })
    }
}

/// What the call wants, as far as it bounds the answer.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A whole blob.
    Blob,
    /// This part of a blob.
    Part(Range<u64>),
    /// Names.
    List,
    /// No blob.
    Other,
}

/// What the service said last that was no success.
#[derive(Debug, Default)]
pub(super) struct Seen {
    refusal: Mutex<Refusal>,
}

/// A refusal, in words that hold no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status of the last answer, if it was none of success.
    pub(super) status: Option<StatusCode>,
    /// The service's word for it, such as `NoSuchBucket`.
    pub(super) code: Option<String>,
    /// When to come again.
    pub(super) after: Option<Duration>,
    /// Why an answer of success was not taken.
    pub(super) nonsense: Option<&'static str>,
    /// The blob ends before the part that was asked for does.
    pub(super) is_short: bool,
    /// Who gives credentials could not be reached.
    pub(super) no_credentials_now: bool,
}

impl Seen {
    pub(super) fn refusal(&self) -> Refusal {
        self.with(|refusal| refusal.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Refusal) -> T) -> T {
        change(&mut self.refusal.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The client for one call.
pub(super) struct Watched {
    client: Arc<Client>,
    asked: Asked,
    seen: Arc<Seen>,
}

impl Watched {
    pub(super) fn new(client: Arc<Client>, asked: Asked, seen: Arc<Seen>) -> Self {
        Self {
            client,
            asked,
            seen,
        }
    }

    /// What the library asks for credentials with. Its answers are none of the remote's.
    async fn for_credentials(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let is_metadata = is_metadata(request.uri().host());
        let answer = self.send(request).await.inspect_err(|_| {
            // A machine without a role is no fault.
            if !is_metadata {
                self.seen.with(|refusal| refusal.no_credentials_now = true);
            }
        })?;
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = self.bounded(answer.bytes_stream().boxed(), ANSWER_BYTES);
        let mut answer = Response::new(HttpBody::new(body, None));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    async fn send(&self, request: Request<Buffer>) -> Result<reqwest::Response> {
        let (parts, body) = request.into_parts();
        let body = body.to_bytes();
        self.client.traffic.asked(body.len() as u64);
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|_| Error::new(ErrorKind::Unexpected, "its address is no URL"))?;
        let is_metadata = is_metadata(url.host_str());
        let mut request = self
            .client
            .http
            .request(parts.method, url)
            .headers(parts.headers);
        if !body.is_empty() {
            request = request.body(body);
        }
        if is_metadata {
            request = request.timeout(METADATA);
        }
        request.send().await.map_err(|error| broken(&error))
    }

    /// Answers that are no success: their words are kept, and handed on.
    async fn refused(&self, answer: reqwest::Response) -> Result<Response<HttpBody>> {
        let status = answer.status();
        let headers = answer.headers().clone();
        let mut body = Vec::new();
        let mut stream = answer.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| broken(&error))?;
            self.client.traffic.came(chunk.len() as u64);
            let room = ERROR_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ERROR_BYTES {
                break;
            }
        }
        self.seen.with(|refusal| {
            refusal.status = Some(status);
            refusal.code = word(&headers, &body);
            refusal.after = http_of_ours::after(&headers, SystemTime::now());
        });
        let body = Buffer::from(body);
        let length = body.len() as u64;
        let mut answer = Response::new(HttpBody::new(
            stream::iter([Ok::<_, Error>(body)]),
            Some(length),
        ));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer.headers_mut().remove(CONTENT_LENGTH);
        Ok(answer)
    }

    fn taken(&self, answer: reqwest::Response, is_get: bool) -> Result<Response<HttpBody>> {
        let bound = match (&self.asked, is_get) {
            (Asked::Part(range), true) => self.part(&answer, range)?,
            (Asked::Blob, true) => LARGEST_BYTES,
            _ => ANSWER_BYTES,
        };
        // A gate of some network, in front of the service.
        let kind = answer.headers().get(CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page && matches!(self.asked, Asked::List) {
            return Err(self.nonsense("it is a page for people"));
        }
        let length = answer.content_length();
        if is_get && length.is_some_and(|length| length > bound) {
            return Err(self.nonsense("it is longer than what was asked for"));
        }
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = self.bounded(answer.bytes_stream().boxed(), bound);
        let mut answer = Response::new(HttpBody::new(body, length.filter(|_| is_get)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// How long an answer with a part of a blob may be. A service that sends another part, or all of it, is found out here.
    fn part(&self, answer: &reqwest::Response, range: &Range<u64>) -> Result<u64> {
        let length = range.end - range.start;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return match answer.content_length() {
                _ if range.start > 0 => {
                    Err(self.nonsense("it is the whole blob where a part was asked for"))
                }
                Some(whole) if whole < length => Err(self.short()),
                _ => Ok(length),
            };
        }
        let Some(sent) = answer.headers().get(CONTENT_RANGE) else {
            return Err(self.nonsense("it does not say which part it is"));
        };
        let (part, whole) = sent
            .to_str()
            .ok()
            .and_then(content_range)
            .unwrap_or_default();
        match part {
            _ if whole.is_some_and(|whole| whole < range.end) => Err(self.short()),
            Some((first, last)) if first == range.start && last == range.end - 1 => Ok(length),
            Some((first, last)) if first == range.start && last < range.end - 1 => {
                Err(self.short())
            }
            _ => Err(self.nonsense("it is another part than was asked for")),
        }
    }

    fn short(&self) -> Error {
        self.seen.with(|refusal| refusal.is_short = true);
        Error::new(ErrorKind::RangeNotSatisfied, "the blob ends before")
    }

    fn nonsense(&self, why: &'static str) -> Error {
        self.seen.with(|refusal| refusal.nonsense = Some(why));
        Error::new(ErrorKind::Unexpected, why)
    }

    fn bounded(&self, body: BoxStream<'static, reqwest::Result<Bytes>>, bound: u64) -> SyncStream {
        let client = Arc::clone(&self.client);
        let seen = Arc::clone(&self.seen);
        let so_far = AtomicU64::new(0);
        let checked = body.map(move |chunk| {
            let chunk = chunk.map_err(|error| broken(&error))?;
            let length = chunk.len() as u64;
            client.traffic.came(length);
            if so_far.fetch_add(length, Ordering::Relaxed) + length > bound {
                let why = "it is longer than what was asked for";
                seen.with(|refusal| refusal.nonsense = Some(why));
                return Err(Error::new(ErrorKind::Unexpected, why));
            }
            Ok(Buffer::from(chunk))
        });
        SyncStream(Mutex::new(checked.boxed()))
    }
}

impl HttpTransport for Watched {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        if request.extensions().get::<Operation>().is_none() {
            return self.for_credentials(request).await;
        }
        let is_get = request.method() == Method::GET;
        let answer = self.send(request).await?;
        if answer.status().is_success() {
            return self.taken(answer, is_get);
        }
        self.refused(answer).await
    }
}

/// opendal wants a body that threads may share; nobody does.
struct SyncStream(Mutex<BoxStream<'static, Result<Buffer>>>);

impl futures_util::Stream for SyncStream {
    type Item = Result<Buffer>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let inner = self.get_mut().0.get_mut();
        inner
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .poll_next(context)
    }
}

/// What is said of connections.
pub(super) const BROKEN: [&str; 3] = [
    "no connection comes about",
    "no answer comes",
    "the connection broke off",
];

/// A connection that did not come about or broke off; the library's own text would hold the address.
fn broken(error: &reqwest::Error) -> Error {
    let [unconnected, silent, cut] = BROKEN;
    let what = if error.is_connect() {
        unconnected
    } else if error.is_timeout() {
        silent
    } else {
        cut
    };
    Error::new(ErrorKind::Unexpected, what).set_temporary()
}

/// Where machines of AWS, Google and Azure ask for their roles.
fn is_metadata(host: Option<&str>) -> bool {
    host.is_some_and(|host| host.starts_with("169.254.") || host == "metadata.google.internal")
}

/// The service's word for a refusal: letters alone, so that nothing else gets into a message.
fn word(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let header = headers
        .get("x-ms-error-code")
        .and_then(|word| word.to_str().ok());
    let text = String::from_utf8_lossy(body);
    let in_body = || {
        let (_, behind) = text.split_once("<Code>")?;
        let (word, _) = behind.split_once("</Code>")?;
        Some(word)
    };
    let word = header.or_else(in_body)?.trim();
    let is_word =
        !word.is_empty() && word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_word.then(|| word.to_owned())
}

/// First byte and last of a part.
type Part = (u64, u64);

/// `bytes 0-9/100`: the part, and how many bytes the whole has; each where it says. Of an empty blob some say `0--1/0`.
fn content_range(text: &str) -> Option<(Option<Part>, Option<u64>)> {
    let (part, whole) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let numbers = |(first, last): (&str, &str)| Some((first.parse().ok()?, last.parse().ok()?));
    Some((part.split_once('-').and_then(numbers), whole.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (text, expected) in [
            ("bytes 0-9/100", Some((Some((0, 9)), Some(100)))),
            ("bytes 5-5/*", Some((Some((5, 5)), None))),
            (
                "bytes 1000-999/1000",
                Some((Some((1_000, 999)), Some(1_000))),
            ),
            ("bytes 0--1/0", Some((None, Some(0)))),
            ("bytes */100", Some((None, Some(100)))),
            ("items 0-9/100", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn words_of_services() {
        for (body, expected) in [
            ("<Error><Code>NoSuchKey</Code></Error>", Some("NoSuchKey")),
            ("<Error><Code>a secret</Code></Error>", None),
            ("<Error><Code></Code></Error>", None),
            ("nothing", None),
        ] {
            let found = word(&HeaderMap::new(), body.as_bytes());
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn machines_that_say_their_role() {
        assert!(is_metadata(Some("169.254.169.254")));
        assert!(!is_metadata(Some("127.0.0.1")));
        assert!(!is_metadata(None));
    }
}
