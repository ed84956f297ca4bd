//! A job compiles everything anew in each run.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::{compile_caches, kept, wrapper};

use crate::model::{CargoCall, Did, Job, Run, Workflow};
use crate::pins;
use crate::yaml::edit::{Edit, add_item};

use super::support::{has_dependencies, may_cache};

pub(super) const RULE: Rule = Rule {
    id: "no-cache",
    summary: "a job compiles everything anew in each run",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs().filter(|(workflow, ..)| workflow.is_ci()) {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let mut calls = run
                .cargo()
                .filter(|(_, _, cargo)| cargo.compiles() && has_dependencies(context, cargo));
            let Some((did, call, cargo)) = calls.next() else {
                continue;
            };
            let cached = !kept(run).is_empty() || may_cache(context, run);
            // That a compile cache is there, and does nothing, is what other rules find.
            let wrapped =
                wrapper(context.project, &call.env).is_some() || !compile_caches(run).is_empty();
            if cached || wrapped {
                continue;
            }
            let shown = cargo.shown();
            let message = format!(
                "`{shown}` compiles all dependencies anew in each run: keep what it makes, with a cache of the target directory or of units"
            );
            let finding = sink.at(workflow.source, job.line(), Some(job), message);
            finding.fix(
                Safety::Unsafe,
                "keep compiled dependencies, saved by the default branch",
                [cache_step(workflow, job, run, did, cargo)],
            );
        }
    }
}

/// A step that keeps what cargo makes, behind those that bring the sources and the toolchain: the toolchain is a part of
/// its key.
fn cache_step(
    workflow: &Workflow<'_>,
    job: &Job<'_>,
    run: &Run<'_>,
    compiles: &Did<'_>,
    cargo: &CargoCall,
) -> Option<Edit> {
    let pin = pins::of_action("Swatinem/rust-cache")?;
    let before = run.done().take_while(|did| did.index < compiles.index);
    let after = before
        .filter(|did| {
            let rustup = did
                .calls
                .iter()
                .any(|call| call.words.first().is_some_and(|word| word == "rustup"));
            rustup
                || matches!(
                    did.kind,
                    Kind::Checkout | Kind::Toolchain | Kind::ToolchainAndCache
                )
        })
        .last()?;
    let root = cargo.directory.trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !root.chars().all(plain) || !cargo.paths.is_empty() {
        return None;
    }
    let mut lines = vec![format!("- uses: {pin}"), "  with:".to_owned()];
    if !root.is_empty() && root != "." {
        lines.push(format!("    workspaces: {root}"));
    }
    lines.push(
        "    save-if: ${{ github.ref_name == github.event.repository.default_branch }}".to_owned(),
    );
    let steps = job.node.get("steps")?;
    add_item(workflow.document(), steps, after.index, &lines)
}
