//! What is fresh after a restore, and what is not.

use std::fs;

use rekindle_base::Digest;
use rekindle_key::Manifest;
use rekindle_key::depinfo::DepInfo;
use rekindle_key::entry::{Entry, Output};
use rekindle_snapshot::LeftOut;
use rekindle_snapshot::base::{Git, Wanted};
use rekindle_snapshot::capture::Captured;
use rekindle_snapshot::restore::{Invalid, Skipped};
use rekindle_store::{Space, Store};

use crate::checkout::{Checkout, cargo};

/// Built, captured, cloned anew, ready to be restored.
fn captured() -> Checkout {
    let mut checkout = Checkout::new();
    let built = checkout.cargo(&["build", "--offline"]);
    assert!(built.ok, "{}", built.text);
    let captured = checkout.capture();
    assert!(captured.left_out.is_empty(), "{:?}", captured.left_out);
    checkout.fresh_clone();
    checkout
}

#[test]
fn an_unchanged_clone_is_fresh() {
    let mut checkout = captured();
    let restored = checkout.restore();
    assert!(restored.invalid.is_empty(), "{:?}", restored.invalid);
    assert_eq!(
        restored.units, 5,
        "three members, a build script and its run"
    );
    let built = checkout.cargo(&["build", "--offline", "-v"]);
    assert!(built.ok, "{}", built.text);
    assert_eq!(built.compiled(), [""; 0], "{}", built.text);
    assert!(!built.text.contains("Running"), "{}", built.text);
    checkout.materialise();
    assert_eq!(checkout.run(), "3");
}

#[test]
fn a_changed_source_builds_what_depends_on_it() {
    for (file, text, compiled) in [
        ("leaf/data", "three", &["leaf", "mid", "app"][..]),
        (
            "mid/src/other.rs",
            "pub fn other() -> u32 { 2 }",
            &["mid", "app"],
        ),
        ("mid/declared", "y", &["mid", "app"]),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", 5 + mid::mid() - mid::mid()); }",
            &["app"],
        ),
    ] {
        let mut checkout = captured();
        checkout.write(&[(file, text)]);
        // Whatever its time says.
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let path = checkout.path(file);
        std::fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(old)
            .unwrap();
        let restored = checkout.restore();
        let name = file.rsplit('/').next().unwrap();
        let named = restored.invalid.iter().any(|(_, _, why)| match why {
            Invalid::Input(path) => path.ends_with(name),
            _ => false,
        });
        assert!(named, "{:?}", restored.invalid);
        checkout.materialise();
        let built = checkout.cargo(&["build", "--offline"]);
        assert!(built.ok, "{file}: {}", built.text);
        assert_eq!(built.compiled(), compiled, "{file}: {}", built.text);
        assert_eq!(
            checkout.run(),
            if file == "mid/declared" { "3" } else { "5" },
            "{file}"
        );
        let again = checkout.cargo(&["build", "--offline", "-v"]);
        assert!(!again.text.contains("Running"), "{file}: {}", again.text);
    }
}

/// cargo puts the newest time of the package's files into the fingerprint of a build script that declares
/// nothing.
#[test]
fn a_build_script_that_declares_nothing_stays_fresh_and_sees_what_changes() {
    let mut checkout = Checkout::new();
    checkout.write(&[("mid/build.rs", "fn main() {}"), ("mid/note", "a")]);
    assert!(checkout.cargo(&["build", "--offline"]).ok);
    checkout.capture();
    for _ in 0..2 {
        checkout.fresh_clone();
        let restored = checkout.restore();
        assert!(restored.invalid.is_empty(), "{:?}", restored.invalid);
        let built = checkout.cargo(&["build", "--offline", "-v"]);
        assert!(!built.text.contains("Running"), "{}", built.text);
        // What is built from here on names the fingerprints that were placed.
        checkout.write(&[(
            "app/src/main.rs",
            "fn main() { println!(\"{}\", 4 + mid::mid()); }",
        )]);
        checkout.materialise();
        assert_eq!(checkout.cargo(&["build", "--offline"]).compiled(), ["app"]);
        let captured = checkout.capture();
        assert!(captured.left_out.is_empty(), "{:?}", captured.left_out);
    }
    checkout.fresh_clone();
    checkout.write(&[("mid/note", "b")]);
    let restored = checkout.restore();
    assert!(!restored.invalid.is_empty());
    checkout.materialise();
    let built = checkout.cargo(&["build", "--offline"]);
    assert_eq!(built.compiled(), ["mid", "app"], "{}", built.text);
}

