//! What is compressed already is compressed again on its way to the artifacts.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::{self, Kind};
use crate::model::{Call, Job};
use crate::yaml::edit::add_entry;

use super::support::unseen_action;

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
        let compressed = |path: &str| {
            ENDS.iter().any(|end| path.ends_with(end))
                || job.is_some_and(|job| only_archives(context, job, path))
        };
        if paths.is_empty() || !paths.iter().all(|path| compressed(path)) {
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

/// Whether all that a job puts into a directory is archives, as far as its scripts say: each command that names the
/// directory makes it or writes an archive into it.
fn only_archives(context: &Context<'_>, job: &Job<'_>, path: &str) -> bool {
    let directory = path.trim_end_matches(['*', '/']).trim_start_matches("./");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if directory.is_empty() || !directory.chars().all(plain) {
        return false;
    }
    let runs = context
        .jobs()
        .filter(|(_, other, _)| std::ptr::eq(other.node, job.node))
        .flat_map(|(.., runs)| runs);
    let mut archives = 0;
    for did in runs.flat_map(|run| run.done()) {
        if unseen_action(context, did) {
            return false;
        }
        for call in &did.calls {
            let named: Vec<&str> = call
                .words
                .iter()
                .map(|word| word.trim_start_matches("./"))
                .filter(|word| {
                    word.strip_prefix(directory)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
                .collect();
            let program = call.words.first().map(String::as_str).unwrap_or_default();
            let fills = named
                .iter()
                .all(|word| ENDS.iter().any(|end| word.ends_with(end)));
            match program {
                "mkdir" | "ls" | "echo" | "rm" | "sha256sum" | "shasum" => {}
                // What is copied from elsewhere, or put there by a program that is told the directory alone, is not known.
                _ if named.is_empty() && moves_about(call) => return false,
                _ if named.is_empty() => {}
                _ if fills => archives += 1,
                _ => return false,
            }
        }
    }
    archives > 0
}

/// Whether later relative names may be in another directory.
fn moves_about(call: &Call) -> bool {
    call.words
        .first()
        .is_some_and(|word| matches!(word.as_str(), "cd" | "pushd"))
}
