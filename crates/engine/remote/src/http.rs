//! What every remote that talks HTTP needs: one client, bounded answers, faults as [`BlobError`]s.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use crate::blobs::BlobError;
use crate::traffic::Traffic;

/// How long a connection may take to come about. The deadline of a whole request is its caller's.
const CONNECT: Duration = Duration::from_secs(10);

/// A client that follows nobody elsewhere: a redirect would take a token along.
pub(crate) fn client() -> Result<Client, BlobError> {
    crate::tls::install();
    Client::builder()
        .user_agent(concat!("rekindle/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .build()
        .map_err(unreachable)
}

/// A client whose requests are counted.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    traffic: Arc<Traffic>,
}

impl Http {
    /// A client without connections yet.
    pub(crate) fn new(traffic: Arc<Traffic>) -> Result<Self, BlobError> {
        let client = client()?;
        Ok(Self { client, traffic })
    }

    pub(crate) fn request(&self, method: Method, address: Url) -> RequestBuilder {
        self.client.request(method, address)
    }

    /// Sends a request with this body.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        body: Bytes,
    ) -> Result<Response, BlobError> {
        self.traffic.asked(body.len() as u64);
        let request = if body.is_empty() {
            // A PUT of nothing says its length too.
            request.header(CONTENT_LENGTH, 0)
        } else {
            request.body(body)
        };
        request.send().await.map_err(unreachable)
    }

    /// The whole body, of at most so many bytes.
    pub(crate) async fn body(
        &self,
        mut response: Response,
        limit: u64,
    ) -> Result<Bytes, BlobError> {
        let too_long = || BlobError::Nonsense(format!("it is longer than {limit} bytes"));
        let announced = response.content_length();
        if announced.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        // What is announced is not trusted with memory before it comes.
        let room = announced.unwrap_or(0).min(64 << 20);
        let mut whole = BytesMut::with_capacity(usize::try_from(room).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            self.traffic.came(chunk.len() as u64);
            if (whole.len() + chunk.len()) as u64 > limit {
                return Err(too_long());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// A request that came to no answer. The address is left out, as it may be signed.
pub(crate) fn unreachable(error: reqwest::Error) -> BlobError {
    let error = error.without_url();
    let text = with_causes(&error);
    if error.is_builder() {
        BlobError::Refused(text)
    } else {
        BlobError::Unavailable(text)
    }
}

/// An error and what it came from, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// How long the server asks to be left alone.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    after(response.headers(), SystemTime::now())
}

/// `Retry-After`, as seconds or as a date.
pub(crate) fn after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// What an answer that is no success means, where nothing more is known than its status.
pub(crate) fn failure(status: StatusCode, after: Option<Duration>, said: &str) -> BlobError {
    let text = if said.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {said}")
    };
    match status.as_u16() {
        401 | 403 | 407 => BlobError::Denied(text),
        404 | 410 | 416 => BlobError::Missing,
        429 => BlobError::Throttled { after },
        503 if after.is_some() => BlobError::Throttled { after },
        408 | 425 | 500..=599 => BlobError::Unavailable(text),
        400..=499 => BlobError::Refused(text),
        _ => BlobError::Nonsense(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_again() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        for (text, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let expected = expected.map(Duration::from_secs);
            assert_eq!(after(&headers, now), expected, "{text}");
        }
    }
}
