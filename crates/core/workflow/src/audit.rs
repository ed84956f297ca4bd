//! An audit: all rules over a project, less what is silenced.

use crate::model::calls::link;
use crate::model::run::play;
use crate::model::{Job, Project, Run, Source, Workflow};
use crate::providers::Day;
use crate::silence;
use crate::yaml::edit::Edit;

/// How much is lost by what a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Little, or only a risk of it.
    Low,
    /// Time in every run.
    Medium,
    /// A part of the workflow does not do what it is there for, or is open to others.
    High,
}

/// How sure a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// There are honest reasons to do so.
    Low,
    /// A reason that the files do not show is possible.
    Medium,
    /// The files say so.
    High,
}

/// What a fix may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    /// Neither what is built nor who may do what.
    Safe,
    /// Something that somebody may have wanted: look at it.
    Unsafe,
}

/// Edits that mend what a finding says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What they may change.
    pub safety: Safety,
    /// What they do: a lower-case fragment.
    pub summary: String,
    /// Each with the file's path.
    pub edits: Vec<(String, Edit)>,
}

/// Something that wastes time, or may break.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// How much is lost.
    pub severity: Severity,
    /// How sure the rule is.
    pub confidence: Confidence,
    /// The file's path from the project's root, with `/`.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The job's name in the file.
    pub job: Option<String>,
    /// What is wrong and what to do: a lower-case fragment.
    pub message: String,
    /// How to mend it, where that is known.
    pub fix: Option<Fix>,
    /// Minutes of one run that it costs, where recorded runs say so.
    pub minutes: Option<f64>,
}

/// A rule: one file in `findings`.
pub struct Rule {
    /// Its name: lower case, with dashes.
    pub id: &'static str,
    /// What it finds, in a few words.
    pub summary: &'static str,
    /// How much is lost.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// What its fixes may change; `None` if it has none.
    pub fix: Option<Safety>,
    /// Looks for it.
    pub(crate) check: fn(&Context<'_>, &mut Sink),
}

/// A workflow with its jobs' runs.
#[derive(Debug)]
pub(crate) struct Played<'p> {
    pub(crate) workflow: Workflow<'p>,
    /// For each job, in the workflow's order.
    pub(crate) runs: Vec<Vec<Run<'p>>>,
}

impl<'p> Played<'p> {
    /// Jobs with their runs.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (&Job<'p>, &[Run<'p>])> {
        self.workflow
            .jobs
            .iter()
            .zip(self.runs.iter().map(Vec::as_slice))
    }
}

/// All that a rule may look at.
pub(crate) struct Context<'p> {
    pub(crate) project: &'p Project,
    pub(crate) workflows: Vec<Played<'p>>,
    pub(crate) today: &'p Day,
}

impl<'p> Context<'p> {
    /// All jobs with their workflow and runs.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (&Workflow<'p>, &Job<'p>, &[Run<'p>])> {
        self.workflows.iter().flat_map(|played| {
            played
                .jobs()
                .map(move |(job, runs)| (&played.workflow, job, runs))
        })
    }
}

/// Takes a rule's findings: one for each place.
pub(crate) struct Sink {
    rule: &'static Rule,
    found: Vec<Finding>,
}

impl Sink {
    /// Something is wrong at a line of a workflow or an action.
    pub(crate) fn at(
        &mut self,
        source: &Source,
        line: u32,
        job: Option<&Job<'_>>,
        message: String,
    ) -> &mut Finding {
        let column = source
            .document
            .line(line)
            .chars()
            .take_while(|c| *c == ' ')
            .count()
            + 1;
        self.add(&source.path, line, column, job.map(|job| job.id), message)
    }

    /// Something is wrong at a line of any file.
    pub(crate) fn add(
        &mut self,
        path: &str,
        line: u32,
        column: usize,
        job: Option<&str>,
        message: String,
    ) -> &mut Finding {
        let known = self
            .found
            .iter()
            .position(|found| found.file == path && found.line == line);
        let index = known.unwrap_or_else(|| {
            self.found.push(Finding {
                rule: self.rule.id,
                severity: self.rule.severity,
                confidence: self.rule.confidence,
                file: path.to_owned(),
                line,
                column: u32::try_from(column).unwrap_or(1),
                job: job.map(str::to_owned),
                message,
                fix: None,
                minutes: None,
            });
            self.found.len() - 1
        });
        &mut self.found[index]
    }
}

impl Finding {
    /// Gives it edits of its own file; nothing if one of them cannot be made.
    pub(crate) fn fix(
        &mut self,
        safety: Safety,
        summary: &str,
        edits: impl IntoIterator<Item = Option<Edit>>,
    ) {
        let edits: Option<Vec<Edit>> = edits.into_iter().collect();
        if let Some(edits) = edits.filter(|edits| !edits.is_empty()) {
            let edits = edits
                .into_iter()
                .map(|edit| (self.file.clone(), edit))
                .collect();
            self.fix = Some(Fix {
                safety,
                summary: summary.to_owned(),
                edits,
            });
        }
    }
}

/// What an audit is told beside the files.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rules that are not wanted.
    pub ignore: Vec<String>,
    /// Today, for what ends on a day.
    pub today: Day,
}

/// All findings of a project, by file and line.
#[must_use]
pub fn audit(project: &Project, options: &Options) -> Vec<Finding> {
    let mut workflows: Vec<Workflow<'_>> = project
        .sources
        .iter()
        .filter(|source| !source.action)
        .map(Workflow::read)
        .collect();
    link(&mut workflows);
    let workflows = workflows
        .into_iter()
        .map(|workflow| {
            let runs = workflow
                .jobs
                .iter()
                .map(|job| play(project, &workflow, job).0)
                .collect();
            Played { workflow, runs }
        })
        .collect();
    let context = Context {
        project,
        workflows,
        today: &options.today,
    };
    let mut findings = Vec::new();
    for rule in crate::findings::ALL {
        if options.ignore.iter().any(|ignored| ignored == rule.id) {
            continue;
        }
        let mut sink = Sink {
            rule,
            found: Vec::new(),
        };
        (rule.check)(&context, &mut sink);
        findings.append(&mut sink.found);
    }
    silence::retain(&context, &mut findings);
    findings
        .sort_by(|one, two| (&one.file, one.line, one.rule).cmp(&(&two.file, two.line, two.rule)));
    findings
}
