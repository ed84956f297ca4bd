//! A store that many machines share, around a run of cargo: find a save before it, answer who asks meanwhile, save after.
//!
//! A fault here costs a warning and a bounded time, and the build goes on with what this machine has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rekindle::Surroundings;
use rekindle::ci::Service;
use rekindle::remote::RemoteSettings;
use rekindle_base::Digest;
use rekindle_events::{Event, EventKind, RemotePulled, RemotePushed, RemoteUsed};
use rekindle_remote::ahead::Ahead;
use rekindle_remote::broker::Broker;
use rekindle_remote::far::Far;
use rekindle_remote::index::Index;
use rekindle_remote::pull::Found;
use rekindle_remote::tip::Key;
use rekindle_snapshot::base::{Wanted, afar};
use rekindle_snapshot::shared;
use rekindle_store::{LocalStore, beyond};

use super::snapshots::{micros, now, warning};
use crate::commands::remote::{Job, Opened};
use crate::commands::remote_history;

/// A run that saves nothing waits no longer for what others' runs came to.
const HISTORY: Duration = Duration::from_secs(5);
/// What is fetched on a guess is no larger than this, each.
const GUESSED_BYTES: u64 = 1 << 20;

/// A remote in a run.
pub(super) struct Remote {
    settings: RemoteSettings,
    store: LocalStore,
    run_dir: Option<PathBuf>,
    found: Option<Arc<Found>>,
    far: Arc<Far>,
    broker: Option<Broker>,
    ahead: Option<Ahead>,
    history: Option<SharedHistory>,
    opened: Opened,
    project: Digest,
    /// Whether the run's end says what changed since others' runs.
    compares: bool,
}

/// The project's history on its way: taken in already, and, in a run that writes, given back when it is told
/// that this run is in it.
struct SharedHistory {
    told: mpsc::Sender<()>,
    given: mpsc::Receiver<Result<(), String>>,
}

impl Remote {
    /// Looks for a save and brings its records. `None` where the remote is not used in this run.
    pub(super) fn pull(
        (settings, surroundings): (&RemoteSettings, &Surroundings),
        store: &LocalStore,
        (wanted, run_dir): (&Wanted, Option<&Path>),
    ) -> (Option<Self>, Vec<Event>) {
        let began = Instant::now();
        let opened = match Opened::new(settings, surroundings) {
            Ok(opened) => opened,
            Err(reason) => {
                let message = format!("the remote cannot be used: {reason}");
                return (None, vec![warning("remote-unusable", message)]);
            }
        };
        let mut events = Vec::new();
        let found = opened.look(store, wanted).unwrap_or_else(|message| {
            events.push(warning("remote-not-read", message));
            None
        });
        let (found, new_records) = found.map_or((None, 0), |(found, new)| (Some(found), new));
        let none = Index::default();
        let index = found.as_ref().map_or(&none, |found| &found.index);
        let run_dir = run_dir.map(Path::to_owned);
        let far = Far::new(opened.client.clone(), store.clone(), index, run_dir.clone());
        let far = Arc::new(far);
        let (objects, object_bytes) = far.whole();
        events.push(now(EventKind::RemotePulled(RemotePulled {
            found: found.is_some(),
            index_bytes: found.as_ref().map_or(0, |found| found.index_bytes),
            new_records,
            objects,
            object_bytes,
            time_us: micros(began),
        })));
        beyond::set(store.dir(), Arc::clone(&far) as Arc<dyn beyond::Beyond>);
        let broker = run_dir
            .as_deref()
            .map(|dir| Broker::start(dir, Arc::clone(&far) as _));
        let broker = broker.transpose().unwrap_or_else(|error| {
            let message = format!("compilers cannot ask the remote for what they read: {error}");
            events.push(warning("remote-no-broker", message));
            None
        });
        let can_sign = opened.key.as_ref().is_none_or(Key::can_sign);
        let ahead = run_dir.as_deref().filter(|_| opened.writes && can_sign);
        let ahead = ahead.and_then(|dir| {
            let known = index.places().into_keys().collect();
            Ahead::start(opened.client.clone(), store.clone(), (dir, known))
        });
        let remote = Self {
            settings: settings.clone(),
            store: store.clone(),
            run_dir,
            found: found.map(Arc::new),
            far,
            broker,
            ahead,
            history: None,
            opened,
            project: wanted.project,
            compares: Service::of(surroundings).is_some(),
        };
        (Some(remote), events)
    }

    /// Begins to fetch what a restore of the save's trees places with its bytes, before it is known which of it is valid:
    /// little, and mostly all of it is.
    pub(super) fn fetch_placed(&self) {
        let Some(found) = &self.found else {
            return;
        };
        let trees = afar::trees(&found.index.pointer).unwrap_or_default();
        let (far, store) = (Arc::clone(&self.far), self.store.clone());
        // Not joined: whoever places it waits for what is on its way.
        std::thread::spawn(move || {
            let trees: Vec<Digest> = trees.into_iter().map(|(_, tree)| tree).collect();
            let placed = shared::objects(&store, &trees).placed;
            let small = placed.iter().filter(|(_, size)| *size <= GUESSED_BYTES);
            let small: Vec<Digest> = small.map(|(digest, _)| *digest).collect();
            far.fetch(&small);
        });
    }

