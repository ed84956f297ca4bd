//! A remote, opened: what runs of cargo and `rekindle cache` have in common.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use rekindle::Surroundings;
use rekindle::remote::{RemoteSettings, addresses};
use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_events::StoreUsed;
use rekindle_key::pathset::PathSets;
use rekindle_remote::address::Address;
use rekindle_remote::ahead::Ahead;
use rekindle_remote::blobs::{Blobs, Name};
use rekindle_remote::client::{Client, Counts, Limits};
use rekindle_remote::far::Far;
use rekindle_remote::index::PackEntry;
use rekindle_remote::pull::{self, Found};
use rekindle_remote::push::{self, PushError, Save, Saved};
use rekindle_remote::runtime::Runtime;
use rekindle_remote::tip::Key;
use rekindle_remote::{Environment, Traffic, open};
use rekindle_snapshot::base::{Wanted, afar};
use rekindle_snapshot::model::Pointer;
use rekindle_snapshot::shared;
use rekindle_store::{LocalStore, Space, beyond};

/// Operations that run at once: enough for a link of 1 Gbit/s and 10 ms, and few for a provider's limits.
const AT_ONCE: usize = 8;

/// A remote that can be asked.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) key: Option<Key>,
    /// Whether this run may save: not where sccache's variables only read.
    pub(crate) writes: bool,
    traffic: Arc<Traffic>,
    /// What kind each of the remotes is, the nearest first.
    kinds: Vec<&'static str>,
}

impl Opened {
    /// Opens what the settings say. An error says why it cannot be used.
    pub(crate) fn new(
        settings: &RemoteSettings,
        surroundings: &Surroundings,
    ) -> Result<Self, String> {
        let key = settings.key.as_ref().map(|key| Key::parse(&key.0));
        // Without the key anybody's save would do: then rather none.
        let key = key
            .transpose()
            .map_err(|error| format!("its key is none: {error}"))?;
        let traffic = Arc::new(Traffic::default());
        let Blobbed {
            blobs,
            kinds,
            read_only,
        } = blobs(settings, surroundings, &traffic)?;
        let writes = settings.writes && !read_only;
        let runtime = Runtime::start().map_err(|error| error.to_string())?;
        let limits = Limits {
            operation: settings.deadline,
            patience: settings.patience,
            at_once: AT_ONCE,
        };
        let mut tiers: Vec<Client> = blobs
            .into_iter()
            .map(|blobs| Client::new(blobs, limits, runtime.handle()))
            .collect();
        let client = match (tiers.len(), tiers.pop()) {
            (1, Some(one)) => one,
            (_, last) => {
                tiers.extend(last);
                Client::tiered(tiers, writes, limits, runtime.handle())
            }
        };
        Ok(Self {
            client,
            writes,
            key,
            traffic,
            kinds,
        })
    }

    /// What was asked so far: as the kind of remote counts it where it does, since one operation may be several requests.
    pub(crate) fn counts(&self) -> Counts {
        let (counts, traffic) = (self.client.counts(), self.traffic.counted());
        Counts {
            requests: counts.requests.max(traffic.requests),
            bytes_down: counts.bytes_down.max(traffic.down_bytes),
            bytes_up: counts.bytes_up.max(traffic.up_bytes),
            ..counts
        }
    }

    /// As [`Opened::counts`], of each remote, the nearest first.
    pub(crate) fn counts_of_each(&self) -> Vec<StoreUsed> {
        let each = match self.client.counts_of_each() {
            one if one.len() == 1 => vec![self.counts()],
            several => several,
        };
        let each = self.kinds.iter().zip(each);
        let each = each.map(|(kind, counts)| StoreUsed {
            kind: (*kind).to_owned(),
            requests: counts.requests,
            failed: counts.failed,
            bytes_down: counts.bytes_down,
            bytes_up: counts.bytes_up,
        });
        each.collect()
    }

    /// The save that is found for `wanted`; its records are in the store then. Also says how many of these were new.
    pub(crate) fn look(
        &self,
        store: &LocalStore,
        wanted: &Wanted,
    ) -> Result<Option<(Found, u64)>, String> {
        let names = tips(&afar::names_to_read(wanted));
        let found = pull::find(&self.client, store, &names, self.key.as_ref());
        let found = found.map_err(|error| format!("no save was taken from the remote: {error}"))?;
        let Some(found) = found else {
            return Ok(None);
        };
        let new = pull::import(store, &found, &merged).and_then(|new| {
            afar::adopt(store, wanted, (found.at, &found.index.pointer)).map(|()| new)
        });
        let new =
            new.map_err(|error| format!("the remote's save could not be stored here: {error}"))?;
        Ok(Some((found, new)))
    }
}

