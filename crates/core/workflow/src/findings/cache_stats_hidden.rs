//! A compile cache whose hits nobody sees.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::{compile_caches, compiles, wrapper};
use crate::model::{Did, Job, Run, Workflow};
use crate::yaml::edit::{add_entry, add_item, replace_scalar};

pub(super) const RULE: Rule = Rule {
    id: "cache-stats-hidden",
    summary: "a compile cache's statistics are not shown, or not after a failure",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs {
            let used = run.done().any(|did| {
                did.calls.iter().any(|call| {
                    compiles(call)
                        && wrapper(context.project, &call.env)
                            .is_some_and(|wrapper| wrapper.rsplit('/').next() == Some("sccache"))
                })
            });
            // The actions show them themselves when the job ends.
            let shown = compile_caches(run)
                .iter()
                .any(|cache| matches!(cache.did.kind, Kind::Sccache | Kind::Ccache))
                && !run.done().any(|did| {
                    did.kind == Kind::Sccache
                        && did.step.with("disable_annotations") == Some("true")
                });
            if used && !shown {
                report(workflow, job, run, sink);
            }
        }
    }
}

fn report(workflow: &Workflow<'_>, job: &Job<'_>, run: &Run<'_>, sink: &mut Sink) {
    let showing = run.steps.iter().find(|did| shows(did));
    match showing {
        Some(did) if did.step.runs_after_failure() => {}
        Some(did) => {
            let alone = did.calls.len() == 1;
            let message = "sccache's statistics are shown only where all went well: give the step `if: always()`".to_owned();
            let source = did.step.source;
            let finding = sink.at(source, did.step.line(), Some(job), message);
            if alone {
                let edit = match did.step.node.get("if") {
                    Some(condition) => condition
                        .str()
                        .filter(|text| !text.contains("${{"))
                        .and_then(|text| {
                            replace_scalar(
                                &source.document,
                                condition,
                                &format!("always() && ({text})"),
                            )
                        }),
                    None => add_entry(
                        &source.document,
                        did.step.node,
                        None,
                        &["if: always()".to_owned()],
                    ),
                };
                finding.fix(Safety::Safe, "show them after a failure as well", [edit]);
            }
        }
        None => {
            let message = "sccache's statistics are never shown, so nobody sees whether it works: end the job with `sccache --show-stats`".to_owned();
            let finding = sink.at(workflow.source, job.line(), Some(job), message);
            if let Some(steps) = job.node.get("steps") {
                let lines = [
                    "- name: Show what was cached",
                    "  if: always()",
                    "  run: sccache --show-stats",
                ]
                .map(str::to_owned);
                let edit = add_item(
                    workflow.document(),
                    steps,
                    steps.items().len().saturating_sub(1),
                    &lines,
                );
                finding.fix(Safety::Safe, "show them at the end", [edit]);
            }
        }
    }
}

fn shows(did: &Did<'_>) -> bool {
    did.calls.iter().any(|call| {
        call.words
            .iter()
            .any(|word| matches!(word.as_str(), "--show-stats" | "-s" | "--show-adv-stats"))
            && call.words.iter().any(|word| {
                word.to_ascii_lowercase().contains("sccache")
                    || word.contains(crate::shell::UNKNOWN)
            })
    })
}
