//! Digests of files, none of them computed twice.
//!
//! Two kinds of memo, both records of this machine. An *output record* says of a file in a target
//! directory which bytes it has, which crates it was compiled with, and what is behind those; it is
//! written when the file is published or restored. A *tool memo* says which bytes a file of the
//! system has. Both hold the file's signature; another signature means that the file is read again.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_fsx::StatSig;
use rekindle_store::{LocalStore, Space, Store};
use serde::{Deserialize, Serialize};

/// What is known of an output in a target directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputRecord {
    sig: Signature,
    /// Its bytes.
    pub(crate) digest: Digest,
    /// The crates that it was compiled with, and theirs, down to the leaves.
    pub(crate) closure: Digest,
    /// The files of the crates on its command line.
    pub(crate) externs: Vec<PathBuf>,
}

/// The parts of a signature that a hardlink made elsewhere leaves alone, but for the change time:
/// then the bytes are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    dev: u64,
    ino: u64,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
}

impl From<StatSig> for Signature {
    fn from(sig: StatSig) -> Self {
        Self {
            dev: sig.dev,
            ino: sig.ino,
            size: sig.size,
            mtime_ns: sig.mtime_ns,
            ctime_ns: sig.ctime_ns,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ToolMemo {
    sig: Signature,
    digest: Digest,
}

/// A file whose change time is younger than this may be changed again within the same tick of the
/// kernel's clock, so its memo would prove nothing.
const SETTLED_NS: i64 = 2_000_000_000;

/// Digests of files, remembered for the life of the process and beyond.
pub(crate) struct Files<'a> {
    store: &'a LocalStore,
    /// In the target directory: takes the records that a read-only store refuses.
    beside: OnceCell<LocalStore>,
    sources: RefCell<HashMap<PathBuf, Digest>>,
    outputs: RefCell<HashMap<PathBuf, Option<OutputRecord>>>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(store: &'a LocalStore) -> Self {
        Self {
            store,
            beside: OnceCell::new(),
            sources: RefCell::default(),
            outputs: RefCell::default(),
        }
    }

    /// Says where records go that the store refuses.
    pub(crate) fn set_target(&self, target: &Path) {
        self.beside
            .get_or_init(|| LocalStore::open(&target.join(".rekindle")));
    }

    /// The records of this machine under a key: the store's, then the one in the target directory.
    fn records<T: for<'de> Deserialize<'de>>(
        &self,
        space: Space,
        key: &Digest,
    ) -> impl Iterator<Item = T> {
        let stores = [Some(self.store), self.beside.get()];
        stores.into_iter().flatten().filter_map(move |store| {
            let record = store.get_record(space, key).ok()??;
            postcard::from_bytes(&record.payload).ok()
        })
    }

    /// Keeps a record of this machine. One that can be kept nowhere costs a second look, or makes
    /// the units that are compiled with an output uncacheable.
    fn keep<T: Serialize>(&self, space: Space, key: &Digest, value: &T) {
        let Ok(payload) = postcard::to_stdvec(value) else {
            return;
        };
        if self.store.put_record(space, key, &[], &payload).is_err()
            && let Some(beside) = self.beside.get()
        {
            let _ = beside.put_record(space, key, &[], &payload);
        }
    }

    /// A source: always read, since reading it is hardly dearer than asking for its signature.
    pub(crate) fn source(&self, path: &Path) -> io::Result<Digest> {
        if let Some(digest) = self.sources.borrow().get(path) {
            return Ok(*digest);
        }
        let (digest, _) = rekindle_fsx::hash_file(path)?;
        self.sources.borrow_mut().insert(path.to_owned(), digest);
        Ok(digest)
    }

    /// Forgets sources that were read: after a compile they are read again.
    pub(crate) fn forget_sources(&self) {
        self.sources.borrow_mut().clear();
    }

    /// A file of the system: a linker, a library.
    pub(crate) fn tool(&self, path: &Path) -> io::Result<Digest> {
        let sig = rekindle_fsx::stat_follow(path)?;
        let key = memo_key(b"tool", path);
        let known = self
            .records::<ToolMemo>(Space::Memos, &key)
            .find(|memo| memo.sig == sig.into());
        if let Some(memo) = known {
            return Ok(memo.digest);
        }
        let (digest, _) = rekindle_fsx::hash_file(path)?;
        let settled = rekindle_fsx::time::realtime_ns() - sig.ctime_ns > SETTLED_NS;
        if settled && rekindle_fsx::stat_follow(path)? == sig {
            let memo = ToolMemo {
                sig: sig.into(),
                digest,
            };
            self.keep(Space::Memos, &key, &memo);
        }
        Ok(digest)
    }

    /// What is known of an output; `None` where nothing is, or its bytes are no longer those.
    pub(crate) fn output(&self, path: &Path) -> Option<OutputRecord> {
        if let Some(known) = self.outputs.borrow().get(path) {
            return known.clone();
        }
        let record = self.read_output(path);
        self.outputs
            .borrow_mut()
            .insert(path.to_owned(), record.clone());
        record
    }

    fn read_output(&self, path: &Path) -> Option<OutputRecord> {
        let key = memo_key(b"output", path);
        let sig = rekindle_fsx::stat(path).ok()?;
        let records: Vec<OutputRecord> = self.records(Space::Outputs, &key).collect();
        if let Some(record) = records.iter().find(|record| record.sig == sig.into()) {
            return Some(record.clone());
        }
        if records.is_empty() {
            return None;
        }
        // A hardlink made or removed elsewhere also sets the change time.
        let (digest, _) = rekindle_fsx::hash_file(path).ok()?;
        if rekindle_fsx::stat(path).ok()? != sig {
            return None;
        }
        let mut record = records.into_iter().find(|record| record.digest == digest)?;
        record.sig = sig.into();
        self.keep(Space::Outputs, &key, &record);
        Some(record)
    }

    /// Remembers an output that was published or restored.
    pub(crate) fn remember_output(
        &self,
        path: &Path,
        sig: StatSig,
        digest: Digest,
        closure: Digest,
        externs: &[PathBuf],
    ) {
        let record = OutputRecord {
            sig: sig.into(),
            digest,
            closure,
            externs: externs.to_vec(),
        };
        self.keep(Space::Outputs, &memo_key(b"output", path), &record);
    }

    /// A record of this machine under a name.
    pub(crate) fn memo<T: for<'de> Deserialize<'de>>(&self, key: &Digest) -> Option<T> {
        self.records(Space::Memos, key).next()
    }

    /// Keeps a record of this machine under a name.
    pub(crate) fn remember<T: Serialize>(&self, key: &Digest, value: &T) {
        self.keep(Space::Memos, key, value);
    }
}

fn memo_key(kind: &[u8], path: &Path) -> Digest {
    DigestHasher::new()
        .field(kind)
        .field(path.as_os_str().as_bytes())
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_refuses_records_still_knows_outputs() {
        let dir = tempfile::tempdir().unwrap();
        // A file in place of the store's directory refuses root, too.
        let refusing = dir.path().join("store");
        rekindle_fsx::atomic::write(&refusing, b"").unwrap();
        let output = dir.path().join("libx.rmeta");
        rekindle_fsx::atomic::write(&output, b"metadata").unwrap();
        let store = LocalStore::open(&refusing);
        let (digest, closure) = (Digest::of(b"metadata"), Digest::of(b"closure"));

        for (has_target, known) in [(false, false), (true, true)] {
            let files = || {
                let files = Files::new(&store);
                if has_target {
                    files.set_target(&dir.path().join("target"));
                }
                files
            };
            let sig = rekindle_fsx::stat(&output).unwrap();
            files().remember_output(&output, sig, digest, closure, &[]);
            assert_eq!(files().output(&output).is_some(), known);
        }
        // Other bytes under the same name are not known.
        rekindle_fsx::atomic::write(&output, b"METADATA").unwrap();
        let files = Files::new(&store);
        files.set_target(&dir.path().join("target"));
        assert_eq!(files.output(&output), None);
    }
}