/// Has this process read from a remote what the store lacks of the save that a build here would begin with. An error says why
/// the remote cannot tell what it has.
pub(crate) fn reach(
    (settings, surroundings): (&RemoteSettings, &Surroundings),
    store: &LocalStore,
    wanted: &Wanted,
) -> Result<(), String> {
    let opened = Opened::new(settings, surroundings)
        .map_err(|reason| format!("the remote cannot be used: {reason}"))?;
    if let Some((found, _)) = opened.look(store, wanted)? {
        let far = Far::new(opened.client, store.clone(), &found.index, None);
        beyond::set(store.dir(), Arc::new(far));
    }
    Ok(())
}

/// What the settings name.
struct Blobbed {
    /// The blobs of each remote, the nearest first.
    blobs: Vec<Arc<dyn Blobs>>,
    kinds: Vec<&'static str>,
    /// Whether they are only to be read, as sccache's variables may say.
    read_only: bool,
}

fn blobs(
    settings: &RemoteSettings,
    surroundings: &Surroundings,
    traffic: &Arc<Traffic>,
) -> Result<Blobbed, String> {
    let texts = surroundings.vars.iter();
    let texts = texts.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    let environment = Environment::new(texts, surroundings.home.clone());
    let (all, read_only) = match &settings.url {
        Some(url) => {
            let all = addresses(url).into_iter().map(str::parse::<Address>);
            let all: Result<Vec<Address>, _> = all.collect();
            (all.map_err(|error| error.to_string())?, false)
        }
        None => {
            let found = Address::from_variables(&environment).map_err(|error| error.to_string())?;
            let found = found.ok_or_else(|| "sccache's variables name none".to_owned())?;
            (vec![found.address], found.read_only == Some(true))
        }
    };
    let kinds = all.iter().map(Address::kind).collect();
    let opened = all
        .iter()
        .map(|address| open(address, &environment, traffic));
    let opened: Result<Vec<Arc<dyn Blobs>>, _> = opened.collect();
    let opened = opened.map_err(|error| error.to_string())?;
    if opened.is_empty() {
        return Err("no address is given".to_owned());
    }
    #[cfg(feature = "failpoints")]
    let opened = match std::env::var_os("REKINDLE_REMOTE_FAULT") {
        None => opened,
        Some(fault) => faulty(opened, &fault.to_string_lossy())?,
    };
    Ok(Blobbed {
        blobs: opened,
        kinds,
        read_only,
    })
}

/// The same blobs, which go wrong as tests ask for.
#[cfg(feature = "failpoints")]
fn faulty(blobs: Vec<Arc<dyn Blobs>>, fault: &str) -> Result<Vec<Arc<dyn Blobs>>, String> {
    let faulty = rekindle_remote::faulty::Faulty::from_text;
    let faulty = blobs.into_iter().map(|blobs| {
        let faulty = faulty(blobs, fault).ok_or_else(|| "no such fault".to_owned())?;
        Ok(Arc::new(faulty) as Arc<dyn Blobs>)
    });
    faulty.collect()
}

