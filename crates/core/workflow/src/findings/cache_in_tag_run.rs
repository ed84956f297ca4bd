//! A run for a tag saves a cache, and only runs for the same tag may restore it.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::{Kept, kept};
use crate::model::runner::Host;
use crate::model::{Job, Workflow};

pub(super) const RULE: Rule = Rule {
    id: "cache-in-tag-run",
    summary: "a cache is saved by tags' runs alone, which no other run may restore",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context
        .jobs()
        .filter(|(workflow, ..)| only_for_tags(workflow))
    {
        let Some(run) = runs.iter().find(|run| run.runner.host == Host::GitHub) else {
            continue;
        };
        for kept in kept(run).into_iter().filter(Kept::keeps_target) {
            let step = &kept.did.step;
            if kept.limits_saving()
                || stays_elsewhere(&kept)
                || filled_elsewhere(context, workflow, job, &kept)
            {
                continue;
            }
            let message = "this is saved by a tag's run, which only runs for the same tag may restore, and no workflow on the default branch saves under \
                           its key: each release compiles all anew and saves it for nobody: give both one key, or leave it out"
                .to_owned();
            sink.at(step.source, step.line(), Some(job), message);
        }
    }
}

/// Whether tags and releases start it, and nothing else: a person may start it on the default branch.
fn only_for_tags(workflow: &Workflow<'_>) -> bool {
    let tags = workflow.on("release") || workflow.on("push") && !workflow.on_branch_push();
    tags && workflow
        .events
        .iter()
        .all(|(event, _)| matches!(*event, "push" | "release"))
}

/// A backend that is not GitHub's cache, and knows nothing of tags.
fn stays_elsewhere(kept: &Kept<'_, '_>) -> bool {
    kept.did.kind == Kind::RustCache
        && kept
            .did
            .step
            .with("cache-provider")
            .is_some_and(|provider| provider != "github")
}

/// Whether a workflow that may run on the default branch saves what this step asks for.
fn filled_elsewhere(
    context: &Context<'_>,
    workflow: &Workflow<'_>,
    job: &Job<'_>,
    kept_here: &Kept<'_, '_>,
) -> bool {
    context
        .jobs()
        .filter(|(other, ..)| !std::ptr::eq(other.source, workflow.source) && !only_for_tags(other))
        .any(|(_, other_job, runs)| {
            runs.iter().flat_map(kept).any(|other| {
                other.saves
                    && if kept_here.by_key() {
                        answers(kept_here, &other)
                    } else {
                        other.did.kind == kept_here.did.kind
                            && same_own_key(job, kept_here, other_job, &other)
                    }
            })
        })
}

/// Whether one step's key, or a beginning that it takes instead, is another's key as it is written.
fn answers(asking: &Kept<'_, '_>, saved: &Kept<'_, '_>) -> bool {
    let Some(key) = saved.did.step.with("key").filter(|_| saved.by_key()) else {
        return false;
    };
    asking.did.step.with("key") == Some(key)
        || asking
            .restore_keys()
            .iter()
            .any(|beginning| key.starts_with(beginning))
}

/// Whether two steps that make keys of their own make the same: rust-cache's hold the job's name, or `shared-key`.
fn same_own_key(
    job: &Job<'_>,
    one: &Kept<'_, '_>,
    other_job: &Job<'_>,
    other: &Kept<'_, '_>,
) -> bool {
    let (one, other) = (&one.did.step, &other.did.step);
    let said = |input| one.with(input) == other.with(input);
    let without_job = |step: &crate::model::Step<'_>| step.with("add-job-id-key") == Some("false");
    said("shared-key")
        && said("key")
        && said("prefix-key")
        && (one.with("shared-key").is_some()
            || job.id == other_job.id
            || without_job(one) && without_job(other))
}
