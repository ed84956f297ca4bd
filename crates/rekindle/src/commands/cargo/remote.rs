//! A store that many machines share, around a run of cargo: find a save before it, answer who asks meanwhile, save after.
//!
//! A fault here costs a warning and a bounded time, and the build goes on with what this machine has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rekindle::remote::RemoteSettings;
use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_events::{Event, EventKind, RemotePulled, RemotePushed, RemoteUsed};
use rekindle_key::pathset::PathSets;
use rekindle_remote::blobs::{Blobs, Name};
use rekindle_remote::broker::Broker;
use rekindle_remote::client::{Client, Limits};
use rekindle_remote::dir::Dir;
use rekindle_remote::far::Far;
use rekindle_remote::index::Index;
use rekindle_remote::pull::{self, Found};
use rekindle_remote::push::{self, PushError, Save, Saved};
use rekindle_remote::runtime::Runtime;
use rekindle_remote::tip::Key;
use rekindle_snapshot::base::{Wanted, afar};
use rekindle_snapshot::shared;
use rekindle_store::{LocalStore, Space, beyond};

use super::snapshots::{micros, now, warning};

/// Operations that run at once: enough for a link of 1 Gbit/s and 10 ms, and few for a provider's limits.
const AT_ONCE: usize = 8;

/// A remote in a run.
pub(super) struct Remote {
    settings: RemoteSettings,
    key: Option<Key>,
    store: LocalStore,
    run_dir: Option<PathBuf>,
    client: Client,
    found: Option<Arc<Found>>,
    far: Arc<Far>,
    broker: Option<Broker>,
    // The last to go: what is above may wait for it.
    _runtime: Runtime,
}

/// Opens a remote by its address.
fn open(url: &str) -> Result<Arc<dyn Blobs>, String> {
    match url.strip_prefix("file://") {
        Some(path) if path.starts_with('/') => Ok(Arc::new(Dir::new(path.into()))),
        _ => Err("write `file:///` and an absolute path".to_owned()),
    }
}

impl Remote {
    /// Looks for a save and brings its records. `None` where the remote is not used in this run.
    pub(super) fn pull(
        settings: &RemoteSettings,
        store: &LocalStore,
        (wanted, run_dir): (&Wanted, Option<&Path>),
    ) -> (Option<Self>, Vec<Event>) {
        let began = Instant::now();
        let unusable = |reason: String| {
            let message = format!("the remote cannot be used: {reason}");
            (None, vec![warning("remote-unusable", message)])
        };
        let key = settings.key.as_ref().map(|key| Key::parse(&key.0));
        let key = match key.transpose() {
            Ok(key) => key,
            // Without the key anybody's save would do: then rather none.
            Err(error) => return unusable(format!("its key is none: {error}")),
        };
        let opened = open(&settings.url).and_then(|blobs| {
            let runtime = Runtime::start().map_err(|error| error.to_string())?;
            Ok((blobs, runtime))
        });
        let (blobs, runtime) = match opened {
            Ok(opened) => opened,
            Err(reason) => return unusable(reason),
        };
        let limits = Limits {
            operation: settings.deadline,
            patience: settings.patience,
            at_once: AT_ONCE,
        };
        let client = Client::new(blobs, limits, runtime.handle());
        let mut events = Vec::new();
        let found = found(&client, store, (wanted, key.as_ref()), &mut events);
        let index = found.as_ref().map(|(found, _)| &found.index);
        let none = Index::default();
        let far = Arc::new(Far::new(
            client.clone(),
            store.clone(),
            index.unwrap_or(&none),
            run_dir.map(Path::to_owned),
        ));
        let (objects, object_bytes) = far.whole();
        events.push(now(EventKind::RemotePulled(RemotePulled {
            found: found.is_some(),
            index_bytes: found.as_ref().map_or(0, |(found, _)| found.index_bytes),
            new_records: found.as_ref().map_or(0, |(_, new)| *new),
            objects,
            object_bytes,
            time_us: micros(began),
        })));
        beyond::set(store.dir(), Arc::clone(&far) as Arc<dyn beyond::Beyond>);
        let broker = run_dir.map(|dir| Broker::start(dir, Arc::clone(&far) as _));
        let broker = broker.transpose().unwrap_or_else(|error| {
            let message = format!("compilers cannot ask the remote for what they read: {error}");
            events.push(warning("remote-no-broker", message));
            None
        });
        let remote = Self {
            settings: settings.clone(),
            key,
            store: store.clone(),
            run_dir: run_dir.map(Path::to_owned),
            client,
            found: found.map(|(found, _)| Arc::new(found)),
            far,
            broker,
            _runtime: runtime,
        };
        (Some(remote), events)
    }

