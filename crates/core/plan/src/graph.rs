//! The jobs of a run and who waits for whom.

use rekindle_events::UnitOptions;

use crate::bits::Bits;

/// More jobs than this are left out, and counted: the sets of who needs whom grow with the square.
const JOBS_MAX: usize = 20_000;

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobFate {
    /// Restored from the store; of a build script: replayed.
    Hit,
    /// Compiled or run, and stored.
    Miss,
    /// Compiled or run, and not stored.
    Uncacheable,
}

/// The parts of a job's time, one after the other, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Of Rekindle before the compiler: looking up, filling placeholders. Of a hit: all of it.
    pub before_us: u64,
    /// Of the compiler until metadata is there; dependents that do not link start then. Of a unit that
    /// announces none: all but linking. Of a build script: its run.
    pub front_us: u64,
    /// From metadata to the end of the compiler, without linking.
    pub codegen_us: u64,
    /// Linking.
    pub link_us: u64,
    /// Of Rekindle after the compiler: storing.
    pub after_us: u64,
}

impl Parts {
    /// From its start until dependents that need only metadata can start, in microseconds.
    #[must_use]
    pub const fn until_metadata_us(&self) -> u64 {
        self.before_us.saturating_add(self.front_us)
    }

    /// From its start to its end, in microseconds.
    #[must_use]
    pub const fn total_us(&self) -> u64 {
        self.until_metadata_us()
            .saturating_add(self.codegen_us)
            .saturating_add(self.link_us)
            .saturating_add(self.after_us)
    }

    /// Of that, inside the compiler and what it starts, in microseconds.
    #[must_use]
    pub const fn compile_us(&self) -> u64 {
        self.front_us
            .saturating_add(self.codegen_us)
            .saturating_add(self.link_us)
    }
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Needs {
    /// Until the other's metadata is there.
    Metadata,
    /// Until the other has ended.
    End,
}

/// One job waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dependency {
    /// The other: its index among the jobs.
    pub on: usize,
    /// Until when.
    pub needs: Needs,
    /// Whether the job names it itself; else it needs its code only because a linker wants everything.
    pub is_direct: bool,
}

/// A unit, or a run of a build script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Crate, as in `build_script_build`; empty for runs of build scripts.
    pub crate_name: String,
    /// Kind of unit: a crate type, or `test`, `check`, `build-script`; `run-build-script` for such a run.
    pub kind: String,
    /// Tells jobs of one name apart.
    pub id: String,
    /// What became of it.
    pub fate: JobFate,
    /// When it began, in microseconds after the first job of the run.
    pub started_us: u64,
    /// Its time.
    pub parts: Parts,
    /// Whether the compiler announced metadata, so that front and codegen are told apart.
    pub is_divided: bool,
    /// Whether it needs the code of everything behind it.
    pub links: bool,
    /// The linker that made its output, where that is known.
    pub linker: Option<String>,
    /// What its profile came to.
    pub options: UnitOptions,
    /// What it waits for.
    pub dependencies: Vec<Dependency>,
}

impl Job {
    /// The kind of a build script's run.
    pub const RUN: &'static str = "run-build-script";

    /// Whether it is a build script's run.
    #[must_use]
    pub fn is_run(&self) -> bool {
        self.kind == Self::RUN
    }

    /// When it ended, in microseconds after the first job of the run.
    #[must_use]
    pub const fn ended_us(&self) -> u64 {
        self.started_us.saturating_add(self.parts.total_us())
    }

    /// Its name for people, as in `serde 1.0.228 (lib)`.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = match self.kind.as_str() {
            Self::RUN => "run of its build script",
            "build-script" => "build script",
            kind => kind,
        };
        let version = if self.version.is_empty() {
            String::new()
        } else {
            format!(" {}", self.version)
        };
        let is_told = self.crate_name.is_empty()
            || self.kind == "build-script"
            || self.crate_name == self.package.replace('-', "_");
        if is_told {
            format!("{}{version} ({kind})", self.package)
        } else {
            format!("{}{version} ({kind} {})", self.package, self.crate_name)
        }
    }
}

/// What a graph does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Units that cargo found fresh: they took no time and are not among the jobs. `None` where cargo's
    /// output did not tell.
    pub fresh: Option<u64>,
    /// Files that units were given and that no job of the run made: of fresh units, or from outside.
    pub unmade_files: u64,
    /// Runs of build scripts that units were given the directory of, and that no event tells of: found
    /// fresh by cargo, or not started through the launcher.
    pub untold_runs: u64,
    /// Time that cargo says went into build scripts beyond what events tell of, in microseconds.
    pub untold_runs_us: u64,
    /// Units whose event is of a version that did not note what they were given.
    pub without_dependencies: u64,
    /// Waits that were left out since they went in a circle: the log is damaged.
    pub circles: u64,
    /// Jobs that were left out as there were too many.
    pub left_out: u64,
}

