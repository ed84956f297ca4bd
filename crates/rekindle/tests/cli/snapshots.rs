//! A fresh checkout through `rekindle build`, with the snapshot of another run.

use std::path::Path;

use serde_json::Value;

use crate::project::{Done, Project, skip};

const LIB: &str = "pub fn word() -> &'static str { include_str!(\"../word\").trim() }";
const MAIN: &str = "fn main() { println!(\"{}{}\", lib::word(), env!(\"MADE\")); }";
const SCRIPT: &str = "fn main() { println!(\"cargo:rerun-if-changed=made\"); println!(\"cargo:rustc-env=MADE={}\", \
     std::fs::read_to_string(\"made\").unwrap().trim()); }";

pub(crate) fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}")
}

/// A workspace of these files, in git.
pub(crate) fn in_git(files: &[(&str, &str)]) -> Project {
    let project = Project::new("");
    std::fs::remove_dir_all(project.path("ws/src")).unwrap();
    for (file, text) in files {
        project.put(&format!("ws/{file}"), text);
    }
    git(&project, &["init", "-q", "-b", "main"]);
    commit(&project, "first");
    project
}

/// A workspace of a library and a program with a build script, in git.
pub(crate) fn workspace() -> Project {
    in_git(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"lib\", \"app\"]\nresolver = \"2\"\n",
        ),
        ("lib/Cargo.toml", &manifest("lib", "")),
        ("lib/src/lib.rs", LIB),
        ("lib/word", "one"),
        (
            "app/Cargo.toml",
            &manifest("app", "[dependencies]\nlib = { path = \"../lib\" }\n"),
        ),
        ("app/build.rs", SCRIPT),
        ("app/made", "!"),
        ("app/src/main.rs", MAIN),
        (
            "app/tests/t.rs",
            "#[test] fn t() { assert_eq!(lib::word(), \"one\") }",
        ),
        (".gitignore", "target\n"),
    ])
}

pub(crate) fn git(project: &Project, arguments: &[&str]) {
    let mut command = project.command("git", arguments);
    let done: Done = command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap()
        .into();
    done.ok();
}

pub(crate) fn commit(project: &Project, message: &str) {
    git(project, &["add", "-A"]);
    let author = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    git(
        project,
        &[&author[..], &["commit", "-q", "-m", message]].concat(),
    );
}

/// As in CI: nothing but what is in the repository, with new times.
pub(crate) fn fresh_clone(project: &Project) {
    let clone = project.path("clone");
    git(project, &["clone", "-q", ".", clone.to_str().unwrap()]);
    std::fs::remove_dir_all(project.path("ws")).unwrap();
    std::fs::rename(clone, project.path("ws")).unwrap();
}

pub(crate) fn rekindle(project: &Project, arguments: &[&str]) -> Done {
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
    command
        .env_remove("REKINDLE_SNAPSHOT")
        .output()
        .unwrap()
        .into()
}

pub(crate) fn program(project: &Project) -> String {
    let mut command = project.command(project.path("ws/target/debug/app").to_str().unwrap(), &[]);
    let done: Done = command.output().unwrap().into();
    done.ok().stdout.trim().to_owned()
}

pub(crate) fn started(stats: &Value) -> [u64; 3] {
    ["rustc", "linker", "build_script"].map(|name| stats["processes"][name].as_u64().unwrap())
}

pub(crate) fn assert_fresh(project: &Project) {
    let done = project.command("cargo", &["build", "-v"]).output().unwrap();
    let done = Done::from(done).ok();
    assert!(!done.stderr.contains("Running"), "{}", done.stderr);
}

#[test]
fn a_fresh_clone_starts_nothing_and_its_program_is_real() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    assert_eq!(started(&project.stats())[2], 1);
    fresh_clone(&project);
    let done = rekindle(&project, &["build"]).ok();
    assert!(
        done.stderr.contains("restored from this commit"),
        "{}",
        done.stderr
    );
    let stats = project.stats();
    assert_eq!(started(&stats), [0, 0, 0], "{stats}");
    assert_eq!(stats["snapshot"]["units_invalidated"], 0);
    // Nor is anything left of what was made ready.
    assert!(!project.path("ws/target/.rekindle/early").exists());
    assert_eq!(
        stats["snapshot"]["files_materialised"], 1,
        "the program alone: {stats}"
    );
    assert_eq!(program(&project), "one!");
    assert_fresh(&project);
}

