//! GitHub's cache service, version 2: which blob is kept under which key. JSON over HTTP, as the official client
//! `@actions/cache` talks to it.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::blobs::BlobError;
use crate::http::{self, Http};
use crate::secret::{Secret, quoted};

/// The longest answer that is read: it holds a key and an address.
const MAX_ANSWER_BYTES: u64 = 256 << 10;

/// How the service begins its refusal of a token that may not write, or not read.
const DENIED: &[&str] = &["cache write denied:", "cache read denied:"];
/// What is in its refusal where the repository's account has used up its storage.
const USED_UP: &str = "insufficient usage";

/// Why the service did not do it.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The key is taken, by a blob or by who uploads one.
    Taken,
    /// There is no such key.
    Absent,
    Other(BlobError),
}

impl From<Refusal> for BlobError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Taken => Self::Refused("the key is taken".into()),
            Refusal::Absent => Self::Missing,
            Refusal::Other(error) => error,
        }
    }
}

/// The service, to one run of a job.
pub(super) struct Twirp {
    http: Http,
    base: Url,
    token: Secret,
    version: String,
}

/// A key that was found, and where its bytes are.
pub(super) struct Found {
    pub(super) key: String,
    pub(super) address: Secret,
}

#[derive(Serialize)]
struct Create<'a> {
    key: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Finalize<'a> {
    key: &'a str,
    /// Protobuf's JSON has numbers of 64 bits as text.
    size_bytes: String,
    version: &'a str,
}

#[derive(Serialize)]
struct Get<'a> {
    key: &'a str,
    restore_keys: &'a [String],
    version: &'a str,
}

/// All answers: each has some of these fields. Names may come either way, as in all JSON of protobuf's.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    ok: bool,
    message: Option<String>,
    #[serde(alias = "signedUploadUrl")]
    signed_upload_url: Option<String>,
    #[serde(alias = "signedDownloadUrl")]
    signed_download_url: Option<String>,
    #[serde(alias = "matchedKey")]
    matched_key: Option<String>,
}

/// A refusal, as twirp has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    code: String,
    msg: String,
}

impl Twirp {
    pub(super) fn new(http: Http, base: Url, token: Secret, version: String) -> Self {
        Self {
            http,
            base,
            token,
            version,
        }
    }

    /// Reserves a key; the answer is where to upload to.
    pub(super) async fn create(&self, key: &str) -> Result<Secret, Refusal> {
        let version = &self.version;
        let answer: Answer = self
            .call("CreateCacheEntry", &Create { key, version })
            .await?;
        if answer.ok {
            return answer
                .signed_upload_url
                .map(Secret::new)
                .ok_or_else(|| nonsense("a reservation without an address"));
        }
        // Older answers to a key that is taken say nothing at all.
        Err(answer
            .message
            .filter(|text| !text.is_empty())
            .map_or(Refusal::Taken, |text| self.refusal(&text)))
    }

    /// Makes what was uploaded appear under its key.
    pub(super) async fn finalize(&self, key: &str, size_bytes: u64) -> Result<(), Refusal> {
        let request = Finalize {
            key,
            size_bytes: size_bytes.to_string(),
            version: &self.version,
        };
        let answer: Answer = self.call("FinalizeCacheEntryUpload", &request).await?;
        if answer.ok {
            return Ok(());
        }
        let text = answer.message.unwrap_or_default();
        Err(self.refusal(if text.is_empty() {
            "the upload could not be finished"
        } else {
            &text
        }))
    }

    /// The first of these that is there: the key as a whole, then keys that begin with it, then keys that
    /// begin with each of the others, the newest of them first; in the scope of this branch, then in those that it reads.
    pub(super) async fn find(&self, key: &str, beginnings: &[String]) -> Result<Found, Refusal> {
        let request = Get {
            key,
            restore_keys: beginnings,
            version: &self.version,
        };
        let answer: Answer = self.call("GetCacheEntryDownloadURL", &request).await?;
        if !answer.ok {
            return Err(Refusal::Absent);
        }
        match (answer.matched_key, answer.signed_download_url) {
            (Some(key), Some(address)) => Ok(Found {
                key,
                address: Secret::new(address),
            }),
            _ => Err(nonsense("a cache without a key or an address")),
        }
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: &str,
        request: &Q,
    ) -> Result<A, Refusal> {
        let path = format!("/twirp/github.actions.results.api.v1.CacheService/{method}");
        let address = self
            .base
            .join(&path)
            .map_err(|error| Refusal::Other(BlobError::Refused(error.to_string())))?;
        let body = serde_json::to_vec(request)
            .map_err(|error| Refusal::Other(BlobError::Refused(error.to_string())))?;
        let request = self
            .http
            .request(Method::POST, address)
            .bearer_auth(self.token.reveal())
            .header(CONTENT_TYPE, "application/json");
        let response = self.http.send(request, body.into()).await;
        let response = response.map_err(Refusal::Other)?;
        let status = response.status();
        let after = http::retry_after(&response);
        let answer = self.http.body(response, MAX_ANSWER_BYTES).await;
        if status == StatusCode::OK {
            let answer = answer.map_err(Refusal::Other)?;
            return serde_json::from_slice(&answer)
                .map_err(|_| nonsense("it is not the JSON of a cache service"));
        }
        let fault = answer
            .ok()
            .and_then(|answer| serde_json::from_slice::<Fault>(&answer).ok());
        Err(self.fault(status, after, &fault.unwrap_or_default()))
    }

    fn fault(&self, status: StatusCode, after: Option<Duration>, fault: &Fault) -> Refusal {
        match fault.code.as_str() {
            "already_exists" => Refusal::Taken,
            "not_found" => Refusal::Absent,
            _ if status == StatusCode::NOT_FOUND => Refusal::Other(BlobError::Refused(
                "there is no cache service of version 2 at ACTIONS_RESULTS_URL".into(),
            )),
            _ if is_used_up(&fault.msg) => self.refusal(&fault.msg),
            _ => {
                let said = quoted(&fault.msg, Some(&self.token));
                Refusal::Other(http::failure(status, after, &said))
            }
        }
    }

    /// What the service says of a request that it understood and did not do.
    fn refusal(&self, text: &str) -> Refusal {
        let said = quoted(text, Some(&self.token));
        if DENIED.iter().any(|denied| text.contains(denied)) {
            Refusal::Other(BlobError::Denied(said))
        } else if text.contains("already exists") {
            Refusal::Taken
        } else if is_used_up(text) {
            Refusal::Other(BlobError::Refused(format!(
                "the storage for caches is used up ({said}); remove caches or raise the budget"
            )))
        } else {
            Refusal::Other(BlobError::Refused(said))
        }
    }
}

fn is_used_up(text: &str) -> bool {
    text.contains(USED_UP)
}

fn nonsense(what: &str) -> Refusal {
    Refusal::Other(BlobError::Nonsense(what.into()))
}
