//! Jobs from the JSON of GitHub's API: `GET /repos/{owner}/{repo}/actions/runs` and `…/runs/{id}/jobs`.
//!
//! A file may hold several documents one after the other, as `gh api --paginate` writes them. The answers
//! about runs have no jobs in them; they say to which workflow and branch a run's jobs belong, where the jobs
//! do not say so themselves, so the order of files does not matter. Jobs that have not ended are left out.
//! Fields: <https://docs.github.com/en/rest/actions/workflow-jobs>.

use std::collections::HashMap;

use rekindle_base::{ErrorKind, parse_utc};
use serde::Deserialize;

use crate::model::{Job, JobStep};

/// Files larger than this are not read, in bytes.
pub const FILE_MAX_BYTES: u64 = 256 << 20;

/// A file that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is no JSON.
    #[error("`{name}` is no JSON: {error}; save the API's answer as it comes")]
    NotJson {
        /// The file.
        name: String,
        /// What is wrong with it.
        #[source]
        error: serde_json::Error,
    },
    /// It is something else.
    #[error(
        "`{name}` holds neither `workflow_runs` nor `jobs`; save the answer of `/repos/OWNER/REPO/actions/runs` or `…/runs/ID/jobs`"
    )]
    NotAnAnswer {
        /// The file.
        name: String,
    },
}

impl ImportError {
    /// Whose fault it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }
}

/// What files held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Jobs that have ended.
    pub jobs: Vec<Job>,
    /// Jobs that have not, or without times.
    pub left_out: u64,
    /// Runs that are named, with or without their jobs.
    pub runs: u64,
}

#[derive(Deserialize)]
struct Answer {
    workflow_runs: Option<Vec<ApiRun>>,
    jobs: Option<Vec<ApiJob>>,
}

#[derive(Deserialize)]
struct ApiRun {
    id: u64,
    name: Option<String>,
    head_branch: Option<String>,
    head_sha: Option<String>,
    repository: Option<ApiRepository>,
}

#[derive(Deserialize)]
struct ApiRepository {
    full_name: Option<String>,
}

#[derive(Deserialize)]
struct ApiJob {
    id: u64,
    run_id: u64,
    run_url: Option<String>,
    workflow_name: Option<String>,
    head_branch: Option<String>,
    head_sha: Option<String>,
    name: String,
    conclusion: Option<String>,
    created_at: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    steps: Vec<ApiStep>,
}

#[derive(Deserialize)]
struct ApiStep {
    name: String,
    conclusion: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
}

/// Reads files, each with its name. `project` is whose history they go to.
///
/// # Errors
/// [`ImportError`] of the first file that cannot be taken.
pub fn read<'a>(
    project: &str,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Imported, ImportError> {
    let mut runs: HashMap<u64, ApiRun> = HashMap::new();
    let mut jobs: Vec<ApiJob> = Vec::new();
    for (name, bytes) in files {
        let mut documents = 0;
        for answer in serde_json::Deserializer::from_slice(bytes).into_iter::<Answer>() {
            let answer = answer.map_err(|error| ImportError::NotJson {
                name: name.to_owned(),
                error,
            })?;
            if answer.workflow_runs.is_none() && answer.jobs.is_none() {
                return Err(not_an_answer(name));
            }
            documents += 1;
            let found = answer.workflow_runs.into_iter().flatten();
            runs.extend(found.map(|run| (run.id, run)));
            jobs.extend(answer.jobs.into_iter().flatten());
        }
        if documents == 0 {
            return Err(not_an_answer(name));
        }
    }
    let mut imported = Imported {
        runs: runs.len() as u64,
        ..Imported::default()
    };
    for job in jobs {
        match made(project, &job, runs.get(&job.run_id)) {
            Some(job) => imported.jobs.push(job),
            None => imported.left_out += 1,
        }
    }
    Ok(imported)
}

fn not_an_answer(name: &str) -> ImportError {
    ImportError::NotAnAnswer {
        name: name.to_owned(),
    }
}

fn time(text: Option<&String>) -> Option<u64> {
    parse_utc(text?)
}

/// The repository in `https://api.github.com/repos/OWNER/REPO/actions/runs/1`.
fn repository(url: &str) -> Option<String> {
    let mut parts = url.split_once("/repos/")?.1.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}

