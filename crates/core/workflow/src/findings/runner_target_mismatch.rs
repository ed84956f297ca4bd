//! A target that this runner cannot link.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::{Call, CargoCall, Project, Run};
use crate::providers::Os;

pub(super) const RULE: Rule = Rule {
    id: "runner-target-mismatch",
    summary: "the target is one that this runner cannot link",
    severity: Severity::High,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs().filter(|(_, job, _)| !job.in_container()) {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let calls = run.cargo().filter(|(_, call, cargo)| {
                links_program(context.project, cargo) && !call.conditional
            });
            for (did, call, cargo) in calls {
                let own = cargo.targets.iter().find(|target| {
                    !links(run, target) && !has_linker(context.project, call, target)
                });
                if let Some(target) = own.filter(|_| !helped(context, run)) {
                    let message = format!(
                        "`{}` is built on `{}`, whose linker makes no such program: run this on a machine of that system, or name a linker for the target",
                        target,
                        run.runner.shown()
                    );
                    sink.at(did.step.source, call.line, Some(job), message);
                }
            }
        }
    }
}

/// Whether a call links a program: a library alone is only compiled.
fn links_program(project: &Project, cargo: &CargoCall) -> bool {
    let built = cargo.subcommand == "build"
        && (cargo.rest.iter().any(|word| word.starts_with("--bin"))
            || project
                .manifests
                .values()
                .any(|file| file.table.contains_key("bin")))
        && !cargo.rest.iter().any(|word| word == "--lib");
    cargo.program == "cargo"
        && !cargo.unknown
        && (built
            || matches!(
                cargo.subcommand.as_str(),
                "test" | "run" | "nextest" | "bench"
            ))
}

/// Whether a machine's own linker makes programs for a target, as far as the names say.
fn links(run: &Run<'_>, target: &str) -> bool {
    let Some(os) = run.runner.os else { return true };
    let arm = target.starts_with("aarch64");
    let native = run.runner.arm.is_none_or(|runner| runner == arm);
    match os {
        // Other Linux targets and libraries may be at hand; these are not.
        Os::Linux => {
            !(target.ends_with("-apple-darwin")
                || target.ends_with("-windows-msvc")
                || (target.ends_with("-unknown-linux-gnu")
                    && (arm || target.starts_with("x86_64"))
                    && !native))
        }
        Os::Macos => !(target.ends_with("-windows-msvc") || target.ends_with("-unknown-linux-gnu")),
        Os::Windows => {
            !(target.ends_with("-apple-darwin") || target.ends_with("-unknown-linux-gnu"))
        }
    }
}

fn has_linker(project: &Project, call: &Call, target: &str) -> bool {
    let variable = format!(
        "CARGO_TARGET_{}_LINKER",
        target.to_ascii_uppercase().replace('-', "_")
    );
    let configured = project
        .config_value("target")
        .and_then(|targets| targets.get(target))
        .is_some();
    let flags = call
        .env
        .get("RUSTFLAGS")
        .is_some_and(|flags| flags.contains("linker"));
    call.env.contains_key(&variable) || configured || flags
}

/// A step sets up what cross-compiles, or does what cannot be seen.
fn helped(context: &Context<'_>, run: &Run<'_>) -> bool {
    run.steps.iter().any(|did| {
        super::support::unseen_action(context, did)
            || did.calls.iter().any(|call| {
                call.cargo.is_none()
                    && (!super::support::is_plain(call)
                        || !super::apt_already_there::packages(call).is_empty())
            })
    })
}
