//! Any text is audited or refused with a place: never a panic. The fuzz target `workflow` does the same for long.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use rekindle_workflow::model::{Input, Project};
use rekindle_workflow::providers::Day;
use rekindle_workflow::{Options, Safety, fix, render};

fn audited(text: &str) {
    let inputs = vec![Input {
        path: ".github/workflows/ci.yml".to_owned(),
        text: text.to_owned(),
    }];
    let (_, unreadable) = Project::read(inputs.clone());
    for error in unreadable {
        assert!(error.error.line >= 1 && error.error.column >= 1, "{error}");
    }
    let options = Options {
        ignore: Vec::new(),
        today: Day::from_days_since_epoch(20_783),
    };
    let settled = fix::settle(inputs, &options, Safety::Unsafe, &|_| true);
    for file in &settled.changed {
        let (_, unreadable) = Project::read(vec![Input {
            path: file.path.clone(),
            text: file.after.clone(),
        }]);
        assert!(
            unreadable.is_empty(),
            "a fix made it unreadable: {unreadable:?}\n{}",
            file.after
        );
    }
    let _ = render::sarif(&settled.left, "0");
    let _ = render::json(&settled.left);
}

/// Lines that mean something to the rules, in any order and at any indent.
fn lines() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "on: [push, pull_request]",
        "on:",
        "pull_request:",
        "jobs:",
        "build:",
        "runs-on: ubuntu-20.04",
        "runs-on: ${{ matrix.os }}",
        "strategy:",
        "matrix:",
        "os: [ubuntu-latest, macos-13]",
        "include:",
        "- os: x",
        "steps:",
        "- uses: actions/cache@v2",
        "with:",
        "path: target",
        "key: ${{ hashFiles('x') }}",
        "- uses: Swatinem/rust-cache@v2",
        "- run: |",
        "cargo test -p a",
        "cargo install x",
        "echo \"A=${B}\" >> $GITHUB_ENV",
        "env: &e",
        "RUSTC_WRAPPER: sccache",
        "env: *e",
        "if: ${{ always() && (",
        "needs: [build]",
        "# rekindle: ignore[no-cache]",
        "]",
        "}",
        "{",
        "- é: \"\\u",
        "\t",
        "'",
        "- run: cargo $(",
    ]);
    prop::collection::vec((0_usize..8, line), 0..60).prop_map(|lines| {
        lines
            .into_iter()
            .map(|(indent, line)| format!("{}{line}\n", "  ".repeat(indent)))
            .collect()
    })
}

/// A workflow that is one, with changes at random places.
fn damaged() -> impl Strategy<Value = String> {
    let whole = include_str!("corpus/cache-layers-fight/two-of-the-target.fault.yml");
    prop::collection::vec((0..whole.len(), any::<char>(), 0_usize..40), 0..6).prop_map(
        move |changes| {
            let mut text = whole.to_owned();
            for (at, with, gone) in changes {
                let mut at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                let mut end = (at + gone).min(text.len());
                while !text.is_char_boundary(end) {
                    end += 1;
                }
                text.replace_range(at..end, &with.to_string());
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn lines_in_any_order_are_audited(text in lines()) {
        audited(&text);
    }

    #[test]
    fn damaged_workflows_are_audited(text in damaged()) {
        audited(&text);
    }

    #[test]
    fn any_text_is_audited(text in "\\PC{0,400}") {
        audited(&text);
        audited(&format!("on: push\njobs:\n  a:\n    steps:\n      - run: {text}\n"));
    }
}
