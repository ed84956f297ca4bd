//! `# rekindle: ignore[rule]`: findings that somebody has looked at and wants no more.
//!
//! On a finding's line, or in the comments right above it, it silences that line; on a job's line, or right above it,
//! the job; before a file's first line of content, the file. Several rules are written with commas.

use std::collections::BTreeMap;

use crate::audit::{Context, Finding};

pub(crate) fn retain(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let project = context.project;
    let sources = project
        .sources
        .iter()
        .map(|source| (&source.path, source.document.text.as_str()));
    let manifests = project
        .manifests
        .values()
        .chain(&project.cargo_config)
        .map(|file| (&file.path, file.text.as_str()));
    let files: BTreeMap<&String, Vec<&str>> = sources
        .chain(manifests)
        // Most files say nothing of it.
        .filter(|(_, text)| text.contains(WORDS))
        .map(|(path, text)| (path, text.lines().collect()))
        .collect();
    findings.retain(|finding| {
        !files
            .get(&finding.file)
            .is_some_and(|lines| silenced(context, finding, lines))
    });
}

/// How a comment that silences begins.
const WORDS: &str = "rekindle: ignore[";

fn silenced(context: &Context<'_>, finding: &Finding, lines: &[&str]) -> bool {
    if at(lines, finding.line, finding.rule) || head(lines, finding.rule) {
        return true;
    }
    let Some(job) = &finding.job else {
        return false;
    };
    context
        .workflows
        .iter()
        .filter(|played| played.workflow.source.path == finding.file)
        .filter_map(|played| played.workflow.job(job))
        .any(|job| at(lines, job.line(), finding.rule))
}

/// On a line, or in the comments right above it.
fn at(lines: &[&str], line: u32, rule: &str) -> bool {
    let Some(index) = (line as usize)
        .checked_sub(1)
        .filter(|index| *index < lines.len())
    else {
        return false;
    };
    names(lines[index], rule)
        || lines[..index]
            .iter()
            .rev()
            .take_while(|line| line.trim_start().starts_with('#'))
            .any(|line| names(line, rule))
}

/// Before the first line of content.
fn head(lines: &[&str], rule: &str) -> bool {
    let comments: Vec<&&str> = lines
        .iter()
        .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        .collect();

    comments.iter().any(|line| names(line, rule))
}

fn names(line: &str, rule: &str) -> bool {
    let Some((_, comment)) = line.split_once('#') else {
        return false;
    };
    let mut rest = comment;
    while let Some(at) = rest.find(WORDS) {
        rest = &rest[at + WORDS.len()..];
        let end = rest.find(']').unwrap_or(rest.len());
        if rest[..end].split(',').any(|name| name.trim() == rule) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_rules() {
        assert!(names(
            "  a: # rekindle: ignore[x, no-cache] because",
            "no-cache"
        ));
        assert!(!names("  a: # rekindle: ignore[x]", "no-cache"));
        assert!(!names("  a: rekindle: ignore[no-cache]", "no-cache"));
        let lines = [
            "# rekindle: ignore[a]",
            "on: push",
            "  # rekindle: ignore[b]",
            "  # why",
            "  job:",
            "x",
        ];
        assert!(head(&lines, "a") && !head(&lines, "b"));
        assert!(at(&lines, 5, "b") && !at(&lines, 6, "b") && !at(&lines, 99, "b"));
    }
}
