//! What fixes write passes the schema of GitHub's workflows, by `check-jsonschema`; and the time of a large workflow.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests read files and the environment, say what they skip, and fail by panicking"
)]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rekindle_workflow::model::{Input, Project};
use rekindle_workflow::providers::Day;
use rekindle_workflow::{Options, Safety, audit, fix};

/// Says on stderr, and in the file that counts skips, that a test did not run.
fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    eprint!("{line}");
    if let Some(file) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

fn options() -> Options {
    Options {
        ignore: Vec::new(),
        today: Day::from_days_since_epoch(20_783),
    }
}

#[test]
fn what_fixes_write_passes_the_schema() {
    if !Command::new("check-jsonschema")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return skip(
            "schema::what_fixes_write_passes_the_schema",
            "there is no check-jsonschema (pip install check-jsonschema)",
        );
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mended");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = Vec::new();
    for rule in std::fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        for case in std::fs::read_dir(&rule)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let text = std::fs::read_to_string(&case).unwrap();
            if text.starts_with("-- ") {
                continue;
            }
            let inputs = vec![Input {
                path: ".github/workflows/ci.yml".to_owned(),
                text,
            }];
            for changed in fix::settle(inputs, &options(), Safety::Unsafe, &|_| true).changed {
                let file = dir.join(format!(
                    "{}-{}",
                    rule.file_name().unwrap().display(),
                    case.file_name().unwrap().display()
                ));
                std::fs::write(&file, changed.after).unwrap();
                files.push(file);
            }
        }
    }
    assert!(files.len() > 25, "{} files are mended", files.len());
    let checked = Command::new("check-jsonschema")
        .args(["--builtin-schema", "vendor.github-workflows"])
        .args(&files)
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

/// A workflow of so many lines, as the corpus's jobs one after the other.
fn large(lines: usize) -> String {
    let job = include_str!("corpus/linker-missing/in-the-matrix.fault.yml");
    let (head, job) = job.split_once("jobs:\n").unwrap();
    let mut text = format!("{head}jobs:\n");
    let mut number = 0;
    while text.lines().count() < lines {
        number += 1;
        text += &job.replace("  build:", &format!("  build{number}:"));
        text += "      - run: |\n          set -e\n          export A=1\n          for x in a b; do cargo build -p $x; done\n          cargo test --workspace --all-features\n          cargo install cargo-deny && cargo deny check\n";
    }
    text
}

#[test]
fn a_large_workflow_takes_little() {
    let inputs = vec![Input {
        path: ".github/workflows/ci.yml".to_owned(),
        text: large(1200),
    }];
    let mut best = f64::MAX;
    let mut found = 0;
    for _ in 0..5 {
        let start = Instant::now();
        let (project, unreadable) = Project::read(inputs.clone());
        found = audit(&project, &options()).len();
        assert!(unreadable.is_empty(), "{unreadable:?}");
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
    }
    eprintln!("1,200 lines, {found} findings: {best:.1} ms");
    // The bar of 50 ms is for a release build on a quiet machine; nothing may make it several times worse unseen.
    let bound = if cfg!(debug_assertions) {
        3000.0
    } else {
        500.0
    };
    assert!(best < bound, "{best} ms");
}
