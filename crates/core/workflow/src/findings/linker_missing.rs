//! A linker is asked for that is not on the machine.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::runner::Host;
use crate::model::{Did, Run};

use super::support::link_flags;

pub(super) const RULE: Rule = Rule {
    id: "linker-missing",
    summary: "a linker is asked for that nothing installs",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: None,
    check,
};

/// A part of a flag or variable, and what in a command's words installs it.
const LINKERS: &[(&str, &str)] = &[
    ("fuse-ld=mold", "mold"),
    ("fuse-ld=wild", "wild"),
    ("linker=wild", "wild"),
    ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu"),
    ("arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf"),
    ("musl-gcc", "musl"),
    ("x86_64-w64-mingw32-gcc", "mingw"),
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs().filter(|(_, job, _)| !job.in_container()) {
        for run in runs
            .iter()
            .filter(|run| run.runner.host == Host::GitHub && run.runner.linux())
        {
            for (did, call, cargo) in run
                .cargo()
                .filter(|(_, _, cargo)| cargo.makes_code() && cargo.program == "cargo")
            {
                let flags = link_flags(context.project, &call.env).unwrap_or_default();
                let linkers = call
                    .env
                    .iter()
                    .filter(|(name, _)| {
                        name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER")
                    })
                    .filter(|(name, _)| {
                        let target = name
                            .trim_start_matches("CARGO_TARGET_")
                            .trim_end_matches("_LINKER")
                            .replace('_', "-")
                            .to_ascii_lowercase();
                        cargo
                            .targets
                            .iter()
                            .any(|found| found.replace('_', "-") == target)
                    });
                let asked = linkers.fold(flags, |text, (_, value)| format!("{text} {value}"));
                let Some((flag, name)) = LINKERS.iter().find(|(flag, _)| asked.contains(flag))
                else {
                    continue;
                };
                if run
                    .steps
                    .iter()
                    .take_while(|other| !std::ptr::eq(*other, did))
                    .chain([did])
                    .any(|step| installs(step, name))
                    || unseen(context, run, did)
                {
                    continue;
                }
                let message = format!(
                    "`{flag}` asks for a linker that the image does not have and no step before installs: install it, or leave the flag out"
                );
                sink.at(did.step.source, call.line, Some(job), message);
            }
        }
    }
}

fn installs(did: &Did<'_>, name: &str) -> bool {
    did.kind == Kind::Linker && name == "mold"
        || did.step.uses.is_some()
            && did.step.node.get("with").is_some_and(|with| {
                with.entries()
                    .iter()
                    .any(|(_, value)| value.str().is_some_and(|text| text.contains(name)))
            })
        || did.calls.iter().any(|call| {
            call.words.iter().any(|word| word.contains(name))
                && call
                    .cargo
                    .as_ref()
                    .is_none_or(|cargo| cargo.subcommand == "install")
        })
}

/// A step before does what cannot be seen.
fn unseen(context: &Context<'_>, run: &Run<'_>, before: &Did<'_>) -> bool {
    run.steps
        .iter()
        .take_while(|did| !std::ptr::eq(*did, before))
        .any(|did| {
            super::support::unseen_action(context, did) && did.calls.is_empty()
                || did.calls.iter().any(|call| {
                    call.cargo.is_none() && !super::support::is_plain(call)
                        || call
                            .words
                            .iter()
                            .any(|word| word.contains(crate::shell::UNKNOWN))
                })
        })
}
