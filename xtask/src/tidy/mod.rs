//! `cargo xtask tidy`: the rules of the tree that the compiler cannot see.
//!
//! One function per rule, each over a [`Tree`] that tests can build by hand. A finding that must
//! stand is written into `xtask/tidy-allow.txt`, one line `rule path reason...`.

mod documents;
mod layers;
mod modules;
mod rust_text;
mod sources;
mod tree;

use crate::Failure;
use crate::args::Args;
use tree::Tree;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The rule's name, as the allow-list writes it.
    rule: &'static str,
    /// The file, relative to the workspace's root.
    path: String,
    /// What is wrong and what to do instead.
    message: String,
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    layers::dependencies,
    layers::external_dependencies,
    sources::file_system,
    sources::environment,
    sources::printing,
    sources::unsafe_code,
    sources::file_sizes,
    sources::unfinished,
    modules::dead_files,
    documents::machine_paths,
    documents::links,
    documents::licences,
    documents::design_notes,
];

const ALLOW_LIST: &str = "xtask/tidy-allow.txt";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    Args::new(arguments).finish()?;
    let tree = Tree::read()?;
    let allowed = allowances(tree.text(ALLOW_LIST).unwrap_or_default())?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    let unused: Vec<String> = allowed
        .iter()
        .filter(|(rule, path)| {
            !findings
                .iter()
                .any(|finding| finding.rule == rule && finding.path == *path)
        })
        .map(|(rule, path)| format!("{ALLOW_LIST}: `{rule} {path}` allows nothing; remove it"))
        .collect();
    findings.retain(|finding| {
        !allowed
            .iter()
            .any(|(rule, path)| finding.rule == rule && finding.path == *path)
    });
    let mut lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}: [{}] {}", finding.path, finding.rule, finding.message))
        .collect();
    lines.extend(unused);
    if lines.is_empty() {
        println!("tidy: {} rules, {} files", RULES.len(), tree.files().len());
        return Ok(());
    }
    for line in &lines {
        eprintln!("{line}");
    }
    Err(format!("{} findings; they are named above", lines.len()))
}

/// The pairs of rule and path that may stand; every one must give a reason.
fn allowances(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut allowed = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let [rule, path, _reason] = words[..] else {
            return Err(format!(
                "{ALLOW_LIST}: `{line}` gives no reason; write `rule path reason`"
            ));
        };
        allowed.push((rule.to_owned(), path.to_owned()));
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_needs_a_reason() {
        assert!(allowances("file-size a.rs").is_err());
        assert_eq!(
            allowances("# why\n\nfile-size a.rs a table\n"),
            Ok(vec![("file-size".to_owned(), "a.rs".to_owned())])
        );
    }
}
