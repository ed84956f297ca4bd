//! A change of one dependency throws the whole cache away.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::caches::kept;
use crate::yaml::edit::add_entry;

pub(super) const RULE: Rule = Rule {
    id: "cache-no-restore-keys",
    summary: "a change of one dependency throws a whole cache away",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            for kept in kept(run)
                .into_iter()
                .filter(|kept| kept.by_key() && kept.restores && (kept.target || kept.registry))
            {
                let Some(key) = kept
                    .key()
                    .filter(|key| key.calls("hashfiles") && kept.restore_keys().is_empty())
                else {
                    continue;
                };
                if key
                    .paths()
                    .iter()
                    .any(|path| path.starts_with("github.sha") || path.starts_with("github.run"))
                {
                    continue;
                }
                let step = &kept.did.step;
                let node = step.with_node("key").unwrap_or(step.node);
                let message = "where the lock file changes by one dependency nothing is restored: add `restore-keys` with the key's beginning".to_owned();
                let finding = sink.at(step.source, node.place.line, Some(job), message);
                let text = node.str().unwrap_or_default();
                let prefix = text.find("${{").and_then(|_| {
                    text.split("${{")
                        .scan(0, |at, part| {
                            let start = *at;
                            *at += part.len() + 3;
                            Some((start, part))
                        })
                        .find(|(_, part)| part.to_ascii_lowercase().contains("hashfiles"))
                        .map(|(start, _)| text[..start.saturating_sub(3)].to_owned())
                });
                if let Some(prefix) =
                    prefix.filter(|prefix| !prefix.is_empty() && !prefix.contains('\n'))
                {
                    let lines = ["restore-keys: |".to_owned(), format!("  {prefix}")];
                    let edit = step.node.get("with").and_then(|with| {
                        add_entry(&step.source.document, with, Some("key"), &lines)
                    });
                    finding.fix(Safety::Safe, "restore the nearest", [edit]);
                }
            }
        }
    }
}
