//! Whether a stranger can start a workflow: by a pull request from a fork, a comment or an issue.
//!
//! An `if:` of a job is no guard and is not looked at: where a pull request starts a workflow, its author also writes
//! that workflow's text. A workflow that others call is as reachable as they are; one that nobody here calls may be
//! called from anywhere.

use std::collections::BTreeSet;

use crate::yaml::{Node, Value};

use super::Opened;

/// Events that anybody can cause in a public repository.
const OPEN: &[&str] = &[
    "pull_request",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
    "issue_comment",
    "issues",
    "discussion",
    "discussion_comment",
    "fork",
    "watch",
    "workflow_run",
];

/// How a stranger gets to a workflow, for people; `None` where none does.
pub(super) fn way_in(files: &[Opened<'_>], file: usize) -> Option<String> {
    way(files, file, &mut BTreeSet::new())
}

fn way(files: &[Opened<'_>], file: usize, seen: &mut BTreeSet<usize>) -> Option<String> {
    if !seen.insert(file) {
        return None;
    }
    let events = events(&files[file].document.root);
    if let Some(event) = events.iter().find(|event| OPEN.contains(event)) {
        return Some(format!("`{event}` starts it"));
    }
    if !events.contains(&"workflow_call") {
        return None;
    }
    let callers = super::callers(files, file);
    if callers.is_empty() {
        return Some("it is called by workflows that are not here".to_owned());
    }
    callers.into_iter().find_map(|(caller, job)| {
        let way = way(files, caller, seen)?;
        Some(format!(
            "job `{job}` of `{}` calls it, and {way}",
            files[caller].path
        ))
    })
}

/// The events that start a workflow.
fn events(root: &Node) -> Vec<&str> {
    let Some(on) = root.get("on") else {
        return Vec::new();
    };
    match &on.value {
        Value::Mapping(entries, _) => entries.iter().filter_map(|(key, _)| key.str()).collect(),
        _ => on.strings(),
    }
}
