//! What several rules need.

use crate::audit::Context;
use crate::model::workflow::steps;
use crate::model::{Call, Did, Job, Run, Source, Step, Uses};
use crate::yaml::Node;

/// Every use of an action, in workflows and in local actions.
pub(super) fn each_uses<'p>(
    context: &Context<'p>,
    visit: &mut dyn FnMut(&'p Source, Option<&Job<'p>>, &Step<'p>, &Uses<'p>),
) {
    for (workflow, job, _) in context.jobs() {
        for step in &job.steps {
            if let Some(uses) = &step.uses {
                visit(workflow.source, Some(job), step, uses);
            }
        }
    }
    for source in context
        .project
        .sources
        .iter()
        .filter(|source| source.action)
    {
        for step in steps(source, source.document.root.at(&["runs", "steps"])) {
            if let Some(uses) = &step.uses {
                visit(source, None, &step, uses);
            }
        }
    }
}

/// The first compile that is sure to happen.
pub(super) fn first_compile<'r>(run: &'r Run<'_>) -> Option<(&'r Did<'r>, &'r Call)> {
    run.done()
        .flat_map(|did| did.calls.iter().map(move |call| (did, call)))
        .find(|(_, call)| crate::model::caches::compiles(call))
}

/// Whether the project has packages to compile beside its own; `None` if no manifest was given.
pub(super) fn has_dependencies(context: &Context<'_>) -> Option<bool> {
    let manifests = &context.project.manifests;
    if manifests.is_empty() {
        return None;
    }
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let filled = |table: &toml::Table| {
        kinds.iter().any(|kind| {
            table
                .get(*kind)
                .and_then(toml::Value::as_table)
                .is_some_and(|table| !table.is_empty())
        })
    };
    Some(manifests.values().any(|file| {
        filled(&file.table)
            || file
                .table
                .get("target")
                .and_then(toml::Value::as_table)
                .is_some_and(|targets| {
                    targets
                        .values()
                        .filter_map(toml::Value::as_table)
                        .any(filled)
                })
    }))
}

/// Whether an action, whose name is all that is known of it, may keep things between runs.
pub(super) fn may_cache(run: &Run<'_>) -> bool {
    use crate::model::actions;
    run.done().any(|did| {
        let Some(uses) = &did.step.uses else {
            return did.calls.iter().any(|call| {
                call.words.first().is_some_and(|word| {
                    matches!(
                        word.as_str(),
                        "nix" | "docker" | "earthly" | "bazel" | "rekindle" | "mbx"
                    )
                })
            });
        };
        let unknown = actions::find(&uses.name).is_none();
        unknown
            && (uses.local() && did.calls.is_empty()
                || ["cache", "rust", "nix", "stickydisk", "rekindle"]
                    .iter()
                    .any(|part| uses.name.contains(part)))
    })
}

/// The lines of an entry, for a message's place: that of its key.
pub(super) fn key_line(node: &Node, key: &str) -> u32 {
    node.entry(key)
        .map_or(node.place.line, |(key, _)| key.place.line)
}
