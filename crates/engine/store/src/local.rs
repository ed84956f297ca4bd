//! The store on this machine's disk.

use std::io;
use std::path::{Path, PathBuf};

use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_fsx as fsx;
use rekindle_fsx::place::{self, Method, PlaceError, Placed, Wish};

use crate::active::{self, ActiveBuild};
use crate::frame;
use crate::layout::Layout;
use crate::{Record, Space, Store, StoreError, Stored, account, at, beyond};

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;

/// The last use of an entry or tree is written down when what is written is older than this: evictions order by
/// it, and leave alone what was used since a running build started, less twice this.
const ENTRY_USE_NS: i64 = MINUTE_NS;
/// The same for the other spaces, which are dropped by age alone.
const OTHER_USE_NS: i64 = 24 * 60 * MINUTE_NS;
/// An object that is stored again gets a new change time when it is older than this, so that an
/// eviction under way does not take it before its new record appears: half of `gc`'s shortest grace.
const RENEW_NS: i64 = 10 * MINUTE_NS;

/// Objects and records in a directory. Opening one does no I/O; directories are made by the first
/// write that needs them. Any number of processes use it at once.
///
/// ```text
/// DIR/v1/objects/a/bcdef…   an object: its bytes, named by their BLAKE3 digest (1 + 63 digits)
///        pathsets/ab/…      a record of this space: see [`crate::frame`]
///        entries/ latest/ outputs/ memos/   likewise
///        tmp/               what is being written; left over after a kill, removed after a day
///        active/            a locked file for each running build: see [`ActiveBuild`]
///        runs/              a directory for each run; others write it, evictions prune it
///        gc.lock            held by the one eviction that runs
///        pointers.lock      held by who changes several records of `pointers`
///        toolchain.lock     held by who reads a whole toolchain for its digest
///        size, growth       how large the store is, roughly
/// ```
///
/// Every file appears by rename from `tmp/`. Nothing is synced: after a power failure a file may be
/// empty or hold anything, which its digest or checksum shows when it is read. What is damaged is
/// removed and is a miss.
///
/// **Times.** A record's modification time is its last use. An object's is never touched, since the
/// inode may be shared with a target directory where cargo compares it; its change time says when it
/// was stored or last shared.
///
/// **Modes.** An object has the mode of any file of its owner, with execute bits where its first
/// publisher wished them: a shared inode is part of a target directory, where tools write, strip and
/// replace files as they please, so a read-only one would break builds. What protects objects is that
/// their bytes are checked each time that they are served.
#[derive(Clone, Debug)]
pub struct LocalStore {
    pub(crate) layout: Layout,
    renew_ns: i64,
}

