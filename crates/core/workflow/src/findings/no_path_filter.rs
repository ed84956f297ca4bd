//! A change of documentation alone compiles everything.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};

use super::support::compiles;

pub(super) const RULE: Rule = Rule {
    id: "no-path-filter",
    summary: "a change of documentation alone compiles and tests everything",
    severity: Severity::Low,
    confidence: Confidence::Low,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for played in &context.workflows {
        let workflow = &played.workflow;
        if !workflow.on("pull_request") || workflow.on("workflow_call") || !compiles(played) {
            continue;
        }
        let filtered = ["pull_request", "push"]
            .iter()
            .filter_map(|event| workflow.event(event))
            .any(|event| event.get("paths").is_some() || event.get("paths-ignore").is_some());
        let looks = workflow.jobs.iter().any(|job| {
            let condition = job.condition.as_ref().is_some_and(|condition| {
                condition
                    .paths()
                    .iter()
                    .any(|path| path.starts_with("needs."))
            });
            condition
                || job.steps.iter().any(|step| {
                    ["paths-filter", "changed-files"]
                        .iter()
                        .any(|part| step.action().contains(part))
                })
                || job
                    .steps
                    .iter()
                    .flat_map(|step| &step.commands)
                    .any(|command| {
                        let words: Vec<String> = command
                            .words
                            .iter()
                            .filter_map(crate::shell::Word::literal)
                            .collect();
                        words.first().is_some_and(|word| word == "git")
                            && words.iter().any(|word| word == "diff")
                    })
        });
        if filtered || looks {
            continue;
        }
        let line = workflow
            .document()
            .root
            .entry("on")
            .map_or(1, |(key, _)| key.place.line);
        let message = "a pull request that changes only documentation compiles and tests everything: add `paths-ignore`, or a job that looks at what \
             changed where checks are required"
            .to_owned();
        sink.at(workflow.source, line, None, message);
    }
}
