//! Objects that are in a remote's packs, and how they come into the local store.
//!
//! [`Far`] is what the `rekindle` command says lies beyond its local store (`rekindle_store::beyond`): its own threads and,
//! through the [`crate::broker`], its wrappers ask it. A question names objects; what is fetched is the ranges of
//! the frames that they are in, near ones in one request, several at a time. Two who ask for one frame get it by one
//! request. What came is compared with its digest and put into the local store, where whoever asked finds it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rekindle_base::{Digest, parallel, progress};
use rekindle_store::beyond::{self, Beyond};
use rekindle_store::{LocalStore, Space, StoreError};

use crate::blobs::Name;
use crate::client::{Client, ClientError};
use crate::index::{Index, PackEntry, Place};
use crate::pack::{self, Frame, Packed};
use crate::stream;

/// Ranges that are no farther apart are read in one request: what a link of 200 Mbit/s brings in 3 ms.
const GAP_BYTES: u64 = 64 << 10;
/// A range of several frames is no longer than this, so that several are under way at once.
const RANGE_BYTES: u64 = 8 << 20;

/// What is fetched before anybody asks, when it is unpacked.
const PREFETCH_BYTES: u64 = 512 << 20;
/// The size of a piece of that, and how many of these are under way at once: some requests are left for who asks.
const PREFETCH_PIECE_BYTES: u64 = 32 << 20;
const PREFETCH_PIECES: usize = 3;

/// Memory for unpacking is kept for so many frames: more are seldom unpacked at once.
const ROOMS_MAX: usize = 8;

/// Where packs are among a remote's blobs.
pub(crate) fn pack_name(digest: &Digest) -> Name {
    name("packs", digest)
}

/// Where indexes are.
pub(crate) fn index_name(digest: &Digest) -> Name {
    name("index", digest)
}

fn name(kind: &str, digest: &Digest) -> Name {
    Name::of_digest(kind, digest)
}

/// What fetching came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Objects that were put into the local store.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that did not come, or not as they should be.
    pub lost: u64,
    /// Time that somebody waited for them, in microseconds, added up.
    pub waited_us: u64,
}

#[derive(Debug, Default)]
struct Counters {
    objects: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    waited_us: AtomicU64,
}

/// A frame: its pack and its place there.
type FrameAt = (usize, usize);

#[derive(Debug, Default)]
struct Flights {
    /// Frames that are being fetched.
    under_way: HashSet<FrameAt>,
    /// Frames that the remote did not have as its index says.
    lost: HashSet<FrameAt>,
    /// What was asked for, in the order of the first question.
    asked: Vec<Digest>,
    asked_once: HashSet<Digest>,
}

/// The objects of an index.
pub struct Far {
    client: Client,
    store: LocalStore,
    run_dir: Option<PathBuf>,
    packs: Vec<PackEntry>,
    places: HashMap<Digest, Place>,
    flights: Mutex<Flights>,
    landed: Condvar,
    /// Memory that frames were unpacked to, for the next ones: to get it from the system anew takes half as long as to unpack.
    rooms: Mutex<Vec<Vec<u8>>>,
    /// Whether something did not come that it has. A build that was told of it then builds what it cannot have; what
    /// else lies afar must not be promised to it again, since there is one more try and not many.
    broken: AtomicBool,
    counters: Counters,
}

/// Frames that are read in one request.
struct Job {
    pack: usize,
    range: Range<u64>,
    frames: Vec<(usize, Range<u64>)>,
}