impl LocalStore {
    /// The store in `dir`, whether or not there is one yet.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self {
            layout: Layout::new(dir),
            renew_ns: RENEW_NS,
        }
    }

    /// Where runs have their directories, one each. Missing until somebody makes it.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.layout.runs()
    }

    /// The directory that it was opened in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.root.parent().unwrap_or(&self.layout.root)
    }

    /// Whether an object of this size is there, or can be brought from [`beyond`]; its bytes are not looked at.
    #[must_use]
    pub fn has_object(&self, digest: &Digest, size: u64) -> bool {
        self.holds_object(digest, size)
            || beyond::of(self.dir()).is_some_and(|beyond| beyond.has(digest, size))
    }

    /// Whether an object of this size is on this disk; its bytes are not looked at.
    #[must_use]
    pub fn holds_object(&self, digest: &Digest, size: u64) -> bool {
        self.object_size(digest) == Some(size)
    }

    /// The size in bytes of an object that is on this disk; its bytes are not looked at.
    #[must_use]
    pub fn object_size(&self, digest: &Digest) -> Option<u64> {
        Some(self.object_sig(digest)?.size)
    }

    /// The signature of an object's file, where it is on this disk: who shares it, and since when it is as it is.
    #[must_use]
    pub fn object_sig(&self, digest: &Digest) -> Option<fsx::StatSig> {
        let sig = fsx::stat(&self.layout.object(digest)).ok()?;
        (sig.kind() == fsx::FileKind::File).then_some(sig)
    }

    /// Brings those of some objects from [`beyond`] that are not here: several at once take less time than one after
    /// the other. What cannot be brought is found out when it is placed.
    pub fn bring_objects(&self, objects: &[(Digest, u64)]) {
        let Some(beyond) = beyond::of(self.dir()) else {
            return;
        };
        let missing = objects
            .iter()
            .filter(|(digest, size)| !self.holds_object(digest, *size));
        let missing: Vec<Digest> = missing.map(|(digest, _)| *digest).collect();
        if !missing.is_empty() {
            beyond.bring(&missing);
        }
    }

    /// Does something with an object; where it is lost or damaged brings it from [`beyond`] and tries once more.
    fn or_brought<T>(
        &self,
        digest: &Digest,
        attempt: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match (attempt(), beyond::of(self.dir())) {
            (Err(StoreError::Missing | StoreError::Corrupt), Some(beyond)) => {
                beyond.bring(&[*digest]);
                attempt()
            }
            (result, _) => result,
        }
    }

    /// The bytes of an object that is on this disk, checked, and whether it is executable.
    ///
    /// # Errors
    /// [`StoreError`]; a damaged one is removed.
    pub fn object_bytes(&self, digest: &Digest) -> Result<(Vec<u8>, bool), StoreError> {
        let path = self.layout.object(digest);
        let read = fsx::read_with_sig(&path, u64::MAX).map_err(at("read", &path))?;
        let (bytes, sig) = read.ok_or(StoreError::Missing)?;
        if Digest::of(&bytes) != *digest {
            let _ = fsx::remove_file(&path);
            return Err(StoreError::Corrupt);
        }
        Ok((bytes, sig.is_executable()))
    }

    /// The size of an object that is on this disk and its first bytes, at most so many, unchecked: for guesses at what it is.
    #[must_use]
    pub fn object_begin(&self, digest: &Digest, at_most: u64) -> Option<(u64, Vec<u8>)> {
        let read = fsx::read_with_sig(&self.layout.object(digest), at_most);
        let (bytes, sig) = read.ok()??;
        Some((sig.size, bytes))
    }

    /// Stores bytes as an object.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put_object_bytes(&self, bytes: &[u8], executable: bool) -> Result<Stored, StoreError> {
        let digest = Digest::of(bytes);
        Ok(Stored {
            digest,
            size: bytes.len() as u64,
            new: self.write_object(digest, bytes, executable)?,
        })
    }

    /// Stores the object of this digest, whose bytes these should be.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where they are others; [`StoreError::Io`] where this disk takes none.
    pub fn put_object_of(
        &self,
        digest: &Digest,
        bytes: &[u8],
        executable: bool,
    ) -> Result<(), StoreError> {
        if Digest::of(bytes) != *digest {
            return Err(StoreError::Corrupt);
        }
        self.write_object(*digest, bytes, executable)?;
        Ok(())
    }

    /// Writes bytes whose digest this is. Whether the object is new.
    fn write_object(&self, digest: Digest, bytes: &[u8], executable: bool) -> io::Result<bool> {
        let arrival = self.layout.temporary();
        let (mode, mtime_s) = arriving(executable);
        let write = || fsx::write_file_bytes(&arrival, bytes, mode, mtime_s);
        fsx::with_dir(&self.layout.temporaries(), write).map_err(at("write", &arrival))?;
        self.settle_written(&arrival, digest)
    }

    /// Gives a file that was just written its place; it is gone where that fails. Whether the object is new.
    fn settle_written(&self, arrival: &Path, digest: Digest) -> io::Result<bool> {
        let settled = fsx::stat(arrival).and_then(|sig| {
            let placed = Placed {
                method: Method::Copy,
                digest,
                sig,
            };
            self.settle(arrival, &placed)
        });
        if settled.is_err() {
            let _ = fsx::remove_file(arrival);
        }
        settled
    }

    /// Stores the object of this digest and size out of what is read, to its end.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where other bytes come, or none that can be read; [`StoreError::Io`] where this disk takes
    /// none.
    pub fn put_object_from(
        &self,
        (digest, size): (&Digest, u64),
        executable: bool,
        bytes: &mut dyn io::Read,
    ) -> Result<(), StoreError> {
        let temporaries = self.layout.temporaries();
        fsx::create_dir_all(&temporaries).map_err(at("make", &temporaries))?;
        let arrival = self.layout.temporary();
        let mut checked = Checked::new(bytes, size);
        let (mode, mtime_s) = arriving(executable);
        let refused = match fsx::write_file(&arrival, &mut checked, mode, mtime_s) {
            Ok(_) if checked.is(digest) => {
                self.settle_written(&arrival, *digest)?;
                return Ok(());
            }
            Err(error) if !checked.failed => at("write", &arrival)(error).into(),
            _ => StoreError::Corrupt,
        };
        let _ = fsx::remove_file(&arrival);
        Err(refused)
    }

    /// Reads an object whose bytes are wanted later, and not by us: a damaged one is removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn check_object(&self, digest: &Digest) -> Result<(), StoreError> {
        self.or_brought(digest, || self.check_held(digest))
    }

    fn check_held(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.layout.object(digest);
        let found = fsx::found(fsx::hash_file(&path)).map_err(at("read", &path))?;
        match found {
            None => Err(StoreError::Missing),
            Some((found, _)) if found == *digest => Ok(()),
            Some(_) => {
                let _ = fsx::remove_file(&path);
                Err(StoreError::Corrupt)
            }
        }
    }

    /// Says that a build is running, until the value is dropped or the process ends: what it uses
    /// from now on is not evicted.
    ///
    /// # Errors
    /// Where the file cannot be made or locked. The build can go on: what is evicted under it is a
    /// miss.
    pub fn register_active(&self) -> io::Result<ActiveBuild> {
        account::begin(&self.layout, SystemClock::default().now());
        active::register(&self.layout)
    }

    /// When a record was last used, roughly, without using it: nanoseconds since 1970. `None` where
    /// there is none, or none that can be seen. What it holds may still be damaged, or a newer
    /// Rekindle's.
    #[must_use]
    pub fn last_use_ns(&self, space: Space, key: &Digest) -> Option<i64> {
        let sig = fsx::stat(&self.layout.record(space, key)).ok()?;
        (sig.kind() == fsx::FileKind::File).then_some(sig.mtime_ns)
    }

    /// Takes the lock for changing several records of [`Space::Pointers`] that belong together;
    /// `None` where another process holds it. Reading needs none.
    ///
    /// # Errors
    /// Where the file cannot be made or locked.
    pub fn try_lock_pointers(&self) -> io::Result<Option<fsx::lock::FileLock>> {
        let path = self.layout.pointers_lock();
        fsx::with_dir(&self.layout.root, || fsx::lock::try_exclusive(&path))
            .map_err(at("lock", &path))
    }

    /// Waits for the lock for reading a whole toolchain, of which a digest is then in [`Space::Memos`].
    ///
    /// # Errors
    /// Where the file cannot be made or locked.
    pub fn lock_toolchain(&self) -> io::Result<fsx::lock::FileLock> {
        let path = self.layout.toolchain_lock();
        fsx::with_dir(&self.layout.root, || fsx::lock::exclusive(&path)).map_err(at("lock", &path))
    }

    fn note_use(&self, space: Space, key: &Digest) {
        if beyond::is_noted(space)
            && let Some(beyond) = beyond::of(self.dir())
        {
            beyond.used(space, key);
        }
    }

    /// Refuses to replace what a later Rekindle wrote. (One that is written between this look and
    /// our rename is replaced all the same; the later Rekindle then has a miss.)
    fn check_not_newer(&self, path: &Path, space: Space, key: &Digest) -> io::Result<()> {
        let Some((bytes, _)) =
            fsx::read_with_sig(path, frame::MAX_BYTES + 1).map_err(at("read", path))?
        else {
            return Ok(());
        };
        match frame::parse(&bytes, space, key) {
            Ok(frame) if frame.version.is_newer() => Err(at("replace", path)(io::Error::new(
                io::ErrorKind::Unsupported,
                "a newer version of rekindle wrote it",
            ))),
            _ => Ok(()),
        }
    }

    /// Gives the object that waits at `arrival` its name, unless it is there already.
    fn settle(&self, arrival: &Path, placed: &Placed) -> io::Result<bool> {
        let path = self.layout.object(&placed.digest);
        let there = fsx::found(fsx::stat(&path)).map_err(at("read", &path))?;
        if let Some(sig) = there
            && sig.kind() == fsx::FileKind::File
            && sig.size == placed.sig.size
        {
            fsx::remove_file(arrival).map_err(at("remove", arrival))?;
            if fsx::time::realtime_ns().saturating_sub(sig.ctime_ns) > self.renew_ns {
                // Setting the mode that it has sets the change time and nothing else.
                let _ = fsx::set_mode(&path, sig.mode & 0o7777);
            }
            return Ok(false);
        }
        let dir = path.parent().unwrap_or(&self.layout.root);
        fsx::with_dir(dir, || fsx::rename(arrival, &path)).map_err(at("write", &path))?;
        if placed.method == Method::Hardlink {
            // Another process may have just published the same inode: the rename then did nothing.
            fsx::remove_file(arrival).map_err(at("remove", arrival))?;
        }
        account::note(&self.layout, placed.sig.size, &placed.digest);
        Ok(true)
    }

    /// Brings the bytes of `source` into `tmp/`.
    fn receive(&self, source: &Path, arrival: &Path, wish: Wish) -> io::Result<Placed> {
        let attempt = || place::place(source, arrival, arrival, None, wish);
        let mut result = attempt();
        // A missing source is `Missing`; what else is not found is our own directory.
        if let Err(PlaceError::Io(error)) = &result
            && error.kind() == io::ErrorKind::NotFound
        {
            let dir = self.layout.temporaries();
            fsx::create_dir_all(&dir).map_err(at("make", &dir))?;
            result = attempt();
        }
        result.map_err(|error| match error {
            PlaceError::Missing => at("read", source)(io::ErrorKind::NotFound.into()),
            PlaceError::Io(error) => {
                let doing = format!("copy {} to", source.display());
                at(&doing, arrival)(error)
            }
            // Nothing was promised of a source.
            PlaceError::Corrupt { .. } => io::Error::other(error),
        })
    }
}

