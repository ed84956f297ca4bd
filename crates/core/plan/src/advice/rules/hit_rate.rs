//! Fewer than half of the units that a store can serve were served.

use rekindle_events::ChangeKind;

use crate::advice::words::{percent, seconds};
use crate::advice::{Advice, Causes, Gain, Model, Rule};
use crate::graph::{JobFate, Parts};

/// Below this hit rate, in per cent.
const RATE_MIN: u64 = 50;

/// With fewer units than this the rate says nothing.
const UNITS_MIN: u64 = 10;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "low-hit-rate",
    threshold: "fewer than 50 % of at least 10 cacheable units were hits; not on a first build outside of CI",
    gain: "each miss takes the time of this run's median hit; without a hit, what its look-up took, and the figure is a bound",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    let facts = model.facts;
    let cacheable = facts.hits + facts.misses;
    let rate = percent(facts.hits, cacheable);
    // Some packages are compiled twice, for the build and for what is built, and the second has seen the first.
    let is_new = facts.hits == 0 && facts.causes.never_seen * 2 > facts.misses;
    let is_first = is_new && !facts.is_ci;
    let is_asked = facts.causes.asked * 2 > facts.misses;
    if cacheable < UNITS_MIN || rate >= RATE_MIN || is_first || is_asked {
        return None;
    }
    let hit_us = median_hit(model);
    let saved_ms = model.saved_ms(|job| match job.fate {
        JobFate::Miss => Parts {
            before_us: hit_us
                .unwrap_or(job.parts.before_us)
                .min(job.parts.total_us()),
            ..Parts::default()
        },
        _ => job.parts,
    });
    let mut evidence = vec![format!(
        "{} of {cacheable} units that the store can serve were hits ({rate} %)",
        facts.hits
    )];
    evidence.extend(hit_us.map(|us| format!("a hit takes {} here", seconds(us / 1000))));
    let (reasons, remedy) = causes(&facts.causes, facts.misses);
    evidence.extend(reasons);
    Some(Advice {
        id: RULE.id,
        title: format!("only {rate} % of the units came from the store"),
        evidence,
        gain: match hit_us {
            Some(_) => Gain::About(saved_ms),
            None => Gain::AtMost(saved_ms),
        },
        remedy,
    })
}

fn median_hit(model: &Model<'_>) -> Option<u64> {
    let jobs = model.facts.graph.jobs().iter();
    let mut hits: Vec<u64> = jobs
        .filter(|job| job.fate == JobFate::Hit && !job.is_run())
        .map(|job| job.parts.total_us())
        .collect();
    hits.sort_unstable();
    hits.get(hits.len() / 2).copied()
}

/// The reasons that stand out, and what to do about the one that most units missed for.
fn causes(causes: &Causes, misses: u64) -> (Vec<String>, Vec<String>) {
    let mut found: Vec<(u64, String, String)> = Vec::new();
    let mut add = |units: u64, reason: String, remedy: String| {
        if units > 0 {
            found.push((units, format!("{units} units missed as {reason}"), remedy));
        }
    };
    add(
        causes.never_seen,
        "nothing of their name was ever stored".into(),
        "see that the store is restored before the build and saved after it, also when the build fails, and that both name the same directory".into(),
    );
    add(
        causes.gone,
        "what was stored is gone".into(),
        "give the store more room: `cache.size` or REKINDLE_CACHE_SIZE".into(),
    );
    add(
        causes.unavailable,
        "the store did not answer".into(),
        "see `rekindle doctor` for why the store cannot be reached".into(),
    );
    add(
        causes.sources,
        "their sources changed".into(),
        "what changed is compiled: see `rekindle explain` for what followed from it".into(),
    );
    if let Some(((kind, name), units)) = causes.most_shared() {
        let what = format!("the {} `{name}`", kind.word());
        add(units, format!("{what} changed"), remedy_of(*kind, name));
    }
    found.sort_by_key(|(units, ..)| std::cmp::Reverse(*units));
    let first = found.first().map(|(_, _, remedy)| remedy.clone());
    let mut reasons: Vec<String> = found.into_iter().map(|(_, reason, _)| reason).collect();
    if causes.followed > 0 {
        let share = percent(causes.followed, misses);
        reasons.push(format!(
            "{} more missed only because of these ({share} % of all misses)",
            causes.followed
        ));
    }
    let remedy = first
        .into_iter()
        .chain(["`rekindle explain` names each unit's reason".to_owned()]);
    (reasons, remedy.collect())
}

