//! Every pull request saves caches of its own, which push out those that others could use.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::{Kept, kept};
use crate::yaml::edit::add_entry;

pub(super) const RULE: Rule = Rule {
    id: "cache-saved-everywhere",
    summary: "every branch saves a target directory of its own against the size limit",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    fix: Some(Safety::Unsafe),
    check,
};

/// True on the default branch alone: a pull request's ref has another name.
const DEFAULT_BRANCH: &str = "${{ github.ref_name == github.event.repository.default_branch }}";

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context
        .jobs()
        .filter(|(workflow, ..)| workflow.on("pull_request") && workflow.on_branch_push())
    {
        for run in runs {
            for kept in kept(run).into_iter().filter(Kept::keeps_target) {
                let step = &kept.did.step;
                let conditional = step.condition.is_some() || job.condition.is_some();
                if kept.limits_saving() || conditional {
                    continue;
                }
                let message = "each pull request saves a target directory that only it can restore, and the repository's 10 GB push out the default branch's, \
                     which all could use: save on the default branch alone"
                    .to_owned();
                let finding = sink.at(step.source, step.line(), Some(job), message);
                let lines = format!("save-if: {DEFAULT_BRANCH}");
                if kept.did.kind == Kind::RustCache {
                    let document = &step.source.document;
                    let edit = match step.node.get("with") {
                        Some(with) => add_entry(document, with, None, &[lines]),
                        None => add_entry(
                            document,
                            step.node,
                            None,
                            &["with:".to_owned(), format!("  {lines}")],
                        ),
                    };
                    finding.fix(Safety::Unsafe, "save on the default branch alone", [edit]);
                }
            }
        }
    }
}