/// Units of an earlier version stay in the tree for a while. That a source of theirs was deleted since then says nothing of
/// what the present version's build script made.
#[test]
fn a_source_that_an_earlier_version_lost_leaves_this_one_fresh() {
    let mut checkout = captured();
    let manifest = std::fs::read_to_string(checkout.path("mid/Cargo.toml")).unwrap();
    let next = manifest.replace("0.1.0", "0.2.0");
    assert_ne!(manifest, next);
    std::fs::remove_file(checkout.path("mid/src/other.rs")).unwrap();
    let moved = "pub fn other() -> u32 { 0 }";
    checkout.write(&[("mid/Cargo.toml", &next), ("mid/src/other/mod.rs", moved)]);
    checkout.restore();
    checkout.materialise();
    let built = checkout.cargo(&["build", "--offline", "-v"]);
    assert!(built.ok, "{}", built.text);
    assert_eq!(built.compiled(), ["mid", "app"]);
    checkout.capture();
    checkout.fresh_clone();
    let restored = checkout.restore();
    let lost = |(package, _, why): &&(String, String, Invalid)| {
        package == "mid" && !matches!(why, Invalid::Dependency)
    };
    // The library and the run of the earlier version.
    let lost = restored.invalid.iter().filter(lost).count();
    assert_eq!(lost, 2, "{:?}", restored.invalid);
    let built = checkout.cargo(&["build", "--offline", "-v"]);
    assert!(built.ok, "{}", built.text);
    assert_eq!(built.compiled(), [""; 0], "{}", built.text);
    assert!(!built.text.contains("Running"), "{}", built.text);
}

#[test]
fn a_source_that_is_gone_runs_the_build_script_again() {
    let mut checkout = captured();
    std::fs::remove_file(checkout.path("mid/src/other.rs")).unwrap();
    checkout.write(&[("mid/src/other/mod.rs", "pub fn other() -> u32 { 0 }")]);
    let restored = checkout.restore();
    let is_run = |(package, _, why): &(String, String, Invalid)| {
        package == "mid" && matches!(why, Invalid::SourceGone(_))
    };
    assert!(
        restored.invalid.iter().any(is_run),
        "{:?}",
        restored.invalid
    );
    checkout.materialise();
    let built = checkout.cargo(&["build", "--offline", "-v"]);
    assert!(built.ok, "{}", built.text);
    assert!(built.text.contains("build-script-build`"), "{}", built.text);
}

#[test]
fn an_edit_after_the_restore_is_newer_than_everything_restored() {
    let mut checkout = captured();
    checkout.restore();
    checkout.write(&[("leaf/data", "three")]);
    checkout.materialise();
    let built = checkout.cargo(&["build", "--offline"]);
    assert_eq!(built.compiled(), ["leaf", "mid", "app"], "{}", built.text);
    assert_eq!(checkout.run(), "5");
}

/// cargo knows by the order of times that the test program was built with an older library; all
/// restored files have one time.
#[test]
fn what_was_built_with_an_older_dependency_is_not_restored() {
    let mut checkout = Checkout::new();
    checkout.write(&[(
        "mid/tests/t.rs",
        "#[test] fn t() { assert_eq!(mid::mid(), 3); }",
    )]);
    assert!(checkout.cargo(&["build", "--offline", "--all-targets"]).ok);
    checkout.capture();
    checkout.write(&[("leaf/data", "three")]);
    assert!(checkout.cargo(&["build", "--offline", "-p", "leaf"]).ok);
    checkout.capture();
    checkout.fresh_clone();
    let restored = checkout.restore();
    let outdated = restored
        .invalid
        .iter()
        .filter(|(_, _, why)| *why == Invalid::Dependency);
    assert!(outdated.count() >= 3, "{:?}", restored.invalid);
    checkout.materialise();
    let built = checkout.cargo(&["test", "--offline"]);
    assert!(
        !built.ok,
        "the test must see the new library: {}",
        built.text
    );
}

