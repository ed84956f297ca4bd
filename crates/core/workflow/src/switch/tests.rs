//! Workflows before and after, and what is said of them.

use super::*;

fn request(to: &str) -> Request<'_> {
    Request {
        to,
        size: None,
        arch: None,
        job: None,
        allow_forks: Some("tests"),
        today: Day::from_days_since_epoch(20_783),
    }
}

const CI: &str = ".github/workflows/ci.yml";

fn planned(text: &str, request: &Request<'_>) -> (String, Vec<String>) {
    let plan =
        plan(&[File { path: CI, text }], request).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let after = plan
        .files
        .first()
        .map_or(text, |file| &file.after)
        .to_owned();
    let parsed = Document::parse(&after);
    assert!(parsed.is_ok(), "{:?}\n{after}", parsed.err());
    let warnings = plan
        .warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.line, warning.message));
    (after, warnings.collect())
}

/// The lines of a job that change, without warnings. `on: push` and the job's head are written around them.
#[track_caller]
fn check(to: &str, before: &str, after: &str) {
    let (text, warnings) = planned(&job(before), &request(to));
    assert_eq!(text, job(after));
    assert_eq!(warnings, Vec::<String>::new());
}

fn job(lines: &str) -> String {
    format!(
        "on: push # when\njobs:\n  test: # a job\n{lines}    steps:\n      - run: cargo test # all\n"
    )
}

#[test]
fn plain_labels_change_and_their_lines_stay() {
    check(
        "depot",
        "    runs-on: ubuntu-latest # cheap\n",
        "    runs-on: depot-ubuntu-24.04-4 # cheap\n",
    );
    check(
        "depot",
        "    runs-on:   'ubuntu-22.04'\n",
        "    runs-on:   'depot-ubuntu-22.04-4'\n",
    );
    check(
        "ubicloud",
        "    runs-on: \"ubuntu-24.04-arm\"\n",
        "    runs-on: \"ubicloud-standard-4-arm\"\n",
    );
    check(
        "github",
        "    runs-on: buildjet-8vcpu-ubuntu-2204-arm\n",
        "    runs-on: ubuntu-22.04-arm\n",
    );
    check(
        "runs-on",
        "    runs-on: ubuntu-latest\n",
        "    runs-on: runs-on=${{ github.run_id }}/runner=4cpu-linux-x64\n",
    );
    check(
        "github",
        "    runs-on: runs-on=${{ github.run_id }}/runner=4cpu-linux-x64\n",
        "    runs-on: ubuntu-latest\n",
    );
    check(
        "self-hosted",
        "    runs-on: ubuntu-24.04-arm\n",
        "    runs-on: [self-hosted, linux, ARM64]\n",
    );
    check(
        "blacksmith-4vcpu-ubuntu-2404",
        "    runs-on: ubuntu-latest\n",
        "    runs-on: blacksmith-4vcpu-ubuntu-2404\n",
    );
    check(
        "self-hosted,linux,gpu",
        "    runs-on: ubuntu-latest\n",
        "    runs-on: [self-hosted, linux, gpu]\n",
    );
    check(
        "depot",
        "    runs-on: >-\n      ubuntu-latest\n",
        "    runs-on: >-\n      depot-ubuntu-24.04-4\n",
    );
    // There already.
    check(
        "depot",
        "    runs-on: depot-ubuntu-24.04-arm-16\n",
        "    runs-on: depot-ubuntu-24.04-arm-16\n",
    );
}

#[test]
fn lists_and_groups_change() {
    check(
        "namespace",
        "    runs-on: [self-hosted, linux, x64] # ours\n",
        "    runs-on: nscloud-ubuntu-24.04-amd64-4x8 # ours\n",
    );
    check(
        "namespace",
        "    runs-on:\n      - self-hosted # ours\n      # the kind\n      - linux\n      - ARM64 # big\n",
        "    runs-on:\n      - nscloud-ubuntu-24.04-arm64-4x8 # ours\n      # the kind\n      # big\n",
    );
    check(
        "self-hosted",
        "    runs-on:\n    - ubuntu-latest # one\n",
        "    runs-on:\n    - self-hosted\n    - linux\n    - x64 # one\n",
    );
    check(
        "github",
        "    runs-on: # where\n      group: large # theirs\n      # the kind\n      labels: [linux, x64]\n    env: {A: b}\n",
        "    runs-on: ubuntu-latest # where\n    # theirs\n    # the kind\n    env: {A: b}\n",
    );
    check(
        "github",
        "    runs-on: {group: large, labels: linux-arm64-big}\n",
        "    runs-on: ubuntu-24.04-arm\n",
    );
}

