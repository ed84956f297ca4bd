//! The [`Store`] trait on a disk that works.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rekindle_base::Digest;
use rekindle_fsx::place::{Method, Wish};
use rekindle_store::{LocalStore, Record, Space, Store, StoreError, frame};

use crate::support::{COPY, DAY, Fixture, HARDLINK, SECOND, files_below, key, set_age};

#[test]
fn opening_does_nothing_and_a_missing_store_is_empty() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    assert_eq!(store.get_record(Space::Entries, &key).unwrap(), None);
    store.remove_record(Space::Entries, &key).unwrap();
    let placed = store.place_object(&key, &fixture.path("dest"), COPY);
    assert!(matches!(placed, Err(StoreError::Missing)));
    assert_eq!(store.usage().unwrap().total_bytes(), 0);
    assert!(store.verify(true).unwrap().is_clean());
    store
        .gc(rekindle_base::ByteSize(0), crate::support::later(DAY))
        .unwrap();
    assert!(!fixture.path("store").exists());
}

#[test]
fn records_come_back_and_are_replaced_and_removed() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    for space in Space::ALL {
        for payload in [&b"one"[..], b"", b"three"] {
            let refs = [Digest::of(payload), Digest::of(b"other")];
            store.put_record(space, &key, &refs, payload).unwrap();
            let expected = Record {
                refs: refs.to_vec(),
                payload: payload.to_vec(),
            };
            assert_eq!(store.get_record(space, &key).unwrap(), Some(expected));
        }
    }
    store.remove_record(Space::Memos, &key).unwrap();
    assert_eq!(store.get_record(Space::Memos, &key).unwrap(), None);
    assert!(store.get_record(Space::Latest, &key).unwrap().is_some());
    assert_eq!(files_below(&fixture.inside("tmp")), 0);
}

/// Every single bit of a record's file.
#[test]
fn a_record_with_any_bit_flipped_is_corrupt_and_removed() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    let put = || store.put_record(Space::Entries, &key, &[Digest::of(b"o")], b"payload");
    put().unwrap();
    let path = fixture.record_path(Space::Entries, &key);
    let bytes = fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).unwrap();
        let read = store.get_record(Space::Entries, &key);
        assert!(
            matches!(read, Err(StoreError::Corrupt)),
            "bit {bit}: {read:?}"
        );
        assert!(!path.exists());
    }
    assert_eq!(store.get_record(Space::Entries, &key).unwrap(), None);
    put().unwrap();
    assert!(store.get_record(Space::Entries, &key).unwrap().is_some());
}

#[test]
fn a_record_under_another_name_is_corrupt() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store
        .put_record(Space::Memos, &key("a"), &[], b"a")
        .unwrap();
    store
        .put_record(Space::Memos, &key("b"), &[], b"b")
        .unwrap();
    let (a, b) = (
        fixture.record_path(Space::Memos, &key("a")),
        fixture.record_path(Space::Memos, &key("b")),
    );
    fs::copy(a, b).unwrap();
    let read = store.get_record(Space::Memos, &key("b"));
    assert!(matches!(read, Err(StoreError::Corrupt)));
}

/// A huge file where a record should be is not read into memory.
#[test]
fn a_huge_record_is_corrupt() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store
        .put_record(Space::Memos, &key("a"), &[], b"a")
        .unwrap();
    let path = fixture.record_path(Space::Memos, &key("a"));
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let read = store.get_record(Space::Memos, &key("a"));
    assert!(matches!(read, Err(StoreError::Corrupt)));
}

#[test]
fn a_newer_versions_record_is_absent_and_never_replaced() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    store
        .put_record(Space::Entries, &key, &[], b"ours")
        .unwrap();
    let path = fixture.record_path(Space::Entries, &key);
    let mut body = frame::encode(Space::Entries, &key, &[], b"theirs").unwrap();
    body.truncate(body.len() - 32);
    body[4] = 2;
    let newer = frame::seal(body, Space::Entries, &key);
    fs::write(&path, &newer).unwrap();

    assert_eq!(store.get_record(Space::Entries, &key).unwrap(), None);
    let error = store
        .put_record(Space::Entries, &key, &[], b"ours")
        .unwrap_err();
    let StoreError::Io(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), newer);
    let report = store.verify(true).unwrap();
    assert_eq!((report.newer_records, report.is_clean()), (1, true));
}

