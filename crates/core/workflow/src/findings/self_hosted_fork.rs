//! A pull request from a fork runs its code on the project's own machine.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::runner::Host;
use crate::model::{Job, Workflow};

pub(super) const RULE: Rule = Rule {
    id: "self-hosted-fork",
    summary: "a pull request from a fork of a public repository runs on the project's own machine",
    severity: Severity::High,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        let reachable = workflow.on("pull_request") || workflow.on("pull_request_target");
        if !reachable
            || guarded(workflow, job)
            || !runs.iter().any(|run| {
                run.runner.host == Host::Own && run.steps.iter().any(|did| did.done != Some(false))
            })
        {
            continue;
        }
        let line = job
            .node
            .entry("runs-on")
            .map_or(job.line(), |(key, _)| key.place.line);
        let message = "in a public repository anybody's pull request runs its code on this machine and may leave something there: use GitHub's machines for \
             pull requests, or ask for `github.event.pull_request.head.repo.full_name == github.repository`"
            .to_owned();
        sink.at(workflow.source, line, Some(job), message);
    }
}

/// A condition of the job, or of one that it waits for, looks at whose code it is.
fn guarded(workflow: &Workflow<'_>, job: &Job<'_>) -> bool {
    let looks = |job: &Job<'_>| {
        job.condition.as_ref().is_some_and(|condition| {
            condition.paths().iter().any(|path| {
                path.contains("head.repo")
                    || path.contains("event_name")
                    || path.contains("author_association")
                    || path.contains("github.ref")
                    || path.contains("repository")
            })
        })
    };
    looks(job)
        || workflow
            .all_needs(job)
            .iter()
            .filter_map(|id| workflow.job(id))
            .any(looks)
}
