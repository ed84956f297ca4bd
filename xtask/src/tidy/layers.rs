//! Which crate may depend on which: arrows point down only.

use super::Finding;
use super::tree::{Package, Tree};

/// A crate and the workspace crates that it may use. A crate that is not here is a finding, so that
/// a new one gets its place by thought.
const LAYERS: &[(&str, &[&str])] = &[
    ("rekindle-base", &[]),
    ("rekindle-fsx", &["rekindle-base"]),
    // Beside it, not below: the reasons and kinds of change that it finds are the events' vocabulary.
    ("rekindle-key", &["rekindle-base", "rekindle-events"]),
    ("rekindle-events", &["rekindle-base"]),
    // A graph is one of a run's events.
    ("rekindle-plan", &["rekindle-base", "rekindle-events"]),
    ("rekindle-workflow", &["rekindle-base"]),
    ("rekindle-store", &["rekindle-base", "rekindle-fsx"]),
    (
        "rekindle-outputs",
        &[
            "rekindle-base",
            "rekindle-fsx",
            "rekindle-key",
            "rekindle-store",
        ],
    ),
    ("rekindle-observe", &["rekindle-base", "rekindle-fsx"]),
    (
        "rekindle-steps",
        &[
            "rekindle-base",
            "rekindle-fsx",
            "rekindle-key",
            "rekindle-events",
            "rekindle-store",
            "rekindle-outputs",
            "rekindle-observe",
        ],
    ),
    (
        "rekindle-compile",
        &[
            "rekindle-base",
            "rekindle-fsx",
            "rekindle-key",
            "rekindle-events",
            "rekindle-store",
            "rekindle-outputs",
            "rekindle-observe",
            "rekindle-steps",
        ],
    ),
    (
        "rekindle-snapshot",
        &[
            "rekindle-base",
            "rekindle-fsx",
            "rekindle-key",
            "rekindle-events",
            "rekindle-store",
            "rekindle-outputs",
        ],
    ),
    (
        "rekindle-report",
        &["rekindle-base", "rekindle-events", "rekindle-plan"],
    ),
    (
        "rekindle-history",
        &["rekindle-base", "rekindle-fsx", "rekindle-report"],
    ),
    (
        "rekindle-remote",
        &["rekindle-base", "rekindle-fsx", "rekindle-store"],
    ),
    (
        "rekindle",
        &[
            "rekindle-base",
            "rekindle-fsx",
            "rekindle-key",
            "rekindle-events",
            "rekindle-store",
            "rekindle-outputs",
            "rekindle-observe",
            "rekindle-steps",
            "rekindle-snapshot",
            "rekindle-compile",
            "rekindle-plan",
            "rekindle-report",
            "rekindle-history",
            "rekindle-workflow",
            "rekindle-remote",
        ],
    ),
    // Dev only, so that nothing shipped can reach it; it may know what it makes fixtures of.
    (
        "rekindle-testkit",
        &[
            "rekindle-base",
            "rekindle-fsx",
            "rekindle-key",
            "rekindle-events",
            "rekindle-store",
            "rekindle-remote",
        ],
    ),
    ("xtask", &[]),
];

/// A foreign crate and the only crates that may use it.
const OWNED: &[(&str, &[&str])] = &[
    ("clap", &["rekindle"]),
    ("reflink-copy", &["rekindle-fsx"]),
    ("rusqlite", &["rekindle-history"]),
    ("tempfile", &["rekindle-testkit"]),
];

/// What a pure crate has no use for.
const IMPURE: &[&str] = &["tokio", "rustix", "libc", "reqwest", "which", "dirs"];

const LAYER: &str = "layer";

/// Workspace crates use only what is below them; tests may use the testkit as well.
pub(super) fn dependencies(tree: &Tree) -> Vec<Finding> {
    let ours: Vec<&str> = tree
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in &tree.packages {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
            findings.push(finding(
                package,
                format!(
                    "`{}` has no layer yet; give it a line in xtask/src/tidy/layers.rs",
                    package.name
                ),
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let fine = !ours.contains(&name)
                || allowed.contains(&name)
                || (dependency.unshipped && name == "rekindle-testkit");
            if !fine {
                findings.push(finding(
                    package,
                    format!(
                        "`{}` may not depend on `{name}`: move what it needs down, or pass it in",
                        package.name
                    ),
                ));
            }
        }
    }
    findings
}

/// Foreign crates that only one layer may use.
pub(super) fn external_dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let pure = package.dir.starts_with("crates/core/") || package.dir == "crates/base";
        for dependency in package.dependencies.iter().filter(|found| !found.unshipped) {
            let name = dependency.name.as_str();
            let owner = OWNED.iter().find(|(owned, _)| *owned == name);
            if let Some((_, owners)) = owner
                && !owners.contains(&package.name.as_str())
            {
                findings.push(finding(
                    package,
                    format!("only {} may use `{name}`", owners.join(", ")),
                ));
            }
            if pure && IMPURE.contains(&name) {
                findings.push(finding(
                    package,
                    format!("`{}` is pure and may not use `{name}`", package.name),
                ));
            }
        }
    }
    findings
}

fn finding(package: &Package, message: String) -> Finding {
    Finding {
        rule: LAYER,
        path: format!("{}/Cargo.toml", package.dir),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Dependency;
    use super::*;

    fn package(name: &str, dir: &str, shipped: &[&str], unshipped: &[&str]) -> Package {
        let line = |name: &&str, unshipped| Dependency {
            name: (*name).to_owned(),
            unshipped,
        };
        Package {
            name: name.to_owned(),
            dir: dir.to_owned(),
            dependencies: shipped
                .iter()
                .map(|name| line(name, false))
                .chain(unshipped.iter().map(|name| line(name, true)))
                .collect(),
            roots: Vec::new(),
        }
    }

    fn tree(packages: Vec<Package>) -> Tree {
        Tree::default().with_packages(packages)
    }

    #[test]
    fn a_dependency_upwards_is_found() {
        let found = dependencies(&tree(vec![
            package("rekindle-key", "crates/core/key", &["rekindle-fsx"], &[]),
            package(
                "rekindle-fsx",
                "crates/fsx",
                &["rekindle-base"],
                &["rekindle-testkit"],
            ),
            package("rekindle-base", "crates/base", &["rekindle-testkit"], &[]),
            package("rekindle-testkit", "crates/testkit", &[], &[]),
        ]));
        let paths: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(
            paths,
            ["crates/core/key/Cargo.toml", "crates/base/Cargo.toml"]
        );
    }

    #[test]
    fn the_store_does_not_know_keys() {
        let found = dependencies(&tree(vec![
            package(
                "rekindle-store",
                "crates/engine/store",
                &["rekindle-key"],
                &[],
            ),
            package("rekindle-key", "crates/core/key", &[], &[]),
        ]));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let found = dependencies(&tree(vec![package("rekindle-new", "crates/new", &[], &[])]));
        assert!(found[0].message.contains("no layer"));
    }

    #[test]
    fn foreign_crates_stay_with_their_owner() {
        let found = external_dependencies(&tree(vec![
            package("rekindle-report", "crates/engine/report", &["clap"], &[]),
            package(
                "rekindle-key",
                "crates/core/key",
                &["rustix"],
                &["tempfile"],
            ),
            package("rekindle", "crates/rekindle", &["clap"], &["tempfile"]),
        ]));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
