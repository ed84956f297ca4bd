//! What is kept.

use rekindle_base::{DigestHasher, is_hex};
use serde::{Deserialize, Serialize};

/// Texts longer than this are cut before they are kept, in bytes.
const TEXT_MAX: usize = 200;

/// One run of a `rekindle` command that built something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Tells runs apart, on whatever machine they were: see [`Run::name`].
    pub uid: String,
    /// Digest of where the project's repository comes from and of the workspace's place in it, in hex.
    pub project: String,
    /// When it began: milliseconds since 1970.
    pub began_ms: u64,
    /// Branch; of a pull request's merge what its run is called, as in `12/merge`.
    pub branch: Option<String>,
    /// Commit, in hex.
    pub commit: Option<String>,
    /// cargo's subcommand.
    pub command: String,
    /// Wall time of cargo in milliseconds.
    pub wall_ms: u64,
    /// cargo's exit code.
    pub exit_code: i32,
    /// Units that cargo found fresh; none where its output does not tell.
    pub fresh: Option<u64>,
    /// Units restored from the store.
    pub hits: u64,
    /// Units compiled that a store could have served.
    pub misses: u64,
    /// Units compiled that no store can serve.
    pub uncacheable: u64,
    /// Time inside compilers in milliseconds, linking included, added up.
    pub compile_ms: u64,
    /// Time inside linkers in milliseconds, added up.
    pub link_ms: u64,
    /// Time inside build scripts in milliseconds, added up.
    pub script_ms: u64,
    /// What the restored had taken when it was stored, in milliseconds.
    pub saved_ms: u64,
    /// Bytes placed on hits.
    pub restored_bytes: u64,
    /// Bytes stored.
    pub published_bytes: u64,
    /// Bytes put in the place of placeholders.
    pub materialised_bytes: u64,
    /// Cores that cargo could use; 0 where that is not known.
    pub cores: u32,
    /// CI service, as in `github`.
    pub ci: Option<String>,
    /// Its name of the workflow.
    pub workflow: Option<String>,
    /// Its name of the job.
    pub job: Option<String>,
    /// What kind of runner that was, as in `ubuntu24 X64`.
    pub runner: Option<String>,
    /// Rekindle's version.
    pub rekindle: String,
}

impl Run {
    /// Names a run. `run` is the name of its directory, which holds time and process; `machine` tells machines
    /// apart, which born at the same time have processes of the same number.
    pub fn name(&mut self, run: &str, machine: &[u8]) {
        let mut hasher = DigestHasher::new();
        hasher
            .field(b"run")
            .field(self.project.as_bytes())
            .field(run.as_bytes())
            .field(machine)
            .field(self.commit.as_deref().unwrap_or_default().as_bytes())
            .field(self.job.as_deref().unwrap_or_default().as_bytes());
        self.uid = hasher.finish().to_hex()[..UID_LENGTH].to_owned();
    }

    /// Hits among the units that a store can serve, in per cent.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        rate(self.hits, self.hits.saturating_add(self.misses))
    }

    /// Linking of the time inside compilers, in per cent.
    #[must_use]
    pub fn link_share(&self) -> Option<f64> {
        rate(self.link_ms, self.compile_ms)
    }

    /// Cuts texts that are too long; whether it is a run that may be kept.
    pub(crate) fn tidy(&mut self) -> bool {
        cut(&mut self.command);
        cut(&mut self.rekindle);
        for text in [
            &mut self.branch,
            &mut self.commit,
            &mut self.ci,
            &mut self.workflow,
            &mut self.job,
            &mut self.runner,
        ] {
            text.iter_mut().for_each(cut);
        }
        let numbers = [
            self.began_ms,
            self.wall_ms,
            self.fresh.unwrap_or(0),
            self.hits,
            self.misses,
            self.uncacheable,
            self.compile_ms,
            self.link_ms,
            self.script_ms,
            self.saved_ms,
            self.restored_bytes,
            self.published_bytes,
            self.materialised_bytes,
        ];
        is_hex(&self.uid, UID_LENGTH)
            && is_hex(&self.project, PROJECT_LENGTH)
            && numbers.iter().all(|number| *number <= NUMBER_MAX)
    }
}

