//! A cache of compiled dependencies whose key does not change with them.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::expr::{Expr, Template, Val};
use crate::model::caches::kept;

pub(super) const RULE: Rule = Rule {
    id: "cache-key-no-lock",
    summary: "a cache's key does not change with the lock file, so it is never renewed",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            for kept in kept(run)
                .into_iter()
                .filter(|kept| kept.by_key() && kept.saves && (kept.target || kept.registry))
            {
                let Some(key) = kept.key() else { continue };
                if changes(&key) || hashes(&key, context.project.lock_file) {
                    continue;
                }
                let node = kept.did.step.with_node("key").unwrap_or(kept.did.step.node);
                let manifest = hashes(&key, false);
                let message = if manifest {
                    "a key is saved once and never renewed, and the root's `Cargo.toml` does not change with `cargo update` or a member's dependencies: \
                     use `hashFiles('**/Cargo.lock')`"
                } else {
                    "a key is saved once and never renewed, and this one stays the same when dependencies change: \
                     add `${{ hashFiles('**/Cargo.lock') }}` to it"
                };
                sink.at(
                    kept.did.step.source,
                    node.place.line,
                    Some(job),
                    message.to_owned(),
                );
            }
        }
    }
}

/// It has the digest of cargo's files, or of some that a run knows.
fn hashes(key: &Template, lock_file: bool) -> bool {
    key.exprs().any(|expr| {
        let mut found = false;
        expr.visit(&mut |expr| {
            if let Expr::Call(name, arguments) = expr
                && name == "hashfiles"
            {
                found |= arguments.iter().any(|argument| match argument {
                    Expr::Literal(Val::Str(text)) => {
                        // The root's manifest alone changes with hardly any dependency of a workspace.
                        (text.contains("Cargo") || text.contains(".toml"))
                            && !(lock_file && text == "Cargo.toml")
                            || text.contains(".lock")
                            || text.contains(".rs")
                    }
                    _ => true,
                });
            }
        });
        found
    })
}

/// It has something that only a run knows and that may change.
fn changes(key: &Template) -> bool {
    key.pieces
        .iter()
        .any(|piece| matches!(piece, crate::expr::Piece::Expr(None)))
        || key.paths().iter().any(|path| {
            [
                "steps.",
                "needs.",
                "env.",
                "vars.",
                "inputs.",
                "github.sha",
                "github.run",
                "github.head_ref",
                "github.event.",
                "github.ref",
            ]
            .iter()
            .any(|prefix| path.starts_with(prefix))
        })
}
