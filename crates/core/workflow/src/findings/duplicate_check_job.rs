//! Two workflows run the same checks for the same event.

use crate::audit::{Confidence, Context, Played, Rule, Severity, Sink};
use crate::model::runner::Host;
use crate::model::{CargoCall, Run};

use super::same_event::runs_beside;
use super::support::{jobs_of, toolchain, without_linker};

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
            let kept = report(context, sink, later, earlier, &[]);
            report(context, sink, earlier, later, &kept);
        }
    }
}

/// Reports the jobs of a workflow whose checks another one makes as well, but for those in `keep`. Hands back the
/// other's jobs that make them, which are not to be left out too.
fn report<'p>(
    context: &Context<'p>,
    sink: &mut Sink,
    doubtful: &Played<'p>,
    other: &Played<'p>,
    keep: &[&str],
) -> Vec<&'p str> {
    let mut makers = Vec::new();
    if !runs_beside(&other.workflow, &doubtful.workflow) {
        return makers;
    }
    for (job, runs) in doubtful.jobs().filter(|(job, _)| !keep.contains(&job.id)) {
        let Some(found) = covering(context, runs, other) else {
            continue;
        };
        let verb = if found.len() == 1 { "checks" } else { "check" };
        let message = format!(
            "all that this job checks, {} {verb} for the same event as well: leave one out",
            jobs_of(&found, other)
        );
        sink.at(doubtful.workflow.source, job.line(), Some(job), message);
        makers.extend(found);
    }
    makers
}

/// What a run checks: calls of cargo's that look and do not ship. `None` if it does more.
fn checks<'r>(run: &'r Run<'_>) -> Option<Vec<&'r CargoCall>> {
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

/// The jobs of a workflow that together make every check of these runs, each on the same kind of machine. `None` if a
/// run does more than check, or a check is nowhere made.
pub(super) fn covering<'p>(
    context: &Context<'p>,
    runs: &[Run<'p>],
    other: &Played<'p>,
) -> Option<Vec<&'p str>> {
    if runs.is_empty() {
        return None;
    }
    let mut makers = Vec::new();
    for run in runs {
        for wanted in checks(run)? {
            let (maker, _) = other.jobs().find(|(_, others)| {
                others
                    .iter()
                    .any(|other| makes(context, other, run, wanted))
            })?;
            if !makers.contains(&maker.id) {
                makers.push(maker.id);
            }
        }
    }
    Some(makers)
}

/// Whether a run makes another's check.
fn makes(context: &Context<'_>, run: &Run<'_>, other: &Run<'_>, wanted: &CargoCall) -> bool {
    same_machine(run, other, wanted)
        && toolchain(context, run) == toolchain(context, other)
        && run.cargo().any(|(did, call, cargo)| {
            cargo == wanted
                && !call.conditional
                && did.done == Some(true)
                && same_flags(other, wanted, call)
        })
}

/// Whether two runs have machines of one kind. What a check that runs no test says does not depend on the image's age.
fn same_machine(run: &Run<'_>, other: &Run<'_>, check: &CargoCall) -> bool {
    let runs_nothing = matches!(check.subcommand.as_str(), "fmt" | "clippy" | "check");
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
