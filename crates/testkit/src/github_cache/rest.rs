//! The part of GitHub's ordinary interface that lists and removes a repository's caches.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::state::{Entry, State};
use super::{bearer, json, query};

pub(super) fn answer(state: &mut State, parts: &Parts) -> Response {
    if bearer(parts) != Some(state.api_token()) {
        return json(
            StatusCode::UNAUTHORIZED,
            &json!({ "message": "Bad credentials" }),
        );
    }
    let mut path = parts.uri.path().trim_matches('/').split('/').skip(3);
    if (path.next(), path.next()) != (Some("actions"), Some("caches")) {
        return not_found();
    }
    match (&parts.method, path.next()) {
        (&Method::GET, None) => list(state, parts),
        (&Method::DELETE, Some(id)) => {
            let gone = state.remove(|entry| entry.id.to_string() == id);
            if gone.is_empty() {
                not_found()
            } else {
                json(StatusCode::NO_CONTENT, &json!(null))
            }
        }
        _ => not_found(),
    }
}

fn list(state: &State, parts: &Parts) -> Response {
    let query = query(parts);
    let value = |wanted: &str| {
        let found = query.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let key = value("key").unwrap_or_default();
    let number = |name, default| {
        value(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (page, per_page): (usize, usize) = (number("page", 1), number("per_page", 30).min(100));
    let mut entries = state.entries();
    entries.retain(|entry| entry.key.starts_with(key));
    let shown: Vec<_> = entries
        .iter()
        .rev()
        .skip((page - 1) * per_page)
        .take(per_page)
        .map(cache)
        .collect();
    json(
        StatusCode::OK,
        &json!({ "total_count": entries.len(), "actions_caches": shown }),
    )
}

fn cache(entry: &Entry) -> serde_json::Value {
    // The order is what matters; ids count up.
    let created = format!(
        "2026-11-26T{:02}:{:02}:{:02}.0000000Z",
        entry.id / 3600,
        entry.id / 60 % 60,
        entry.id % 60
    );
    json!({
        "id": entry.id,
        "ref": entry.scope,
        "key": entry.key,
        "version": entry.version,
        "last_accessed_at": created,
        "created_at": created,
        "size_in_bytes": entry.size,
    })
}

fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" }))
}
