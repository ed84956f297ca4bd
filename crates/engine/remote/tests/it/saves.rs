//! A thousand saves one after the other, and many machines at once.
#![allow(
    clippy::print_stderr,
    reason = "figures for whoever runs these by name"
)]

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rekindle_remote::blobs::{Blobs, Name};
use rekindle_remote::client::Client;
use rekindle_remote::dir::Dir;
use rekindle_remote::keep;
use rekindle_remote::runtime::Runtime;
use rekindle_store::LocalStore;
use rekindle_testkit::github_cache::CacheService;
use rekindle_testkit::servers::{S3, S3Kind};

use crate::github::cache;
use crate::lab::{Used, client, find, machine, put, restore, save};
use crate::opened::bucket;
use crate::support::{name, noise, skipped};

const SAVES: usize = 1_000;
/// Units of a project: of these most change seldom, and a few with each save.
const UNITS: usize = 40;
const UNIT_BYTES: usize = 6_000;
/// What was built once and all need ever after: in a pack that is too large to be written again and again.
const OLD_BYTES: usize = 9 << 20;
/// What changes.
const STATE_BYTES: u64 = (UNITS * UNIT_BYTES) as u64;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A directory in memory where the system has one: thousands of small files are forced to disk otherwise.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A project that changes: the units of its state, and the machine that built them all.
struct Project {
    store: LocalStore,
    used: Vec<Used>,
}

impl Project {
    fn new(dir: &Path) -> Self {
        let store = machine(dir);
        let mut used: Vec<Used> = (0..UNITS).map(|unit| built(&store, unit, 0)).collect();
        used.push(put(&store, "old", &noise(OLD_BYTES, 7)));
        Self { store, used }
    }

    /// One unit that changes with every save, one that changes now and then, and a few that never do.
    fn change(&mut self, save: usize) {
        let seldom = 1 + save % (UNITS - 10);
        for unit in [0, seldom] {
            self.used[unit] = built(&self.store, unit, save);
        }
    }
}

fn built(store: &LocalStore, unit: usize, version: usize) -> Used {
    let seed = (unit * 100_000 + version) as u64;
    put(
        store,
        &format!("{unit}@{version}"),
        &noise(UNIT_BYTES, seed),
    )
}

fn names() -> [Name; 2] {
    [name("tips/branch"), name("tips/lock")]
}

/// A remote, and what it says of itself without being asked for any blob.
struct Remote<'a> {
    client: &'a dyn Fn() -> Client,
    /// The names of all its blobs.
    names: &'a dyn Fn() -> HashSet<String>,
    /// How many saves there are from one restored to the next: asking for a blob is what keeps it in some.
    restored_every: usize,
}

/// Saves again and again, each time as another process does. After each save all that its index names is there; now and then
/// it is restored. `after` gets each save's number.
fn many_saves(remote: &Remote<'_>, dir: &Path, after: &mut dyn FnMut(usize)) {
    let mut project = Project::new(&dir.join("machine"));
    for at in 0..SAVES {
        project.change(at);
        let client = (remote.client)();
        let found = find(&client, &project.store, &names());
        assert_eq!(
            found.is_some(),
            at > 0,
            "save {at}: {:?}",
            client.troubles()
        );
        if let Some(found) = &found {
            let there = (remote.names)();
            let packs = found.index.packs.iter();
            let mut packs = packs.map(|pack| format!("packs/{}", pack.name.to_hex()));
            assert!(
                packs.all(|pack| there.contains(&pack)),
                "{at}: a pack is gone"
            );
            assert!(
                found.index.packs.len() <= 20,
                "{at}: {}",
                found.index.packs.len()
            );
        }
        let base = (found.as_ref(), project.used.as_slice());
        let saved = save(&client, &project.store, base, (&names(), at as u64));
        assert!(saved.indexed && saved.incomplete == 0, "{at}: {saved:?}");
        assert_eq!(client.troubles(), Vec::<String>::new());
        if (at + 1) % remote.restored_every == 0 || at + 1 == SAVES {
            let place = dir.join(format!("restored-{at}"));
            restore(&(remote.client)(), &place, &names(), &project.used);
            std::fs::remove_dir_all(&place).unwrap();
        }
        after(at);
    }
}

