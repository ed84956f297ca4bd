//! `rekindle history --format json`: types of their own, so that what is kept may change without them.

use serde::Serialize;

use crate::model::Run;
use crate::overview::{self, Overview};
use crate::regress::{AFTER, DEVIATIONS, Regression};

/// The version of the form.
pub const VERSION: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// Version of this form.
    pub version: u32,
    /// Runs by command, branch and job.
    pub groups: Vec<Group>,
    /// What got worse and still is.
    pub regressions: Vec<Worse>,
    /// Jobs of a CI service, as imported.
    pub jobs: Vec<Job>,
    /// The runs, the oldest first.
    pub runs: Vec<OneRun>,
}

/// Of times in milliseconds, by nearest rank.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: u64,
    /// Nine of ten are no longer.
    pub p90: u64,
    /// Nineteen of twenty are no longer.
    pub p95: u64,
}

/// The runs of one command on one branch, in one job.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// cargo's subcommand.
    pub command: String,
    /// Branch; `null` where git did not say.
    pub branch: Option<String>,
    /// The CI service's name of the job; `null` on a machine of a person's.
    pub job: Option<String>,
    /// How many runs.
    pub runs: u64,
    /// Of these, with an exit code other than 0; they are in no figure below.
    pub failed: u64,
    /// Wall time of cargo; `null` where all failed.
    pub wall_ms: Option<Percentiles>,
    /// Hits among the units that a store can serve, in per cent; `null` where there were none.
    pub hit_rate: Option<f64>,
    /// Linking of the time inside compilers, in per cent; `null` where nothing was compiled.
    pub link_share: Option<f64>,
    /// Bytes placed on hits and in the place of placeholders.
    pub bytes_in: u64,
    /// Bytes stored.
    pub bytes_out: u64,
    /// What the restored had taken when it was stored, in milliseconds.
    pub saved_ms: u64,
}

/// Something that got worse.
#[derive(Clone, Debug, Serialize)]
pub struct Worse {
    /// `wall_ms`, `link_ms` or `hit_rate` (in per cent).
    pub metric: &'static str,
    /// cargo's subcommand.
    pub command: String,
    /// Branch.
    pub branch: Option<String>,
    /// The CI service's name of the job.
    pub job: Option<String>,
    /// The median before.
    pub before: f64,
    /// How many runs that is of.
    pub before_runs: usize,
    /// How far these were from it: 1.4826 times the median absolute deviation.
    pub scatter: f64,
    /// The median of the newest runs.
    pub now: f64,
    /// How many runs that is of.
    pub now_runs: usize,
    /// How many times the scatter counts as too far.
    pub deviations: f64,
    /// When the first worse run began: milliseconds since 1970.
    pub since_ms: u64,
    /// Its commit.
    pub since_commit: Option<String>,
    /// The commit of the run before.
    pub last_good_commit: Option<String>,
}

/// The runs of one job of a CI service.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// Workflow.
    pub workflow: String,
    /// Job.
    pub name: String,
    /// How many.
    pub jobs: u64,
    /// Of these, that did not succeed.
    pub failed: u64,
    /// From being asked for to being taken by a runner.
    pub queue_ms: Option<Percentiles>,
    /// From being taken to the end, of those that succeeded.
    pub run_ms: Option<Percentiles>,
    /// Its steps, the longest median first.
    pub steps: Vec<Step>,
}

/// A step of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Name.
    pub name: String,
    /// How often it succeeded.
    pub times: u64,
    /// Wall time.
    pub time_ms: Percentiles,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct OneRun {
    /// When it began: milliseconds since 1970.
    pub began_ms: u64,
    /// Branch.
    pub branch: Option<String>,
    /// Commit.
    pub commit: Option<String>,
    /// cargo's subcommand.
    pub command: String,
    /// The CI service's name of the job.
    pub job: Option<String>,
    /// Wall time of cargo in milliseconds.
    pub wall_ms: u64,
    /// cargo's exit code.
    pub exit_code: i32,
    /// Units found fresh; `null` where cargo's output does not tell.
    pub fresh: Option<u64>,
    /// Units restored.
    pub hits: u64,
    /// Units compiled that a store could have served.
    pub misses: u64,
    /// Units compiled that no store can serve.
    pub uncacheable: u64,
    /// Time inside compilers in milliseconds, added up.
    pub compile_ms: u64,
    /// Time inside linkers in milliseconds, added up.
    pub link_ms: u64,
    /// Bytes placed on hits and in the place of placeholders.
    pub bytes_in: u64,
    /// Bytes stored.
    pub bytes_out: u64,
}

