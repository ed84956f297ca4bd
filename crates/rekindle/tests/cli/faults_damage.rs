//! What is damaged in the store is a miss, is gone, and never makes a wrong program.

use std::path::Path;

use rekindle_base::Digest;
use rekindle_events::{Fate, MissReason, UncacheableReason, UnitEvent};
use rekindle_key::entry::Entry;
use rekindle_store::{LocalStore, Space, Store};

use crate::faults::{Checkout, Field, OUTPUT, UNITS, assert_all_hits, count, misses, shown};

/// A disk's doing: the bytes change, the file's other names keep theirs.
fn flip(path: &Path, offset: impl Fn(usize) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions();
    let at = offset(bytes.len());
    bytes[at] ^= 0x10;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, mode).unwrap();
}

type Offset = fn(usize) -> usize;

const OFFSETS: [Offset; 4] = [|_| 0, |_| 4, |size| size / 2, |size| size - 1];

/// Flips a bit in every file of a part of the store, builds elsewhere, and builds once more.
fn check(space: &str, offsets: &[Offset], look: impl Fn(&[UnitEvent])) {
    let field = Field::new();
    field.steady("one").build();
    let other = field.steady("other");
    for offset in offsets {
        for file in field.files(space) {
            flip(&file, offset);
        }
        look(&other.build());
        other.assert_fresh_for_cargo(space);
        other.remove_target();
        assert_all_hits(&other.build(), UNITS);
        other.remove_target();
        let left = field.verify();
        // What this machine knows of the first checkout is not asked for here, and stays as it is.
        let shared = |bad: &rekindle_store::Bad| {
            let path = bad.path.to_string_lossy();
            ["/outputs/", "/memos/", "/latest/"]
                .iter()
                .all(|space| !path.contains(space))
        };
        assert!(!left.bad.iter().any(shared), "{space}: {left:#?}");
    }
}

#[test]
fn a_damaged_object_is_a_miss() {
    check("objects", &OFFSETS, |units| {
        for (name, reason) in misses(units) {
            let corrupt = matches!(reason, MissReason::ObjectCorrupt { .. });
            assert!(corrupt, "{name}: {reason:?}");
        }
        assert_eq!(count(units, Fate::Miss), UNITS, "{:#?}", shown(units));
    });
}

#[test]
fn a_damaged_entry_is_a_miss() {
    check("entries", &OFFSETS[1..], |units| {
        let expected = |(_, reason): &(String, MissReason)| *reason == MissReason::EntryCorrupt;
        assert!(misses(units).iter().all(expected), "{:#?}", shown(units));
        assert_eq!(count(units, Fate::Miss), UNITS, "{:#?}", shown(units));
    });
}

#[test]
fn a_damaged_path_set_is_a_miss() {
    check("pathsets", &OFFSETS[1..], |units| {
        let expected = |(_, reason): &(String, MissReason)| *reason == MissReason::EntryCorrupt;
        assert!(misses(units).iter().all(expected), "{:#?}", shown(units));
        assert_eq!(count(units, Fate::Miss), UNITS, "{:#?}", shown(units));
    });
}

#[test]
fn a_damaged_memo_costs_a_moment() {
    for space in ["memos", "latest"] {
        check(space, &OFFSETS[2..3], |units| assert_all_hits(units, UNITS));
    }
}

/// What is known of the files in a target directory is gone: what is built on them is not stored.
#[test]
fn a_damaged_output_record_makes_its_file_unknown() {
    let field = Field::new();
    let one = field.steady("one");
    one.build();
    for offset in OFFSETS {
        for file in field.files("outputs") {
            flip(&file, offset);
        }
        one.cargo(&["clean", "-p", "app"]).ok();
        let units = one.build();
        let app = units.iter().find(|unit| unit.kind == "bin").unwrap();
        let foreign = matches!(
            app.uncacheable,
            Some(UncacheableReason::ForeignExtern { .. })
        );
        assert!(foreign, "{:#?}", shown(&units));
        one.assert_fresh_for_cargo("built on unknown files");
        one.remove_target();
        assert_all_hits(&one.build(), UNITS);
    }
}

