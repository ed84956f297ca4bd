//! Saving: what a run made and used goes into packs, an index and tips, in this order.
//!
//! A save is a delta: of a base's index all that is still of use is taken over, and only objects that no pack of it has
//! go up. Whoever dies on the way leaves packs that nothing leads to. Of two who save under one name at once, the later
//! tip stays; both indexes are whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rekindle_base::{Digest, parallel, progress};
use rekindle_store::{LocalStore, Record, Space, Store};

use crate::blobs::{Kind, Name};
use crate::client::{Client, ClientError};
use crate::compact;
use crate::far::{index_name, pack_name};
use crate::index::{Index, MAX_PACKS, PackEntry, Shared};
use crate::pack::{Builder, Class};
use crate::pull::{Found, keep_index};
use crate::tip::{Key, Tip};

/// A pack is closed when it is this long: large enough that a cold save is few requests, small enough that several are under
/// way at once and a retry costs little.
pub(crate) const PACK_BYTES: u64 = 32 << 20;
/// Objects are dealt to packs by this many bytes before they are packed: compiled code comes to a third or a quarter.
pub(crate) const RAW_BYTES: u64 = 96 << 20;
/// The fewest bytes that are dealt to one pack, where there are too few for several large ones: packs that are so small that
/// a later save puts them together are no gain.
const RAW_BYTES_MIN: u64 = 32 << 20;
/// Packs that are made at once; each is in memory.
const AT_ONCE: usize = 4;
/// Threads that compress one large object: each has tens of megabytes of its own.
const OBJECT_THREADS_MAX: usize = 4;

/// What to save.
#[derive(Debug)]
pub struct Save<'a> {
    /// What was found before the run.
    pub base: Option<&'a Found>,
    /// The payload of the pointer to the trees.
    pub pointer: &'a [u8],
    /// The trees.
    pub trees: &'a [Digest],
    /// Whether the base's pointer leads to these very trees.
    pub same_trees: bool,
    /// Records that the run used or made.
    pub used: &'a [(Space, Digest)],
    /// Objects that a restore places with their bytes: they go first, so that they lie together.
    pub first: &'a [Digest],
    /// Packs that are up already.
    pub ahead: &'a [PackEntry],
    /// Objects that are not sent, though trees refer to them.
    pub left_out: &'a HashSet<Digest>,
    /// Packs of the base that are gone or damaged: what was in them goes up again.
    pub lost: &'a HashSet<Digest>,
    /// What the run asked for.
    pub reads: Vec<Digest>,
    /// Now, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What a save came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Packs that were written.
    pub packs: u64,
    /// Objects in them.
    pub objects: u64,
    /// Records that the base did not have as they are now.
    pub records: u64,
    /// Whether an index was written: not where the base's says it all.
    pub indexed: bool,
    /// Records that were left out since the store has lost what they refer to.
    pub incomplete: u64,
}

/// Why a save came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The remote did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It could not be packed.
    #[error("it could not be packed: {0}")]
    Pack(#[from] std::io::Error),
    /// More packs than an index may name.
    #[error("an index names no more than {MAX_PACKS} packs")]
    TooMany,
}

