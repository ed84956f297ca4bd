//! Two workflows run the same checks for the same event.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::runner::Host;
use crate::model::{CargoCall, Run, Workflow};
use crate::yaml::Node;

use super::support::toolchain;

pub(super) const RULE: Rule = Rule {
    id: "duplicate-check-job",
    summary: "two workflows run the same checks for the same event",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (index, later) in context.workflows.iter().enumerate() {
        for earlier in &context.workflows[..index] {
            if !overlap(&earlier.workflow, &later.workflow) {
                continue;
            }
            for (job, runs) in later.jobs() {
                let Some(other) = earlier
                    .jobs()
                    .find(|(_, others)| covered(context, runs, others))
                else {
                    continue;
                };
                let message = format!(
                    "all that this job checks, job `{}` of `{}` checks for the same event as well: leave one out",
                    other.0.id, earlier.workflow.source.path
                );
                sink.at(later.workflow.source, job.line(), Some(job), message);
            }
        }
    }
}

/// One event starts both: with the same filters, for what is filtered otherwise may be disjoint.
fn overlap(one: &Workflow<'_>, other: &Workflow<'_>) -> bool {
    let starts = |workflow: &Workflow<'_>, event: &str| {
        if event == "push" {
            workflow.on_branch_push()
        } else {
            workflow.on(event)
        }
    };
    let filter = |workflow: &Workflow<'_>, event: &str, key: &str| -> Vec<String> {
        let said = workflow
            .event(event)
            .and_then(|node| node.get(key))
            .map(Node::strings)
            .unwrap_or_default();
        said.into_iter().map(str::to_owned).collect()
    };
    // A called workflow runs where its caller's conditions say so.
    if one.on("workflow_call") || other.on("workflow_call") {
        return false;
    }
    ["pull_request", "push"].iter().any(|event| {
        starts(one, event)
            && starts(other, event)
            && ["branches", "branches-ignore", "paths", "paths-ignore"]
                .iter()
                .all(|key| filter(one, event, key) == filter(other, event, key))
    })
}

/// What a run checks: calls of cargo's that look and do not ship. `None` if it does more.
pub(super) fn checks<'r>(run: &'r Run<'_>) -> Option<Vec<&'r CargoCall>> {
    let mut found = Vec::new();
    for (_, call, cargo) in run.cargo() {
        let looks = matches!(
            cargo.subcommand.as_str(),
            "fmt" | "clippy" | "check" | "test" | "doc" | "nextest"
        );
        if cargo.unknown || call.conditional {
            return None;
        }
        match cargo.subcommand.as_str() {
            _ if looks => found.push(cargo),
            "metadata" | "fetch" | "--version" | "version" => {}
            _ => return None,
        }
    }
    let other = run.done().any(|did| {
        did.calls
            .iter()
            .any(|call| call.cargo.is_none() && !super::support::is_plain(call))
    });
    (!found.is_empty() && !other).then_some(found)
}

/// Whether everything that these runs check one of the others' runs checks on the same machine.
pub(super) fn covered(context: &Context<'_>, runs: &[Run<'_>], others: &[Run<'_>]) -> bool {
    runs.iter().all(|run| {
        let Some(calls) = checks(run) else {
            return false;
        };
        others.iter().any(|other| {
            same_machine(run, other, &calls)
                && toolchain(context, other) == toolchain(context, run)
                && calls.iter().all(|wanted| {
                    other.cargo().any(|(did, call, cargo)| {
                        cargo == *wanted
                            && !call.conditional
                            && did.done == Some(true)
                            && same_flags(run, wanted, call)
                    })
                })
        })
    })
}

/// Whether two runs have machines of one kind. What a check that runs no test says does not depend on the image's age.
fn same_machine(run: &Run<'_>, other: &Run<'_>, calls: &[&CargoCall]) -> bool {
    let runs_nothing = calls
        .iter()
        .all(|call| matches!(call.subcommand.as_str(), "fmt" | "clippy" | "check"));
    let (one, two) = (&run.runner, &other.runner);
    one.labels == two.labels
        || runs_nothing
            && one.host == Host::GitHub
            && two.host == Host::GitHub
            && (one.os, one.arm) == (two.os, two.arm)
}

fn same_flags(run: &Run<'_>, wanted: &CargoCall, other: &crate::model::Call) -> bool {
    let own = run
        .cargo()
        .find(|(_, _, cargo)| std::ptr::eq(*cargo, wanted))
        .and_then(|(_, call, _)| call.env.get("RUSTFLAGS"));
    let links = matches!(wanted.subcommand.as_str(), "test" | "nextest");
    own == other.env.get("RUSTFLAGS")
        || !links && without_linker(own) == without_linker(other.env.get("RUSTFLAGS"))
}

/// Flags less those that only choose a linker, which change nothing of what a check says.
fn without_linker(flags: Option<&String>) -> Vec<&str> {
    let words = flags.map(String::as_str).unwrap_or_default();
    words
        .split_whitespace()
        .filter(|word| !word.contains("link-arg") && !word.contains("linker") && *word != "-C")
        .collect()
}
