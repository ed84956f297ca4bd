//! A key that no later run asks for.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::expr::Template;
use crate::model::actions::Kind;
use crate::model::caches::{Kept, kept};

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
            for kept in kept(run) {
                let Some((input, unique)) = unique_input(&kept) else {
                    continue;
                };
                // Another job of the same run may ask for it.
                let step = &kept.did.step;
                let shared = workflow
                    .jobs
                    .iter()
                    .filter(|other| other.id != job.id)
                    .any(|other| {
                        other
                            .steps
                            .iter()
                            .any(|theirs| theirs.with(input) == step.with(input))
                    });
                if shared && (kept.by_key() || input == "shared-key") {
                    continue;
                }
                let node = step.with_node(input).unwrap_or(step.node);
                let advice = if kept.by_key() {
                    "there are no `restore-keys`, so this is saved each time and never restored: use the digest of the lock file, and `restore-keys`"
                } else {
                    "nothing is restored whose key does not hold it, so this is saved each time and never restored: leave it out, the action's own \
                     key has the lock file and the compiler in it"
                };
                let message = format!("`{unique}` is another in each run and {advice}");
                sink.at(step.source, node.place.line, Some(job), message);
            }
        }
    }
}

/// An input of rust-cache's that its keys begin with.
const PREFIX: &str = "prefix-key";

/// The input that makes a step's key another in each run, and what of it does.
fn unique_input<'r>(kept: &Kept<'r, '_>) -> Option<(&'static str, &'static str)> {
    let inputs: &[&'static str] = match kept.did.kind {
        Kind::Cache if kept.restore_keys().is_empty() => &["key"],
        // What it takes instead begins with these, too. Beside `shared-key` it does not look at `key`.
        Kind::RustCache if kept.did.step.with("shared-key").is_some() => &["shared-key", PREFIX],
        Kind::RustCache => &["key", PREFIX],
        _ => &[],
    };
    inputs.iter().find_map(|input| {
        let template = Template::parse(kept.did.step.with(input)?);
        let paths = template.paths();
        let unique = UNIQUE.iter().find(|unique| paths.contains(unique))?;
        Some((*input, *unique))
    })
}
