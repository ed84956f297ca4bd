//! What no real server does on demand: it stalls, sends too much or too little, is told to slow down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Blobs, Kind, Written};
use rekindle_testkit::blobs::name;
use rekindle_testkit::scripted::{Reply, Request, Scripted, answer};

use crate::opened::{KEYS, opened};
use crate::support::kind;

fn remote(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Scripted, Arc<dyn Blobs>) {
    let server = Scripted::start(reply);
    let url = format!("s3://b?region=us-east-1&endpoint={}", server.url());
    let (blobs, _) = opened(&url, &KEYS);
    (server, blobs)
}

/// What a read of bytes 10 to 20 of a blob gives, from such an answer.
async fn part(
    status: &'static str,
    headers: &'static [(&str, &str)],
    body: &'static [u8],
) -> Result<Bytes, BlobError> {
    let (_server, blobs) = remote(move |_| answer(status, headers, body));
    blobs.read(&name("a"), Some(10..20)).await
}

#[tokio::test]
async fn parts_that_are_others_make_no_sense() {
    const TEN: &[u8] = b"0123456789";
    let range = |value: &'static str| -> &'static [(&'static str, &'static str)] {
        Box::leak(Box::new([("content-range", value)]))
    };
    let partial = "206 Partial Content";
    let good = part(partial, range("bytes 10-19/100"), TEN).await;
    assert_eq!(good.unwrap(), TEN);
    for (status, headers, body, expected) in [
        // Another part, of the same length.
        (partial, range("bytes 0-9/100"), TEN, "nonsense"),
        // All of it, from a server that knows no parts: as long as the part by chance, or longer.
        ("200 OK", &[][..], TEN, "nonsense"),
        ("200 OK", &[][..], &[0; 100][..], "nonsense"),
        // More, and less, than it says.
        (
            partial,
            range("bytes 10-19/100"),
            b"0123456789and more",
            "nonsense",
        ),
        (partial, range("bytes 10-19/100"), b"0123", "nonsense"),
        (partial, &[][..], TEN, "nonsense"),
        // The blob ends before.
        (partial, range("bytes 10-13/14"), b"0123", "missing"),
        ("416 Range Not Satisfiable", &[][..], b"", "missing"),
    ] {
        let read = part(status, headers, body).await;
        assert_eq!(
            kind(&read),
            expected,
            "{status} {headers:?} {body:?}: {read:?}"
        );
    }
}

#[tokio::test]
async fn too_much_is_not_read() {
    // It never ends; what is asked for bounds what is taken.
    let endless = || {
        let mut bytes = b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 10-19/100\r\nconnection: close\r\n\r\n".to_vec();
        bytes.extend_from_slice(&[0; 1 << 20]);
        Reply::StallAfter(bytes)
    };
    let (_server, blobs) = remote(move |_| endless());
    let read = blobs.read(&name("a"), Some(10..20)).await;
    assert_eq!(kind(&read), "nonsense", "{read:?}");

    let claim = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let (_server, blobs) = remote(|_| Reply::StallAfter(claim.to_vec()));
    let read = blobs.read(&name("a"), None).await;
    assert_eq!(kind(&read), "nonsense", "{read:?}");
}

#[tokio::test]
async fn who_asks_for_time_is_given_it() {
    let slow =
        |headers: &'static [(&'static str, &'static str)],
         status: &'static str,
         body: &'static [u8]| { remote(move |_| answer(status, headers, body)) };
    for (status, headers, body, expected) in [
        (
            "429 Too Many Requests",
            &[("retry-after", "7")][..],
            &b""[..],
            Some(7),
        ),
        ("503 Slow Down", &[("retry-after", "3")][..], b"", Some(3)),
        (
            "503 Slow Down",
            &[][..],
            b"<Error><Code>SlowDown</Code></Error>",
            None,
        ),
    ] {
        let (server, blobs) = slow(headers, status, body);
        let a = name("a");
        for error in [
            blobs.read(&a, None).await.unwrap_err(),
            blobs
                .write(&a, Bytes::from("a"), Kind::Once)
                .await
                .unwrap_err(),
            blobs.list("").await.unwrap_err(),
            blobs.remove(&a).await.unwrap_err(),
        ] {
            let BlobError::Throttled { after } = error else {
                panic!("{error:?}");
            };
            assert_eq!(after, expected.map(Duration::from_secs));
        }
        // Each once: who retries is the caller.
        assert_eq!(server.seen().len(), 4);
    }
}

