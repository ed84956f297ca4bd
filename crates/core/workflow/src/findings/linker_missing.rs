//! A linker is asked for that is not on the machine.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::runner::Host;
use crate::model::{CargoCall, Did, Run};

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
                .filter(|(_, _, cargo)| links(context, cargo) && cargo.program == "cargo")
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

/// Whether a call links anything: a program, or what the compiler runs, as build scripts and procedural macros are.
fn links(context: &Context<'_>, cargo: &CargoCall) -> bool {
    let checks = matches!(
        cargo.subcommand.as_str(),
        "check" | "clippy" | "doc" | "hack"
    );
    cargo.makes_code() || cargo.subcommand == "install" || checks && runs_while_compiling(context)
}

/// Packages that are, or always bring, a build script or a procedural macro.
const RUN: &[&str] = &[
    "serde_json",
    "serde_derive",
    "tokio",
    "thiserror",
    "anyhow",
    "libc",
    "clap",
    "sqlx",
    "tracing",
    "async-trait",
    "reqwest",
    "axum",
    "hyper",
    "rustls",
    "ring",
    "openssl",
    "futures",
    "prost",
    "tonic",
    "diesel",
    "rand",
];

/// Whether the project has, or surely brings, anything that is linked before its own crates are checked.
fn runs_while_compiling(context: &Context<'_>) -> bool {
    let manifests = &context.project.manifests;
    manifests.values().any(|file| {
        let named = |table: &toml::Table| {
            table
                .get("dependencies")
                .and_then(toml::Value::as_table)
                .is_some_and(|found| found.keys().any(|name| RUN.contains(&name.as_str())))
        };
        let workspace = file.table.get("workspace").and_then(toml::Value::as_table);
        named(&file.table) || workspace.is_some_and(named)
    })
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
