//! A job builds again what a job that it waits for has built.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::caches::wrapper;
use crate::model::{CargoCall, Run};

use super::support::toolchain;

pub(super) const RULE: Rule = Rule {
    id: "rebuilds-needed-job",
    summary: "a job builds again what a job that it waits for has built",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for played in &context.workflows {
        let workflow = &played.workflow;
        for (job, runs) in played.jobs() {
            let needs = workflow.all_needs(job);
            for run in runs {
                for (did, call, cargo) in run
                    .cargo()
                    .filter(|(_, call, cargo)| is_build(cargo) && !call.conditional)
                {
                    if wrapper(context.project, &call.env).is_some() {
                        continue;
                    }
                    let built = played
                        .jobs()
                        .filter(|(other, _)| needs.contains(&other.id))
                        .find_map(|(other, others)| {
                            others.iter().find_map(|other_run| {
                                builds(context, other_run, run, cargo).then_some(other.id)
                            })
                        });
                    if let Some(other) = built {
                        let message = format!(
                            "`{}` builds again what job `{other}`, which this one waits for, has built with the same profile, target and features: \
                             hand its output on as an artifact",
                            cargo.shown()
                        );
                        sink.at(did.step.source, call.line, Some(job), message);
                    }
                }
            }
        }
    }
}

pub(super) fn is_build(cargo: &CargoCall) -> bool {
    cargo.subcommand == "build" && !cargo.unknown
}

/// Whether another run makes the same on the same kind of machine.
fn builds(context: &Context<'_>, other: &Run<'_>, run: &Run<'_>, cargo: &CargoCall) -> bool {
    other.runner.labels == run.runner.labels
        && other.cargo().any(|(_, call, theirs)| {
            !call.conditional
                && is_build(theirs)
                && theirs.packages == cargo.packages
                && theirs.workspace == cargo.workspace
                && theirs.builds_like(cargo)
        })
        && toolchain(context, other) == toolchain(context, run)
}