impl Far {
    /// What `index` has, to be brought into `store`. `run_dir` is where used records are noted.
    #[must_use]
    pub fn new(client: Client, store: LocalStore, index: &Index, run_dir: Option<PathBuf>) -> Self {
        Self {
            client,
            store,
            run_dir,
            packs: index.packs.clone(),
            places: index.places(),
            flights: Mutex::default(),
            landed: Condvar::new(),
            rooms: Mutex::default(),
            broken: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// What fetching came to so far.
    #[must_use]
    pub fn fetched(&self) -> Fetched {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Fetched {
            objects: of(&self.counters.objects),
            bytes: of(&self.counters.bytes),
            lost: of(&self.counters.lost),
            waited_us: of(&self.counters.waited_us),
        }
    }

    /// The packs that are gone or damaged, as far as they were read.
    #[must_use]
    pub fn lost_packs(&self) -> HashSet<Digest> {
        let flights = self.flights();
        let lost = flights.lost.iter();
        lost.filter_map(|(pack, _)| Some(self.packs.get(*pack)?.name))
            .collect()
    }

    /// What was asked for, in the order of the first question.
    #[must_use]
    pub fn asked(&self) -> Vec<Digest> {
        self.flights().asked.clone()
    }

    /// The number of all objects that the index has, and their bytes as they are on a disk.
    #[must_use]
    pub fn whole(&self) -> (u64, u64) {
        let bytes = self.places.values().map(|place| place.size).sum();
        (self.places.len() as u64, bytes)
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches objects before anybody asks, the first ones first and a bounded amount, in pieces, a few at once: who asks for
    /// one that is not under way yet does not wait for all before it.
    pub fn prefetch(&self, digests: &[Digest]) {
        let pieces = self.pieces(digests);
        parallel::map_at_most(PREFETCH_PIECES, &pieces, |piece| self.fetch(piece));
    }

    /// Deals out what is not here yet, in its order; what is too large for what is left of the budget is left out.
    fn pieces(&self, digests: &[Digest]) -> Vec<Vec<Digest>> {
        let mut left_bytes = PREFETCH_BYTES;
        let missing = digests.iter().filter(|digest| {
            let Some(place) = self.places.get(digest) else {
                return false;
            };
            let fits = place.size <= left_bytes && !self.store.holds_object(digest, place.size);
            if fits {
                left_bytes -= place.size;
            }
            fits
        });
        let mut pieces: Vec<Vec<Digest>> = Vec::new();
        let mut piece_bytes = u64::MAX;
        for digest in missing {
            let size = self.places.get(digest).map_or(0, |place| place.size);
            match pieces.last_mut() {
                Some(piece) if piece_bytes.saturating_add(size) <= PREFETCH_PIECE_BYTES => {
                    piece.push(*digest)
                }
                _ => {
                    pieces.push(vec![*digest]);
                    piece_bytes = 0;
                }
            }
            piece_bytes += size;
        }
        pieces
    }

    /// Fetches objects; nobody is said to have asked for them.
    pub fn fetch(&self, digests: &[Digest]) {
        self.fetch_all(&self.frames_of(digests));
    }

    /// Fetches all that the index has.
    pub fn fetch_everything(&self) {
        let all: Vec<Digest> = self.places.keys().copied().collect();
        self.fetch_all(&self.frames_of(&all));
    }

    fn frames_of(&self, digests: &[Digest]) -> Vec<FrameAt> {
        let missing = digests.iter().filter_map(|digest| {
            let place = self.places.get(digest)?;
            let is_here = self.store.holds_object(digest, place.size);
            (!is_here).then_some((place.pack, place.frame))
        });
        let mut frames: Vec<FrameAt> = missing.collect();
        let bases = frames.iter().filter_map(|(pack, frame)| {
            let (place, base) = self.packs.get(*pack)?.table.base_of(*frame)?;
            let object = base.objects.first()?;
            let is_here = self.store.holds_object(&object.digest, object.size);
            (!is_here).then_some((*pack, place))
        });
        frames.extend(bases.collect::<Vec<_>>());
        frames.sort_unstable();
        frames.dedup();
        frames
    }

    /// Fetches frames that nobody else is fetching, and waits for the others.
    fn fetch_all(&self, frames: &[FrameAt]) {
        if frames.is_empty() {
            return;
        }
        let (mine, theirs): (Vec<FrameAt>, Vec<FrameAt>) = {
            let mut flights = self.flights();
            frames
                .iter()
                .filter(|frame| !flights.lost.contains(frame))
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .partition(|frame| flights.under_way.insert(*frame))
        };
        let jobs = self.jobs(&mine);
        progress().expect(mine.len() as u64);
        let at_once = self.client.limits().at_once;
        parallel::map_at_most(at_once, &jobs, |job| self.fetch_job(job));
        self.await_others(&theirs);
    }

    fn await_others(&self, frames: &[FrameAt]) {
        let limits = self.client.limits();
        // Whoever fetches them has deadlines; this one is for a thread of theirs that died.
        let last = Instant::now() + limits.operation.saturating_add(limits.patience) * 2;
        let mut flights = self.flights();
        while frames.iter().any(|frame| flights.under_way.contains(frame)) {
            let left = last.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let wait = left.min(Duration::from_secs(1));
            flights = match self.landed.wait_timeout(flights, wait) {
                Ok((flights, _)) => flights,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// One request for frames that are near each other.
    fn jobs(&self, frames: &[FrameAt]) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut wanted: HashMap<usize, HashSet<usize>> = HashMap::new();
        for (pack, frame) in frames {
            wanted.entry(*pack).or_default().insert(*frame);
        }
        let mut packs: Vec<_> = wanted.into_iter().collect();
        packs.sort_unstable_by_key(|(pack, _)| *pack);
        for (pack, wanted) in packs {
            let Some(entry) = self.packs.get(pack) else {
                continue;
            };
            for (frame, (range, _)) in entry.table.ranges().enumerate() {
                if !wanted.contains(&frame) {
                    continue;
                }
                match jobs.last_mut() {
                    Some(job)
                        if job.pack == pack
                            && range.start - job.range.end <= GAP_BYTES
                            && range.end - job.range.start <= RANGE_BYTES =>
                    {
                        job.range.end = range.end;
                        job.frames.push((frame, range));
                    }
                    _ => jobs.push(Job {
                        pack,
                        range: range.clone(),
                        frames: vec![(frame, range)],
                    }),
                }
            }
        }
        jobs
    }

    fn fetch_job(&self, job: &Job) {
        let Some(entry) = self.packs.get(job.pack) else {
            return;
        };
        // Another try may get what failed, as long as the client makes any.
        let left = self.fetch_frames(entry, job);
        let (left, is_lost) = match left {
            Ok(damaged) => (damaged, true),
            Err((left, _)) => (left, false),
        };
        if left.is_empty() {
            return;
        }
        self.counters
            .lost
            .fetch_add(left.len() as u64, Ordering::Relaxed);
        self.broken.store(true, Ordering::SeqCst);
        for frame in left {
            self.landed((job.pack, frame), is_lost);
        }
    }

    /// Whoever waits for a frame need not any longer.
    fn landed(&self, frame: FrameAt, is_lost: bool) {
        let mut flights = self.flights();
        flights.under_way.remove(&frame);
        if is_lost {
            flights.lost.insert(frame);
        }
        drop(flights);
        self.landed.notify_all();
        progress().did(1);
    }

    /// Reads frames and keeps their objects; the frames that no copy of the pack has as they should be. An error comes with
    /// those that were not had.
    fn fetch_frames(
        &self,
        entry: &PackEntry,
        job: &Job,
    ) -> Result<Vec<usize>, (Vec<usize>, ClientError)> {
        // Those that others refer to come first, and wait for nobody: no two jobs wait for each other.
        let mut left: Vec<&(usize, Range<u64>)> = job.frames.iter().collect();
        left.sort_by_key(|(frame, _)| entry.table.base_of(*frame).is_some());
        let places =
            |left: Vec<&(usize, Range<u64>)>| left.iter().map(|(frame, _)| *frame).collect();
        for copy in 0..self.client.copies() {
            if let [(frame, range)] = left[..]
                && range.end - range.start > stream::LONG_BYTES
                && entry.table.base_of(*frame).is_none()
            {
                match self.stream(entry, (*frame, range), copy) {
                    Ok(false) => continue,
                    Ok(true) => self.landed((job.pack, *frame), false),
                    Err(error) if error.is_missing() => break,
                    Err(error) => return Err((vec![*frame], error)),
                }
                left.clear();
                break;
            }
            let range = Some(job.range.clone());
            match self.client.read_copy(&pack_name(&entry.name), range, copy) {
                Ok(bytes) => {
                    let mut spoilt = HashSet::new();
                    left.retain(|(frame, range)| {
                        let part = part(&bytes, &job.range, range);
                        // Of a base in this very job nobody else brings another copy.
                        let base = entry.table.base_of(*frame).map(|(base, _)| base);
                        let is_kept = base.is_none_or(|base| !spoilt.contains(&base))
                            && self.keep(job.pack, *frame, part).is_some();
                        if is_kept {
                            self.landed((job.pack, *frame), false);
                        } else {
                            spoilt.insert(*frame);
                        }
                        !is_kept
                    });
                }
                Err(error) if error.is_missing() => break,
                Err(error) => return Err((places(left), error)),
            }
            if left.is_empty() {
                break;
            }
        }
        Ok(places(left))
    }

    /// Puts the one object of a long frame into the local store while it comes; whether its bytes were its own.
    fn stream(
        &self,
        entry: &PackEntry,
        (frame, range): (usize, &Range<u64>),
        copy: usize,
    ) -> Result<bool, ClientError> {
        let frame = entry.table.frames.get(frame);
        let Some([object]) = frame.map(|frame| &frame.objects[..]) else {
            return Ok(false);
        };
        let name = pack_name(&entry.name);
        let put = stream::read(&self.client, (&name, copy), range, |packed| {
            let mut bytes = pack::unpacking(packed).map_err(StoreError::Io)?;
            let (digest, size) = (&object.digest, object.size);
            self.store
                .put_object_from((digest, size), object.executable, &mut bytes)
        })?;
        Ok(self.was_sound(object, put))
    }

    /// Puts the objects of a frame into the local store; `None` where its bytes are not theirs.
    fn keep(&self, pack: usize, at: usize, bytes: Option<&[u8]>) -> Option<()> {
        let table = &self.packs.get(pack)?.table;
        let frame = table.frames.get(at)?;
        let base = match table.base_of(at) {
            Some((place, base)) => Some(self.base_bytes((pack, place), base)?),
            None => None,
        };
        let bytes = bytes?;
        let mut room = self.rooms().pop().unwrap_or_default();
        let unpacked = pack::unpack_into(&mut room, bytes, frame, base.as_deref());
        let are_sound = unpacked.is_ok_and(|objects| {
            let mut objects = objects.into_iter();
            objects.all(|(object, bytes)| {
                let (digest, executable) = (&object.digest, object.executable);
                let put = self.store.put_object_of(digest, bytes, executable);
                self.was_sound(&object, put)
            })
        });
        let mut rooms = self.rooms();
        if room.capacity() as u64 <= pack::PROMISED_BYTES && rooms.len() < ROOMS_MAX {
            rooms.push(room);
        }
        are_sound.then_some(())
    }

    /// Counts an object that was put into the local store; whether its bytes were its own.
    fn was_sound(&self, object: &Packed, put: Result<(), StoreError>) -> bool {
        match put {
            Ok(()) => {
                let counters = &self.counters;
                counters.objects.fetch_add(1, Ordering::Relaxed);
                counters.bytes.fetch_add(object.size, Ordering::Relaxed);
                true
            }
            Err(StoreError::Corrupt) => false,
            // A full disk is no fault of the remote's: whoever asked finds that it is not there.
            Err(_) => true,
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of the one object in a frame that another one refers to: from the local store, where they were just put or
    /// have been before, or from afar where that has no room for them.
    fn base_bytes(&self, at: FrameAt, base: &Frame) -> Option<Vec<u8>> {
        let digest = &base.objects.first()?.digest;
        let local = || self.store.object_bytes(digest).ok().map(|(bytes, _)| bytes);
        if let Some(bytes) = local() {
            return Some(bytes);
        }
        self.await_others(&[at]);
        if let Some(bytes) = local() {
            return Some(bytes);
        }
        let entry = self.packs.get(at.0)?;
        let (range, _) = entry.table.ranges().nth(at.1)?;
        for copy in 0..self.client.copies() {
            let range = Some(range.clone());
            let read = self.client.read_copy(&pack_name(&entry.name), range, copy);
            let objects = pack::unpack(&read.ok()?, base, None);
            if let Some((_, bytes)) = objects.ok().and_then(|mut objects| objects.pop()) {
                return Some(bytes);
            }
        }
        None
    }
}

/// The bytes of one range out of those of a larger one.
fn part<'a>(bytes: &'a [u8], all: &Range<u64>, range: &Range<u64>) -> Option<&'a [u8]> {
    let from = usize::try_from(range.start.checked_sub(all.start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(all.start)?).ok()?;
    bytes.get(from..to)
}

impl Beyond for Far {
    fn has(&self, digest: &Digest, size: u64) -> bool {
        let Some(place) = self.places.get(digest) else {
            return false;
        };
        place.size == size && !self.broken.load(Ordering::SeqCst)
    }

    fn bring(&self, digests: &[Digest]) {
        let began = Instant::now();
        {
            let mut flights = self.flights();
            for digest in digests
                .iter()
                .filter(|digest| self.places.contains_key(digest))
            {
                if flights.asked_once.insert(*digest) {
                    flights.asked.push(*digest);
                }
            }
        }
        self.fetch_all(&self.frames_of(digests));
        let waited_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters
            .waited_us
            .fetch_add(waited_us, Ordering::Relaxed);
    }

    fn used(&self, space: Space, key: &Digest) {
        if let Some(dir) = &self.run_dir {
            beyond::note(dir, space, key);
        }
    }
}
