//! A key that no later run asks for.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::kept;

pub(super) const RULE: Rule = Rule {
    id: "cache-key-never-hits",
    summary: "a cache's key is another in each run, and nothing else is restored",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: None,
    check,
};

/// What is another in each run, or in each commit.
const UNIQUE: &[&str] = &[
    "github.run_id",
    "github.run_number",
    "github.run_attempt",
    "github.sha",
    "github.event.after",
    "github.event.pull_request.head.sha",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs {
            for kept in kept(run)
                .into_iter()
                .filter(|kept| kept.did.kind == Kind::Cache && kept.restore_keys().is_empty())
            {
                let Some(key) = kept.key() else { continue };
                let Some(unique) = key.paths().into_iter().find(|path| UNIQUE.contains(path))
                else {
                    continue;
                };
                // Another job of the same run may ask for it.
                let handed = kept
                    .did
                    .step
                    .node
                    .get("with")
                    .and_then(|with| with.get("key"))
                    .and_then(crate::yaml::Node::str);
                let shared = workflow
                    .jobs
                    .iter()
                    .filter(|other| other.id != job.id)
                    .any(|other| other.steps.iter().any(|step| step.with("key") == handed));
                if shared {
                    continue;
                }
                let node = kept.did.step.with_node("key").unwrap_or(kept.did.step.node);
                let message = format!(
                    "`{unique}` is another in each run and there are no `restore-keys`, so this is saved each time and never restored: \
                     use the digest of the lock file, and `restore-keys`"
                );
                sink.at(kept.did.step.source, node.place.line, Some(job), message);
            }
        }
    }
}
