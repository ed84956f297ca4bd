//! A job waits for a runner that no longer exists.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::expr::Template;
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
                let node = written(workflow, job, label);
                // What a caller gives is wrong where the caller says it.
                if node.is_none() && !inputs(job).is_empty() {
                    continue;
                }
                report(context, sink, workflow, job, label, node);
            }
        }
        for node in given(context, job) {
            let label = node.str().unwrap_or_default();
            report(context, sink, workflow, job, label, Some(node));
        }
    }
}

fn report(
    context: &Context<'_>,
    sink: &mut Sink,
    workflow: &Workflow<'_>,
    job: &Job<'_>,
    label: &str,
    node: Option<&Node>,
) {
    let Some(runner) = providers::parse(label).filter(|runner| runner.is_dead(context.today))
    else {
        return;
    };
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
    // Another one in the list that runs there already would run the job twice.
    let there = nearest
        .as_deref()
        .is_some_and(|nearest| node.is_some_and(|node| beside(job, node, nearest)));
    let message = match &nearest {
        Some(nearest) if there => {
            format!("{since}, and `{nearest}` is in the list already: leave it out")
        }
        Some(nearest) => format!("{since}: take `{nearest}`"),
        None => format!("{since}: take another"),
    };
    let finding = sink.at(workflow.source, line, Some(job), message);
    if let (Some(node), Some(nearest)) = (node, nearest.filter(|_| !there)) {
        finding.fix(
            Safety::Unsafe,
            "take the nearest living runner",
            places(job, node, label)
                .into_iter()
                .map(|node| replace_scalar(workflow.document(), node, &nearest)),
        );
    }
}

/// Whether an axis of the matrix has a label beside the one at a place.
fn beside(job: &Job<'_>, node: &Node, label: &str) -> bool {
    let axes = job.matrix().map(Node::entries).unwrap_or_default();
    axes.iter().any(|(_, axis)| {
        let items = axis.items();
        items.iter().any(|item| std::ptr::eq(item, node))
            && items.iter().any(|item| item.str() == Some(label))
    })
}

/// A label's place, and others in the same matrix that must go on naming the same: `exclude` and `include`.
fn places<'n>(job: &Job<'n>, node: &'n Node, label: &str) -> Vec<&'n Node> {
    let mut found = vec![node];
    if let Some(matrix) = job.matrix() {
        let mut inside = false;
        let mut all = Vec::new();
        scalars(matrix, &mut |scalar| {
            inside |= std::ptr::eq(scalar, node);
            if scalar.str() == Some(label) {
                all.push(scalar);
            }
        });
        if inside {
            found.extend(all.into_iter().filter(|other| !std::ptr::eq(*other, node)));
        }
    }
    found
}

/// The inputs that a job's `runs-on` asks for, in lower case.
fn inputs(job: &Job<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(node) = job.node.get("runs-on") {
        scalars(node, &mut |scalar| {
            let template = Template::parse(scalar.str().unwrap_or_default());
            let paths = template.paths();
            found.extend(
                paths
                    .iter()
                    .filter_map(|path| path.strip_prefix("inputs."))
                    .map(str::to_owned),
            );
        });
    }
    found
}

/// The values that a job which calls a workflow gives it as runners, itself or from its matrix.
fn given<'p>(context: &Context<'p>, job: &Job<'p>) -> Vec<&'p Node> {
    let path = job
        .uses
        .and_then(Node::str)
        .and_then(|uses| uses.strip_prefix("./"));
    let called = path.and_then(|path| {
        context
            .workflows
            .iter()
            .find(|played| played.workflow.source.path == path)
    });
    let (Some(called), Some(with)) = (called, job.node.get("with")) else {
        return Vec::new();
    };
    let wanted: Vec<String> = called.workflow.jobs.iter().flat_map(inputs).collect();
    let mut found = Vec::new();
    for (key, value) in with.entries() {
        let name = key.str().unwrap_or_default().to_ascii_lowercase();
        if !wanted.contains(&name) {
            continue;
        }
        let text = value.str().unwrap_or_default();
        match (text.contains("matrix."), job.matrix()) {
            (true, Some(matrix)) => scalars(matrix, &mut |scalar| found.push(scalar)),
            _ => found.push(value),
        }
    }
    found
}

/// Where a label is written: in `runs-on`, in the matrix, or as what an input is without being given.
fn written<'p>(workflow: &Workflow<'p>, job: &Job<'p>, label: &str) -> Option<&'p Node> {
    let mut found = None;
    let defaults = ["workflow_call", "workflow_dispatch"]
        .iter()
        .filter_map(|event| workflow.event(event)?.get("inputs"))
        .flat_map(Node::entries)
        .filter(|(key, _)| {
            let name = key.str().unwrap_or_default().to_ascii_lowercase();
            inputs(job).contains(&name)
        })
        .filter_map(|(_, input)| input.get("default"));
    for node in [job.node.get("runs-on"), job.matrix()]
        .into_iter()
        .flatten()
        .chain(defaults)
    {
        scalars(node, &mut |scalar| {
            if scalar.str() == Some(label) {
                found.get_or_insert(scalar);
            }
        });
    }
    found
}