#[test]
fn reading_an_entry_is_a_use_when_the_last_was_a_minute_ago() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    let check = |space, ago, expected: bool| {
        store.put_record(space, &key, &[], b"x").unwrap();
        let path = fixture.record_path(space, &key);
        set_age(&path, ago);
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        store.get_record(space, &key).unwrap();
        let after = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(after > before, expected, "{space:?} {ago:?}");
    };
    check(Space::Entries, 30 * SECOND, false);
    check(Space::Entries, 61 * SECOND, true);
    check(Space::Trees, 61 * SECOND, true);
    check(Space::Memos, 61 * SECOND, false);
    check(Space::Memos, DAY + SECOND, true);
}

#[test]
fn a_look_at_the_last_use_is_none() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    assert_eq!(store.last_use_ns(Space::Trees, &key), None);
    store.put_record(Space::Trees, &key, &[], b"x").unwrap();
    let path = fixture.record_path(Space::Trees, &key);
    set_age(&path, 2 * DAY);
    let seen = store.last_use_ns(Space::Trees, &key).unwrap();
    assert_eq!(store.last_use_ns(Space::Trees, &key), Some(seen));
    store.get_record(Space::Trees, &key).unwrap();
    assert!(store.last_use_ns(Space::Trees, &key).unwrap() > seen);
    assert_eq!(store.last_use_ns(Space::Entries, &key), None);
}

#[test]
fn one_at_a_time_changes_pointers() {
    let fixture = Fixture::new();
    let held = fixture.store.try_lock_pointers().unwrap();
    assert!(held.is_some());
    assert!(fixture.store.try_lock_pointers().unwrap().is_none());
    drop(held);
    assert!(fixture.store.try_lock_pointers().unwrap().is_some());
}

#[test]
fn a_use_in_the_future_is_put_right() {
    let fixture = Fixture::new();
    let (store, key) = (&fixture.store, key("k"));
    store.put_record(Space::Entries, &key, &[], b"x").unwrap();
    let path = fixture.record_path(Space::Entries, &key);
    let far = std::time::SystemTime::now() + 400 * DAY;
    fs::File::open(&path).unwrap().set_modified(far).unwrap();
    store.get_record(Space::Entries, &key).unwrap();
    assert!(fs::metadata(&path).unwrap().modified().unwrap() < far - DAY);
}

#[test]
fn objects_come_back_and_are_stored_once() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for (number, bytes) in [&b"bytes"[..], b"", &[7; 700_000]].into_iter().enumerate() {
        let stored = fixture.put(bytes, COPY);
        assert_eq!(stored.digest, Digest::of(bytes));
        assert_eq!((stored.size, stored.new), (bytes.len() as u64, true));
        let before = fs::metadata(fixture.object_path(&stored.digest)).unwrap();
        let again = fixture.put(bytes, HARDLINK);
        assert_eq!((again.digest, again.new), (stored.digest, false));
        let after = fs::metadata(fixture.object_path(&stored.digest)).unwrap();
        assert_eq!(
            (before.ino(), before.modified().unwrap()),
            (after.ino(), after.modified().unwrap())
        );
        let dest = fixture.path(&format!("dest{number}"));
        store.place_object(&stored.digest, &dest, COPY).unwrap();
        assert_eq!(fs::read(&dest).unwrap(), bytes);
    }
    assert_eq!(files_below(&fixture.inside("tmp")), 0);
}

#[test]
fn an_object_of_the_wrong_size_is_replaced() {
    let fixture = Fixture::new();
    let digest = fixture.put(b"bytes", COPY).digest;
    fs::write(fixture.object_path(&digest), b"byt").unwrap();
    assert!(fixture.put(b"bytes", COPY).new);
    let dest = fixture.path("dest");
    fixture.store.place_object(&digest, &dest, COPY).unwrap();
    assert_eq!(fs::read(dest).unwrap(), b"bytes");
}

#[test]
fn a_damaged_object_is_never_placed_and_is_removed() {
    for wish in [COPY, HARDLINK] {
        let fixture = Fixture::new();
        let digest = fixture.put(b"bytes", COPY).digest;
        fs::write(fixture.object_path(&digest), b"BYTES").unwrap();
        let dest = fixture.file("dest", b"old");
        let placed = fixture.store.place_object(&digest, &dest, wish);
        assert!(matches!(placed, Err(StoreError::Corrupt)));
        assert_eq!(fs::read(&dest).unwrap(), b"old");
        assert!(!fixture.object_path(&digest).exists());
        let placed = fixture.store.place_object(&digest, &dest, wish);
        assert!(matches!(placed, Err(StoreError::Missing)));
        assert!(fixture.put(b"bytes", COPY).new);
    }
}

