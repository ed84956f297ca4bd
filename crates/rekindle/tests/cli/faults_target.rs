//! What tools and people do to outputs in a target directory stays there.
#![allow(
    clippy::disallowed_types,
    reason = "tests change files as others would, and say what they skip"
)]

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rekindle_events::{Fate, MissReason};

use crate::faults::{
    Checkout, Field, OUTPUT, UNITS, assert_all_hits, count, misses, shown, skipped,
};

/// What a tool does to a file in place.
type Change = fn(&Path);

const APPEND: Change = |path| {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"more").unwrap();
};
const BREAK: Change = |path| {
    // In place, so that every name of the file sees it.
    let size = std::fs::metadata(path).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    let zeros = vec![0; usize::try_from(size).unwrap()];
    file.write_all(&zeros).unwrap();
};
const EXECUTABLE: Change = |path| set_mode(path, 0o777);
const UNWRITABLE: Change = |path| set_mode(path, 0o444);
const STRIP: Change = |path| {
    let status = Command::new("strip").arg(path).status();
    assert!(status.unwrap().success());
};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// One output of every kind.
fn outputs(checkout: &Checkout<'_>) -> Vec<PathBuf> {
    let script = checkout.outputs("build", "app-", "").into_iter();
    let script = script.map(|dir| dir.join("build-script-build"));
    let mut found = vec![
        checkout.output("deps", "libdep-", ".rlib"),
        checkout.output("deps", "libdep-", ".rmeta"),
        checkout.output("deps", "libapp-", ".rlib"),
        checkout.output("deps", "libmac-", ".so"),
        checkout.path("target/debug/app"),
        checkout.path("target/debug/libapp.rlib"),
    ];
    found.extend(script.filter(|path| path.exists()));
    assert_eq!(found.len(), 7, "{found:?}");
    found
}

/// Changes outputs in the publisher's target, or in that of one that restored; a third gets nothing of it.
fn check(change: Change, sound: bool) {
    for publisher in [true, false] {
        let field = Field::new();
        let (one, two) = (field.steady("one"), field.steady("two"));
        one.build();
        two.build();
        for path in outputs(if publisher { &one } else { &two }) {
            change(&path);
        }
        let three = field.steady("three");
        let units = three.build();
        for (name, reason) in misses(&units) {
            let corrupt = matches!(reason, MissReason::ObjectCorrupt { .. });
            assert!(corrupt && !sound, "{name}: {reason:?}");
            // Only libraries may share their inode with the store.
            assert!(name == "dep" || name == "app", "{name}");
        }
        assert_eq!(count(&units, Fate::Uncacheable), 0, "{:#?}", shown(&units));
        three.assert_fresh("restored beside a changed one");
        field.assert_sound("after the next restore");
        let four = field.steady("four");
        assert_all_hits(&four.build(), UNITS);
        for path in outputs(&four) {
            let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
            let program = !path.to_string_lossy().contains(".r");
            assert_eq!(mode & 0o111 != 0, program, "{mode:o} {}", path.display());
            assert_ne!(mode & 0o200, 0, "{mode:o} {}", path.display());
        }
    }
}

#[test]
fn what_is_appended_to_outputs_stays_there() {
    check(APPEND, false);
}

#[test]
fn what_is_overwritten_in_outputs_stays_there() {
    check(BREAK, false);
}

#[test]
fn modes_of_outputs_stay_there() {
    check(EXECUTABLE, true);
    check(UNWRITABLE, true);
}

#[test]
fn what_strip_does_to_outputs_stays_there() {
    if Command::new("strip").arg("--version").output().is_err() {
        return skipped("what_strip_does_to_outputs_stays_there", "no `strip` here");
    }
    check(
        |path| {
            // Of a build script's program a placeholder is there, which is nothing to strip.
            let is_program = !path.to_string_lossy().contains("build-script-build");
            if is_program && !path.to_string_lossy().ends_with(".rmeta") {
                STRIP(path);
            }
        },
        false,
    );
}

