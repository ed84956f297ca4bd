//! `verify` and `usage`.

use std::fs;

use rekindle_store::{BadKind, Space, Store, Usage};

use crate::support::{COPY, Fixture, key};

#[test]
fn everything_wrong_is_listed_and_removed_only_when_asked() {
    let fixture = Fixture::new();
    let (good, _) = fixture.entry("good", b"good");
    let (dangling, gone) = fixture.entry("dangling", b"gone");
    fs::remove_file(fixture.object_path(&gone)).unwrap();
    let (on_damaged, damaged) = fixture.entry("on damaged", b"damaged");
    fs::write(fixture.object_path(&damaged), b"DAMAGED").unwrap();
    let record = key("record");
    fixture
        .store
        .put_record(Space::Memos, &record, &[], b"x")
        .unwrap();
    fs::write(fixture.record_path(Space::Memos, &record), b"rubbish").unwrap();
    let stray = fixture.file("store/v1/objects/stray", b"?");
    fixture.file("store/v1/tmp/.rekindle-left", b"half");

    let mut expected = [
        (
            fixture.record_path(Space::Entries, &dangling),
            BadKind::DanglingRecord,
        ),
        (
            fixture.record_path(Space::Entries, &on_damaged),
            BadKind::DanglingRecord,
        ),
        (fixture.object_path(&damaged), BadKind::DamagedObject),
        (
            fixture.record_path(Space::Memos, &record),
            BadKind::DamagedRecord,
        ),
        (stray, BadKind::Stray),
    ];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    for remove in [false, true] {
        let report = fixture.store.verify(remove).unwrap();
        let mut bad: Vec<_> = report
            .bad
            .iter()
            .map(|bad| (bad.path.clone(), bad.kind))
            .collect();
        bad.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(bad, expected);
        assert!(report.bad.iter().all(|bad| bad.removed == remove));
        assert_eq!((report.objects, report.records), (2, 4));
        assert_eq!(report.temporaries, 1);
        serde_json::to_string(&report).unwrap();
    }
    let report = fixture.store.verify(true).unwrap();
    assert!(report.is_clean());
    assert_eq!((report.objects, report.records), (1, 1));
    assert!(
        fixture
            .store
            .get_record(Space::Entries, &good)
            .unwrap()
            .is_some()
    );
}

#[test]
fn usage_counts_each_space_and_round_trips() {
    let fixture = Fixture::new();
    fixture.entry("entry", &[0; 1000]);
    fixture.put(&[1; 500], COPY);
    fixture
        .store
        .put_record(Space::Memos, &key("memo"), &[], &[0; 52])
        .unwrap();
    fixture.file("store/v1/tmp/.rekindle-left", b"half");
    let usage = fixture.store.usage().unwrap();
    assert_eq!((usage.objects, usage.object_bytes), (2, 1500));
    let of = |space| {
        *usage
            .spaces
            .iter()
            .find(|found| found.space == space)
            .unwrap()
    };
    assert_eq!((of(Space::Memos).records, of(Space::Memos).bytes), (1, 100));
    assert_eq!(of(Space::Entries).records, 1);
    assert_eq!(of(Space::Latest).records, 0);
    assert_eq!(usage.records(), 2);
    assert_eq!((usage.temporaries, usage.temporary_bytes), (1, 4));
    assert_eq!(
        usage.total_bytes(),
        1500 + 100 + of(Space::Entries).bytes + 4
    );
    let json = serde_json::to_string(&usage).unwrap();
    assert!(json.contains(r#""space":"pathsets""#), "{json}");
    assert_eq!(serde_json::from_str::<Usage>(&json).unwrap(), usage);
}
