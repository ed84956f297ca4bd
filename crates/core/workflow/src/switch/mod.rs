//! Moving jobs to other runners: `rekindle switch`.
//!
//! [`plan`] reads the workflows of a project and says what is to be written where: the text of `runs-on` itself, of the
//! matrix values, the inputs and the calls that an expression there takes its value from. Each file's text changes at
//! those places alone. Nothing is guessed: what cannot be followed is a warning with its line.
//!
//! Parts: `places` finds what names a runner, `write` edits it; `labels` maps an old label to the new one; `expression` takes
//! expressions apart; `needs` sees what a job needs of its runner; [`undo`]
//! is the record that takes a switch back.

mod expression;
mod labels;
mod needs;
mod places;
pub mod undo;
mod write;

use crate::providers::{self, Arch, Day, NoLabel};
use crate::strangers::{self, Flow, Way};
use crate::yaml::edit::apply;
use crate::yaml::{Document, Node, SyntaxError};

/// One workflow.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path from the project's root, as `.github/workflows/ci.yml`.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// A provider's name, a label, or labels with commas between them.
    pub to: &'a str,
    /// A number of processors.
    pub size: Option<u32>,
    /// Another architecture than a job has now.
    pub arch: Option<Arch>,
    /// A job's name, or `ci.yml:name`; all jobs otherwise.
    pub job: Option<&'a str>,
    /// Why runners of one's own are safe where strangers can start jobs.
    pub allow_forks: Option<&'a str>,
    /// The present day.
    pub today: Day,
}

/// What was changed, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: String,
    /// The line before the change, from 1.
    pub line: u32,
    /// The job that runs there.
    pub job: String,
    /// What it said.
    pub from: String,
    /// What it says.
    pub to: String,
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub path: String,
    /// The line before the change, from 1.
    pub line: u32,
    /// A lower-case fragment.
    pub message: String,
}

/// A file with another text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path.
    pub path: String,
    /// Its text now.
    pub before: String,
    /// Its text to be.
    pub after: String,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The files that change.
    pub files: Vec<Changed>,
    /// Each change.
    pub changes: Vec<Change>,
    /// What could not be followed, or may not work on the new runner.
    pub warnings: Vec<Warning>,
    /// What must be done before jobs start there.
    pub setup: Option<&'static str>,
}

/// Why nothing is switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// A file is no YAML.
    #[error("`{path}` cannot be read: {error}")]
    Syntax {
        /// The file.
        path: String,
        /// Why, and where.
        error: SyntaxError,
    },
    /// Jobs with this label do not start.
    #[error("jobs with `{label}` do not start{}", since(.ends.as_ref()))]
    Dead {
        /// The label.
        label: String,
        /// Since when, where its provider said so.
        ends: Option<Day>,
        /// A living label.
        nearest: Option<String>,
    },
    /// The provider has no such runner.
    #[error(transparent)]
    NoLabel(#[from] NoLabel),
    /// A size makes no sense here.
    #[error("a size or an architecture is for a provider's runners; `{0}` says itself what it is")]
    Size(String),
    /// There is no such job.
    #[error("no job `{job}` is here; there are {}", .has.join(", "))]
    NoJob {
        /// As it was asked for.
        job: String,
        /// All jobs.
        has: Vec<String>,
    },
    /// Strangers can start jobs on runners of one's own.
    #[error("strangers could start jobs on your own runners: {}", .ways.join("; "))]
    Forks {
        /// Each workflow and how it is reached.
        ways: Vec<String>,
    },
}

fn since(ends: Option<&Day>) -> String {
    ends.map(|day| format!(" since {day}")).unwrap_or_default()
}

/// A workflow that is read.
struct Opened<'a> {
    path: &'a str,
    document: Document,
}

impl Opened<'_> {
    fn jobs(&self) -> &[(Node, Node)] {
        self.document
            .root
            .get("jobs")
            .map(Node::entries)
            .unwrap_or_default()
    }

    /// `ci.yml`.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// The jobs that call a workflow: their file and their name.
