//! `rekindle init`: what it writes for projects of several kinds, judged by other people's checkers.

use std::process::Command;

use crate::checkers;
use crate::project::Project;

const ACTION: &str = "rekindle-build/rekindle@0123456789abcdef0123456789abcdef01234567 # v0.1.0";
const SHA: &str = "@0123456789abcdef0123456789abcdef01234567";
const NOTHING: &str = "pub fn nothing() {}\n";

/// A project of these files alone.
fn project(files: &[(&str, &str)]) -> Project {
    let project = Project::new("fn main() {}");
    std::fs::remove_dir_all(project.path("ws")).unwrap();
    project.put("ws/.git/HEAD", "ref: refs/heads/trunk\n");
    for (name, text) in files {
        project.put(&format!("ws/{name}"), text);
    }
    project
}

fn package(name: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}")
}

fn written(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path(&format!("ws/.github/workflows/{name}.yml"))).unwrap()
}

/// Writes workflows, has them checked, and gives them: `ci.yml` and `release.yml`.
fn init(test: &str, files: &[(&str, &str)]) -> (String, String) {
    let project = project(files);
    let done = project.rekindle(&["init", "--action", ACTION]).ok();
    assert!(
        done.stderr.contains("wrote .github/workflows/ci.yml"),
        "{}",
        done.stderr
    );
    for name in ["ci", "release"] {
        checkers::workflow(
            test,
            &project.path(&format!("ws/.github/workflows/{name}.yml")),
        );
    }
    let audit = project.rekindle(&["audit"]);
    assert_eq!(audit.code, Some(0), "{}", audit.stdout);
    (written(&project, "ci"), written(&project, "release"))
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[track_caller]
fn lacks(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "`{part}` in\n{text}");
    }
}

#[test]
fn a_library_is_tested_and_its_sources_are_released() {
    let manifest = package("lib-a", "rust-version = \"1.85\"\n");
    let (ci, release) = init(
        "init::a_library_is_tested_and_its_sources_are_released",
        &[("Cargo.toml", &manifest), ("src/lib.rs", NOTHING)],
    );
    has(
        &ci,
        &[
            "- trunk",
            "cancel-in-progress: ${{ github.event_name == 'pull_request' }}",
            "timeout-minutes: 45",
            "permissions: {}",
            SHA,
        ],
    );
    has(
        &ci,
        &[
            "cargo test --workspace\n",
            "cargo +1.85 check --workspace\n",
            "- \"**.md\"",
        ],
    );
    lacks(&ci, &["apt-get", "--locked", "thumbv7em"]);
    has(
        &release,
        &["cargo package --package lib-a\n", "sha256sum", "tags:"],
    );
    lacks(&release, &["musl", "matrix"]);
}

#[test]
fn a_program_is_built_for_both_architectures() {
    let manifest = package("cli-a", "");
    let lock = "version = 4\n[[package]]\nname = \"cli-a\"\nversion = \"0.1.0\"\n";
    let (ci, release) = init(
        "init::a_program_is_built_for_both_architectures",
        &[
            ("Cargo.toml", &manifest),
            ("Cargo.lock", lock),
            ("src/main.rs", "fn main() {}\n"),
        ],
    );
    has(
        &ci,
        &[
            "cargo test --workspace --locked\n",
            "CARGO_PROFILE_DEV_DEBUG: 1\n",
        ],
    );
    lacks(&ci, &["SQLX_OFFLINE"]);
    has(
        &release,
        &["target: x86_64-unknown-linux-musl\n            runner: ubuntu-24.04\n"],
    );
    has(
        &release,
        &["target: aarch64-unknown-linux-musl\n            runner: ubuntu-24.04-arm\n"],
    );
    has(
        &release,
        &[
            "musl-tools",
            "--release --bins --package cli-a --locked --target \"$TARGET\"",
            "save: never",
        ],
    );
}

#[test]
fn a_workspace_gets_the_libraries_that_its_lock_file_needs() {
    let lock = "version = 4\n[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.0\"\n[[package]]\nname = \"alsa-sys\"\nversion = \"0.3.0\"\n";
    let (a, b, x) = (
        package("a", ""),
        package("b", ""),
        package("xtask", "publish = false\n"),
    );
    let (ci, release) = init(
        "init::a_workspace_gets_the_libraries_that_its_lock_file_needs",
        &[
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\"a\", \"b\", \"xtask\"]\nresolver = \"3\"\n",
            ),
            ("Cargo.lock", lock),
            ("a/Cargo.toml", &a),
            ("a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            ("b/Cargo.toml", &b),
            ("b/src/main.rs", "fn main() {}\n"),
            ("xtask/Cargo.toml", &x),
            ("xtask/src/main.rs", "fn main() {}\n"),
        ],
    );
    has(
        &ci,
        &["sudo apt-get install --yes --no-install-recommends libasound2-dev\n"],
    );
    // The runner's image has that one.
    lacks(&ci, &["libssl-dev"]);
    // The README is tested, so a change of it is one of the code.
    has(&ci, &["- \"CHANGELOG.md\"\n", "- \"docs/**\"\n"]);
    lacks(&ci, &["**.md"]);
    has(
        &release,
        &[
            "x86_64-unknown-linux-gnu",
            "aarch64-unknown-linux-gnu",
            "libasound2-dev",
            "--package b ",
        ],
    );
    lacks(&release, &["musl", "--package a", "xtask"]);
}

