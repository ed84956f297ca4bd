//! GitHub's cache service when something is wrong with it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Blobs, Kind, Written};
use rekindle_testkit::github_cache::{CacheService, Fault};

use crate::github::cache;
use crate::support::{kind, name, noise, run};

const MAIN: &[&str] = &["refs/heads/main"];

/// Requests of a write of three blocks: a reservation, the blocks, their list, the end.
const REQUESTS_OF_A_WRITE: usize = 6;

fn three_blocks() -> Bytes {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| noise((16 << 20) + 1, 7));
    BYTES.clone()
}

#[test]
fn a_write_that_failed_at_any_request_is_continued() {
    run(async {
        for fault in [
            Fault::Refuse(500, None),
            Fault::LoseAnswer,
            Fault::Garbage,
            Fault::Cut,
        ] {
            for at in 0..REQUESTS_OF_A_WRITE {
                continued(at, &fault).await;
            }
        }
    });
}

/// The first attempt fails at one request; later ones succeed, and send no block twice that is there.
async fn continued(at: usize, fault: &Fault) {
    let service = CacheService::start();
    let cache = cache(&service, MAIN);
    let bytes = three_blocks();
    let p = name("p");
    service.fault(at..at + 1, fault.clone());
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let written = cache.write(&p, bytes.clone(), Kind::Once).await;
        let is_done = written.is_ok();
        attempts.push(written);
        if is_done {
            break;
        }
    }
    let told = format!("{fault:?} at {at}: {attempts:?}, {:?}", service.requests());
    let lost_reservation = at == 0 && matches!(fault, Fault::LoseAnswer | Fault::Cut);
    if lost_reservation {
        // Nobody knows where to upload to; the key stays taken, and no blob is said to be there.
        assert!(
            attempts
                .iter()
                .skip(1)
                .all(|a| matches!(a, Err(BlobError::Unavailable(_)))),
            "{told}"
        );
        assert_eq!(kind(&cache.read(&p, None).await), "missing", "{told}");
        return;
    }
    assert!(attempts.last().is_some_and(Result::is_ok), "{told}");
    assert!(cache.read(&p, None).await.unwrap() == bytes, "{told}");
    let blocks = service
        .requests()
        .iter()
        .filter(|sent| sent.contains("comp=block") && !sent.contains("blocklist"))
        .count();
    // A block that failed takes those along that were under way with it.
    assert!(blocks <= 3 + 3, "{told}");
    if at > 3 {
        assert_eq!(blocks, 3, "{told}");
    }
}

#[test]
fn a_read_fails_with_what_went_wrong_and_then_works() {
    let service = CacheService::start();
    let bytes = noise(1000, 1);
    run(async {
        cache(&service, MAIN)
            .write(&name("p"), bytes.clone(), Kind::Once)
            .await
            .unwrap();
        for (fault, of_question, of_bytes) in [
            (Fault::Refuse(500, None), "unavailable", "unavailable"),
            (Fault::Refuse(503, Some(3)), "throttled", "throttled"),
            (Fault::Refuse(429, Some(7)), "throttled", "throttled"),
            (Fault::Refuse(302, None), "nonsense", "nonsense"),
            (Fault::Refuse(400, None), "refused", "refused"),
            (Fault::Refuse(401, None), "denied", "denied"),
            (Fault::Refuse(404, None), "refused", "missing"),
            (Fault::Garbage, "nonsense", "nonsense"),
            (Fault::LoseAnswer, "unavailable", "unavailable"),
            (Fault::Cut, "unavailable", "unavailable"),
        ] {
            for (at, expected) in [of_question, of_bytes].into_iter().enumerate() {
                let cache = cache(&service, MAIN);
                service.fault(at..at + 1, fault.clone());
                let read = cache.read(&name("p"), Some(0..100)).await;
                assert_eq!(kind(&read), expected, "{fault:?} at {at}: {read:?}");
                if let (Fault::Refuse(_, Some(after)), Err(BlobError::Throttled { after: said })) =
                    (&fault, &read)
                {
                    assert_eq!(*said, Some(Duration::from_secs(*after)));
                }
                assert_eq!(
                    cache.read(&name("p"), Some(0..100)).await.unwrap(),
                    bytes[..100]
                );
            }
        }
    });
}

