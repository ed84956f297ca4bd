//! The run is long: would more cores help?

use crate::advice::words::{of_us, percent, seconds};
use crate::advice::{Advice, Gain, Model, Rule};
use crate::{CriticalPath, critical_path, simulate};

/// Above this wall, in milliseconds.
const WALL_MAX_MS: u64 = 15 * 60 * 1000;

/// More cores help where twice as many save at least this, in per cent.
const HELP_MIN: u64 = 15;

/// A crate is the reason where it is this much of the critical path, in per cent.
const ONE_CRATE_MIN: u64 = 30;

/// Jobs of the critical path that are named.
const NAMED: usize = 5;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "long-wall",
    threshold: "cargo took more than 15 minutes",
    gain: "the graph on twice as many cores; where that saves less than 15 %, none is given, and the critical path is named",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    let facts = model.facts;
    if facts.wall_ms <= WALL_MAX_MS {
        return None;
    }
    let path = critical_path(&facts.graph);
    let mut evidence = vec![format!(
        "cargo took {}, and compiled for {} of it on {} cores",
        seconds(facts.wall_ms),
        of_us(facts.graph.span_us()),
        model.cores
    )];
    for times in [2, 4] {
        let cores = model.cores.saturating_mul(times);
        let wall_us = simulate(&facts.graph, cores).wall_us;
        evidence.push(format!(
            "on {cores} cores compiling would take about {}",
            of_us(wall_us)
        ));
    }
    evidence.push(format!(
        "no number of cores makes it shorter than {}, the critical path",
        of_us(path.length_us)
    ));
    let doubled = model.cores.saturating_mul(2);
    let saved_ms = model.saved_by_ms(&facts.graph, doubled);
    if percent(saved_ms * 1000, model.wall_us) >= HELP_MIN {
        return Some(Advice {
            id: RULE.id,
            title: format!(
                "more cores would help: the run took {}",
                seconds(facts.wall_ms)
            ),
            evidence,
            gain: Gain::About(saved_ms),
            remedy: vec![format!("use a machine with {doubled} cores for this job")],
        });
    }
    let (named, title) = on_the_path(model, &path);
    evidence.extend(named);
    Some(Advice {
        id: RULE.id,
        title,
        evidence,
        gain: Gain::Unknown,
        remedy: vec![
            "split what the critical path names, or let it need less: features, dependencies, macros".to_owned(),
            "run what is not compiling, as tests, in jobs of their own".to_owned(),
        ],
    })
}

/// The longest jobs of the critical path, and what to call it.
fn on_the_path(model: &Model<'_>, path: &CriticalPath) -> (Vec<String>, String) {
    let jobs = model.facts.graph.jobs();
    let mut steps = path.steps.clone();
    steps.sort_by_key(|step| std::cmp::Reverse(step.time_us));
    let named = steps.iter().take(NAMED).map(|step| {
        format!(
            "{} is {} of the critical path",
            jobs[step.job].name(),
            of_us(step.time_us)
        )
    });
    let named = named.collect();
    let title = match steps.first() {
        Some(step) if percent(step.time_us, path.length_us) >= ONE_CRATE_MIN => format!(
            "more cores would not help: the critical path is mostly {}",
            jobs[step.job].name()
        ),
        Some(_) => "more cores would not help: the critical path is as long as the run".to_owned(),
        None => "more cores would not help: cargo compiled nothing".to_owned(),
    };
    (named, title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::{job, metadata};
    use crate::graph::{Gaps, Graph, Job};

    fn facts(jobs: Vec<Job>, wall_s: u64) -> Facts {
        Facts {
            graph: Graph::new(jobs, Gaps::default()),
            cores: 2,
            wall_ms: wall_s * 1000,
            ..Facts::default()
        }
    }

    fn found(facts: &Facts) -> Option<Advice> {
        said_by(&RULE, facts)
    }

    fn wide() -> Vec<Job> {
        (0..8).map(|_| job("a", [250, 0], &[])).collect()
    }

    #[test]
    fn a_quarter_of_an_hour_is_the_threshold() {
        assert_eq!(found(&facts(wide(), 900)), None);
        let advice = found(&facts(wide(), 901)).unwrap();
        assert_eq!(advice.gain, Gain::About(500_000));
        assert!(advice.remedy[0].contains("4 cores"));
    }

    #[test]
    fn one_crate_is_named_where_cores_do_not_help() {
        let jobs = vec![
            job("big", [900, 0], &[]),
            job("app", [100, 0], &[metadata(0)]),
        ];
        let advice = found(&facts(jobs, 1_000)).unwrap();
        assert_eq!(advice.gain, Gain::Unknown);
        assert!(
            advice.title.contains("mostly big 1.0.0 (lib)"),
            "{advice:?}"
        );
    }
}
