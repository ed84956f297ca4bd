//! Bazel Remote Execution servers: a real one, buildbox-casd.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_remote::blobs::{Blobs, Kind, Written};
use rekindle_remote::reapi::{ReapiCache, Settings};

use crate::conformance;
use crate::support::{kind, name, noise, run, skipped};
use crate::tools::{CASD, kept};

struct Casd {
    child: Child,
    authority: String,
    _dir: tempfile::TempDir,
}

impl Casd {
    /// Starts one, if there is one for this machine.
    fn start(test: &str, words: &[&str]) -> Option<Self> {
        let program = match kept(CASD, "true") {
            Ok(program) => program,
            Err(why) => {
                skipped(&format!("reapi::{test}"), &why);
                return None;
            }
        };
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = port.local_addr().unwrap().to_string();
        drop(port);
        let mut child = Command::new(program)
            .args(["--log-level=info", "--bind", &authority])
            // Where less than this is free it cleans up instead of taking writes; the default is 2 GiB.
            .args(["--reserved", "1M"])
            .args(words)
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_up = lines
            .by_ref()
            .any(|line| line.is_ok_and(|line| line.contains("Server listening")));
        assert!(is_up, "buildbox-casd ended before it listened");
        // It stops where nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            authority,
            _dir: dir,
        })
    }

    fn cache(&self, instance: &str) -> ReapiCache {
        ReapiCache::new(
            Settings {
                authority: self.authority.clone(),
                instance: instance.into(),
                ..Settings::default()
            },
            Arc::default(),
        )
        .unwrap()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Casd {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn casd_keeps_blobs() {
    let Some(casd) = Casd::start("casd_keeps_blobs", &[]) else {
        return;
    };
    run(conformance::all(&casd.cache("")));
}

#[test]
fn casd_keeps_blobs_of_an_instance_with_another_digest_function() {
    let words = [
        "--local-server-instance",
        "team/a",
        "--digest-function",
        "SHA384",
    ];
    let Some(casd) = Casd::start(
        "casd_keeps_blobs_of_an_instance_with_another_digest_function",
        &words,
    ) else {
        return;
    };
    run(conformance::all(&casd.cache("team/a")));
    let read = run(async { casd.cache("none").read(&name("a"), None).await });
    assert_eq!(kind(&read), "refused", "{read:?}");
}

#[test]
fn a_digest_function_that_can_be_forged_is_refused() {
    let Some(casd) = Casd::start(
        "a_digest_function_that_can_be_forged_is_refused",
        &["--digest-function", "MD5"],
    ) else {
        return;
    };
    let read = run(async { casd.cache("").read(&name("a"), None).await });
    assert_eq!(kind(&read), "refused");
    assert!(read.unwrap_err().to_string().contains("SHA256"));
}

#[test]
fn a_casd_that_is_killed_is_unavailable_at_once() {
    let Some(mut casd) = Casd::start("a_casd_that_is_killed_is_unavailable_at_once", &[]) else {
        return;
    };
    let cache = casd.cache("");
    run(async {
        cache
            .write(&name("p"), noise(5 << 20, 1), Kind::Once)
            .await
            .unwrap();
        cache.read(&name("p"), Some(0..1)).await.unwrap();
        casd.kill();
        let started = Instant::now();
        assert_eq!(
            kind(&cache.read(&name("p"), Some(0..9)).await),
            "unavailable"
        );
        assert_eq!(kind(&cache.find(&[name("i")]).await), "unavailable");
        assert_eq!(
            kind(&cache.write(&name("q"), "x".into(), Kind::Once).await),
            "unavailable"
        );
        assert_eq!(
            kind(&casd.cache("").read(&name("p"), None).await),
            "unavailable"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn two_writers_at_once_both_succeed() {
    let Some(casd) = Casd::start("two_writers_at_once_both_succeed", &[]) else {
        return;
    };
    let (one, two) = (casd.cache(""), casd.cache(""));
    run(async {
        let bytes = noise(9 << 20, 4);
        let p = name("p");
        let (a, b) = tokio::join!(
            one.write(&p, bytes.clone(), Kind::Once),
            two.write(&p, bytes.clone(), Kind::Once),
        );
        a.unwrap();
        b.unwrap();
        assert_eq!(
            one.write(&p, bytes.clone(), Kind::Once).await.unwrap(),
            Written::Present
        );
        assert_eq!(two.read(&p, None).await.unwrap(), bytes);
    });
}
