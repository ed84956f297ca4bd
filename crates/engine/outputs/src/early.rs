//! Programs that people collect, made while cargo still looks at what is fresh.
//!
//! A final program is the largest file of a build, and has to be real when the command returns: a copy of its
//! own, since tools like `strip` change it in place. cargo's look takes as long as that copy, and one core. So a
//! thread makes the files meanwhile, beside the target under names of their own ([`Early`]), and what puts a
//! program in its placeholder's place afterwards takes the ready file ([`Ready`]), where that placeholder is
//! still there and stands for the same. What cargo built anew, or somebody started, has no such placeholder.
//!
//! On disk: `<build directory>/.rekindle/early/<number>`, with `early.lock` beside it. Whoever holds the
//! lock owns the directory; what a killed process left goes when the next one takes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rekindle_fsx::lock::{self, FileLock};

use crate::materialise;
use crate::placeholder::Placeholder;

/// A thread that makes files.
#[derive(Debug)]
pub struct Early {
    thread: Option<JoinHandle<Vec<Made>>>,
    enough: Arc<AtomicBool>,
    owned: Option<Owned>,
}

/// What a ready file is for, where it is, and its bytes.
#[derive(Clone, Debug)]
struct Made {
    placeholder: Placeholder,
    file: PathBuf,
    bytes: u64,
}

impl Early {
    /// Begins with what the first of these stands for; the placeholders need not be there yet. `None` where
    /// somebody else does so in this directory, or nothing is to be made.
    #[must_use]
    pub fn begin(build_dir: &Path, programs: Vec<Placeholder>) -> Option<Self> {
        if programs.is_empty() {
            return None;
        }
        let owned = Owned::take(build_dir)?;
        rekindle_fsx::create_dir_all(&owned.dir).ok()?;
        let enough = Arc::new(AtomicBool::new(false));
        let (dir, stop) = (owned.dir.clone(), Arc::clone(&enough));
        let thread = std::thread::spawn(move || make(&dir, programs, &stop));
        Some(Self {
            thread: Some(thread),
            enough,
            owned: Some(owned),
        })
    }

