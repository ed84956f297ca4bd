//! What lies beyond this disk: objects that another store has and that come when they are asked for.
//!
//! A run that has a remote says so once in each of its processes ([`set`]): the `rekindle` command with the remote
//! itself, the wrapper with an [`Asker`], which asks that command through a socket in the run's directory. From then on
//! every [`crate::LocalStore`] of that directory has those objects, too: [`crate::LocalStore::has_object`] says so, and
//! placing one brings it first. It is set for the process and not for a value since placeholders name their store by its
//! directory, and whoever meets one opens it.
//!
//! The same place writes down which shared records a run used ([`Beyond::used`]): these are what is worth
//! sending to others.
//!
//! # On the socket
//!
//! One question to a connection, all integers little-endian: a byte, what is asked (`h` has, `b` bring); a `u32`, the number
//! of objects, at most [`MAX_OBJECTS`]; for each its digest (32 bytes) and its size (`u64`, 0 where it does not
//! matter). The answer: for each a byte, 1 for yes. Whoever does not get it in time takes it for no.
//!
//! # In the run's directory
//!
//! `broker`, the socket; `used`, one after the other the tags (a byte) and keys (32 bytes) of records. A name too long for
//! a socket goes by way of `/proc/self/fd`.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rekindle_base::Digest;
use rekindle_fsx as fsx;

use crate::Space;

/// Objects in one question.
pub const MAX_OBJECTS: usize = 1 << 16;

/// Name of the socket in a run's directory.
const SOCKET: &str = "broker";
/// Name of the list of records there.
const USED: &str = "used";
const DIGEST_BYTES: usize = 32;
const OBJECT_BYTES: usize = DIGEST_BYTES + 8;

/// What lies beyond a local store.
pub trait Beyond: Send + Sync {
    /// Whether an object of this size can be brought, as far as is known without asking afar.
    fn has(&self, digest: &Digest, size: u64) -> bool;

    /// Puts objects into the local store, those that can be brought; which are there now is for the caller to see. Takes a
    /// bounded time.
    fn bring(&self, digests: &[Digest]);

    /// Notes that a shared record was read or written.
    fn used(&self, space: Space, key: &Digest);
}

/// The store's directory, and what is beyond it.
static SET: RwLock<Option<(PathBuf, Arc<dyn Beyond>)>> = RwLock::new(None);

/// Says what lies beyond the store in `store_dir`, in place of what was said before.
pub fn set(store_dir: &Path, beyond: Arc<dyn Beyond>) {
    let mut place = SET.write().unwrap_or_else(PoisonError::into_inner);
    *place = Some((store_dir.to_owned(), beyond));
}

