//! Azure's blob storage, as far as signed addresses of single blobs reach: Put Blob, Put Block, Put Block List, Get Blob,
//! Get Blob Properties.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};

use super::state::State;
use super::{plain, query};

/// Account and container, as Azure's clients take an address at an IP address apart.
pub(super) const PLACE: &str = "/devstore/caches/";

pub(super) fn answer(state: &mut State, blob: &str, parts: &Parts, body: Bytes) -> Response {
    let query = query(parts);
    let value = |wanted: &str| {
        let found = query.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let writes = parts.method == Method::PUT;
    let signed = blob
        .parse::<u64>()
        .ok()
        .filter(|id| state.is_signed(value("sig").unwrap_or_default(), *id, writes));
    let Some(id) = signed else {
        return fault(StatusCode::FORBIDDEN, "AuthenticationFailed");
    };
    let Some(blob) = state.blobs.get_mut(&id) else {
        return fault(StatusCode::NOT_FOUND, "BlobNotFound");
    };
    match (&parts.method, value("comp")) {
        (&Method::PUT, None) => {
            if parts
                .headers
                .get("x-ms-blob-type")
                .is_none_or(|kind| kind != "BlockBlob")
            {
                return fault(StatusCode::BAD_REQUEST, "MissingRequiredHeader");
            }
            blob.bytes = Some(body);
            blob.blocks.clear();
            created()
        }
        (&Method::PUT, Some("block")) => {
            let name = value("blockid").unwrap_or_default();
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
            let same_length = blob.blocks.keys().all(|other| other.len() == name.len());
            if name.is_empty()
                || !name.len().is_multiple_of(4)
                || !name.bytes().all(is_base64)
                || !same_length
            {
                return fault(StatusCode::BAD_REQUEST, "InvalidQueryParameterValue");
            }
            blob.blocks.insert(name.to_owned(), body);
            created()
        }
        (&Method::PUT, Some("blocklist")) => match listed(&body) {
            Some(names) if names.iter().all(|name| blob.blocks.contains_key(name)) => {
                let mut whole = BytesMut::new();
                for name in &names {
                    whole.extend_from_slice(&blob.blocks[name]);
                }
                blob.bytes = Some(whole.freeze());
                // Those in the list can be listed again; Azure drops the others.
                blob.blocks.retain(|name, _| names.contains(name));
                created()
            }
            _ => fault(StatusCode::BAD_REQUEST, "InvalidBlockList"),
        },
        (&Method::GET | &Method::HEAD, None) => match &blob.bytes {
            Some(bytes) => read(parts, bytes),
            None => fault(StatusCode::NOT_FOUND, "BlobNotFound"),
        },
        _ => fault(StatusCode::BAD_REQUEST, "UnsupportedHttpVerb"),
    }
}

/// The names in `<BlockList><Latest>…</Latest>…</BlockList>`.
fn listed(body: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(body).ok()?;
    let list = text
        .split_once("<BlockList>")?
        .1
        .split_once("</BlockList>")?
        .0;
    let mut names = Vec::new();
    for item in list.split("</").filter_map(|item| item.rsplit_once('>')) {
        let (tag, name) = item;
        let is_name = ["<Latest", "<Uncommitted", "<Committed"]
            .iter()
            .any(|known| tag.ends_with(known));
        if is_name {
            names.push(name.trim().to_owned());
        }
    }
    Some(names)
}

fn read(parts: &Parts, bytes: &Bytes) -> Response {
    let total = bytes.len();
    // Azure's own header goes before HTTP's.
    let range = parts
        .headers
        .get("x-ms-range")
        .or_else(|| parts.headers.get(header::RANGE));
    let range = range
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (start, last) = value.strip_prefix("bytes=")?.split_once('-')?;
            let end = last
                .parse::<usize>()
                .map_or(total, |last| last.saturating_add(1));
            Some((start.parse::<usize>().ok()?, end.min(total)))
        });
    let mut response = match range {
        None => plain_bytes(StatusCode::OK, bytes.clone()),
        Some((start, end)) if start < end => {
            let mut response = plain_bytes(StatusCode::PARTIAL_CONTENT, bytes.slice(start..end));
            let stated = format!("bytes {start}-{}/{total}", end - 1);
            set(&mut response, header::CONTENT_RANGE, &stated);
            response
        }
        Some(_) => return fault(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
    };
    set(
        &mut response,
        header::CONTENT_TYPE,
        "application/octet-stream",
    );
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(
        &mut response,
        HeaderName::from_static("x-ms-blob-type"),
        "BlockBlob",
    );
    stamped(response)
}

fn plain_bytes(status: StatusCode, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
}

fn created() -> Response {
    stamped(plain(StatusCode::CREATED, ""))
}

fn fault(status: StatusCode, code: &'static str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    );
    let mut response = plain(status, &text);
    set(&mut response, header::CONTENT_TYPE, "application/xml");
    set(
        &mut response,
        HeaderName::from_static("x-ms-error-code"),
        code,
    );
    stamped(response)
}

/// With what is in all of Azure's answers.
fn stamped(mut response: Response) -> Response {
    set(
        &mut response,
        HeaderName::from_static("x-ms-version"),
        "2025-01-05",
    );
    set(
        &mut response,
        HeaderName::from_static("x-ms-request-id"),
        "00000000-0000-0000-0000-000000000000",
    );
    set(&mut response, header::ETAG, "\"0x8D0000000000000\"");
    set(
        &mut response,
        header::LAST_MODIFIED,
        "Thu, 26 Nov 2026 00:00:00 GMT",
    );
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_str(value).unwrap());
}
