//! Build scripts that run each time.

use std::collections::BTreeSet;

use crate::advice::words::of_us;
use crate::advice::{Advice, Gain, Model, Refused, Rule};
use crate::graph::{Graph, JobFate, Parts};

/// A script that runs each time, but leaves what depends on it fresh, counts from this on, in microseconds.
const RUN_MIN_US: u64 = 1_000_000;

/// Scripts that are named.
const NAMED: usize = 5;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "script-always-runs",
    threshold: "a build script asks cargo to run it each time, or one that cannot be stored ran for more than 1 s",
    gain: "these runs take no time, nor do units behind them that were restored though nothing about them had changed",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    let graph = &model.facts.graph;
    let mut found: Vec<(usize, &Refused)> = Vec::new();
    for refused in &model.facts.refused {
        let is_it = |job: &crate::Job| {
            job.is_run() && job.id == refused.id && job.package == refused.package
        };
        let Some(index) = graph.jobs().iter().position(is_it) else {
            continue;
        };
        if refused.always_runs || graph.jobs()[index].parts.front_us > RUN_MIN_US {
            found.push((index, refused));
        }
    }
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|(index, _)| std::cmp::Reverse(graph.jobs()[*index].parts.front_us));
    let free = without(graph, &found);
    let mut at = 0;
    let saved_ms = model.saved_ms(|job| {
        at += 1;
        if free.contains(&(at - 1)) {
            Parts::default()
        } else {
            job.parts
        }
    });
    let evidence = found.iter().take(NAMED).map(|(index, refused)| {
        format!(
            "the build script of {} took {}: {}",
            refused.package,
            of_us(graph.jobs()[*index].parts.front_us),
            refused.reason
        )
    });
    let mut remedy = Vec::new();
    if let Some((_, refused)) = found.iter().find(|(_, refused)| refused.always_runs) {
        remedy.push(format!(
            "let the script of {} declare with `cargo::rerun-if-changed` only paths that exist",
            refused.package
        ));
    }
    remedy.push("`rekindle explain` says for each why it is not stored".to_owned());
    Some(Advice {
        id: RULE.id,
        title: "build scripts run each time".to_owned(),
        evidence: evidence.collect(),
        gain: Gain::About(saved_ms),
        remedy,
    })
}

/// The jobs that would take no time: these runs, and what was restored behind those that cargo runs always.
fn without(graph: &Graph, found: &[(usize, &Refused)]) -> BTreeSet<usize> {
    let mut behind: BTreeSet<usize> = found
        .iter()
        .filter(|(_, refused)| refused.always_runs)
        .map(|(index, _)| *index)
        .collect();
    for &index in graph.order() {
        let waits = &graph.jobs()[index].dependencies;
        if waits.iter().any(|wait| behind.contains(&wait.on)) {
            behind.insert(index);
        }
    }
    behind.retain(|index| graph.jobs()[*index].fate == JobFate::Hit);
    behind.extend(found.iter().map(|(index, _)| *index));
    behind
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::{end, job, metadata};
    use crate::graph::{Gaps, Job};

    fn found(run_us: u64, always_runs: bool) -> Option<Advice> {
        let mut run = job("sys", [0, 0], &[]);
        run.kind = Job::RUN.to_owned();
        run.fate = JobFate::Uncacheable;
        run.parts.front_us = run_us;
        let mut restored = job("sys", [2, 0], &[end(0)]);
        restored.fate = JobFate::Hit;
        let jobs = vec![run, restored, job("app", [1, 0], &[metadata(1)])];
        let facts = Facts {
            graph: Graph::new(jobs, Gaps::default()),
            cores: 1,
            wall_ms: 5_000,
            refused: vec![Refused {
                package: "sys".into(),
                id: "sysid".into(),
                always_runs,
                reason: "it asks".into(),
            }],
            ..Facts::default()
        };
        said_by(&RULE, &facts)
    }

    #[test]
    fn a_script_that_runs_always_keeps_others_from_being_fresh() {
        // The run, and the unit that was restored for nothing; not the one that was compiled.
        let advice = found(500_000, true).unwrap();
        assert_eq!(advice.gain, Gain::About(2_500));
        assert!(advice.remedy[0].contains("rerun-if-changed"));
    }

    #[test]
    fn one_that_is_not_stored_counts_where_it_takes_long() {
        assert_eq!(found(1_000_000, false), None);
        assert_eq!(found(1_500_000, false).unwrap().gain, Gain::About(1_500));
    }
}