/// That nothing lies beyond any more.
pub fn unset() {
    *SET.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// How long this process waited for what it asked its run's command to bring, in microseconds.
static WAITED_US: AtomicU64 = AtomicU64::new(0);

/// How long this process has waited so far for objects that were beyond this disk, in microseconds; those of threads added up.
#[must_use]
pub fn waited_us() -> u64 {
    WAITED_US.load(Ordering::Relaxed)
}

/// Whether anything lies beyond any store.
#[must_use]
pub fn is_set() -> bool {
    SET.read().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// What lies beyond the store in `store_dir`.
pub(crate) fn of(store_dir: &Path) -> Option<Arc<dyn Beyond>> {
    let place = SET.read().unwrap_or_else(PoisonError::into_inner);
    let (dir, beyond) = place.as_ref()?;
    (dir == store_dir).then(|| Arc::clone(beyond))
}

/// Whether a record may be of use to others, so that its use is noted: pointers and trees are found by name.
pub(crate) fn is_noted(space: Space) -> bool {
    matches!(space, Space::PathSets | Space::Entries | Space::Packages)
}

/// Adds to a run's list of records that it used. What cannot be written is not sent to others.
pub fn note(run_dir: &Path, space: Space, key: &Digest) {
    let mut line = Vec::with_capacity(1 + DIGEST_BYTES);
    line.push(space.tag());
    line.extend_from_slice(key.as_bytes());
    let _ = fsx::append(&run_dir.join(USED), &line);
}

/// The records that a run noted, each once, in order.
#[must_use]
pub fn noted(run_dir: &Path) -> Vec<(Space, Digest)> {
    let bytes = fsx::read(&run_dir.join(USED)).unwrap_or_default();
    let (lines, _) = bytes.as_chunks::<{ 1 + DIGEST_BYTES }>();
    let mut noted: Vec<(Space, Digest)> = lines
        .iter()
        .filter_map(|[tag, key @ ..]| {
            let space = Space::ALL.into_iter().find(|space| space.tag() == *tag)?;
            is_noted(space).then(|| (space, Digest::from_bytes(*key)))
        })
        .collect();
    noted.sort_unstable();
    noted.dedup();
    noted
}

/// What is asked through the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether objects of these sizes can be brought.
    Has(Vec<(Digest, u64)>),
    /// Bring these.
    Bring(Vec<Digest>),
}

impl Question {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, objects): (u8, Vec<(&Digest, u64)>) = match self {
            Self::Has(objects) => (b'h', objects.iter().map(|(d, size)| (d, *size)).collect()),
            Self::Bring(objects) => (b'b', objects.iter().map(|d| (d, 0)).collect()),
        };
        let mut bytes = vec![kind];
        let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        for (digest, size) in objects {
            bytes.extend_from_slice(digest.as_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        bytes
    }

    /// Reads one.
    ///
    /// # Errors
    /// As reading; `InvalidData` for what is none.
    pub fn read(from: &mut dyn Read) -> io::Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [kind, count @ ..] = head;
        let count = u32::from_le_bytes(count) as usize;
        if count > MAX_OBJECTS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; count * OBJECT_BYTES];
        from.read_exact(&mut bytes)?;
        let (objects, _) = bytes.as_chunks::<OBJECT_BYTES>();
        let objects = objects.iter().map(|object| {
            let (mut digest, mut size) = ([0; DIGEST_BYTES], [0; 8]);
            digest.copy_from_slice(&object[..DIGEST_BYTES]);
            size.copy_from_slice(&object[DIGEST_BYTES..]);
            (Digest::from_bytes(digest), u64::from_le_bytes(size))
        });
        match kind {
            b'h' => Ok(Self::Has(objects.collect())),
            b'b' => Ok(Self::Bring(objects.map(|(digest, _)| digest).collect())),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Runs `work` with a name of the run's socket that is short enough for one.
fn with_socket<T>(run_dir: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let dir = fsx::open(run_dir)?;
    work(&PathBuf::from(format!(
        "/proc/self/fd/{}/{SOCKET}",
        dir.as_raw_fd()
    )))
}

/// Makes the socket of a run, for the command that answers.
///
/// # Errors
/// As binding.
pub fn listen(run_dir: &Path) -> io::Result<UnixListener> {
    with_socket(run_dir, |path| UnixListener::bind(path))
}

/// Removes the socket of a run: nobody answers any more.
pub fn hang_up(run_dir: &Path) {
    let _ = fsx::remove_file(&run_dir.join(SOCKET));
}

/// Connects to a run's socket.
///
/// # Errors
/// As connecting.
pub fn connect(run_dir: &Path) -> io::Result<UnixStream> {
    with_socket(run_dir, |path| UnixStream::connect(path))
}

/// Asks the command that started this process.
#[derive(Debug)]
pub struct Asker {
    run_dir: PathBuf,
    wait: Duration,
}

impl Asker {
    /// For the processes of a run; `None` where its command answers no questions. Who gets no answer for as long as
    /// `wait` goes on without.
    #[must_use]
    pub fn of_run(run_dir: &Path, wait: Duration) -> Option<Self> {
        fsx::exists(&run_dir.join(SOCKET)).then(|| Self {
            run_dir: run_dir.to_owned(),
            wait,
        })
    }

    fn ask(&self, question: &Question, count: usize) -> io::Result<Vec<u8>> {
        let mut stream = connect(&self.run_dir)?;
        stream.set_read_timeout(Some(self.wait))?;
        stream.set_write_timeout(Some(self.wait))?;
        stream.write_all(&question.encode())?;
        let mut answer = vec![0; count];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

impl Beyond for Asker {
    fn has(&self, digest: &Digest, size: u64) -> bool {
        let question = Question::Has(vec![(*digest, size)]);
        self.ask(&question, 1).is_ok_and(|answer| answer == [1])
    }

    fn bring(&self, digests: &[Digest]) {
        let began = Instant::now();
        for some in digests.chunks(MAX_OBJECTS) {
            // What did not come is found out where it is placed.
            let _ = self.ask(&Question::Bring(some.to_vec()), some.len());
        }
        let waited_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        WAITED_US.fetch_add(waited_us, Ordering::Relaxed);
    }

    fn used(&self, space: Space, key: &Digest) {
        note(&self.run_dir, space, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_read_back_and_nonsense_is_refused() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        for question in [
            Question::Has(vec![(a, 7), (b, u64::MAX)]),
            Question::Bring(vec![a, b]),
            Question::Bring(Vec::new()),
        ] {
            let bytes = question.encode();
            assert_eq!(Question::read(&mut &bytes[..]).unwrap(), question);
            assert!(Question::read(&mut &bytes[..bytes.len() - 1]).is_err());
        }
        assert!(Question::read(&mut &b"x\0\0\0\0"[..]).is_err());
        assert!(Question::read(&mut &b"b\xff\xff\xff\xff"[..]).is_err());
    }

    #[test]
    fn notes_are_read_back_once_each() {
        let dir = tempfile::tempdir().unwrap();
        let key = Digest::of(b"key");
        for _ in 0..2 {
            note(dir.path(), Space::Entries, &key);
            note(dir.path(), Space::Latest, &key);
            note(dir.path(), Space::PathSets, &key);
        }
        // A killed process left half of one.
        fsx::append(&dir.path().join(USED), b"half").unwrap();
        assert_eq!(
            noted(dir.path()),
            [(Space::Entries, key), (Space::PathSets, key)]
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        );
    }
}
