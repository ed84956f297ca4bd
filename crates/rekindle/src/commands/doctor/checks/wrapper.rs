//! Whether Rekindle is in effect, proved by a tiny program that is built twice.

use rekindle::{WRAPPER, sibling};
use rekindle_base::env;
use rekindle_events::UncacheableReason;

use super::super::context::Context;
use super::super::edit;
use super::super::kinds::{
    PROBE_FAILED, REKINDLE_DISABLED, WRAPPER_BROKEN, WRAPPER_FOREIGN, WRAPPER_MISSING,
    WRAPPER_VERSION,
};
use super::super::model::{Finding, Outcome};
use super::super::probe::Probe;
use super::linker;

/// What sccache says under `CARGO_INCREMENTAL=1`.
const SCCACHE_REFUSES: &str = "incremental compilation is prohibited";

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let mut findings: Vec<Finding> = disabled(context)
        .into_iter()
        .chain(other(context))
        .collect();
    if let Some(finding) = missing(context) {
        findings.push(finding);
        return Outcome::new("", findings);
    }
    let probe = match context.probe() {
        Ok(probe) => probe,
        Err(why) if findings.is_empty() => return Outcome::skipped(format!("not tried: {why}")),
        Err(_) => return Outcome::new("", findings),
    };
    if !probe.first.ok {
        if linker::explains(context, probe) {
            return Outcome::skipped("not tried: no program can be linked (see linker)");
        }
        if probe.first.stderr.contains(SCCACHE_REFUSES) {
            let line = "not tried: sccache refuses to compile (see incremental)";
            return Outcome::new(line, findings);
        }
        findings.push(failed(context, probe));
        return Outcome::new("", findings);
    }
    findings.extend(in_effect(context, probe));
    let second = probe.second.as_ref();
    let line = format!(
        "a tiny program was built, removed and restored: {} units, byte for byte",
        second.map_or(0, |built| built.hits())
    );
    Outcome::new(line, findings)
}

fn disabled(context: &Context<'_>) -> Option<Finding> {
    let value = context.var(env::REKINDLE_DISABLE)?;
    rekindle::settings::is_switched_off(context.surroundings)
        .ok()
        .filter(|off| *off)?;
    let next = format!("unset {}", env::REKINDLE_DISABLE);
    let finding = Finding::new(&REKINDLE_DISABLED, "Rekindle is switched off", next);
    Some(finding.seen(format!("{} is `{value}`", env::REKINDLE_DISABLE)))
}

/// A wrapper of ours that plain cargo calls, and that is not the one beside this program.
fn other(context: &Context<'_>) -> Option<Finding> {
    let set = context.surroundings.path("RUSTC_WRAPPER")?;
    if set.file_name()?.to_str()? != WRAPPER {
        return None;
    }
    let own = sibling(WRAPPER).ok()?;
    let digest = |path: &std::path::Path| rekindle_fsx::hash_file(path).ok();
    if digest(&set).is_some_and(|(found, _)| digest(&own).is_some_and(|(own, _)| own == found)) {
        return None;
    }
    let is_there = rekindle_fsx::exists(&set);
    Some(
        Finding::new(
            &WRAPPER_VERSION,
            "plain cargo calls another wrapper than this one",
            "run `eval \"$(rekindle env)\"` again, or unset RUSTC_WRAPPER",
        )
        .seen(format!(
            "RUSTC_WRAPPER is `{}`{}",
            set.display(),
            if is_there { "" } else { ", which is not there" }
        ))
        .seen(format!("this is `{}`", own.display())),
    )
}

/// The user's wrapper, where its program cannot be found.
fn missing(context: &Context<'_>) -> Option<Finding> {
    let user = context.config.rustc_wrapper()?;
    if context.find(&user.program).is_some() {
        return None;
    }
    let key = ["build", "rustc-wrapper"];
    let by_file = context.surroundings.var("RUSTC_WRAPPER").is_none();
    let file = context.file_with(&key).filter(|_| by_file);
    Some(
        Finding::new(
            &WRAPPER_MISSING,
            format!(
                "the compiler wrapper `{}` is not there",
                user.program.display()
            ),
            format!("install it, or remove it from {}", user.set_in),
        )
        .seen(format!("set by {}", user.set_in))
        .fixed_by(file.and_then(|(file, _)| edit::without(file, &key))),
    )
}