impl From<overview::Percentiles> for Percentiles {
    fn from(of: overview::Percentiles) -> Self {
        Self {
            p50: of.p50_ms,
            p90: of.p90_ms,
            p95: of.p95_ms,
        }
    }
}

impl From<&overview::Group> for Group {
    fn from(group: &overview::Group) -> Self {
        Self {
            command: group.command.clone(),
            branch: group.branch.clone(),
            job: group.job.clone(),
            runs: group.runs,
            failed: group.failed,
            wall_ms: group.wall.map(Into::into),
            hit_rate: group.hit_rate,
            link_share: group.link_share,
            bytes_in: group.bytes_in,
            bytes_out: group.bytes_out,
            saved_ms: group.saved_ms,
        }
    }
}

impl From<&Regression> for Worse {
    fn from(found: &Regression) -> Self {
        Self {
            metric: found.metric.word(),
            command: found.command.clone(),
            branch: found.branch.clone(),
            job: found.job.clone(),
            before: found.before,
            before_runs: found.before_runs,
            scatter: found.scatter,
            now: found.now,
            now_runs: AFTER,
            deviations: DEVIATIONS,
            since_ms: found.since_ms,
            since_commit: found.since_commit.clone(),
            last_good_commit: found.last_good_commit.clone(),
        }
    }
}

impl From<&overview::JobGroup> for Job {
    fn from(group: &overview::JobGroup) -> Self {
        let steps = group.steps.iter().map(|step| Step {
            name: step.name.clone(),
            times: step.times,
            time_ms: step.time.into(),
        });
        Self {
            workflow: group.workflow.clone(),
            name: group.name.clone(),
            jobs: group.jobs,
            failed: group.failed,
            queue_ms: group.queue.map(Into::into),
            run_ms: group.run.map(Into::into),
            steps: steps.collect(),
        }
    }
}

impl From<&Run> for OneRun {
    fn from(run: &Run) -> Self {
        Self {
            began_ms: run.began_ms,
            branch: run.branch.clone(),
            commit: run.commit.clone(),
            command: run.command.clone(),
            job: run.job.clone(),
            wall_ms: run.wall_ms,
            exit_code: run.exit_code,
            fresh: run.fresh,
            hits: run.hits,
            misses: run.misses,
            uncacheable: run.uncacheable,
            compile_ms: run.compile_ms,
            link_ms: run.link_ms,
            bytes_in: run.restored_bytes.saturating_add(run.materialised_bytes),
            bytes_out: run.published_bytes,
        }
    }
}

impl From<&Overview> for History {
    fn from(overview: &Overview) -> Self {
        Self {
            version: VERSION,
            groups: overview.groups.iter().map(Into::into).collect(),
            regressions: overview.regressions.iter().map(Into::into).collect(),
            jobs: overview.jobs.iter().map(Into::into).collect(),
            runs: overview.runs.iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{job, run};
    use crate::overview::Filter;

    #[test]
    fn the_form_is_fixed() {
        let overview = Overview::of(vec![run(1)], &[job(1)], &Filter::default());
        assert_eq!(
            serde_json::to_string(&History::from(&overview)).unwrap(),
            concat!(
                r#"{"version":1,"groups":[{"command":"build","branch":"main","job":"test","runs":1,"#,
                r#""failed":0,"wall_ms":{"p50":10000,"p90":10000,"p95":10000},"hit_rate":75.0,"#,
                r#""link_share":25.0,"bytes_in":5000010,"bytes_out":1000000,"saved_ms":60000}],"#,
                r#""regressions":[],"jobs":[{"workflow":"CI","name":"test","jobs":1,"failed":0,"#,
                r#""queue_ms":{"p50":5000,"p90":5000,"p95":5000},"#,
                r#""run_ms":{"p50":60000,"p90":60000,"p95":60000},"steps":[{"name":"build","times":1,"#,
                r#""time_ms":{"p50":50000,"p90":50000,"p95":50000}}]}],"#,
                r#""runs":[{"began_ms":1790000060000,"branch":"main","#,
                r#""commit":"0000000000000000000000000000000000000001","command":"build","job":"test","#,
                r#""wall_ms":10000,"exit_code":0,"fresh":7,"hits":30,"misses":10,"uncacheable":1,"#,
                r#""compile_ms":20000,"link_ms":5000,"bytes_in":5000010,"bytes_out":1000000}]}"#,
            )
        );
    }
}
