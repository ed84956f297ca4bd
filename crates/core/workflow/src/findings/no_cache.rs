//! A job compiles everything anew in each run.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::caches::{compile_caches, kept, wrapper};

use super::support::{has_dependencies, may_cache};

pub(super) const RULE: Rule = Rule {
    id: "no-cache",
    summary: "a job compiles everything anew in each run",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs().filter(|(workflow, ..)| workflow.is_ci()) {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let mut calls = run
                .cargo()
                .filter(|(_, _, cargo)| cargo.compiles() && has_dependencies(context, cargo));
            let Some((_, call, cargo)) = calls.next() else {
                continue;
            };
            let cached = !kept(run).is_empty() || may_cache(context, run);
            // That a compile cache is there, and does nothing, is what other rules find.
            let wrapped =
                wrapper(context.project, &call.env).is_some() || !compile_caches(run).is_empty();
            if cached || wrapped {
                continue;
            }
            let shown = cargo.shown();
            let message = format!(
                "`{shown}` compiles all dependencies anew in each run: keep what it makes, with a cache of the target directory or of units"
            );
            sink.at(workflow.source, job.line(), Some(job), message);
        }
    }
}
