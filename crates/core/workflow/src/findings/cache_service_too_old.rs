//! An action that talks to a service of GitHub's that is closed.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::{self, Kind};
use crate::model::{Step, Uses};
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

fn closed(step: &Step<'_>, uses: &Uses<'_>) -> Option<(String, Option<&'static str>)> {
    let known = actions::find(&uses.name)?;
    let major = uses.major();
    let short = uses.name.rsplit('/').next().unwrap_or_default();
    match known.kind {
        Kind::Sccache => {
            let program = step.with("version").map(|version| version.trim_start_matches('v').to_owned()).unwrap_or_default();
            let old_program = program.strip_prefix("0.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok()).is_some_and(|minor| minor < 10);
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
