//! Runs for commits that nobody waits for any more go on to their end.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::yaml::Document;
use crate::yaml::edit::{Edit, add_entry, add_entry_before};

use super::support::compiles;

pub(super) const RULE: Rule = Rule {
    id: "no-concurrency",
    summary: "a new push to a pull request does not cancel the run of the last one",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

/// What has a pull request's new push cancel its last run, and leaves each commit of a branch its own: that one saves
/// what others restore.
pub(crate) const CONCURRENCY: [&str; 3] = [
    "concurrency:",
    "  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.sha }}",
    "  cancel-in-progress: ${{ github.event_name == 'pull_request' }}",
];

/// Adds [`CONCURRENCY`] to a workflow, before its jobs.
pub(crate) fn add_concurrency(document: &Document) -> Option<Edit> {
    let lines = CONCURRENCY.iter().chain([&""]);
    let lines: Vec<String> = lines.map(|line| (*line).to_owned()).collect();
    add_entry_before(document, &document.root, "jobs", &lines)
}

fn check(context: &Context<'_>, sink: &mut Sink) {
    for played in &context.workflows {
        let workflow = &played.workflow;
        // A called workflow shares its caller's name, and would cancel it.
        if !workflow.on("pull_request") || workflow.on("workflow_call") || !compiles(played) {
            continue;
        }
        let root = &workflow.document().root;
        let cancels = |node: Option<&crate::yaml::Node>| {
            node.and_then(|node| node.get("cancel-in-progress"))
                .is_some_and(|cancel| cancel.str() != Some("false"))
        };
        if cancels(root.get("concurrency"))
            || played
                .jobs()
                .all(|(job, _)| cancels(job.node.get("concurrency")))
        {
            continue;
        }
        let (line, message) = match root.entry("concurrency") {
            Some((key, _)) => (
                key.place.line,
                "a run that a new push has made useless goes on: add `cancel-in-progress: true`, at least for pull requests",
            ),
            None => (
                root.entry("on").map_or(1, |(key, _)| key.place.line),
                "a new push to a pull request leaves the run of the last one going: add `concurrency` with `cancel-in-progress`",
            ),
        };
        let document = workflow.document();
        let finding = sink.at(workflow.source, line, None, message.to_owned());
        let edit = match root.get("concurrency") {
            Some(concurrency) if concurrency.get("cancel-in-progress").is_none() => add_entry(
                document,
                concurrency,
                None,
                &["cancel-in-progress: ${{ github.event_name == 'pull_request' }}".to_owned()],
            ),
            Some(_) => None,
            None => add_concurrency(document),
        };
        finding.fix(Safety::Safe, "cancel a pull request's last run", [edit]);
    }
}
