//! Digests of files, none of them computed twice.
//!
//! Outputs in a target directory have records ([`crate::record`]), and files of the system
//! *tool memos*, which say what bytes a file has under its signature. Both are records of this machine;
//! another signature means that the file is read again. A placeholder says itself which bytes it
//! stands for, and is never read for them.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rekindle_base::Digest;
use rekindle_fsx::lock::FileLock;
use rekindle_fsx::{FileKind, StatSig};
use rekindle_store::{LocalStore, Space};
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::materialise::{self, Outcome};
use crate::placeholder::{Known, Placeholder};
use crate::record::{self, OutputRecord, Signature};
use crate::shelf::{self, Shelf};

#[derive(Serialize, Deserialize)]
struct ToolMemo {
    sig: Signature,
    digest: Digest,
}

/// A file whose change time is younger than this may be changed again within the same tick of the
/// kernel's clock, so its memo would prove nothing.
const SETTLED_NS: i64 = 2_000_000_000;

/// A smaller file on a shelf has no memo besides: to read it again costs those who have another shelf less than
/// memos of all files cost the first.
const MEMO_MIN_BYTES: u64 = 256 << 10;

/// What is known by path. As a key a path would be taken apart for each look-up, and a compile of C reads hundreds; where two
/// names of one file are not the same bytes, it is looked at twice.
pub(crate) type Paths<T> = HashMap<OsString, T>;

/// What a name on `PATH` leads to.
#[derive(Clone, Debug, Default)]
pub struct OnPath {
    /// What is there first under that name.
    pub first: Option<PathBuf>,
    /// The first program, by its real path: a compiler finds its own files from where it lies.
    pub program: Option<PathBuf>,
}

impl OnPath {
    fn look(searched: &[PathBuf], name: &OsStr) -> Self {
        let mut found = Self::default();
        for path in searched.iter().map(|directory| directory.join(name)) {
            let Ok(mut sig) = rekindle_fsx::stat(&path) else {
                continue;
            };
            if sig.kind() == FileKind::Other {
                sig = rekindle_fsx::stat_follow(&path).unwrap_or(sig);
            }
            let is_program = sig.kind() == FileKind::File && sig.is_executable();
            if is_program {
                found.program = rekindle_fsx::canonicalize(&path).ok();
            }
            found.first.get_or_insert(path);
            if is_program {
                break;
            }
        }
        found
    }
}

/// Digests of files, remembered for the life of the process and beyond.
pub struct Files<'a> {
    store: &'a LocalStore,
    /// In the target directory: takes the records that a read-only store refuses.
    beside: OnceCell<LocalStore>,
    target: OnceCell<PathBuf>,
    sources: RefCell<Paths<Digest>>,
    outputs: RefCell<Paths<Option<OutputRecord>>>,
    bytes: RefCell<Paths<Rc<[u8]>>>,
    /// Signatures of files that only just appeared under their names, with the bytes that they were
    /// known to have all the while.
    settled: RefCell<HashSet<StatSig>>,
    /// Signatures of files of the system that were looked at since the last run of a program: what is known of a file is
    /// known of the bytes that it had under its signature here.
    signatures: RefCell<Paths<StatSig>>,
    /// What was looked for on `PATH` since then, and the directories of that.
    on_path: RefCell<(Vec<PathBuf>, Paths<Rc<OnPath>>)>,
    /// Files that are read together, and the record that they are in.
    shelf: RefCell<Option<(Digest, Shelf)>>,
}

impl<'a> Files<'a> {
    /// Digests that are remembered in a store.
    #[must_use]
    pub fn new(store: &'a LocalStore) -> Self {
        Self {
            store,
            beside: OnceCell::new(),
            target: OnceCell::new(),
            sources: RefCell::default(),
            outputs: RefCell::default(),
            bytes: RefCell::default(),
            settled: RefCell::default(),
            signatures: RefCell::default(),
            on_path: RefCell::default(),
            shelf: RefCell::default(),
        }
    }

    /// Says where outputs are: there, placeholders may be, and records go that the store refuses.
    pub fn set_target(&self, target: &Path) {
        self.target.get_or_init(|| target.to_owned());
        self.beside
            .get_or_init(|| LocalStore::open(&target.join(".rekindle")));
    }

    /// Waits until nobody else reads a whole toolchain; `None` where there can be no lock.
    #[must_use]
    pub fn lock_toolchain(&self) -> Option<FileLock> {
        self.store.lock_toolchain().ok()
    }

