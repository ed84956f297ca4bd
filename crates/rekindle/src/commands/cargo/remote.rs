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
use rekindle_remote::client::Client;
use rekindle_remote::far::Far;
use rekindle_remote::index::Index;
use rekindle_remote::pull::Found;
use rekindle_remote::tip::Key;
use rekindle_snapshot::base::Wanted;
use rekindle_store::{LocalStore, beyond};

use super::snapshots::{micros, now, warning};
use crate::commands::remote::{Job, Opened};
use crate::commands::remote_history;

/// A run that saves nothing waits no longer for what others' runs came to.
const HISTORY: Duration = Duration::from_secs(5);

/// What is done with a remote's history: [`remote_history`].
type Exchange = fn(&Client, &Path, &Digest) -> Result<(), String>;

/// A remote in a run.
pub(super) struct Remote {
    settings: RemoteSettings,
    store: LocalStore,
    run_dir: Option<PathBuf>,
    found: Option<Arc<Found>>,
    far: Arc<Far>,
    broker: Option<Broker>,
    ahead: Option<Ahead>,
    opened: Opened,
    project: Digest,
    /// Whether the run's end says what changed since others' runs.
    compares: bool,
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
            opened,
            project: wanted.project,
            compares: Service::of(surroundings).is_some(),
        };
        (Some(remote), events)
    }

    /// Fetches meanwhile what the last run read, for a run that has something to build.
    pub(super) fn prefetch(&self) {
        let far = Arc::clone(&self.far);
        let reads = self.found.as_ref().map(|found| found.index.reads.clone());
        let reads = reads.filter(|reads| !reads.is_empty());
        if let Some(reads) = reads {
            // Not joined: what is not there when cargo has ended nobody needs.
            std::thread::spawn(move || far.prefetch(&reads));
        }
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
            events.extend(self.save(&wanted, lock));
            let left = self.settings.linger.saturating_sub(began.elapsed());
            events.extend(self.with_history(remote_history::give, left));
        } else if compares {
            // Where it is not had in time the report compares with what is here.
            let _ = self.with_history(remote_history::take, HISTORY);
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

    /// Puts this run into the history that others see, or takes that in.
    fn with_history(&self, exchange: Exchange, at_most: Duration) -> Option<Event> {
        let project = self.project;
        let (client, store_dir) = (self.opened.client.clone(), self.store.dir().to_owned());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(exchange(&client, &store_dir, &project)));
        match receiver.recv_timeout(at_most) {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(not_shared(&why)),
            Err(_) => Some(not_shared("there was no time left for it")),
        }
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
