//! Crates whose codegen everything else waits for.

use std::collections::BTreeMap;

use crate::advice::words::{of_us, percent};
use crate::advice::{Advice, Gain, Model, Rule};
use crate::graph::{Graph, Job, Parts};

/// A job counts where nothing else ran for longer than this during its codegen, in microseconds…
const ALONE_MIN_US: u64 = 2_000_000;

/// … and for at least this share of the run, in per cent.
const SHARE_MIN: u64 = 5;

/// What codegen is split into at most; rustc itself goes to 16 without incremental state.
const UNITS: u64 = 16;

/// Jobs that are named.
const NAMED: usize = 5;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "codegen-blocks",
    threshold: "for more than 2 s and 5 % of the run, on several cores, nothing ran but the codegen of one crate",
    gain: "with one codegen unit, codegen spread over the cores; else a bound: codegen takes no time",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    if model.cores < 2 {
        return None;
    }
    let graph = &model.facts.graph;
    let span_us = graph.span_us();
    let mut found: Vec<(u64, usize)> = alone_in_codegen(graph)
        .into_iter()
        .map(|(job, us)| (us, job))
        .filter(|(us, _)| *us > ALONE_MIN_US && percent(*us, span_us) >= SHARE_MIN)
        .collect();
    found.sort_unstable_by_key(|(us, job)| (std::cmp::Reverse(*us), *job));
    let &(_, first) = found.first()?;
    let jobs = graph.jobs();
    let in_one = found
        .iter()
        .all(|(_, job)| jobs[*job].options.codegen_units == Some(1));
    let parts_of = |at: usize, job: &Job| {
        let mut parts: Parts = job.parts;
        if found.iter().any(|(_, job)| *job == at) {
            let over = u64::from(model.cores).min(UNITS);
            parts.codegen_us = if in_one { parts.codegen_us / over } else { 0 };
        }
        parts
    };
    let mut at = 0;
    let saved_ms = model.saved_ms(|job| {
        at += 1;
        parts_of(at - 1, job)
    });
    let evidence = found.iter().take(NAMED).map(|(us, job)| {
        format!(
            "for {} only the codegen of {} ran",
            of_us(*us),
            jobs[*job].name()
        )
    });
    let mut remedy = Vec::new();
    if in_one {
        remedy.push("`codegen-units = 16` in the profile spreads codegen over cores, where the program need not be the fastest possible".to_owned());
    }
    remedy.push(format!(
        "split {}, or make less of it generic in what others use",
        jobs[first].package
    ));
    Some(Advice {
        id: RULE.id,
        title: format!("everything waits for the codegen of {}", jobs[first].name()),
        evidence: evidence.collect(),
        gain: if in_one {
            Gain::About(saved_ms)
        } else {
            Gain::AtMost(saved_ms)
        },
        remedy,
    })
}

/// For how long each job was the only one that ran, after its metadata was there.
fn alone_in_codegen(graph: &Graph) -> BTreeMap<usize, u64> {
    let jobs = graph.jobs();
    let mut changes: Vec<(u64, bool, usize)> = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        changes.push((job.started_us, true, index));
        changes.push((job.ended_us(), false, index));
    }
    // Ends first, so that one job after another is one at a time.
    changes.sort_unstable();
    let mut alone: BTreeMap<usize, u64> = BTreeMap::new();
    let mut running: std::collections::BTreeSet<usize> = std::collections::BTreeSet::new();
    let mut since_us = 0;
    for (at_us, starts, index) in changes {
        if running.len() == 1
            && let Some(&only) = running.first()
            && jobs[only].is_divided
        {
            let job = &jobs[only];
            let codegen_us = job.started_us.saturating_add(job.parts.until_metadata_us());
            let ends_us = codegen_us.saturating_add(job.parts.codegen_us);
            let from_us = since_us.max(codegen_us);
            let until_us = at_us.min(ends_us);
            *alone.entry(only).or_default() += until_us.saturating_sub(from_us);
        }
        since_us = at_us;
        if starts {
            running.insert(index);
        } else {
            running.remove(&index);
        }
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::{end, job};
    use crate::graph::Gaps;

    fn found(codegen: u64, cores: u32, units: u32, beside: Option<Job>) -> Option<Advice> {
        let mut big = job("big", [1, codegen], &[]);
        big.options.codegen_units = Some(units);
        let mut app = job("app", [1, 0], &[end(0)]);
        app.started_us = (1 + codegen) * 1_000_000;
        let mut jobs = vec![big, app];
        jobs.extend(beside);
        let facts = Facts {
            graph: Graph::new(jobs, Gaps::default()),
            cores,
            wall_ms: (2 + codegen) * 1000,
            ..Facts::default()
        };
        said_by(&RULE, &facts)
    }

    #[test]
    fn codegen_that_nothing_runs_beside_is_named() {
        assert_eq!(found(2, 2, 1, None), None);
        let advice = found(4, 2, 1, None).unwrap();
        assert_eq!(advice.gain, Gain::About(2_000));
        assert!(advice.title.contains("big"));
        assert_eq!(found(4, 2, 16, None).unwrap().gain, Gain::AtMost(4_000));
    }

    #[test]
    fn one_core_or_work_beside_it_is_no_reason() {
        assert_eq!(found(4, 1, 1, None), None);
        assert_eq!(found(4, 2, 1, Some(job("beside", [5, 0], &[]))), None);
    }
}
