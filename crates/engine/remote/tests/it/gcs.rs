//! Google Cloud Storage. There is no server of it to be had, so this is what its JSON interface's documentation says of the
//! requests that are made; what the service does beyond is not tested.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rekindle_remote::blobs::{BlobError, Blobs};
use rekindle_testkit::blobs::{Traits, check, name};
use rekindle_testkit::scripted::{Reply, Request, Scripted, answer};

use crate::opened::opened;

type Objects = BTreeMap<String, Vec<u8>>;

/// Most names in a page.
const PAGE: usize = 100;

fn reply(objects: &Mutex<Objects>, request: &Request) -> Reply {
    let (method, target) = request.line.split_once(' ').unwrap();
    let url: url::Url = format!("http://h{target}").parse().unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let mut objects = objects.lock().unwrap();
    let of_object = url.path().strip_prefix("/storage/v1/b/bucket/o/");
    let key = of_object.map(|key| key.replace("%2F", "/"));
    let is_once = query
        .get("ifGenerationMatch")
        .is_some_and(|value| value == "0");
    match (method, key, url.path()) {
        ("POST", None, "/upload/storage/v1/b/bucket/o") => {
            if is_once && objects.contains_key(&query["name"]) {
                return answer("412 Precondition Failed", &[], b"{}");
            }
            if query["uploadType"] == "resumable" {
                let host = request.header("host").unwrap();
                let session = format!("http://{host}/session?{}", url.query().unwrap());
                return answer("200 OK", &[("location", &session)], b"");
            }
            objects.insert(query["name"].clone(), request.body.clone());
            said(&request.body)
        }
        ("PUT", None, "/session") => {
            let range = request.header("content-range").unwrap();
            assert!(
                range.ends_with(&format!("/{}", request.body.len())),
                "one piece: {range}"
            );
            if is_once && objects.contains_key(&query["name"]) {
                return answer("412 Precondition Failed", &[], b"{}");
            }
            objects.insert(query["name"].clone(), request.body.clone());
            said(&request.body)
        }
        ("GET", None, "/storage/v1/b/bucket/o") => list(&objects, &query),
        ("GET", Some(key), _) => match objects.get(&key) {
            None => answer("404 Not Found", &[], br#"{"error":{"code":404}}"#),
            Some(bytes) if !query.contains_key("alt") => said(bytes),
            Some(bytes) => part(bytes, request.header("range")),
        },
        ("DELETE", Some(key), _) => match objects.remove(&key) {
            None => answer("404 Not Found", &[], b"{}"),
            Some(_) => answer("204 No Content", &[], b""),
        },
        _ => panic!("{request:?}"),
    }
}

/// What is said of an object.
fn said(bytes: &[u8]) -> Reply {
    let size = bytes.len();
    let text = format!(
        r#"{{"generation":"1","size":"{size}","etag":"e","updated":"2026-01-01T00:00:00Z"}}"#
    );
    answer("200 OK", &[], text.as_bytes())
}

fn part(bytes: &[u8], range: Option<&str>) -> Reply {
    let Some(range) = range else {
        return answer("200 OK", &[], bytes);
    };
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let first: usize = first.parse().unwrap();
    if first >= bytes.len() {
        return answer("416 Requested range not satisfiable", &[], b"");
    }
    let last = last.parse().unwrap_or(usize::MAX).min(bytes.len() - 1);
    let said = format!("bytes {first}-{last}/{}", bytes.len());
    answer(
        "206 Partial Content",
        &[("content-range", &said)],
        &bytes[first..=last],
    )
}

fn list(objects: &Objects, query: &BTreeMap<String, String>) -> Reply {
    let prefix = query["prefix"].replace("%2F", "/");
    let after = query.get("pageToken").cloned().unwrap_or_default();
    let behind = objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && **key > after);
    let page: Vec<_> = behind.take(PAGE + 1).collect();
    let items: Vec<String> = page
        .iter()
        .take(PAGE)
        .map(|(key, bytes)| {
            let size = bytes.len();
            format!(r#"{{"name":"{key}","size":"{size}","updated":"2026-01-01T00:00:00Z"}}"#)
        })
        .collect();
    let next = if page.len() > PAGE {
        format!(r#","nextPageToken":"{}""#, page[PAGE - 1].0)
    } else {
        String::new()
    };
    let body = format!(r#"{{"items":[{}]{next}}}"#, items.join(","));
    answer(
        "200 OK",
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

fn remote(token: &str) -> (Scripted, Arc<dyn Blobs>) {
    let objects = Mutex::new(Objects::new());
    let server = Scripted::start(move |request| reply(&objects, request));
    let url = format!(
        "gcs://bucket/a/prefix?anonymous={token}&endpoint={}",
        server.url()
    );
    let (blobs, _) = opened(&url, &[]);
    (server, blobs)
}

#[tokio::test]
async fn it_does_all() {
    let (_server, blobs) = remote("true");
    let traits = Traits {
        largest_bytes: 2_000_000,
        ..Traits::default()
    };
    check(&*blobs, traits).await;
}

#[tokio::test]
async fn without_credentials_it_is_denied_before_it_is_asked() {
    let (server, blobs) = remote("false");
    let read = blobs.read(&name("a"), None).await;
    assert!(matches!(read, Err(BlobError::Denied(_))), "{read:?}");
    assert!(server.seen().is_empty());
}
