//! A label that is nearly one of GitHub's: no runner has it.

use rekindle_base::edits;

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::providers;
use crate::shell::UNKNOWN;

pub(super) const RULE: Rule = Rule {
    id: "runner-label-unknown",
    summary: "a label is nearly one of GitHub's, and no runner has it",
    severity: Severity::High,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

/// What people write, to compare with.
const USUAL: &[&str] = &[
    "ubuntu-latest",
    "ubuntu-22.04",
    "ubuntu-24.04",
    "ubuntu-26.04",
    "ubuntu-24.04-arm",
    "ubuntu-22.04-arm",
    "ubuntu-slim",
    "windows-latest",
    "windows-2022",
    "windows-2025",
    "windows-11-arm",
    "macos-latest",
    "macos-14",
    "macos-15",
    "macos-26",
    "macos-15-intel",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs {
            let [label] = run.runner.labels.as_slice() else {
                continue;
            };
            let known = providers::parse(label).is_some()
                || label.contains(UNKNOWN)
                || label.starts_with("group:")
                || label.is_empty();
            if known {
                continue;
            }
            let line = job
                .node
                .entry("runs-on")
                .map_or(job.line(), |(key, _)| key.place.line);
            let message = if let Some(system) = version_of(label) {
                format!(
                    "GitHub has no runner `{label}`, or no longer, so the job waits for ever: take `{system}-latest`"
                )
            } else if let Some(usual) = USUAL
                .iter()
                .find(|usual| edits(&label.to_ascii_lowercase(), usual) <= 2)
            {
                format!(
                    "GitHub has no runner `{label}`, so the job waits for ever: is `{usual}` meant?"
                )
            } else {
                continue;
            };
            sink.at(workflow.source, line, Some(job), message);
        }
    }
}

/// The system of a label such as `ubuntu-18.04`: a system and a version alone.
fn version_of(label: &str) -> Option<&str> {
    let (system, version) = label.split_once('-')?;
    let number = version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_digit() || c == '.');
    (matches!(system, "ubuntu" | "windows" | "macos") && number).then_some(system)
}