    /// Fetches meanwhile what compilers are going to read in a run that has something to build: what is known of the units
    /// that were left out, else what the last run read.
    pub(super) fn prefetch(&self, known: Vec<Digest>) {
        let far = Arc::clone(&self.far);
        let last = || Some(self.found.as_ref()?.index.reads.clone());
        let reads = Some(known).filter(|known| !known.is_empty()).or_else(last);
        if let Some(reads) = reads.filter(|reads| !reads.is_empty()) {
            // Not joined: what is not there when cargo has ended nobody needs.
            std::thread::spawn(move || far.prefetch(&reads));
        }
    }

    /// Begins to take in the project's history, where this run is going to add to it or to compare itself with it.
    pub(super) fn take_history(&mut self) {
        let (project, writes) = (self.project, self.opened.writes);
        if !writes && !self.compares {
            return;
        }
        let (client, store_dir) = (self.opened.client.clone(), self.store.dir().to_owned());
        let (told, is_told) = mpsc::channel::<()>();
        let (sender, given) = mpsc::channel();
        std::thread::spawn(move || {
            let mut done = remote_history::take(&client, &store_dir, &project);
            if writes {
                if is_told.recv().is_err() {
                    return;
                }
                done = done.and_then(|()| remote_history::give(&client, &store_dir, &project));
            }
            // Nobody may wait for it any more.
            let _ = sender.send(done);
        });
        self.history = Some(SharedHistory { told, given });
    }

    /// Ends its use; where `made` says what the run was about, saves first. Waits no longer than the settings say.
    pub(super) fn finish(mut self, made: Option<(Wanted, PathBuf)>) -> Vec<Event> {
        // Nobody asks any more, and what is read for the save is no use of it.
        drop(self.broker.take());
        beyond::unset();
        let mut events = Vec::new();
        // A run that was interrupted, or failed, is compared with nothing.
        let compares = self.compares && made.is_some();
        if let Some((wanted, lock)) = made.filter(|_| self.opened.writes) {
            let began = Instant::now();
            let history = self.history.take();
            // It goes up beside the save.
            let history = history.filter(|history| history.told.send(()).is_ok());
            events.extend(self.save(&wanted, lock));
            let left = self.settings.linger.saturating_sub(began.elapsed());
            events.extend(history.and_then(|history| history.shared(left)));
        } else if let Some(history) = self.history.take().filter(|_| compares) {
            // Where it is not had in time the report compares with what is here.
            let _ = history.shared(HISTORY);
        }
        for trouble in self.opened.client.troubles() {
            let message = format!("the remote was left alone: {trouble}");
            events.push(warning("remote-failed", message));
        }
        let (counts, fetched) = (self.opened.counts(), self.far.fetched());
        events.push(now(EventKind::RemoteUsed(RemoteUsed {
            requests: counts.requests,
            failed: counts.failed,
            bytes_down: counts.bytes_down,
            bytes_up: counts.bytes_up,
            fetched: fetched.objects,
            fetched_bytes: fetched.bytes,
            unread_bytes: self.far.whole().1.saturating_sub(fetched.bytes),
            waited_us: fetched.waited_us,
            stores: self.opened.counts_of_each(),
        })));
        events
    }

    fn save(&mut self, wanted: &Wanted, lock: PathBuf) -> Option<Event> {
        let began = Instant::now();
        let job = Job {
            store: self.store.clone(),
            client: self.opened.client.clone(),
            key: self.opened.key.clone(),
            wanted: wanted.clone(),
            lock,
            run_dir: self.run_dir.clone(),
            found: self.found.clone(),
            reads: self.far.asked(),
            ahead: self.ahead.take(),
            lost: self.far.lost_packs(),
        };
        let (sender, receiver) = mpsc::channel();
        // Not joined: what takes too long ends with the process, and nothing leads to what was written until then.
        std::thread::spawn(move || sender.send(job.run()));
        match receiver.recv_timeout(self.settings.linger) {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(saved))) => Some(now(EventKind::RemotePushed(RemotePushed {
                packs: saved.packs,
                objects: saved.objects,
                records: saved.records,
                indexed: saved.indexed,
                time_us: micros(began),
            }))),
            Ok(Err(error)) => {
                let message = format!("nothing was saved to the remote: {error}");
                Some(warning("remote-not-saved", message))
            }
            Err(_) => Some(late(self.settings.linger)),
        }
    }
}

impl SharedHistory {
    /// Waits until all that is to be done with it is done; a warning where it is not.
    fn shared(&self, at_most: Duration) -> Option<Event> {
        match self.given.recv_timeout(at_most) {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(not_shared(&why)),
            Err(_) => Some(not_shared("there was no time left for it")),
        }
    }
}

/// That people who look at the history elsewhere do not see this run.
fn not_shared(why: &str) -> Event {
    warning(
        "history-not-shared",
        format!("the history was not shared: {why}"),
    )
}

fn late(linger: Duration) -> Event {
    let message = format!(
        "nothing was saved to the remote, which took longer than {} s: set {} to wait longer",
        linger.as_secs(),
        rekindle_base::env::REKINDLE_REMOTE_LINGER
    );
    warning("remote-not-saved", message)
}
