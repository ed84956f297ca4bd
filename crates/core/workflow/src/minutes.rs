//! How many minutes a finding costs, from recorded runs: what GitHub's API says of the jobs of some runs.
//!
//! Only for rules where the whole of a step, or of a job, would not be. Nothing is guessed for others.

use std::collections::BTreeMap;

use rekindle_base::parse_utc;
use serde_json::Value;

use crate::audit::Finding;
use crate::model::{Project, Step, Workflow};

/// What recorded runs say: seconds, by a job's name and a step's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    steps: BTreeMap<(String, String), Vec<u64>>,
    jobs: BTreeMap<String, Vec<u64>>,
}

/// Why a text is not what the API says of jobs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; give what `GET /repos/OWNER/REPO/actions/runs/RUN/jobs` answers, or a list of such answers"
)]
pub struct BadRuns(String);

/// Rules whose finding is a step that would not be.
const WHOLE_STEP: &[&str] = &[
    "tool-from-source",
    "apt-already-there",
    "apt-unused",
    "cache-on-self-hosted",
];

/// Rules whose finding is a job that would not be.
const WHOLE_JOB: &[&str] = &["duplicate-check-job", "serial-gate"];

impl Runs {
    /// Reads answers of the API. Steps and jobs that did not end are left out.
    ///
    /// # Errors
    ///
    /// Text that is no JSON, or has no `jobs`.
    pub fn parse(text: &str) -> Result<Self, BadRuns> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| BadRuns(error.to_string()))?;
        let answers = value
            .as_array()
            .map_or_else(|| std::slice::from_ref(&value), Vec::as_slice);
        let mut runs = Self::default();
        for answer in answers {
            let jobs = answer
                .get("jobs")
                .and_then(Value::as_array)
                .ok_or_else(|| BadRuns("there are no `jobs`".to_owned()))?;
            for job in jobs {
                let name = job.get("name").and_then(Value::as_str).unwrap_or_default();
                if let Some(seconds) = duration(job) {
                    runs.jobs.entry(name.to_owned()).or_default().push(seconds);
                }
                for step in job
                    .get("steps")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    let step_name = step.get("name").and_then(Value::as_str).unwrap_or_default();
                    if let Some(seconds) = duration(step) {
                        runs.steps
                            .entry((name.to_owned(), step_name.to_owned()))
                            .or_default()
                            .push(seconds);
                    }
                }
            }
        }
        Ok(runs)
    }

    /// Gives findings the minutes of one run that they cost, where the runs say so: of all combinations of a job together.
    pub fn estimate(&self, project: &Project, findings: &mut [Finding]) {
        let workflows: Vec<Workflow<'_>> = project
            .sources
            .iter()
            .filter(|source| !source.action)
            .map(Workflow::read)
            .collect();
        for finding in findings {
            let workflow = workflows
                .iter()
                .find(|workflow| workflow.source.path == finding.file);
            let Some(job) = workflow
                .zip(finding.job.as_deref())
                .and_then(|(workflow, id)| workflow.job(id))
            else {
                continue;
            };
            let shown = job
                .node
                .get("name")
                .and_then(crate::yaml::Node::str)
                .unwrap_or(job.id);
            let seconds: Vec<u64> = if WHOLE_JOB.contains(&finding.rule) {
                self.jobs
                    .iter()
                    .filter(|(name, _)| is_of(name, shown))
                    .map(|(_, seconds)| median(seconds))
                    .collect()
            } else if WHOLE_STEP.contains(&finding.rule) {
                let step = job
                    .steps
                    .iter()
                    .rev()
                    .find(|step| step.line() <= finding.line);
                let Some(title) = step.and_then(title) else {
                    continue;
                };
                self.steps
                    .iter()
                    .filter(|((job, name), _)| is_of(job, shown) && *name == title)
                    .map(|(_, seconds)| median(seconds))
                    .collect()
            } else {
                continue;
            };
            if !seconds.is_empty() {
                // Seconds of jobs: far below where a float would lose any.
                #[expect(clippy::cast_precision_loss, reason = "a job's seconds are few")]
                let minutes = seconds.iter().sum::<u64>() as f64 / 60.0;
                finding.minutes = Some(minutes);
            }
        }
    }
}

