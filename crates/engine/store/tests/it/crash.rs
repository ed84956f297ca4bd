//! Killed at every change to the file system, the store is sound and the next run goes on.
//!
//! The test runs this binary again with `REKINDLE_FAILPOINT=N`, which kills it at its Nth change, for
//! N from 1 until it completes.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rekindle_base::{ByteSize, Digest};
use rekindle_store::{LocalStore, Space, Store};

use crate::support::{
    COPY, DAY, HARDLINK, HOUR, files_below, helper, key, later, set_age, skipped,
};

const DIR: &str = "REKINDLE_TEST_DIR";
const FIRST: &[u8] = b"the first object";
const SECOND: &[u8] = &[7; 300_000];
const DESTS: [(&str, &[u8]); 2] = [("dest-first", FIRST), ("dest-second", SECOND)];

/// Everything that changes a store, in an order that leaves it the same however often it is run.
fn scenario(dir: &Path) {
    let store = LocalStore::open(&dir.join("store"));
    let build = store.register_active().unwrap();
    let (first, second) = (dir.join("first"), dir.join("second"));
    fs::write(&first, FIRST).unwrap();
    fs::write(&second, SECOND).unwrap();
    let publish = || {
        let refs = [
            store.put_object(&first, HARDLINK).unwrap().digest,
            store.put_object(&second, COPY).unwrap().digest,
        ];
        for payload in [&b"one"[..], b"two"] {
            let entry = key("entry");
            store
                .put_record(Space::Entries, &entry, &refs, payload)
                .unwrap();
        }
        store
            .put_record(Space::Memos, &key("memo"), &[], b"memo")
            .unwrap();
    };
    publish();
    publish();
    let hex = key("entry").to_hex();
    let entry = dir.join("store/v1/entries").join(&hex[..1]).join(&hex[1..]);
    set_age(&entry, HOUR);
    assert!(
        store
            .get_record(Space::Entries, &key("entry"))
            .unwrap()
            .is_some()
    );
    for wish in [COPY, HARDLINK] {
        for (name, bytes) in DESTS {
            let dest = dir.join("target").join(name);
            store.place_object(&Digest::of(bytes), &dest, wish).unwrap();
        }
    }
    store.remove_record(Space::Memos, &key("memo")).unwrap();
    drop(build);
    let report = store.gc(ByteSize(0), later(2 * HOUR)).unwrap();
    assert_eq!(report.problems, [""; 0]);
    publish();
    store.maybe_gc(ByteSize(1 << 30), later(4 * DAY)).unwrap();
}

fn check_after_kill(dir: &Path, at: usize) {
    let store = LocalStore::open(&dir.join("store"));
    let report = store.verify(false).unwrap();
    assert!(report.is_clean(), "killed at change {at}: {report:?}");
    for (name, bytes) in DESTS {
        let placed = rekindle_fsx::read_if_exists(&dir.join("target").join(name)).unwrap();
        assert!(
            placed.is_none_or(|found| found == bytes),
            "killed at change {at}: {name}"
        );
    }
}

fn check_after_rerun(dir: &Path, at: usize) {
    let store = LocalStore::open(&dir.join("store"));
    let report = store.verify(false).unwrap();
    assert!(report.is_clean(), "rerun after change {at}: {report:?}");
    assert_eq!(
        (report.objects, report.records),
        (2, 2),
        "rerun after change {at}"
    );
    let entry = store
        .get_record(Space::Entries, &key("entry"))
        .unwrap()
        .unwrap();
    assert_eq!(entry.payload, b"two");
    // The next place of the same file used up what the killed one left.
    assert_eq!(
        files_below(&dir.join("target")),
        DESTS.len(),
        "rerun after change {at}"
    );
    let report = store.gc(ByteSize(1 << 30), later(2 * DAY)).unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(
        store.usage().unwrap().temporaries,
        0,
        "rerun after change {at}"
    );
    assert_eq!(files_below(&dir.join("store/v1/active")), 0);
}

#[test]
fn killed_at_every_change_the_store_is_sound() {
    if let Some(dir) = std::env::var_os(DIR) {
        return scenario(Path::new(&dir));
    }
    for at in 1..1000 {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        let mut command = helper(
            "crash::killed_at_every_change_the_store_is_sound",
            &[(DIR, dir.path().to_str().unwrap())],
        );
        let killed = command
            .env("REKINDLE_FAILPOINT", at.to_string())
            .output()
            .unwrap();
        if killed.status.success() {
            if at == 1 {
                skipped(
                    "killed_at_every_change_the_store_is_sound",
                    "built without failpoints",
                );
            } else {
                assert!(at > 60, "only {} changes were seen", at - 1);
            }
            return;
        }
        assert_eq!(killed.status.signal(), Some(9), "change {at}: {killed:?}");
        check_after_kill(dir.path(), at);
        let rerun = command.env_remove("REKINDLE_FAILPOINT").output().unwrap();
        assert!(rerun.status.success(), "rerun after change {at}: {rerun:?}");
        check_after_rerun(dir.path(), at);
    }
    panic!("the scenario does not end");
}