#[test]
fn a_library_without_std_is_built_where_there_is_none() {
    let manifest = package("nostd-a", "[features]\ndefault = [\"std\"]\nstd = []\n");
    let source = "#![cfg_attr(not(feature = \"std\"), no_std)]\npub fn nothing() {}\n";
    let (ci, _) = init(
        "init::a_library_without_std_is_built_where_there_is_none",
        &[("Cargo.toml", &manifest), ("src/lib.rs", source)],
    );
    has(
        &ci,
        &[
            "cargo build --package nostd-a --lib --no-default-features --target thumbv7em-none-eabi\n",
        ],
    );
}

#[test]
fn a_static_program_with_its_own_toolchain_is_released() {
    let manifest = package("musl-a", "");
    let (ci, release) = init(
        "init::a_static_program_with_its_own_toolchain_is_released",
        &[
            ("Cargo.toml", &manifest),
            ("src/main.rs", "fn main() {}\n"),
            (
                ".cargo/config.toml",
                "[build]\ntarget = \"x86_64-unknown-linux-musl\"\n",
            ),
            ("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n"),
        ],
    );
    has(
        &ci,
        &[
            "rustup toolchain install\n",
            "rustup component add clippy rustfmt\n",
        ],
    );
    has(
        &release,
        &[
            "rustup target add \"$TARGET\"\n",
            "x86_64-unknown-linux-musl",
        ],
    );
}

/// What an optional dependency would need is in the lock file, and nothing builds it.
#[test]
fn what_no_feature_asks_for_is_not_installed() {
    let sound = package("alsa-sys", "publish = false\n[workspace]\n");
    let lock = "version = 4\n\n[[package]]\nname = \"alsa-sys\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"play-a\"\nversion = \"0.1.0\"\ndependencies = [\n \"alsa-sys\",\n]\n";
    for (optional, expected) in [("true", false), ("false", true)] {
        let manifest = package(
            "play-a",
            &format!(
                "[workspace]\nexclude = [\"vendor\"]\n[dependencies]\nalsa-sys = {{ path = \"vendor/alsa-sys\", optional = {optional} }}\n"
            ),
        );
        let (ci, release) = init(
            "init::what_no_feature_asks_for_is_not_installed",
            &[
                ("Cargo.toml", &manifest),
                ("Cargo.lock", lock),
                ("src/main.rs", "fn main() {}\n"),
                ("vendor/alsa-sys/Cargo.toml", &sound),
                ("vendor/alsa-sys/src/lib.rs", NOTHING),
            ],
        );
        assert_eq!(ci.contains("libasound2-dev"), expected, "{ci}");
        assert_eq!(release.contains("-musl"), !expected, "{release}");
    }
}

#[test]
fn what_a_service_builds_with_is_set_and_installed() {
    let manifest = package("serve-a", "[profile.dev]\ndebug = 0\n");
    let (ci, release) = init(
        "init::what_a_service_builds_with_is_set_and_installed",
        &[
            ("Cargo.toml", &manifest),
            ("src/main.rs", "fn main() {}\n"),
            (".sqlx/query-1.json", "{}\n"),
            (
                ".cargo/config.toml",
                "[target.x86_64-unknown-linux-gnu]\nrustflags = [\"-C\", \"link-arg=-fuse-ld=mold\"]\n",
            ),
        ],
    );
    for text in [&ci, &release] {
        has(text, &["  SQLX_OFFLINE: \"true\"\n", " mold\n"]);
    }
    // The manifest says it.
    lacks(&ci, &["CARGO_PROFILE_DEV_DEBUG"]);
}

#[test]
fn firmware_is_built_and_not_tested() {
    let manifest = package("fw", "publish = false\n");
    let project = project(&[
        ("Cargo.toml", &manifest),
        ("src/main.rs", "#![no_std]\n#![no_main]\n"),
        (
            ".cargo/config.toml",
            "[build]\ntarget = \"thumbv7em-none-eabihf\"\n",
        ),
    ]);
    let done = project.rekindle(&["init"]).ok();
    has(
        &done.stderr,
        &["nothing to release", "does not know which commit"],
    );
    let ci = written(&project, "ci");
    has(
        &ci,
        &[
            "--target thumbv7em-none-eabihf\n",
            "cargo build --workspace\n",
        ],
    );
    lacks(&ci, &["cargo test", "--all-targets", "uses: rekindle"]);
    checkers::workflow(
        "init::firmware_is_built_and_not_tested",
        &project.path("ws/.github/workflows/ci.yml"),
    );
}