/// The kernel starts no launcher from a path with a space, so that the program itself stays in place.
#[test]
fn a_build_scripts_program_without_a_launcher_shares_nothing_with_the_store() {
    let field = Field::new();
    let installed = field.install("with a space");
    let one = field.steady("one");
    one.build_by(&installed);
    let script = one.outputs("build", "app-", "").into_iter();
    let script = script.map(|dir| dir.join("build-script-build"));
    let script = script.filter(|path| path.exists()).collect::<Vec<_>>();
    let [script] = script.as_slice() else {
        panic!("{script:?}");
    };
    assert!(std::fs::read(script).unwrap().starts_with(b"\x7fELF"));
    BREAK(script);
    field.assert_sound("after a script's program was overwritten");
    let two = field.steady("two");
    two.build_by(&installed);
    assert_all_hits(&field.units(), UNITS);
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A library from elsewhere under the old name: what is built on it is not stored.
#[test]
fn a_library_that_was_replaced_by_hand_is_unknown() {
    for in_place in [true, false] {
        let field = Field::new();
        let (one, two) = (field.steady("one"), field.steady("two"));
        one.build();
        two.put(
            "dep/src/lib.rs",
            "pub fn word() -> &'static str { \"verb\" }\n",
        );
        two.build_to("verb 42 made\n");
        for end in [".rlib", ".rmeta"] {
            let (from, to) = (
                two.output("deps", "libdep-", end),
                one.output("deps", "libdep-", end),
            );
            let bytes = std::fs::read(from).unwrap();
            if !in_place {
                std::fs::remove_file(&to).unwrap();
            }
            std::fs::write(to, bytes).unwrap();
        }
        // What a plain cargo would make of it, not what the sources say: and nobody else gets it.
        one.put(
            "app/src/main.rs",
            "fn main() { print!(\"{}!\", dep::word()); }\n",
        );
        one.rekindle(&["build"]).ok();
        let units = field.units();
        assert_eq!(count(&units, Fate::Hit), 0, "{:#?}", shown(&units));
        assert_ne!(count(&units, Fate::Uncacheable), 0, "{:#?}", shown(&units));
        let three = field.steady("three");
        three.put(
            "app/src/main.rs",
            "fn main() { print!(\"{}!\", dep::word()); }\n",
        );
        three.build_to("word!");
        assert_eq!(count(&field.units(), Fate::Uncacheable), 0);
        three.assert_fresh("after another's library was replaced");
        field.assert_sound("after a library was replaced");
    }
}

#[test]
fn a_library_that_was_touched_is_the_same() {
    let field = Field::new();
    let one = field.steady("one");
    one.build();
    let library = one.output("deps", "libdep-", ".rlib");
    set_modified(&library, SystemTime::now() - DAY);
    one.cargo(&["clean", "-p", "app"]).ok();
    let units = one.build();
    assert_eq!(
        count(&units, Fate::Hit),
        units.len(),
        "{:#?}",
        shown(&units)
    );
    one.assert_fresh("older");
    // Newer than what depends on it: cargo asks again, and it is as it was.
    set_modified(&library, SystemTime::now());
    let units = one.build();
    assert_eq!(
        count(&units, Fate::Hit),
        units.len(),
        "{:#?}",
        shown(&units)
    );
    one.assert_fresh("newer");
    assert_eq!(one.run_program(), OUTPUT);
}

/// The clock was wrong when the store was filled, or is wrong now.
#[test]
fn times_to_come_and_times_long_ago_change_nothing() {
    let now = SystemTime::now();
    for time in [now + 400 * DAY, SystemTime::UNIX_EPOCH, now - 400 * DAY] {
        let field = Field::new();
        let one = field.steady("one");
        one.build();
        for space in [
            "objects", "entries", "pathsets", "outputs", "memos", "latest", "tmp",
        ] {
            for file in field.files(space) {
                set_modified(&file, time);
            }
        }
        let two = field.steady("two");
        assert_all_hits(&two.build(), UNITS);
        two.assert_fresh("restored from another time");
        for path in outputs(&two) {
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            assert!(modified <= SystemTime::now(), "{}", path.display());
        }
        two.put(
            "app/src/main.rs",
            "fn main() { print!(\"{}\", app::made()); }\n",
        );
        two.build_to("made");
        two.assert_fresh("changed after that");
        two.rekindle(&["cache", "gc"]).ok();
        let three = field.steady("three");
        three.build();
        three.assert_fresh("after an eviction");
    }
}
