//! Redis.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Kind};
use rekindle_testkit::blobs::{Traits, check, name};
use rekindle_testkit::servers::Redis;
use rekindle_testkit::skipped;

use crate::opened::opened;

fn server(test: &str) -> Option<Redis> {
    Redis::start()
        .map_err(|missing| skipped(test, &missing.to_string()))
        .ok()
}

#[tokio::test]
async fn redis_does_all() {
    let Some(server) = server("redis::redis_does_all") else {
        return;
    };
    check(&*opened(&server.address(), &[]).0, Traits::default()).await;
}

#[tokio::test]
async fn prefixes_keep_users_of_a_database_apart() {
    let Some(server) = server("redis::prefixes_keep_users_of_a_database_apart") else {
        return;
    };
    let url = server.address();
    let (ours, _) = opened(&url, &[]);
    let (theirs, _) = opened(&url.replace("prefix=rekindle", "prefix=rek*"), &[]);
    ours.write(&name("a"), Bytes::from("ours"), Kind::Once)
        .await
        .unwrap();
    assert_eq!(theirs.list("").await.unwrap(), []);
    let read = theirs.read(&name("a"), None).await;
    assert!(matches!(read, Err(BlobError::Missing)), "{read:?}");
    assert_eq!(ours.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_has_a_time_to_live_goes() {
    let Some(server) = server("redis::what_has_a_time_to_live_goes") else {
        return;
    };
    let (blobs, _) = opened(&format!("{}&ttl=1", server.address()), &[]);
    let a = name("a");
    blobs.write(&a, Bytes::from("a"), Kind::Once).await.unwrap();
    let began = Instant::now();
    while blobs.read(&a, None).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_search_is_one_request() {
    let Some(server) = server("redis::a_search_is_one_request") else {
        return;
    };
    let (blobs, traffic) = opened(&server.address(), &[]);
    let names: Vec<_> = (0..8).map(|i| name(&format!("find/{i}"))).collect();
    blobs
        .write(&names[6], Bytes::from("x"), Kind::Latest)
        .await
        .unwrap();
    let before = traffic.counted().requests;
    let found = blobs.find(&names).await.unwrap();
    assert_eq!(found, Some((6, Bytes::from("x"))));
    assert_eq!(traffic.counted().requests - before, 1);
}

#[tokio::test]
async fn wrong_passwords_are_denied_and_not_told() {
    let Some(server) = server("redis::wrong_passwords_are_denied_and_not_told") else {
        return;
    };
    let right = server.address();
    let none = right.replace(&format!(":{}@", Redis::PASSWORD), "");
    for url in [right.replace(Redis::PASSWORD, "not-the-secret"), none] {
        let (blobs, _) = opened(&url, &[]);
        let error = blobs.read(&name("a"), None).await.unwrap_err();
        assert!(matches!(error, BlobError::Denied(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn a_server_that_dies_is_told_at_once_and_found_again() {
    let Some(mut server) = server("redis::a_server_that_dies_is_told_at_once_and_found_again")
    else {
        return;
    };
    let (blobs, _) = opened(&server.address(), &[]);
    let a = name("a");
    blobs.write(&a, Bytes::from("a"), Kind::Once).await.unwrap();
    server.running.kill();
    let began = Instant::now();
    for _ in 0..3 {
        let error = blobs.read(&a, None).await.unwrap_err();
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    server.running.restart();
    let read = blobs.read(&a, None).await;
    assert!(matches!(read, Err(BlobError::Missing)), "{read:?}");
}
