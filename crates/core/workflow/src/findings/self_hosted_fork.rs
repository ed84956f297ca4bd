//! A pull request from a fork runs its code on the project's own machine.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::runner::Host;
use crate::strangers::{self, Flow, Way};

pub(super) const RULE: Rule = Rule {
    id: "self-hosted-fork",
    summary: "a pull request from a fork of a public repository runs on the project's own machine",
    severity: Severity::High,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let flows: Vec<Flow<'_>> = context
        .workflows
        .iter()
        .map(|played| Flow {
            path: &played.workflow.source.path,
            root: &played.workflow.document().root,
        })
        .collect();
    for (file, played) in context.workflows.iter().enumerate() {
        for (job, runs) in played.jobs() {
            let own = runs.iter().any(|run| {
                run.runner.host == Host::Own && run.steps.iter().any(|did| did.done != Some(false))
            });
            if !own {
                continue;
            }
            let Some(Way::Open(_)) = strangers::way_in(&flows, file, job.id, strangers::CODE)
            else {
                continue;
            };
            let line = job
                .node
                .entry("runs-on")
                .map_or(job.line(), |(key, _)| key.place.line);
            let message = "in a public repository anybody's pull request runs its code on this machine and may leave something there: use GitHub's machines for \
                 pull requests, or ask for `github.event.pull_request.head.repo.full_name == github.repository` and have the repository's settings ask for approval \
                 of all outside contributors"
                .to_owned();
            sink.at(played.workflow.source, line, Some(job), message);
        }
    }
}
