//! WebDAV, as nginx speaks it.

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Kind};
use rekindle_testkit::blobs::{Traits, check, name};
use rekindle_testkit::servers::Nginx;
use rekindle_testkit::skipped;

use crate::opened::opened;

fn server(makes_paths: bool, test: &str) -> Option<Nginx> {
    Nginx::start(makes_paths)
        .map_err(|missing| skipped(test, &missing.to_string()))
        .ok()
}

const TRAITS: Traits = Traits {
    knows_present: false,
    is_atomic: false,
    lists: true,
    removes: true,
    is_prompt: true,
    longest_name_bytes: 256,
    largest_bytes: 20_000_000,
    many: 1_050,
};

#[tokio::test]
async fn nginx_does_all() {
    let Some(server) = server(true, "webdav::nginx_does_all") else {
        return;
    };
    check(&*opened(&server.address(), &[]).0, TRAITS).await;
}

#[tokio::test]
async fn nginx_that_makes_no_directories_does_all() {
    let Some(server) = server(false, "webdav::nginx_that_makes_no_directories_does_all") else {
        return;
    };
    check(&*opened(&server.address(), &[]).0, TRAITS).await;
}

#[tokio::test]
async fn a_write_is_one_request_where_the_directory_is() {
    for makes_paths in [true, false] {
        let test = "webdav::a_write_is_one_request_where_the_directory_is";
        let Some(server) = server(makes_paths, test) else {
            return;
        };
        let (blobs, traffic) = opened(&server.address(), &[]);
        let write = async |of: &str| {
            let before = traffic.counted().requests;
            let bytes = Bytes::from("x");
            blobs.write(&name(of), bytes, Kind::Once).await.unwrap();
            traffic.counted().requests - before
        };
        let first = write("a/b").await;
        assert_eq!(first == 1, makes_paths, "{first}");
        assert_eq!(write("a/c").await, 1);
    }
}

#[tokio::test]
async fn wrong_passwords_are_denied_and_not_told() {
    let Some(server) = server(true, "webdav::wrong_passwords_are_denied_and_not_told") else {
        return;
    };
    let right = server.address();
    let port = server.running.port();
    let wrong = right.replace(Nginx::PASSWORD, "not-the-secret");
    let token = [("REKINDLE_REMOTE_TOKEN", "not-the-secret")];
    for (url, variables) in [
        (wrong, &[][..]),
        (format!("http://127.0.0.1:{port}/some"), &token[..]),
        (format!("http://127.0.0.1:{port}/some"), &[][..]),
    ] {
        let (blobs, _) = opened(&url, variables);
        let a = name("a");
        let errors = [
            blobs.read(&a, None).await.unwrap_err(),
            blobs
                .write(&a, Bytes::from("a"), Kind::Latest)
                .await
                .unwrap_err(),
            blobs.list("").await.unwrap_err(),
            blobs.remove(&a).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, BlobError::Denied(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("not-the-secret"));
        }
    }
}
