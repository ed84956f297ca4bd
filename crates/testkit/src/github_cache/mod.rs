//! GitHub's cache service, version 2, and the Azure blobs that it hands out.
//!
//! Behaves as the service does towards its official client, which the tests of `rekindle-remote` save and restore through it:
//! keys and versions, keys that match by their beginnings, scopes, keys that never change, reservations, signed addresses that
//! run out, a quota that evicts what was used least recently. Beside it the part of GitHub's ordinary interface that
//! lists and removes caches.
//!
//! Faults are ordered by the number of a request: [`CacheService::fault`].

mod azure;
mod rest;
mod state;
mod twirp;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use self::state::State;
pub use self::state::{Entry, Rights};
use crate::stand_in::Serving;

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done; the answer is this status, with `Retry-After` in seconds where one is given.
    Refuse(u16, Option<u64>),
    /// It is not done; the answer is a page of HTML with status 200.
    Garbage,
    /// It is not done, and never answered.
    Stall,
    /// It is done, and the connection ends before the answer.
    LoseAnswer,
    /// It is done, and the connection ends in the middle of the answer.
    Cut,
    /// It is done, and one bit of the answer is another.
    Flip,
}

/// A service on a port of its own; it ends with this value.
pub struct CacheService {
    serving: Serving,
    state: Arc<Mutex<State>>,
}

impl CacheService {
    /// Starts one, with nothing in it.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let serving = Serving::start(|listener| async {
            let app = axum::Router::new().fallback(serve).with_state(shared);
            let _ = axum::serve(listener, app).await;
        });
        lock(&state).url = format!("http://{}", serving.address);
        Self { serving, state }
    }

    /// Hands out addresses in a container of Azure's (or Azurite's) from now on, whose signed address this is.
    pub fn keep_bytes_in(&self, container: &str) {
        self.state().container = Some(container.to_owned());
    }

    /// What `ACTIONS_RESULTS_URL` and `GITHUB_API_URL` are here.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.serving.address)
    }

    /// A token for a job that reads these scopes, the nearest first, and writes into the first, if it may.
    #[must_use]
    pub fn token(&self, scopes: &[&str], rights: Rights) -> String {
        self.state().issue_token(scopes, rights)
    }

    /// A token for the ordinary interface.
    #[must_use]
    pub fn api_token(&self) -> String {
        self.state().api_token().to_owned()
    }

    /// From now on: what happens to the requests with these numbers, counted from the next one on.
    pub fn fault(&self, requests: Range<usize>, fault: Fault) {
        self.state().requests.order_fault(requests, fault);
    }

    /// The requests so far, each as its method and its path without signatures.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.shown()
    }

    /// The caches that are there, the oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.state().entries()
    }

    /// Makes all addresses that were handed out invalid, as time does.
    pub fn expire_addresses(&self) {
        self.state().expire_addresses();
    }

    /// The most bytes that it keeps.
    pub fn set_quota(&self, bytes: u64) {
        self.state().set_quota(bytes);
    }

    /// Refuses reservations from now on, as it does where the account's storage is used up.
    pub fn use_up_storage(&self) {
        self.state().use_up_storage();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(Shared(state): Shared<Arc<Mutex<State>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let fault = lock(&state)
        .requests
        .next(format!("{} {}", parts.method, shown(&parts)));
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return plain(StatusCode::BAD_REQUEST, "the request ended early");
    };
    match &fault {
        Some(Fault::Refuse(status, after)) => {
            let mut response = plain(
                StatusCode::from_u16(*status).unwrap(),
                r#"{"code":"internal","msg":"a fault that was ordered"}"#,
            );
            if let Some(after) = after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, (*after).into());
            }
            return response;
        }
        Some(Fault::Garbage) => return plain(StatusCode::OK, "<html>It works!</html>"),
        Some(Fault::Stall) => std::future::pending().await,
        _ => {}
    }
    let response = dispatch(&mut lock(&state), &parts, body);
    match fault {
        None => response,
        Some(fault) => spoiled(response, &fault).await,
    }
}

fn dispatch(state: &mut State, parts: &Parts, body: Bytes) -> Response {
    let path = parts.uri.path();
    if let Some(method) = path.strip_prefix("/twirp/github.actions.results.api.v1.CacheService/") {
        twirp::answer(state, method, parts, &body)
    } else if let Some(blob) = path.strip_prefix(azure::PLACE) {
        azure::answer(state, blob, parts, body)
    } else if path.starts_with("/repos/") {
        rest::answer(state, parts)
    } else {
        plain(StatusCode::NOT_FOUND, "no such page")
    }
}

async fn spoiled(response: Response, fault: &Fault) -> Response {
    let (parts, body) = response.into_parts();
    let mut bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap()
        .to_vec();
    if *fault == Fault::Flip {
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        return Response::from_parts(parts, Body::from(bytes));
    }
    if *fault == Fault::LoseAnswer {
        bytes.clear();
    }
    bytes.truncate(bytes.len() / 2);
    // A body that ends in an error makes the server close the connection.
    let cut = std::io::Error::other("a fault that was ordered");
    let body = Body::from_stream(tokio_stream::iter([Ok(Bytes::from(bytes)), Err(cut)]));
    Response::from_parts(parts, body)
}

/// A request's address, without what is signed.
fn shown(parts: &Parts) -> String {
    let mut text = parts.uri.path().to_owned();
    for (name, value) in query(parts) {
        if matches!(name.as_str(), "comp" | "key" | "page") {
            text = format!("{text} {name}={value}");
        }
    }
    if let Some(range) = parts.headers.get(header::RANGE) {
        text = format!("{text} {}", range.to_str().unwrap_or_default());
    }
    text
}

/// The names and values of a query, decoded.
fn query(parts: &Parts) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let mut bytes = text.bytes();
        let mut plain = Vec::new();
        while let Some(byte) = bytes.next() {
            let hex = [bytes.clone().next(), bytes.clone().nth(1)];
            match (byte, hex) {
                (b'%', [Some(high), Some(low)]) => {
                    let digits = [high, low];
                    let digits = std::str::from_utf8(&digits).unwrap_or("");
                    plain.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
                    bytes.nth(1);
                }
                (b'+', _) => plain.push(b' '),
                _ => plain.push(byte),
            }
        }
        String::from_utf8_lossy(&plain).into_owned()
    };
    parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

fn is(parts: &Parts, method: &Method) -> bool {
    parts.method == *method
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = plain(status, &value.to_string());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
