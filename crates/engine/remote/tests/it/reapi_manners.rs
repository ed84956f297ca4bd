//! Remote Execution servers of all manners, and with faults: a stand-in, for what no real one here can show.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Blobs, Kind, Written};
use rekindle_remote::reapi::{ReapiCache, Settings};
use rekindle_remote::{Secret, Traffic};
use rekindle_testkit::reapi::{Fault, Manner, Server};

use crate::conformance;
use crate::support::{kind, name, noise, run};

const NOT_FOUND: i32 = 5;
const RESOURCE_EXHAUSTED: i32 = 8;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;

fn cache(server: &Server) -> ReapiCache {
    with(server, Settings::default())
}

fn with(server: &Server, settings: Settings) -> ReapiCache {
    ReapiCache::new(
        Settings {
            authority: server.authority(),
            ..settings
        },
        Arc::default(),
    )
    .unwrap()
}

#[test]
fn servers_of_all_manners_keep_blobs() {
    for manner in [
        Manner::default(),
        Manner {
            blake3: true,
            zstd: true,
            inlines: true,
            ..Manner::default()
        },
        Manner {
            zstd: true,
            batch_bytes: 2_000,
            ..Manner::default()
        },
    ] {
        run(conformance::all(&cache(&Server::start(manner))));
    }
    let named = Server::start(Manner {
        instance: "a/b".into(),
        blake3: true,
        ..Manner::default()
    });
    let settings = Settings {
        instance: "a/b".into(),
        ..Settings::default()
    };
    run(conformance::all(&with(&named, settings)));
}

#[test]
fn requests_are_few() {
    let server = Server::start(Manner {
        inlines: true,
        ..Manner::default()
    });
    let cache = cache(&server);
    let mut seen = 0;
    let mut asked = || {
        let all = server.requests();
        let new = all[seen..].to_vec();
        seen = all.len();
        new
    };
    run(async {
        let bytes = noise(5 << 20, 1);
        let (p, i) = (name("p"), name("i"));
        cache.write(&p, bytes.clone(), Kind::Once).await.unwrap();
        assert_eq!(
            asked(),
            [
                "GetCapabilities",
                "GetActionResult",
                "FindMissingBlobs",
                "BatchUpdateBlobs",
                "Write",
                "UpdateActionResult"
            ]
        );
        cache.write(&i, "small".into(), Kind::Latest).await.unwrap();
        assert_eq!(asked(), ["BatchUpdateBlobs", "UpdateActionResult"]);
        assert_eq!(
            cache.find(std::slice::from_ref(&i)).await.unwrap(),
            Some((0, "small".into()))
        );
        assert_eq!(asked(), ["GetActionResult"]);
        let (a, b) = tokio::join!(cache.read(&p, Some(0..10)), cache.read(&p, Some(10..20)));
        assert_eq!([a.unwrap(), b.unwrap()].concat(), bytes[..20]);
        assert_eq!(asked().len(), 3);
        assert_eq!(cache.read(&p, Some(7..9)).await.unwrap(), bytes[7..9]);
        assert_eq!(asked(), ["Read 7+2"]);
        // What is there is not sent again, under another name.
        let before = server.received_bytes();
        cache
            .write(&name("q"), bytes.clone(), Kind::Once)
            .await
            .unwrap();
        assert!(server.received_bytes() - before < 1000);
    });
}

#[test]
fn requests_and_bytes_are_counted() {
    let server = Server::start(Manner::default());
    let traffic = Arc::new(Traffic::default());
    let settings = Settings {
        authority: server.authority(),
        ..Settings::default()
    };
    let cache = ReapiCache::new(settings, Arc::clone(&traffic)).unwrap();
    run(async {
        let p = name("p");
        cache
            .write(&p, noise(5 << 20, 1), Kind::Once)
            .await
            .unwrap();
        let up = traffic.counted();
        assert_eq!(up.requests as usize, server.requests().len());
        assert!((5 << 20..6 << 20).contains(&up.up_bytes), "{up:?}");
        cache.read(&p, Some(7..100_007)).await.unwrap();
        let down = traffic.counted();
        assert_eq!(down.requests as usize, server.requests().len());
        let came = down.down_bytes - up.down_bytes;
        assert!((100_000..101_000).contains(&came), "{came}");
    });
}

#[test]
fn what_compresses_is_sent_compressed() {
    let server = Server::start(Manner {
        zstd: true,
        ..Manner::default()
    });
    let cache = cache(&server);
    run(async {
        for (at, length) in [("small", 100_000), ("large", 6 << 20)] {
            let before = server.received_bytes();
            let bytes = Bytes::from(vec![b'x'; length]);
            cache
                .write(&name(at), bytes.clone(), Kind::Once)
                .await
                .unwrap();
            assert!(server.received_bytes() - before < length / 10, "{at}");
            assert_eq!(cache.read(&name(at), None).await.unwrap(), bytes);
        }
        let before = server.received_bytes();
        cache
            .write(&name("noise"), noise(6 << 20, 1), Kind::Once)
            .await
            .unwrap();
        assert!(server.received_bytes() - before >= 6 << 20);
    });
}

