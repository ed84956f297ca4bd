//! `gc`, `maybe_gc` and running builds.

use std::fs;
use std::time::{Duration, SystemTime};

use rekindle_base::{ByteSize, Digest};
use rekindle_store::{Space, Store};

use crate::support::{COPY, DAY, Fixture, HARDLINK, HOUR, SECOND, key, later, set_age};

const MINUTE: Duration = Duration::from_secs(60);
const LARGE: ByteSize = ByteSize(1 << 40);

#[test]
fn the_least_recently_used_entries_go_with_their_objects() {
    let fixture = Fixture::new();
    let (old, old_object) = fixture.entry("old", &[1; 5000]);
    let (new, new_object) = fixture.entry("new", &[2; 5000]);
    fixture.age(Space::Entries, &old, 3 * HOUR);
    fixture.age(Space::Entries, &new, 2 * HOUR);
    // A use counts, whatever the order in which they were written.
    let gc = |budget| fixture.store.gc(ByteSize(budget), later(2 * HOUR)).unwrap();
    let report = gc(20_000);
    assert_eq!((report.evicted_entries, report.removed_objects), (0, 0));
    let kept_bytes = report.kept_bytes;
    fixture.store.get_record(Space::Entries, &old).unwrap();
    let report = gc(kept_bytes - 1);
    assert_eq!((report.evicted_entries, report.removed_objects), (1, 1));
    assert_eq!(report.freed_bytes + report.kept_bytes, kept_bytes);
    assert!(fixture.has(Space::Entries, &old));
    assert!(!fixture.has(Space::Entries, &new));
    assert!(fixture.object_path(&old_object).exists());
    assert!(!fixture.object_path(&new_object).exists());
    assert!(fixture.store.verify(false).unwrap().is_clean());
    assert_eq!(
        fixture.store.usage().unwrap().total_bytes(),
        report.kept_bytes
    );
}

#[test]
fn an_object_waits_for_its_record_for_an_hour() {
    let fixture = Fixture::new();
    let object = fixture.object_path(&fixture.put(b"bytes", COPY).digest);
    let report = fixture.store.gc(LARGE, later(59 * MINUTE)).unwrap();
    assert_eq!((report.removed_objects, report.young_bytes), (0, 5));
    assert!(object.exists());
    let report = fixture.store.gc(LARGE, later(61 * MINUTE)).unwrap();
    assert_eq!((report.removed_objects, report.kept_bytes), (1, 0));
    assert!(!object.exists());
}

/// By change time: the modification time of a shared inode is the source's.
#[test]
fn a_hardlink_of_an_old_file_is_a_young_object() {
    let fixture = Fixture::new();
    let source = fixture.file("source", b"bytes");
    set_age(&source, 300 * DAY);
    let digest = fixture.store.put_object(&source, HARDLINK).unwrap().digest;
    fixture.store.gc(LARGE, later(30 * MINUTE)).unwrap();
    assert!(fixture.object_path(&digest).exists());
}

#[test]
fn an_object_whose_record_goes_follows_sooner_than_one_that_waits_for_its_record() {
    let fixture = Fixture::new();
    let (_, object) = fixture.entry("entry", b"bytes");
    let report = fixture.store.gc(ByteSize(0), later(19 * MINUTE)).unwrap();
    assert_eq!((report.evicted_entries, report.removed_objects), (1, 0));
    assert!(fixture.object_path(&object).exists());
    let (_, object) = fixture.entry("entry", b"bytes");
    let report = fixture.store.gc(ByteSize(0), later(21 * MINUTE)).unwrap();
    assert_eq!((report.evicted_entries, report.removed_objects), (1, 1));
    assert!(!fixture.object_path(&object).exists());
}

#[test]
fn objects_of_any_spaces_records_stay() {
    for space in Space::ALL {
        let fixture = Fixture::new();
        let object = fixture.put(b"bytes", COPY).digest;
        fixture
            .store
            .put_record(space, &key("k"), &[object], b"")
            .unwrap();
        fixture.store.gc(LARGE, later(2 * HOUR)).unwrap();
        assert!(fixture.object_path(&object).exists(), "{space:?}");
    }
}

/// An older Rekindle does not sweep what a newer one still needs.
#[test]
fn objects_of_a_newer_versions_record_stay() {
    let fixture = Fixture::new();
    let (entry, object) = fixture.entry("entry", b"bytes");
    let path = fixture.record_path(Space::Entries, &entry);
    let mut body = fs::read(&path).unwrap();
    body.truncate(body.len() - 32);
    body[4] = 9;
    fs::write(
        &path,
        rekindle_store::frame::seal(body, Space::Entries, &entry),
    )
    .unwrap();
    fixture.store.gc(LARGE, later(2 * HOUR)).unwrap();
    assert!(path.exists() && fixture.object_path(&object).exists());
}

