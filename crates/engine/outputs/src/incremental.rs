//! The compiler's incremental state, `incremental/<crate>-<hash>/s-<session>/…`.
//!
//! A crate's state is hundreds of files that only its own compile reads, so a snapshot does not place
//! them. It leaves a *waiting state* beside them, `incremental/<crate>-<unit>.rekindle`, named by the
//! unit whose compile reads it (the hash in its directory's name is the compiler's own, and says nothing
//! to us). The wrapper puts the state in its place before that compile. cargo and rustc ignore the file.
//!
//! Writing state costs about a third of a compile. It pays where the same unit is compiled again with other
//! sources; a new version of a package is another unit, for which it never does. So a state says whether
//! it *paid*; and where a unit's predecessor's never did, its first compile writes none, and leaves a waiting state
//! without files ([`mark`]), by which the second compile knows that the unit is being worked on.
//!
//! On disk: postcard of [`Waiting`]. Bytes come from the store by reflink or checked hardlink: rustc never
//! writes a file of a finished session in place, since it hardlinks them into the next session itself.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_fsx::place::Wish;
use rekindle_fsx::{DirEntry, stamped};
use rekindle_key::entry::is_plain;
use rekindle_store::{LocalStore, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::materialise::Materialised;

const VERSION: u32 = 2;
/// What a waiting state's name ends in.
const ENDING: &str = ".rekindle";

/// State that is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    version: u32,
    /// Directory of the store, as bytes.
    store: Vec<u8>,
    /// The crate's directory below `incremental`.
    name: String,
    /// Whether a compile has begun with it.
    paid: bool,
    /// Its files; none where a compile wrote no state.
    files: Vec<Piece>,
}

/// A file of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Relative to the crate's directory: plain names joined by slashes, checked when it is placed.
    pub path: String,
    /// What it holds.
    pub bytes: Bytes,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bytes {
    /// These.
    Inline(Vec<u8>),
    /// An object's, and their number.
    Object(Digest, u64),
}

impl Waiting {
    /// State of the crate directory `name`, with its bytes in a store.
    #[must_use]
    pub fn new(store: &LocalStore, name: &str, files: Vec<Piece>, paid: bool) -> Self {
        Self {
            version: VERSION,
            store: store.dir().as_os_str().as_bytes().to_vec(),
            name: name.to_owned(),
            paid,
            files,
        }
    }

    /// Leaves it in an incremental directory for the compile of a unit.
    ///
    /// # Errors
    /// As writing.
    pub fn leave(&self, incremental: &Path, unit: &str) -> io::Result<()> {
        let bytes = postcard::to_stdvec(self).map_err(io::Error::other)?;
        rekindle_fsx::atomic::write(&place(incremental, crate_name(&self.name), unit), &bytes)
    }

    /// Reads one; `None` for any other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let waiting: Self = postcard::from_bytes(bytes).ok()?;
        let plain = |path: &str| path.split('/').all(is_plain);
        let ok = waiting.version == VERSION
            && is_plain(&waiting.name)
            && waiting.files.iter().all(|file| plain(&file.path));
        ok.then_some(waiting)
    }

    /// Brings at once what of it is beyond this disk: one after the other would be a round trip for each of hundreds.
    fn bring(&self, store: &LocalStore) {
        let objects = self.files.iter().filter_map(|file| match &file.bytes {
            Bytes::Object(digest, size) => Some((*digest, *size)),
            Bytes::Inline(_) => None,
        });
        store.bring_objects(&objects.collect::<Vec<_>>());
    }

    /// Whether the store has all of it.
    fn is_whole(&self, store: &LocalStore) -> bool {
        self.files.iter().all(|file| match &file.bytes {
            Bytes::Object(digest, size) => store.has_object(digest, *size),
            Bytes::Inline(_) => true,
        })
    }

    fn place(&self, store: &LocalStore, dir: &Path) -> Result<Materialised, StoreError> {
        let mut done = Materialised::default();
        for file in &self.files {
            let path = dir.join(&file.path);
            rekindle_fsx::create_dir_all(path.parent().unwrap_or(dir))?;
            match &file.bytes {
                Bytes::Inline(bytes) => rekindle_fsx::atomic::write(&path, bytes)?,
                Bytes::Object(digest, size) => {
                    store.place_object(digest, &path, WISH)?;
                    done.bytes += size;
                }
            }
            done.files += 1;
        }
        Ok(done)
    }
}

