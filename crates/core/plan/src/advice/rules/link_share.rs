//! Linking is a large part of what compilers did.

use std::collections::BTreeMap;

use super::is_compiled;
use crate::advice::rates::{self, LINKERS, linker_name, linker_rate};
use crate::advice::words::{of_us, percent};
use crate::advice::{Advice, Gain, Model, Rule};
use crate::graph::{Job, Parts};

/// Above this share of the time in compilers, in per cent.
const SHARE_MAX: u64 = 30;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "link-share",
    threshold: "more than 30 % of the time in compilers is linking",
    gain: "each link takes the fastest installed linker's time, by measured rates; where the fastest links already, links without debug information",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    let jobs: Vec<&Job> = model
        .facts
        .graph
        .jobs()
        .iter()
        .filter(|job| is_compiled(job))
        .collect();
    let link_us: u64 = jobs.iter().map(|job| job.parts.link_us).sum();
    let compile_us: u64 = jobs.iter().map(|job| job.parts.compile_us()).sum();
    let share = percent(link_us, compile_us);
    if share <= SHARE_MAX {
        return None;
    }
    let mut by_linker: BTreeMap<&str, u64> = BTreeMap::new();
    for job in jobs.iter().filter(|job| job.parts.link_us > 0) {
        let name = job.linker.as_deref().unwrap_or(rekindle_events::GNU_LD);
        *by_linker.entry(name).or_default() += job.parts.link_us;
    }
    let mut evidence = vec![format!(
        "linking took {} of {} inside compilers ({share} %)",
        of_us(link_us),
        of_us(compile_us)
    )];
    for (linker, us) in by_linker {
        evidence.push(format!("{} of it by {linker}", of_us(us)));
    }
    let (gain, remedy) = remedy(model, &jobs);
    Some(Advice {
        id: RULE.id,
        title: format!("linking is {share} % of the time in compilers"),
        evidence,
        gain,
        remedy,
    })
}

/// The fastest linker that is installed, where it is faster than what most links were made with.
fn faster<'a>(model: &'a Model<'_>, jobs: &[&Job]) -> Option<(&'a str, u64)> {
    let here = model.facts.linkers_here.iter();
    let best = here
        .filter_map(|name| Some((name.as_str(), linker_rate(name)?)))
        .min_by_key(|(_, rate)| *rate)?;
    let slower = jobs.iter().any(|job| {
        let used = linker_name(job.linker.as_deref()).and_then(linker_rate);
        job.parts.link_us > 0 && used.is_some_and(|used| used > best.1)
    });
    slower.then_some(best)
}

fn remedy(model: &Model<'_>, jobs: &[&Job]) -> (Gain, Vec<String>) {
    let has_debug = jobs
        .iter()
        .any(|job| job.links && !matches!(job.options.debug.as_deref(), None | Some("0" | "none")));
    let mut remedy = Vec::new();
    let without_debug = || {
        model.saved_ms(|job| {
            let mut parts = job.parts;
            parts.link_us = rates::without_debug(job).link_us;
            parts
        })
    };
    let gain = match faster(model, jobs) {
        Some((name, rate)) => {
            remedy.push(format!(
                "link with {name}, which is installed here: `build.linker = \"{name}\"`"
            ));
            Gain::About(model.saved_ms(|job| relinked(job, rate)))
        }
        None if has_debug => Gain::About(without_debug()),
        None => Gain::Unknown,
    };
    if gain == Gain::Unknown || !remedy.is_empty() {
        let fastest = LINKERS.iter().min_by_key(|(_, rate)| *rate);
        let here = &model.facts.linkers_here;
        let missing = fastest.filter(|(name, _)| !here.iter().any(|here| here == name));
        remedy.extend(missing.map(|(name, _)| format!("install {name}, which links fastest")));
    }
    if has_debug {
        remedy.push(
            "link less debug information: `debug = \"line-tables-only\"` in the profile keeps line numbers in backtraces".to_owned(),
        );
    }
    remedy.push(
        "link fewer programs: integration tests in one binary per package, `cargo test --lib` where that is meant"
            .to_owned(),
    );
    (gain, remedy)
}

fn relinked(job: &Job, rate: u64) -> Parts {
    let mut parts = job.parts;
    let used = linker_name(job.linker.as_deref()).and_then(linker_rate);
    if let Some(used) = used.filter(|used| *used > rate && is_compiled(job)) {
        parts.link_us = parts.link_us.saturating_mul(rate) / used;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::job;
    use crate::graph::{Gaps, Graph};

    /// A program that compiled for so long and linked for so long, in milliseconds.
    fn facts(front_ms: u64, link_ms: u64, linker: Option<&str>, here: &[&str]) -> Facts {
        let app = Job {
            parts: Parts {
                front_us: front_ms * 1000,
                link_us: link_ms * 1000,
                ..Parts::default()
            },
            links: true,
            linker: linker.map(ToOwned::to_owned),
            ..job("app", [0, 0], &[])
        };
        Facts {
            graph: Graph::new(vec![app], Gaps::default()),
            cores: 2,
            wall_ms: front_ms + link_ms,
            linkers_here: here.iter().map(|name| (*name).to_owned()).collect(),
            ..Facts::default()
        }
    }

    fn found(facts: &Facts) -> Option<Advice> {
        said_by(&RULE, facts)
    }

    #[test]
    fn thirty_per_cent_is_fine() {
        let here = ["mold"];
        assert_eq!(found(&facts(70_000, 30_900, None, &here)), None);
        assert!(found(&facts(69_000, 31_000, None, &here)).is_some());
    }

    #[test]
    fn the_gain_is_the_faster_linkers_share_of_the_links() {
        let lld = linker_rate("lld").unwrap();
        for linker in [None, Some(rekindle_events::GNU_LD)] {
            let advice = found(&facts(10_000, 10_000, linker, &["lld", "mold"])).unwrap();
            assert_eq!(advice.gain, Gain::About(10_000 - 10_000 * lld / 100));
            assert!(advice.remedy[0].contains("lld"));
        }
    }

    #[test]
    fn the_fastest_linker_is_not_replaced() {
        let mut facts = facts(10_000, 10_000, Some("LLD 22.1.2"), &["lld", "mold"]);
        let advice = found(&facts).unwrap();
        assert_eq!(advice.gain, Gain::Unknown);
        assert!(!advice.remedy[0].contains("link with"), "{advice:?}");
        let mut app = facts.graph.jobs()[0].clone();
        app.options.debug = Some("2".into());
        facts.graph = Graph::new(vec![app], Gaps::default());
        let advice = found(&facts).unwrap();
        let kept = rates::WITHOUT_DEBUG.1;
        assert_eq!(advice.gain, Gain::About(10_000 - 10_000 * kept / 100));
    }
}