impl Gaps {
    /// Whether who waits for whom is not wholly known, fresh units apart.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.untold_runs_us > 0
            || self.without_dependencies > 0
            || self.circles > 0
            || self.left_out > 0
    }

    /// What a reader of the graph should know, as sentences without their full stop.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |number: u64, text: &str| {
            if number > 0 {
                notes.push(format!("{number} {text}"));
            }
        };
        note(
            self.fresh.unwrap_or(0),
            "units were fresh: cargo started nothing for them, so they are not in the graph",
        );
        note(
            self.untold_runs_us / 1000,
            "ms inside build scripts are not in the graph, as these did not start through rekindle",
        );
        note(
            self.without_dependencies,
            "units do not say what they waited for, as another version of rekindle recorded them",
        );
        note(self.circles, "waits went in a circle and were left out");
        note(self.left_out, "jobs were left out, as there are too many");
        notes
    }
}

/// The jobs of a run. Dependencies never go in circles, and every index is one of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    jobs: Vec<Job>,
    /// Dependencies before dependents.
    order: Vec<usize>,
    gaps: Gaps,
}

impl Graph {
    /// A graph of these jobs. Dependencies on jobs that are not there, and those that would close a
    /// circle, are left out; for jobs that link, what stands behind their dependencies is added.
    #[must_use]
    pub fn new(mut jobs: Vec<Job>, mut gaps: Gaps) -> Self {
        gaps.left_out += jobs.len().saturating_sub(JOBS_MAX) as u64;
        jobs.truncate(JOBS_MAX);
        let number = jobs.len();
        for (index, job) in jobs.iter_mut().enumerate() {
            job.dependencies
                .retain(|dependency| dependency.on < number && dependency.on != index);
            job.dependencies.sort_unstable_by_key(|dependency| {
                (dependency.on, std::cmp::Reverse(dependency.needs))
            });
            job.dependencies.dedup_by_key(|dependency| dependency.on);
        }
        let order = sort(&mut jobs, &mut gaps);
        add_closures(&mut jobs, &order);
        Self { jobs, order, gaps }
    }

    /// The jobs.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// The indices of all jobs, dependencies before dependents.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// What it does not know.
    #[must_use]
    pub const fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// From the start of the first job to the end of the last, in microseconds.
    #[must_use]
    pub fn span_us(&self) -> u64 {
        let first = self.jobs.iter().map(|job| job.started_us).min();
        let last = self.jobs.iter().map(Job::ended_us).max();
        last.unwrap_or(0).saturating_sub(first.unwrap_or(0))
    }

    /// The most jobs that ran at one time: what a machine of unknown size had at least.
    #[must_use]
    pub fn most_at_once(&self) -> u32 {
        let mut changes: Vec<(u64, i32)> = Vec::new();
        for job in &self.jobs {
            changes.push((job.started_us, 1));
            changes.push((job.ended_us(), -1));
        }
        changes.sort_unstable();
        let mut running = 0;
        let mut most = 0;
        for (_, change) in changes {
            running += change;
            most = most.max(running);
        }
        most.unsigned_abs()
    }

    /// The time of all jobs, added up, in microseconds.
    #[must_use]
    pub fn work_us(&self) -> u64 {
        let totals = self.jobs.iter().map(|job| job.parts.total_us());
        totals.fold(0, u64::saturating_add)
    }

    /// The same jobs with other times.
    #[must_use]
    pub fn with_parts(&self, mut parts: impl FnMut(&Job) -> Parts) -> Self {
        let mut other = self.clone();
        for job in &mut other.jobs {
            job.parts = parts(job);
        }
        other
    }

    /// How many jobs need each job, however far away: cargo starts what most wait for.
    #[must_use]
    pub fn dependents(&self) -> Vec<usize> {
        let mut behind: Vec<Bits> = self
            .jobs
            .iter()
            .map(|_| Bits::new(self.jobs.len()))
            .collect();
        for &index in self.order.iter().rev() {
            let own = std::mem::replace(&mut behind[index], Bits::new(0));
            for dependency in &self.jobs[index].dependencies {
                let set = &mut behind[dependency.on];
                set.unite(&own);
                set.insert(index);
            }
            behind[index] = own;
        }
        behind.iter().map(Bits::count).collect()
    }
}