/// What a release packs can be unpacked and run: the steps are run as a runner would.
#[test]
fn the_steps_of_a_release_make_an_archive_and_its_checksum() {
    let manifest = package(
        "cli-a",
        "[[bin]]\nname = \"tool\"\npath = \"src/main.rs\"\n",
    );
    let project = project(&[
        ("Cargo.toml", &manifest),
        ("src/main.rs", "fn main() { println!(\"ran\") }\n"),
    ]);
    project.rekindle(&["init", "--action", ACTION]).ok();
    let release = written(&project, "release");
    let step = |name: &str| {
        let begin = release.find(&format!("- name: {name}\n")).unwrap();
        let lines = release[begin..].lines().skip(1);
        let mut script = String::new();
        for line in
            lines.take_while(|line| !line.trim_start().starts_with("- name:") && !line.is_empty())
        {
            match line.trim_start().strip_prefix("run: ") {
                Some("|") => {}
                Some(command) => script += &format!("{command}\n"),
                None if line.starts_with("          ") => {
                    script += &format!("{}\n", line.trim_start())
                }
                None => {}
            }
        }
        script
    };
    let target =
        String::from_utf8(Command::new("rustc").args(["-vV"]).output().unwrap().stdout).unwrap();
    let target = target
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap()
        .to_owned();
    let script = |text: &str| {
        let mut bash = project.command("bash", &["-euo", "pipefail", "-c", text]);
        bash.env("TARGET", &target).env("GITHUB_REF_NAME", "v0.1.0");
        let output = bash.output().unwrap();
        assert!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    script(&step("Build"));
    script(&step("Pack"));
    let unpack = format!(
        "cd dist && sha256sum --check -- *.sha256 && tar xzf tool-v0.1.0-{target}.tar.gz && ./tool"
    );
    has(&script(&unpack), &["OK", "ran"]);
}

#[test]
fn what_exists_is_never_written_and_a_diff_proposed() {
    let manifest = package("lib-a", "");
    let ci = "# ours\non: push\njobs:\n  test:\n    runs-on: ubuntu-latest # small\n    steps:\n      - uses: actions/checkout@v6\n      - run: cargo test\n";
    let project = project(&[
        ("Cargo.toml", &manifest),
        ("src/lib.rs", NOTHING),
        (".github/workflows/ci.yaml", ci),
    ]);
    let file = project.path("ws/.github/workflows/ci.yaml");
    let done = project.rekindle(&["init", "--action", ACTION]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), ci);
    has(
        &done.stderr,
        &[
            "ci.yaml is there and stays as it is",
            "wrote .github/workflows/release.yml",
        ],
    );

    // The proposal is a patch: with it nothing is left to propose, and nothing else is changed.
    project.put("proposal.diff", &done.stdout);
    let applied = Command::new("git")
        .args(["apply", "../proposal.diff"])
        .current_dir(project.path("ws"))
        .env("GIT_DIR", project.path("nowhere"))
        .output()
        .unwrap();
    assert!(
        applied.status.success(),
        "{}",
        String::from_utf8_lossy(&applied.stderr)
    );
    let merged = std::fs::read_to_string(&file).unwrap();
    has(
        &merged,
        &[
            "# ours\n",
            "# small\n    timeout-minutes: 60\n",
            "cancel-in-progress: ${{ github.event_name == 'pull_request' }}\n",
            SHA,
        ],
    );
    for line in ci.lines() {
        assert!(merged.contains(line), "{merged}");
    }
    let again = project.rekindle(&["init", "--action", ACTION]).ok();
    assert_eq!(again.stdout, "");
    has(
        &again.stderr,
        &[
            "ci.yaml is there and lacks nothing",
            "release.yml is there and lacks nothing",
        ],
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let manifest = package("lib-a", "");
    let project = project(&[("Cargo.toml", &manifest), ("src/lib.rs", NOTHING)]);
    let done = project
        .rekindle(&["init", "--dry-run", "--action", ACTION])
        .ok();
    has(
        &done.stdout,
        &[
            "+++ b/.github/workflows/ci.yml",
            "+++ b/.github/workflows/release.yml",
            "+permissions: {}",
        ],
    );
    assert!(!project.path("ws/.github").exists());
    let refused = project.rekindle(&["init", "--action", "rekindle-build/rekindle@v1"]);
    assert_eq!(refused.code, Some(2));
    has(&refused.stderr, &["40 digits of a commit"]);
    std::fs::remove_file(project.path("ws/Cargo.toml")).unwrap();
    let none = project.rekindle(&["init", "--action", ACTION]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
}