/// The name under which it waits that a unit's compile wrote no state.
#[must_use]
pub fn mark_name(crate_name: &str, unit: &str) -> String {
    format!("{crate_name}-{unit}")
}

/// Leaves the word for the next compile of a unit that this one writes no state.
///
/// # Errors
/// As writing.
pub fn mark(
    store: &LocalStore,
    incremental: &Path,
    crate_name: &str,
    unit: &str,
) -> io::Result<()> {
    let name = mark_name(crate_name, unit);
    Waiting::new(store, &name, Vec::new(), false).leave(incremental, unit)
}

/// How state goes into a store and comes out of it.
pub const WISH: Wish = Wish {
    hardlink: true,
    executable: false,
};

/// Puts the state in its place that waits for a unit's compile, if there is any. State that is lost or
/// damaged is no state: the compiler does without, so nothing here is an error.
pub fn fill(incremental: &Path, crate_name: &str, unit: &str) -> Materialised {
    let path = place(incremental, crate_name, unit);
    let Ok(bytes) = rekindle_fsx::read(&path) else {
        return Materialised::default();
    };
    let done = Waiting::decode(&bytes).and_then(|waiting| filled(incremental, unit, &waiting));
    let _ = rekindle_fsx::remove_file(&path);
    done.unwrap_or_default()
}

fn filled(incremental: &Path, unit: &str, waiting: &Waiting) -> Option<Materialised> {
    let dest = incremental.join(&waiting.name);
    let store = LocalStore::open(Path::new(std::ffi::OsStr::from_bytes(&waiting.store)));
    if waiting.files.is_empty() || rekindle_fsx::exists(&dest) || !waiting.is_whole(&store) {
        return None;
    }
    waiting.bring(&store);
    // All of it appears by one rename: half a session would be taken for a whole one.
    let aside = incremental.join(format!("{}{unit}", rekindle_fsx::atomic::TEMPORARY_PREFIX));
    let _ = rekindle_fsx::remove_dir_all(&aside);
    let placed = waiting.place(&store, &aside).ok();
    let done = placed.filter(|_| rekindle_fsx::rename(&aside, &dest).is_ok());
    if done.is_none() {
        let _ = rekindle_fsx::remove_dir_all(&aside);
    }
    done
}

/// Whether state waits for a unit's compile.
#[must_use]
pub fn waits(incremental: &Path, crate_name: &str, unit: &str) -> bool {
    rekindle_fsx::exists(&place(incremental, crate_name, unit))
}

/// Whether the state that a unit's compile would write is not worth it: there is none that it begins with, and
/// what waits is that of units which this build does not have, as a package's version before this one,
/// and no compile ever began with it. To be asked before [`fill`].
#[must_use]
pub fn is_wasted(incremental: &Path, crate_name: &str, unit: &str) -> bool {
    let prefix = format!("{crate_name}-");
    let names = rekindle_fsx::list_names(incremental).unwrap_or_default();
    let mut found = false;
    for name in names.iter().filter_map(|name| name.to_str()) {
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        let Some(other) = rest.strip_suffix(ENDING) else {
            // State of rustc's own: nobody knows whose.
            return false;
        };
        if other == unit || !is_unpaid(&incremental.join(name)) || is_built(incremental, other) {
            return false;
        }
        found = true;
    }
    found
}

fn is_unpaid(path: &Path) -> bool {
    let bytes = rekindle_fsx::read(path).ok();
    let waiting = bytes.and_then(|bytes| Waiting::decode(&bytes));
    waiting.is_some_and(|waiting| !waiting.paid)
}

/// Whether a unit is part of this build: before cargo starts a compiler it makes the directories of units that
/// are new, and reads the fingerprints of the others.
fn is_built(incremental: &Path, unit: &str) -> bool {
    let Some(profile) = incremental.parent() else {
        return true;
    };
    let below = |dir: PathBuf| {
        let names = rekindle_fsx::list_names(&dir).unwrap_or_default();
        names.into_iter().map(move |name| dir.join(name))
    };
    let ending = format!("-{unit}");
    let of_unit = |path: &PathBuf| path.to_string_lossy().ends_with(&ending);
    let fingerprints = below(profile.join(".fingerprint")).filter(of_unit);
    let newer_layout = below(profile.join("build"));
    fingerprints
        .chain(newer_layout.map(|package| package.join(unit).join("fingerprint")))
        .filter(|dir| rekindle_fsx::exists(dir))
        .any(|dir| {
            let files = rekindle_fsx::list_dir(&dir).unwrap_or_default();
            let was_read = |file: &DirEntry| stamped::was_read(&file.path).unwrap_or(true);
            files.is_empty() || files.iter().any(was_read)
        })
}

