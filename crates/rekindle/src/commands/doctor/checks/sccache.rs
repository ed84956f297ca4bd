//! sccache's own figures, where it is in use: whether it caches, and why not.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rekindle::cargo_config::known_cache;
use serde::Deserialize;

use super::super::ask::ask;
use super::super::context::Context;
use super::super::kinds::{SCCACHE_ERRORS, SCCACHE_IDLE};
use super::super::model::{Finding, Outcome};

const DEADLINE: Duration = Duration::from_secs(10);
/// Of fewer requests nothing can be said.
const REQUESTS_MIN: u64 = 20;

/// Why sccache does not store an answer of the compiler to a question of cargo's.
const QUESTIONS: &[&str] = &["missing input", "-"];

/// What `sccache --show-stats --stats-format json` prints, as far as it matters.
#[derive(Debug, Deserialize)]
struct Shown {
    stats: Stats,
    #[serde(default)]
    cache_location: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    compile_requests: u64,
    requests_not_compile: u64,
    requests_not_cacheable: u64,
    requests_executed: u64,
    cache_errors: Counts,
    cache_hits: Counts,
    cache_misses: Counts,
    cache_timeouts: u64,
    cache_read_errors: u64,
    cache_write_errors: u64,
    not_cached: std::collections::BTreeMap<String, u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    counts: std::collections::BTreeMap<String, u64>,
}

impl Counts {
    fn sum(&self) -> u64 {
        self.counts.values().sum()
    }
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let user = context
        .config
        .rustc_wrapper()
        .filter(|user| known_cache(&user.program).as_deref() == Some("sccache"));
    let Some(user) = user else {
        return Outcome::skipped("not in use");
    };
    if context.find(&user.program).is_none() {
        return Outcome::skipped("not installed (see wrapper)");
    }
    // Asking starts a server where none runs, and a new one has counted nothing.
    if !has_server(context) {
        return Outcome::skipped("its server does not run: there are no figures");
    }
    let mut command = Command::new(&user.program);
    command.args(["--show-stats", "--stats-format", "json"]);
    let answer = match ask(&mut command, DEADLINE) {
        Ok(answer) if answer.ok => answer,
        Ok(answer) => return Outcome::new("", vec![no_answer(answer.stderr.trim())]),
        Err(why) => return Outcome::new("", vec![no_answer(&why.to_string())]),
    };
    match serde_json::from_str::<Shown>(&answer.stdout) {
        Ok(shown) => judged(&shown),
        Err(error) => Outcome::skipped(format!("its figures could not be read: {error}")),
    }
}

fn has_server(context: &Context<'_>) -> bool {
    if context
        .surroundings
        .non_empty("SCCACHE_SERVER_UDS")
        .is_some()
    {
        return true;
    }
    let port = context
        .var("SCCACHE_SERVER_PORT")
        .and_then(|port| port.parse().ok());
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(4226)));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn no_answer(why: &str) -> Finding {
    let next = "`sccache --stop-server`, or remove it: Rekindle does without";
    let finding = Finding::new(&SCCACHE_ERRORS, "sccache's server does not answer", next);
    finding.seen(why.lines().next().unwrap_or_default())
}

fn judged(shown: &Shown) -> Outcome {
    let stats = &shown.stats;
    let (hits, misses) = (stats.cache_hits.sum(), stats.cache_misses.sum());
    let line = format!(
        "{} requests, {hits} hits, {misses} misses; {}",
        stats.compile_requests, shown.cache_location
    );
    let findings = [errors(stats), idle(stats)];
    Outcome::new(line, findings.into_iter().flatten().collect())
}

fn errors(stats: &Stats) -> Option<Finding> {
    let counted = [
        (stats.cache_errors.sum(), "errors of the cache"),
        (stats.cache_read_errors, "failed reads"),
        (stats.cache_write_errors, "failed writes"),
        (stats.cache_timeouts, "reads that took too long"),
    ];
    let lines: Vec<String> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let next = "see that its storage can be written (a read-only one fails each write), or remove sccache: \
                Rekindle does without";
    (!lines.is_empty()).then(|| {
        Finding::new(&SCCACHE_ERRORS, "sccache counts errors", next).seen(lines.join(", "))
    })
}

/// Next to nothing was served, and the most frequent reason.
fn idle(stats: &Stats) -> Option<Finding> {
    let (hits, misses) = (stats.cache_hits.sum(), stats.cache_misses.sum());
    // cargo's questions to the compiler are counted as compiles that cannot be stored.
    let is_question = |reason: &str| QUESTIONS.contains(&reason);
    let questions = stats.not_cached.iter();
    let questions: u64 = questions
        .filter(|(reason, _)| is_question(reason))
        .map(|(_, count)| count)
        .sum();
    let compiles = stats
        .compile_requests
        .saturating_sub(stats.requests_not_compile + questions);
    if compiles < REQUESTS_MIN || hits * 20 >= compiles {
        return None;
    }
    let not_cacheable = stats.requests_not_cacheable.saturating_sub(questions);
    let mut finding = Finding::new(
        &SCCACHE_IDLE,
        format!("sccache served {hits} of {compiles} compiles"),
        "remove it: Rekindle serves what sccache cannot (programs, incremental units, other directories)",
    )
    .seen(format!(
        "{misses} misses, {not_cacheable} that it cannot store, {} started",
        stats.requests_executed
    ));
    let reasons = stats.not_cached.iter();
    let mut reasons: Vec<_> = reasons.filter(|(reason, _)| !is_question(reason)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in reasons.into_iter().take(3) {
        let why = match reason.as_str() {
            "incremental" => ": CARGO_INCREMENTAL=0 would let it",
            other if other.starts_with("crate-type") => ": it stores libraries alone",
            _ => "",
        };
        finding = finding.seen(format!("{count} for `{reason}`{why}"));
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stats: &str, expected: &[&str]) {
        let text = format!(
            "{{\"stats\":{stats},\"cache_location\":\"Local disk: \\\"/x\\\"\",\"version\":\"0.10.0\"}}"
        );
        let outcome = judged(&serde_json::from_str(&text).unwrap());
        let ids: Vec<&str> = outcome
            .findings
            .iter()
            .map(|finding| finding.kind.id)
            .collect();
        assert_eq!(ids, expected, "{text}");
    }

    #[test]
    fn figures_are_judged() {
        check("{\"compile_requests\":0}", &[]);
        check(
            "{\"compile_requests\":100,\"requests_not_cacheable\":90,\"not_cached\":{\"incremental\":80,\"crate-type\":10}}",
            &["sccache-not-caching"],
        );
        check(
            "{\"compile_requests\":100,\"cache_hits\":{\"counts\":{\"Rust\":60}},\"cache_misses\":{\"counts\":{\"Rust\":5}}}",
            &[],
        );
        check(
            "{\"compile_requests\":5,\"cache_write_errors\":5}",
            &["sccache-errors"],
        );
        // As sccache 0.19 counts eight builds of two crates: half of it are questions.
        check(
            "{\"compile_requests\":44,\"requests_not_cacheable\":44,\"not_cached\":{\"crate-type (proc-macro)\":8,\
             \"crate-type (bin)\":9,\"missing input\":17,\"incremental\":1,\"-\":9}}",
            &[],
        );
        // A first build misses all, and says nothing of the next.
        check(
            "{\"compile_requests\":100,\"requests_not_compile\":90}",
            &[],
        );
    }
}
