//! A linker flag for what the compiler does without it.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};

use crate::model::Project;
use crate::model::run::Env;

use super::support::{floating_stable, link_flags};

pub(super) const RULE: Rule = Rule {
    id: "linker-flag-redundant",
    summary: "a flag asks for the linker that is the default",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs
            .iter()
            .filter(|run| run.runner.linux() && run.runner.arm == Some(false))
        {
            for (did, call, cargo) in run.cargo().filter(|(_, _, cargo)| cargo.makes_code()) {
                let native = cargo
                    .targets
                    .iter()
                    .all(|target| target == "x86_64-unknown-linux-gnu");
                let Some(flags) = link_flags(context.project, &call.env)
                    .filter(|flags| flags.contains("fuse-ld=lld") && native)
                else {
                    continue;
                };
                if !floating_stable(context.project, run, cargo)
                    || flags.contains("linker-features=-lld")
                {
                    continue;
                }
                let message = "`-fuse-ld=lld` asks for what Rust does since 1.90 on x86-64 Linux without it, with the linker that it brings along: \
                     leave the flag out, and what installs lld"
                    .to_owned();
                // One flag for all jobs is one finding, where it stands.
                if let Some((path, line)) = configured(context.project, &call.env) {
                    sink.add(path, line, 1, None, message);
                    continue;
                }
                let places = [
                    did.step.node.get("env"),
                    job.node.get("env"),
                    workflow.document().root.get("env"),
                ];
                let line = places
                    .into_iter()
                    .flatten()
                    .find_map(|env| env.entry("RUSTFLAGS"))
                    .map_or(call.line, |(key, _)| key.place.line);
                sink.at(workflow.source, line, Some(job), message);
            }
        }
    }
}

/// Where the configuration has the flag, if nothing in the environment takes its place.
fn configured<'p>(project: &'p Project, env: &Env) -> Option<(&'p str, u32)> {
    let said = env.keys().any(|name| {
        matches!(name.as_str(), "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS")
            || name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS")
    });
    let file = project.cargo_config.as_ref().filter(|_| !said)?;
    let line = file
        .text
        .lines()
        .position(|line| line.contains("fuse-ld=lld") && !line.trim_start().starts_with('#'))?;
    Some((&file.path, u32::try_from(line + 1).unwrap_or(1)))
}
