//! Which source files the compiler reaches from each target's first file, and which of them only
//! tests see.

use std::collections::BTreeSet;

use super::Finding;
use super::rust_text::{code_only, item_end};
use super::tree::Tree;

/// What a walk over `mod` declarations found.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Files of programs and libraries.
    pub(super) shipped: BTreeSet<String>,
    /// Files behind `#[cfg(test)]`, and those of tests, benchmarks, examples and build scripts.
    pub(super) tests: BTreeSet<String>,
}

/// Every Rust file in a package is reached from one of its targets.
pub(super) fn dead_files(tree: &Tree) -> Vec<Finding> {
    let reached = reach(tree);
    tree.texts(&[".rs"])
        .map(|(path, _)| path)
        .filter(|path| {
            tree.package_of(path)
                .is_some_and(|package| is_source(path, &package.dir))
        })
        .filter(|path| !reached.shipped.contains(*path) && !reached.tests.contains(*path))
        .map(|path| Finding {
            rule: "dead-file",
            path: path.to_owned(),
            message: "no `mod` leads here; declare it or delete it".to_owned(),
        })
        .collect()
}

/// Files that cargo compiles; fixtures of tests are data.
fn is_source(path: &str, package_dir: &str) -> bool {
    let inside = &path[package_dir.len() + 1..];
    let compiled = ["src/", "tests/", "benches/", "examples/"];
    compiled.iter().any(|dir| inside.starts_with(dir))
        && !inside
            .split('/')
            .any(|part| matches!(part, "fixtures" | "testdata"))
}

/// Walks from the targets of every package.
pub(super) fn reach(tree: &Tree) -> Reached {
    let mut reached = Reached::default();
    for package in &tree.packages {
        let sources = format!("{}/src/", package.dir);
        for root in &package.roots {
            walk(tree, root, true, !root.starts_with(&sources), &mut reached);
        }
    }
    let shipped = &reached.shipped;
    reached.tests.retain(|path| !shipped.contains(path));
    reached
}

fn walk(tree: &Tree, path: &str, is_root: bool, in_tests: bool, reached: &mut Reached) {
    let Some(text) = tree.text(path) else {
        return;
    };
    let seen = if in_tests {
        &mut reached.tests
    } else {
        &mut reached.shipped
    };
    if !seen.insert(path.to_owned()) {
        return;
    }
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.trim_end_matches(".rs");
    let home = if is_root || stem == "mod" {
        dir.to_owned()
    } else {
        format!("{dir}/{stem}")
    };
    for module in declared(text) {
        let child = match &module.path {
            Some(given) => normalise(&format!("{dir}/{given}")),
            None => {
                let flat = format!("{home}/{}.rs", module.name);
                if tree.has(&flat) {
                    flat
                } else {
                    format!("{home}/{}/mod.rs", module.name)
                }
            }
        };
        let plain_root = module.path.is_some();
        walk(
            tree,
            &child,
            plain_root,
            in_tests || module.test_only,
            reached,
        );
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Declared {
    /// `a/b` for `mod a { mod b; }`.
    name: String,
    path: Option<String>,
    test_only: bool,
}

/// The `mod name;` declarations of a file, in inline modules as well.
fn declared(text: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    declared_in(&code_only(text), text, "", false, &mut found);
    found
}

/// `code` is `original` blanked, byte for byte, so that strings can be read back.
fn declared_in(
    code: &str,
    original: &str,
    prefix: &str,
    test_only: bool,
    found: &mut Vec<Declared>,
) {
    let mut at = 0;
    while at < code.len() {
        let end = at + item_end(&code[at..]).max(1);
        let item = &code[at..end];
        let head = &item[..item.find('{').unwrap_or(item.len())];
        if let Some(name) = module_name(head) {
            let name = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            let test_only = test_only || head.contains("cfg(test)");
            if head.len() == item.len() {
                let path = path_of(&original[at..end]);
                found.push(Declared {
                    name,
                    path,
                    test_only,
                });
            } else {
                let inner = at + head.len() + 1..end - 1;
                declared_in(
                    &code[inner.clone()],
                    &original[inner],
                    &name,
                    test_only,
                    found,
                );
            }
        }
        at = end;
    }
}

/// The name in an item's head that declares a module.
fn module_name(head: &str) -> Option<String> {
    let mut words = head
        .split(|c: char| c.is_whitespace() || c == ';' || c == ')' || c == ']')
        .filter(|word| !word.is_empty());
    words.find(|&word| word == "mod")?;
    let name = words.next()?;
    let plain = name
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '#');
    plain.then(|| name.trim_start_matches("r#").to_owned())
}

/// The value of `#[path = "…"]`.
fn path_of(head: &str) -> Option<String> {
    let (_, behind) = head.split_once("#[path")?;
    Some(behind.split('"').nth(1)?.to_owned())
}

/// Takes `..` and `.` out of a path.
pub(super) fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::tree::Package;
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::of(files).with_packages(vec![Package {
            name: "a".to_owned(),
            dir: "crates/a".to_owned(),
            dependencies: Vec::new(),
            roots: vec![
                "crates/a/src/lib.rs".to_owned(),
                "crates/a/tests/it/main.rs".to_owned(),
            ],
        }])
    }

    #[test]
    fn a_file_that_no_mod_names_is_found() {
        let found = dead_files(&tree(&[
            (
                "crates/a/src/lib.rs",
                "use x::y;\npub mod b;\n// mod dead;\nfn f() { g(); }\n#[cfg(test)]\nmod tests;",
            ),
            (
                "crates/a/src/b.rs",
                "mod c;\nmod inline { pub(crate) mod d; }",
            ),
            ("crates/a/src/b/c.rs", "#[path = \"../odd.rs\"]\nmod e;"),
            ("crates/a/src/b/inline/d.rs", ""),
            ("crates/a/src/odd.rs", ""),
            ("crates/a/src/tests.rs", ""),
            ("crates/a/src/dead.rs", ""),
            ("crates/a/tests/it/main.rs", "mod help;"),
            ("crates/a/tests/it/help/mod.rs", ""),
            ("crates/a/tests/fixtures/data.rs", ""),
        ]));
        // `../odd.rs` is relative to the directory of the file that names it.
        let paths: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["crates/a/src/dead.rs"]);
    }

    #[test]
    fn test_modules_are_told_from_shipped_ones() {
        let reached = reach(&tree(&[
            ("crates/a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod tests;"),
            ("crates/a/src/b.rs", ""),
            ("crates/a/src/tests.rs", "mod more;"),
            ("crates/a/src/tests/more.rs", ""),
            ("crates/a/tests/it/main.rs", ""),
        ]));
        assert!(reached.shipped.contains("crates/a/src/b.rs"));
        assert!(reached.tests.contains("crates/a/src/tests/more.rs"));
        assert!(reached.tests.contains("crates/a/tests/it/main.rs"));
    }
}