#[test]
fn a_commit_builds_what_it_changed() {
    for (file, text, said, units) in [
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", lib::word()); }",
            "one",
            1,
        ),
        ("lib/word", "two", "two!", 2),
        ("app/made", "?", "one?", 1),
    ] {
        let project = workspace();
        rekindle(&project, &["build"]).ok();
        project.put(&format!("ws/{file}"), text);
        commit(&project, "second");
        fresh_clone(&project);
        let done = rekindle(&project, &["build"]).ok();
        assert!(done.stderr.contains("1 commit ago"), "{}", done.stderr);
        let stats = project.stats();
        assert_eq!(stats["units"]["miss"], units, "{file}: {stats}");
        assert_eq!(program(&project), said, "{file}");
        assert_fresh(&project);
    }
}

#[test]
fn tests_of_a_fresh_clone_run_from_placeholders() {
    let project = workspace();
    rekindle(&project, &["test"]).ok();
    fresh_clone(&project);
    let done = rekindle(&project, &["test"]).ok();
    assert!(
        done.stdout.contains("test t ... ok"),
        "{}\n{}",
        done.stdout,
        done.stderr
    );
    assert_eq!(started(&project.stats()), [0, 0, 0]);
}

#[test]
fn switched_off_it_does_nothing() {
    let project = workspace();
    rekindle(&project, &["build", "--no-snapshot"]).ok();
    assert_eq!(project.stats()["snapshot"]["base"], Value::Null);
    assert!(!project.path("ws/target/.rekindle/debug.ledger").exists());
}

#[test]
fn a_failed_build_keeps_what_was_built() {
    let project = workspace();
    project.put("ws/app/src/main.rs", "fn main() { broken }");
    commit(&project, "broken");
    assert_eq!(rekindle(&project, &["build"]).code, Some(101));
    project.put("ws/app/src/main.rs", MAIN);
    commit(&project, "mended");
    fresh_clone(&project);
    rekindle(&project, &["build"]).ok();
    let stats = project.stats();
    assert_eq!(stats["units"]["miss"], 1, "{stats}");
    assert_eq!(
        started(&stats)[2],
        0,
        "the build script ran before the error"
    );
    assert_eq!(program(&project), "one!");
}

/// Of a crate that failed nothing says what its script wrote among the sources, where nobody saw the script.
#[test]
fn a_script_that_nobody_saw_runs_again_for_a_crate_that_failed() {
    let project = in_git(&[
        ("Cargo.toml", &manifest("app", "")),
        (
            "build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); \
             std::fs::write(\"src/written.rs\", \"pub const MADE: &str = \\\"made\\\";\").unwrap(); }",
        ),
        ("src/main.rs", "mod written; fn main() { broken }"),
        (".gitignore", "target\nsrc/written.rs\n"),
    ]);
    let unseen = |arguments: &[&str]| -> Done {
        let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        let command = command.env_remove("REKINDLE_SNAPSHOT");
        command
            .env("REKINDLE_OBSERVE", "0")
            .output()
            .unwrap()
            .into()
    };
    assert_eq!(unseen(&["build"]).code, Some(101));
    project.put(
        "ws/src/main.rs",
        "mod written; fn main() { println!(\"{}\", written::MADE); }",
    );
    commit(&project, "mended");
    fresh_clone(&project);
    unseen(&["build"]).ok();
    assert_eq!(program(&project), "made");
}

/// A script that asks for the time is captured never, and what it was built with stays all the same.
#[test]
fn a_script_that_runs_each_time_takes_no_others_with_it() {
    let project = in_git(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"sys\", \"app\"]\nresolver = \"2\"\n",
        ),
        ("sys/Cargo.toml", &manifest("sys", "links = \"sys\"\n")),
        (
            "sys/build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); println!(\"cargo:word=one\"); }",
        ),
        ("sys/src/lib.rs", ""),
        (
            "app/Cargo.toml",
            &manifest("app", "[dependencies]\nsys = { path = \"../sys\" }\n"),
        ),
        (
            "app/build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); \
             println!(\"cargo:rustc-env=WORD={}\", std::env::var(\"DEP_SYS_WORD\").unwrap()); \
             println!(\"cargo:rustc-env=AT={:?}\", std::time::SystemTime::now()); }",
        ),
        (
            "app/src/main.rs",
            "fn main() { let _ = env!(\"AT\"); println!(\"{}\", env!(\"WORD\")); }",
        ),
        (".gitignore", "target\n"),
    ]);
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    rekindle(&project, &["build"]).ok();
    let stats = project.stats();
    assert_eq!(started(&stats)[2], 1, "{stats}");
    assert_eq!(stats["units"]["hit"], 0, "{stats}");
    assert_eq!(stats["units"]["miss"], 1, "{stats}");
    assert_eq!(program(&project), "one");
    assert_fresh(&project);
}