    /// Where records of this machine are: in the store, then in the target directory.
    fn stores(&self) -> Vec<&LocalStore> {
        [self.store].into_iter().chain(self.beside.get()).collect()
    }

    /// The digest of what a placeholder stands for; `None` for what is none. One whose bytes are to be
    /// changed when they are put in place is no longer one after this.
    fn stood_for(&self, path: &Path) -> io::Result<Option<Digest>> {
        if self
            .target
            .get()
            .is_none_or(|target| !path.starts_with(target))
        {
            return Ok(None);
        }
        let Some((file, placeholder)) = Placeholder::find(path)? else {
            return Ok(None);
        };
        if placeholder.replacements.is_empty() {
            return Ok(Some(placeholder.digest));
        }
        match self.materialise(&[file]).failed.pop() {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(None),
        }
    }

    /// Puts the bytes of placeholders in their places.
    #[must_use]
    pub fn materialise(&self, paths: &[PathBuf]) -> Outcome {
        let before: Vec<(&PathBuf, Digest)> = paths
            .iter()
            .filter_map(|path| Some((path, Placeholder::read(path).ok()??.digest)))
            .collect();
        let outcome = materialise::materialise_all(paths, self.beside.get());
        self.signatures.borrow_mut().clear();
        let ours: HashSet<&PathBuf> = outcome.paths.iter().collect();
        for (path, digest) in before {
            let is_same = || {
                ours.contains(path)
                    // Another process was faster.
                    || rekindle_fsx::hash_file(path).is_ok_and(|(found, _)| found == digest)
            };
            if let Ok(sig) = rekindle_fsx::stat(path)
                && is_same()
            {
                self.settled.borrow_mut().insert(sig);
            }
        }
        outcome
    }

    /// Whether a file is as it was put in place by this process or under its eyes: then its change time
    /// says nothing of its bytes.
    #[must_use]
    pub fn is_settled(&self, sig: &StatSig) -> bool {
        self.settled.borrow().contains(sig)
    }

    /// A source: always read, since reading it is hardly dearer than asking for its signature.
    ///
    /// # Errors
    /// As reading it.
    pub fn source(&self, path: &Path) -> io::Result<Digest> {
        if let Some(digest) = self.sources.borrow().get(path.as_os_str()) {
            return Ok(*digest);
        }
        let digest = match self.stood_for(path)? {
            Some(digest) => digest,
            None => rekindle_fsx::hash_file(path)?.0,
        };
        self.sources.borrow_mut().insert(path.into(), digest);
        Ok(digest)
    }

    /// The bytes of a small file that is looked into for several names.
    ///
    /// # Errors
    /// As reading it.
    pub fn bytes(&self, path: &Path) -> io::Result<Rc<[u8]>> {
        if let Some(bytes) = self.bytes.borrow().get(path.as_os_str()) {
            return Ok(Rc::clone(bytes));
        }
        let bytes: Rc<[u8]> = rekindle_fsx::read(path)?.into();
        let known = Rc::clone(&bytes);
        self.bytes.borrow_mut().insert(path.into(), known);
        Ok(bytes)
    }

    /// Forgets sources that were read, and how files of the system were: after a compile they are looked at again.
    pub fn forget_sources(&self) {
        self.bytes.borrow_mut().clear();
        self.signatures.borrow_mut().clear();
        self.sources.borrow_mut().clear();
        self.on_path.borrow_mut().1.clear();
    }

    /// What a name on `PATH` leads to.
    pub fn on_path(&self, environment: &Environment, name: &OsStr) -> Rc<OnPath> {
        let searched = environment.searched();
        let mut on_path = self.on_path.borrow_mut();
        let known = on_path.0.iter().map(|path| path.as_os_str());
        if !known.eq(searched.iter().map(|path| path.as_os_str())) {
            *on_path = (searched.to_vec(), Paths::default());
        }
        if let Some(known) = on_path.1.get(name) {
            return Rc::clone(known);
        }
        let found = Rc::new(OnPath::look(searched, name));
        on_path.1.insert(name.into(), Rc::clone(&found));
        found
    }

    /// A file of the system: a linker, a library.
    ///
    /// # Errors
    /// As reading it.
    pub fn tool(&self, path: &Path) -> io::Result<Digest> {
        if let Some(digest) = self.stood_for(path)? {
            return Ok(digest);
        }
        let sig = self.signature(path)?;
        if let Some(digest) = self.on_shelf(path, sig) {
            return Ok(digest);
        }
        if let Some(digest) = self.known_tool(path, sig) {
            self.with_shelf(|shelf| shelf.set_digest(path, sig.into(), digest));
            return Ok(digest);
        }
        let (digest, is_kept) = self.read_under(path, sig)?;
        if is_kept {
            self.keep_tool(path, sig, digest);
        }
        Ok(digest)
    }