/// Names of tips among a remote's blobs.
fn tips(names: &[Digest]) -> Vec<Name> {
    names
        .iter()
        .map(|name| Name::of_digest("tips", name))
        .collect()
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

/// A save that is to be made; it owns all that it needs, to be made on a thread of its own.
pub(crate) struct Job {
    pub(crate) store: LocalStore,
    pub(crate) client: Client,
    pub(crate) key: Option<Key>,
    pub(crate) wanted: Wanted,
    pub(crate) lock: PathBuf,
    /// The directory of the run, which has noted what it used.
    pub(crate) run_dir: Option<PathBuf>,
    /// What was found before.
    pub(crate) found: Option<Arc<Found>>,
    /// What the run asked the remote for.
    pub(crate) reads: Vec<Digest>,
    /// What sent meanwhile what was published.
    pub(crate) ahead: Option<Ahead>,
    /// The packs that it found gone or damaged.
    pub(crate) lost: HashSet<Digest>,
}

impl Job {
    /// Makes it; `None` where nothing was built here that could be saved, or this key cannot sign.
    pub(crate) fn run(mut self) -> Result<Option<Saved>, PushError> {
        let ahead = self.ahead.take().map(Ahead::stop).unwrap_or_default();
        let may_sign = self.key.as_ref().is_none_or(Key::can_sign);
        let made = afar::made(&self.store, &self.wanted).filter(|_| may_sign);
        let Some((mut pointer, mut payload)) = made else {
            return Ok(None);
        };
        let names = tips(&afar::names_to_write(&self.wanted, pointer.clean));
        let used = self.used();
        let key = self.key.clone();
        let key = (names.as_slice(), key.as_ref());
        let own = self.found.clone();
        let trees = |pointer: &Pointer| -> Vec<Digest> {
            pointer.trees.iter().map(|(_, tree)| *tree).collect()
        };
        let mut parts = Parts::new(&self.store, (trees(&pointer), &used), &ahead);
        let save = self.save(own.as_deref(), (&pointer, &payload), &parts);
        if push::adds_nothing(&self.store, &names, &save) {
            return Ok(Some(Saved::default()));
        }
        // Another job may have saved the same commit meanwhile.
        let theirs = self.theirs(names.get(..1).unwrap_or_default());
        let found = theirs.as_ref().or(own.as_deref());
        if let Some(found) = found
            && let Some(joined) = afar::joined(&self.store, &pointer, &found.index.pointer)
        {
            (pointer, payload) = joined;
            parts = Parts::new(&self.store, (trees(&pointer), &used), &ahead);
        }
        let save = self.save(found, (&pointer, &payload), &parts);
        push::save(&self.client, &self.store, key, &save).map(Some)
    }

    /// The records that the run used or made, and those of the packages that it may have read.
    fn used(&self) -> Vec<(Space, Digest)> {
        let noted = self.run_dir.as_deref().map(beyond::noted);
        let mut used = noted.unwrap_or_default();
        let packages = shared::packages(&self.store, &self.lock);
        used.extend(packages.into_iter().map(|key| (Space::Packages, key)));
        used.sort_unstable();
        used.dedup();
        used
    }

    fn save<'a>(
        &'a self,
        base: Option<&'a Found>,
        (pointer, payload): (&Pointer, &'a [u8]),
        parts: &'a Parts<'a>,
    ) -> Save<'a> {
        let same_trees = base.is_some_and(|found| {
            afar::trees(&found.index.pointer).as_ref() == Some(&pointer.trees)
        });
        Save {
            base,
            pointer: payload,
            trees: &parts.trees,
            same_trees,
            used: parts.used,
            first: &parts.first,
            ahead: parts.ahead,
            left_out: &parts.objects.left_out,
            lost: &self.lost,
            reads: self.reads.clone(),
            at_ms: SystemClock::default().now().0,
        }
    }

    /// What was saved under this name since this run began, with what that run's base has besides. Where it cannot be had, this
    /// save is made as if there were none.
    fn theirs(&self, names: &[Name]) -> Option<Found> {
        let found = pull::find(&self.client, &self.store, names, self.key.as_ref());
        let mut theirs = found.ok().flatten()?;
        let own = self.found.as_deref();
        if own.is_some_and(|own| own.digest == theirs.digest) {
            return None;
        }
        pull::import(&self.store, &theirs, &merged).ok()?;
        if let Some(own) = own {
            theirs.index.join(&own.index);
        }
        Some(theirs)
    }
}

/// What a save is made of.
struct Parts<'a> {
    trees: Vec<Digest>,
    used: &'a [(Space, Digest)],
    ahead: &'a [PackEntry],
    objects: shared::Objects,
    first: Vec<Digest>,
}

impl<'a> Parts<'a> {
    fn new(
        store: &LocalStore,
        (trees, used): (Vec<Digest>, &'a [(Space, Digest)]),
        ahead: &'a [PackEntry],
    ) -> Self {
        let objects = shared::objects(store, &trees);
        Self {
            trees,
            used,
            ahead,
            first: objects.placed.iter().map(|(digest, _)| *digest).collect(),
            objects,
        }
    }
}