    /// Ends its use; where `made` says what the run was about, saves first. Waits no longer than the settings say.
    pub(super) fn finish(mut self, made: Option<(&Wanted, PathBuf)>) -> Vec<Event> {
        // Nobody asks any more, and what is read for the save is no use of it.
        drop(self.broker.take());
        beyond::unset();
        let mut events = Vec::new();
        if let Some((wanted, lock)) = made.filter(|_| self.settings.writes) {
            events.extend(self.save(wanted, lock));
        }
        for trouble in self.client.troubles() {
            let message = format!("the remote was left alone: {trouble}");
            events.push(warning("remote-failed", message));
        }
        let (counts, fetched) = (self.client.counts(), self.far.fetched());
        events.push(now(EventKind::RemoteUsed(RemoteUsed {
            requests: counts.requests,
            failed: counts.failed,
            bytes_down: counts.bytes_down,
            bytes_up: counts.bytes_up,
            fetched: fetched.objects,
            fetched_bytes: fetched.bytes,
            unread_bytes: self.far.whole().1.saturating_sub(fetched.bytes),
            waited_us: fetched.waited_us,
        })));
        events
    }

    fn save(&self, wanted: &Wanted, lock: PathBuf) -> Option<Event> {
        let began = Instant::now();
        if self.key.as_ref().is_some_and(|key| !key.can_sign()) {
            return None;
        }
        let job = Job {
            made: afar::made(&self.store, wanted)?,
            wanted: wanted.clone(),
            lock,
            run_dir: self.run_dir.clone(),
            store: self.store.clone(),
            client: self.client.clone(),
            key: self.key.clone(),
            found: self.found.clone(),
            reads: self.far.asked(),
        };
        let (sender, receiver) = mpsc::channel();
        // Not joined: what takes too long ends with the process, and nothing leads to what was written until then.
        std::thread::spawn(move || sender.send(job.run()));
        let result = receiver.recv_timeout(self.settings.linger);
        Some(match result {
            Ok(Ok(saved)) => now(EventKind::RemotePushed(RemotePushed {
                packs: saved.packs,
                objects: saved.objects,
                records: saved.records,
                indexed: saved.indexed,
                time_us: micros(began),
            })),
            Ok(Err(error)) => warning(
                "remote-not-saved",
                format!("nothing was saved to the remote: {error}"),
            ),
            Err(_) => late(self.settings.linger),
        })
    }
}

fn late(linger: Duration) -> Event {
    let message = format!(
        "nothing was saved to the remote, which took longer than {} s: set {} to wait longer",
        linger.as_secs(),
        rekindle_base::env::REKINDLE_REMOTE_LINGER
    );
    warning("remote-not-saved", message)
}

/// Names of tips among a remote's blobs.
fn tips(names: &[Digest]) -> Vec<Name> {
    names
        .iter()
        .map(|name| Name::of_digest("tips", name))
        .collect()
}

/// The save that is found, with the number of its records that were new here.
fn found(
    client: &Client,
    store: &LocalStore,
    (wanted, key): (&Wanted, Option<&Key>),
    events: &mut Vec<Event>,
) -> Option<(Found, u64)> {
    let names = tips(&afar::names_to_read(wanted));
    let found = match pull::find(client, store, &names, key) {
        Ok(found) => found?,
        Err(error) => {
            let message = format!("no save was taken from the remote: {error}");
            events.push(warning("remote-not-read", message));
            return None;
        }
    };
    let imported = pull::import(store, &found, &merged)
        .and_then(|new| afar::adopt(store, wanted, (found.at, &found.index.pointer)).map(|()| new));
    match imported {
        Ok(new) => Some((found, new)),
        Err(error) => {
            let message = format!("the remote's save could not be stored here: {error}");
            events.push(warning("remote-not-stored", message));
            None
        }
    }
}

/// Puts path sets together; of other records the local one stays.
fn merged(space: Space, local: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    if space != Space::PathSets {
        return None;
    }
    let (local, theirs) = (PathSets::decode(local)?, PathSets::decode(theirs)?);
    let mut sets = theirs;
    let mut is_new = false;
    // The newest is put first last.
    let local: Vec<_> = local.iter().cloned().collect();
    for set in local.into_iter().rev() {
        is_new |= sets.promote(set);
    }
    is_new.then(|| sets.encode())
}

/// A save, on a thread of its own.
struct Job {
    made: (rekindle_snapshot::model::Pointer, Vec<u8>),
    wanted: Wanted,
    lock: PathBuf,
    run_dir: Option<PathBuf>,
    store: LocalStore,
    client: Client,
    key: Option<Key>,
    found: Option<Arc<Found>>,
    reads: Vec<Digest>,
}

impl Job {
    fn run(self) -> Result<Saved, PushError> {
        let (pointer, payload) = &self.made;
        let trees: Vec<Digest> = pointer.trees.iter().map(|(_, tree)| *tree).collect();
        let noted = self.run_dir.as_deref().map(beyond::noted);
        let mut used = noted.unwrap_or_default();
        let packages = shared::packages(&self.store, &self.lock);
        used.extend(packages.into_iter().map(|key| (Space::Packages, key)));
        used.sort_unstable();
        used.dedup();
        let objects = shared::objects(&self.store, &trees);
        let first: Vec<Digest> = objects.placed.iter().map(|(digest, _)| *digest).collect();
        let save = Save {
            base: self.found.as_deref(),
            pointer: payload,
            trees: &trees,
            used: &used,
            first: &first,
            left_out: &objects.incremental,
            reads: self.reads,
            at_ms: SystemClock::default().now().0,
        };
        let names = tips(&afar::names_to_write(&self.wanted, pointer.clean));
        push::save(
            &self.client,
            &self.store,
            (&names, self.key.as_ref()),
            &save,
        )
    }
}
