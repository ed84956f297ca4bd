//! A run of a graph on a number of cores, the way that cargo starts jobs.
//!
//! cargo's rules (1.95): a job may start when all that it waits for is there; a running job takes one of
//! `-j` places until it ends, also after it has announced its metadata; of those that may start, that
//! comes first that most others wait for, however far away. What is not played: the threads of a compiler's
//! codegen, for which it takes places that are free. Times of jobs are taken as they were recorded, so that a
//! run that was recorded on busy cores stays as busy.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::graph::{Graph, Needs};

/// When a job ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// In microseconds after the first job.
    pub start_us: u64,
    /// In microseconds after the first job.
    pub end_us: u64,
}

/// What a simulation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// When each job ran, in the graph's order of jobs.
    pub slots: Vec<Slot>,
    /// Start of the first to the end of the last, in microseconds.
    pub wall_us: u64,
}

/// Something that happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Ended(usize),
    Announced(usize),
}

/// Plays a graph. No cores are taken as one.
#[must_use]
pub fn simulate(graph: &Graph, cores: u32) -> Schedule {
    let mut play = Play::new(graph);
    let mut free = cores.max(1) as usize;
    while let Some(time_us) = play.start_ready(&mut free) {
        play.happen_until(time_us, &mut free);
    }
    let ends = play.slots.iter().map(|slot| slot.end_us);
    Schedule {
        wall_us: ends.max().unwrap_or(0),
        slots: play.slots,
    }
}

struct Play<'a> {
    graph: &'a Graph,
    now_us: u64,
    slots: Vec<Slot>,
    /// For each job, those that wait for it, and until when.
    dependents: Vec<Vec<(usize, Needs)>>,
    /// For each job, how many it still waits for.
    open: Vec<usize>,
    /// Those that may start: most wanted first, then as they were started in the run.
    ready: BTreeSet<(Reverse<usize>, u64, usize)>,
    ranks: Vec<usize>,
    queue: BinaryHeap<Reverse<(u64, Happens)>>,
}

impl<'a> Play<'a> {
    fn new(graph: &'a Graph) -> Self {
        let jobs = graph.jobs();
        let mut dependents = vec![Vec::new(); jobs.len()];
        for (index, job) in jobs.iter().enumerate() {
            for dependency in &job.dependencies {
                dependents[dependency.on].push((index, dependency.needs));
            }
        }
        let mut play = Self {
            graph,
            now_us: 0,
            slots: vec![Slot::default(); jobs.len()],
            dependents,
            open: jobs.iter().map(|job| job.dependencies.len()).collect(),
            ready: BTreeSet::new(),
            ranks: graph.dependents(),
            queue: BinaryHeap::new(),
        };
        for index in 0..jobs.len() {
            if play.open[index] == 0 {
                play.make_ready(index);
            }
        }
        play
    }

    fn make_ready(&mut self, index: usize) {
        let started_us = self.graph.jobs()[index].started_us;
        self.ready
            .insert((Reverse(self.ranks[index]), started_us, index));
    }

    /// Starts what there are cores for. When something happens next.
    fn start_ready(&mut self, free: &mut usize) -> Option<u64> {
        while *free > 0
            && let Some((_, _, index)) = self.ready.pop_first()
        {
            *free -= 1;
            let parts = &self.graph.jobs()[index].parts;
            let end_us = self.now_us.saturating_add(parts.total_us());
            let metadata_us = self.now_us.saturating_add(parts.until_metadata_us());
            self.slots[index] = Slot {
                start_us: self.now_us,
                end_us,
            };
            self.queue
                .push(Reverse((metadata_us, Happens::Announced(index))));
            self.queue.push(Reverse((end_us, Happens::Ended(index))));
        }
        self.queue.peek().map(|Reverse((time_us, _))| *time_us)
    }