/// A job of a CI service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Tells jobs apart: service, repository, number.
    pub uid: String,
    /// As of [`Run::project`].
    pub project: String,
    /// Owner and name.
    pub repository: String,
    /// Workflow.
    pub workflow: String,
    /// Job.
    pub name: String,
    /// Branch.
    pub branch: Option<String>,
    /// Commit, in hex.
    pub commit: Option<String>,
    /// When it was asked for: milliseconds since 1970.
    pub created_ms: u64,
    /// When a runner took it.
    pub started_ms: u64,
    /// When it ended.
    pub completed_ms: u64,
    /// How it ended, as in `success`.
    pub conclusion: String,
    /// What runner was asked for: labels, separated by spaces.
    pub labels: String,
    /// Its steps.
    pub steps: Vec<JobStep>,
}

/// A step of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobStep {
    /// Name.
    pub name: String,
    /// How it ended.
    pub conclusion: String,
    /// Wall time in milliseconds; the service counts whole seconds.
    pub time_ms: u64,
}

/// More steps than this are left out.
const STEPS_MAX: usize = 100;

impl Job {
    /// From being asked for to being taken by a runner, in milliseconds.
    #[must_use]
    pub const fn queue_ms(&self) -> u64 {
        self.started_ms.saturating_sub(self.created_ms)
    }

    /// From being taken to its end, in milliseconds.
    #[must_use]
    pub const fn run_ms(&self) -> u64 {
        self.completed_ms.saturating_sub(self.started_ms)
    }

    /// Cuts texts that are too long; whether it is a job that may be kept.
    pub(crate) fn tidy(&mut self) -> bool {
        self.steps.truncate(STEPS_MAX);
        for text in [
            &mut self.repository,
            &mut self.workflow,
            &mut self.name,
            &mut self.conclusion,
            &mut self.labels,
        ] {
            cut(text);
        }
        for text in [&mut self.branch, &mut self.commit] {
            text.iter_mut().for_each(cut);
        }
        for step in &mut self.steps {
            cut(&mut step.name);
            cut(&mut step.conclusion);
            step.time_ms = step.time_ms.min(NUMBER_MAX);
        }
        let times = [self.created_ms, self.started_ms, self.completed_ms];
        !self.uid.is_empty()
            && self.uid.len() <= TEXT_MAX
            && is_hex(&self.project, PROJECT_LENGTH)
            && times.iter().all(|time| *time > 0 && *time <= NUMBER_MAX)
    }
}

/// Digits of a run's name.
const UID_LENGTH: usize = 32;

/// Digits of a project's digest.
pub(crate) const PROJECT_LENGTH: usize = 64;

/// The database has signed numbers, and JSON's readers have doubles.
const NUMBER_MAX: u64 = 1 << 53;

fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
    }
}

/// A share in per cent.
pub(crate) fn rate(part: u64, whole: u64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::run;

    #[test]
    fn names_tell_machines_and_jobs_apart() {
        let name = |machine: &[u8], job: &str| {
            let mut run = run(1);
            run.job = Some(job.to_owned());
            run.name("20261126T171737.322Z-786", machine);
            run.uid
        };
        assert_eq!(name(b"a", "x"), name(b"a", "x"));
        assert_ne!(name(b"a", "x"), name(b"b", "x"));
        assert_ne!(name(b"a", "x"), name(b"a", "y"));
    }

    #[test]
    fn what_is_not_sane_is_not_kept() {
        let check = |change: &dyn Fn(&mut Run), kept: bool| {
            let mut run = run(1);
            change(&mut run);
            assert_eq!(run.tidy(), kept, "{run:?}");
        };
        check(&|_| (), true);
        check(&|run| run.uid = "x".repeat(32), false);
        check(&|run| run.project.clear(), false);
        check(&|run| run.wall_ms = u64::MAX, false);
        let mut long = run(1);
        long.branch = Some("ä".repeat(500));
        assert!(long.tidy());
        assert_eq!(long.branch.unwrap().len(), TEXT_MAX);
    }
}
