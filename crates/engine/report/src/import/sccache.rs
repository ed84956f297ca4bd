//! `sccache --show-stats --stats-format json`: counts since its server was started; it knows no units and no times
//! of a build.

use std::collections::BTreeMap;

use rekindle_base::Moment;
use rekindle_events::{Event, EventKind, ImportedEvent, RunStarted};
use serde::Deserialize;

use super::ImportError;

#[derive(Deserialize)]
struct Document {
    stats: Stats,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Stats {
    compile_requests: u64,
    cache_hits: Counts,
    cache_misses: Counts,
    #[serde(default)]
    requests_not_cacheable: u64,
    #[serde(default)]
    non_cacheable_compilations: u64,
    #[serde(default)]
    not_cached: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    counts: BTreeMap<String, u64>,
}

impl Counts {
    fn sum(&self) -> u64 {
        self.counts.values().copied().fold(0, u64::saturating_add)
    }
}

/// The events of what sccache counted.
///
/// # Errors
/// [`ImportError`].
pub fn sccache_stats(json: &[u8], run: &str, now: Moment) -> Result<Vec<Event>, ImportError> {
    let document: Document =
        serde_json::from_slice(json).map_err(|error| ImportError::NotStats(error.to_string()))?;
    let stats = document.stats;
    let known = stats
        .cache_hits
        .sum()
        .saturating_add(stats.cache_misses.sum());
    if known > stats.compile_requests {
        let why = "it counts more hits and misses than requests".to_owned();
        return Err(ImportError::NotStats(why));
    }
    let started = RunStarted {
        run: run.to_owned(),
        command: "import".to_owned(),
        cwd: String::new(),
        rekindle: String::new(),
    };
    let imported = ImportedEvent {
        from: format!("sccache {}", document.version)
            .trim_end()
            .to_owned(),
        hits: stats.cache_hits.sum(),
        misses: stats.cache_misses.sum(),
        uncacheable: stats
            .requests_not_cacheable
            .saturating_add(stats.non_cacheable_compilations),
        compile_us: 0,
        reasons: stats.not_cached,
    };
    let kinds = [
        EventKind::RunStarted(started),
        EventKind::Imported(imported),
    ];
    Ok(kinds.map(|kind| Event::new(now, kind)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headline, Timeline};

    /// As sccache 0.19 writes it, with counts of its own test.
    const STATS: &str = r#"{"stats":{"compile_requests":90,"requests_unsupported_compiler":0,"requests_not_compile":7,
        "requests_not_cacheable":12,"requests_executed":71,"cache_errors":{"counts":{},"adv_counts":{}},
        "cache_hits":{"counts":{"Rust":50,"C/C++":4},"adv_counts":{"rust":50}},
        "cache_misses":{"counts":{"Rust":17},"adv_counts":{"rust":17}},"non_cacheable_compilations":0,
        "not_cached":{"crate-type":9,"-":3}},"cache_location":"Local disk: \"/c\"","version":"0.19.0"}"#;

    #[test]
    fn counts_become_a_run() {
        let events = sccache_stats(STATS.as_bytes(), "r", Moment(9)).unwrap();
        let timeline = Timeline::of_run("r", &events);
        let summary = &timeline.summary;
        assert_eq!(
            (summary.hits, summary.misses, summary.uncacheable),
            (54, 17, 12)
        );
        assert_eq!(summary.reasons["crate-type"], 9);
        assert_eq!(timeline.imported_from.as_deref(), Some("sccache 0.19.0"));
        assert_eq!(
            Headline::of(&timeline).sentence(),
            "Figures without times: 54 from the store, 29 compiled"
        );
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"{"stats":{"compile_requests":1}}"#,
            &STATS.replace("90", "9"),
        ] {
            let error = sccache_stats(text.as_bytes(), "r", Moment(0)).unwrap_err();
            assert!(matches!(error, ImportError::NotStats(_)), "{text}");
        }
    }
}