fn failed(context: &Context<'_>, probe: &Probe) -> Finding {
    let mut finding = Finding::new(
        &PROBE_FAILED,
        "a tiny program cannot be built in this directory",
        "mend what cargo says; `cargo build` of any program fails in the same way",
    );
    finding.evidence = probe.first.errors();
    match context.config.rustc_wrapper() {
        Some(user) => {
            let program = user.program.display();
            finding.next = format!("take `{program}` out of {} first", user.set_in);
            finding.seen(format!("`{program}` is cargo's compiler wrapper"))
        }
        None => finding,
    }
}

fn in_effect(context: &Context<'_>, probe: &Probe) -> Option<Finding> {
    let (first, second) = (&probe.first, probe.second.as_ref()?);
    let foreign = first
        .uncacheable()
        .into_iter()
        .find_map(|reason| match reason {
            UncacheableReason::UnknownWrapper { path } => Some(path.clone()),
            _ => None,
        });
    if let Some(path) = foreign {
        return Some(foreign_wrapper(context, &path));
    }
    let broken = |title: &str| {
        let next = "run `rekindle explain` after a build; where that does not help, report this";
        Finding::new(&WRAPPER_BROKEN, title, next)
    };
    if first.units.is_empty() {
        let finding = broken("no compile of a tiny program went through Rekindle");
        return Some(with_lines(finding, &first.warnings));
    }
    let reasons: Vec<String> = first
        .uncacheable()
        .iter()
        .map(ToString::to_string)
        .collect();
    if !reasons.is_empty() {
        return Some(with_lines(
            broken("a tiny program cannot be stored"),
            &reasons,
        ));
    }
    if !second.ok || second.hits() < second.units.len() || second.units.is_empty() {
        let mut lines: Vec<String> = second
            .units
            .iter()
            .filter_map(|unit| {
                unit.miss
                    .as_ref()
                    .map(|miss| format!("{}: {miss}", unit.crate_name))
            })
            .collect();
        lines.extend(second.errors());
        let finding =
            broken("a tiny program that was just stored did not come back from the store");
        return Some(with_lines(finding, &lines));
    }
    if !probe.differing.is_empty() {
        let finding = broken("what came back from the store has other bytes than what was stored");
        return Some(with_lines(finding, &probe.differing));
    }
    match probe.printed.as_deref() {
        Some("well") | None => None,
        Some(other) => Some(broken("a tiny program does not print its word").seen(other)),
    }
}

fn with_lines(mut finding: Finding, lines: &[String]) -> Finding {
    const LINES_MAX: usize = 5;
    finding
        .evidence
        .extend(lines.iter().take(LINES_MAX).cloned());
    finding
}

fn foreign_wrapper(context: &Context<'_>, path: &str) -> Finding {
    let user = context.config.rustc_wrapper();
    let keys = [
        ["build", "rustc-wrapper"],
        ["build", "rustc-workspace-wrapper"],
    ];
    let by_variable = ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        .iter()
        .any(|name| context.surroundings.non_empty(name).is_some());
    let set = keys.iter().find_map(|key| {
        let (file, value) = context.file_with(key)?;
        let name = std::path::Path::new(value.as_str()?)
            .file_name()?
            .to_owned();
        (std::path::Path::new(path).file_name() == Some(&name)).then_some((file, key))
    });
    let set_in = user.map_or_else(|| "cargo's configuration".to_owned(), |user| user.set_in);
    Finding::new(
        &WRAPPER_FOREIGN,
        format!("the effect of the wrapper `{path}` is not known, so nothing is reused"),
        format!(
            "remove it from {set_in}; where it leaves outputs alone, name it in \
             `build.trusted-wrappers` of your own configuration"
        ),
    )
    .seen(format!("set by {set_in}"))
    .fixed_by(
        set.filter(|_| !by_variable)
            .and_then(|(file, key)| edit::without(file, key)),
    )
}
