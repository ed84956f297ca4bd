//! S3, as s3s-fs and moto speak it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Blobs, Kind};
use rekindle_testkit::blobs::{Traits, check, name, noise};
use rekindle_testkit::servers::{ACCESS_KEY, S3, S3Kind, SECRET_KEY};
use rekindle_testkit::skipped;

use crate::opened::{KEYS, bucket, opened};

fn server(kind: S3Kind, test: &str) -> Option<S3> {
    S3::start(kind)
        .map_err(|missing| skipped(test, &missing.to_string()))
        .ok()
}

#[tokio::test]
async fn s3s_fs_does_all() {
    let Some(server) = server(S3Kind::S3sFs, "s3::s3s_fs_does_all") else {
        return;
    };
    let traits = Traits {
        is_atomic: false,
        // It has the key, encoded, in a file's name.
        longest_name_bytes: 120,
        ..Traits::default()
    };
    check(&*bucket(&server, "a/prefix"), traits).await;
}

#[tokio::test]
async fn moto_does_all() {
    let Some(server) = server(S3Kind::Moto, "s3::moto_does_all") else {
        return;
    };
    check(&*bucket(&server, ""), Traits::default()).await;
}

#[tokio::test]
async fn large_blobs_go_up_in_parts() {
    let Some(server) = server(S3Kind::S3sFs, "s3::large_blobs_go_up_in_parts") else {
        return;
    };
    let (blobs, traffic) = opened(&server.address(""), &KEYS);
    let large = noise(70 << 20, 1);
    for kind in [Kind::Once, Kind::Latest] {
        let before = traffic.counted().requests;
        let of = name(&format!("large/{kind:?}").to_lowercase());
        blobs.write(&of, large.clone(), kind).await.unwrap();
        // Begun, five parts, ended.
        assert_eq!(traffic.counted().requests - before, 7);
        assert!(blobs.read(&of, None).await.unwrap() == large);
    }
}

#[tokio::test]
async fn wrong_credentials_are_denied_and_not_told() {
    let Some(server) = server(
        S3Kind::S3sFs,
        "s3::wrong_credentials_are_denied_and_not_told",
    ) else {
        return;
    };
    let url = server.address("");
    for (key, secret) in [
        (ACCESS_KEY, "another-secret-0123"),
        ("AKIDNOBODY", SECRET_KEY),
    ] {
        let keys = [
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        let (blobs, _) = opened(&url, &keys);
        let kept = blobs.remove(&name("a")).await.unwrap_err();
        for error in errors(&*blobs).await.into_iter().chain([kept]) {
            assert!(matches!(error, BlobError::Denied(_)), "{error:?}");
            let told = format!("{error} {error:?}");
            assert!(!told.contains(secret) && !told.contains(key), "{told}");
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_refused() {
    // s3s-fs says of a missing bucket that the key is missing.
    let Some(server) = server(S3Kind::Moto, "s3::a_missing_bucket_is_refused") else {
        return;
    };
    let endpoint = server.endpoint();
    let url = format!("s3://nobodys?region=us-east-1&endpoint={endpoint}");
    let (blobs, _) = opened(&url, &KEYS);
    for error in errors(&*blobs).await {
        let is_told = matches!(&error, BlobError::Refused(why) if why.contains("no such bucket"));
        assert!(is_told, "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_dies_is_told_at_once() {
    let Some(mut server) = server(S3Kind::S3sFs, "s3::a_server_that_dies_is_told_at_once") else {
        return;
    };
    let blobs = bucket(&server, "");
    blobs
        .write(&name("a"), Bytes::from("a"), Kind::Once)
        .await
        .unwrap();
    server.running.kill();
    let began = Instant::now();
    let gone = blobs.remove(&name("a")).await.unwrap_err();
    for error in errors(&*blobs).await.into_iter().chain([gone]) {
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(2));
}

/// What each of the calls gives that fail on a remote which is not to be had.
async fn errors(blobs: &dyn Blobs) -> Vec<BlobError> {
    let (a, bytes) = (name("a"), Bytes::from("a"));
    vec![
        blobs.read(&a, None).await.unwrap_err(),
        blobs.read(&a, Some(0..1)).await.unwrap_err(),
        blobs.find(std::slice::from_ref(&a)).await.unwrap_err(),
        blobs
            .write(&a, bytes.clone(), Kind::Once)
            .await
            .unwrap_err(),
        blobs.write(&a, bytes, Kind::Latest).await.unwrap_err(),
        blobs.list("a").await.unwrap_err(),
    ]
}

#[tokio::test]
async fn what_is_there_already_costs_few_requests() {
    let Some(server) = server(
        S3Kind::S3sFs,
        "s3::what_is_there_already_costs_few_requests",
    ) else {
        return;
    };
    let (blobs, traffic) = opened(&server.address(""), &KEYS);
    let names: Vec<_> = (0..8).map(|i| name(&format!("find/{i}"))).collect();
    for (there, requests) in [(0, 1), (1, 3), (2, 3), (3, 7), (7, 8)] {
        let of = &names[there];
        blobs
            .write(of, Bytes::from("x"), Kind::Latest)
            .await
            .unwrap();
        let before = traffic.counted().requests;
        let found = blobs.find(&names).await.unwrap();
        assert_eq!(found, Some((there, Bytes::from("x"))));
        assert_eq!(traffic.counted().requests - before, requests, "{there}");
        blobs.remove(of).await.unwrap();
    }
}
