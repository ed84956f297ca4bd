//! A job that hangs runs for six hours.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::yaml::edit::add_entry;

use super::support::first_compile;

pub(super) const RULE: Rule = Rule {
    id: "no-timeout",
    summary: "a job that hangs runs for six hours",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        let compiles = runs.iter().any(|run| first_compile(run).is_some());
        let limited = job.node.get("timeout-minutes").is_some()
            || job
                .steps
                .iter()
                .filter(|step| !step.commands.is_empty())
                .all(|step| step.node.get("timeout-minutes").is_some());
        if !compiles || limited {
            continue;
        }
        let message = "a job that hangs runs until GitHub ends it after six hours: set `timeout-minutes` to some times of what it takes".to_owned();
        let finding = sink.at(workflow.source, job.line(), Some(job), message);
        let edit = add_entry(
            workflow.document(),
            job.node,
            Some("runs-on"),
            &["timeout-minutes: 60".to_owned()],
        );
        finding.fix(Safety::Unsafe, "end it after an hour", [edit]);
    }
}