fn callers(files: &[Opened<'_>], callee: usize) -> Vec<(usize, String)> {
    let wanted = format!("./{}", files[callee].path);
    let mut found = Vec::new();
    for (at, file) in files.iter().enumerate() {
        for (key, job) in file.jobs() {
            if job.get("uses").and_then(Node::str) == Some(&wanted) {
                found.push((at, key.str().unwrap_or_default().to_owned()));
            }
        }
    }
    found
}

/// What is to be written to switch the jobs of these workflows.
///
/// # Errors
/// Where a file is no YAML, there is no such job or runner, or strangers could start jobs on runners of one's own.
pub fn plan(files: &[File<'_>], request: &Request<'_>) -> Result<Plan, SwitchError> {
    let target = labels::Target::of(request)?;
    let mut opened = Vec::new();
    for file in files {
        let document = Document::parse(file.text).map_err(|error| SwitchError::Syntax {
            path: file.path.to_owned(),
            error,
        })?;
        opened.push(Opened {
            path: file.path,
            document,
        });
    }
    let chosen = chosen_jobs(&opened, request.job)?;
    let mut planner = places::Planner::new(&opened, &target);
    for (file, at) in chosen {
        let (key, job) = &opened[file].jobs()[at];
        planner.job(file, key.str().unwrap_or_default(), job)?;
    }
    let mut done = planner.finish();
    if target.is_own() && request.allow_forks.is_none() {
        done.warnings.extend(refuse_forks(&opened, &done.touched)?);
    }
    let mut plan = Plan {
        changes: done.changes,
        warnings: done.warnings,
        setup: target.setup(),
        files: Vec::new(),
    };
    for (file, edits) in opened.iter().zip(&done.edits) {
        let before = &file.document.text;
        let (after, _) = apply(before, edits);
        if after != *before {
            plan.files.push(Changed {
                path: file.path.to_owned(),
                before: before.clone(),
                after,
            });
        }
    }
    Ok(plan)
}

/// The jobs that are meant: file, and place among its jobs.
fn chosen_jobs(
    files: &[Opened<'_>],
    wanted: Option<&str>,
) -> Result<Vec<(usize, usize)>, SwitchError> {
    let mut chosen = Vec::new();
    let mut names = Vec::new();
    for (file, opened) in files.iter().enumerate() {
        for (at, (key, _)) in opened.jobs().iter().enumerate() {
            let name = key.str().unwrap_or_default();
            let full = format!("{}:{name}", opened.name());
            if wanted.is_none_or(|wanted| wanted == name || wanted == full) {
                chosen.push((file, at));
            }
            names.push(full);
        }
    }
    match wanted {
        Some(job) if chosen.is_empty() => Err(SwitchError::NoJob {
            job: job.to_owned(),
            has: names,
        }),
        _ => Ok(chosen),
    }
}

/// Warns of jobs that only a condition keeps from strangers.
fn refuse_forks(
    files: &[Opened<'_>],
    touched: &[(usize, String)],
) -> Result<Vec<Warning>, SwitchError> {
    let flows: Vec<Flow<'_>> = files
        .iter()
        .map(|file| Flow {
            path: file.path,
            root: &file.document.root,
        })
        .collect();
    let mut ways: Vec<String> = Vec::new();
    let mut warnings = Vec::new();
    for (file, name) in touched {
        let path = files[*file].path;
        let way = match strangers::way_in(&flows, *file, name, strangers::ANY) {
            Some(Way::Open(way)) => format!("`{path}`: {way}"),
            Some(Way::Unknown) => format!("`{path}`: it is called by workflows that are not here"),
            Some(Way::Guarded) => {
                let job = files[*file]
                    .jobs()
                    .iter()
                    .find(|(key, _)| key.str() == Some(name));
                warnings.push(Warning {
                    path: path.to_owned(),
                    line: job.map_or(1, |(key, _)| key.place.line),
                    message: format!(
                        "only a condition keeps strangers' pull requests from job `{name}`, and a pull request may change it: \
                         have the repository ask for approval of all outside contributors"
                    ),
                });
                continue;
            }
            None => continue,
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    if ways.is_empty() {
        Ok(warnings)
    } else {
        Err(SwitchError::Forks { ways })
    }
}

/// The names that `--to` knows, but for dead providers'.
#[must_use]
pub fn living_providers(today: &Day) -> Vec<&'static str> {
    let living = providers::providers()
        .iter()
        .filter(|provider| provider.name == labels::OWN || providers::has_living(provider, today));
    living.map(|provider| provider.name.as_str()).collect()
}

#[cfg(test)]
mod tests;