#[test]
fn what_a_running_build_used_or_stored_stays_until_it_ends() {
    let fixture = Fixture::new();
    let (unused, _) = fixture.entry("unused", b"unused");
    let (just_before, _) = fixture.entry("just before", b"just before");
    let (used, used_object) = fixture.entry("used", b"used");
    fixture.age(Space::Entries, &unused, HOUR);
    fixture.age(Space::Entries, &just_before, 60 * SECOND);
    fixture.age(Space::Entries, &used, HOUR);
    let build = fixture.store.register_active().unwrap();
    let second = fixture.store.register_active().unwrap();
    let orphan = fixture.put(b"stored by the build", COPY).digest;
    fixture.store.get_record(Space::Entries, &used).unwrap();

    let gc = || fixture.store.gc(ByteSize(0), later(2 * HOUR)).unwrap();
    let report = gc();
    assert_eq!((report.evicted_entries, report.stale_builds), (1, 0));
    assert!(!fixture.has(Space::Entries, &unused));
    assert!(fixture.has(Space::Entries, &just_before));
    assert!(fixture.has(Space::Entries, &used));
    assert!(fixture.object_path(&used_object).exists());
    assert!(fixture.object_path(&orphan).exists());

    drop(second);
    assert_eq!(gc().evicted_entries, 0);
    drop(build);
    assert_eq!(fs::read_dir(fixture.inside("active")).unwrap().count(), 0);
    let report = gc();
    assert_eq!((report.evicted_entries, report.kept_bytes), (2, 0));
}

#[test]
fn the_oldest_build_decides_and_dead_ones_do_not() {
    let fixture = Fixture::new();
    let (entry, _) = fixture.entry("entry", b"bytes");
    fixture.age(Space::Entries, &entry, 2 * HOUR);
    let old = fixture.store.register_active().unwrap();
    let path = fs::read_dir(fixture.inside("active"))
        .unwrap()
        .next()
        .unwrap();
    set_age(&path.unwrap().path(), 3 * HOUR);
    let young = fixture.store.register_active().unwrap();
    let gc = || fixture.store.gc(ByteSize(0), later(HOUR)).unwrap();
    assert_eq!(gc().evicted_entries, 0);
    drop(old);
    // As a killed build leaves it: no lock.
    let dead = fixture.inside("active/dead");
    fs::write(&dead, b"").unwrap();
    set_age(&dead, 9 * HOUR);
    let report = gc();
    assert_eq!((report.evicted_entries, report.stale_builds), (1, 1));
    assert!(!dead.exists());
    drop(young);
}

#[test]
fn damaged_records_and_old_leftovers_go() {
    let fixture = Fixture::new();
    let (entry, _) = fixture.entry("entry", b"bytes");
    fs::write(fixture.record_path(Space::Entries, &entry), b"rubbish").unwrap();
    let leftover = fixture.file("store/v1/tmp/.rekindle-left", b"half");
    // A hardlink being stored now has its source's time.
    set_age(&leftover, 5 * DAY);
    let report = fixture.store.gc(LARGE, later(23 * HOUR)).unwrap();
    assert_eq!((report.damaged_records, report.removed_temporaries), (1, 0));
    assert!(leftover.exists());
    let report = fixture.store.gc(LARGE, later(25 * HOUR)).unwrap();
    assert_eq!(report.removed_temporaries, 1);
    assert!(!leftover.exists());
}

#[test]
fn records_of_other_spaces_go_after_thirty_days_without_use() {
    let fixture = Fixture::new();
    // Records of these stand for large objects, so they go by the budget.
    let by_budget = [Space::Entries, Space::Trees, Space::Packages];
    let by_age = Space::ALL
        .into_iter()
        .filter(|space| !by_budget.contains(space));
    for space in by_age {
        for (name, days) in [("old", 31), ("used", 31), ("recent", 29)] {
            fixture
                .store
                .put_record(space, &key(name), &[], b"x")
                .unwrap();
            fixture.age(space, &key(name), days * DAY);
        }
        fixture.store.get_record(space, &key("used")).unwrap();
        let report = fixture.store.gc(LARGE, later(SECOND)).unwrap();
        assert_eq!(report.dropped_records, 1);
        assert!(!fixture.has(space, &key("old")));
    }
    let (entry, _) = fixture.entry("entry", b"bytes");
    fixture.age(Space::Entries, &entry, 300 * DAY);
    for space in [Space::Trees, Space::Packages] {
        fixture
            .store
            .put_record(space, &key("kept"), &[], b"x")
            .unwrap();
        fixture.age(space, &key("kept"), 300 * DAY);
    }
    fixture.store.gc(LARGE, later(SECOND)).unwrap();
    assert!(fixture.has(Space::Entries, &entry));
    for space in [Space::Trees, Space::Packages] {
        assert!(fixture.has(space, &key("kept")));
    }
}