#[test]
fn what_nobody_saw_being_built_is_not_captured() {
    let mut checkout = Checkout::new();
    assert!(checkout.cargo(&["build", "--offline"]).ok);
    rekindle_fsx::time::wait_until_coarse(rekindle_fsx::time::realtime_ns() + 30_000_000);
    checkout.cargo(&["build", "--offline"]);
    let captured = checkout.capture();
    assert_eq!((captured.units_new, captured.new_trees), (0, 0));
    let mut reasons = captured.left_out.iter().map(|(_, _, why)| why);
    assert!(reasons.all(|why| matches!(why, LeftOut::NotOurs)));
}

#[test]
fn a_change_in_place_does_not_get_in() {
    let mut checkout = captured();
    checkout.restore();
    checkout.materialise();
    let before = checkout.trees.clone();
    let library = checkout.path("target/debug/deps");
    let library = std::fs::read_dir(library)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "rlib"))
        .unwrap();
    std::fs::write(library, "stripped").unwrap();
    checkout.cargo(&["build", "--offline"]);
    checkout.capture();
    assert_eq!(checkout.trees, before);
}

#[test]
fn nothing_is_put_over_somebodys_build() {
    let checkout = captured();
    checkout.write(&[("target/debug/deps/x", "mine")]);
    let restored = checkout.restore();
    assert_eq!(restored.skipped, [("debug".to_owned(), Skipped::Built)]);
    assert_eq!(restored.units, 0);
}

#[test]
fn a_source_that_changes_during_the_build_is_not_captured() {
    let mut checkout = Checkout::new();
    assert!(checkout.cargo(&["build", "--offline"]).ok);
    checkout.write(&[("leaf/data", "later")]);
    is_left_out(&checkout.capture());
}

/// It keeps the time of its writing, by which cargo takes it for what was there.
#[test]
fn a_source_that_is_moved_there_during_the_build_is_not_captured() {
    let mut checkout = Checkout::new();
    checkout.write(&[("aside", "of long ago")]);
    assert!(checkout.cargo(&["build", "--offline"]).ok);
    std::fs::rename(checkout.path("aside"), checkout.path("leaf/data")).unwrap();
    is_left_out(&checkout.capture());
}

fn is_left_out(captured: &Captured) {
    let reasons: Vec<String> = captured
        .left_out
        .iter()
        .map(|(package, _, why)| format!("{package}: {why}"))
        .collect();
    assert!(reasons[0].starts_with("leaf: "), "{reasons:?}");
    assert!(
        reasons[0].contains("was changed while it was built"),
        "{reasons:?}"
    );
    assert!(
        reasons
            .iter()
            .any(|why| why.starts_with("app: a unit that it was built with")),
        "{reasons:?}"
    );
}

#[test]
fn elsewhere_units_without_paths_are_fresh() {
    let checkout = captured();
    checkout.clone_to("elsewhere");
    let restored = checkout.restore_at("elsewhere");
    // Plain cargo maps no paths, so every library holds its own directory in debug information.
    let bound = restored
        .invalid
        .iter()
        .filter(|(_, _, why)| *why == Invalid::PathBound);
    assert!(bound.count() >= 1, "{:?}", restored.invalid);
    let elsewhere = checkout.here_at("elsewhere").workspace;
    let built = cargo(&elsewhere, &["build", "--offline"]);
    assert!(built.ok, "{}", built.text);
    let again = cargo(&elsewhere, &["build", "--offline", "-v"]);
    assert!(!again.text.contains("Running"), "{}", again.text);
}