#[test]
fn an_address_that_ran_out_is_asked_anew() {
    let service = CacheService::start();
    let cache = cache(&service, MAIN);
    run(async {
        let p = name("p");
        cache.write(&p, noise(1000, 1), Kind::Once).await.unwrap();
        cache.read(&p, Some(0..1)).await.unwrap();
        service.expire_addresses();
        let before = service.requests().len();
        assert_eq!(cache.read(&p, Some(0..9)).await.unwrap(), noise(9, 1));
        assert_eq!(service.requests().len() - before, 3);
    });
}

#[test]
fn what_was_evicted_is_missing() {
    let service = CacheService::start();
    let cache = cache(&service, MAIN);
    run(async {
        for at in ["a", "b"] {
            cache
                .write(&name(at), noise(1000, 1), Kind::Once)
                .await
                .unwrap();
            cache.read(&name(at), None).await.unwrap();
        }
        service.set_quota(1500);
        assert_eq!(kind(&cache.read(&name("a"), None).await), "missing");
        assert_eq!(kind(&cache.read(&name("b"), None).await), "done");
        assert_eq!(
            cache
                .write(&name("a"), noise(1000, 1), Kind::Once)
                .await
                .unwrap(),
            Written::New
        );
    });
}

#[test]
fn a_full_storage_refuses_and_says_so() {
    let service = CacheService::start();
    service.use_up_storage();
    run(async {
        let written = cache(&service, MAIN)
            .write(&name("a"), "x".into(), Kind::Once)
            .await;
        assert_eq!(kind(&written), "refused");
        assert!(written.unwrap_err().to_string().contains("used up"));
    });
}

#[test]
fn a_reservation_of_a_run_that_died_is_not_taken_for_a_blob() {
    let service = CacheService::start();
    run(async {
        let p = name("p");
        let dead = cache(&service, MAIN);
        service.fault(1..9, Fault::Refuse(500, None));
        assert_eq!(
            kind(&dead.write(&p, "x".into(), Kind::Once).await),
            "unavailable"
        );
        for _ in 0..9 {
            let _ = dead.find(&[name("n")]).await;
        }
        let next = cache(&service, MAIN);
        assert_eq!(
            kind(&next.write(&p, "x".into(), Kind::Once).await),
            "unavailable"
        );
        assert_eq!(kind(&next.read(&p, None).await), "missing");
    });
}

#[test]
fn a_service_that_is_gone_is_unavailable_at_once() {
    let service = CacheService::start();
    let cache = cache(&service, MAIN);
    run(async {
        cache
            .write(&name("p"), noise(1000, 1), Kind::Once)
            .await
            .unwrap();
        cache.read(&name("p"), Some(0..1)).await.unwrap();
        drop(service);
        let started = Instant::now();
        for read in [
            cache.read(&name("p"), Some(0..9)).await,
            cache.read(&name("q"), None).await,
        ] {
            assert_eq!(kind(&read), "unavailable");
            let text = read.unwrap_err().to_string();
            assert!(!text.contains("://") && !text.contains("sig="), "{text}");
        }
        assert_eq!(kind(&cache.find(&[name("i")]).await), "unavailable");
        assert_eq!(
            kind(&cache.write(&name("q"), "x".into(), Kind::Once).await),
            "unavailable"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn who_stops_waiting_leaves_nothing_locked() {
    let service = CacheService::start();
    let cache = cache(&service, MAIN);
    run(async {
        let p = name("p");
        cache.write(&p, noise(1000, 1), Kind::Once).await.unwrap();
        for at in 0..2 {
            service.fault(at..at + 1, Fault::Stall);
            let read = cache.read(&p, Some(0..9));
            assert!(
                tokio::time::timeout(Duration::from_millis(200), read)
                    .await
                    .is_err()
            );
            assert_eq!(cache.read(&p, Some(0..9)).await.unwrap(), noise(9, 1));
            service.expire_addresses();
        }
        let bytes = three_blocks();
        service.fault(2..3, Fault::Stall);
        let q = name("q");
        let write = cache.write(&q, bytes.clone(), Kind::Once);
        assert!(
            tokio::time::timeout(Duration::from_secs(2), write)
                .await
                .is_err()
        );
        assert_eq!(
            cache
                .write(&name("q"), bytes.clone(), Kind::Once)
                .await
                .unwrap(),
            Written::New
        );
        assert!(cache.read(&name("q"), None).await.unwrap() == bytes);
    });
}
