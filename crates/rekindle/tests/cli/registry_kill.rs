//! Killed at any change to the file system while cargo's home is restored or a package is filled, the next
//! run finds or makes it right, and nobody compiles half a package meanwhile.

use std::fs;
use std::path::Path;
use std::process::Command;

use rekindle_outputs::sparse;
use rekindle_snapshot::registry;
use rekindle_store::LocalStore;

use crate::project::skip;
use crate::registry_lab::{Files, PRINTED, RegistryLab, assert_same, tree};

const DIR: &str = "REKINDLE_TEST_DIR";
/// More changes than there are.
const MOST: usize = 400;

fn restore_in(dir: &Path) {
    let store = LocalStore::open(&dir.join("store"));
    let lock = dir.join("ws/Cargo.lock");
    registry::restore(&store, &dir.join("home"), &lock, &|name, _| name == "user").unwrap();
}

/// Runs a test of this file again, in a process of its own that has `dir` to work on and is killed at its
/// `at`th change; whether it ended in peace.
fn again(test: &str, dir: &Path, at: usize) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("registry_kill::{test}")])
        .env(DIR, dir)
        .env("REKINDLE_FAILPOINT", at.to_string());
    command.output().unwrap().status.success()
}

#[test]
fn a_killed_restore_is_completed_by_the_next() {
    if let Some(dir) = std::env::var_os(DIR) {
        return restore_in(Path::new(&dir));
    }
    if !cfg!(feature = "failpoints") {
        return skip("a_killed_restore", "built without the feature `failpoints`");
    }
    let lab = RegistryLab::captured();
    restore_in(&lab.path(""));
    let whole = tree(&lab.home().join("registry"));
    for at in 1..MOST {
        fs::remove_dir_all(lab.home()).unwrap();
        if again(
            "a_killed_restore_is_completed_by_the_next",
            &lab.path(""),
            at,
        ) {
            assert!(at > 20, "only {at} changes");
            lab.cargo(&["build", "--offline"]).ok();
            return;
        }
        // Whatever cargo takes for a package is one.
        for entry in fs::read_dir(lab.home().join("registry/src"))
            .into_iter()
            .flatten()
        {
            for package in fs::read_dir(entry.unwrap().path()).unwrap() {
                let name = package.unwrap().file_name().into_string().unwrap();
                if !name.starts_with('.') {
                    let package = lab.registry("src").join(&name);
                    assert!(package.join(".cargo-ok").exists(), "{name} at {at}");
                }
            }
        }
        restore_in(&lab.path(""));
        let now = tree(&lab.home().join("registry"));
        let names = |tree: &Files| tree.keys().cloned().collect::<Vec<_>>();
        assert!(
            names(&now) == names(&whole),
            "killed at {at}: {:?}",
            names(&now)
        );
    }
    panic!("more than {MOST} changes");
}

#[test]
fn a_killed_fill_is_sparse_or_whole() {
    if let Some(package) = std::env::var_os(DIR) {
        sparse::fill(Path::new(&package), None).unwrap();
        return;
    }
    if !cfg!(feature = "failpoints") {
        return skip("a_killed_fill", "built without the feature `failpoints`");
    }
    let lab = RegistryLab::captured();
    for at in 1..MOST {
        let _ = fs::remove_dir_all(lab.home());
        restore_in(&lab.path(""));
        let package = lab.package("plain");
        let ended = again("a_killed_fill_is_sparse_or_whole", &package, at);
        let root = fs::read(package.join("src/lib.rs")).unwrap();
        if root != sparse::STUB {
            // Then everything else is there.
            let inner = fs::read_to_string(package.join("src/inner.rs")).unwrap();
            assert_eq!(inner, "pub const X: &str = \"inner\";", "killed at {at}");
            assert_eq!(fs::read_to_string(package.join("data")).unwrap(), "data");
        }
        if ended {
            assert!(at > 8, "only {at} changes");
            let cargos = fs::read_dir(lab.path("cargos-own/registry/src")).unwrap();
            let cargos = cargos.map(|dir| dir.unwrap().path()).next().unwrap();
            assert_same(
                &tree(&package),
                &tree(&cargos.join("plain-1.0.0")),
                "filled",
            );
            return;
        }
        assert!(package.join(sparse::MARKER).exists() || root != sparse::STUB);
        sparse::fill(&package, None).unwrap();
        sparse::fill_all(&lab.home(), None).unwrap();
        if at.is_multiple_of(4) {
            let run = lab.cargo(&["run", "-q", "--offline", "--release"]).ok();
            assert_eq!(run.stdout, PRINTED);
            fs::remove_dir_all(lab.path("ws/target/release")).unwrap();
        }
    }
    panic!("more than {MOST} changes");
}