/// Saves under all of these names.
///
/// # Errors
/// [`PushError`]: nothing leads to what was written until then.
pub fn save(
    client: &Client,
    store: &LocalStore,
    (names, key): (&[Name], Option<&Key>),
    save: &Save<'_>,
) -> Result<Saved, PushError> {
    let mut saved = Saved::default();
    let (mut index, mut wanted) = drafted(store, (save, save.lost), &mut saved);
    let is_new = |saved: &Saved| {
        !save.ahead.is_empty() || saved.records > 0 || !save.same_trees || !save.lost.is_empty()
    };
    if is_new(&saved) || !wanted.is_empty() {
        let gone = compact::gone(client, save.base.map(|base| &base.index));
        if !gone.is_empty() {
            let lost = save.lost.union(&gone).copied().collect();
            saved = Saved::default();
            (index, wanted) = drafted(store, (save, &lost), &mut saved);
        }
        wanted.extend(compact::rewritten(client, store, &mut index));
    }
    let missing = in_order(store, wanted, save.first);
    for pack in save.lost {
        // Its name may be wanted again, and a name that is taken is not written.
        let _ = client.remove(&pack_name(pack));
    }
    let packs = upload(client, store, &missing, &mut saved)?;
    let same = save.base.filter(|_| !is_new(&saved) && packs.is_empty());
    if same.is_some_and(|base| Some(&base.name) == names.first()) {
        // What it was found by leads there already, and was written after the others.
        return Ok(saved);
    }
    let (digest, index_bytes) = match same {
        Some(base) => (base.digest, base.index_bytes),
        None => {
            index.packs.extend(packs);
            if index.packs.len() > MAX_PACKS {
                return Err(PushError::TooMany);
            }
            let bytes = Bytes::from(index.encode()?);
            let digest = Digest::of(&bytes);
            client.write(&index_name(&digest), &bytes, Kind::Once)?;
            keep_index(store, &digest, &bytes);
            saved.indexed = true;
            (digest, bytes.len() as u64)
        }
    };
    let tip = Tip {
        index: digest,
        index_bytes,
        at_ms: save.at_ms,
    };
    let point = |name: &Name| {
        let bytes = Bytes::from(tip.encode(name, key));
        client.write(name, &bytes, Kind::Latest)
    };
    // The best name last: whoever sees it sees the others.
    if let Some((best, others)) = names.split_first() {
        let pointed = parallel::map_at_most(client.limits().at_once, others, point);
        pointed.into_iter().collect::<Result<Vec<_>, _>>()?;
        point(best)?;
    }
    Ok(saved)
}

/// Whether a base, found by the first of these names, says all that a save would: then nothing need be asked or written.
#[must_use]
pub fn adds_nothing(store: &LocalStore, names: &[Name], save: &Save<'_>) -> bool {
    let is_named = save
        .base
        .is_some_and(|base| Some(&base.name) == names.first());
    if !is_named || !save.same_trees || !save.ahead.is_empty() || !save.lost.is_empty() {
        return false;
    }
    let mut saved = Saved::default();
    let (_, wanted) = drafted(store, (save, save.lost), &mut saved);
    saved.records == 0 && wanted.is_empty()
}