#[test]
fn what_the_store_has_lost_is_built() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    lose_objects(&project.path("store/v1/objects"));
    rekindle(&project, &["build"]).ok();
    assert_eq!(program(&project), "one!");
    assert_fresh(&project);
}

/// Gone after the restore: placeholders stand for nothing.
#[test]
fn what_the_store_loses_under_a_restored_target_is_built_in_a_second_run_of_cargo() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    rekindle(&project, &["build"]).ok();
    lose_objects(&project.path("store/v1/objects"));
    project.put(
        "ws/app/src/main.rs",
        "fn main() { println!(\"{}\", lib::word()); }",
    );
    let done = rekindle(&project, &["build"]).ok();
    assert!(
        done.stderr.contains("cargo runs once more"),
        "{}",
        done.stderr
    );
    assert_eq!(program(&project), "one");
    assert_fresh(&project);
}

/// cargo itself reads no program, so only we notice.
#[test]
fn a_program_that_the_store_has_lost_is_built_in_a_second_run_of_cargo() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    rekindle(&project, &["snapshot", "restore"]).ok();
    lose_objects(&project.path("store/v1/objects"));
    let done = rekindle(&project, &["build"]).ok();
    assert!(
        done.stderr.contains("cargo runs once more"),
        "{}",
        done.stderr
    );
    assert_eq!(program(&project), "one!");
    assert_fresh(&project);
}

fn lose_objects(dir: &Path) {
    for shard in std::fs::read_dir(dir).unwrap() {
        std::fs::remove_dir_all(shard.unwrap().path()).unwrap();
    }
}

#[test]
fn plain_cargo_in_a_restored_target_fails_loudly_or_builds_after_materialise() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    rekindle(&project, &["build"]).ok();
    project.put(
        "ws/app/src/main.rs",
        "fn main() { println!(\"{}\", lib::word()); }",
    );
    let plain: Done = project
        .command("cargo", &["build"])
        .output()
        .unwrap()
        .into();
    assert_ne!(plain.code, Some(0));
    assert!(plain.stderr.contains("liblib"), "{}", plain.stderr);
    rekindle(&project, &["materialise"]).ok();
    let plain: Done = project
        .command("cargo", &["build"])
        .output()
        .unwrap()
        .into();
    plain.ok();
    assert_eq!(program(&project), "one");
}

#[test]
fn snapshots_are_listed_shown_and_compared() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    project.put("ws/lib/word", "two");
    commit(&project, "second");
    rekindle(&project, &["build"]).ok();
    let listed = rekindle(&project, &["snapshot", "list", "--format", "json"]).ok();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let trees = listed["trees"].as_array().unwrap();
    assert_eq!(trees.len(), 2, "{listed}");
    let name = |index: usize| trees[index]["tree"].as_str().unwrap();
    // The newest use first.
    let diff = rekindle(&project, &["snapshot", "diff", name(1), name(0)]).ok();
    assert!(diff.stdout.contains("~ lib "), "{}", diff.stdout);
    assert!(diff.stdout.contains("word"), "{}", diff.stdout);
    let shown = rekindle(&project, &["snapshot", "show"]).ok();
    assert!(shown.stdout.contains("this commit"), "{}", shown.stdout);
    std::fs::remove_dir_all(project.path("ws/target")).unwrap();
    let restored = rekindle(&project, &["snapshot", "restore"]).ok();
    assert!(
        restored.stdout.starts_with("restored 4 units"),
        "{}",
        restored.stdout
    );
    rekindle(&project, &["materialise"]).ok();
    assert_fresh(&project);
    let captured = rekindle(&project, &["snapshot", "capture"]).ok();
    assert!(captured.stdout.contains("kept 4"), "{}", captured.stdout);
}

/// Killed at any of its changes, a restore leaves a target from which the next build is right.
#[test]
fn a_restore_can_be_killed() {
    let project = workspace();
    rekindle(&project, &["build"]).ok();
    sweep("a_restore_can_be_killed", &project, "restore", || {
        let _ = std::fs::remove_dir_all(project.path("ws/target"));
    });
}

/// Killed at any of its changes, a capture leaves a store and a target that the next build uses.
#[test]
fn a_capture_can_be_killed() {
    let project = workspace();
    rekindle(&project, &["build", "--no-snapshot"]).ok();
    sweep("a_capture_can_be_killed", &project, "capture", || {
        let _ = std::fs::remove_dir_all(project.path("ws/target/.rekindle"));
        for space in ["trees", "pointers"] {
            let _ = std::fs::remove_dir_all(project.path("store/v1").join(space));
        }
    });
}