    /// What is ready, after the one under way.
    #[must_use]
    pub fn ready(mut self) -> Ready {
        self.enough.store(true, Ordering::Relaxed);
        let made = self.thread.take().and_then(|thread| thread.join().ok());
        Ready {
            made: made.unwrap_or_default(),
            _owned: self.owned.take(),
        }
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn make(dir: &Path, programs: Vec<Placeholder>, enough: &AtomicBool) -> Vec<Made> {
    let mut made = Vec::new();
    for (number, placeholder) in programs.into_iter().enumerate() {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        let file = dir.join(number.to_string());
        // What fails here fails again where it counts, and is said there.
        if let Ok(bytes) = materialise::bytes_at(&placeholder, &file) {
            made.push(Made {
                placeholder,
                file,
                bytes,
            });
        }
    }
    made
}

/// Files that are ready. Those that nobody took go with it.
#[derive(Debug, Default)]
pub struct Ready {
    made: Vec<Made>,
    _owned: Option<Owned>,
}

impl Ready {
    /// Puts the bytes that a placeholder stands for at `path`, if they are ready. Their number.
    pub(crate) fn place(&self, placeholder: &Placeholder, path: &Path) -> Option<u64> {
        let mut made = self.made.iter();
        let made = made.find(|made| made.placeholder == *placeholder)?;
        // Taken by another name already, it is not there any more.
        rekindle_fsx::rename(&made.file, path).ok()?;
        Some(made.bytes)
    }
}

/// The directory, while its lock is held.
#[derive(Debug)]
struct Owned {
    dir: PathBuf,
    _lock: FileLock,
}

impl Owned {
    fn take(build_dir: &Path) -> Option<Self> {
        let ours = build_dir.join(".rekindle");
        rekindle_fsx::create_dir_all(&ours).ok()?;
        let lock = lock::try_exclusive(&ours.join("early.lock")).ok()??;
        let dir = ours.join("early");
        rekindle_fsx::remove_dir_all(&dir).ok()?;
        Some(Self { dir, _lock: lock })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // What stays goes the next time.
        let _ = rekindle_fsx::remove_dir_all(&self.dir);
    }
}

/// Removes what a killed process left.
pub fn tidy(build_dir: &Path) {
    if rekindle_fsx::exists(&build_dir.join(".rekindle/early")) {
        drop(Owned::take(build_dir));
    }
}

#[cfg(test)]
mod tests {
    use rekindle_base::Digest;
    use rekindle_fsx::place::Wish;
    use rekindle_store::{LocalStore, Store};

    use super::*;
    use crate::materialise::materialise_ready;

    struct Field {
        dir: tempfile::TempDir,
        store: LocalStore,
    }

    impl Field {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = LocalStore::open(&dir.path().join("store"));
            rekindle_fsx::create_dir_all(&dir.path().join("t/debug/deps")).unwrap();
            Self { dir, store }
        }

        fn build_dir(&self) -> PathBuf {
            self.dir.path().join("t")
        }

        fn early(&self) -> PathBuf {
            self.build_dir().join(".rekindle/early")
        }

        /// A program's placeholder, put in its place.
        fn program(&self, name: &str, bytes: &[u8]) -> Placeholder {
            let source = self.dir.path().join("source");
            rekindle_fsx::atomic::write(&source, bytes).unwrap();
            let wish = Wish {
                hardlink: false,
                executable: true,
            };
            let stored = self.store.put_object(&source, wish).unwrap();
            assert_eq!(stored.digest, Digest::of(bytes));
            let placeholder = Placeholder {
                digest: stored.digest,
                size: stored.size,
                mode: 0o755,
                store: self.store.dir().to_owned(),
                known: None,
                replacements: Vec::new(),
            };
            let path = self.build_dir().join("debug/deps").join(name);
            rekindle_fsx::atomic::write(&path, &placeholder.to_bytes(&path, None)).unwrap();
            rekindle_fsx::set_mtime(&path, 1_700_000_000_000_000_000).unwrap();
            placeholder
        }
    }

    #[test]
    fn a_ready_file_takes_its_placeholders_place_and_no_others() {
        let field = Field::new();
        let dir = field.build_dir().join("debug/deps");
        let [one, two] = ["one", "two"].map(|name| dir.join(name));
        let programs = vec![
            field.program("one", b"first"),
            field.program("two", b"second"),
        ];
        let early = Early::begin(&field.build_dir(), programs).unwrap();
        let ready = loop {
            // The second is under way or made when the first is there.
            if rekindle_fsx::exists(&field.early().join("1")) {
                break early.ready();
            }
            std::thread::yield_now();
        };
        assert_eq!(ready.made.len(), 2);
        // Somebody built the second anew meanwhile.
        field.program("two", b"another");
        for path in [&two, &one] {
            let outcome = materialise_ready(std::slice::from_ref(path), &ready);
            assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        }
        assert_eq!(rekindle_fsx::read(&one).unwrap(), b"first");
        assert_eq!(rekindle_fsx::read(&two).unwrap(), b"another");
        let sig = rekindle_fsx::stat(&one).unwrap();
        assert_eq!(sig.mtime_ns, 1_700_000_000_000_000_000);
        assert_eq!(sig.mode & 0o777, 0o755);
        assert!(
            !rekindle_fsx::exists(&field.early().join("0")),
            "it was moved"
        );
        drop(ready);
        assert!(!rekindle_fsx::exists(&field.early()));
    }

    #[test]
    fn what_a_killed_process_left_goes() {
        let field = Field::new();
        rekindle_fsx::create_dir_all(&field.early()).unwrap();
        rekindle_fsx::atomic::write(&field.early().join("0"), b"half").unwrap();
        tidy(&field.build_dir());
        assert!(!rekindle_fsx::exists(&field.early()));
        let program = field.program("one", b"first");
        let early = Early::begin(&field.build_dir(), vec![program.clone()]).unwrap();
        assert!(Early::begin(&field.build_dir(), vec![program]).is_none());
        tidy(&field.build_dir());
        assert!(rekindle_fsx::exists(&field.early()), "it is in use");
        drop(early);
        assert!(!rekindle_fsx::exists(&field.early()));
    }
}
