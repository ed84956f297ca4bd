//! Azure Blob Storage, as Azurite speaks it.

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Kind};
use rekindle_testkit::blobs::{Traits, check, name};
use rekindle_testkit::servers::Azurite;
use rekindle_testkit::skipped;

use crate::opened::opened;

fn server(test: &str) -> Option<Azurite> {
    Azurite::start()
        .map_err(|missing| skipped(test, &missing.to_string()))
        .ok()
}

#[tokio::test]
async fn azurite_does_all() {
    let Some(server) = server("azure::azurite_does_all") else {
        return;
    };
    server.make_container("rekindle");
    let connection = server.connection();
    let variables = [("AZURE_STORAGE_CONNECTION_STRING", connection.as_str())];
    let (blobs, _) = opened("azblob://rekindle/a/prefix", &variables);
    check(&*blobs, Traits::default()).await;
}

#[tokio::test]
async fn account_and_key_do_as_well() {
    let Some(server) = server("azure::account_and_key_do_as_well") else {
        return;
    };
    server.make_container("rekindle");
    let url = format!(
        "azblob://rekindle?account={}&endpoint={}",
        Azurite::ACCOUNT,
        server.endpoint()
    );
    let a = name("a");
    let (blobs, _) = opened(&url, &[("AZURE_STORAGE_ACCOUNT_KEY", Azurite::KEY)]);
    blobs.write(&a, Bytes::from("a"), Kind::Once).await.unwrap();
    assert_eq!(blobs.read(&a, None).await.unwrap(), "a");

    let wrong = "bm90LXRoZS1rZXk=";
    let (blobs, _) = opened(&url, &[("AZURE_STORAGE_ACCOUNT_KEY", wrong)]);
    for error in [
        blobs.read(&a, None).await.unwrap_err(),
        blobs
            .write(&a, Bytes::from("b"), Kind::Latest)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, BlobError::Denied(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(wrong));
    }
}

#[tokio::test]
async fn a_missing_container_is_refused() {
    let Some(server) = server("azure::a_missing_container_is_refused") else {
        return;
    };
    let connection = server.connection();
    let variables = [("AZURE_STORAGE_CONNECTION_STRING", connection.as_str())];
    let (blobs, _) = opened("azblob://nobodys", &variables);
    let a = name("a");
    for error in [
        blobs.read(&a, None).await.unwrap_err(),
        blobs
            .write(&a, Bytes::from("b"), Kind::Once)
            .await
            .unwrap_err(),
        blobs.list("").await.unwrap_err(),
    ] {
        let is_told = matches!(&error, BlobError::Refused(why) if why.contains("no such bucket"));
        assert!(is_told, "{error:?}");
    }
}
