//! Saves between two local stores through a directory, and what happens where that fails.

mod bases;
mod long;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rekindle_base::Digest;
use rekindle_store::beyond::{Asker, Beyond};
use rekindle_store::{LocalStore, Space, Store};

use crate::ahead::Ahead;
use crate::blobs::{BlobError, Kind, Name};
use crate::broker::Broker;
use crate::client::{Client, ClientError, Limits};
use crate::dir::Dir;
use crate::far::Far;
use crate::faulty::{Fault, Faulty};
use crate::keep;
use crate::pull::{self, Found};
use crate::push::{self, PushError, Save, Saved};
use crate::runtime::Runtime;
use crate::tip::Key;

const LIMITS: Limits = Limits {
    operation: Duration::from_secs(5),
    patience: Duration::from_secs(10),
    at_once: 4,
};
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

struct Lab {
    dir: tempfile::TempDir,
    runtime: Runtime,
}

impl Lab {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            runtime: Runtime::start().unwrap(),
        }
    }

    fn client(&self) -> Client {
        self.client_of("remote")
    }

    fn client_of(&self, remote: &str) -> Client {
        let blobs = Arc::new(Dir::new(self.dir.path().join(remote)));
        Client::new(blobs, LIMITS, self.runtime.handle())
    }

    fn faulty(&self, fault: Fault, at: u64, limits: Limits) -> Client {
        let inner = Arc::new(Dir::new(self.dir.path().join("remote")));
        let blobs = Arc::new(Faulty::new(inner, fault, at));
        Client::new(blobs, limits, self.runtime.handle())
    }

    fn store(&self, name: &str) -> LocalStore {
        LocalStore::open(&self.dir.path().join(name))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A record under a key, with objects that the store has.
fn put(store: &LocalStore, key: &str, objects: &[&[u8]]) -> (Space, Digest) {
    let refs: Vec<Digest> = objects
        .iter()
        .map(|bytes| store.put_object_bytes(bytes, true).unwrap().digest)
        .collect();
    let digest = Digest::of(key.as_bytes());
    store
        .put_record(Space::Entries, &digest, &refs, key.as_bytes())
        .unwrap();
    (Space::Entries, digest)
}

/// A save of records and nothing else.
fn wish<'a>(
    (base, used): (Option<&'a Found>, &'a [(Space, Digest)]),
    none: &'a std::collections::HashSet<Digest>,
) -> Save<'a> {
    Save {
        base,
        pointer: b"",
        trees: &[],
        same_trees: true,
        used,
        first: &[],
        ahead: &[],
        left_out: none,
        lost: none,
        reads: Vec::new(),
        at_ms: 1,
    }
}

fn save(
    client: &Client,
    store: &LocalStore,
    base: Option<&Found>,
    used: &[(Space, Digest)],
) -> Result<Saved, PushError> {
    let none = std::collections::HashSet::new();
    let wish = wish((base, used), &none);
    push::save(
        client,
        store,
        (&[name("tips/one"), name("tips/two")], None),
        &wish,
    )
}

fn find(client: &Client, store: &LocalStore) -> Found {
    let names = [name("tips/none"), name("tips/two")];
    pull::find(client, store, &names, None).unwrap().unwrap()
}

#[test]
fn what_one_store_saved_another_has_when_it_is_asked_for() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    let large = vec![7; 300_000];
    let used = [
        put(&here, "a", &[b"small", &large]),
        put(&here, "b", &[b"other"]),
    ];
    let client = lab.client();
    let saved = save(&client, &here, None, &used).unwrap();
    assert_eq!((saved.packs, saved.objects, saved.records), (1, 3, 2));
    // A pack, an index, two tips.
    assert_eq!(client.counts().requests, 4);

    let client = lab.client();
    let found = find(&client, &there);
    assert_eq!(found.at, 1);
    assert_eq!(pull::import(&there, &found, &|_, _, _| None).unwrap(), 2);
    let record = there
        .get_record(Space::Entries, &used[0].1)
        .unwrap()
        .unwrap();
    assert_eq!(record.payload, b"a");
    let far = Far::new(client.clone(), there.clone(), &found.index, None);
    let digest = Digest::of(b"small");
    assert!(far.has(&digest, 5) && !far.has(&digest, 6));
    assert!(!there.holds_object(&digest, 5));
    far.bring(&[digest]);
    assert_eq!(
        there.object_bytes(&digest).unwrap(),
        (b"small".to_vec(), true)
    );
    assert!(
        !there.holds_object(&Digest::of(&large), 300_000),
        "nobody asked for it"
    );
    assert_eq!(far.asked(), [digest]);
    // The tip, the index, one range.
    assert_eq!(client.counts().requests, 3);
    // An index that was read once is not read again.
    let client = lab.client();
    find(&client, &there);
    assert_eq!(client.counts().requests, 1);
}