/// The index as it will be but for new packs, and the objects that these must have.
fn drafted(
    store: &LocalStore,
    (save, lost): (&Save<'_>, &HashSet<Digest>),
    saved: &mut Saved,
) -> (Index, Vec<Digest>) {
    let mut index = save.base.map(|base| base.index.clone()).unwrap_or_default();
    index.generation += 1;
    index.at_ms = save.at_ms;
    index.pointer = save.pointer.to_vec();
    index.reads.clone_from(&save.reads);
    index.packs.retain(|pack| !lost.contains(&pack.name));
    index.packs.extend_from_slice(save.ahead);
    let known = index.places();
    let mut records: BTreeMap<(Space, Digest), Shared> = BTreeMap::new();
    for record in std::mem::take(&mut index.records) {
        records.insert((record.space, record.key), record);
    }
    let mut wanted = Vec::new();
    let trees = save.trees.iter().map(|tree| (Space::Trees, *tree));
    for (space, key) in trees.chain(save.used.iter().copied()) {
        let Ok(Some(record)) = store.get_record(space, &key) else {
            continue;
        };
        let Some(missing) = missing(store, (space, &record), save, &known) else {
            saved.incomplete += 1;
            continue;
        };
        wanted.extend(missing);
        let shared = Shared {
            space,
            key,
            refs: record.refs,
            payload: record.payload,
            used: index.generation,
        };
        let before = records.insert((space, key), shared);
        let is_same = before.is_some_and(|before| {
            records
                .get(&(space, key))
                .is_some_and(|now| now.payload == before.payload)
        });
        saved.records += u64::from(!is_same);
    }
    // Of those that the base had, what was in a lost pack may be on this disk.
    let mut wanted_again = |record: &Shared| {
        let of_record = Record {
            refs: record.refs.clone(),
            payload: Vec::new(),
        };
        let missing = missing(store, (record.space, &of_record), save, &known);
        let is_whole = missing.is_some();
        wanted.extend(missing.unwrap_or_default());
        is_whole
    };
    if !lost.is_empty() {
        records.retain(|_, record| wanted_again(record));
    }
    index.records = records.into_values().collect();
    let trees: HashSet<Digest> = save.trees.iter().copied().collect();
    index.prune(&trees, &HashSet::new());
    (index, wanted)
}

/// The objects of a record that no pack has and this disk does; `None` where one is nowhere, but for trees: of
/// these each unit is restored for itself.
fn missing(
    store: &LocalStore,
    (space, record): (Space, &Record),
    save: &Save<'_>,
    known: &HashMap<Digest, crate::index::Place>,
) -> Option<Vec<Digest>> {
    let mut missing = Vec::new();
    for digest in &record.refs {
        if known.contains_key(digest) || save.left_out.contains(digest) {
            continue;
        }
        if store.object_size(digest).is_some() {
            missing.push(*digest);
        } else if space != Space::Trees {
            return None;
        }
    }
    Some(missing)
}

fn in_order(store: &LocalStore, mut wanted: Vec<Digest>, first: &[Digest]) -> Vec<Classed> {
    let mut seen = HashSet::new();
    wanted.retain(|digest| seen.insert(*digest));
    let first: HashSet<&Digest> = first.iter().collect();
    let mut wanted: Vec<Classed> = wanted.iter().map(|digest| classed(store, digest)).collect();
    // Stable: what one record refers to stays together, but for programs.
    wanted.sort_by_key(|(class, digest)| match () {
        () if first.contains(digest) => 0,
        () if class.is_program() => 1,
        () => 2,
    });
    wanted
}

/// The packs that a share of the objects became, with its place among the shares.
type Share = (usize, Vec<PackEntry>);

/// Threads for one large object.
pub(crate) fn threads() -> usize {
    parallel::cores().min(OBJECT_THREADS_MAX)
}

/// Packs objects and writes the packs, a few at once.
fn upload(
    client: &Client,
    store: &LocalStore,
    objects: &[Classed],
    saved: &mut Saved,
) -> Result<Vec<PackEntry>, PushError> {
    let shares = shares(store, objects);
    progress().expect(objects.len() as u64);
    let next = AtomicUsize::new(0);
    let done: Mutex<Result<Vec<Share>, PushError>> = Mutex::new(Ok(Vec::new()));
    let threads = threads();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(share) = shares.get(at) else {
                return;
            };
            let result = pack_share((client, store), share, threads);
            progress().did(share.len() as u64);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (result, done.as_mut()) {
                (Ok(packs), Ok(all)) => all.push((at, packs)),
                (Err(error), Ok(_)) => {
                    *done = Err(error);
                    next.store(shares.len(), Ordering::Relaxed);
                }
                (_, Err(_)) => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(shares.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut packs = done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    packs.sort_by_key(|(at, _)| *at);
    let packs: Vec<PackEntry> = packs.into_iter().flat_map(|(_, packs)| packs).collect();
    saved.packs = packs.len() as u64;
    let frames = packs.iter().flat_map(|pack| &pack.table.frames);
    saved.objects = frames.map(|frame| frame.objects.len() as u64).sum();
    Ok(packs)
}

/// Deals objects out, in their order, so that while one pack is under way the next is made.
fn shares<'a>(store: &LocalStore, objects: &'a [Classed]) -> Vec<&'a [Classed]> {
    let size = |(_, digest): &Classed| store.object_size(digest).unwrap_or(0);
    let sizes: Vec<u64> = objects.iter().map(size).collect();
    let share = sizes.iter().sum::<u64>() / AT_ONCE as u64;
    let share = share.clamp(RAW_BYTES_MIN, RAW_BYTES);
    // Of one record metadata comes first.
    let parts = |at: usize| {
        let pair = (objects.get(at), objects.get(at + 1));
        matches!(
            pair,
            (Some((Class::Metadata, _)), Some((Class::Library, _)))
        )
    };
    let mut shares = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, size) in sizes.iter().enumerate() {
        bytes += size;
        if bytes >= share && !parts(at) {
            shares.extend(objects.get(from..=at));
            (from, bytes) = (at + 1, 0);
        }
    }
    shares.extend(objects.get(from..).filter(|rest| !rest.is_empty()));
    shares
}

