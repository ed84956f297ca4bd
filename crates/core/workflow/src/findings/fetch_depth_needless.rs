//! The whole history is fetched, and nothing looks at it.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::{self, Kind};
use crate::model::{Call, Run};
use crate::yaml::edit::remove_entry;

use super::support::{is_plain, unseen_action};

pub(super) const RULE: Rule = Rule {
    id: "fetch-depth-needless",
    summary: "the whole history is fetched, and nothing looks at it",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    fix: Some(Safety::Unsafe),
    check,
};

/// Packages whose build scripts ask git.
const ASKING: &[&str] = &[
    "vergen",
    "vergen-git2",
    "vergen-gix",
    "vergen-gitcl",
    "git2",
    "built",
    "shadow-rs",
    "gix",
    "git-version",
    "build-info",
    "git-testament",
    "bugreport",
    "build_info",
    "version_check_git",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    if context.project.manifests.is_empty() || asks_git(context) {
        return;
    }
    for (_, job, runs) in context.jobs() {
        let all = !runs.is_empty() && runs.iter().all(|run| !looks(context, run));
        for step in job
            .steps
            .iter()
            .filter(|step| actions::kind(step.action()) == Kind::Checkout && all)
        {
            if step.with("fetch-depth") != Some("0") {
                continue;
            }
            let node = step.with_node("fetch-depth").unwrap_or(step.node);
            let message = "the whole history is fetched, and no step of the job looks at it: leave `fetch-depth` out".to_owned();
            let finding = sink.at(step.source, node.place.line, Some(job), message);
            let document = &step.source.document;
            let edit = match step.node.get("with") {
                Some(with) if with.entries().len() > 1 => {
                    remove_entry(document, with, "fetch-depth")
                }
                _ => remove_entry(document, step.node, "with"),
            };
            finding.fix(Safety::Unsafe, "fetch one commit", [edit]);
        }
    }
}

fn asks_git(context: &Context<'_>) -> bool {
    context.project.manifests.values().any(|file| {
        let named = |table: &toml::Table| {
            ["dependencies", "build-dependencies"].iter().any(|kind| {
                table
                    .get(*kind)
                    .and_then(toml::Value::as_table)
                    .is_some_and(|found| found.keys().any(|name| ASKING.contains(&name.as_str())))
            })
        };
        // A build script may ask git itself.
        named(&file.table)
            || file
                .table
                .get("workspace")
                .and_then(toml::Value::as_table)
                .is_some_and(named)
            || file
                .table
                .get("package")
                .and_then(|package| package.get("build"))
                .is_some()
    })
}

fn looks(context: &Context<'_>, run: &Run<'_>) -> bool {
    run.done().any(|did| {
        let action = did.step.uses.as_ref().is_some_and(|uses| {
            actions::find(&uses.name).is_some_and(|known| {
                matches!(known.kind, Kind::Ship | Kind::BuildAndShip)
                    || uses.name.contains("codecov")
                    || uses.name.contains("paths-filter")
            })
        });
        action || unseen_action(context, did) || did.calls.iter().any(asks)
    })
}

fn asks(call: &Call) -> bool {
    match &call.cargo {
        Some(cargo) => !matches!(
            cargo.subcommand.as_str(),
            "build"
                | "check"
                | "clippy"
                | "test"
                | "fmt"
                | "doc"
                | "nextest"
                | "bench"
                | "install"
                | "fetch"
        ),
        None => !is_plain(call),
    }
}
