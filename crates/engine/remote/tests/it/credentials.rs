//! Credentials for S3, from each place that the environment names, and from nowhere else.

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Kind};
use rekindle_testkit::blobs::name;
use rekindle_testkit::scripted::{Scripted, answer};
use rekindle_testkit::servers::{ACCESS_KEY, S3, S3Kind, SECRET_KEY};
use rekindle_testkit::skipped;

use crate::opened::opened;

/// That no machine is asked for its role: on a machine that has one the tests would get it.
const NO_MACHINE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

fn server(test: &str) -> Option<S3> {
    S3::start(S3Kind::S3sFs)
        .map_err(|missing| skipped(test, &missing.to_string()))
        .ok()
}

/// What a write says with these variables.
async fn written(url: &str, variables: &[(&str, &str)]) -> Result<(), BlobError> {
    let (blobs, _) = opened(url, variables);
    let a = name("a");
    let write = blobs.write(&a, Bytes::from("a"), Kind::Latest);
    write.await.map(|_| ())
}

#[tokio::test]
async fn profiles_are_found_where_the_variables_say() {
    let Some(server) = server("credentials::profiles_are_found_where_the_variables_say") else {
        return;
    };
    let file = server.running.dir().join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = no\naws_secret_access_key = no\n\
         [ci]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let shared = ("AWS_SHARED_CREDENTIALS_FILE", file);
    let url = server.address("");
    let of_profile = format!("{url}&profile=ci");

    written(&of_profile, &[NO_MACHINE, shared]).await.unwrap();
    written(&url, &[NO_MACHINE, shared, ("AWS_PROFILE", "ci")])
        .await
        .unwrap();
    let default = written(&url, &[NO_MACHINE, shared]).await;
    assert!(matches!(default, Err(BlobError::Denied(_))), "{default:?}");
}

#[tokio::test]
async fn containers_are_asked_for_theirs() {
    let Some(server) = server("credentials::containers_are_asked_for_theirs") else {
        return;
    };
    let given = format!(
        r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let container = Scripted::start(move |_| answer("200 OK", &[], given.as_bytes()));
    let url = format!("{}/credentials", container.url());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token");
    written(&server.address(""), &[NO_MACHINE, full, token])
        .await
        .unwrap();
    let seen = container.seen();
    assert_eq!(seen[0].header("authorization"), Some("a-token"));
}

#[tokio::test]
async fn who_gives_credentials_may_be_away() {
    let asked = Scripted::start(|_| answer("200 OK", &[], b""));
    let bucket = format!("s3://b?region=us-east-1&endpoint={}", asked.url());
    // Nothing listens on a port that was just given back.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/credentials", gone.local_addr().unwrap());
    drop(gone);
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let away = written(&bucket, &[NO_MACHINE, full]).await;
    assert!(matches!(away, Err(BlobError::Unavailable(_))), "{away:?}");

    let none = written(&bucket, &[NO_MACHINE]).await;
    assert!(matches!(none, Err(BlobError::Denied(_))), "{none:?}");
    assert!(asked.seen().is_empty(), "nothing goes out unsigned");
}

#[tokio::test]
async fn unsigned_requests_are_asked_for_by_name() {
    let server = Scripted::start(|_| answer("200 OK", &[("etag", "\"x\"")], b""));
    let bucket = format!("s3://b?anonymous=true&endpoint={}", server.url());
    written(&bucket, &[]).await.unwrap();
    assert_eq!(server.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn what_address_and_variables_say_reaches_the_service() {
    let server = Scripted::start(|_| answer("200 OK", &[("etag", "\"x\"")], b""));
    let url = server.url();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDME"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "a-session"),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    written("s3://b/p?encryption=aws:kms:a-key", &keys)
        .await
        .unwrap();
    written("s3://b?region=eu-west-9", &keys).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line, "PUT /b/p/a");
    let of = |name| seen[0].header(name);
    assert_eq!(of("x-amz-server-side-encryption"), Some("aws:kms"));
    assert_eq!(
        of("x-amz-server-side-encryption-aws-kms-key-id"),
        Some("a-key")
    );
    assert_eq!(of("x-amz-security-token"), Some("a-session"));
    assert!(of("authorization").unwrap().contains("AKIDME/"));
    assert!(of("authorization").unwrap().contains("/eu-north-1/s3/"));
    assert!(
        seen[1]
            .header("authorization")
            .unwrap()
            .contains("/eu-west-9/s3/")
    );
}