/// Whether a run's job is of the job that is called so in the file: `name` or `name (values of the matrix)`, or with
/// expressions in it.
fn is_of(name: &str, shown: &str) -> bool {
    match shown.split_once("${{") {
        Some((before, _)) => !before.trim().is_empty() && name.starts_with(before),
        None => {
            name == shown
                || name
                    .strip_prefix(shown)
                    .is_some_and(|rest| rest.starts_with(" ("))
        }
    }
}

/// What a run calls a step.
fn title(step: &Step<'_>) -> Option<String> {
    let said = |key: &str| step.node.get(key).and_then(crate::yaml::Node::str);
    if let Some(name) = said("name") {
        return Some(name.to_owned());
    }
    let text = said("run")
        .map(|run| run.trim_start().lines().next().unwrap_or_default())
        .or_else(|| said("uses"))?;
    Some(format!("Run {text}"))
}

fn median(seconds: &[u64]) -> u64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn duration(value: &Value) -> Option<u64> {
    if value.get("conclusion").and_then(Value::as_str) != Some("success") {
        return None;
    }
    let at = |key: &str| value.get(key).and_then(Value::as_str).and_then(parse_utc);
    let ms = at("completed_at")?.checked_sub(at("started_at")?)?;
    Some(ms / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Options, audit};
    use crate::model::Input;
    use crate::providers::Day;

    #[test]
    fn times_are_read() {
        let length =
            |from: &str, to: &str| (parse_utc(to).unwrap() - parse_utc(from).unwrap()) / 1000;
        assert_eq!(length("2026-02-28T23:59:30Z", "2026-03-01T00:00:30Z"), 60);
        assert_eq!(
            length("2028-02-28T00:00:00Z", "2028-03-01T00:00:00Z"),
            2 * 86_400
        );
        assert_eq!(
            length("2026-12-31T23:00:00Z", "2027-01-01T01:00:00.123Z"),
            7_200
        );
        assert_eq!(parse_utc("2026-13-01T00:00:00Z"), None);
        assert_eq!(parse_utc("é"), None);
    }

    #[test]
    fn a_step_that_would_not_be_costs_what_it_took() {
        let text = "on: push\njobs:\n  a:\n    runs-on: ${{ matrix.os }}\n    strategy:\n      matrix:\n        os: [ubuntu-24.04, windows-2025]\n    steps:\n      - run: cargo install cargo-deny\n      - run: cargo deny check\n";
        let (project, _) = Project::read(vec![Input {
            path: ".github/workflows/ci.yml".to_owned(),
            text: text.to_owned(),
        }]);
        let mut found = audit(
            &project,
            &Options {
                ignore: Vec::new(),
                today: Day::from_days_since_epoch(20_783),
            },
        );
        let step = |seconds: &str, name: &str, end: &str| {
            format!(
                r#"{{"name": "{name}", "conclusion": "{end}", "started_at": "2026-11-26T10:00:00Z", "completed_at": "2026-11-26T10:{seconds}Z"}}"#
            )
        };
        let job = |name: &str, steps: &[String]| {
            format!(
                r#"{{"name": "{name}", "conclusion": "success", "steps": [{}]}}"#,
                steps.join(",")
            )
        };
        let install = "Run cargo install cargo-deny";
        let answers = [
            job(
                "a (ubuntu-24.04)",
                &[
                    step("02:00", install, "success"),
                    step("09:00", "Run cargo deny check", "success"),
                ],
            ),
            job("a (windows-2025)", &[step("04:00", install, "success")]),
            job("ab", &[step("30:00", install, "success")]),
            job("a (ubuntu-24.04)", &[step("59:00", install, "failure")]),
        ];
        let runs = Runs::parse(&format!(r#"{{"jobs": [{}]}}"#, answers.join(","))).unwrap();
        runs.estimate(&project, &mut found);
        let minutes: Vec<_> = found
            .iter()
            .map(|finding| (finding.rule, finding.minutes))
            .collect();
        assert_eq!(minutes, [("tool-from-source", Some(6.0))]);
        assert!(Runs::parse("{}").is_err() && Runs::parse("[").is_err());
    }
}