#[test]
fn tokens_are_sent_and_not_shown() {
    let header = "x-buildbuddy-api-key";
    let server = Server::start(Manner {
        token: Some((header.into(), "right".into())),
        ..Manner::default()
    });
    let of = |value: &str| {
        with(
            &server,
            Settings {
                headers: vec![(header.into(), Secret::new(value))],
                ..Settings::default()
            },
        )
    };
    run(async {
        let a = name("a");
        of("right").write(&a, "x".into(), Kind::Once).await.unwrap();
        assert_eq!(of("right").read(&a, None).await.unwrap(), "x");
        for cache in [of("hunter2"), cache(&server)] {
            let read = cache.read(&a, None).await;
            assert_eq!(kind(&read), "denied", "{read:?}");
            assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
            assert_eq!(kind(&cache.find(std::slice::from_ref(&a)).await), "denied");
            assert_eq!(
                kind(&cache.write(&a, "x".into(), Kind::Once).await),
                "denied"
            );
        }
    });
    let bad = ReapiCache::new(
        Settings {
            headers: vec![("no header".into(), Secret::new("hunter2"))],
            ..Settings::default()
        },
        Arc::default(),
    );
    assert!(!bad.err().unwrap().to_string().contains("hunter2"));
}

#[test]
fn a_cut_upload_is_continued() {
    let server = Server::start(Manner::default());
    let cache = cache(&server);
    let bytes = noise(10 << 20, 3);
    run(async {
        let p = name("p");
        // Capabilities, entry, missing, batch, stream.
        server.fault(4..5, Fault::CutUpload(6 << 20));
        assert_eq!(
            kind(&cache.write(&p, bytes.clone(), Kind::Once).await),
            "unavailable"
        );
        assert_eq!(kind(&cache.read(&p, None).await), "missing");
        assert_eq!(
            cache.write(&p, bytes.clone(), Kind::Once).await.unwrap(),
            Written::New
        );
        assert!(
            server.received_bytes() < 11 << 20,
            "{}",
            server.received_bytes()
        );
        assert!(server.requests().contains(&"QueryWriteStatus".to_owned()));
        assert!(cache.read(&p, None).await.unwrap() == bytes);
    });
}

#[test]
fn an_upload_that_is_forgotten_begins_anew() {
    let server = Server::start(Manner::default());
    let cache = cache(&server);
    let bytes = noise(10 << 20, 3);
    run(async {
        let p = name("p");
        server.fault(4..5, Fault::CutUpload(6 << 20));
        assert_eq!(
            kind(&cache.write(&p, bytes.clone(), Kind::Once).await),
            "unavailable"
        );
        server.fault(2..3, Fault::Refuse(NOT_FOUND, None));
        assert_eq!(
            cache.write(&p, bytes.clone(), Kind::Once).await.unwrap(),
            Written::New
        );
        assert!(cache.read(&p, None).await.unwrap() == bytes);
    });
}

#[test]
fn a_write_that_failed_at_any_request_works_the_next_time() {
    run(async {
        for code in [INTERNAL, UNAVAILABLE, NOT_FOUND] {
            for at in 0..6 {
                let server = Server::start(Manner::default());
                let cache = cache(&server);
                let bytes = noise(5 << 20, 3);
                server.fault(at..at + 1, Fault::Refuse(code, None));
                let first = cache.write(&name("p"), bytes.clone(), Kind::Once).await;
                let told = format!("{code} at {at}: {first:?}");
                // An entry that is not there is what a new name is like.
                assert_eq!(first.is_ok(), code == NOT_FOUND && at == 1, "{told}");
                assert_ne!(kind(&first), "missing", "{told}");
                if first.is_err() {
                    assert_eq!(
                        kind(&cache.read(&name("p"), None).await),
                        "missing",
                        "{told}"
                    );
                    cache
                        .write(&name("p"), bytes.clone(), Kind::Once)
                        .await
                        .unwrap();
                }
                assert!(
                    cache.read(&name("p"), None).await.unwrap() == bytes,
                    "{told}"
                );
            }
        }
    });
}

