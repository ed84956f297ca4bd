//! Killed at any of its changes to the file system, a wrapper leaves a store and a target directory that
//! the next build uses or repairs.

use std::path::Path;
use std::process::Command;

use crate::faults::{Checkout, Field, OUTPUT, skipped};
use crate::project::{program_dir, write_program};

/// What a wrapper does when it is killed.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Publishing,
    Restoring,
}

/// More changes than any wrapper makes.
const MOST: usize = 200;

/// Starts the wrapper, with a failpoint for the one crate that `KILL_CRATE` names.
const SCRIPT: &str = "#!/bin/sh\ncase \" $* \" in *\" --crate-name $KILL_CRATE \"*)\n\
     REKINDLE_FAILPOINT=$KILL_AT; export REKINDLE_FAILPOINT;;\nesac\nexec \"$KILL_WRAPPER\" \"$@\"\n";

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

fn killed_build(checkout: &Checkout<'_>, script: &Path, name: &str, at: usize) -> bool {
    let mut command = checkout.command("cargo", &["build", "-q"]);
    command
        .env("RUSTC_WRAPPER", script)
        .env("KILL_WRAPPER", program_dir().join("rekindle-rustc"))
        .env("KILL_CRATE", name)
        .env("KILL_AT", at.to_string());
    command.output().unwrap().status.success()
}

/// Kills the wrapper of one crate at its first change, its second, and so on until it ends in peace.
fn check(test: &str, name: &str, doing: Doing) {
    if !cfg!(feature = "failpoints") {
        return skipped(test, "built without the feature `failpoints`");
    }
    let field = Field::new();
    let script = field.path("wrapper.sh");
    write_program(&script, SCRIPT);
    let checkout = field.checkout("one");
    checkout.build();
    if doing == Doing::Publishing {
        // Everything but that crate is known and built.
        for unit in field.units() {
            if unit.crate_name == name {
                let hex = unit.key.unwrap().to_hex();
                let entry = field
                    .store
                    .join("v1/entries")
                    .join(&hex[..1])
                    .join(&hex[1..]);
                std::fs::remove_file(entry).unwrap();
            }
        }
    }
    let package = if name == "app" || name == "build_script_build" {
        "app"
    } else {
        name
    };
    checkout.cargo(&["clean", "-p", package]).ok();
    let (store, target) = (field.path("store-before"), field.path("target-before"));
    copy(&field.store, &store);
    copy(&checkout.path("target"), &target);
    for at in 1..MOST {
        copy(&store, &field.store);
        copy(&target, &checkout.path("target"));
        let ended = killed_build(&checkout, &script, name, at);
        let when = format!("{name}: killed at change {at}");
        field.assert_sound(&when);
        checkout.build_to(OUTPUT);
        checkout.assert_fresh_for_cargo(&when);
        field.assert_sound(&when);
        if ended {
            let least = if doing == Doing::Publishing { 12 } else { 5 };
            assert!(
                at > least,
                "only {at} changes: is the wrapper built with failpoints?"
            );
            return;
        }
    }
    panic!("{name} was killed {MOST} times");
}

#[test]
fn a_library_is_published_or_not() {
    check("a_library_is_published_or_not", "dep", Doing::Publishing);
}

#[test]
fn a_library_is_restored_or_not() {
    check("a_library_is_restored_or_not", "dep", Doing::Restoring);
}

#[test]
fn a_linked_library_is_published_or_not() {
    check(
        "a_linked_library_is_published_or_not",
        "mac",
        Doing::Publishing,
    );
}

#[test]
fn a_build_script_is_restored_or_not() {
    check(
        "a_build_script_is_restored_or_not",
        "build_script_build",
        Doing::Restoring,
    );
}
