//! A target that this runner cannot link, or that its toolchain does not have.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::{Call, CargoCall, Job, Project, Run};
use crate::providers::Os;

use super::support;

pub(super) const RULE: Rule = Rule {
    id: "runner-target-mismatch",
    summary: "the target is one that this runner cannot link, or that no step installs",
    severity: Severity::High,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs().filter(|(_, job, _)| !job.in_container()) {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            not_installed(context, job, run, sink);
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

/// A target that no step installs, where a step installs the toolchain and may name others.
fn not_installed(context: &Context<'_>, job: &Job<'_>, run: &Run<'_>, sink: &mut Sink) {
    let Some(toolchain) = run
        .done()
        .find(|did| matches!(did.kind, Kind::Toolchain | Kind::ToolchainAndCache))
    else {
        return;
    };
    let Some(host) = host(run).filter(|_| !helped_to_target(context, run)) else {
        return;
    };
    let input = ["targets", "target"]
        .into_iter()
        .find(|name| toolchain.step.with(name).is_some());
    let given = input
        .and_then(|name| toolchain.step.with(name))
        .map(|text| support::resolve(run, text))
        .unwrap_or_default();
    if given.contains("${{") {
        return;
    }
    let there: Vec<&str> = given
        .split([',', ' ', '\n'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .chain([host])
        .chain(
            WITH_WINDOWS
                .iter()
                .copied()
                .filter(|_| run.runner.os == Some(Os::Windows)),
        )
        .chain(context.project.targets.iter().map(String::as_str))
        .collect();
    for (did, call, cargo) in run.cargo() {
        // Miri builds a standard library of its own.
        let compiles = cargo.compiles()
            && cargo.program == "cargo"
            && cargo.subcommand != "miri"
            && !call.conditional;
        let std = cargo.rest.iter().any(|word| word.contains("build-std"));
        let missing = cargo
            .targets
            .iter()
            .find(|target| !there.contains(&target.as_str()) && is_triple(target));
        let Some(target) = missing.filter(|_| compiles && !std && cargo.toolchain.is_none()) else {
            continue;
        };
        let message = format!(
            "`{}` fails here: no step installs `{target}`, and the toolchain's step on line {} installs {}. Give that step `targets: {target}`",
            cargo.shown(),
            toolchain.step.line(),
            if given.is_empty() {
                format!("only the machine's own, `{host}`")
            } else {
                format!("`{given}`")
            }
        );
        sink.at(did.step.source, call.line, Some(job), message);
    }
}

/// What GitHub's Windows images add to their own toolchain.
const WITH_WINDOWS: &[&str] = &["i686-pc-windows-msvc", "x86_64-pc-windows-gnu"];

fn is_triple(target: &str) -> bool {
    target.split('-').count() >= 3
        && target
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The target of a machine's own toolchain.
fn host(run: &Run<'_>) -> Option<&'static str> {
    Some(match (run.runner.os?, run.runner.arm?) {
        (Os::Linux, false) => "x86_64-unknown-linux-gnu",
        (Os::Linux, true) => "aarch64-unknown-linux-gnu",
        (Os::Macos, true) => "aarch64-apple-darwin",
        (Os::Macos, false) => "x86_64-apple-darwin",
        (Os::Windows, false) => "x86_64-pc-windows-msvc",
        (Os::Windows, true) => "aarch64-pc-windows-msvc",
    })
}

/// A step installs targets, or does what cannot be seen.
fn helped_to_target(context: &Context<'_>, run: &Run<'_>) -> bool {
    let toolchains = run
        .done()
        .filter(|did| matches!(did.kind, Kind::Toolchain | Kind::ToolchainAndCache));
    toolchains.count() > 1
        || run.done().any(|did| {
            support::unseen_action(context, did)
                || did.calls.iter().any(|call| {
                    let named = |word: &str| call.words.iter().any(|found| found == word);
                    named("rustup") && (named("target") || named("toolchain") || named("show"))
                        || call.words.iter().any(|word| word == "-Zbuild-std")
                        || call.env.keys().any(|name| name.contains("BUILD_STD"))
                        || call.cargo.is_none() && !support::is_plain(call) && runs_script(call)
                })
        })
}

/// Whether a command is a script of the project's, which may install anything.
fn runs_script(call: &Call) -> bool {
    call.words.iter().any(|word| {
        word.starts_with("./") && !word.contains("/target/")
            || word.ends_with(".sh")
            || word == "make"
            || word == "just"
    })
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
