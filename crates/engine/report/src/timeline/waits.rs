//! What each bar waited for, and the chain of those that no number of cores makes shorter: both from the
//! unit graph of the run.

use std::collections::{HashMap, VecDeque};

use rekindle_events::Event;
use rekindle_plan::{Graph, Job, Needs, critical_path};

use super::Bar;

/// Notes in bars since when they could have begun; gives the critical path, first to last, and its length in
/// microseconds.
pub(super) fn note(bars: &mut [Bar], events: &[Event]) -> (Vec<usize>, u64) {
    let graph = Graph::of_events(events);
    if graph.gaps().without_dependencies > 0 || bars.is_empty() {
        return (Vec::new(), 0);
    }
    let of_jobs = bars_of(graph.jobs(), bars);
    let first_us = bars.iter().map(|bar| bar.at_us).min().unwrap_or(0);
    for (job, bar) in graph.jobs().iter().zip(&of_jobs) {
        let Some(bar) = bar.map(|index| &mut bars[index]) else {
            continue;
        };
        let reached = job.dependencies.iter().map(|dependency| {
            let on = &graph.jobs()[dependency.on];
            on.started_us.saturating_add(match dependency.needs {
                Needs::Metadata => on.parts.until_metadata_us(),
                Needs::End => on.parts.total_us(),
            })
        });
        let ready_us = first_us.saturating_add(reached.max().unwrap_or(0));
        bar.ready_us = ready_us.min(bar.at_us);
    }
    let path = critical_path(&graph);
    let steps = path.steps.iter().filter_map(|step| of_jobs[step.job]);
    (steps.collect(), path.length_us)
}

/// The bar of each job. Of a unit that was built twice, the first job is the first bar.
fn bars_of(jobs: &[Job], bars: &[Bar]) -> Vec<Option<usize>> {
    let mut known: HashMap<(&str, &str, &str, &str), VecDeque<usize>> = HashMap::new();
    for (index, bar) in bars.iter().enumerate() {
        let key = (&*bar.package, &*bar.crate_name, &*bar.kind, &*bar.id);
        known.entry(key).or_default().push_back(index);
    }
    jobs.iter()
        .map(|job| {
            let key = (&*job.package, &*job.crate_name, &*job.kind, &*job.id);
            known.get_mut(&key)?.pop_front()
        })
        .collect()
}
