//! A linker flag for what the compiler does without it.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};

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
