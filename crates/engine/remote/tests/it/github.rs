//! GitHub's cache service.

use bytes::Bytes;
use rekindle_remote::blobs::{BlobError, Blobs, Kind, Written};
use rekindle_remote::github::{GithubCache, Repository, Settings};
use rekindle_remote::{Secret, Traffic};
use rekindle_testkit::github_cache::{CacheService, Rights};
use std::sync::Arc;

use crate::conformance;
use crate::support::{kind, name, noise, run};

const MAIN: &str = "refs/heads/main";
const FEATURE: &str = "refs/heads/feature";

pub(crate) fn settings(service: &CacheService, scopes: &[&str], rights: Rights) -> Settings {
    Settings {
        results_url: Some(service.url()),
        runtime_token: Some(Secret::new(service.token(scopes, rights))),
        ..Settings::default()
    }
}

pub(crate) fn cache(service: &CacheService, scopes: &[&str]) -> GithubCache {
    GithubCache::new(settings(service, scopes, Rights::All), Arc::default()).unwrap()
}

fn with_repository(service: &CacheService, token: &str) -> GithubCache {
    let settings = Settings {
        repository: Some(Repository {
            api_url: service.url(),
            name: "owner/repo".into(),
            token: Secret::new(token),
        }),
        ..settings(service, &[MAIN], Rights::All)
    };
    GithubCache::new(settings, Arc::default()).unwrap()
}

#[test]
fn it_keeps_blobs() {
    let service = CacheService::start();
    run(conformance::all(&cache(&service, &[MAIN])));
}

#[test]
fn a_read_asks_once_for_all_its_ranges() {
    let service = CacheService::start();
    run(async {
        let bytes = noise(1000, 1);
        cache(&service, &[MAIN])
            .write(&name("p"), bytes.clone(), Kind::Once)
            .await
            .unwrap();
        let reader = cache(&service, &[MAIN]);
        let before = service.requests().len();
        let p = name("p");
        let (a, b, c) = tokio::join!(
            reader.read(&p, Some(0..10)),
            reader.read(&p, Some(10..20)),
            reader.read(&p, Some(20..30)),
        );
        assert_eq!([a.unwrap(), b.unwrap(), c.unwrap()].concat(), bytes[..30]);
        let asked = service.requests().split_off(before);
        let twirp = asked
            .iter()
            .filter(|request| request.contains("/twirp/"))
            .count();
        assert_eq!((twirp, asked.len()), (1, 4), "{asked:?}");
    });
}

#[test]
fn requests_and_bytes_are_counted() {
    let service = CacheService::start();
    let traffic = Arc::new(Traffic::default());
    let settings = settings(&service, &[MAIN], Rights::All);
    let cache = GithubCache::new(settings, Arc::clone(&traffic)).unwrap();
    run(async {
        let p = name("p");
        cache
            .write(&p, noise(20 << 20, 1), Kind::Once)
            .await
            .unwrap();
        let up = traffic.counted();
        assert_eq!(up.requests as usize, service.requests().len());
        assert!((20 << 20..21 << 20).contains(&up.up_bytes), "{up:?}");
        cache.read(&p, Some(7..100_007)).await.unwrap();
        let down = traffic.counted();
        assert_eq!(down.requests as usize, service.requests().len());
        let came = down.down_bytes - up.down_bytes;
        assert!((100_000..101_000).contains(&came), "{came}");
    });
}

#[test]
fn a_search_of_nine_names_is_one_question() {
    let service = CacheService::start();
    run(async {
        let cache = cache(&service, &[MAIN]);
        let names: Vec<_> = (0..9).map(|n| name(&format!("index/{n}"))).collect();
        cache
            .write(&names[8], "x".into(), Kind::Latest)
            .await
            .unwrap();
        let before = service.requests().len();
        let found = cache.find(&names).await.unwrap();
        assert_eq!(found, Some((8, Bytes::from("x"))));
        assert_eq!(service.requests().len() - before, 2);
    });
}

#[test]
fn branches_read_their_own_first_and_then_the_default_branchs() {
    let service = CacheService::start();
    let main = cache(&service, &[MAIN]);
    let feature = cache(&service, &[FEATURE, MAIN]);
    run(async {
        let index = [name("index")];
        main.write(&index[0], "of main".into(), Kind::Latest)
            .await
            .unwrap();
        assert_eq!(
            feature.find(&index).await.unwrap(),
            Some((0, "of main".into()))
        );
        feature
            .write(&index[0], "of feature".into(), Kind::Latest)
            .await
            .unwrap();
        main.write(&index[0], "of main, later".into(), Kind::Latest)
            .await
            .unwrap();
        assert_eq!(
            feature.find(&index).await.unwrap(),
            Some((0, "of feature".into()))
        );
        assert_eq!(
            main.find(&index).await.unwrap(),
            Some((0, "of main, later".into()))
        );
        // What a branch wrote is not there for others; what main wrote is taken by a branch as its own.
        feature
            .write(&name("pack"), "p".into(), Kind::Once)
            .await
            .unwrap();
        assert_eq!(kind(&main.read(&name("pack"), None).await), "missing");
    });
}

