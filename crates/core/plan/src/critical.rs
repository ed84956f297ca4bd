//! The chain of jobs that no number of cores makes shorter.

use crate::graph::{Graph, Needs};

/// A job on the critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The job's index.
    pub job: usize,
    /// When it would start with cores for all, in microseconds after the first job.
    pub start_us: u64,
    /// Of its time, what the next on the path waits for: all of it, or until metadata. In microseconds.
    pub time_us: u64,
    /// What the next on the path waits for.
    pub handed_on: Needs,
}

/// The critical path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// Its jobs, the first one first.
    pub steps: Vec<Step>,
    /// Its length in microseconds: what the jobs take with a core for each.
    pub length_us: u64,
}

impl CriticalPath {
    /// Whether a job is on it.
    #[must_use]
    pub fn contains(&self, job: usize) -> bool {
        self.steps.iter().any(|step| step.job == job)
    }
}

/// The longest chain of waits.
#[must_use]
pub fn critical_path(graph: &Graph) -> CriticalPath {
    let jobs = graph.jobs();
    let mut starts = vec![0_u64; jobs.len()];
    let mut causes: Vec<Option<(usize, Needs)>> = vec![None; jobs.len()];
    let reached = |starts: &[u64], job: usize, needs: Needs| {
        let parts = &jobs[job].parts;
        starts[job].saturating_add(match needs {
            Needs::Metadata => parts.until_metadata_us(),
            Needs::End => parts.total_us(),
        })
    };
    for &index in graph.order() {
        for dependency in &jobs[index].dependencies {
            let at = reached(&starts, dependency.on, dependency.needs);
            if at > starts[index] || causes[index].is_none() {
                starts[index] = at;
                causes[index] = Some((dependency.on, dependency.needs));
            }
        }
    }
    let ends = |&index: &usize| reached(&starts, index, Needs::End);
    // Of equal ones the first in order, so that the same log gives the same path.
    let Some(&last) = graph.order().iter().rev().max_by_key(|index| ends(index)) else {
        return CriticalPath::default();
    };
    let mut steps = Vec::new();
    let mut next = Some((last, Needs::End));
    while let Some((job, handed_on)) = next {
        steps.push(Step {
            job,
            start_us: starts[job],
            time_us: reached(&starts, job, handed_on) - starts[job],
            handed_on,
        });
        next = causes[job];
    }
    steps.reverse();
    CriticalPath {
        steps,
        length_us: ends(&last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{end, job, metadata};
    use crate::{Dependency, Gaps, Job};

    fn check(jobs: Vec<Job>, path: &[usize], seconds: u64) {
        let found = critical_path(&Graph::new(jobs, Gaps::default()));
        let indices: Vec<usize> = found.steps.iter().map(|step| step.job).collect();
        assert_eq!(indices, path);
        assert_eq!(found.length_us, seconds * 1_000_000);
        let sum: u64 = found.steps.iter().map(|step| step.time_us).sum();
        assert_eq!(
            sum, found.length_us,
            "the steps follow each other without a gap"
        );
    }

    #[test]
    fn metadata_is_handed_on_before_codegen_ends() {
        check(
            vec![
                job("a", [2, 5], &[]),
                job("b", [3, 3], &[metadata(0)]),
                job("c", [1, 0], &[]),
            ],
            &[0, 1],
            8,
        );
    }

    #[test]
    fn codegen_that_ends_last_is_the_path_of_what_links() {
        let app = |waits: &[Dependency]| Job {
            links: true,
            ..job("app", [1, 0], waits)
        };
        check(
            vec![
                job("a", [2, 9], &[]),
                job("b", [3, 3], &[metadata(0)]),
                app(&[metadata(1)]),
            ],
            &[0, 2],
            12,
        );
    }

    #[test]
    fn without_jobs_there_is_no_path() {
        check(vec![], &[], 0);
        check(vec![job("a", [1, 1], &[end(0)])], &[0], 2);
    }
}