#[test]
fn the_newest_two_hundred_runs_of_thirty_days_stay() {
    let fixture = Fixture::new();
    fixture.entry("entry", b"bytes");
    let run = |name: &str, ago| {
        let dir = fixture.store.runs_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("events.jsonl"), b"{}").unwrap();
        set_age(&dir, ago);
        dir
    };
    let (old, kept) = (run("old", 31 * DAY), run("kept", 29 * DAY));
    assert_eq!(
        fixture.store.gc(LARGE, later(SECOND)).unwrap().removed_runs,
        1
    );
    assert!(!old.exists() && kept.exists());
    for number in 0..200 {
        run(&format!("run{number}"), DAY + number * SECOND);
    }
    assert_eq!(
        fixture.store.gc(LARGE, later(SECOND)).unwrap().removed_runs,
        1
    );
    assert!(!kept.exists());
}

#[test]
fn one_eviction_at_a_time() {
    let fixture = Fixture::new();
    fixture.entry("entry", b"bytes");
    let held = rekindle_fsx::lock::exclusive(&fixture.inside("gc.lock")).unwrap();
    let report = fixture.store.gc(ByteSize(0), later(DAY)).unwrap();
    assert!(report.busy);
    assert_eq!(fixture.store.usage().unwrap().objects, 1);
    drop(held);
    let report = fixture.store.gc(ByteSize(0), later(DAY)).unwrap();
    assert!(!report.busy);
    assert_eq!(report.evicted_entries, 1);
}

#[test]
fn an_eviction_is_due_when_the_store_is_too_large_or_a_day_passed() {
    let fixture = Fixture::new();
    let budget = ByteSize(1 << 20);
    let maybe = |after| fixture.store.maybe_gc(budget, later(after)).unwrap();
    assert!(maybe(SECOND).is_none(), "no store yet");
    fixture.entry("first", &[1; 100_000]);
    assert!(maybe(SECOND).is_some(), "never walked");
    assert!(maybe(HOUR).is_none());
    for number in 0..20u8 {
        fixture.entry(&format!("entry {number}"), &[number; 100_000]);
        fixture.age(Space::Entries, &key(&format!("entry {number}")), HOUR);
    }
    let report = maybe(2 * HOUR).expect("2 MB were stored");
    assert!(report.evicted_entries >= 10, "{report:?}");
    assert!(report.kept_bytes <= budget.0, "{report:?}");
    assert!(maybe(3 * HOUR).is_none(), "the estimate was put right");
    assert!(maybe(27 * HOUR).is_some(), "a day passed");
    fs::write(fixture.inside("size"), b"rubbish").unwrap();
    assert!(maybe(28 * HOUR).is_some(), "the account is damaged");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let fixture = Fixture::new();
    let digest = fixture.put(b"bytes", COPY).digest;
    let stray = fixture.object_path(&digest).with_file_name("stray");
    fs::write(&stray, b"?").unwrap();
    let outside = fixture.path("store/other");
    fs::write(&outside, b"?").unwrap();
    fixture.store.gc(ByteSize(0), later(400 * DAY)).unwrap();
    assert!(stray.exists() && outside.exists());
    assert!(!fixture.object_path(&digest).exists());
}

/// Object times mean something to cargo where the inode is shared.
#[test]
fn no_operation_changes_an_objects_modification_time() {
    let fixture = Fixture::new();
    let (entry, object) = fixture.entry("entry", b"bytes");
    let path = fixture.object_path(&object);
    let time = SystemTime::UNIX_EPOCH + 1000 * DAY;
    fs::File::open(&path).unwrap().set_modified(time).unwrap();
    fixture.age(Space::Entries, &entry, HOUR);
    fixture.store.get_record(Space::Entries, &entry).unwrap();
    let dest = fixture.path("dest");
    fixture
        .store
        .place_object(&object, &dest, HARDLINK)
        .unwrap();
    fixture.put(b"bytes", COPY);
    fixture.store.gc(LARGE, later(DAY)).unwrap();
    fixture.store.verify(true).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), time);
    assert_eq!(Digest::of(&fs::read(dest).unwrap()), object);
}