fn made(project: &str, job: &ApiJob, run: Option<&ApiRun>) -> Option<Job> {
    let started_ms = time(job.started_at.as_ref())?;
    let completed_ms = time(job.completed_at.as_ref())?;
    // Of a job that was skipped or cancelled before it started nothing can be learned.
    let conclusion = job.conclusion.clone()?;
    if conclusion == "skipped" {
        return None;
    }
    let of_run = |text: fn(&ApiRun) -> Option<&String>| run.and_then(text).cloned();
    let repository = job
        .run_url
        .as_deref()
        .and_then(repository)
        .or_else(|| of_run(|run| run.repository.as_ref()?.full_name.as_ref()))
        .unwrap_or_default();
    Some(Job {
        uid: format!("github:{repository}:{}", job.id),
        project: project.to_owned(),
        workflow: job
            .workflow_name
            .clone()
            .or_else(|| of_run(|run| run.name.as_ref()))
            .unwrap_or_default(),
        repository,
        name: job.name.clone(),
        branch: job
            .head_branch
            .clone()
            .or_else(|| of_run(|run| run.head_branch.as_ref())),
        commit: job
            .head_sha
            .clone()
            .or_else(|| of_run(|run| run.head_sha.as_ref())),
        created_ms: time(job.created_at.as_ref()).unwrap_or(started_ms),
        started_ms,
        completed_ms,
        conclusion,
        labels: job.labels.join(" "),
        steps: job.steps.iter().filter_map(step).collect(),
    })
}

fn step(step: &ApiStep) -> Option<JobStep> {
    let started_ms = time(step.started_at.as_ref())?;
    let completed_ms = time(step.completed_at.as_ref())?;
    Some(JobStep {
        name: step.name.clone(),
        conclusion: step.conclusion.clone().unwrap_or_default(),
        time_ms: completed_ms.saturating_sub(started_ms),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::PROJECT;

    const RUNS: &str = r#"{"total_count": 1, "workflow_runs": [{"id": 7, "name": "CI", "head_branch":
        "main", "head_sha": "abc", "event": "push", "repository": {"full_name": "o/r"}}]}"#;

    const JOBS: &str = r#"{"total_count": 3, "jobs": [
        {"id": 1, "run_id": 7, "name": "test", "status": "completed", "conclusion": "success",
         "run_url": "https://api.github.com/repos/o/r/actions/runs/7",
         "created_at": "2026-11-26T10:00:00Z", "started_at": "2026-11-26T10:00:12Z",
         "completed_at": "2026-11-26T10:03:12Z", "labels": ["self-hosted", "linux"],
         "steps": [{"name": "build", "number": 1, "conclusion": "success",
                    "started_at": "2026-11-26T10:00:20Z", "completed_at": "2026-11-26T10:02:50Z"},
                   {"name": "post", "number": 2, "conclusion": null,
                    "started_at": null, "completed_at": null}]},
        {"id": 2, "run_id": 7, "name": "lint", "status": "in_progress", "conclusion": null,
         "started_at": "2026-11-26T10:00:12Z", "completed_at": null},
        {"id": 3, "run_id": 7, "name": "publish", "status": "completed", "conclusion": "skipped",
         "started_at": "2026-11-26T10:00:12Z", "completed_at": "2026-11-26T10:00:12Z"}]}"#;

    fn check(files: &[&str]) {
        let files = files.iter().map(|text| ("x.json", text.as_bytes()));
        let imported = read(PROJECT, files).unwrap();
        assert_eq!((imported.runs, imported.left_out), (1, 2));
        let job = &imported.jobs[0];
        assert_eq!(job.uid, "github:o/r:1");
        assert_eq!(job.workflow, "CI");
        assert_eq!(job.branch.as_deref(), Some("main"));
        assert_eq!((job.queue_ms(), job.run_ms()), (12_000, 180_000));
        assert_eq!(job.labels, "self-hosted linux");
        assert_eq!(job.steps.len(), 1);
        assert_eq!(job.steps[0].time_ms, 150_000);
    }

    #[test]
    fn jobs_are_read_in_any_order_and_from_one_file_or_several() {
        check(&[RUNS, JOBS]);
        check(&[JOBS, RUNS]);
        check(&[&format!("{RUNS}\n{JOBS}")]);
    }

    #[test]
    fn something_else_is_refused() {
        let error = |text: &str| {
            let error = read(PROJECT, [("x.json", text.as_bytes())]).unwrap_err();
            error.to_string()
        };
        assert!(error("{").contains("no JSON"));
        assert!(error("{\"message\": \"Not Found\"}").contains("neither"));
        assert!(error("").contains("neither"));
        assert!(error("[1]").contains("no JSON"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(PROJECT, [("x", bytes.as_slice())]);
        }
    }
}