#[test]
fn a_matrix_changes_and_what_compares_with_it() {
    check(
        "blacksmith",
        "    strategy:\n      matrix:\n        os: [ubuntu-latest, windows-latest, \"macos-15\"] # all\n        exclude:\n          - os: ubuntu-latest\n            rust: beta\n        include:\n          - {os: ubuntu-24.04-arm, rust: stable}\n    runs-on: ${{ matrix.os }}\n    if: matrix.os == 'ubuntu-latest' || matrix.os != 'other'\n",
        "    strategy:\n      matrix:\n        os: [blacksmith-4vcpu-ubuntu-2404, blacksmith-4vcpu-windows-2025, \"blacksmith-6vcpu-macos-15\"] # all\n        exclude:\n          - os: blacksmith-4vcpu-ubuntu-2404\n            rust: beta\n        include:\n          - {os: blacksmith-4vcpu-ubuntu-2404-arm, rust: stable}\n    runs-on: ${{ matrix.os }}\n    if: matrix.os == 'blacksmith-4vcpu-ubuntu-2404' || matrix.os != 'other'\n",
    );
    check(
        "runs-on",
        "    strategy:\n      matrix:\n        on: [{runner: ubuntu-latest}, {runner: \"ubuntu-24.04-arm\"}]\n    runs-on: ${{ matrix.on.runner }}\n",
        "    strategy:\n      matrix:\n        on: [{runner: 'runs-on=${{ github.run_id }}/runner=4cpu-linux-x64'}, {runner: \"runs-on=${{ github.run_id }}/runner=4cpu-linux-arm64\"}]\n    runs-on: ${{ matrix.on.runner }}\n",
    );
    check(
        "self-hosted",
        "    strategy:\n      matrix:\n        os:\n          - ubuntu-latest # x\n          - [self-hosted, linux, arm64]\n    runs-on: ${{ matrix.os }}\n",
        "    strategy:\n      matrix:\n        os:\n          - [self-hosted, linux, x64] # x\n          - [self-hosted, linux, arm64]\n    runs-on: ${{ matrix.os }}\n",
    );
    check(
        "depot",
        "    strategy:\n      matrix:\n        os: ${{ fromJSON('[\"ubuntu-latest\", \"ubuntu-24.04-arm\"]') }}\n    runs-on: ${{ matrix.os }}\n",
        "    strategy:\n      matrix:\n        os: ${{ fromJSON('[\"depot-ubuntu-24.04-4\", \"depot-ubuntu-24.04-arm-4\"]') }}\n    runs-on: ${{ matrix.os }}\n",
    );
}

#[test]
fn expressions_change_in_their_literals() {
    check(
        "depot",
        "    runs-on: ${{ github.event_name == 'push' && 'ubuntu-24.04' || 'ubuntu-24.04-arm' }}\n",
        "    runs-on: ${{ github.event_name == 'push' && 'depot-ubuntu-24.04-4' || 'depot-ubuntu-24.04-arm-4' }}\n",
    );
    check(
        "github",
        "    runs-on: ${{ fromJSON('[\"self-hosted\", \"linux\"]') }}\n",
        "    runs-on: ${{ fromJSON('[\"ubuntu-latest\"]') }}\n",
    );
    check(
        "self-hosted",
        "    runs-on: \"${{ github.ref == 'x' && 'ubuntu-latest' || 'ubuntu-22.04' }}\"\n",
        "    runs-on: \"${{ github.ref == 'x' && fromJSON('[\\\"self-hosted\\\",\\\"linux\\\",\\\"x64\\\"]') || fromJSON('[\\\"self-hosted\\\",\\\"linux\\\",\\\"x64\\\"]') }}\"\n",
    );
}

