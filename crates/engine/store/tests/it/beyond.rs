//! Objects that come from beyond the disk when they are asked for.

use std::sync::{Arc, Mutex};

use rekindle_base::Digest;
use rekindle_store::beyond::{self, Beyond};
use rekindle_store::{LocalStore, Space, Store, StoreError};

use crate::support::{COPY, Fixture, key};

/// Has a few objects, brings those that it is told to, and notes what was used.
struct Few {
    store: LocalStore,
    bytes: Vec<&'static [u8]>,
    comes: bool,
    used: Mutex<Vec<(Space, Digest)>>,
}

impl Beyond for Few {
    fn has(&self, digest: &Digest, size: u64) -> bool {
        let mut all = self.bytes.iter();
        all.any(|bytes| Digest::of(bytes) == *digest && bytes.len() as u64 == size)
    }

    fn bring(&self, digests: &[Digest]) {
        for bytes in &self.bytes {
            if self.comes && digests.contains(&Digest::of(bytes)) {
                self.store.put_object_bytes(bytes, false).unwrap();
            }
        }
    }

    fn used(&self, space: Space, key: &Digest) {
        self.used.lock().unwrap().push((space, *key));
    }
}

fn few(fixture: &Fixture, comes: bool) -> Arc<Few> {
    let few = Arc::new(Few {
        store: fixture.store.clone(),
        bytes: vec![b"far", b"other"],
        comes,
        used: Mutex::default(),
    });
    beyond::set(fixture.store.dir(), Arc::clone(&few) as _);
    few
}

/// One test, since what is beyond is said for a process.
#[test]
fn what_is_beyond_counts_as_there_and_comes_when_it_is_placed() {
    let fixture = Fixture::new();
    let (store, far) = (&fixture.store, Digest::of(b"far"));
    let dest = fixture.path("dest");
    let few_things = few(&fixture, true);
    assert!(store.has_object(&far, 3) && !store.has_object(&far, 4));
    assert!(!store.holds_object(&far, 3));
    store.place_object(&far, &dest, COPY).unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), b"far");
    assert!(store.holds_object(&far, 3));
    // One that was damaged here comes again.
    let hex = far.to_hex();
    let path = fixture
        .path("store/v1/objects")
        .join(&hex[..1])
        .join(&hex[1..]);
    std::fs::write(&path, b"bad").unwrap();
    store.check_object(&far).unwrap();
    assert_eq!(store.object_bytes(&far).unwrap().0, b"far");
    // Only what is missing is asked for.
    let other = Digest::of(b"other");
    store.bring_objects(&[(far, 3), (other, 5)]);
    assert!(store.holds_object(&other, 5));
    // What it does not have is missing, as ever.
    let placed = store.place_object(&key("nowhere"), &dest, COPY);
    assert!(matches!(placed, Err(StoreError::Missing)));
    // Shared records that are read or written are noted, others and misses not.
    for space in [Space::Entries, Space::Latest, Space::Trees] {
        store.put_record(space, &key("k"), &[], b"").unwrap();
        store.get_record(space, &key("k")).unwrap();
        store.get_record(space, &key("none")).unwrap();
    }
    let noted = few_things.used.lock().unwrap().clone();
    assert_eq!(noted, [(Space::Entries, key("k")); 2]);
    // Another directory's store has nothing to do with it.
    let elsewhere = LocalStore::open(&fixture.path("elsewhere"));
    assert!(!elsewhere.has_object(&other, 5));

    let fixture = Fixture::new();
    few(&fixture, false);
    let placed = fixture
        .store
        .place_object(&far, &fixture.path("dest"), COPY);
    assert!(
        matches!(placed, Err(StoreError::Missing)),
        "a promise may be broken"
    );
    beyond::unset();
    assert!(!fixture.store.has_object(&far, 3));
}
