//! Placing files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rekindle_base::progress;
use rekindle_fsx::place::Wish;
use rekindle_fsx::stamped;
use rekindle_key::Roots;
use rekindle_outputs::localise;
use rekindle_outputs::placeholder::{Known, Placeholder};
use rekindle_store::{LocalStore, Store};

use super::{Job, Request};
use crate::incremental;
use crate::model::{Body, File, Form, Object};

/// More threads than this only wait for each other in the file system.
const THREADS_MAX: usize = 8;
/// To start a thread takes as long as to place so many fingerprints' hashes.
const HASHES_PER_THREAD: usize = 16;

pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX))
}

/// What all files share.
pub(super) struct Placing<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) request: &'a Request<'a>,
    /// The names of the directories here.
    pub(super) roots: Roots,
    /// The time that files get: nanoseconds since 1970.
    pub(super) time_ns: i64,
}

/// The valid units of a tree.
pub(super) struct Units<'a> {
    /// Their ids, and their files as they are placed.
    pub(super) files: Vec<(&'a str, &'a [File])>,
    /// The order in which they become fresh: indices of `files`.
    pub(super) waves: Vec<Vec<usize>>,
}

/// What was placed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed {
    pub(super) files: u64,
    pub(super) placed_bytes: u64,
    pub(super) waiting_bytes: u64,
}

/// Makes the directory that is built in as cargo does, so that backups leave it out.
pub(super) fn target_directory(build_dir: &Path) -> io::Result<()> {
    const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
        # This file is a cache directory tag created by cargo.\n\
        # For information about cache directory tags see https://bford.info/cachedir/\n";
    if !rekindle_fsx::exists(build_dir) {
        rekindle_fsx::create_dir_all(build_dir)?;
        rekindle_fsx::atomic::write(&build_dir.join("CACHEDIR.TAG"), TAG)?;
    }
    Ok(())
}