#[test]
fn a_thousand_saves_to_a_directory_that_is_swept() {
    let dir = scratch();
    let runtime = Runtime::start().unwrap();
    let root = dir.path().join("remote");
    let client = || client(&runtime, Arc::new(Dir::new(root.clone())));
    let names = || {
        let packs = std::fs::read_dir(root.join("packs")).unwrap();
        let names = packs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| format!("packs/{name}")).collect()
    };
    let remote = Remote {
        client: &client,
        names: &names,
        restored_every: 25,
    };
    let mut largest = 0;
    many_saves(&remote, dir.path(), &mut |at| {
        if at % 100 != 99 {
            return;
        }
        let now_ms = u64::try_from(rekindle_fsx::time::realtime_ns() / 1_000_000).unwrap();
        let swept = keep::sweep(&client(), (now_ms + 2 * DAY_MS, 30 * DAY_MS)).unwrap();
        largest = largest.max(swept.kept_bytes);
    });
    assert_eq!(keep::verify(&client(), None, false).unwrap().bad, []);
    // What is live, as much again that is dead in packs that are half live, and the last eight saves.
    assert!(
        largest < OLD_BYTES as u64 + STATE_BYTES * 4,
        "{largest} bytes"
    );
    eprintln!(
        "{SAVES} saves of {OLD_BYTES} and {STATE_BYTES} bytes: at most {largest} bytes after a sweep"
    );
}

#[test]
fn a_thousand_saves_within_githubs_quota() {
    const QUOTA_BYTES: u64 = OLD_BYTES as u64 + STATE_BYTES * 6;
    let dir = scratch();
    let runtime = Runtime::start().unwrap();
    let service = CacheService::start();
    service.set_quota(QUOTA_BYTES);
    let client = || client(&runtime, Arc::new(cache(&service, &["refs/heads/main"])));
    let names = || {
        let entries = service.entries();
        let bytes: u64 = entries.iter().map(|entry| entry.size).sum();
        assert!(bytes <= QUOTA_BYTES);
        let keys = entries
            .iter()
            .filter_map(|entry| entry.key.strip_prefix("rekindle/"));
        keys.map(str::to_owned).collect()
    };
    let remote = Remote {
        client: &client,
        names: &names,
        restored_every: 250,
    };
    let (mut before, mut uploads, mut downloads) = (0, 0, 0);
    many_saves(&remote, dir.path(), &mut |at| {
        // Some saves, in all phases of what comes again and again.
        if at % 23 > 1 {
            return;
        }
        let requests = service.requests();
        let of = |what: &str| {
            let new = requests.get(before..).unwrap_or_default();
            new.iter().filter(|request| request.contains(what)).count()
        };
        if at % 23 == 1 {
            uploads = uploads.max(of("FinalizeCacheEntryUpload"));
            downloads = downloads.max(of("GetCacheEntryDownloadURL"));
        }
        before = requests.len();
    });
    // A pack, an index and its tips: 50 saves a minute are within 200 uploads, and these looks within 1,500 downloads.
    assert!(uploads > 0 && uploads <= 4, "{uploads}");
    assert!(downloads > 0 && downloads <= 30, "{downloads}");
    eprintln!(
        "{SAVES} saves of {OLD_BYTES} and {STATE_BYTES} bytes within {QUOTA_BYTES}: at most {uploads} uploads and {downloads} downloads \
         a save"
    );
}

#[test]
fn what_was_forgotten_goes_up_again() {
    let dir = scratch();
    let runtime = Runtime::start().unwrap();
    let service = CacheService::start();
    let remote = || client(&runtime, Arc::new(cache(&service, &["refs/heads/main"])));
    let store = machine(&dir.path().join("machine"));
    let mut used = vec![built(&store, 0, 0)];
    save(&remote(), &store, (None, &used), (&names(), 0));
    let found = find(&remote(), &store, &names());
    service.set_quota(0);
    service.set_quota(u64::MAX);
    used.push(built(&store, 1, 0));
    save(&remote(), &store, (found.as_ref(), &used), (&names(), 1));
    restore(&remote(), &dir.path().join("restored"), &names(), &used);
}