#[test]
fn a_save_is_a_delta_and_the_same_again_is_nothing() {
    let lab = Lab::new();
    let here = lab.store("here");
    let first = put(&here, "a", &[b"one"]);
    save(&lab.client(), &here, None, &[first]).unwrap();
    let found = find(&lab.client(), &here);
    let second = put(&here, "b", &[b"one", b"two"]);
    let saved = save(&lab.client(), &here, Some(&found), &[first, second]).unwrap();
    assert_eq!((saved.packs, saved.objects, saved.records), (1, 1, 1));
    let found = find(&lab.client(), &here);
    assert_eq!((found.index.packs.len(), found.index.records.len()), (2, 2));
    let client = lab.client();
    let saved = save(&client, &here, Some(&found), &[first, second]).unwrap();
    assert_eq!((saved.packs, saved.indexed), (0, false));
}

#[test]
fn of_many_bytes_several_packs_are_made_at_once() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    let large: Vec<Vec<u8>> = (0..5).map(|byte| vec![byte; 20 << 20]).collect();
    let objects: Vec<&[u8]> = large.iter().map(|bytes| &bytes[..]).collect();
    let used = [put(&here, "a", &objects), put(&here, "b", &[b"small"])];
    let saved = save(&lab.client(), &here, None, &used).unwrap();
    assert_eq!((saved.packs, saved.objects), (3, 6));
    let client = lab.client();
    let found = find(&client, &there);
    let far = Far::new(client, there.clone(), &found.index, None);
    let digests: Vec<Digest> = objects.iter().map(|bytes| Digest::of(bytes)).collect();
    far.bring(&digests);
    for digest in &digests {
        assert!(there.holds_object(digest, 20 << 20));
    }
}

#[test]
fn what_went_ahead_is_not_sent_again() {
    let lab = Lab::new();
    let here = lab.store("here");
    let run_dir = lab.dir.path().join("run");
    rekindle_fsx::create_dir_all(&run_dir).unwrap();
    // As much as a pack is made of, and next to nothing when it is packed.
    let large = vec![7; 97 << 20];
    let used = [put(&here, "a", &[&large, b"small"])];
    rekindle_store::beyond::note(&run_dir, used[0].0, &used[0].1);
    let known = std::collections::HashSet::new();
    let client = lab.client();
    let ahead = Ahead::start(client.clone(), here.clone(), (&run_dir, known)).unwrap();
    while client.counts().requests == 0 {
        std::thread::yield_now();
    }
    let ahead = ahead.stop();
    assert_eq!(ahead.len(), 1);
    let none = std::collections::HashSet::new();
    let wish = Save {
        base: None,
        pointer: b"",
        trees: &[],
        same_trees: true,
        used: &used,
        first: &[],
        ahead: &ahead,
        left_out: &none,
        lost: &none,
        reads: Vec::new(),
        at_ms: 1,
    };
    let saved = push::save(&client, &here, (&[name("tips/two")], None), &wish).unwrap();
    assert_eq!((saved.packs, saved.records), (0, 1));
    let there = lab.store("there");
    let found = find(&client, &there);
    let far = Far::new(client, there.clone(), &found.index, None);
    far.bring(&[Digest::of(b"small")]);
    assert!(there.holds_object(&Digest::of(b"small"), 5));
}

#[test]
fn a_record_whose_objects_are_lost_is_not_saved() {
    let lab = Lab::new();
    let here = lab.store("here");
    let whole = put(&here, "a", &[b"one"]);
    let key = Digest::of(b"b");
    here.put_record(Space::Entries, &key, &[Digest::of(b"never stored")], b"b")
        .unwrap();
    let saved = save(&lab.client(), &here, None, &[whole, (Space::Entries, key)]).unwrap();
    assert_eq!((saved.records, saved.incomplete), (1, 1));
}

