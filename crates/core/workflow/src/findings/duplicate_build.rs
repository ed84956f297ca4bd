//! Two jobs that do not wait for each other make the same optimised build for the same event.

use crate::audit::{Confidence, Context, Played, Rule, Severity, Sink};
use crate::model::caches::wrapper;
use crate::model::run::Env;
use crate::model::{Call, CargoCall, Did, Job, Project, Run};

use super::rebuilds_needed_job::is_build;
use super::same_event::runs_beside;
use super::support::{jobs_of, toolchain, without_linker};

pub(super) const RULE: Rule = Rule {
    id: "duplicate-build",
    summary: "two jobs make the same optimised build for the same event",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (index, later) in context.workflows.iter().enumerate() {
        for (at, (job, runs)) in later.jobs().enumerate() {
            let before = later.jobs().take(at);
            let beside = before.filter(|(other, _)| apart(later, job, other));
            if report(context, sink, (later, job, runs), (later, beside)) {
                continue;
            }
            for earlier in &context.workflows[..index] {
                if meet(earlier, later)
                    && report(context, sink, (later, job, runs), (earlier, earlier.jobs()))
                {
                    break;
                }
            }
        }
        // A later workflow may build more than an earlier one does.
        for earlier in &context.workflows[..index] {
            if !meet(earlier, later) {
                continue;
            }
            for (job, runs) in earlier.jobs() {
                let wider = later
                    .jobs()
                    .filter(|(_, theirs)| same(context, theirs, runs).is_none());
                report(context, sink, (earlier, job, runs), (later, wider));
            }
        }
    }
}

/// Whether there is a commit that both run for.
fn meet(one: &Played<'_>, other: &Played<'_>) -> bool {
    runs_beside(&one.workflow, &other.workflow) || runs_beside(&other.workflow, &one.workflow)
}

/// Neither waits for the other: who waits is told by another rule.
fn apart(played: &Played<'_>, one: &Job<'_>, other: &Job<'_>) -> bool {
    !played.workflow.all_needs(one).contains(&other.id)
        && !played.workflow.all_needs(other).contains(&one.id)
}

/// Reports the first build of a job that one of the others makes as well, and whether there was one.
fn report<'a, 'p: 'a>(
    context: &Context<'p>,
    sink: &mut Sink,
    (played, job, runs): (&Played<'p>, &Job<'p>, &[Run<'p>]),
    (other, mut jobs): (
        &Played<'p>,
        impl Iterator<Item = (&'a Job<'p>, &'a [Run<'p>])>,
    ),
) -> bool {
    let found = jobs.find_map(|(theirs, their_runs)| {
        // What a condition lets through on one side only may never run beside the other.
        (theirs.condition.is_none() && job.condition.is_none())
            .then(|| same(context, runs, their_runs))
            .flatten()
            .map(|build| (theirs.id, build))
    });
    let Some((maker, (did, call, cargo))) = found else {
        return false;
    };
    let whose = if std::ptr::eq(played, other) {
        format!("job `{maker}`")
    } else {
        jobs_of(&[maker], other)
    };
    let message = format!(
        "`{}` makes what {whose} makes for the same event, with the same profile, target and features: build once, and hand the output on as an artifact",
        cargo.shown()
    );
    sink.at(did.step.source, call.line, Some(job), message);
    true
}

/// The first build of these runs that one of the other runs makes as well.
fn same<'r>(
    context: &'r Context<'_>,
    runs: &'r [Run<'_>],
    others: &[Run<'_>],
) -> Option<(&'r Did<'r>, &'r Call, &'r CargoCall)> {
    runs.iter()
        .flat_map(|run| builds(context.project, run).map(move |build| (run, build)))
        .find(|(run, (_, call, cargo))| {
            others.iter().any(|other| {
                other.runner.labels == run.runner.labels
                    && toolchain(context, other) == toolchain(context, run)
                    && builds(context.project, other).any(|(_, their_call, theirs)| {
                        holds(context.project, theirs, cargo)
                            && flags(&their_call.env) == flags(&call.env)
                    })
            })
        })
        .map(|(_, build)| build)
}

/// The optimised builds that no compile cache shares with other jobs.
fn builds<'r>(
    project: &'r Project,
    run: &'r Run<'_>,
) -> impl Iterator<Item = (&'r Did<'r>, &'r Call, &'r CargoCall)> {
    run.cargo()
        .filter(|(did, ..)| did.done == Some(true))
        .filter(move |(_, call, cargo)| {
            is_build(cargo)
                && cargo.profile != "dev"
                && !call.conditional
                && wrapper(project, &call.env).is_none()
        })
}

/// Whether one build makes all that another makes.
fn holds(project: &Project, wide: &CargoCall, narrow: &CargoCall) -> bool {
    let all = wide.workspace || wide.packages.is_empty() && is_virtual(project);
    let packages = wide.packages == narrow.packages && wide.workspace == narrow.workspace
        || all
        || !narrow.packages.is_empty() && wide.packages.is_superset(&narrow.packages);
    packages && wide.program == narrow.program && wide.builds_like(narrow)
}

/// Whether the root is a workspace without a package of its own, where cargo builds all members.
fn is_virtual(project: &Project) -> bool {
    project.root_manifest().is_some_and(|root| {
        root.table.get("package").is_none()
            && root
                .table
                .get("workspace")
                .is_some_and(|workspace| workspace.get("default-members").is_none())
    })
}

/// The variables that make another build of the same words.
fn flags(env: &Env) -> Vec<(&str, Vec<&str>)> {
    env.iter()
        .filter(|(name, _)| {
            name.ends_with("RUSTFLAGS")
                || name.starts_with("CARGO_PROFILE_")
                || name.starts_with("CARGO_BUILD_")
                || name.starts_with("CARGO_TARGET_")
        })
        .map(|(name, value)| (name.as_str(), without_linker(Some(value))))
        .filter(|(_, words)| !words.is_empty())
        .collect()
}