#[test]
fn a_job_without_rights_is_denied() {
    let service = CacheService::start();
    let of =
        |rights| GithubCache::new(settings(&service, &[MAIN], rights), Arc::default()).unwrap();
    let a = name("a");
    run(async {
        cache(&service, &[MAIN])
            .write(&a, "x".into(), Kind::Once)
            .await
            .unwrap();
        let reader = of(Rights::Read);
        assert_eq!(reader.read(&a, None).await.unwrap(), "x");
        assert_eq!(
            kind(&reader.write(&name("b"), "x".into(), Kind::Once).await),
            "denied"
        );
        let none = of(Rights::None);
        assert_eq!(kind(&none.read(&a, None).await), "denied");
        assert_eq!(kind(&none.find(std::slice::from_ref(&a)).await), "denied");
        let stranger = GithubCache::new(
            Settings {
                runtime_token: Some(Secret::new("hunter2")),
                ..settings(&service, &[MAIN], Rights::All)
            },
            Arc::default(),
        );
        let denied = stranger.unwrap().read(&a, None).await;
        assert_eq!(kind(&denied), "denied");
        assert!(!format!("{denied:?}").contains("hunter2"));
    });
}

#[test]
fn a_mode_is_kept_without_a_request() {
    let service = CacheService::start();
    let of = |mode: &str| {
        let settings = settings(&service, &[MAIN], Rights::All);
        GithubCache::new(
            Settings {
                mode: Some(mode.into()),
                ..settings
            },
            Arc::default(),
        )
        .unwrap()
    };
    let a = name("a");
    run(async {
        for (mode, write, read) in [
            ("write-only", "done", "denied"),
            ("read", "denied", "done"),
            ("none", "denied", "denied"),
            ("write", "done", "done"),
            ("whatever", "done", "done"),
        ] {
            let cache = of(mode);
            assert_eq!(
                kind(&cache.write(&a, "x".into(), Kind::Once).await),
                write,
                "{mode}"
            );
            assert_eq!(kind(&cache.read(&a, None).await), read, "{mode}");
        }
    });
}

#[test]
fn what_is_missing_in_the_environment_is_named() {
    let message = |settings| match GithubCache::new(settings, Arc::default()) {
        Err(BlobError::Refused(text)) => text,
        other => panic!("{:?}", other.err()),
    };
    let old = Settings {
        old_url: Some("https://artifactcache.actions.githubusercontent.com/x/".into()),
        ..Settings::default()
    };
    assert!(message(old).contains("version 1"));
    assert!(message(Settings::default()).contains("ACTIONS_RESULTS_URL"));
    let step = Settings {
        results_url: Some("https://results-receiver.actions.githubusercontent.com/".into()),
        ..Settings::default()
    };
    assert!(message(step).contains("ACTIONS_RUNTIME_TOKEN"));
}

#[test]
fn two_writers_at_once_both_succeed() {
    let service = CacheService::start();
    let (one, two) = (cache(&service, &[MAIN]), cache(&service, &[MAIN]));
    run(async {
        let bytes = noise(9 << 20, 4);
        let p = name("p");
        let (a, b) = tokio::join!(
            one.write(&p, bytes.clone(), Kind::Once),
            two.write(&p, bytes.clone(), Kind::Once),
        );
        // Who comes second either finds it, or is told to come again.
        let second = [a, b]
            .into_iter()
            .find(|done| !matches!(done, Ok(Written::New)))
            .unwrap();
        assert!(
            matches!(
                second,
                Ok(Written::Present) | Err(BlobError::Unavailable(_))
            ),
            "{second:?}"
        );
        for writer in [&one, &two] {
            let again = writer.write(&p, bytes.clone(), Kind::Once).await;
            assert_eq!(again.unwrap(), Written::Present);
        }
        assert_eq!(one.read(&p, None).await.unwrap(), bytes);
    });
}

#[test]
fn with_a_token_it_lists_and_removes() {
    let service = CacheService::start();
    let cache = with_repository(&service, &service.api_token());
    run(async {
        for at in ["packs/a", "packs/b", "packs-not", "else"] {
            cache
                .write(&name(at), "1234".into(), Kind::Once)
                .await
                .unwrap();
        }
        for text in ["1", "12", "123"] {
            cache
                .write(&name("packs/latest"), text.into(), Kind::Latest)
                .await
                .unwrap();
        }
        let mut listed = cache.list("packs/").await.unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let shown: Vec<_> = listed
            .iter()
            .map(|blob| (blob.name.as_str(), blob.size))
            .collect();
        assert_eq!(shown, [("packs/a", 4), ("packs/b", 4), ("packs/latest", 3)]);
        assert!(listed.iter().all(|blob| blob.written_ms.is_some()));
        cache.read(&name("packs/a"), None).await.unwrap();
        for at in ["packs/a", "packs/latest", "packs/none"] {
            cache.remove(&name(at)).await.unwrap();
            assert_eq!(kind(&cache.read(&name(at), None).await), "missing", "{at}");
        }
        let left: Vec<_> = service
            .entries()
            .into_iter()
            .map(|entry| entry.key)
            .collect();
        assert_eq!(
            left,
            ["rekindle/packs/b", "rekindle/packs-not", "rekindle/else"]
        );
        assert_eq!(cache.list("").await.unwrap().len(), 3);
        // More than a page.
        for n in 0..120 {
            cache
                .write(&name(&format!("many/{n}")), "x".into(), Kind::Once)
                .await
                .unwrap();
        }
        assert_eq!(cache.list("many/").await.unwrap().len(), 120);
        let stranger = with_repository(&service, "wrong");
        assert_eq!(kind(&stranger.list("").await), "denied");
        assert_eq!(kind(&stranger.remove(&name("else")).await), "denied");
    });
}

#[test]
fn without_a_token_it_says_so() {
    let service = CacheService::start();
    let cache = cache(&service, &[MAIN]);
    run(async {
        assert_eq!(kind(&cache.list("").await), "unsupported");
        assert_eq!(kind(&cache.remove(&name("a")).await), "unsupported");
        assert_eq!(service.requests().len(), 0);
    });
}
