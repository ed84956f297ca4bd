//! GitHub's cache service, in a job of GitHub's: which version, and whether the job has a token for it.

use rekindle::remote::addresses;

use super::super::context::Context;
use super::super::kinds::{GITHUB_TOKENS, GITHUB_V1};
use super::super::model::{Finding, Outcome};

pub(super) fn check(context: &Context<'_>) -> Outcome {
    if context.var("GITHUB_ACTIONS").as_deref() != Some("true") {
        return Outcome::skipped("this is no job of GitHub's");
    }
    let has = |name: &str| context.surroundings.non_empty(name).is_some();
    let is_true = |name: &str| {
        matches!(
            context.var(name).as_deref(),
            Some("true" | "True" | "TRUE" | "1" | "on")
        )
    };
    let is_githubs = |url: &str| matches!(url.split(':').next(), Some("gha" | "github"));
    let ours = context.remote();
    let ours = ours.filter(|(urls, _)| addresses(urls).into_iter().any(is_githubs));
    let by = match ours {
        Some((_, set_in)) => Some(set_in),
        None => is_true("SCCACHE_GHA_ENABLED").then_some("SCCACHE_GHA_ENABLED"),
    };
    let second = is_true("ACTIONS_CACHE_SERVICE_V2") || has("ACTIONS_RESULTS_URL");
    let token = has("ACTIONS_RUNTIME_TOKEN");
    let server = context.var("GITHUB_SERVER_URL").unwrap_or_default();
    let is_public = server.is_empty() || server == "https://github.com";
    let mut findings = Vec::new();
    if has("ACTIONS_CACHE_URL") && !second && is_public {
        findings.push(
            Finding::new(
                &GITHUB_V1,
                "the job knows of GitHub's first cache service alone, which was switched off",
                "pass ACTIONS_RESULTS_URL and ACTIONS_CACHE_SERVICE_V2 on to this step, and use a runner from 2025 on",
            )
            .seen("ACTIONS_CACHE_URL is set; ACTIONS_RESULTS_URL and ACTIONS_CACHE_SERVICE_V2 are not"),
        );
    } else if let Some(by) = by
        && !(token && second)
    {
        let missing: Vec<&str> = [
            ("ACTIONS_RUNTIME_TOKEN", token),
            ("ACTIONS_RESULTS_URL", second),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| (!is_set).then_some(name))
        .collect();
        findings.push(
            Finding::new(
                &GITHUB_TOKENS,
                "GitHub's cache is configured, and this step may not use it",
                "GitHub hands these to actions alone: pass them on with an `actions/github-script` step that \
                 exports them",
            )
            .seen(format!("{by} asks for it"))
            .seen(format!("{} not set", missing.join(" and "))),
        );
    }
    let version = if second {
        "the second version"
    } else {
        "not handed to this step"
    };
    let token = if token { "present" } else { "not present" };
    Outcome::new(format!("cache service: {version}; token {token}"), findings)
}
