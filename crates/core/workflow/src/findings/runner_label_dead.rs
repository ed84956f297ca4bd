//! A job waits for a runner that no longer exists.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::{Job, Workflow};
use crate::providers;
use crate::yaml::Node;
use crate::yaml::edit::replace_scalar;

use super::support::scalars;

pub(super) const RULE: Rule = Rule {
    id: "runner-label-dead",
    summary: "a job waits for a runner that no longer exists",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs {
            // Machines of one's own may have any label.
            if run
                .runner
                .labels
                .iter()
                .any(|label| label.eq_ignore_ascii_case("self-hosted"))
            {
                continue;
            }
            for label in &run.runner.labels {
                let Some(runner) =
                    providers::parse(label).filter(|runner| runner.is_dead(context.today))
                else {
                    continue;
                };
                let node = written(job, label);
                let line = node.map_or_else(
                    || {
                        job.node
                            .entry("runs-on")
                            .map_or(job.line(), |(key, _)| key.place.line)
                    },
                    |node| node.place.line,
                );
                let nearest = providers::nearest_living(&runner, context.today);
                let since = match runner.ends() {
                    Some(day) if runner.listed => {
                        format!("jobs with `{label}` no longer start since {day}")
                    }
                    _ => format!("{} lists no runner `{label}`", runner.provider.title),
                };
                let message = match &nearest {
                    Some(nearest) => format!("{since}: take `{nearest}`"),
                    None => format!("{since}: take another"),
                };
                let finding = sink.at(workflow.source, line, Some(job), message);
                if let (Some(node), Some(nearest)) = (node, nearest) {
                    finding.fix(
                        Safety::Unsafe,
                        "take the nearest living runner",
                        [edit(workflow, node, &nearest)],
                    );
                }
            }
        }
    }
}

/// Where a label is written: in `runs-on`, or in the matrix.
fn written<'p>(job: &Job<'p>, label: &str) -> Option<&'p Node> {
    let mut found = None;
    for node in [job.node.get("runs-on"), job.matrix()]
        .into_iter()
        .flatten()
    {
        scalars(node, &mut |scalar| {
            if scalar.str() == Some(label) {
                found.get_or_insert(scalar);
            }
        });
    }
    found
}

fn edit(workflow: &Workflow<'_>, node: &Node, label: &str) -> Option<crate::yaml::edit::Edit> {
    replace_scalar(workflow.document(), node, label)
}
