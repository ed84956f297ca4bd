//! What is compressed already is compressed again on its way to the artifacts.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::{self, Kind};
use crate::yaml::edit::add_entry;

pub(super) const RULE: Rule = Rule {
    id: "artifact-compressed-twice",
    summary: "an artifact that is compressed already is compressed again",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

const ENDS: &[&str] = &[
    ".gz", ".tgz", ".zip", ".xz", ".zst", ".bz2", ".whl", ".crate", ".deb", ".rpm", ".7z", ".dmg",
    ".msi",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    super::support::each_uses(context, &mut |source, job, step, uses| {
        if actions::kind(&uses.name) != Kind::Upload
            || uses.major().is_some_and(|major| major < 4)
            || step.with("compression-level").is_some()
        {
            return;
        }
        let paths: Vec<&str> = step
            .with("path")
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|path| !path.is_empty() && !path.starts_with('!'))
            .collect();
        if paths.is_empty()
            || !paths
                .iter()
                .all(|path| ENDS.iter().any(|end| path.ends_with(end)))
        {
            return;
        }
        let node = step.with_node("path").unwrap_or(step.node);
        let line = step
            .node
            .get("with")
            .and_then(|with| with.entry("path"))
            .map_or(node.place.line, |(key, _)| key.place.line);
        let message = "these files are compressed already, and are compressed again as they are uploaded: add `compression-level: 0`".to_owned();
        let finding = sink.at(source, line, job, message);
        let edit = step.node.get("with").and_then(|with| {
            add_entry(
                &source.document,
                with,
                Some("path"),
                &["compression-level: 0".to_owned()],
            )
        });
        finding.fix(Safety::Safe, "store them as they are", [edit]);
    });
}
