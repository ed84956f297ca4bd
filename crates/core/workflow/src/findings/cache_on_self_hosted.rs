//! A cache is sent over the network to a machine that still has it.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::caches::kept;

pub(super) const RULE: Rule = Rule {
    id: "cache-on-self-hosted",
    summary: "a cache goes over the network to a machine whose disk still has it",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs.iter().filter(|run| run.runner.persistent()) {
            for kept in kept(run).into_iter().filter(|kept| {
                kept.restores
                    && (kept.target || kept.registry)
                    && kept.did.kind != crate::model::actions::Kind::Rekindle
            }) {
                let message = format!(
                    "the disk of `{}` stays from job to job, and this packs, sends and unpacks what is there already: leave it out on such a machine",
                    run.runner.shown()
                );
                sink.at(
                    kept.did.step.source,
                    kept.did.step.line(),
                    Some(job),
                    message,
                );
            }
        }
    }
}
