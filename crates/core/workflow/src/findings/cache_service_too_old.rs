//! An action that talks to a service of GitHub's that is closed.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::{self, Kind};
use crate::model::caches::{compiles, wrapper};
use crate::model::{Call, Step, Uses};
use crate::yaml::edit::replace_scalar;

pub(super) const RULE: Rule = Rule {
    id: "cache-service-too-old",
    summary: "an action too old for today's cache and artifact services",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    programs(context, sink);
    super::support::each_uses(context, &mut |source, job, step, uses| {
        let Some((message, newer)) = closed(step, uses) else {
            return;
        };
        let finding = sink.at(source, uses.node.place.line, job, message);
        // What is pinned to a digest needs another digest, which is not known here.
        if let Some(newer) = newer.filter(|_| !uses.pinned()) {
            let text = format!(
                "{}@{newer}",
                uses.node
                    .str()
                    .unwrap_or_default()
                    .split('@')
                    .next()
                    .unwrap_or_default()
            );
            finding.fix(
                Safety::Unsafe,
                "take the version that works",
                [replace_scalar(&source.document, uses.node, &text)],
            );
        }
    });
}

/// A program of sccache's that a script or an action installs, too old for the service that a compile gives it.
fn programs(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            let served = run.done().flat_map(|did| &did.calls).any(|call| {
                compiles(call)
                    && wrapper(context.project, &call.env)
                        .is_some_and(|wrapper| wrapper.rsplit('/').next() == Some("sccache"))
                    && call
                        .env
                        .get("SCCACHE_GHA_ENABLED")
                        .is_some_and(|value| matches!(value.as_str(), "true" | "on" | "1"))
            });
            if !served {
                continue;
            }
            for did in run.done() {
                let given = did.step.with("tool").filter(|_| did.kind == Kind::Install);
                let by_action = given
                    .and_then(|tools| {
                        tools
                            .split([',', '\n', ' '])
                            .find_map(|tool| tool.trim().strip_prefix("sccache@"))
                    })
                    .map(|version| (version.to_owned(), did.step.line()));
                let by_script = did
                    .calls
                    .iter()
                    .filter_map(|call| Some((program(call)?, call.line)));
                for (version, line) in by_action.into_iter().chain(by_script) {
                    if too_old(&version) {
                        let message = format!(
                            "sccache {version} talks to GitHub's first cache service, which is closed, and caches nothing: take 0.10 or later"
                        );
                        sink.at(did.step.source, line, Some(job), message);
                    }
                }
            }
        }
    }
}

/// The version of sccache that a command downloads or compiles.
fn program(call: &Call) -> Option<String> {
    if let Some(cargo) = call.cargo.as_ref() {
        let install = matches!(cargo.subcommand.as_str(), "install" | "binstall");
        let mut named = cargo.rest.iter().filter(|_| install);
        let word = named.find(|word| word.split('@').next() == Some("sccache"))?;
        return word
            .strip_prefix("sccache@")
            .or_else(|| {
                cargo
                    .rest
                    .iter()
                    .find_map(|word| word.strip_prefix("--version="))
            })
            .map(str::to_owned);
    }
    let release = "sccache/releases/download/v";
    call.words.iter().find_map(|word| {
        let (_, rest) = word.split_once(release)?;
        let version: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        (!version.is_empty()).then_some(version)
    })
}

/// Whether a version of sccache knows only the service that is closed: below 0.10.
fn too_old(version: &str) -> bool {
    version
        .trim_start_matches(['v', '=', '^', '~'])
        .strip_prefix("0.")
        .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok())
        .is_some_and(|minor| minor < 10)
}

fn closed(step: &Step<'_>, uses: &Uses<'_>) -> Option<(String, Option<&'static str>)> {
    let known = actions::find(&uses.name)?;
    let major = uses.major();
    let short = uses.name.rsplit('/').next().unwrap_or_default();
    match known.kind {
        Kind::Sccache => {
            let old_program = step.with("version").is_some_and(too_old);
            (uses.older_than(0, 0, 8) || old_program).then(|| {
                let message = "this sccache talks to GitHub's first cache service, which is closed, and caches nothing: take sccache-action v0.0.9 or \
                     later, with sccache 0.10 or later"
                    .to_owned();
                (message, uses.older_than(0, 0, 8).then_some("v0.0.9"))
            })
        }
        Kind::Cache | Kind::CacheRestore | Kind::CacheSave => {
            let old = uses.older_than(3, 4, 0) || (major == Some(4) && uses.older_than(4, 2, 0));
            let newer = if major == Some(4) { "v4.2.0" } else { "v4" };
            old.then(|| (format!("`{short}` of this version talks to GitHub's first cache service, which is closed: take v4.2 or later"), Some(newer)))
        }
        Kind::Upload | Kind::Download => {
            major.is_some_and(|major| major < known.first_served_major).then(|| {
                (format!("`{short}` below v4 fails: its service closed on 2025-01-30; v4 wants another name for each upload"), Some("v4"))
            })
        }
        _ => major
            .is_some_and(|major| major < known.first_served_major)
            .then(|| (format!("`{short}` of this version uses a service of GitHub's that is closed: take v{} or later", known.first_served_major), None)),
    }
}
