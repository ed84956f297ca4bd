//! Digests of files, none of them computed twice.
//!
//! Two kinds of memo, both records of this machine. An *output record* says of a file in a target
//! directory which bytes it has, which crates it was compiled with, and what is behind those; it is
//! written when the file is published or restored. A *tool memo* says which bytes a file of the
//! system has. Both hold the file's signature; another signature means that the file is read again.

use std::cell::RefCell;
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
    sources: RefCell<HashMap<PathBuf, Digest>>,
    outputs: RefCell<HashMap<PathBuf, Option<OutputRecord>>>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(store: &'a LocalStore) -> Self {
        Self {
            store,
            sources: RefCell::default(),
            outputs: RefCell::default(),
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
        if let Ok(Some(record)) = self.store.get_record(Space::Memos, &key)
            && let Ok(memo) = postcard::from_bytes::<ToolMemo>(&record.payload)
            && memo.sig == sig.into()
        {
            return Ok(memo.digest);
        }
        let (digest, _) = rekindle_fsx::hash_file(path)?;
        let settled = rekindle_fsx::time::realtime_ns() - sig.ctime_ns > SETTLED_NS;
        if settled && rekindle_fsx::stat_follow(path)? == sig {
            let memo = ToolMemo {
                sig: sig.into(),
                digest,
            };
            if let Ok(payload) = postcard::to_stdvec(&memo) {
                // A store that cannot be written costs the memo.
                let _ = self.store.put_record(Space::Memos, &key, &[], &payload);
            }
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
        let record = self.store.get_record(Space::Outputs, &key).ok()??;
        let mut record: OutputRecord = postcard::from_bytes(&record.payload).ok()?;
        let sig = rekindle_fsx::stat(path).ok()?;
        if record.sig == sig.into() {
            return Some(record);
        }
        // A hardlink made or removed elsewhere also sets the change time.
        let (digest, _) = rekindle_fsx::hash_file(path).ok()?;
        if digest != record.digest || rekindle_fsx::stat(path).ok()? != sig {
            return None;
        }
        record.sig = sig.into();
        self.write_output(&key, &record);
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
        self.write_output(&memo_key(b"output", path), &record);
    }

    fn write_output(&self, key: &Digest, record: &OutputRecord) {
        if let Ok(payload) = postcard::to_stdvec(record) {
            let _ = self.store.put_record(Space::Outputs, key, &[], &payload);
        }
    }

    /// A record of this machine under a name.
    pub(crate) fn memo<T: for<'de> Deserialize<'de>>(&self, key: &Digest) -> Option<T> {
        let record = self.store.get_record(Space::Memos, key).ok()??;
        postcard::from_bytes(&record.payload).ok()
    }

    /// Keeps a record of this machine under a name.
    pub(crate) fn remember<T: Serialize>(&self, key: &Digest, value: &T) {
        if let Ok(payload) = postcard::to_stdvec(value) {
            let _ = self.store.put_record(Space::Memos, key, &[], &payload);
        }
    }
}

fn memo_key(kind: &[u8], path: &Path) -> Digest {
    DigestHasher::new()
        .field(kind)
        .field(path.as_os_str().as_bytes())
        .finish()
}
