//! Sending what is published while cargo still compiles.
//!
//! Wrappers note the records that they use and make (`rekindle_store::beyond`). What these refer to and no pack has goes
//! up by the pack; nothing leads there until the save at the end names it. What a failed build leaves up there nobody names, and
//! a sweep removes it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rekindle_base::Digest;
use rekindle_store::{LocalStore, Store, beyond};

use crate::client::Client;
use crate::index::PackEntry;
use crate::push::{self, Classed, RAW_BYTES};

/// How often the notes are looked at: a look reads a file of some ten thousand bytes.
const PAUSE: Duration = Duration::from_millis(500);
/// Programs are dealt to one pack by this many bytes: they come to a tenth, and the last of them wait for the run's end.
const PROGRAMS_BYTES: u64 = RAW_BYTES / 2;
/// How little its packing counts beside compilers, as `nice` has it: it takes the time that they leave. After the last of them, when the
/// program that they made is packed and the run's end waits for it, that is all of it.
const NICENESS: i32 = 10;

/// What sends, until it is stopped.
#[derive(Debug)]
pub struct Ahead {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<PackEntry>>,
}

struct Sender {
    client: Client,
    store: LocalStore,
    run_dir: PathBuf,
    over: Arc<AtomicBool>,
    seen: HashSet<(rekindle_store::Space, Digest)>,
    /// Objects that a pack has, or that wait for one.
    known: HashSet<Digest>,
}

/// The objects that one record refers to and no pack has: a library and its metadata, say.
#[derive(Debug, Default)]
struct Published {
    objects: Vec<Classed>,
    bytes: u64,
}

/// What waits for a pack.
#[derive(Debug, Default)]
struct Waiting {
    /// Programs, which refer to each other: they wait for a pack of their own.
    programs: Vec<Published>,
    others: Vec<Published>,
}

impl Waiting {
    fn add(&mut self, published: Published) {
        if published
            .objects
            .iter()
            .any(|(class, _)| class.is_program())
        {
            self.programs.push(published);
        } else {
            self.others.push(published);
        }
    }

    /// Takes what is enough for a pack; `None` where there is too little.
    fn share(&mut self) -> Option<Vec<Classed>> {
        share_of(&mut self.others, RAW_BYTES)
            .or_else(|| share_of(&mut self.programs, PROGRAMS_BYTES))
    }
}

impl Ahead {
    /// Begins to send what a run notes, but for objects that are `known` to be there. `None` where there is no thread for it.
    #[must_use]
    pub fn start(
        client: Client,
        store: LocalStore,
        (run_dir, known): (&Path, HashSet<Digest>),
    ) -> Option<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let sender = Sender {
            client,
            store,
            run_dir: run_dir.to_owned(),
            over: Arc::clone(&over),
            seen: HashSet::new(),
            known,
        };
        let thread = std::thread::Builder::new().name("ahead".to_owned());
        let run = move || {
            rekindle_fsx::yield_to_others(NICENESS);
            sender.run()
        };
        let thread = thread.spawn(run).ok()?;
        Some(Self { over, thread })
    }

    /// Ends it, after the pack that is under way: the packs that are up.
    #[must_use]
    pub fn stop(self) -> Vec<PackEntry> {
        self.over.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

impl Sender {
    fn run(mut self) -> Vec<PackEntry> {
        let mut packs = Vec::new();
        let mut waiting = Waiting::default();
        while !self.over.load(Ordering::SeqCst) {
            self.take_published(&mut waiting);
            let Some(share) = waiting.share() else {
                std::thread::park_timeout(PAUSE);
                continue;
            };
            match push::pack_share((&self.client, &self.store), &share, push::threads()) {
                Ok(made) => packs.extend(made),
                // The save at the end says so, if it fails as well.
                Err(_) => break,
            }
        }
        packs
    }

    /// Takes what was published since the last look.
    fn take_published(&mut self, waiting: &mut Waiting) {
        for record in beyond::noted(&self.run_dir) {
            if !self.seen.insert(record) {
                continue;
            }
            let Ok(Some(found)) = self.store.get_record(record.0, &record.1) else {
                continue;
            };
            let mut published = Published::default();
            for digest in found.refs {
                let size = self.store.object_size(&digest);
                if let Some(size) = size.filter(|_| self.known.insert(digest)) {
                    published.objects.push(push::classed(&self.store, &digest));
                    published.bytes += size;
                }
            }
            waiting.add(published);
        }
    }
}

/// Takes what is enough for a pack off the front; `None` where there is too little. While one pack is made, enough for several may
/// come: in one share some libraries would be in another pack than the metadata that they repeat.
fn share_of(waiting: &mut Vec<Published>, enough_bytes: u64) -> Option<Vec<Classed>> {
    let mut bytes = 0;
    let last = waiting.iter().position(|published| {
        bytes += published.bytes;
        bytes >= enough_bytes
    })?;
    let share = waiting.drain(..=last);
    Some(share.flat_map(|published| published.objects).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Class;

    #[test]
    fn programs_wait_for_each_other() {
        let object = |class, name: u8| (class, Digest::of(&[name]));
        let published = |objects: &[Classed], bytes| Published {
            objects: objects.to_vec(),
            bytes,
        };
        let [macros, library, own] = [Class::Macros, Class::Library, Class::Program];
        let (one, two) = (object(macros, 1), object(library, 2));
        let (three, text) = (object(own, 3), object(Class::Other, 5));
        let mut waiting = Waiting::default();
        waiting.add(published(&[one], PROGRAMS_BYTES / 2));
        waiting.add(published(&[two], RAW_BYTES));
        waiting.add(published(&[text, three], PROGRAMS_BYTES / 2));
        waiting.add(published(&[object(macros, 4)], PROGRAMS_BYTES / 2));
        assert_eq!(waiting.share(), Some(vec![two]));
        let programs = vec![one, text, three];
        assert_eq!(waiting.share(), Some(programs));
        assert_eq!(waiting.share(), None);
        assert_eq!(waiting.programs.len(), 1);
    }

    #[test]
    fn a_share_is_what_one_pack_takes_and_parts_no_record() {
        let published = |name: u8| Published {
            objects: [1, 2]
                .map(|of| (Class::Other, Digest::of(&[name, of])))
                .to_vec(),
            bytes: RAW_BYTES / 2,
        };
        let mut waiting: Vec<Published> = (0..5).map(published).collect();
        for first in [0, 2] {
            let both = [published(first), published(first + 1)];
            let expected: Vec<Classed> = both.into_iter().flat_map(|one| one.objects).collect();
            assert_eq!(share_of(&mut waiting, RAW_BYTES), Some(expected));
        }
        assert_eq!(share_of(&mut waiting, RAW_BYTES), None);
        assert_eq!(waiting.len(), 1);
    }
}
