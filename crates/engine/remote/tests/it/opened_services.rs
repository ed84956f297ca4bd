//! GitHub's cache service and Remote Execution servers, opened by their addresses with what the environment says.

use std::sync::Arc;

use rekindle_remote::blobs::Kind;
use rekindle_remote::{Environment, OpenError, Traffic, open};
use rekindle_testkit::github_cache::{CacheService, Rights};
use rekindle_testkit::reapi::{Manner, Server};

use crate::opened::opened;
use crate::support::{kind, name, run};

fn refusal(url: &str, variables: &[(&str, &str)]) -> String {
    let environment = Environment::new(variables.iter().copied(), None);
    match open(
        &url.parse().unwrap(),
        &environment,
        &Arc::new(Traffic::default()),
    ) {
        Err(error @ OpenError::Refused { .. }) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("{url} is opened"),
    }
}

#[test]
fn githubs_cache_by_its_address() {
    let service = CacheService::start();
    let (url, token) = (
        service.url(),
        service.token(&["refs/heads/main"], Rights::All),
    );
    let job = [
        ("ACTIONS_RESULTS_URL", url.as_str()),
        ("ACTIONS_RUNTIME_TOKEN", token.as_str()),
    ];
    let api_token = service.api_token();
    let with_rights = [
        job[0],
        job[1],
        ("GITHUB_API_URL", url.as_str()),
        ("GITHUB_REPOSITORY", "owner/repo"),
        ("GITHUB_TOKEN", api_token.as_str()),
    ];
    run(async {
        let (blobs, traffic) = opened("gha://team/one", &job);
        blobs
            .write(&name("a"), "x".into(), Kind::Once)
            .await
            .unwrap();
        assert_eq!(service.entries()[0].key, "team/one/a");
        assert_eq!(traffic.counted().requests, 3);
        assert_eq!(kind(&blobs.list("").await), "unsupported");
        let (blobs, _) = opened("gha://", &with_rights);
        blobs
            .write(&name("a"), "y".into(), Kind::Once)
            .await
            .unwrap();
        assert_eq!(blobs.list("").await.unwrap().len(), 1);
        assert_eq!(service.entries()[1].key, "rekindle/a");
    });
}

#[test]
fn what_a_job_lacks_is_named() {
    for (variables, expected) in [
        (&[][..], "ACTIONS_RESULTS_URL is not set"),
        (&[("ACTIONS_CACHE_URL", "http://x/")], "version 1"),
        (
            &[("ACTIONS_RESULTS_URL", "http://x/")],
            "ACTIONS_RUNTIME_TOKEN is not set",
        ),
    ] {
        let text = refusal("gha://", variables);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_bazel_server_by_its_address() {
    let header = "x-buildbuddy-api-key";
    for (token, query, variables) in [
        (
            (header, "right"),
            "?header.x-buildbuddy-api-key=right",
            &[][..],
        ),
        (
            ("authorization", "Bearer right"),
            "",
            &[("REKINDLE_REMOTE_TOKEN", "right")],
        ),
        (
            ("authorization", "Basic right"),
            "?header.authorization=Basic%20right",
            &[("REKINDLE_REMOTE_TOKEN", "wrong")],
        ),
    ] {
        let server = Server::start(Manner {
            instance: "team/one".into(),
            token: Some((token.0.into(), token.1.into())),
            ..Manner::default()
        });
        let url = format!("grpc://{}/team/one{query}", server.authority());
        let (blobs, _) = opened(&url, variables);
        run(async {
            blobs
                .write(&name("a"), "x".into(), Kind::Once)
                .await
                .unwrap();
            assert_eq!(blobs.read(&name("a"), None).await.unwrap(), "x");
        });
    }
    let text = refusal("grpc://localhost:1/?header.bad%20name=s3cret", &[]);
    assert!(
        text.contains("bad name") && !text.contains("s3cret"),
        "{text}"
    );
}
