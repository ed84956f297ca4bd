//! Code of a pull request runs with the repository's secrets.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::expr::Template;
use crate::model::actions::{self, Kind};

pub(super) const RULE: Rule = Rule {
    id: "pull-request-target-checkout",
    summary: "code of a pull request runs with the repository's secrets",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, _) in context
        .jobs()
        .filter(|(workflow, ..)| workflow.on("pull_request_target"))
    {
        let mut head = None;
        for step in &job.steps {
            if actions::kind(step.action()) == Kind::Checkout
                && checks_out_head(step.with("ref")) | checks_out_head(step.with("repository"))
            {
                head.get_or_insert(step);
            }
        }
        let Some(step) = head else { continue };
        // What only looks at the text runs nothing of it.
        let runs = job
            .steps
            .iter()
            .filter(|other| other.index > step.index)
            .any(|other| {
                !other.commands.is_empty() || other.uses.as_ref().is_some_and(|uses| uses.local())
            });
        if runs {
            let message = "`pull_request_target` has the repository's secrets, and this checks out what anybody proposed, which later steps run: \
                 use `pull_request`, or do not run what is checked out"
                .to_owned();
            sink.at(workflow.source, step.line(), Some(job), message);
        }
    }
}

fn checks_out_head(text: Option<&str>) -> bool {
    let Some(text) = text else { return false };
    let template = Template::parse(text);
    template.paths().iter().any(|path| {
        path.starts_with("github.event.pull_request.head")
            || *path == "github.head_ref"
            || path.starts_with("github.event.pull_request.merge_commit")
    }) || text.contains("refs/pull/")
}