#[test]
fn nothing_leads_to_a_save_that_failed() {
    for at in 1..=4 {
        let lab = Lab::new();
        let here = lab.store("here");
        let used = [put(&here, "a", &[b"one"])];
        let client = lab.faulty(Fault::Deny, at, LIMITS);
        assert!(save(&client, &here, None, &used).is_err());
        let led = lab.client().find(&[name("tips/one")]).unwrap();
        // The best name is written last, after all that it leads to.
        assert_eq!(led, None, "request {at}");
    }
}

#[test]
fn a_sick_remote_is_left_alone() {
    let lab = Lab::new();
    let names = [name("tips/one")];
    let client = lab.faulty(Fault::Die, 1, LIMITS);
    let failures = (0..10).filter(|_| client.find(&names).is_err()).count();
    assert_eq!(failures, 10);
    assert!(matches!(client.find(&names), Err(ClientError::Off)));
    assert!(client.counts().requests < 10, "{:?}", client.counts());
    assert_eq!(client.troubles().len(), 1);
    // Who is refused to write may still read.
    let client = lab.faulty(Fault::Deny, 1, LIMITS);
    let write = client.write(&names[0], &Bytes::new(), Kind::Latest);
    assert!(matches!(
        write,
        Err(ClientError::Blob(BlobError::Denied(_)))
    ));
    assert!(matches!(
        client.write(&names[0], &Bytes::new(), Kind::Latest),
        Err(ClientError::Off)
    ));
    assert!(matches!(
        client.find(&names),
        Err(ClientError::Blob(BlobError::Denied(_)))
    ));
}

#[test]
fn patience_bounds_what_stalls_and_what_asks_for_time() {
    let limits = Limits {
        operation: Duration::from_millis(100),
        patience: Duration::from_millis(250),
        at_once: 4,
    };
    for fault in [Fault::Stall, Fault::Throttle] {
        let lab = Lab::new();
        let client = lab.faulty(fault, 1, limits);
        let began = Instant::now();
        for _ in 0..20 {
            assert!(client.find(&[name("tips/one")]).is_err());
        }
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{fault:?}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn what_is_spoilt_on_the_way_is_not_taken() {
    for fault in [Fault::Garbage, Fault::Flip, Fault::Truncate] {
        let lab = Lab::new();
        let (here, there) = (lab.store("here"), lab.store("there"));
        save(&lab.client(), &here, None, &[put(&here, "a", &[b"one"])]).unwrap();
        let key = Key::parse("secret:0123456789abcdef").unwrap();
        let names = [name("tips/two")];
        // A tip, where it is signed; an index; a range.
        let unsigned = pull::find(&lab.client(), &there, &names, Some(&key));
        assert!(unsigned.is_err());
        let of_index = lab.faulty(fault, 2, LIMITS);
        assert!(
            pull::find(&of_index, &there, &names, None).map_or(true, |found| {
                // One that was cut off was asked for again.
                found.is_some() && fault == Fault::Truncate
            })
        );
        let found = find(&lab.client(), &there);
        let far = Far::new(
            lab.faulty(fault, 1, LIMITS),
            there.clone(),
            &found.index,
            None,
        );
        let digest = Digest::of(b"one");
        far.bring(&[digest]);
        if let Ok((bytes, _)) = there.object_bytes(&digest) {
            assert_eq!((&bytes[..], fault), (&b"one"[..], Fault::Truncate));
        } else {
            assert!(!far.has(&digest, 3), "{fault:?}: no promise is made twice");
            assert_eq!(far.lost_packs().len(), 1);
        }
    }
}

#[test]
fn a_lost_pack_goes_up_again() {
    let lab = Lab::new();
    let here = lab.store("here");
    let used = [put(&here, "a", &[b"one"])];
    save(&lab.client(), &here, None, &used).unwrap();
    let found = find(&lab.client(), &here);
    let lost: std::collections::HashSet<Digest> =
        found.index.packs.iter().map(|pack| pack.name).collect();
    for pack in &lost {
        let path = lab.dir.path().join("remote/packs").join(pack.to_hex());
        let mut bytes = rekindle_fsx::read(&path).unwrap();
        bytes[10] ^= 1;
        rekindle_fsx::atomic::write(&path, &bytes).unwrap();
    }
    let none = std::collections::HashSet::new();
    let wish = Save {
        base: Some(&found),
        pointer: b"",
        trees: &[],
        same_trees: true,
        used: &[],
        first: &[],
        ahead: &[],
        left_out: &none,
        lost: &lost,
        reads: Vec::new(),
        at_ms: 1,
    };
    push::save(&lab.client(), &here, (&[name("tips/two")], None), &wish).unwrap();
    let verified = keep::verify(&lab.client(), None, false).unwrap();
    assert_eq!(verified.bad, [], "{verified:?}");
}

#[test]
fn two_who_want_one_frame_get_it_by_one_request() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    let objects: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; 1000]).collect();
    let refs: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    save(&lab.client(), &here, None, &[put(&here, "a", &refs)]).unwrap();
    let client = lab.client();
    let found = find(&client, &there);
    let before = client.counts().requests;
    let far = Arc::new(Far::new(client.clone(), there.clone(), &found.index, None));
    std::thread::scope(|scope| {
        for object in &objects {
            let far = Arc::clone(&far);
            scope.spawn(move || far.bring(&[Digest::of(object)]));
        }
    });
    assert!(
        objects
            .iter()
            .all(|object| there.holds_object(&Digest::of(object), 1000))
    );
    assert_eq!(client.counts().requests - before, 1);
}