impl Placing<'_> {
    /// Places the valid units of a tree and its incremental state; fingerprints' hashes last.
    pub(super) fn tree(&self, job: &Job, units: &Units<'_>) -> io::Result<Placed> {
        let root = &job.profile.path;
        progress().expect(units.files.len() as u64);
        let mut placed = in_parallel(&units.files, 1, |(_, files)| {
            directories(root, files)?;
            // The last file of a unit makes it fresh.
            let placed = self.files(root, &files[..files.len().saturating_sub(1)]);
            progress().did(1);
            placed
        })?;
        // The compiler takes its whole state for another's where paths differ.
        if !job.moved {
            placed.waiting_bytes += incremental::leave(self.store, root, &job.tree.incremental)?;
        }
        for wave in &units.waves {
            placed = placed
                + in_parallel(wave, HASHES_PER_THREAD, |index| {
                    match units.files[*index].1.last() {
                        Some(hash) => self.files(root, std::slice::from_ref(hash)),
                        None => Ok(Placed::default()),
                    }
                })?;
        }
        Ok(placed)
    }

    fn files(&self, root: &Path, files: &[File]) -> io::Result<Placed> {
        let mut placed = Placed::default();
        for file in files {
            let path = root.join(&file.path);
            let one = self.file(root, &path, file, files);
            placed = placed + one.map_err(|error| at(&path, &error))?;
        }
        Ok(placed)
    }

    fn file(&self, root: &Path, path: &Path, file: &File, files: &[File]) -> io::Result<Placed> {
        let mut placed = Placed {
            files: 1,
            ..Placed::default()
        };
        match &file.body {
            Body::Inline(bytes) => {
                stamped::write_new(path, bytes, file.mode, self.time_ns)?;
                placed.placed_bytes = bytes.len() as u64;
            }
            Body::Mapped(text) => {
                placed.placed_bytes = self.mapped(path, file.mode, text)?;
            }
            Body::Object(object) => {
                if object.form == Form::Mapped {
                    let text = self.store.object_bytes(&object.digest);
                    let (text, _) = text.map_err(io::Error::other)?;
                    placed.placed_bytes = self.mapped(path, file.mode, &text)?;
                } else if object.form == Form::Real {
                    self.real(path, file.mode, object)?;
                    placed.placed_bytes = object.size;
                } else {
                    self.placeholder(path, file.mode, object)?;
                    placed.waiting_bytes = object.size;
                }
            }
            Body::Link(to) => {
                rekindle_fsx::symlink(Path::new(OsStr::from_bytes(to)), path)?;
                rekindle_fsx::set_mtime(path, self.time_ns)?;
            }
            Body::Same(first) => {
                let first = files
                    .get(*first as usize)
                    .ok_or(io::ErrorKind::InvalidData)?;
                rekindle_fsx::hard_link(&root.join(&first.path), path)?;
            }
            // Made with all directories.
            Body::Directory => placed.files = 0,
        }
        Ok(placed)
    }

    fn real(&self, path: &Path, mode: u32, object: &Object) -> io::Result<()> {
        let wish = Wish {
            hardlink: false,
            executable: mode & 0o111 != 0,
        };
        self.store
            .place_object(&object.digest, path, wish)
            .map_err(io::Error::other)?;
        if object.localised {
            localise::localise(path, &self.request.here.replacements())?;
        }
        rekindle_fsx::set_mode(path, mode)?;
        rekindle_fsx::set_mtime(path, self.time_ns)
    }

    /// Puts the paths of the directories here into a text, and the text in its place.
    fn mapped(&self, path: &Path, mode: u32, text: &[u8]) -> io::Result<u64> {
        let text = self.roots.real_plain(text);
        let text = text.ok_or(io::ErrorKind::InvalidData)?;
        stamped::write_new(path, &text, mode, self.time_ns)?;
        Ok(text.len() as u64)
    }

    /// What a placeholder says.
    fn stands_for(&self, mode: u32, object: &Object) -> Placeholder {
        let build_dir = &self.request.here.build_dir;
        let known = object.known.as_ref().map(|(closure, externs)| Known {
            closure: *closure,
            externs: externs.iter().map(|name| build_dir.join(name)).collect(),
        });
        Placeholder {
            digest: object.digest,
            size: object.size,
            mode,
            store: self.store.dir().to_owned(),
            known,
            replacements: if object.localised {
                self.request.here.replacements()
            } else {
                Vec::new()
            },
        }
    }

    /// The placeholder of a unit that is a program, which cargo gives a name where people find it.
    pub(super) fn program(&self, files: &[File]) -> Option<Placeholder> {
        let (hash, others) = files.split_last()?;
        if !hash.path.rsplit('/').next()?.starts_with("bin-") {
            return None;
        }
        others.iter().find_map(|file| match &file.body {
            Body::Object(object) if object.form == Form::Program => {
                Some(self.stands_for(file.mode, object))
            }
            _ => None,
        })
    }

    fn placeholder(&self, path: &Path, mode: u32, object: &Object) -> io::Result<()> {
        let placeholder = self.stands_for(mode, object);
        if object.form == Form::Link {
            rekindle_fsx::symlink(&placeholder.to_link(), path)?;
            return rekindle_fsx::set_mtime(path, self.time_ns);
        }
        let (launcher, mode) = match object.form {
            Form::Program => (Some(self.request.launcher), mode),
            // Only what starts our launcher can be started.
            _ => (None, mode & 0o666),
        };
        let bytes = placeholder.to_bytes(path, launcher);
        stamped::write_new(path, &bytes, mode, self.time_ns)
    }
}

impl std::ops::Add for Placed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            placed_bytes: self.placed_bytes + other.placed_bytes,
            waiting_bytes: self.waiting_bytes + other.waiting_bytes,
        }
    }
}

/// Makes every directory that a file is in, and those that are empty.
fn directories(root: &Path, files: &[File]) -> io::Result<()> {
    let mut directories: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        let path = root.join(&file.path);
        match (&file.body, path.parent()) {
            (Body::Directory, _) => directories.insert(path),
            (_, Some(parent)) => directories.insert(parent.to_owned()),
            _ => false,
        };
    }
    directories.iter().try_for_each(|directory| {
        rekindle_fsx::create_dir_all(directory).map_err(|error| at(directory, &error))
    })
}

/// Does the work on every core, as long as there are so many items for each; the first error ends it.
fn in_parallel<T: Sync>(
    items: &[T],
    per_thread: usize,
    work: impl Fn(&T) -> io::Result<Placed> + Sync,
) -> io::Result<Placed> {
    let next = AtomicUsize::new(0);
    let result = Mutex::new(Ok(Placed::default()));
    let run = || {
        let mut sum = Placed::default();
        let done = loop {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break Ok(());
            };
            match work(item) {
                Ok(placed) => sum = sum + placed,
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    break Err(error);
                }
            }
        };
        if let Ok(mut result) = result.lock()
            && let Ok(all) = result.as_mut()
        {
            match done {
                Ok(()) => *all = *all + sum,
                Err(error) => *result = Err(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads().min(items.len().div_ceil(per_thread)) {
            scope.spawn(run);
        }
        run();
    });
    result
        .into_inner()
        .unwrap_or_else(|_| Err(io::Error::other("a thread of the restore ended early")))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
