//! The service's three methods, in JSON.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::state::{Refused, State};
use super::{bearer, is, json};

/// What the official client checks before it asks.
const MAX_KEY_BYTES: usize = 512;
const MAX_KEYS: usize = 10;

/// All requests: each has some of these.
#[derive(Deserialize)]
struct Question {
    key: String,
    version: String,
    #[serde(default)]
    restore_keys: Vec<String>,
    #[serde(default)]
    size_bytes: Option<String>,
}

pub(super) fn answer(state: &mut State, method: &str, parts: &Parts, body: &[u8]) -> Response {
    let content = parts
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    if !is(parts, &Method::POST)
        || content.is_none_or(|content| !content.starts_with("application/json"))
    {
        return fault(
            StatusCode::NOT_FOUND,
            "bad_route",
            "no handler for this request",
        );
    }
    let Some(token) = bearer(parts).filter(|token| state.knows(token)) else {
        return fault(StatusCode::UNAUTHORIZED, "unauthenticated", "invalid token");
    };
    let Ok(question) = serde_json::from_slice::<Question>(body) else {
        return fault(
            StatusCode::BAD_REQUEST,
            "malformed",
            "the json request could not be decoded",
        );
    };
    let all_keys = || std::iter::once(&question.key).chain(&question.restore_keys);
    let is_key = |key: &String| !key.is_empty() && key.len() <= MAX_KEY_BYTES && !key.contains(',');
    let is_version =
        question.version.len() == 64 && question.version.bytes().all(|b| b.is_ascii_hexdigit());
    if !all_keys().all(is_key) || all_keys().count() > MAX_KEYS || !is_version {
        return fault(
            StatusCode::BAD_REQUEST,
            "invalid_argument",
            "keys or version are not valid",
        );
    }
    match method {
        "CreateCacheEntry" => create(state, token, &question),
        "FinalizeCacheEntryUpload" => finalize(state, token, &question),
        "GetCacheEntryDownloadURL" => find(state, token, &question),
        _ => fault(StatusCode::NOT_FOUND, "bad_route", "no such method"),
    }
}

fn create(state: &mut State, token: &str, question: &Question) -> Response {
    match state.reserve(token, &question.key, &question.version) {
        Ok(address) => success(&json!({ "ok": true, "signed_upload_url": address })),
        Err(Refused::Taken) => fault(
            StatusCode::CONFLICT,
            "already_exists",
            "cache entry with the same key, version, and scope already exists",
        ),
        // As the official client expects it: no error, and a message that begins so.
        Err(Refused::Denied) => success(&json!({
            "ok": false,
            "message": "cache write denied: the token of this run is read-only",
        })),
        Err(Refused::UsedUp) => fault(
            StatusCode::FORBIDDEN,
            "permission_denied",
            "insufficient usage to create a cache entry",
        ),
    }
}

fn finalize(state: &mut State, token: &str, question: &Question) -> Response {
    let size = question.size_bytes.as_deref().map_or(Ok(0), str::parse);
    let Ok(size) = size else {
        return fault(
            StatusCode::BAD_REQUEST,
            "malformed",
            "size_bytes is no number",
        );
    };
    match state.finish(token, &question.key, &question.version, size) {
        Some(id) => success(&json!({ "ok": true, "entry_id": id.to_string() })),
        None => fault(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such upload",
        ),
    }
}

fn find(state: &mut State, token: &str, question: &Question) -> Response {
    if !state.may_read(token) {
        return fault(
            StatusCode::FORBIDDEN,
            "permission_denied",
            "cache read denied: the token of this run has no readable scopes",
        );
    }
    match state.find(
        token,
        &question.key,
        &question.restore_keys,
        &question.version,
    ) {
        Some((key, address)) => success(&json!({
            "ok": true,
            "signed_download_url": address,
            "matched_key": key,
        })),
        None => success(&json!({ "ok": false })),
    }
}

fn success(value: &serde_json::Value) -> Response {
    json(StatusCode::OK, value)
}

fn fault(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &json!({ "code": code, "msg": message }))
}