/// Where the disk has reflinks, no inode is shared and there is nothing to see.
#[test]
fn a_hardlinked_object_shares_its_inode_mode_and_time_both_ways() {
    let fixture = Fixture::new();
    let source = fixture.file("source", b"bytes");
    set_age(&source, DAY);
    let before = fs::metadata(&source).unwrap();
    let digest = fixture.store.put_object(&source, HARDLINK).unwrap().digest;
    let object = fs::metadata(fixture.object_path(&digest)).unwrap();
    if object.ino() != before.ino() {
        let test = "a_hardlinked_object_shares_its_inode_mode_and_time_both_ways";
        crate::support::skipped(test, "the disk made a reflink");
        return;
    }
    assert_eq!(object.mode(), before.mode());
    // The same inode once more: a rename over itself must not leave a second name.
    assert!(!fixture.store.put_object(&source, HARDLINK).unwrap().new);
    assert_eq!(files_below(&fixture.inside("tmp")), 0);
    let dest = fixture.path("dest");
    let placed = fixture
        .store
        .place_object(&digest, &dest, HARDLINK)
        .unwrap();
    assert_eq!(placed.method, Method::Hardlink);
    let after = fs::metadata(&dest).unwrap();
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    // Who writes a shared file in place spoils the object; it is noticed, never served.
    fs::write(&source, b"BYTES").unwrap();
    let placed = fixture.store.place_object(&digest, &dest, HARDLINK);
    assert!(matches!(placed, Err(StoreError::Corrupt)));
}

#[test]
fn a_copied_object_is_writable_so_that_a_hardlink_of_it_is() {
    let fixture = Fixture::new();
    let source = fixture.file("source", b"bytes");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o444)).unwrap();
    let digest = fixture.store.put_object(&source, COPY).unwrap().digest;
    let dest = fixture.path("dest");
    fixture
        .store
        .place_object(&digest, &dest, HARDLINK)
        .unwrap();
    assert_ne!(fs::metadata(dest).unwrap().mode() & 0o200, 0);
}

#[test]
fn executables_are_executable_however_they_were_stored() {
    for (stored, wished) in [(true, true), (false, true), (true, false), (false, false)] {
        let fixture = Fixture::new();
        let wish = |executable| Wish {
            hardlink: true,
            executable,
        };
        let source = fixture.file("source", b"#!/bin/true");
        let mode = if stored { 0o755 } else { 0o644 };
        fs::set_permissions(&source, fs::Permissions::from_mode(mode)).unwrap();
        let digest = fixture
            .store
            .put_object(&source, wish(stored))
            .unwrap()
            .digest;
        let dest = fixture.path("dest");
        fixture
            .store
            .place_object(&digest, &dest, wish(wished))
            .unwrap();
        let is_executable = fs::metadata(dest).unwrap().mode() & 0o100 != 0;
        assert_eq!(is_executable, wished, "stored {stored}");
        let object = fs::metadata(fixture.object_path(&digest)).unwrap();
        assert_eq!(object.mode() & 0o100 != 0, stored);
    }
}

#[test]
fn errors_name_the_path() {
    let fixture = Fixture::new();
    let missing = fixture.path("no-such-file");
    let check = |error: StoreError, path: &std::path::Path| {
        assert!(matches!(error, StoreError::Io(_)), "{error:?}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    };
    let error = fixture.store.put_object(&missing, COPY).unwrap_err();
    check(error, &missing);
    let digest = fixture.put(b"bytes", COPY).digest;
    let dest = fixture.path("no-such-dir/dest");
    let error = fixture
        .store
        .place_object(&digest, &dest, COPY)
        .unwrap_err();
    check(error, &dest);

    // A file where the store should be.
    let not_a_dir = fixture.file("not-a-dir", b"");
    let store = LocalStore::open(&not_a_dir);
    check(
        store.get_record(Space::Memos, &key("k")).unwrap_err(),
        &not_a_dir,
    );
    let error = store
        .put_record(Space::Memos, &key("k"), &[], b"")
        .unwrap_err();
    check(error, &not_a_dir);
    let source = fixture.file("source", b"bytes");
    check(store.put_object(&source, COPY).unwrap_err(), &not_a_dir);
}

/// A directory where the object should be: the last step fails.
#[test]
fn an_object_that_cannot_get_its_name_leaves_nothing() {
    let fixture = Fixture::new();
    let source = fixture.file("source", b"bytes");
    let path = fixture.object_path(&Digest::of(b"bytes"));
    fs::create_dir_all(path.join("inside")).unwrap();
    for wish in [COPY, HARDLINK] {
        let error = fixture.store.put_object(&source, wish).unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(files_below(&fixture.inside("tmp")), 0);
    }
}
