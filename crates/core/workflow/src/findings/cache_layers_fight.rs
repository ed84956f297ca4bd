//! Two steps of a job keep the same directories, or a target cache keeps what a compile cache keeps.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::{Kept, compiles, kept, remote, wrapper};

pub(super) const RULE: Rule = Rule {
    id: "cache-layers-fight",
    summary: "two caches of a job keep the same things",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            let all = kept(run);
            let restoring: Vec<&Kept<'_, '_>> = all.iter().filter(|kept| kept.restores).collect();
            for (index, later) in restoring.iter().enumerate().skip(1) {
                let Some((earlier, what)) = restoring[..index]
                    .iter()
                    .find_map(|earlier| Some((earlier, same(earlier, later)?)))
                else {
                    continue;
                };
                let message = format!(
                    "{what} is kept here and by the step on line {}: each restores over the other and both count against the size limit; keep one",
                    earlier.did.step.line()
                );
                sink.at(
                    later.did.step.source,
                    later.did.step.line(),
                    Some(job),
                    message,
                );
            }
            let gha = run.done().flat_map(|did| &did.calls).any(|call| {
                compiles(call)
                    && wrapper(context.project, &call.env)
                        .is_some_and(|wrapper| wrapper.ends_with("sccache"))
                    && remote(&call.env)
            });
            let target = restoring
                .iter()
                .find(|kept| kept.target && kept.did.kind != Kind::Rekindle);
            if let Some(target) = target.filter(|_| gha) {
                let message = "the target directory is kept here and each of its units by sccache: what one restores the other stores again; \
                     keep one, for example with `cache-targets: false`"
                    .to_owned();
                sink.at(
                    target.did.step.source,
                    target.did.step.line(),
                    Some(job),
                    message,
                );
            }
        }
    }
}

/// What two steps both keep.
fn same(one: &Kept<'_, '_>, two: &Kept<'_, '_>) -> Option<&'static str> {
    let by_path = one.by_key() && two.by_key();
    if by_path {
        // Halves of one cache: restore and save; or one of two, by a condition that only a run knows.
        let twice = one.paths.iter().any(|path| two.paths.contains(path));
        let sure = one.did.done == Some(true) && two.did.done == Some(true);
        return (twice && sure).then_some("the same directory");
    }
    if one.did.done != Some(true) || two.did.done != Some(true) {
        return None;
    }
    if one.target && two.target {
        return Some("the target directory");
    }
    (one.registry && two.registry).then_some("cargo's home")
}
