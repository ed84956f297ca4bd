//! Small workflows, each with one known fault, and near-twins without: every fault is found where it is, and
//! nothing else is.
//!
//! `corpus/<rule>/<case>.fault.yml` marks the lines that a finding is wanted on with `#~ <rule>`; `<case>.clean.yml`
//! has no finding. A file of several begins each with `-- path --`. `projects/` has whole ones, whose lines name all that is
//! wrong with them but for what nearly every job lacks.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read files and fail by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rekindle_workflow::model::{Input, Project};
use rekindle_workflow::providers::Day;
use rekindle_workflow::{Finding, Options, Safety, audit, findings, fix};

fn cases(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let list = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let mut found: Vec<PathBuf> = list(&root)
        .iter()
        .flat_map(|dir| list(dir))
        .filter(|path| path.to_string_lossy().ends_with(kind))
        .collect();
    found.sort();
    found
}

/// The files of a case.
fn inputs(text: &str) -> Vec<Input> {
    if !text.starts_with("-- ") {
        return vec![Input {
            path: ".github/workflows/ci.yml".to_owned(),
            text: text.to_owned(),
        }];
    }
    let mut inputs: Vec<Input> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line
            .strip_prefix("-- ")
            .and_then(|line| line.trim_end().strip_suffix(" --"))
        {
            Some(path) => inputs.push(Input {
                path: path.to_owned(),
                text: String::new(),
            }),
            None => inputs.last_mut().unwrap().text.push_str(line),
        }
    }
    inputs
}

fn options() -> Options {
    // 2026-11-26: labels end on days.
    Options {
        ignore: Vec::new(),
        today: Day::from_days_since_epoch(20_783),
    }
}

fn audited(inputs: Vec<Input>) -> Vec<Finding> {
    let (project, unreadable) = Project::read(inputs);
    assert!(unreadable.is_empty(), "{unreadable:?}");
    audit(&project, &options())
}

/// Rule and line of what is wanted.
fn wanted(inputs: &[Input]) -> BTreeSet<(String, u32, String)> {
    let mut wanted = BTreeSet::new();
    for input in inputs {
        for (line, text) in (1..).zip(input.text.lines()) {
            if let Some((_, rule)) = text.split_once("#~ ") {
                for rule in rule.split(',') {
                    wanted.insert((input.path.clone(), line, rule.trim().to_owned()));
                }
            }
        }
    }
    wanted
}

fn shown(findings: &[Finding]) -> BTreeSet<(String, u32, String)> {
    findings
        .iter()
        .map(|finding| (finding.file.clone(), finding.line, finding.rule.to_owned()))
        .collect()
}

#[test]
fn every_fault_is_found_and_nothing_else() {
    let mut wrong = Vec::new();
    for path in cases(".fault.yml") {
        let inputs = inputs(&std::fs::read_to_string(&path).unwrap());
        let (wanted, found) = (wanted(&inputs), shown(&audited(inputs)));
        let rule = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        assert!(
            wanted.iter().all(|(_, _, name)| *name == rule),
            "{} marks another rule",
            path.display()
        );
        if wanted != found {
            wrong.push(format!(
                "{}\n  wanted {wanted:?}\n  found  {found:?}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A workspace of nine with eight workflows, written as people write them: composite actions, matrices, reusable workflows,
/// anchors, functions, containers.
#[test]
fn a_whole_project_has_these_faults_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects/nine-members.txt");
    let inputs = inputs(&std::fs::read_to_string(&root).unwrap());
    let wanted = wanted(&inputs);
    let mut found = audited(inputs);
    found.retain(|finding| !matches!(finding.rule, "action-unpinned" | "no-timeout"));
    let found = shown(&found);
    let missed: Vec<_> = wanted.difference(&found).collect();
    let more: Vec<_> = found.difference(&wanted).collect();
    assert!(
        missed.is_empty() && more.is_empty(),
        "missed {missed:#?}\nmore {more:#?}"
    );
    let rules: BTreeSet<_> = wanted.iter().map(|(.., rule)| rule).collect();
    assert!(rules.len() >= 33, "{} rules", rules.len());
}

#[test]
fn no_near_twin_has_a_finding() {
    let mut wrong = Vec::new();
    for path in cases(".clean.yml") {
        let found = shown(&audited(inputs(&std::fs::read_to_string(&path).unwrap())));
        if !found.is_empty() {
            wrong.push(format!("{}\n  found {found:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_cases_and_a_page() {
    let faults = cases(".fault.yml");
    assert!(faults.len() >= 60, "{} faults", faults.len());
    assert_eq!(faults.len(), cases(".clean.yml").len());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/audit");
    for rule in findings::ALL {
        assert!(
            faults
                .iter()
                .any(|path| path.parent().unwrap().ends_with(rule.id)),
            "`{}` has no case",
            rule.id
        );
        let page =
            std::fs::read_to_string(docs.join(format!("{}.md", rule.id))).unwrap_or_default();
        for section in [
            "## What",
            "## Why",
            "## Evidence",
            "## Before and after",
            "## When to ignore",
        ] {
            assert!(
                page.contains(section),
                "docs/audit/{}.md has no `{section}`",
                rule.id
            );
        }
        let fix = match rule.fix {
            None => "none",
            Some(Safety::Safe) => "safe",
            Some(Safety::Unsafe) => "unsafe",
        };
        let line = format!(
            "Severity: {:?} · confidence: {:?} · fix: {fix}\n",
            rule.severity, rule.confidence
        );
        assert!(
            page.to_lowercase().contains(&line.to_lowercase()),
            "docs/audit/{}.md says otherwise than `{line}`",
            rule.id
        );
        assert!(
            page.starts_with(&format!("# {}\n", rule.id)),
            "docs/audit/{}.md is headed otherwise",
            rule.id
        );
    }
}

#[test]
fn what_is_mended_is_found_no_more_and_only_that_changes() {
    let mut mended_rules = BTreeSet::new();
    for path in cases(".fault.yml") {
        let before = inputs(&std::fs::read_to_string(&path).unwrap());
        let findings = audited(before.clone());
        let settled = fix::settle(before.clone(), &options(), Safety::Unsafe, &|_| true);
        if settled.mended == 0 {
            continue;
        }
        mended_rules.extend(
            findings
                .iter()
                .filter(|finding| finding.fix.is_some())
                .map(|finding| finding.rule),
        );
        for file in &settled.changed {
            let diff = file.diff();
            let changed = |line: &&str| {
                line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")
            };
            assert!(
                (1..=14).contains(&diff.lines().filter(changed).count()),
                "{}\n{diff}",
                path.display()
            );
        }
        let mendable: Vec<_> = settled
            .left
            .iter()
            .filter(|finding| finding.fix.is_some())
            .collect();
        assert!(
            mendable.is_empty(),
            "{}: still {mendable:?}",
            path.display()
        );
        let mut after = before;
        for file in settled.changed {
            after
                .iter_mut()
                .find(|input| input.path == file.path)
                .unwrap()
                .text = file.after;
        }
        let again = fix::settle(after, &options(), Safety::Unsafe, &|_| true);
        assert!(
            again.changed.is_empty(),
            "{}: a second run changes {:?}",
            path.display(),
            again.changed
        );
    }
    let with_fix: BTreeSet<&str> = findings::ALL
        .iter()
        .filter(|rule| rule.fix.is_some())
        .map(|rule| rule.id)
        .collect();
    assert_eq!(
        mended_rules, with_fix,
        "each rule that says it mends does so in a case, and no other"
    );
}
