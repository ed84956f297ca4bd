//! A push to a pull request's branch starts the workflow twice.

use crate::audit::{Confidence, Context, Played, Rule, Severity, Sink};
use crate::model::Workflow;
use crate::yaml::Node;

use super::support::compiles;

pub(super) const RULE: Rule = Rule {
    id: "triggered-twice",
    summary: "a push to a pull request's branch runs everything twice",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for played in &context.workflows {
        let workflow = &played.workflow;
        if !each_branch(workflow) || !each_push(workflow) || !compiles(played) || tells(played) {
            continue;
        }
        let root = &workflow.document().root;
        let line = root.entry("on").map_or(1, |(key, _)| key.place.line);
        let message = "a push to the branch of a pull request starts this twice, once for the push and once for the pull request: \
                       name under `push` the branches that no pull request is made of, such as `branches: [main]`"
            .to_owned();
        sink.at(workflow.source, line, None, message);
    }
}

/// Whether a push to any branch starts it.
fn each_branch(workflow: &Workflow<'_>) -> bool {
    workflow.on_branch_push()
        && workflow.filter("push", "branches-ignore").is_none()
        && workflow
            .filter("push", "branches")
            .is_none_or(|branches| branches == ["**"])
}

/// Whether each new commit of a pull request starts it.
fn each_push(workflow: &Workflow<'_>) -> bool {
    workflow.on("pull_request")
        && workflow
            .filter("pull_request", "types")
            .is_none_or(|types| types.contains(&"synchronize"))
}

/// Whether a condition, an action or what cancels it tells the two apart.
fn tells(played: &Played<'_>) -> bool {
    let asks = |path: &str| {
        path.starts_with("github.event.pull_request")
            || matches!(path, "github.event_name" | "github.head_ref")
    };
    let in_condition = played.jobs().any(|(job, _)| {
        job.condition
            .as_ref()
            .is_some_and(|condition| condition.paths().into_iter().any(asks))
    });
    let group = played
        .workflow
        .document()
        .root
        .at(&["concurrency", "group"])
        .and_then(Node::str)
        .map(crate::expr::Template::parse);
    let skips = played.jobs().any(|(job, _)| {
        job.steps
            .iter()
            .any(|step| step.action() == "fkirc/skip-duplicate-actions")
    });
    // A group that the push and the pull request have in common leaves one of them.
    in_condition || skips || group.is_some_and(|group| group.paths().contains(&"github.head_ref"))
}
