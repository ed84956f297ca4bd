//! A release waits for checks that CI has made of the same commit.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};

use super::duplicate_check_job::covering;
use super::support::jobs_of;

pub(super) const RULE: Rule = Rule {
    id: "serial-gate",
    summary: "jobs wait for checks that another workflow makes of the same commit",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for played in context
        .workflows
        .iter()
        .filter(|played| !played.workflow.is_ci())
    {
        for (job, runs) in played.jobs() {
            let waiting: Vec<&str> = played
                .workflow
                .jobs
                .iter()
                .filter(|other| other.needs.contains(&job.id))
                .map(|other| other.id)
                .collect();
            if waiting.is_empty() || runs.is_empty() {
                continue;
            }
            let ci = context
                .workflows
                .iter()
                .filter(|other| other.workflow.on_branch_push())
                .find_map(|other| {
                    let found = covering(context, runs, other)?;
                    Some((found, other))
                });
            if let Some((ids, other)) = ci {
                let verb = if waiting.len() == 1 { "waits" } else { "wait" };
                let makes = if ids.len() == 1 { "makes" } else { "make" };
                let message = format!(
                    "`{}` {verb} for checks here that {} {makes} when the commit is pushed: ask for its result, or let both run beside each other",
                    waiting.join("`, `"),
                    jobs_of(&ids, other)
                );
                sink.at(played.workflow.source, job.line(), Some(job), message);
            }
        }
    }
}
