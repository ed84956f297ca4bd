//! A tool is compiled from its sources in each run.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::caches::{kept, wrapper};

pub(super) const RULE: Rule = Rule {
    id: "tool-from-source",
    summary: "a tool is compiled from its sources in each run",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let programs = kept(run).iter().any(|kept| kept.programs && kept.restores);
            if programs {
                continue;
            }
            for (did, call, cargo) in run
                .cargo()
                .filter(|(_, call, cargo)| cargo.subcommand == "install" && !call.conditional)
            {
                let own = cargo.rest.iter().any(|word| {
                    ["--path", "--git", "--list"]
                        .iter()
                        .any(|option| word.starts_with(option))
                });
                let Some(name) = cargo
                    .rest
                    .iter()
                    .find(|word| !word.starts_with('-') && !word.contains(crate::shell::UNKNOWN))
                else {
                    continue;
                };
                if own || wrapper(context.project, &call.env).is_some() {
                    continue;
                }
                let name = name.split('@').next().unwrap_or(name);
                let message = format!(
                    "`{name}` is compiled from its sources in each run: take a ready-made program (`taiki-e/install-action` with `tool: {name}` finds most), \
                     or keep `~/.cargo/bin`"
                );
                sink.at(did.step.source, call.line, Some(job), message);
            }
        }
    }
}