/// An empty machine that builds one unit anew has not the others' objects, which are in packs that are to be written again.
#[test]
fn packs_are_written_again_by_who_has_not_what_is_in_them() {
    let dir = scratch();
    let runtime = Runtime::start().unwrap();
    let blobs: Arc<dyn Blobs> = Arc::new(Dir::new(dir.path().join("remote")));
    let remote = || client(&runtime, Arc::clone(&blobs));
    let mut used = Vec::new();
    for at in 0..30 {
        let store = machine(&dir.path().join(format!("machine-{at}")));
        let found = find(&remote(), &store, &names());
        used.push(built(&store, at, 0));
        let base = (found.as_ref(), used.as_slice());
        let saved = save(&remote(), &store, base, (&names(), at as u64));
        assert_eq!(saved.incomplete, 0);
    }
    let found = restore(&remote(), &dir.path().join("all"), &names(), &used);
    assert!(found.index.packs.len() <= 17, "{}", found.index.packs.len());
    // A reader of any older save still has it: nothing was removed.
    assert_eq!(keep::verify(&remote(), None, false).unwrap().bad, []);
}

const MACHINES: usize = 32;
const ROUNDS: usize = 4;
const OBJECT_BYTES: usize = 100_000;

/// One of many: saves under its own name and under one that all have, on top of what is there.
fn one_machine(remote: &dyn Fn() -> Client, dir: &Path, machine_at: usize) -> Vec<Used> {
    let store = machine(&dir.join(format!("machine-{machine_at}")));
    let names = [name(&format!("tips/{machine_at}")), name("tips/all")];
    let mut used = Vec::new();
    for round in 0..ROUNDS {
        let client = remote();
        let base = find(&client, &store, &names);
        let seed = (machine_at * ROUNDS + round) as u64;
        used.push(put(
            &store,
            &format!("{machine_at}@{round}"),
            &noise(OBJECT_BYTES, seed),
        ));
        save(&client, &store, (base.as_ref(), &used), (&names, seed));
        assert_eq!(client.troubles(), Vec::<String>::new());
    }
    used
}

fn many_machines(what: &str, blobs: &Arc<dyn Blobs>) {
    let dir = scratch();
    let runtime = Runtime::start().unwrap();
    let remote = || client(&runtime, Arc::clone(blobs));
    let began = Instant::now();
    let used: Vec<Vec<Used>> = std::thread::scope(|scope| {
        let machines = (0..MACHINES).map(|at| {
            let (remote, dir) = (&remote, dir.path());
            scope.spawn(move || one_machine(remote, dir, at))
        });
        let machines: Vec<_> = machines.collect();
        machines
            .into_iter()
            .map(|machine| machine.join().unwrap())
            .collect()
    });
    let took = began.elapsed();
    let mut bytes = 0;
    for (at, used) in used.iter().enumerate() {
        let place = dir.path().join(format!("restored-{at}"));
        restore(&remote(), &place, &[name(&format!("tips/{at}"))], used);
        bytes += used.len() * OBJECT_BYTES;
    }
    // What all wrote is whole, whoever was last.
    let found = restore(&remote(), &dir.path().join("all"), &[name("tips/all")], &[]);
    let has = |records: &[Used]| {
        let in_it: HashSet<Used> = found
            .index
            .records
            .iter()
            .map(|r| (r.space, r.key))
            .collect();
        records.iter().all(|record| in_it.contains(record))
    };
    assert!(used.iter().any(|used| has(used)), "it is nobody's");
    let verified = keep::verify(&remote(), None, false).unwrap();
    assert_eq!(verified.bad, []);
    let saves = MACHINES * ROUNDS;
    let seconds = took.as_secs_f64();
    eprintln!(
        "{what}: {MACHINES} machines, {saves} saves in {seconds:.2} s: {:.0} saves/s, {:.1} MB/s of objects",
        saves as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
    );
}

#[test]
fn many_machines_save_to_a_directory_at_once() {
    let dir = scratch();
    let blobs: Arc<dyn Blobs> = Arc::new(Dir::new(dir.path().to_owned()));
    many_machines("a directory", &blobs);
}

#[test]
fn many_machines_save_to_a_bucket_at_once() {
    match S3::start(S3Kind::S3sFs) {
        Ok(server) => many_machines("s3s-fs", &bucket(&server, "many")),
        Err(missing) => skipped(
            "many_machines_save_to_a_bucket_at_once",
            &missing.to_string(),
        ),
    }
}