#[tokio::test]
async fn a_server_that_stalls_leaves_the_deadline_to_the_caller() {
    for stalls in [
        Reply::Stall,
        Reply::StallAfter(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour".to_vec()),
    ] {
        let (server, blobs) = remote(move |_| stalls.clone());
        let a = name("a");
        let read = tokio::time::timeout(Duration::from_millis(200), blobs.read(&a, None)).await;
        assert!(read.is_err(), "{read:?}");
        let write = blobs.write(&a, Bytes::from("a"), Kind::Once);
        let write = tokio::time::timeout(Duration::from_millis(200), write).await;
        // The body of an answer to a write is not waited for by all; its head is.
        assert!(
            write.is_err() || matches!(write, Ok(Ok(_) | Err(_))),
            "{write:?}"
        );
        assert!(!server.seen().is_empty());
    }
}

#[tokio::test]
async fn nonsense_is_told_as_such() {
    let (_server, blobs) = remote(|_| Reply::Bytes(b"\x16\x03\x01 no HTTP\r\n\r\n".to_vec()));
    for result in [
        blobs.read(&name("a"), None).await.map(drop),
        blobs.list("").await.map(drop),
    ] {
        assert!(
            result.as_ref().is_err_and(BlobError::is_transient),
            "{result:?}"
        );
    }
    let (_server, blobs) = remote(|_| {
        answer(
            "200 OK",
            &[("content-type", "text/html")],
            b"<html>log in</html>",
        )
    });
    let listed = blobs.list("").await;
    assert_eq!(kind(&listed), "nonsense", "{listed:?}");
    // Cut off in the middle.
    let (_server, blobs) =
        remote(|_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour".to_vec()));
    let read = blobs.read(&name("a"), None).await;
    assert_eq!(kind(&read), "unavailable", "{read:?}");
}

#[tokio::test]
async fn conditions_that_a_service_does_not_know_are_left_out() {
    let (server, blobs) = remote(|request| {
        if request.header("if-none-match").is_some() {
            answer(
                "501 Not Implemented",
                &[],
                b"<Error><Code>NotImplemented</Code></Error>",
            )
        } else {
            answer("200 OK", &[("etag", "\"x\"")], b"")
        }
    });
    for i in 0..3 {
        let of = name(&format!("a/{i}"));
        let written = blobs.write(&of, Bytes::from("a"), Kind::Once).await;
        assert_eq!(written.unwrap(), Written::New);
    }
    // It is tried once.
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn what_is_written_once_is_conditional() {
    let (server, blobs) = remote(|_| answer("200 OK", &[("etag", "\"x\"")], b""));
    for kind in [Kind::Once, Kind::Latest] {
        blobs
            .write(&name("a"), Bytes::from("a"), kind)
            .await
            .unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen[0].header("if-none-match"), Some("*"));
    assert_eq!(seen[1].header("if-none-match"), None);
}

#[tokio::test]
async fn names_that_are_none_are_left_out_of_lists() {
    let page = |_: &Request| {
        let body = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a/ok</Key><Size>3</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>\
            <Contents><Key>a/NOT A NAME</Key><Size>3</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>\
            <Contents><Key>../up</Key><Size>3</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>";
        answer("200 OK", &[], body)
    };
    let (_server, blobs) = remote(page);
    let listed = blobs.list("a/").await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].written_ms, Some(1_767_225_600_000));
}