/// The key of the program, after a build of it.
fn program_key(field: &Field) -> Digest {
    let units = field.units();
    let app = units.iter().find(|unit| unit.kind == "bin").unwrap();
    app.key.unwrap()
}

/// Puts the outputs of the second entry under the first, all signed as they should be.
fn swap(store: &LocalStore, first: &Digest, second: &Digest) {
    let read = |key| {
        let record = store.get_record(Space::Entries, key).unwrap().unwrap();
        Entry::decode(&record.payload).unwrap()
    };
    let (mut entry, other) = (read(first), read(second));
    let names: Vec<_> = entry
        .outputs
        .iter()
        .map(|output| output.name.clone())
        .collect();
    entry.outputs = other.outputs;
    for (output, name) in entry.outputs.iter_mut().zip(names) {
        output.name = name;
    }
    let refs: Vec<_> = entry.outputs.iter().map(|output| output.digest).collect();
    store
        .put_record(Space::Entries, first, &refs, &entry.encode())
        .unwrap();
}

const OTHER_MAIN: &str = "fn main() { println!(\"someone else\"); }\n";

fn with_two_programs(field: &Field) -> (Checkout<'_>, Digest) {
    let one = field.steady("one");
    one.build();
    let right = program_key(field);
    one.put("app/src/main.rs", OTHER_MAIN);
    one.build_to("someone else\n");
    let store = LocalStore::open(&field.store);
    swap(&store, &right, &program_key(field));
    (field.steady("two"), right)
}

#[test]
fn a_forged_entry_is_caught_by_a_check() {
    let field = Field::new();
    let (two, right) = with_two_programs(&field);
    field.assert_sound("forged");
    // Without a check nothing could know: this shows that the forgery works.
    two.build_to("someone else\n");
    two.remove_target();
    let two = two.with("REKINDLE_VERIFY", "1");
    let units = two.build();
    let app = units.iter().find(|unit| unit.kind == "bin").unwrap();
    assert_eq!(app.verified, Some(false), "{:#?}", shown(&units));
    assert_eq!(app.miss, Some(MissReason::VerifyMismatch));
    assert_eq!(app.key, Some(right));
    let others = units.iter().filter(|unit| unit.kind != "bin");
    assert!(
        others.clone().all(|unit| unit.verified == Some(true)),
        "{:#?}",
        shown(&units)
    );
    two.assert_fresh("checked");
    let three = field.steady("three");
    assert_all_hits(&three.build(), UNITS);
}

#[test]
fn a_forged_library_is_caught_by_a_check() {
    let field = Field::new();
    let one = field.steady("one");
    let key_of = |units: &[UnitEvent]| {
        let dep = units.iter().find(|unit| unit.crate_name == "dep").unwrap();
        dep.key.unwrap()
    };
    let right = key_of(&one.build());
    one.put(
        "dep/src/lib.rs",
        "pub fn word() -> &'static str { \"verb\" }\n",
    );
    one.build_to("verb 42 made\n");
    let other = key_of(&field.units());
    swap(&LocalStore::open(&field.store), &right, &other);
    let two = field.steady("two").with("REKINDLE_VERIFY", "1");
    let units = two.build();
    let dep = units.iter().find(|unit| unit.crate_name == "dep").unwrap();
    assert_eq!(
        dep.miss,
        Some(MissReason::VerifyMismatch),
        "{:#?}",
        shown(&units)
    );
    assert_eq!(field.steady("three").build().len(), UNITS);
}

/// An entry of another unit, or none at all, under a sound name.
#[test]
fn an_entry_that_is_no_entry_is_a_miss() {
    let field = Field::new();
    let one = field.steady("one");
    one.build();
    let key = program_key(&field);
    let store = LocalStore::open(&field.store);
    let payloads: [&[u8]; 3] = [b"", b"\x01", &[0xff; 64]];
    for payload in payloads {
        store
            .put_record(Space::Entries, &key, &[], payload)
            .unwrap();
        one.remove_target();
        let units = one.build();
        let reason = (String::from("app"), MissReason::EntryCorrupt);
        assert_eq!(misses(&units), [reason], "{:#?}", shown(&units));
    }
    assert_eq!(one.run_program(), OUTPUT);
}