/// Puts all waiting states below a target directory in their places.
#[must_use]
pub fn fill_all(target: &Path) -> Materialised {
    let mut done = Materialised::default();
    for profile in crate::layout::profile_dirs(target) {
        let dir = profile.join("incremental");
        for name in rekindle_fsx::list_names(&dir).unwrap_or_default() {
            let name = name.to_string_lossy();
            let stem = name.strip_suffix(ENDING);
            if let Some((crate_name, unit)) = stem.and_then(|stem| stem.rsplit_once('-')) {
                let filled = fill(&dir, crate_name, unit);
                done.files += filled.files;
                done.bytes += filled.bytes;
            }
        }
    }
    done
}

/// The crate that a directory below `incremental` is of: its name is the crate's, with a hash of the compiler's.
#[must_use]
pub fn crate_name(directory: &str) -> &str {
    let parts = directory.rsplit_once('-');
    parts.map_or(directory, |(name, _)| name)
}

fn place(incremental: &Path, crate_name: &str, unit: &str) -> PathBuf {
    incremental.join(format!("{crate_name}-{unit}{ENDING}"))
}

/// The newest session of a crate's directory that was finished. Sessions begin with their time, in
/// digits that sort; one that is under way ends in `-working`.
///
/// # Errors
/// As listing the directory.
pub fn newest_session(dir: &Path) -> io::Result<Option<String>> {
    let names = rekindle_fsx::list_names(dir)?;
    let finished = names.into_iter().filter_map(|name| name.into_string().ok());
    Ok(finished
        .filter(|name| {
            name.starts_with("s-")
                && !name.ends_with("-working")
                && !name.ends_with(".lock")
                && name.matches('-').count() == 3
        })
        .max())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Field {
        dir: tempfile::TempDir,
        store: LocalStore,
    }

    impl Field {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = LocalStore::open(&dir.path().join("store"));
            Self { dir, store }
        }

        fn incremental(&self) -> PathBuf {
            self.dir.path().join("incremental")
        }

        /// State of two files, one of them an object, left for unit `0123`.
        fn leave(&self) -> Digest {
            let source = self.dir.path().join("source");
            rekindle_fsx::atomic::write(&source, b"object code").unwrap();
            let stored = self.store.put_object(&source, WISH).unwrap();
            let piece = |path: &str, bytes| Piece {
                path: path.to_owned(),
                bytes,
            };
            let files = vec![
                piece("s-a.lock", Bytes::Inline(Vec::new())),
                piece("s-a-b-c/x.o", Bytes::Object(stored.digest, stored.size)),
            ];
            rekindle_fsx::create_dir_all(&self.incremental()).unwrap();
            let waiting = Waiting::new(&self.store, "app-1xyz", files, false);
            waiting.leave(&self.incremental(), "0123").unwrap();
            stored.digest
        }

        fn fill(&self, unit: &str) -> u64 {
            fill(&self.incremental(), "app", unit).files
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = rekindle_fsx::list_names(&self.incremental())
                .unwrap()
                .into_iter()
                .map(|name| name.into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn state_comes_for_its_own_unit_alone() {
        let field = Field::new();
        field.leave();
        assert_eq!(field.fill("4567"), 0);
        assert_eq!(field.names(), ["app-0123.rekindle"]);
        assert_eq!(field.fill("0123"), 2);
        assert_eq!(field.names(), ["app-1xyz"]);
        let object = field.incremental().join("app-1xyz/s-a-b-c/x.o");
        assert_eq!(rekindle_fsx::read(&object).unwrap(), b"object code");
        assert_eq!(field.fill("0123"), 0);
    }

    #[test]
    fn state_that_is_there_is_newer() {
        let field = Field::new();
        field.leave();
        let own = field.incremental().join("app-1xyz/s-z-b-c");
        rekindle_fsx::create_dir_all(&own).unwrap();
        assert_eq!(field.fill("0123"), 0);
        assert_eq!(field.names(), ["app-1xyz"]);
        assert_eq!(
            rekindle_fsx::list_names(own.parent().unwrap())
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn lost_and_damaged_state_is_no_state() {
        for damage in [false, true] {
            let field = Field::new();
            let digest = field.leave().to_hex();
            let objects = field.dir.path().join("store/v1/objects");
            let object = objects.join(&digest[..1]).join(&digest[1..]);
            if damage {
                // Of the same size.
                rekindle_fsx::atomic::write(&object, b"object cake").unwrap();
            } else {
                rekindle_fsx::remove_file(&object).unwrap();
            }
            assert_eq!(field.fill("0123"), 0, "{damage}");
            assert!(field.names().is_empty(), "{damage}: {:?}", field.names());
        }
    }

    #[test]
    fn state_is_wasted_where_only_a_predecessors_waits_that_never_paid() {
        let field = Field::new();
        let wasted = |unit: &str| is_wasted(&field.incremental(), "app", unit);
        assert!(!wasted("4567"), "there is none");
        field.leave();
        assert!(wasted("4567"));
        assert!(!wasted("0123"), "it is its own");
        let fingerprint = field.dir.path().join(".fingerprint/app-0123");
        rekindle_fsx::create_dir_all(&fingerprint).unwrap();
        assert!(!wasted("4567"), "both are built");
        let restored = fingerprint.join("bin-app");
        stamped::write_new(&restored, b"0123", 0o644, 1_600_000_000_000_000_000).unwrap();
        assert!(
            wasted("4567"),
            "it was restored, and cargo does not want it"
        );
        rekindle_fsx::remove_dir_all(&fingerprint).unwrap();
        rekindle_fsx::create_dir_all(&field.dir.path().join("build/app/0123/fingerprint")).unwrap();
        assert!(!wasted("4567"), "both are built, in the newer layout");
        rekindle_fsx::remove_dir_all(&field.dir.path().join("build")).unwrap();
        let paid = Waiting::new(&field.store, "app-2xyz", Vec::new(), true);
        paid.leave(&field.incremental(), "89ab").unwrap();
        assert!(!wasted("4567"), "another one paid");
        rekindle_fsx::remove_file(&field.incremental().join("app-89ab.rekindle")).unwrap();
        rekindle_fsx::create_dir_all(&field.incremental().join("app-3xyz")).unwrap();
        assert!(!wasted("4567"), "nobody knows whose that is");
    }

    #[test]
    fn a_mark_without_files_fills_nothing() {
        let field = Field::new();
        rekindle_fsx::create_dir_all(&field.incremental()).unwrap();
        let mark = Waiting::new(&field.store, "app-0123", Vec::new(), false);
        mark.leave(&field.incremental(), "0123").unwrap();
        assert_eq!(field.fill("0123"), 0);
        assert_eq!(field.names(), [""; 0]);
    }

    #[test]
    fn a_waiting_state_cannot_name_a_file_elsewhere() {
        let field = Field::new();
        let decoded = |name: &str, path: &str| {
            let piece = Piece {
                path: path.to_owned(),
                bytes: Bytes::Inline(Vec::new()),
            };
            let waiting = Waiting::new(&field.store, name, vec![piece], false);
            Waiting::decode(&postcard::to_stdvec(&waiting).unwrap()).is_some()
        };
        assert!(decoded("a-1", "s/x.o"));
        for path in ["../x", "/x", "s/../../x", "", "s//x"] {
            assert!(!decoded("a-1", path), "{path:?}");
        }
        assert!(!decoded("..", "x") && !decoded("a/b", "x"));
        assert!(Waiting::decode(b"anything").is_none());
    }

    #[test]
    fn the_newest_finished_session_counts() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "s-hoern00000-0aaaaaa-1bbbb",
            "s-hoern00001-0aaaaaa-1cccc",
            "s-hoern00002-0aaaaaa-working",
        ] {
            rekindle_fsx::create_dir_all(&dir.path().join(name)).unwrap();
        }
        let lock = dir.path().join("s-hoern00009-0aaaaaa.lock");
        rekindle_fsx::atomic::write(&lock, b"").unwrap();
        let newest = newest_session(dir.path()).unwrap();
        assert_eq!(newest.as_deref(), Some("s-hoern00001-0aaaaaa-1cccc"));
    }
}
