//! What a project's rows come to.

use std::collections::BTreeMap;

use crate::model::{Job, Run, rate};
use crate::regress::{self, Regression};

/// Which rows count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this branch.
    pub branch: Option<String>,
    /// Only this subcommand of cargo's.
    pub command: Option<String>,
    /// Only what began then or later: milliseconds since 1970.
    pub since_ms: Option<u64>,
}

impl Filter {
    fn takes(&self, branch: Option<&str>, at_ms: u64) -> bool {
        self.since_ms.is_none_or(|since| at_ms >= since)
            && self
                .branch
                .as_deref()
                .is_none_or(|wanted| branch == Some(wanted))
    }

    fn takes_run(&self, run: &Run) -> bool {
        let command = self.command.as_ref();
        self.takes(run.branch.as_deref(), run.began_ms)
            && command.is_none_or(|wanted| *wanted == run.command)
    }
}

/// Of times in milliseconds, by nearest rank: the smallest that at least so many per cent do not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// The median.
    pub p50_ms: u64,
    /// Nine of ten are no longer.
    pub p90_ms: u64,
    /// Nineteen of twenty are no longer.
    pub p95_ms: u64,
}

impl Percentiles {
    /// Of these times; `None` of none.
    #[must_use]
    pub fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let rank = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied()
        };
        Some(Self {
            p50_ms: rank(50)?,
            p90_ms: rank(90)?,
            p95_ms: rank(95)?,
        })
    }
}

/// The runs of one command on one branch, in one job.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// cargo's subcommand.
    pub command: String,
    /// Branch.
    pub branch: Option<String>,
    /// The CI service's name of the job.
    pub job: Option<String>,
    /// How many runs.
    pub runs: u64,
    /// Of these, with an exit code other than 0: their times and rates are in no figure below.
    pub failed: u64,
    /// Wall time of cargo.
    pub wall: Option<Percentiles>,
    /// Hits among the units that a store can serve, in per cent, over all runs.
    pub hit_rate: Option<f64>,
    /// Linking of the time inside compilers, in per cent, over all runs.
    pub link_share: Option<f64>,
    /// Bytes placed on hits, and in the place of placeholders.
    pub bytes_in: u64,
    /// Bytes stored.
    pub bytes_out: u64,
    /// What the restored had taken when it was stored, in milliseconds.
    pub saved_ms: u64,
}

/// The runs of one job of a CI service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobGroup {
    /// Workflow.
    pub workflow: String,
    /// Job.
    pub name: String,
    /// How many.
    pub jobs: u64,
    /// Of these, that did not succeed; they count for the queue, not for times.
    pub failed: u64,
    /// From being asked for to being taken by a runner.
    pub queue: Option<Percentiles>,
    /// From being taken to the end.
    pub run: Option<Percentiles>,
    /// Its steps, the longest median first.
    pub steps: Vec<StepGroup>,
}

/// One step of a job, over its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepGroup {
    /// Name.
    pub name: String,
    /// How often.
    pub times: u64,
    /// Wall time.
    pub time: Percentiles,
}

/// What a project's rows come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// The rows that count, the oldest first.
    pub runs: Vec<Run>,
    /// By command, branch and job; those with most runs first.
    pub groups: Vec<Group>,
    /// What got worse and still is, by the rule in [`regress`].
    pub regressions: Vec<Regression>,
    /// Jobs of a CI service; the longest first.
    pub jobs: Vec<JobGroup>,
}

/// What tells series apart.
pub(crate) type Series<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// The series that a run belongs to.
pub(crate) fn series(run: &Run) -> Series<'_> {
    (&run.command, run.branch.as_deref(), run.job.as_deref())
}

/// Runs by series, the oldest first.
pub(crate) fn by_series(runs: &[Run]) -> BTreeMap<Series<'_>, Vec<&Run>> {
    let mut all: BTreeMap<Series<'_>, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        all.entry(series(run)).or_default().push(run);
    }
    all
}

impl Overview {
    /// Folds rows, which are ordered by time.
    #[must_use]
    pub fn of(runs: Vec<Run>, jobs: &[Job], filter: &Filter) -> Self {
        let mut runs = runs;
        runs.retain(|run| filter.takes_run(run));
        let mut groups: Vec<Group> = by_series(&runs)
            .iter()
            .map(|(series, runs)| Group::of(series, runs))
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.runs));
        Self {
            groups,
            regressions: regress::find(&runs),
            jobs: job_groups(jobs, filter),
            runs,
        }
    }
}

impl Group {
    fn of(series: &Series<'_>, runs: &[&Run]) -> Self {
        let (command, branch, job) = series;
        let good: Vec<&&Run> = runs.iter().filter(|run| run.exit_code == 0).collect();
        let sum = |figure: fn(&Run) -> u64| {
            good.iter()
                .map(|run| figure(run))
                .fold(0, u64::saturating_add)
        };
        let hits = sum(|run| run.hits);
        Self {
            command: (*command).to_owned(),
            branch: branch.map(str::to_owned),
            job: job.map(str::to_owned),
            runs: runs.len() as u64,
            failed: (runs.len() - good.len()) as u64,
            wall: Percentiles::of(good.iter().map(|run| run.wall_ms).collect()),
            hit_rate: rate(hits, hits.saturating_add(sum(|run| run.misses))),
            link_share: rate(sum(|run| run.link_ms), sum(|run| run.compile_ms)),
            bytes_in: sum(|run| run.restored_bytes.saturating_add(run.materialised_bytes)),
            bytes_out: sum(|run| run.published_bytes),
            saved_ms: sum(|run| run.saved_ms),
        }
    }
}