#[test]
fn what_only_decides_in_an_expression_stays() {
    check(
        "depot",
        "    strategy:\n      matrix:\n        arch: [x86_64, aarch64]\n    runs-on: ${{ matrix.arch == 'aarch64' && 'ubuntu-24.04-arm' || 'ubuntu-latest' }}\n",
        "    strategy:\n      matrix:\n        arch: [x86_64, aarch64]\n    runs-on: ${{ matrix.arch == 'aarch64' && 'depot-ubuntu-24.04-arm-4' || 'depot-ubuntu-24.04-4' }}\n",
    );
    check(
        "depot",
        "    strategy:\n      matrix:\n        os: [ubuntu-latest]\n    runs-on: ${{ matrix.os == 'ubuntu-latest' && 'ubuntu-24.04' || 'macos-15' }}\n",
        "    strategy:\n      matrix:\n        os: [ubuntu-latest]\n    runs-on: ${{ matrix.os == 'ubuntu-latest' && 'depot-ubuntu-24.04-4' || 'depot-macos-15' }}\n",
    );
    // An axis that is a runner and asked as well.
    check(
        "depot",
        "    strategy:\n      matrix:\n        os: [ubuntu-latest, macos-15]\n    runs-on: ${{ matrix.os == 'ubuntu-latest' && 'ubuntu-22.04' || matrix.os }}\n",
        "    strategy:\n      matrix:\n        os: [depot-ubuntu-24.04-4, depot-macos-15]\n    runs-on: ${{ matrix.os == 'depot-ubuntu-24.04-4' && 'depot-ubuntu-22.04-4' || matrix.os }}\n",
    );
}

#[test]
fn inputs_of_reusable_workflows_and_their_callers_change() {
    let called = "on:\n  workflow_call:\n    inputs:\n      runner:\n        type: string\n        default: ubuntu-latest # by default\n  workflow_dispatch:\n    inputs:\n      runner:\n        type: choice\n        options: [ubuntu-latest, macos-15]\njobs:\n  b:\n    runs-on: ${{ inputs.runner || 'ubuntu-22.04' }}\n";
    let caller = "on: push\njobs:\n  a:\n    uses: ./.github/workflows/build.yml\n    with:\n      runner: custom # special\n  c:\n    uses: other/repo/.github/workflows/x.yml@v1\n    with:\n      os: ubuntu-24.04\n";
    let files = [
        File {
            path: ".github/workflows/build.yml",
            text: called,
        },
        File {
            path: CI,
            text: caller,
        },
    ];
    let plan = plan(&files, &request("depot")).unwrap();
    let after: Vec<&str> = plan.files.iter().map(|file| &*file.after).collect();
    assert_eq!(
        after,
        [
            called
                .replace("default: ubuntu-latest", "default: depot-ubuntu-24.04-4")
                .replace(
                    "[ubuntu-latest, macos-15]",
                    "[depot-ubuntu-24.04-4, depot-macos-15]"
                )
                .replace("'ubuntu-22.04'", "'depot-ubuntu-22.04-4'"),
            caller
                .replace("runner: custom", "runner: depot-ubuntu-24.04")
                .replace("os: ubuntu-24.04", "os: depot-ubuntu-24.04-4"),
        ]
    );
    let warnings: Vec<&str> = plan
        .warnings
        .iter()
        .map(|warning| &*warning.message)
        .collect();
    assert_eq!(
        warnings,
        [
            "`custom` is not known: it was taken for Linux on x64",
            "`other/repo/.github/workflows/x.yml@v1`, which is not here, gets another `os`: see that it takes it"
        ]
    );
}

#[test]
fn what_cannot_be_followed_is_said_and_left() {
    let unfollowed = |lines: &str, message: &str| {
        let text = job(lines);
        let (after, warnings) = planned(&text, &request("depot"));
        assert_eq!(after, text);
        assert!(
            warnings.iter().any(|warning| warning.contains(message)),
            "{warnings:?}"
        );
    };
    unfollowed(
        "    runs-on: ${{ vars.RUNNER }}\n",
        "3: the runner comes from `vars.RUNNER`".trim_start_matches("3: "),
    );
    unfollowed(
        "    runs-on: ubuntu-${{ matrix.v }}\n",
        "put together from parts",
    );
    unfollowed(
        "    runs-on: [self-hosted, \"${{ matrix.arch }}\"]\n",
        "one of the labels is an expression",
    );
    unfollowed(
        "    strategy:\n      matrix: ${{ fromJSON(needs.a.outputs.m) }}\n    runs-on: ${{ matrix.os }}\n",
        "the matrix with `os` is not written here",
    );
    unfollowed(
        "    strategy:\n      matrix:\n        os: ${{ fromJSON(inputs.os) }}\n    runs-on: ${{ matrix.os }}\n",
        "values come from an expression",
    );
    unfollowed(
        "    runs-on: ${{ inputs.what }}\n",
        "input `what`, which is not declared here",
    );
    unfollowed(
        "    runs-on: ${{ github.ref == 'a' && 'my-runner' || 'other' }}\n",
        "no runner is recognised",
    );
    unfollowed(
        "    env: &e {A: ubuntu-latest}\n    runs-on: windows-11-arm\n",
        "stays: Depot has no living Windows runner of architecture arm64",
    );
    let text = "on: push\nx: &r ubuntu-latest\njobs:\n  a:\n    runs-on: *r\n    steps: []\n";
    let (after, warnings) = planned(text, &request("depot"));
    assert_eq!(after, text);
    assert!(warnings[0].contains("alias"), "{warnings:?}");
}

