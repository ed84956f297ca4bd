//! What Rust sources may say, by crate.

use super::Finding;
use super::modules::reach;
use super::rust_text::{code_only, has_word, without_tests};
use super::tree::Tree;

const LINES_MAX: usize = 700;

/// Only `fsx` names the file system.
pub(super) fn file_system(tree: &Tree) -> Vec<Finding> {
    shipped(
        tree,
        "file-system",
        &["rekindle-fsx", "rekindle-testkit", "xtask"],
        &["std::fs", "tokio::fs", "fs_err"],
        "use rekindle_fsx, the only crate that touches the file system",
    )
}

/// Only the CLI reads the environment.
pub(super) fn environment(tree: &Tree) -> Vec<Finding> {
    shipped(
        tree,
        "environment",
        &["rekindle", "rekindle-testkit", "xtask"],
        &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::args",
            "env::args_os",
            "env::current_dir",
            "env::home_dir",
            "env::temp_dir",
            "env::current_exe",
        ],
        "the CLI crate reads the environment once and passes plain settings down",
    )
}

/// Only the CLI prints.
pub(super) fn printing(tree: &Tree) -> Vec<Finding> {
    shipped(
        tree,
        "printing",
        &["rekindle", "rekindle-testkit", "xtask"],
        &[
            "println!",
            "eprintln!",
            "print!",
            "eprint!",
            "dbg!",
            "io::stdout",
            "io::stderr",
        ],
        "return data, or write to a `Write` that is handed in; only the CLI crate prints",
    )
}

/// `unsafe` lives where a person would look for it.
pub(super) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".rs"]) {
        let owner = tree.package_of(path).map(|package| package.name.as_str());
        if matches!(owner, Some("rekindle-fsx" | "rekindle-observe")) {
            continue;
        }
        search(
            &mut findings,
            "unsafe",
            path,
            &code_only(text),
            &["unsafe"],
            "only fsx and observe may; give them a safe function for it",
        );
    }
    findings
}

/// Files stay short enough to be read.
pub(super) fn file_sizes(tree: &Tree) -> Vec<Finding> {
    tree.texts(&[".rs"])
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| Finding {
            rule: "file-size",
            path: path.to_owned(),
            message: format!("{lines} lines, more than {LINES_MAX}: split it by what its parts do"),
        })
        .collect()
}

/// Nothing half-done is merged: marks of it belong into an issue.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    // In pieces, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let code_marks = ["todo!", "unimplemented!"];
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".rs", ".toml", ".md", ".yml", ".sh"]) {
        let next_step = "finish it, or write an issue and remove the mark";
        search(&mut findings, "unfinished", path, text, &marks, next_step);
        if path.ends_with(".rs") {
            let code = code_only(text);
            search(
                &mut findings,
                "unfinished",
                path,
                &code,
                &code_marks,
                next_step,
            );
            ignored_tests(&mut findings, path, &code);
        }
    }
    findings
}

/// A test that is never run proves nothing. One that needs a process of its own starts itself again.
fn ignored_tests(findings: &mut Vec<Finding>, path: &str, code: &str) {
    for (index, code) in code.lines().enumerate() {
        if code.contains("#[ignore") {
            findings.push(Finding {
                rule: "unfinished",
                path: path.to_owned(),
                message: format!(
                    "line {}: a test that is never run; make it skip itself by name where it cannot run",
                    index + 1
                ),
            });
        }
    }
}

/// Looks for words in what is shipped of every crate but the `owners`.
fn shipped(
    tree: &Tree,
    rule: &'static str,
    owners: &[&str],
    words: &[&str],
    next_step: &str,
) -> Vec<Finding> {
    let reached = reach(tree);
    let mut findings = Vec::new();
    for path in &reached.shipped {
        let owner = tree
            .package_of(path)
            .map_or("", |package| package.name.as_str());
        if owners.contains(&owner) {
            continue;
        }
        let code = without_tests(&code_only(tree.text(path).unwrap_or_default()));
        search(&mut findings, rule, path, &code, words, next_step);
    }
    findings
}

fn search(
    findings: &mut Vec<Finding>,
    rule: &'static str,
    path: &str,
    text: &str,
    words: &[&str],
    next_step: &str,
) {
    for (index, line) in text.lines().enumerate() {
        if let Some(word) = words.iter().find(|word| has_word(line, word)) {
            findings.push(Finding {
                rule,
                path: path.to_owned(),
                message: format!("line {}: `{word}`: {next_step}", index + 1),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Package;
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, package: &str, text: &str, expected: usize) {
        let tree = Tree::of(&[("crates/a/src/lib.rs", text)]).with_packages(vec![Package {
            name: package.to_owned(),
            dir: "crates/a".to_owned(),
            dependencies: Vec::new(),
            roots: vec!["crates/a/src/lib.rs".to_owned()],
        }]);
        let found = rule(&tree);
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }

    #[test]
    fn file_system_is_for_fsx() {
        check(file_system, "rekindle-store", "use std::fs;", 1);
        check(
            file_system,
            "rekindle-store",
            "// std::fs is not used\nconst A: &str = \"std::fs\";",
            0,
        );
        check(
            file_system,
            "rekindle-store",
            "#[cfg(test)]\nmod tests { use std::fs; }",
            0,
        );
        check(file_system, "rekindle-fsx", "use std::fs;", 0);
    }

    #[test]
    fn environment_is_for_the_cli() {
        check(
            environment,
            "rekindle-compile",
            "let a = std::env::var(b);",
            1,
        );
        check(environment, "rekindle-compile", "let a = env!(\"b\");", 0);
        check(environment, "rekindle", "let a = std::env::var(b);", 0);
    }

    #[test]
    fn printing_is_for_the_cli() {
        check(
            printing,
            "rekindle-report",
            "fn a() { println!(\"b\"); }",
            1,
        );
        check(printing, "rekindle-report", "let a = io::stderr();", 1);
        check(printing, "rekindle-report", "command.stderr(pipe)", 0);
        check(printing, "rekindle", "fn a() { eprintln!(\"b\"); }", 0);
    }

    #[test]
    fn unsafe_is_for_fsx_and_observe() {
        check(unsafe_code, "rekindle-key", "fn a() { unsafe { b() } }", 1);
        check(unsafe_code, "rekindle-key", "#![forbid(unsafe_code)]", 0);
        check(
            unsafe_code,
            "rekindle-observe",
            "fn a() { unsafe { b() } }",
            0,
        );
    }

    #[test]
    fn long_files_are_found() {
        check(file_sizes, "rekindle-key", &"\n".repeat(LINES_MAX), 0);
        check(file_sizes, "rekindle-key", &"\n".repeat(LINES_MAX + 1), 1);
    }

    #[test]
    fn unfinished_work_is_found() {
        check(unfinished, "rekindle-key", concat!("// TO", "DO: later"), 1);
        check(
            unfinished,
            "rekindle-key",
            "fn a() { todo!() }\n#[ignore]\nfn b() {}",
            2,
        );
        check(
            unfinished,
            "rekindle-key",
            "#[ignore = \"run by the test below\"]\nfn helper() {}",
            1,
        );
        check(
            unfinished,
            "rekindle-key",
            "// the todo list of a person",
            0,
        );
    }
}