fn job_groups(jobs: &[Job], filter: &Filter) -> Vec<JobGroup> {
    let mut all: BTreeMap<(&str, &str), Vec<&Job>> = BTreeMap::new();
    let counted = jobs
        .iter()
        .filter(|job| filter.takes(job.branch.as_deref(), job.created_ms));
    for job in counted {
        all.entry((&job.workflow, &job.name)).or_default().push(job);
    }
    let mut groups: Vec<JobGroup> = all
        .iter()
        .map(|((workflow, name), jobs)| job_group(workflow, name, jobs))
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.run.map(|run| run.p50_ms)));
    groups
}

fn job_group(workflow: &str, name: &str, jobs: &[&Job]) -> JobGroup {
    let good: Vec<&&Job> = jobs
        .iter()
        .filter(|job| job.conclusion == "success")
        .collect();
    let mut steps: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for job in &good {
        for step in job.steps.iter().filter(|step| step.conclusion == "success") {
            steps.entry(&step.name).or_default().push(step.time_ms);
        }
    }
    let steps = steps.into_iter().filter_map(|(name, times)| {
        Some(StepGroup {
            name: name.to_owned(),
            times: times.len() as u64,
            time: Percentiles::of(times)?,
        })
    });
    let mut steps: Vec<StepGroup> = steps.collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.time.p50_ms));
    JobGroup {
        workflow: workflow.to_owned(),
        name: name.to_owned(),
        jobs: jobs.len() as u64,
        failed: (jobs.len() - good.len()) as u64,
        queue: Percentiles::of(jobs.iter().map(|job| job.queue_ms()).collect()),
        run: Percentiles::of(good.iter().map(|job| job.run_ms()).collect()),
        steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{job, run};

    #[test]
    fn percentiles_are_nearest_ranks() {
        let of = |times: &[u64]| {
            Percentiles::of(times.to_vec()).map(|all| [all.p50_ms, all.p90_ms, all.p95_ms])
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some([7, 7, 7]));
        assert_eq!(of(&(1..=100).rev().collect::<Vec<_>>()), Some([50, 90, 95]));
        assert_eq!(of(&[1, 2, 3]), Some([2, 3, 3]));
    }

    #[test]
    fn failed_runs_are_counted_and_in_no_figure() {
        let mut failed = run(3);
        failed.exit_code = 101;
        failed.wall_ms = 1;
        failed.hits = 1_000;
        let overview = Overview::of(vec![run(1), run(2), failed], &[], &Filter::default());
        let group = &overview.groups[0];
        assert_eq!((group.runs, group.failed), (3, 1));
        assert_eq!(group.wall.unwrap().p50_ms, 10_000);
        assert_eq!(group.hit_rate, Some(75.0));
        assert_eq!(group.link_share, Some(25.0));
        assert_eq!(group.bytes_in, 10_000_020);
    }

    #[test]
    fn filters_leave_out() {
        let mut other = run(2);
        other.branch = Some("topic".into());
        let mut test = run(3);
        test.command = "test".into();
        let all = vec![run(1), other, test];
        let check = |filter: Filter, groups: usize, jobs: usize| {
            let overview = Overview::of(all.clone(), &[job(1), job(2)], &filter);
            assert_eq!(overview.groups.len(), groups, "{filter:?}");
            let found: u64 = overview.jobs.iter().map(|group| group.jobs).sum();
            assert_eq!(found, jobs as u64, "{filter:?}");
        };
        check(Filter::default(), 3, 2);
        let branch = Some("main".to_owned());
        check(
            Filter {
                branch,
                ..Filter::default()
            },
            2,
            2,
        );
        let command = Some("test".to_owned());
        check(
            Filter {
                command,
                ..Filter::default()
            },
            1,
            2,
        );
        let since_ms = Some(run(2).began_ms);
        check(
            Filter {
                since_ms,
                ..Filter::default()
            },
            2,
            1,
        );
    }

    #[test]
    fn jobs_tell_their_queue_their_time_and_their_steps() {
        let mut failed = job(2);
        failed.conclusion = "failure".into();
        failed.started_ms += 10_000;
        let overview = Overview::of(Vec::new(), &[job(1), failed], &Filter::default());
        let group = &overview.jobs[0];
        assert_eq!((group.jobs, group.failed), (2, 1));
        assert_eq!(group.queue.unwrap().p95_ms, 15_000);
        assert_eq!(group.run.unwrap().p50_ms, 60_000);
        assert_eq!(group.steps[0].time.p50_ms, 50_000);
    }
}