#[test]
fn what_is_read_is_checked() {
    let inlining = Manner {
        inlines: true,
        ..Manner::default()
    };
    let packing = Manner {
        zstd: true,
        ..Manner::default()
    };
    run(async {
        for manner in [Manner::default(), packing] {
            let server = Server::start(manner);
            let cache = cache(&server);
            for length in [1_000, 5 << 20] {
                let p = name(&format!("p{length}"));
                cache.write(&p, noise(length, 1), Kind::Once).await.unwrap();
                for fault in [Fault::Flip, Fault::TooMuch] {
                    let before = cache.read(&p, Some(0..1)).await;
                    assert_eq!(kind(&before), "done");
                    server.fault(0..1, fault);
                    assert_eq!(
                        kind(&cache.read(&p, None).await),
                        "nonsense",
                        "{fault:?} {length}"
                    );
                }
                // As BuildGrid does it.
                server.fault(0..1, Fault::TooMuch);
                let part = cache.read(&p, Some(3..9)).await;
                assert_eq!(part.unwrap(), noise(9, 1)[3..]);
            }
        }
        // Contents that came along and are others are not taken; the blob is read.
        let server = Server::start(inlining);
        let cache = cache(&server);
        cache
            .write(&name("i"), "index".into(), Kind::Latest)
            .await
            .unwrap();
        server.fault(0..1, Fault::Flip);
        assert_eq!(
            cache.find(&[name("i")]).await.unwrap(),
            Some((0, "index".into()))
        );
        assert_eq!(server.requests().last().unwrap(), "BatchReadBlobs");
    });
}

#[test]
fn what_was_forgotten_is_missing() {
    let server = Server::start(Manner::default());
    let cache = cache(&server);
    run(async {
        let (p, i, j) = (name("p"), name("i"), name("j"));
        cache
            .write(&p, noise(5 << 20, 1), Kind::Once)
            .await
            .unwrap();
        cache.write(&i, "i".into(), Kind::Latest).await.unwrap();
        cache.read(&p, Some(0..1)).await.unwrap();
        server.forget_blobs();
        cache.write(&j, "j".into(), Kind::Latest).await.unwrap();
        assert_eq!(kind(&cache.read(&p, Some(0..9)).await), "missing");
        assert_eq!(kind(&cache.read(&p, None).await), "missing");
        for names in [
            vec![i.clone(), j.clone()],
            vec![name("none"), i.clone(), j.clone()],
        ] {
            let place = names.len() - 1;
            assert_eq!(cache.find(&names).await.unwrap(), Some((place, "j".into())));
        }
        // Its entry is there, and it is not.
        assert_eq!(
            cache
                .write(&p, noise(5 << 20, 1), Kind::Once)
                .await
                .unwrap(),
            Written::New
        );
        assert_eq!(cache.read(&p, Some(0..9)).await.unwrap(), noise(9, 1));
    });
}

#[test]
fn a_server_that_asks_to_wait_is_left_alone() {
    let server = Server::start(Manner::default());
    let cache = cache(&server);
    run(async {
        for code in [UNAVAILABLE, RESOURCE_EXHAUSTED] {
            server.fault(0..1, Fault::Refuse(code, Some(7)));
            match cache.read(&name("p"), None).await {
                Err(BlobError::Throttled { after }) => {
                    assert_eq!(after, Some(Duration::from_secs(7)))
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn what_a_server_does_not_take_is_not_sent() {
    let read_only = Server::start(Manner {
        updates: false,
        ..Manner::default()
    });
    let small = Server::start(Manner {
        blob_bytes: 1000,
        ..Manner::default()
    });
    run(async {
        for (server, expected) in [(&read_only, "denied"), (&small, "refused")] {
            let written = cache(server)
                .write(&name("p"), noise(1001, 1), Kind::Once)
                .await;
            assert_eq!(kind(&written), expected);
            assert_eq!(server.requests(), ["GetCapabilities"]);
        }
    });
}

#[test]
fn who_stops_waiting_leaves_nothing_locked() {
    let server = Server::start(Manner::default());
    let cache = cache(&server);
    let bytes = noise(5 << 20, 1);
    run(async {
        let p = name("p");
        // Each request of a write and of a read in turn.
        for at in [0, 1, 1, 2, 3, 3] {
            server.fault(at..at + 1, Fault::Stall);
            let write = cache.write(&p, bytes.clone(), Kind::Once);
            let waited = tokio::time::timeout(Duration::from_millis(300), write).await;
            assert!(waited.is_err(), "{at}: {waited:?}");
        }
        cache.write(&p, bytes.clone(), Kind::Once).await.unwrap();
        for at in 0..2 {
            server.fault(at..at + 1, Fault::Stall);
            let read = cache.read(&p, Some(0..9));
            assert!(
                tokio::time::timeout(Duration::from_millis(300), read)
                    .await
                    .is_err()
            );
            cache
                .write(&name(&format!("q{at}")), "x".into(), Kind::Latest)
                .await
                .unwrap();
            let fresh = with(&server, Settings::default());
            assert_eq!(fresh.read(&p, Some(0..9)).await.unwrap(), bytes[..9]);
        }
        assert!(cache.read(&p, None).await.unwrap() == bytes);
    });
}