/// The jobs with dependencies first; waits in circles are removed.
fn sort(jobs: &mut [Job], gaps: &mut Gaps) -> Vec<usize> {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    let mut open: Vec<usize> = jobs.iter().map(|job| job.dependencies.len()).collect();
    for (index, job) in jobs.iter().enumerate() {
        for dependency in &job.dependencies {
            dependents[dependency.on].push(index);
        }
    }
    let mut is_sorted = vec![false; jobs.len()];
    let mut order = Vec::with_capacity(jobs.len());
    let mut ready: Vec<usize> = (0..jobs.len()).rev().filter(|&at| open[at] == 0).collect();
    let mut next = 0;
    loop {
        while let Some(index) = ready.pop() {
            is_sorted[index] = true;
            order.push(index);
            for &dependent in dependents[index].iter().rev() {
                open[dependent] -= 1;
                if open[dependent] == 0 && !is_sorted[dependent] {
                    ready.push(dependent);
                }
            }
        }
        while next < jobs.len() && is_sorted[next] {
            next += 1;
        }
        if next == jobs.len() {
            return order;
        }
        // In a circle, or behind one. The wait for what is not sorted yet goes.
        let dependencies = &mut jobs[next].dependencies;
        let before = dependencies.len();
        dependencies.retain(|dependency| is_sorted[dependency.on]);
        gaps.circles += (before - dependencies.len()) as u64;
        for list in &mut dependents {
            list.retain(|&dependent| dependent != next);
        }
        open[next] = 0;
        ready.push(next);
    }
}

/// What links needs the code of everything behind it, as cargo has it.
fn add_closures(jobs: &mut [Job], order: &[usize]) {
    for &index in order {
        if !jobs[index].links {
            continue;
        }
        let mut seen = Bits::new(jobs.len());
        let mut pending: Vec<usize> = Vec::new();
        for dependency in &jobs[index].dependencies {
            seen.insert(dependency.on);
            pending.push(dependency.on);
        }
        let mut more = Vec::new();
        while let Some(at) = pending.pop() {
            for dependency in &jobs[at].dependencies {
                if !seen.contains(dependency.on) {
                    seen.insert(dependency.on);
                    pending.push(dependency.on);
                    more.push(Dependency {
                        on: dependency.on,
                        needs: Needs::End,
                        is_direct: false,
                    });
                }
            }
        }
        let job = &mut jobs[index];
        for dependency in &mut job.dependencies {
            dependency.needs = Needs::End;
        }
        job.dependencies.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{end, job, metadata};

    #[test]
    fn what_links_waits_for_everything_behind_it() {
        let graph = Graph::new(
            vec![
                job("a", [1, 2], &[]),
                job("b", [1, 1], &[metadata(0)]),
                Job {
                    links: true,
                    ..job("app", [1, 0], &[metadata(1)])
                },
            ],
            Gaps::default(),
        );
        let waits = &graph.jobs()[2].dependencies;
        assert_eq!(
            waits[0],
            Dependency {
                needs: Needs::End,
                ..metadata(1)
            }
        );
        assert_eq!(
            waits[1],
            Dependency {
                is_direct: false,
                ..end(0)
            }
        );
        assert_eq!(graph.dependents(), [2, 1, 0]);
        assert_eq!(graph.order(), [0, 1, 2]);
    }

    #[test]
    fn circles_are_cut_and_counted() {
        let graph = Graph::new(
            vec![
                job("a", [1, 0], &[metadata(1), metadata(9)]),
                job("b", [1, 0], &[metadata(0), metadata(1)]),
            ],
            Gaps::default(),
        );
        assert_eq!(graph.gaps().circles, 1);
        assert_eq!(graph.order(), [0, 1]);
        assert!(graph.gaps().is_partial());
    }

    #[test]
    fn of_two_waits_for_one_job_the_longer_stays() {
        let graph = Graph::new(
            vec![
                job("a", [1, 5], &[]),
                job("b", [1, 0], &[metadata(0), end(0)]),
            ],
            Gaps::default(),
        );
        assert_eq!(graph.jobs()[1].dependencies, [end(0)]);
    }

    proptest! {
        #[test]
        fn every_order_has_dependencies_first(
            waits in prop::collection::vec(prop::collection::vec((0usize..14, any::<bool>()), 0..5), 0..12)
        ) {
            let jobs: Vec<Job> = waits.iter().map(|waits| {
                let waits: Vec<Dependency> = waits
                    .iter()
                    .map(|&(on, is_end)| if is_end { end(on) } else { metadata(on) })
                    .collect();
                Job { links: waits.len() > 3, ..job("x", [1, 1], &waits) }
            }).collect();
            let graph = Graph::new(jobs, Gaps::default());
            let mut place = vec![usize::MAX; waits.len()];
            for (at, &index) in graph.order().iter().enumerate() {
                place[index] = at;
            }
            for (index, job) in graph.jobs().iter().enumerate() {
                prop_assert!(place[index] != usize::MAX);
                for dependency in &job.dependencies {
                    prop_assert!(place[dependency.on] < place[index]);
                }
            }
        }
    }
}
