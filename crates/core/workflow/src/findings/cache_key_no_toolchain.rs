//! A cache of the target directory whose key does not say which compiler filled it.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::kept;

pub(super) const RULE: Rule = Rule {
    id: "cache-key-no-toolchain",
    summary: "a target directory's key does not say which compiler filled it",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

/// What in a key's text or paths says which toolchain it is.
const WORDS: &[&str] = &[
    "rust",
    "toolchain",
    "channel",
    "version",
    "msrv",
    "stable",
    "nightly",
    "beta",
    "1.",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            for kept in kept(run)
                .into_iter()
                .filter(|kept| kept.by_key() && kept.saves && kept.target)
            {
                let text = kept
                    .did
                    .step
                    .with("key")
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                let computed = kept.key().is_none_or(|key| {
                    key.paths().iter().any(|path| {
                        ["steps.", "needs.", "env.", "vars.", "inputs."]
                            .iter()
                            .any(|prefix| path.starts_with(prefix))
                    })
                });
                // The plain word `rust` names the language, and most keys begin with it.
                let said = WORDS.iter().skip(1).any(|word| text.contains(word))
                    || text.contains("matrix.rust")
                    || text.contains("rustc");
                let whole = runs.len() > 1 && text.contains("tojson(matrix)");
                let fixed = context
                    .project
                    .toolchain
                    .as_deref()
                    .is_some_and(|channel| channel.starts_with(|c: char| c.is_ascii_digit()));
                let moves = run.done().any(|did| {
                    did.kind == Kind::Toolchain
                        && did
                            .step
                            .uses
                            .as_ref()
                            .is_some_and(|uses| uses.version.is_none())
                }) || !run.has(Kind::Toolchain);
                if computed || said || whole || fixed || !moves {
                    continue;
                }
                let node = kept.did.step.with_node("key").unwrap_or(kept.did.step.node);
                let message = "the key does not say which compiler filled the target directory, so after a new Rust release all of it is restored and nothing \
                     of it used, until the lock file changes: add the toolchain to the key"
                    .to_owned();
                sink.at(kept.did.step.source, node.place.line, Some(job), message);
            }
        }
    }
}