impl Store for LocalStore {
    fn get_record(&self, space: Space, key: &Digest) -> Result<Option<Record>, StoreError> {
        let path = self.layout.record(space, key);
        // One byte more than a frame may have shows that there are more.
        let read = fsx::read_with_sig(&path, frame::MAX_BYTES + 1).map_err(at("read", &path))?;
        let Some((bytes, sig)) = read else {
            return Ok(None);
        };
        let Ok(frame) = frame::parse(&bytes, space, key) else {
            // In a read-only store it stays, and stays a miss.
            let _ = fsx::remove_file(&path);
            return Err(StoreError::Corrupt);
        };
        if frame.version.is_newer() {
            return Ok(None);
        }
        let record = Record {
            refs: frame.refs().collect(),
            payload: frame.payload.to_vec(),
        };
        let due_ns = match space {
            space if space.holds_outputs() => ENTRY_USE_NS,
            _ => OTHER_USE_NS,
        };
        let age_ns = fsx::time::realtime_ns().saturating_sub(sig.mtime_ns);
        // A time to come, from a clock since corrected, would keep it for ever.
        if age_ns > due_ns || age_ns < -due_ns {
            let _ = fsx::touch(&path);
        }
        self.note_use(space, key);
        Ok(Some(record))
    }

    fn put_record(
        &self,
        space: Space,
        key: &Digest,
        refs: &[Digest],
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.layout.record(space, key);
        let bytes = frame::encode(space, key, refs, payload)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
            .map_err(at("write", &path))?;
        self.check_not_newer(&path, space, key)?;
        fsx::atomic::write_making_way(&self.layout.temporary(), &path, &bytes)
            .map_err(at("write", &path))?;
        account::note(&self.layout, bytes.len() as u64, key);
        self.note_use(space, key);
        Ok(())
    }

