//! Several remotes as one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_base::Digest;
use rekindle_remote::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};
use rekindle_remote::client::Client;
use rekindle_remote::dir::Dir;
use rekindle_remote::runtime::Runtime;
use rekindle_remote::tiered::Tiered;
use rekindle_remote::tip::Tip;
use rekindle_testkit::blobs::{Traits, check};

use crate::lab::{LIMITS, Used, client, machine, put, restore, save};
use crate::support::{kind, name, noise, run};

/// A remote that is gone.
struct Gone;

fn gone<T>() -> Result<T, BlobError> {
    Err(BlobError::Unavailable("it is gone".to_owned()))
}

#[async_trait]
impl Blobs for Gone {
    async fn read(&self, _: &Name, _: Option<std::ops::Range<u64>>) -> Result<Bytes, BlobError> {
        gone()
    }
    async fn find(&self, _: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        gone()
    }
    async fn write(&self, _: &Name, _: Bytes, _: Kind) -> Result<Written, BlobError> {
        gone()
    }
    async fn list(&self, _: &str) -> Result<Vec<Listed>, BlobError> {
        gone()
    }
    async fn remove(&self, _: &Name) -> Result<(), BlobError> {
        gone()
    }
}

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

    fn path(&self, text: &str) -> PathBuf {
        self.dir.path().join(text)
    }

    fn one(&self, text: &str) -> Client {
        client(&self.runtime, Arc::new(Dir::new(self.path(text))))
    }

    fn gone(&self) -> Client {
        client(&self.runtime, Arc::new(Gone))
    }

    fn both(&self, tiers: Vec<Client>, fills: bool) -> Client {
        Client::tiered(tiers, fills, LIMITS, self.runtime.handle())
    }

    fn near_and_far(&self) -> Client {
        self.both(vec![self.one("near"), self.one("far")], true)
    }
}

/// Waits for what happens on the side.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A save that the far remote has alone.
fn saved_afar() -> (Lab, [Name; 1], [Used; 1]) {
    let lab = Lab::new();
    let here = machine(&lab.path("a"));
    let used = [put(&here, "unit", &noise(500_000, 1))];
    let names = [name("tips/one")];
    save(&lab.one("far"), &here, (None, &used), (&names, 1));
    (lab, names, used)
}

fn packs(remote: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(remote.join("packs"));
    let entries = entries.into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn two_are_one() {
    let lab = Lab::new();
    let tiers: Arc<[Client]> = [lab.one("near"), lab.one("far")].into();
    let tiered = Tiered::new(tiers, true, lab.runtime.handle());
    run(check(
        &tiered,
        Traits {
            is_atomic: false,
            ..Traits::default()
        },
    ));
}

#[test]
fn what_comes_from_afar_is_near_the_next_time() {
    let (lab, names, used) = saved_afar();
    let tiers = lab.near_and_far();
    restore(&tiers, &lab.path("c"), &names, &used);
    let near = lab.path("near");
    eventually("the pack is near", || !packs(&near).is_empty());
    eventually("the index is near", || near.join("index").exists());
    assert!(!near.join("tips").exists(), "a tip is not copied");
    let far = lab.one("far");
    restore(
        &lab.both(vec![lab.one("near"), far.clone()], true),
        &lab.path("d"),
        &names,
        &used,
    );
    assert_eq!(far.counts().requests, 1, "the tip");
}

#[test]
fn who_only_reads_fills_nothing() {
    let (lab, names, used) = saved_afar();
    let near = lab.one("near");
    let reader = lab.both(vec![near.clone(), lab.one("far")], false);
    restore(&reader, &lab.path("b"), &names, &used);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!lab.path("near").exists());
    assert_eq!(near.counts().bytes_up, 0);
}

