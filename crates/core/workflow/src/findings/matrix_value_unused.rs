//! A matrix runs a job several times over, each time the same.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::expr::Template;
use crate::yaml::Node;

use super::support::scalars;

pub(super) const RULE: Rule = Rule {
    id: "matrix-value-unused",
    summary: "a value of the matrix is used nowhere in the job",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

/// What people call a value that is there to be read in the job's name.
const LABELS: &[&str] = &[
    "name",
    "build",
    "label",
    "title",
    "job",
    "id",
    "kind",
    "description",
    "platform",
    "suite",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, _) in context.jobs() {
        let Some(matrix) = job.matrix().filter(|matrix| matrix.is_mapping()) else {
            continue;
        };
        let mut used: Vec<String> = Vec::new();
        // The job's name shows a value and does nothing with it.
        let doing = |key: &Node| key.str() != Some("name");
        for (_, value) in job.node.entries().iter().filter(|(key, _)| doing(key)) {
            scalars(value, &mut |scalar| {
                let text = scalar.str().unwrap_or_default();
                let condition = Template::condition(text);
                let template = Template::parse(text);
                let paths = template
                    .paths()
                    .into_iter()
                    .chain(if text.contains("matrix") {
                        condition.paths()
                    } else {
                        Vec::new()
                    });
                used.extend(
                    paths
                        .filter(|path| path.starts_with("matrix"))
                        .map(str::to_owned),
                );
            });
        }
        // All of it at once: `toJSON(matrix)`, or a key that is computed.
        if used
            .iter()
            .any(|path| path == "matrix" || path.starts_with("matrix.*"))
        {
            continue;
        }
        let is_used = |name: &str| {
            let name = format!("matrix.{}", name.to_ascii_lowercase());
            used.iter()
                .any(|path| *path == name || path.starts_with(&format!("{name}.")))
        };
        let shown = job
            .node
            .get("name")
            .and_then(Node::str)
            .map(Template::parse);
        let is_shown = |name: &str| {
            let name = format!("matrix.{}", name.to_ascii_lowercase());
            shown.as_ref().is_some_and(|shown| {
                shown
                    .paths()
                    .iter()
                    .any(|path| *path == name || path.starts_with(&format!("{name}.")))
            })
        };
        let include = matrix.get("include").map(Node::items).unwrap_or_default();
        let joins = |name: &str| include.iter().any(|entry| entry.get(name).is_some());
        for (key, values) in matrix.entries() {
            let Some(name) = key
                .str()
                .filter(|name| !matches!(*name, "include" | "exclude"))
            else {
                continue;
            };
            // By its values `include` tells which combination an entry adds to.
            if is_used(name) || joins(name) {
                continue;
            }
            let count = values.items().len();
            if count < 2 && is_shown(name) {
                continue;
            }
            let message = if count > 1 {
                format!(
                    "no step asks for `matrix.{name}`, so the job runs {count} times over, each time the same: use it, or leave it out"
                )
            } else {
                format!("nothing in the job asks for `matrix.{name}`: use it, or leave it out")
            };
            sink.at(workflow.source, key.place.line, Some(job), message);
        }
        let mut told: Vec<&str> = Vec::new();
        for (key, _) in include.iter().flat_map(|entry| entry.entries()) {
            let Some(name) = key.str().filter(|name| !told.contains(name)) else {
                continue;
            };
            // The name of a job shows its values: some are only for that.
            if is_used(name)
                || is_shown(name)
                || matrix.get(name).is_some()
                || LABELS.contains(&name)
            {
                continue;
            }
            told.push(name);
            let message =
                format!("nothing in the job asks for `matrix.{name}`: use it, or leave it out");
            sink.at(workflow.source, key.place.line, Some(job), message);
        }
    }
}