    /// A file that the build itself made, such as a header below `OUT_DIR`. Where there is a shelf, many processes read it one
    /// after the other, and it is known by signature there; else it is read, as a source is.
    ///
    /// # Errors
    /// As reading it.
    pub fn made(&self, path: &Path) -> io::Result<Digest> {
        // What was read before was read under a signature that nobody asked for.
        let is_read = self.sources.borrow().contains_key(path.as_os_str());
        if is_read || self.shelf.borrow().is_none() {
            return self.source(path);
        }
        if let Some(digest) = self.stood_for(path)? {
            return Ok(digest);
        }
        let sig = self.signature(path)?;
        if let Some(digest) = self.on_shelf(path, sig) {
            return Ok(digest);
        }
        let (digest, is_kept) = self.read_under(path, sig)?;
        if is_kept {
            self.with_shelf(|shelf| shelf.set_digest(path, sig.into(), digest));
        }
        self.sources.borrow_mut().insert(path.into(), digest);
        Ok(digest)
    }

    fn on_shelf(&self, path: &Path, sig: StatSig) -> Option<Digest> {
        self.with_shelf(|shelf| shelf.digest(path, sig.into()))
            .flatten()
    }

    /// The digest of a file that had this signature, and whether it can be kept under it.
    fn read_under(&self, path: &Path, sig: StatSig) -> io::Result<(Digest, bool)> {
        let (digest, _) = rekindle_fsx::hash_file(path)?;
        // What it was before it was read says nothing of what was read.
        let read = rekindle_fsx::stat_follow(path)?;
        self.signatures.borrow_mut().insert(path.into(), read);
        Ok((digest, read == sig && is_settled(sig)))
    }

    /// What [`Files::tool`] remembers of a file with this signature.
    #[must_use]
    pub fn known_tool(&self, path: &Path, sig: StatSig) -> Option<Digest> {
        let key = record::key(b"tool", path);
        let memo = record::of_machine::<ToolMemo>(&self.stores(), Space::Memos, &key)
            .find(|memo| memo.sig == sig.into());
        memo.map(|memo| memo.digest)
    }

    /// The signature of a file of the system: of one whose digest was asked for, that of the bytes with this digest, or a later
    /// one.
    ///
    /// # Errors
    /// As asking for it.
    pub fn signature(&self, path: &Path) -> io::Result<StatSig> {
        if let Some(sig) = self.signatures.borrow().get(path.as_os_str()) {
            return Ok(*sig);
        }
        let sig = rekindle_fsx::stat_follow(path)?;
        self.signatures.borrow_mut().insert(path.into(), sig);
        Ok(sig)
    }

    /// Makes known what [`Files::tool`] is to say of a file that was read after it had this signature.
    pub fn remember_tool(&self, path: &Path, sig: StatSig, digest: Digest) {
        if is_still(path, sig) {
            self.keep_tool(path, sig, digest);
        }
    }

    fn keep_tool(&self, path: &Path, sig: StatSig, digest: Digest) {
        let on_shelf = self.with_shelf(|shelf| shelf.set_digest(path, sig.into(), digest));
        if on_shelf.is_some() && sig.size < MEMO_MIN_BYTES {
            return;
        }
        let memo = ToolMemo {
            sig: sig.into(),
            digest,
        };
        self.remember(&record::key(b"tool", path), &memo);
    }

    /// What `look` finds in a file of the system; asked of the shelf first. `None` where nothing can be found.
    pub fn marks(&self, path: &Path, look: impl FnOnce() -> Option<u8>) -> Option<u8> {
        let sig = self.signature(path).ok()?;
        let on_shelf = |shelf: &mut Shelf| shelf.marks(path, sig.into());
        if let Some(marks) = self.with_shelf(on_shelf).flatten() {
            return Some(marks);
        }
        let marks = look()?;
        if is_still(path, sig) {
            self.with_shelf(|shelf| shelf.set_marks(path, sig.into(), marks));
        }
        Some(marks)
    }

    /// Takes a shelf: what others like this process found of the files that they read. Of some files it is known
    /// that no other reads them.
    pub fn take_shelf(&self, key: Digest, own: impl IntoIterator<Item = PathBuf>) {
        let kept = self.memo::<shelf::Kept>(&key);
        let mut shelf = kept.map_or_else(Shelf::default, Shelf::from);
        shelf.leave_out(own);
        *self.shelf.borrow_mut() = Some((key, shelf));
    }

