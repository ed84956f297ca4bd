//! Machines that save to a remote and begin with what others saved, without cargo.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rekindle_base::Digest;
use rekindle_remote::blobs::{Blobs, Name};
use rekindle_remote::client::{Client, Limits};
use rekindle_remote::far::Far;
use rekindle_remote::pull::{self, Found};
use rekindle_remote::push::{self, Save, Saved};
use rekindle_remote::runtime::Runtime;
use rekindle_store::{LocalStore, Space, Store};

/// A record of the space that units' entries are in.
pub(crate) type Used = (Space, Digest);

pub(crate) const LIMITS: Limits = Limits {
    operation: Duration::from_secs(10),
    patience: Duration::from_secs(20),
    at_once: 8,
};

/// A client of one remote.
pub(crate) fn client(runtime: &Runtime, blobs: Arc<dyn Blobs>) -> Client {
    Client::new(blobs, LIMITS, runtime.handle())
}

/// A store of its own.
pub(crate) fn machine(dir: &Path) -> LocalStore {
    LocalStore::open(dir)
}

/// A record that refers to one object.
pub(crate) fn put(store: &LocalStore, key: &str, object: &[u8]) -> Used {
    let object = store.put_object_bytes(object, false).unwrap().digest;
    let digest = Digest::of(key.as_bytes());
    store
        .put_record(Space::Entries, &digest, &[object], key.as_bytes())
        .unwrap();
    (Space::Entries, digest)
}

/// Saves what a run used under these names.
pub(crate) fn save(
    client: &Client,
    store: &LocalStore,
    (base, used): (Option<&Found>, &[Used]),
    (names, at_ms): (&[Name], u64),
) -> Saved {
    let none = HashSet::new();
    let wish = Save {
        base,
        pointer: b"",
        trees: &[],
        same_trees: true,
        used,
        first: &[],
        ahead: &[],
        left_out: &none,
        lost: &none,
        reads: Vec::new(),
        at_ms,
    };
    push::save(client, store, (names, None), &wish).unwrap()
}

/// What the first of these names leads to; its records are in the store then.
pub(crate) fn find(client: &Client, store: &LocalStore, names: &[Name]) -> Option<Found> {
    let found = pull::find(client, store, names, None).unwrap()?;
    pull::import(store, &found, &|_, _, _| None).unwrap();
    Some(found)
}

/// Restores a save on an empty machine; fails where one of these records, or an object of theirs, is not there.
pub(crate) fn restore(client: &Client, dir: &Path, names: &[Name], used: &[Used]) -> Found {
    let store = machine(dir);
    let found = find(client, &store, names).expect("there is a save");
    let far = Far::new(client.clone(), store.clone(), &found.index, None);
    far.fetch_everything();
    assert_eq!(far.fetched().lost, 0, "{:?}", client.troubles());
    for (space, key) in used {
        let record = store.get_record(*space, key).unwrap();
        let record = record.unwrap_or_else(|| panic!("{key} is not in the save"));
        for object in &record.refs {
            // Reading compares it with its digest.
            store.object_bytes(object).unwrap();
        }
    }
    found
}