fn remedy_of(kind: ChangeKind, name: &str) -> String {
    match kind {
        ChangeKind::Env => format!(
            "if `{name}` is another in each run (a commit, a date, a build number), set it only where it is read, or read it from a small crate that nothing depends on"
        ),
        ChangeKind::Compiler => {
            "pin the toolchain in `rust-toolchain.toml`: another compiler is another key".to_owned()
        }
        ChangeKind::Argument => {
            format!("give each job the same flags: `{name}` differs from the run before")
        }
        ChangeKind::Directory => {
            "build in the same directory, or leave `build.remap` on".to_owned()
        }
        _ => format!("keep {} `{name}` the same from run to run", kind.word()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::job;
    use crate::graph::{Gaps, Graph, Job};

    /// Units of a second each on one core, hits of 100 ms.
    fn facts(hits: u64, misses: u64) -> Facts {
        let hit = || Job {
            fate: JobFate::Hit,
            parts: Parts {
                before_us: 100_000,
                ..Parts::default()
            },
            ..job("hit", [0, 0], &[])
        };
        let mut jobs: Vec<Job> = (0..misses).map(|_| job("miss", [1, 0], &[])).collect();
        jobs.extend((0..hits).map(|_| hit()));
        Facts {
            graph: Graph::new(jobs, Gaps::default()),
            cores: 1,
            wall_ms: misses * 1000,
            hits,
            misses,
            causes: Causes {
                gone: misses,
                ..Causes::default()
            },
            ..Facts::default()
        }
    }

    fn found(facts: &Facts) -> Option<Advice> {
        said_by(&RULE, facts)
    }

    #[test]
    fn half_is_enough() {
        assert_eq!(found(&facts(10, 10)), None);
        let advice = found(&facts(9, 11)).unwrap();
        assert_eq!(advice.gain, Gain::About(11 * 900));
        assert!(advice.remedy[0].contains("REKINDLE_CACHE_SIZE"));
    }

    #[test]
    fn few_units_say_nothing() {
        assert_eq!(found(&facts(0, 9)), None);
        assert!(found(&facts(0, 10)).is_some());
    }

    #[test]
    fn a_first_build_is_advised_only_where_a_cache_should_have_been() {
        let mut facts = facts(0, 10);
        facts.causes = Causes {
            never_seen: 10,
            ..Causes::default()
        };
        assert_eq!(found(&facts), None);
        facts.causes = Causes {
            never_seen: 6,
            followed: 4,
            ..Causes::default()
        };
        assert_eq!(found(&facts), None, "some of one package's units");
        facts.causes.never_seen = 5;
        assert!(found(&facts).is_some(), "most were there, as others");
        facts.causes.never_seen = 6;
        facts.is_ci = true;
        let advice = found(&facts).unwrap();
        assert_eq!(advice.gain, Gain::AtMost(10_000));
        assert!(advice.remedy[0].contains("restored before the build"));
    }

    #[test]
    fn what_was_asked_for_is_no_fault() {
        let mut facts = facts(0, 10);
        facts.causes = Causes {
            asked: 10,
            ..Causes::default()
        };
        assert_eq!(found(&facts), None);
    }

    #[test]
    fn what_always_changes_is_named() {
        let mut facts = facts(2, 10);
        facts.causes = Causes {
            sources: 1,
            followed: 3,
            shared_inputs: BTreeMap::from([
                ((ChangeKind::Env, "GIT_SHA".to_owned()), 6),
                ((ChangeKind::Argument, "-C opt-level".to_owned()), 1),
            ]),
            ..Causes::default()
        };
        let advice = found(&facts).unwrap();
        assert!(
            advice.evidence[2].contains("`GIT_SHA` changed"),
            "{advice:?}"
        );
        assert!(advice.evidence.iter().any(|line| line.contains("3 more")));
        assert!(advice.remedy[0].contains("GIT_SHA"));
    }
}