/// Jobs that know nothing of each other: what is restored afterwards is fresh for both.
#[test]
fn two_jobs_of_one_commit_make_one_snapshot() {
    let mut checkout = Checkout::new();
    let members = "[workspace]\nmembers = [\"leaf\", \"mid\", \"app\"]\nresolver = \"2\"\n";
    // Libraries under incremental compilation are never twice the same.
    let manifest = format!("{members}[profile.dev]\nincremental = false\n");
    checkout.write(&[("Cargo.toml", &manifest)]);
    let wanted = wanted(&checkout);
    let jobs = [
        &["build", "--offline", "-v"][..],
        &["test", "--no-run", "--offline", "-v"],
    ];
    for job in jobs {
        let built = checkout.cargo(job);
        assert!(built.ok, "{}", built.text);
        checkout.capture();
        checkout.publish(&wanted);
        checkout.fresh_clone();
    }
    checkout.restore();
    for job in jobs {
        let built = checkout.cargo(job);
        assert!(built.ok, "{}", built.text);
        assert!(!built.text.contains("Running"), "{job:?}: {}", built.text);
    }
}

fn wanted(checkout: &Checkout) -> Wanted {
    let one = || Digest::of(b"one");
    Wanted {
        toolchain: one(),
        flags: one(),
        project: one(),
        workspace: checkout.path(""),
        lock: None,
        git: Some(Git {
            head: "1".repeat(40),
            ancestors: Vec::new(),
            stands_for: Vec::new(),
            branch: None,
            targets: Vec::new(),
            root: checkout.path(""),
            relative: std::path::PathBuf::new(),
            origin: Vec::new(),
        }),
        dirs: vec!["debug".to_owned()],
    }
}

/// The id of a package's unit whose fingerprint has a file of this name.
fn id_of(checkout: &Checkout, package: &str, file: &str) -> String {
    let dirs = fs::read_dir(checkout.path("target/debug/.fingerprint")).unwrap();
    let mut dirs = dirs.map(|dir| dir.unwrap().path());
    let dir = dirs.find(|dir| {
        let name = dir.file_name().unwrap().to_str().unwrap();
        name.starts_with(package) && dir.join(file).exists()
    });
    let name = dir.unwrap().file_name().unwrap().to_owned();
    name.to_str()
        .unwrap()
        .rsplit_once('-')
        .unwrap()
        .1
        .to_owned()
}

/// A script that is never captured runs again, and what was built with it comes from the unit cache: both are read,
/// where nothing is known to have changed.
#[test]
fn what_is_built_again_is_read_from_the_store() {
    let mut checkout = Checkout::new();
    assert!(checkout.cargo(&["build", "--offline"]).ok);
    let program = Digest::of(b"the program");
    let entry = Entry {
        outputs: vec![Output {
            name: "app".to_owned(),
            digest: program,
            size: 11,
            executable: true,
        }],
        dep_info: DepInfo::default(),
        stderr: Vec::new(),
        compile_us: 0,
        codegen_us: 0,
        link_us: 0,
        linker: None,
        path_bound: false,
        manifest: Manifest::new(),
    };
    let key = Digest::of(b"its key");
    let store = checkout.store().clone();
    store
        .put_record(Space::Entries, &key, &[program], &entry.encode())
        .unwrap();
    let run = id_of(&checkout, "mid", "run-build-script-build-script-build");
    checkout.saw.wrote_outside.insert(run);
    let app = id_of(&checkout, "app", "bin-app");
    checkout.saw.entries.insert(app, key);
    let captured = checkout.capture();
    assert_eq!(captured.left_out.len(), 3, "{:?}", captured.left_out);

    checkout.fresh_clone();
    let reads = checkout.restore_from("ws", true).reads;
    assert_eq!(reads.len(), 2, "the script and the program");
    assert_eq!(reads[1], program);

    checkout.fresh_clone();
    assert_eq!(checkout.restore_from("ws", false).reads, reads[..1]);

    checkout.write(&[("leaf/data", "another")]);
    checkout.fresh_clone();
    let changed = checkout.restore_from("ws", true);
    assert!(!changed.invalid.is_empty());
    assert!(!changed.reads.contains(&program));
}