/// Kills `rekindle snapshot <doing>` at its first changes to the file system, at some later ones, and at each of the last.
fn sweep(test: &str, project: &Project, doing: &str, prepare: impl Fn()) {
    if !cfg!(feature = "failpoints") {
        return skip(test, "built without the feature `failpoints`");
    }
    const STEP: usize = 11;
    let ends_in_peace = |at: usize| {
        prepare();
        let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["snapshot", doing]);
        let killed = command
            .env("REKINDLE_FAILPOINT", at.to_string())
            .output()
            .unwrap();
        rekindle(project, &["build"]).ok();
        assert_eq!(program(project), "one!", "{doing} killed at change {at}");
        assert_fresh(project);
        rekindle(project, &["cache", "verify"]).ok();
        killed.status.success()
    };
    // The first ones are each of another kind; later ones are files like those before.
    let some = (1..8).chain((8..).step_by(STEP));
    let end = some.into_iter().find(|at| ends_in_peace(*at)).unwrap();
    assert!(
        end > STEP,
        "only {end} changes: is `rekindle` built with failpoints?"
    );
    // What makes the rest valid comes last, in an order of its own.
    for at in end - STEP..end {
        ends_in_peace(at);
    }
}

/// From cargo 1.100 on all files of a unit are below `build/<package>/<id>`.
#[test]
fn the_newer_layout_is_restored_too() {
    let project = workspace();
    let version = project
        .command("cargo", &["+nightly", "--version"])
        .output();
    if !version.is_ok_and(|output| output.status.success()) {
        return skip(
            "the_newer_layout_is_restored_too",
            "there is no nightly toolchain",
        );
    }
    let build = ["+nightly", "build", "-Zbuild-dir-new-layout"];
    rekindle(&project, &build).ok();
    fresh_clone(&project);
    rekindle(&project, &build).ok();
    assert!(project.path("ws/target/debug/build/app").is_dir());
    let stats = project.stats();
    let why = project.rekindle(&["explain"]).stdout;
    assert_eq!(started(&stats), [0, 0, 0], "{stats:#}\n{why}");
    assert_eq!(program(&project), "one!");
    project.put("ws/lib/word", "two");
    rekindle(&project, &build).ok();
    assert_eq!(program(&project), "two!");
}

/// Units go to another directory than what people collect.
#[test]
fn a_build_directory_apart_is_restored_too() {
    let project = workspace();
    project.put("ws/.cargo/config.toml", "[build]\nbuild-dir = \"units\"\n");
    project.put("ws/.gitignore", "target\nunits\n");
    commit(&project, "a build directory apart");
    rekindle(&project, &["build"]).ok();
    fresh_clone(&project);
    rekindle(&project, &["build"]).ok();
    assert!(project.path("ws/units/debug/deps").is_dir());
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_eq!(program(&project), "one!");
}

/// A tree has one place: what a run elsewhere neither restored nor built must not pass for built there.
#[test]
fn what_holds_the_path_of_another_directory_is_not_carried_on() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
        println!(\"cargo:rustc-env=MADE={}\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()); }";
    let project = in_git(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"lib\", \"app\"]\nresolver = \"2\"\n",
        ),
        ("lib/Cargo.toml", &manifest("lib", "")),
        ("lib/src/lib.rs", ""),
        ("app/Cargo.toml", &manifest("app", "")),
        ("app/build.rs", script),
        ("app/src/main.rs", "fn main() { println!(env!(\"MADE\")) }"),
        (".gitignore", "target\n"),
    ]);
    rekindle(&project, &["build"]).ok();
    let built_in = |project: &Project| std::fs::canonicalize(project.path("ws/app")).unwrap();
    assert_eq!(program(&project), built_in(&project).to_str().unwrap());
    // Its path is another one: that of what the link leads to.
    std::fs::remove_dir_all(project.path("ws/target")).unwrap();
    std::fs::rename(project.path("ws"), project.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", project.path("ws")).unwrap();
    project.put("ws/lib/src/lib.rs", "pub fn new() {}");
    commit(&project, "second");
    rekindle(&project, &["build", "-p", "lib"]).ok();
    assert!(project.stats()["snapshot"]["units_captured"].as_u64() > Some(0));
    std::fs::remove_dir_all(project.path("ws/target")).unwrap();
    rekindle(&project, &["build"]).ok();
    assert_eq!(program(&project), built_in(&project).to_str().unwrap());
}
