//! Any text is switched, added to, or refused: never a panic. What is written reads, keeps its comments, is settled, and
//! is taken back to the same bytes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use rekindle_workflow::init::{Pin, merged};
use rekindle_workflow::providers::Day;
use rekindle_workflow::switch::undo::Record;
use rekindle_workflow::switch::{File, Plan, Request, SwitchError, plan};
use rekindle_workflow::yaml::Document;

const PATH: &str = ".github/workflows/ci.yml";

fn planned(text: &str, to: &str) -> Result<Plan, SwitchError> {
    let request = Request {
        to,
        size: None,
        arch: None,
        job: None,
        allow_forks: Some("a test"),
        today: Day::from_days_since_epoch(20_783),
    };
    plan(&[File { path: PATH, text }], &request)
}

/// Comments are marked, since a `#` may stand in a text as well.
fn comments(text: &str) -> usize {
    text.matches("# c").count()
}

fn switched(text: &str) {
    for to in ["depot", "self-hosted", "runs-on", "github", "a-label,linux"] {
        let Ok(plan) = planned(text, to) else {
            continue;
        };
        let Some(file) = plan.files.first() else {
            continue;
        };
        let read = Document::parse(&file.after);
        assert!(
            read.is_ok(),
            "{to}: {:?}\n{text}\n---\n{}",
            read.err(),
            file.after
        );
        assert_eq!(
            comments(text),
            comments(&file.after),
            "{to}\n{text}\n---\n{}",
            file.after
        );
        let record = Record::of(to, None, &[(PATH, text, &file.after)]);
        let undone = record.undo(|_| Some(file.after.clone())).unwrap();
        assert_eq!(undone[0].1, text, "{to}");
        let again = planned(&file.after, to).unwrap();
        assert!(
            again.files.is_empty(),
            "{to}\n{}\n---\n{}",
            file.after,
            again.files[0].after
        );
    }
    let pin: Pin = "o/r@0123456789abcdef0123456789abcdef01234567"
        .parse()
        .unwrap();
    if let Ok(more) = merged(text, Some(&pin), true) {
        assert_eq!(merged(&more, Some(&pin), true).unwrap(), more, "{text}");
    }
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "on: [push, pull_request] # c",
        "on:",
        "workflow_call:",
        "inputs:",
        "where: {default: ubuntu-latest} # c",
        "jobs:",
        "build: # c",
        "other:",
        "runs-on: ubuntu-20.04 # c",
        "runs-on: 'macos-15' # c",
        "runs-on: \"windows-2022\"",
        "runs-on:",
        "- self-hosted # c",
        "- linux",
        "- arm64 # c",
        "group: large # c",
        "labels: [a, b] # c",
        "runs-on: [self-hosted, linux] # c",
        "runs-on: {group: a, labels: b} # c",
        "runs-on: >-",
        "ubuntu-latest",
        "runs-on: ${{ matrix.os }} # c",
        "runs-on: ${{ matrix.on.name }}",
        "runs-on: ${{ inputs.where || 'ubuntu-22.04' }} # c",
        "runs-on: \"${{ github.ref == 'x' && 'ubuntu-latest' || fromJSON('[\\\"self-hosted\\\"]') }}\"",
        "strategy: {matrix: {os: [ubuntu-latest, ubuntu-24.04-arm]}} # c",
        "strategy:",
        "matrix:",
        "os: [ubuntu-latest, macos-13, [self-hosted, x]] # c",
        "on: [{name: ubuntu-latest}]",
        "include:",
        "- os: ubuntu-latest # c",
        "- {os: ubuntu-22.04} # c",
        "if: matrix.os == 'ubuntu-latest' # c",
        "steps:",
        "- run: cargo test # c",
        "uses: ./.github/workflows/ci.yml",
        "with: {where: ubuntu-latest} # c",
        "x: &a ubuntu-latest # c",
        "runs-on: *a",
        "\u{e9}: ]",
    ]);
    prop::collection::vec((0_usize..5, line), 0..40).prop_map(|lines| {
        let lines = lines.into_iter();
        lines
            .map(|(indent, line)| format!("{}{line}\n", "  ".repeat(indent)))
            .collect()
    })
}

/// Jobs that read as YAML, made of ways to say where they run.
fn workflows() -> impl Strategy<Value = String> {
    let place = prop::sample::select(vec![
        "runs-on: ubuntu-latest # c",
        "runs-on:  \"ubuntu-24.04-arm\"   # c",
        "runs-on:\n      # c\n      - self-hosted # c\n      - linux # c\n      - ARM64",
        "runs-on: # c\n      group: big # c\n      # c\n      labels: ubuntu-big",
        "runs-on: [self-hosted, # c\n      linux]",
        "runs-on: { labels: [a] } # c",
        "runs-on: |\n      ubuntu-latest",
        "strategy:\n      matrix:\n        os: [ubuntu-latest, 'ubuntu-22.04', windows-latest] # c\n        exclude:\n          - os: ubuntu-latest # c\n    runs-on: ${{ matrix.os }}\n    if: matrix.os != 'ubuntu-latest' # c",
        "strategy:\n      matrix:\n        include:\n          - os: ubuntu-latest # c\n            x: 1\n          - {os: [self-hosted, linux], x: 2} # c\n    runs-on: ${{ matrix.os }}",
        "runs-on: ${{ github.ref == 'refs/heads/main' && 'ubuntu-latest' || 'macos-14' }} # c",
        "runs-on: ${{ fromJSON('[\"self-hosted\", \"linux\"]') }} # c",
        "runs-on: runs-on=${{ github.run_id }}/runner=8cpu-linux-x64 # c",
        "runs-on: buildjet-16vcpu-ubuntu-2204-arm # c",
    ]);
    prop::collection::vec(place, 1..5).prop_map(|places| {
        let jobs = places.iter().enumerate().map(|(at, place)| {
            format!("  job{at}: # c\n    {place}\n    # c\n    steps:\n      - run: sudo cargo test # c\n")
        });
        format!("on: push # c\njobs:\n{}", jobs.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lines_in_any_order_are_switched_or_refused(text in lines()) {
        switched(&text);
    }

    #[test]
    fn workflows_are_switched_and_taken_back(text in workflows()) {
        prop_assert!(planned(&text, "depot").is_ok_and(|plan| !plan.files.is_empty()), "{}", text);
        switched(&text);
    }

    #[test]
    fn records_with_any_numbers_are_read(line in any::<usize>(), at in 0_usize..3) {
        let text = "a\nb\nc\n";
        let mut record = Record::of("x", None, &[("f", text, "a\nB\nc\n")]);
        record.files[0].hunks[0].line = line;
        record.files[0].hunks[0].above.truncate(at);
        let _ = record.undo(|_| Some("a\nB\nc\n".to_owned()));
    }
}