    fn remove_record(&self, space: Space, key: &Digest) -> Result<(), StoreError> {
        let path = self.layout.record(space, key);
        Ok(fsx::remove_file(&path).map_err(at("remove", &path))?)
    }

    fn place_object(&self, digest: &Digest, dest: &Path, wish: Wish) -> Result<Placed, StoreError> {
        let path = self.layout.object(digest);
        let temporary = rekindle_fsx::atomic::beside(dest);
        let attempt = || {
            place::place(&path, dest, &temporary, Some(*digest), wish).map_err(
                |error| match error {
                    PlaceError::Missing => StoreError::Missing,
                    PlaceError::Corrupt { .. } => {
                        let _ = fsx::remove_file(&path);
                        StoreError::Corrupt
                    }
                    PlaceError::Io(error) => {
                        let doing = format!("place {} at", path.display());
                        StoreError::Io(at(&doing, dest)(error))
                    }
                },
            )
        };
        self.or_brought(digest, attempt)
    }

    fn put_object(&self, source: &Path, wish: Wish) -> Result<Stored, StoreError> {
        let arrival = self.layout.temporary();
        let placed = self.receive(source, &arrival, wish)?;
        let settled = self.settle(&arrival, &placed);
        if settled.is_err() {
            let _ = fsx::remove_file(&arrival);
        }
        Ok(Stored {
            digest: placed.digest,
            size: placed.sig.size,
            new: settled?,
        })
    }
}

