//! Encrypted connections to Remote Execution servers.

use std::process::Command;
use std::sync::Arc;

use rekindle_remote::Secret;
use rekindle_remote::blobs::{Blobs, Kind};
use rekindle_remote::reapi::{ReapiCache, Settings};
use rekindle_testkit::reapi::{Manner, Server};

use crate::support::{kind, name, run, skipped};
use crate::tools::ran;

/// Tells the helper where the server is.
const AUTHORITY: &str = "REKINDLE_TEST_AUTHORITY";

fn cache(authority: &str, tls: bool) -> ReapiCache {
    let settings = Settings {
        authority: authority.to_owned(),
        tls,
        headers: vec![("authorization".into(), Secret::new("Bearer right"))],
        ..Settings::default()
    };
    ReapiCache::new(settings, Arc::default()).unwrap()
}

/// A certificate for `localhost` that signs itself, and its key; both in PEM.
fn certificate(dir: &std::path::Path) -> Result<(String, String), String> {
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    ran(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate))?;
    let text = |path| std::fs::read_to_string(path).map_err(|error| error.to_string());
    Ok((text(&certificate)?, text(&key)?))
}

#[test]
fn grpcs_is_encrypted_and_checks_who_answers() {
    const NAME: &str = "reapi_tls::grpcs_is_encrypted_and_checks_who_answers";
    let dir = tempfile::tempdir().unwrap();
    let tls = match certificate(dir.path()) {
        Ok(tls) => tls,
        Err(why) => return skipped(NAME, &format!("needs openssl: {why}")),
    };
    let server = Server::start(Manner {
        tls: Some(tls),
        token: Some(("authorization".into(), "Bearer right".into())),
        ..Manner::default()
    });
    // Nobody has signed it, and nothing is sent in clear.
    for tls in [true, false] {
        let read = run(async { cache(&server.authority(), tls).read(&name("a"), None).await });
        assert_eq!(kind(&read), "unavailable", "{read:?}");
    }
    assert!(server.requests().is_empty());
    // Whose certificates are trusted is in the environment, so in another process.
    let helper = Command::new(std::env::current_exe().unwrap())
        .args([
            "reapi_tls::grpcs_with_a_trusted_certificate",
            "--exact",
            "--nocapture",
        ])
        .env(AUTHORITY, server.authority())
        .env("SSL_CERT_FILE", dir.path().join("certificate.pem"))
        .output()
        .unwrap();
    assert!(
        helper.status.success(),
        "{}",
        String::from_utf8_lossy(&helper.stderr)
    );
    assert!(server.requests().contains(&"UpdateActionResult".to_owned()));
}

/// The other process; by itself it has nothing to do.
#[test]
fn grpcs_with_a_trusted_certificate() {
    let Ok(authority) = std::env::var(AUTHORITY) else {
        return;
    };
    run(async {
        let cache = cache(&authority, true);
        cache
            .write(&name("a"), "x".into(), Kind::Once)
            .await
            .unwrap();
        assert_eq!(cache.read(&name("a"), None).await.unwrap(), "x");
    });
}