#[test]
fn one_that_is_gone_fails_nobody() {
    for near_is_gone in [true, false] {
        let lab = Lab::new();
        let tiers = || {
            let (one, gone) = (lab.one("one"), lab.gone());
            let tiers = if near_is_gone {
                vec![gone, one]
            } else {
                vec![one, gone]
            };
            lab.both(tiers, true)
        };
        let here = machine(&lab.path("a"));
        let used = [put(&here, "unit", &noise(100_000, 1))];
        let names = [name("tips/one"), name("tips/two")];
        let writer = tiers();
        save(&writer, &here, (None, &used), (&names, 1));
        assert_eq!(
            writer.troubles(),
            Vec::<String>::new(),
            "it is asked no more, and nobody else suffers"
        );
        let reader = tiers();
        restore(&reader, &lab.path("b"), &names, &used);
        // Its breaker, not that of all.
        for _ in 0..4 {
            reader.find(&names).unwrap().unwrap();
        }
        assert_eq!(reader.troubles().len(), 1, "{:?}", reader.troubles());
        assert!(reader.counts().requests < 30, "{:?}", reader.counts());
    }
    let lab = Lab::new();
    let none = lab.both(vec![lab.gone(), lab.gone()], true);
    assert!(none.find(&[name("tips/one")]).is_err());
}

#[test]
fn one_that_missed_a_pack_gets_no_index() {
    let lab = Lab::new();
    // Its packs have no place to be in.
    std::fs::create_dir_all(lab.path("near")).unwrap();
    std::fs::write(lab.path("near/packs"), b"").unwrap();
    let here = machine(&lab.path("a"));
    let used = [put(&here, "unit", &noise(1000, 1))];
    let names = [name("tips/one")];
    save(&lab.near_and_far(), &here, (None, &used), (&names, 1));
    assert!(!lab.path("near/index").exists() && !lab.path("near/tips").exists());
    restore(&lab.one("far"), &lab.path("b"), &names, &used);
}

#[test]
fn what_is_damaged_near_is_read_from_afar_and_mended() {
    for spoilt in ["packs", "index", "tips"] {
        let lab = Lab::new();
        let here = machine(&lab.path("a"));
        let used = [put(&here, "unit", &noise(100_000, 1))];
        let names = [name("tips/one")];
        save(&lab.near_and_far(), &here, (None, &used), (&names, 1));
        let dir = std::fs::read_dir(lab.path("near").join(spoilt)).unwrap();
        for entry in dir {
            let path = entry.unwrap().path();
            let length = std::fs::read(&path).unwrap().len();
            std::fs::write(&path, vec![b'<'; length]).unwrap();
        }
        restore(&lab.near_and_far(), &lab.path("b"), &names, &used);
        if spoilt == "packs" {
            let is_mended = |path: &PathBuf| {
                let bytes = std::fs::read(path).unwrap_or_default();
                path.ends_with(Digest::of(&bytes).to_hex())
            };
            eventually("it is mended", || {
                let packs = packs(&lab.path("near"));
                packs.len() == 1 && packs.iter().all(is_mended)
            });
        }
    }
}

#[test]
fn the_best_name_wins_and_then_the_newest() {
    let lab = Lab::new();
    let names = [name("tips/commit"), name("tips/branch")];
    let write = |to: &Client, at: usize, at_ms: u64| {
        let tip = Tip {
            index: Digest::of(b"x"),
            index_bytes: 1,
            at_ms,
        };
        let bytes = Bytes::from(tip.encode(&names[at], None));
        to.write(&names[at], &bytes, Kind::Latest).unwrap();
    };
    let found = || {
        let (at, bytes) = lab.near_and_far().find(&names).unwrap().unwrap();
        (at, Tip::decode(&bytes, &names[at], None).unwrap().at_ms)
    };
    let (near, far) = (lab.one("near"), lab.one("far"));
    write(&near, 1, 5);
    write(&far, 1, 6);
    assert_eq!(found(), (1, 6));
    write(&near, 1, 7);
    assert_eq!(found(), (1, 7));
    write(&near, 0, 1);
    assert_eq!(found(), (0, 1));
}

#[test]
fn a_list_of_which_a_part_is_not_to_be_had_is_none() {
    let lab = Lab::new();
    let both = lab.both(vec![lab.one("near"), lab.gone()], true);
    assert!(both.list("packs/").is_err());
    let tiered = Tiered::new(
        [lab.one("a"), lab.one("b")].into(),
        true,
        lab.runtime.handle(),
    );
    run(async {
        assert_eq!(
            kind(&tiered.read_copy(&name("packs/a"), None, 2).await),
            "missing"
        );
    });
}
