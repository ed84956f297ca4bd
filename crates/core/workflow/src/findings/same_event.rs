//! Whether one workflow is sure to run where another does.

use crate::model::Workflow;

/// Whether there is an event for which `covering` runs whenever `other` does: it has no filter that the other lacks.
pub(super) fn runs_beside(covering: &Workflow<'_>, other: &Workflow<'_>) -> bool {
    // A called workflow runs where its caller's conditions say so.
    if covering.on("workflow_call") || other.on("workflow_call") {
        return false;
    }
    ["pull_request", "push"].iter().any(|event| {
        starts(covering, event)
            && starts(other, event)
            && takes_all(covering, other, event, "branches")
            && takes_all(covering, other, event, "paths")
            && leaves_out_no_more(covering, other, event, "branches-ignore")
            && leaves_out_no_more(covering, other, event, "paths-ignore")
    })
}

fn starts(workflow: &Workflow<'_>, event: &str) -> bool {
    if event == "push" {
        workflow.on_branch_push()
    } else {
        workflow.on(event)
    }
}

/// What the other's filter lets through, the covering one's does too. Patterns are only compared as they are written.
fn takes_all(covering: &Workflow<'_>, other: &Workflow<'_>, event: &str, key: &str) -> bool {
    let wide = covering.filter(event, key).unwrap_or_default();
    let narrow = other.filter(event, key).unwrap_or_default();
    // Without `branches` there may still be `tags`, and then no branch starts it; `starts` has seen to that.
    wide.is_empty()
        || wide == narrow
        || !narrow.is_empty()
            && wide.iter().all(|pattern| !pattern.starts_with('!'))
            && narrow.iter().all(|pattern| wide.contains(pattern))
}

/// What the covering one's filter leaves out, the other's does too.
fn leaves_out_no_more(
    covering: &Workflow<'_>,
    other: &Workflow<'_>,
    event: &str,
    key: &str,
) -> bool {
    let theirs = other.filter(event, key).unwrap_or_default();
    let ours = covering.filter(event, key).unwrap_or_default();
    ours.iter().all(|pattern| theirs.contains(pattern))
}