/// Mode and time of a new file, from which an object is made. Whoever shares its inode has this time too, and a library that came
/// after its place was made would be newer than what was made of it.
fn arriving(executable: bool) -> (u32, u64) {
    let mode = if executable { 0o777 } else { 0o666 };
    (mode, fsx::time::PACKED_S)
}

/// Bytes on their way, hashed, and no more of them than there should be by more than one.
struct Checked<'a> {
    bytes: io::Take<&'a mut dyn io::Read>,
    hasher: rekindle_base::DigestHasher,
    size: u64,
    read: u64,
    /// Whether reading failed.
    failed: bool,
}

impl<'a> Checked<'a> {
    fn new(bytes: &'a mut dyn io::Read, size: u64) -> Self {
        Self {
            bytes: io::Read::take(bytes, size.saturating_add(1)),
            hasher: rekindle_base::DigestHasher::new(),
            size,
            read: 0,
            failed: false,
        }
    }

    /// Whether all of it was read, and is this object.
    fn is(&self, digest: &Digest) -> bool {
        !self.failed && self.read == self.size && self.hasher.finish() == *digest
    }
}

impl io::Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer);
        match &read {
            Ok(count) => {
                self.hasher.update(buffer.get(..*count).unwrap_or_default());
                self.read += *count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.failed = true,
        }
        read
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "tests make files as others would"
)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stored_again_is_young_again_but_keeps_its_modification_time() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        std::fs::write(&source, b"bytes").unwrap();
        let wish = Wish {
            hardlink: false,
            executable: false,
        };
        let mut store = LocalStore::open(&dir.path().join("store"));
        let digest = store.put_object(&source, wish).unwrap().digest;
        let path = store.layout.object(&digest);
        let before = fsx::stat(&path).unwrap();
        for (renew_ns, renewed) in [(RENEW_NS, false), (0, true)] {
            store.renew_ns = renew_ns;
            // The kernel stamps from a clock of some milliseconds.
            wait_for_next_stamp(&dir.path().join("stamp"), before.ctime_ns);
            assert!(!store.put_object(&source, wish).unwrap().new);
            let after = fsx::stat(&path).unwrap();
            assert_eq!(after.ctime_ns > before.ctime_ns, renewed);
            assert_eq!((after.mtime_ns, after.ino), (before.mtime_ns, before.ino));
        }
    }

    #[test]
    fn bytes_that_are_not_the_objects_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path());
        let digest = Digest::of(b"its own");
        let refused = store.put_object_of(&digest, b"others", false);
        assert!(matches!(refused, Err(StoreError::Corrupt)), "{refused:?}");
        assert!(!store.holds_object(&digest, 6) && !store.holds_object(&digest, 7));
        store.put_object_of(&digest, b"its own", true).unwrap();
        let kept = store.object_bytes(&digest).unwrap();
        assert_eq!(kept, (b"its own".to_vec(), true));
    }

    fn wait_for_next_stamp(file: &Path, after_ns: i64) {
        loop {
            std::fs::write(file, b"").unwrap();
            if fsx::stat(file).unwrap().ctime_ns > after_ns {
                return;
            }
        }
    }
}