/// Packs some objects, a large one with so many threads, and writes the packs.
pub(crate) fn pack_share(
    (client, store): (&Client, &LocalStore),
    objects: &[Classed],
    threads: usize,
) -> Result<Vec<PackEntry>, PushError> {
    let mut packs = Vec::new();
    let empty = || Builder::with_threads(threads);
    let mut builder = empty();
    for (class, digest) in by_class(store, objects) {
        // A library stays in the pack of the metadata that it repeats.
        if builder.len() >= PACK_BYTES && class != Class::Library {
            packs.extend(write_pack(
                client,
                std::mem::replace(&mut builder, empty()),
            )?);
        }
        // One that was evicted or damaged meanwhile is a miss for whoever reads the record.
        let Ok((bytes, executable)) = store.object_bytes(&digest) else {
            continue;
        };
        if bytes.len() as u64 > crate::pack::MAX_OBJECT_BYTES {
            continue;
        }
        builder.add(digest, &bytes, executable)?;
    }
    packs.extend(write_pack(client, builder)?);
    Ok(packs)
}

/// An object, and what it is.
pub(crate) type Classed = (Class, Digest);

/// Finds out what an object of the store is.
pub(crate) fn classed(store: &LocalStore, digest: &Digest) -> Classed {
    let begin = store.object_begin(digest, Class::BEGIN_BYTES);
    let class = begin.map_or(Class::Other, |(size, begin)| Class::of_begin(size, &begin));
    (class, *digest)
}

/// The same objects by what they are: what others refer to comes before these, and where it lies together less is read by who
/// wants nothing else.
fn by_class(store: &LocalStore, objects: &[Classed]) -> Vec<Classed> {
    let mut objects = objects.to_vec();
    // Stable: those of one record stay together, and those that were to be first are.
    objects.sort_by_key(|(class, _)| *class);
    middle_first(store, &mut objects);
    objects
}

/// Of libraries of macros puts the one of middle size first, to which the others will refer: the smallest has least of what they
/// have, the largest most that they have not.
fn middle_first(store: &LocalStore, objects: &mut [Classed]) {
    let begin = objects.partition_point(|(class, _)| *class < Class::Macros);
    let end = objects.partition_point(|(class, _)| *class <= Class::Macros);
    let Some(macros) = objects.get_mut(begin..end) else {
        return;
    };
    let size = |at: &usize| {
        macros
            .get(*at)
            .and_then(|(_, digest)| store.object_size(digest))
    };
    let mut by_size: Vec<usize> = (0..macros.len()).collect();
    by_size.sort_by_key(size);
    if let Some(middle) = by_size.get(by_size.len() / 2) {
        macros.swap(0, *middle);
    }
}

fn write_pack(client: &Client, builder: Builder) -> Result<Option<PackEntry>, PushError> {
    if builder.is_empty() {
        return Ok(None);
    }
    let (bytes, table) = builder.finish()?;
    let name = Digest::of(&bytes);
    let bytes = Bytes::from(bytes);
    client.write(&pack_name(&name), &bytes, Kind::Once)?;
    Ok(Some(PackEntry {
        name,
        bytes: bytes.len() as u64,
        table,
    }))
}
