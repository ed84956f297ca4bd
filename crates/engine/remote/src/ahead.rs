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
use crate::push::{self, RAW_BYTES};

/// How often the notes are looked at: a look reads a file of some ten thousand bytes.
const PAUSE: Duration = Duration::from_millis(500);
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
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        while !self.over.load(Ordering::SeqCst) {
            for (digest, size) in self.published() {
                waiting.push(digest);
                bytes += size;
            }
            if bytes < RAW_BYTES {
                std::thread::park_timeout(PAUSE);
                continue;
            }
            bytes = 0;
            let waiting = std::mem::take(&mut waiting);
            match push::pack_share((&self.client, &self.store), &waiting, push::threads()) {
                Ok(made) => packs.extend(made),
                // The save at the end says so, if it fails as well.
                Err(_) => break,
            }
        }
        packs
    }

    /// What was published since the last look.
    fn published(&mut self) -> Vec<(Digest, u64)> {
        let mut new = Vec::new();
        for record in beyond::noted(&self.run_dir) {
            if !self.seen.insert(record) {
                continue;
            }
            let Ok(Some(found)) = self.store.get_record(record.0, &record.1) else {
                continue;
            };
            for digest in found.refs {
                let size = self.store.object_size(&digest);
                if let Some(size) = size.filter(|_| self.known.insert(digest)) {
                    new.push((digest, size));
                }
            }
        }
        new
    }
}
