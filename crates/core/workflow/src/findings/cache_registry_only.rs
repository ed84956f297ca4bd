//! Downloads are kept, what is compiled from them is not.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::caches::{kept, wrapper};

use super::support::{first_compile, may_cache};

pub(super) const RULE: Rule = Rule {
    id: "cache-registry-only",
    summary: "downloads are kept, and what is compiled from them is not",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let all = kept(run);
            let compiled =
                all.iter().any(|kept| kept.target || kept.compile_cache) || may_cache(context, run);
            let Some(registry) = all.iter().find(|kept| kept.registry && kept.restores) else {
                continue;
            };
            // A path that only a run knows may be the target directory.
            let unknown = all.iter().any(|kept| {
                kept.by_key()
                    && kept
                        .paths
                        .iter()
                        .any(|path| path.starts_with("${{") || path.starts_with('$'))
            });
            let Some((_, call)) = first_compile(run).filter(|_| !compiled && !unknown) else {
                continue;
            };
            if wrapper(context.project, &call.env).is_some() {
                continue;
            }
            let message = "only downloads are kept here, which takes about as long as downloading them, and every dependency is compiled anew: \
                 keep the target directory or units as well"
                .to_owned();
            sink.at(
                registry.did.step.source,
                registry.did.step.line(),
                Some(job),
                message,
            );
        }
    }
}