#[test]
fn processes_ask_through_the_broker() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    save(&lab.client(), &here, None, &[put(&here, "a", &[b"one"])]).unwrap();
    let client = lab.client();
    let found = find(&client, &there);
    // Longer than a socket's name may be.
    let run_dir = lab.dir.path().join("long".repeat(40));
    rekindle_fsx::create_dir_all(&run_dir).unwrap();
    assert!(Asker::of_run(&run_dir, Duration::from_secs(5)).is_none());
    let far = Arc::new(Far::new(client, there.clone(), &found.index, None));
    let broker = Broker::start(&run_dir, far).unwrap();
    let asker = Asker::of_run(&run_dir, Duration::from_secs(5)).unwrap();
    let digest = Digest::of(b"one");
    assert!(asker.has(&digest, 3) && !asker.has(&digest, 4));
    asker.bring(&[digest]);
    assert!(there.holds_object(&digest, 3));
    drop(broker);
    assert!(!asker.has(&digest, 3), "nobody answers any more");
    assert!(Asker::of_run(&run_dir, Duration::from_secs(5)).is_none());
}

#[test]
fn a_remote_is_checked_copied_and_swept() {
    let lab = Lab::new();
    let here = lab.store("here");
    save(&lab.client(), &here, None, &[put(&here, "a", &[b"one"])]).unwrap();
    let client = lab.client();
    let orphan = Bytes::from_static(b"orphan");
    let orphan_name = Name::of_digest("packs", &Digest::of(&orphan));
    client.write(&orphan_name, &orphan, Kind::Once).unwrap();
    let verified = keep::verify(&client, None, false).unwrap();
    assert_eq!(verified.bad.len(), 1, "{verified:?}");
    assert_eq!(verified.objects, 1);

    let now_ms = u64::try_from(rekindle_fsx::time::realtime_ns() / 1_000_000).unwrap();
    let sweep = |now_ms| keep::sweep(&client, (now_ms, 30 * DAY_MS)).unwrap();
    assert_eq!(sweep(now_ms).packs, 0, "it may be a save under way");
    let swept = sweep(now_ms + 2 * DAY_MS);
    assert_eq!((swept.tips, swept.indexes, swept.packs), (0, 0, 1));
    assert_eq!(keep::verify(&client, None, false).unwrap().bad, []);

    let other = lab.client_of("other");
    let copied = keep::copy(&client, &other).unwrap();
    assert_eq!(copied.blobs, 4);
    assert_eq!(keep::verify(&other, None, false).unwrap().blobs, 4);
    assert_eq!(keep::copy(&client, &other).unwrap().present, 2);

    let swept = sweep(now_ms + 40 * DAY_MS);
    assert_eq!((swept.tips, swept.indexes, swept.packs), (2, 1, 1));
    assert_eq!(keep::usage(&client).unwrap()["packs"], (0, 0));
}