    /// Keeps the shelf with what this process found.
    pub fn keep_shelf(&self) {
        if let Some((key, shelf)) = self.shelf.borrow().as_ref()
            && let Some(kept) = shelf.kept()
        {
            self.remember(key, &kept);
        }
    }

    fn with_shelf<T>(&self, then: impl FnOnce(&mut Shelf) -> T) -> Option<T> {
        let mut shelf = self.shelf.borrow_mut();
        shelf.as_mut().map(|(_, shelf)| then(shelf))
    }

    /// What is known of an output; `None` where nothing is, or its bytes are no longer those.
    #[must_use]
    pub fn output(&self, path: &Path) -> Option<OutputRecord> {
        if let Some(known) = self.outputs.borrow().get(path.as_os_str()) {
            return known.clone();
        }
        let record = record::read(&self.stores(), path);
        self.outputs
            .borrow_mut()
            .insert(path.into(), record.clone());
        record
    }

    /// Remembers an output that was published or restored.
    pub fn remember_output(
        &self,
        path: &Path,
        sig: StatSig,
        digest: Digest,
        closure: Digest,
        externs: &[PathBuf],
    ) {
        let known = Known {
            closure,
            externs: externs.to_vec(),
        };
        record::keep(&self.stores(), path, sig, digest, &known);
    }

    /// A record of this machine under a name.
    #[must_use]
    pub fn memo<T: for<'de> Deserialize<'de>>(&self, key: &Digest) -> Option<T> {
        record::of_machine(&self.stores(), Space::Memos, key).next()
    }

    /// Keeps a record of this machine under a name.
    pub fn remember<T: Serialize>(&self, key: &Digest, value: &T) {
        record::keep_of_machine(&self.stores(), Space::Memos, key, value);
    }
}

/// Whether what was found in a file since it had this signature can be kept under it.
fn is_still(path: &Path, sig: StatSig) -> bool {
    is_settled(sig) && rekindle_fsx::stat_follow(path).is_ok_and(|now| now == sig)
}

/// Whether a change since then would show.
fn is_settled(sig: StatSig) -> bool {
    rekindle_fsx::time::realtime_ns() - sig.ctime_ns > SETTLED_NS
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

    #[test]
    fn what_a_build_made_is_kept_once_a_change_of_it_would_show() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store"));
        let made = dir.path().join("made.h");
        rekindle_fsx::atomic::write(&made, b"made").unwrap();
        let key = Digest::of(b"shelf");
        let is_kept = || {
            let files = Files::new(&store);
            files.take_shelf(key, []);
            let sig = rekindle_fsx::stat(&made).unwrap();
            let before = files.on_shelf(&made, sig);
            assert_eq!(files.made(&made).unwrap(), Digest::of(b"made"));
            files.keep_shelf();
            before.is_some()
        };
        assert!(!is_kept());
        assert!(!is_kept(), "it is too young");
        let settled = u64::try_from(SETTLED_NS).unwrap() + 100_000_000;
        std::thread::sleep(std::time::Duration::from_nanos(settled));
        assert!(!is_kept());
        assert!(is_kept());
    }

    #[test]
    fn what_is_on_path_is_looked_for_anew_after_a_run_and_on_another_path() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, mode: u32| {
            let path = dir.path().join(name);
            rekindle_fsx::create_dir_all(path.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&path, b"x").unwrap();
            rekindle_fsx::set_mode(&path, mode).unwrap();
            rekindle_fsx::canonicalize(&path).unwrap()
        };
        let environment = |directories: &[&str]| {
            let directories = directories.iter().map(|name| dir.path().join(name));
            let path = std::env::join_paths(directories).unwrap();
            Environment::new([("PATH".into(), path)], "/".into(), "/nowhere".into())
        };
        let store = LocalStore::open(&dir.path().join("store"));
        let files = Files::new(&store);
        let both = environment(&["one", "two"]);
        let look = |environment: &Environment| {
            let found = files.on_path(environment, OsStr::new("tool"));
            (found.first.clone(), found.program.clone())
        };
        let two = put("two/tool", 0o755);
        assert_eq!(look(&both), (Some(two.clone()), Some(two.clone())));
        let one = put("one/tool", 0o644);
        assert_eq!(look(&both), (Some(two.clone()), Some(two.clone())));
        files.forget_sources();
        assert_eq!(look(&both), (Some(one.clone()), Some(two)));
        assert_eq!(look(&environment(&["one"])), (Some(one), None));
        assert_eq!(look(&environment(&["three"])), (None, None));
    }
}
