//! Rules for prose and for every text file.

use std::collections::BTreeMap;

use super::Finding;
use super::modules::normalise;
use super::tree::Tree;

/// The first parts of paths that exist on one machine only; in pieces, so that this file does not
/// find itself.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/opt/ri", "vals"),
    concat!("/ro", "ot/."),
];

/// No file names a place that only its author has.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[""]) {
        for (index, line) in text.lines().enumerate() {
            let found = MACHINE_PATHS
                .iter()
                .find(|pattern| starts_a_path(line, pattern));
            if let Some(pattern) = found {
                findings.push(Finding {
                    rule: "machine-path",
                    path: path.to_owned(),
                    message: format!(
                        "line {}: `{pattern}` is a place on one machine; use a path that is relative or made up",
                        index + 1
                    ),
                });
            }
        }
    }
    findings
}

/// Whether `pattern` stands in `line` at the start of a path, not in the middle of one.
fn starts_a_path(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '~' | '/'))
    })
}

/// Links between pages lead somewhere.
pub(super) fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".md"]) {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        for link in local_links(text) {
            let target = normalise(&format!("{dir}/{link}"));
            if !target.is_empty() && !tree.has(&target) {
                findings.push(Finding {
                    rule: "link",
                    path: path.to_owned(),
                    message: format!("`{link}` leads nowhere; correct it or write that page"),
                });
            }
        }
    }
    findings
}

/// The files that a page links to, without anchors; code is not prose.
fn local_links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (index, prose) in line.split('`').enumerate() {
            // A link's text may be code, so its target starts a piece of prose: `](`.
            if index % 2 == 1 {
                continue;
            }
            for behind in prose.split("](").skip(1) {
                let target = behind.split([')', ' ', '#']).next().unwrap_or_default();
                let elsewhere = target.contains("://") || target.starts_with("mailto:");
                if !target.is_empty() && !elsewhere {
                    links.push(target);
                }
            }
        }
    }
    links
}

/// Both licences are there, as the manifests promise.
pub(super) fn licences(tree: &Tree) -> Vec<Finding> {
    ["LICENSE-MIT", "LICENSE-APACHE"]
        .into_iter()
        .filter(|file| tree.text(file).is_none_or(|text| text.trim().is_empty()))
        .map(|file| Finding {
            rule: "licence",
            path: file.to_owned(),
            message: "is missing, and `license = \"MIT OR Apache-2.0\"` promises it".to_owned(),
        })
        .collect()
}

/// `docs/design/NNNN-title.md`: four digits, each number once.
pub(super) fn design_notes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, _) in tree.texts(&[".md"]) {
        let Some(name) = path.strip_prefix("docs/design/") else {
            continue;
        };
        let mut report = |message: String| {
            findings.push(Finding {
                rule: "design-note",
                path: path.to_owned(),
                message,
            });
        };
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            report("is not named `NNNN-title.md`".to_owned());
        } else if let Some(first) = numbers.insert(number, name) {
            report(format!(
                "has the number of `{first}`; take the next free one"
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
        let found = rule(&Tree::of(files));
        let paths: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, expected, "{found:?}");
    }

    #[test]
    fn places_on_one_machine_are_found() {
        let text = concat!("see \"/wo", "rk/x\"");
        check(machine_paths, &[("a.rs", text)], &["a.rs"]);
        check(
            machine_paths,
            &[("a.rs", concat!("target/wo", "rk/x"))],
            &[],
        );
    }

    #[test]
    fn dead_links_are_found() {
        let page = "[a](b.md) [c](https://d/e.md) [f](#g) [h](i/j.md#k) `[x](y.md)`\n```\n[z](z.md)\n```\n";
        check(
            links,
            &[("docs/a.md", page), ("docs/b.md", "")],
            &["docs/a.md"],
        );
        check(
            links,
            &[("docs/a.md", page), ("docs/b.md", ""), ("docs/i/j.md", "")],
            &[],
        );
        check(
            links,
            &[("docs/a.md", "[`code`](../no.rs)")],
            &["docs/a.md"],
        );
    }

    #[test]
    fn missing_licences_are_found() {
        check(licences, &[("LICENSE-MIT", "text")], &["LICENSE-APACHE"]);
    }

    #[test]
    fn design_notes_are_numbered_once() {
        check(
            design_notes,
            &[
                ("docs/design/0001-a.md", ""),
                ("docs/design/0001-b.md", ""),
                ("docs/design/0002-c.md", ""),
                ("docs/design/d.md", ""),
            ],
            &["docs/design/0001-b.md", "docs/design/d.md"],
        );
    }
}