    /// Lets everything happen that happens at a time.
    fn happen_until(&mut self, time_us: u64, free: &mut usize) {
        self.now_us = time_us;
        while let Some(&Reverse((at, happens))) = self.queue.peek()
            && at <= time_us
        {
            self.queue.pop();
            let (index, reached) = match happens {
                Happens::Announced(index) => (index, Needs::Metadata),
                Happens::Ended(index) => {
                    *free += 1;
                    (index, Needs::End)
                }
            };
            for (dependent, needs) in self.dependents[index].clone() {
                if needs != reached {
                    continue;
                }
                self.open[dependent] -= 1;
                if self.open[dependent] == 0 {
                    self.make_ready(dependent);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{end, job, metadata};
    use crate::{Dependency, Gaps, Job, critical_path};

    fn check(jobs: &[Job], cores: u32, seconds: u64) {
        let schedule = simulate(&Graph::new(jobs.to_vec(), Gaps::default()), cores);
        assert_eq!(schedule.wall_us, seconds * 1_000_000, "{schedule:?}");
    }

    #[test]
    fn dependents_start_at_metadata_where_there_is_a_core() {
        let jobs = [job("a", [2, 4], &[]), job("b", [3, 1], &[metadata(0)])];
        check(&jobs, 1, 10);
        check(&jobs, 2, 6);
        check(&[jobs[0].clone(), job("b", [3, 1], &[end(0)])], 2, 10);
    }

    #[test]
    fn what_most_wait_for_starts_first() {
        // On two cores: `wanted` and `a`, then the chain beside `b`.
        let jobs = [
            job("a", [3, 0], &[]),
            job("b", [3, 0], &[]),
            job("wanted", [1, 0], &[]),
            job("next", [2, 0], &[end(2)]),
            job("last", [2, 0], &[end(3)]),
        ];
        check(&jobs, 2, 6);
        let schedule = simulate(&Graph::new(jobs.to_vec(), Gaps::default()), 2);
        assert_eq!(schedule.slots[2].start_us, 0);
    }

    #[test]
    fn no_cores_are_one_and_no_jobs_take_no_time() {
        check(&[job("a", [1, 0], &[]), job("b", [1, 0], &[])], 0, 2);
        check(&[], 4, 0);
    }

    proptest! {
        /// What every schedule keeps: no more jobs at once than cores, nobody before what it waits for,
        /// never shorter than the critical path or than the work divided by the cores.
        #[test]
        fn schedules_keep_the_rules(
            shape in prop::collection::vec(
                (0u64..5, 0u64..5, prop::collection::vec((0usize..12, any::<bool>()), 0..4), any::<bool>()),
                1..12,
            ),
            cores in 1u32..5,
        ) {
            let jobs: Vec<Job> = shape.iter().map(|(front, codegen, waits, links)| {
                let waits: Vec<Dependency> = waits
                    .iter()
                    .map(|&(on, is_end)| if is_end { end(on) } else { metadata(on) })
                    .collect();
                Job { links: *links, ..job("x", [*front, *codegen], &waits) }
            }).collect();
            let graph = Graph::new(jobs, Gaps::default());
            let schedule = simulate(&graph, cores);
            prop_assert!(schedule.wall_us >= critical_path(&graph).length_us);
            prop_assert!(schedule.wall_us * u64::from(cores) >= graph.work_us());
            for (index, job) in graph.jobs().iter().enumerate() {
                let slot = schedule.slots[index];
                prop_assert_eq!(slot.end_us - slot.start_us, job.parts.total_us());
                for dependency in &job.dependencies {
                    let other = schedule.slots[dependency.on];
                    let reached = match dependency.needs {
                        Needs::End => other.end_us,
                        Needs::Metadata => {
                            other.start_us + graph.jobs()[dependency.on].parts.until_metadata_us()
                        }
                    };
                    prop_assert!(slot.start_us >= reached);
                }
                let at_once = schedule
                    .slots
                    .iter()
                    .filter(|other| other.start_us <= slot.start_us && slot.start_us < other.end_us);
                prop_assert!(at_once.count() <= cores as usize);
            }
        }
    }
}