#[test]
fn what_a_job_needs_is_compared_with_what_there_is() {
    let text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    services: {db: {image: x}}\n    steps:\n      - run: |\n          sudo apt-get update\n          curl -o x https://example.org/x86_64.tar\n";
    let (_, warnings) = planned(text, &request("self-hosted"));
    assert_eq!(
        warnings,
        [
            "5: job `a` needs services: see that `self-hosted, linux, x64` has it",
            "7: job `a` needs sudo: see that `self-hosted, linux, x64` has it",
            "7: job `a` needs apt: see that `self-hosted, linux, x64` has it",
        ]
    );
    let (_, warnings) = planned(text, &request("ubuntu-slim"));
    assert_eq!(
        warnings,
        ["5: job `a` needs services, which `ubuntu-slim` does not have"]
    );
    let arm = Request {
        arch: Some(Arch::Arm64),
        ..request("github")
    };
    let (after, warnings) = planned(text, &arm);
    assert!(after.contains("runs-on: ubuntu-24.04-arm\n"), "{after}");
    assert_eq!(
        warnings,
        ["9: job `a` names x86_64, and its new runner is arm64"]
    );
}

#[test]
fn values_that_become_one_and_functions_on_them_are_said() {
    let text = job(
        "    strategy:\n      matrix:\n        os: [ubuntu-latest, ubuntu-26.04]\n    runs-on: ${{ matrix.os }}\n    if: startsWith(matrix.os, 'ubuntu')\n",
    );
    let (_, warnings) = planned(&text, &request("namespace"));
    assert_eq!(
        warnings,
        [
            "7: `ubuntu-latest` and `ubuntu-26.04` both become `nscloud-ubuntu-24.04-amd64-4x8`: the matrix runs the same job twice",
            "8: looks into the text of `matrix.os`, which is another now",
        ]
    );
}

#[test]
fn size_arch_and_job_choose() {
    let text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n  b:\n    runs-on: macos-15\n  c:\n    runs-on: ubuntu-22.04\n";
    let sized = Request {
        size: Some(16),
        arch: Some(Arch::Arm64),
        ..request("blacksmith")
    };
    let (after, _) = planned(text, &sized);
    let expected = text
        .replace("ubuntu-latest", "blacksmith-16vcpu-ubuntu-2404-arm")
        .replace("ubuntu-22.04", "blacksmith-16vcpu-ubuntu-2404-arm")
        .replace("macos-15", "blacksmith-6vcpu-macos-15");
    assert_eq!(after, expected);
    for job in ["c", "ci.yml:c"] {
        let one = Request {
            job: Some(job),
            ..request("blacksmith")
        };
        let (after, _) = planned(text, &one);
        assert_eq!(
            after,
            text.replace("ubuntu-22.04", "blacksmith-4vcpu-ubuntu-2204")
        );
    }
}

#[track_caller]
fn refused(text: &str, request: &Request<'_>, expected: &str) {
    let error = plan(&[File { path: CI, text }], request).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn dead_and_unknown_runners_are_refused() {
    let text = job("    runs-on: ubuntu-latest\n");
    refused(
        &text,
        &request("buildjet"),
        "jobs with `BuildJet` do not start since 2026-03-31",
    );
    refused(
        &text,
        &request("ubuntu-20.04"),
        "jobs with `ubuntu-20.04` do not start since 2025-04-15",
    );
    refused(
        &text,
        &request("blacksmith-5vcpu-ubuntu-2404"),
        "jobs with `blacksmith-5vcpu-ubuntu-2404` do not start",
    );
    let near = plan(
        &[File {
            path: CI,
            text: &text,
        }],
        &request("buildjet-4vcpu-ubuntu-2204-arm"),
    )
    .unwrap_err();
    assert!(
        matches!(near, SwitchError::Dead { nearest: Some(nearest), .. } if nearest == "ubuntu-22.04-arm")
    );
    let sized = Request {
        size: Some(7),
        ..request("depot")
    };
    refused(
        &text,
        &sized,
        "Depot lists no Linux x64 runner with 7 processors; it has 2, 4, 8, 16, 32, 64",
    );
    let sized = Request {
        size: Some(8),
        ..request("self-hosted")
    };
    refused(
        &text,
        &sized,
        "a size or an architecture is for a provider's runners; `self-hosted` says itself what it is",
    );
    let job = Request {
        job: Some("none"),
        ..request("depot")
    };
    refused(&text, &job, "no job `none` is here; there are ci.yml:test");
    let error = plan(
        &[File {
            path: CI,
            text: "jobs: [",
        }],
        &request("depot"),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`.github/workflows/ci.yml` cannot be read: ")
    );
}

#[test]
fn own_runners_are_refused_where_strangers_start_jobs() {
    let open = "on: [push, pull_request]\njobs:\n  a:\n    runs-on: ubuntu-latest\n";
    let unsafe_request = |to| Request {
        allow_forks: None,
        ..request(to)
    };
    for to in ["self-hosted", "my-runner", "self-hosted,linux"] {
        refused(
            open,
            &unsafe_request(to),
            "strangers could start jobs on your own runners: `.github/workflows/ci.yml`: `pull_request` starts it",
        );
    }
    let fine = |text: &str, request: &Request<'_>| {
        let plan = plan(&[File { path: CI, text }], request).unwrap();
        assert_eq!(plan.files.len(), 1);
    };
    fine(open, &request("self-hosted"));
    fine(open, &unsafe_request("depot"));
    fine(
        &open.replace("[push, pull_request]", "push"),
        &unsafe_request("self-hosted"),
    );
    // A condition keeps strangers out, as far as the text says.
    let guarded = format!("{open}    if: github.event_name == 'push'\n");
    let files = [File {
        path: CI,
        text: &guarded,
    }];
    let done = plan(&files, &unsafe_request("self-hosted")).unwrap();
    assert_eq!(
        (done.files.len(), done.warnings.len()),
        (1, 1),
        "{:?}",
        done.warnings
    );
    let other = format!("{open}    if: github.event_name == 'pull_request'\n");
    let files = [File {
        path: CI,
        text: &other,
    }];
    assert!(plan(&files, &unsafe_request("self-hosted")).is_err());
    // Called from where strangers come in.
    let called = "on:\n  workflow_call:\njobs:\n  b:\n    runs-on: ubuntu-latest\n";
    let caller = "on:\n  pull_request_target:\njobs:\n  a:\n    uses: ./.github/workflows/b.yml\n";
    let files = [
        File {
            path: ".github/workflows/b.yml",
            text: called,
        },
        File {
            path: CI,
            text: caller,
        },
    ];
    let error = plan(&files, &unsafe_request("self-hosted"))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with(
            "job `a` of `.github/workflows/ci.yml` calls it, and `pull_request_target` starts it"
        ),
        "{error}"
    );
    refused(
        called,
        &unsafe_request("self-hosted"),
        "strangers could start jobs on your own runners: `.github/workflows/ci.yml`: it is called by workflows that are not here",
    );
}

/// There and back again, byte by byte, for every provider.
#[test]
fn a_switch_is_undone_by_its_record() {
    let text = job(
        "    strategy:\n      matrix:\n        os:\n          - ubuntu-latest\n          - ubuntu-24.04-arm # arm\n    runs-on: ${{ matrix.os }}\n",
    );
    for to in living_providers(&request("x").today) {
        let plan = plan(
            &[File {
                path: CI,
                text: &text,
            }],
            &request(to),
        )
        .unwrap();
        if to == "github" {
            assert!(plan.files.is_empty());
            continue;
        }
        let file = &plan.files[0];
        let record = undo::Record::of(to, None, &[(CI, &file.before, &file.after)]);
        assert_eq!(
            record.undo(|_| Some(file.after.clone())).unwrap(),
            [(CI.to_owned(), text.clone())]
        );
    }
    assert!(!living_providers(&request("x").today).contains(&"buildjet"));
}
