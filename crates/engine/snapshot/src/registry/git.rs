//! Git dependencies: a repository's database, and the checkout of a commit.
//!
//! Both are stored and restored file by file, as cargo left them: packs of one repository at two commits
//! are the same objects. Small files are in the record.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, is_hex};
use rekindle_fsx as fsx;
use rekindle_fsx::FileKind;
use rekindle_fsx::place::Wish;
use rekindle_outputs::sparse::Filled;
use rekindle_store::{LocalStore, Space, Store};
use serde::{Deserialize, Serialize};

use super::lockfile::{GitSource, is_plain};
use super::{Captured, Left, RegistryError, Restored, VERSION, key_of, lock_packages};
use crate::model::{Body, File, Form, Object};

/// Files up to this size are in the record.
const INLINE_BYTES: u64 = 4 << 10;
/// More than this is left to cargo.
const MAX_BYTES: u64 = 1 << 30;
const MAX_FILES: usize = 100_000;

/// The payload (postcard) of a record in the space `Packages`, which refers to the objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Repository {
    version: u32,
    /// The name of its directories in `git/db` and `git/checkouts`.
    dir: String,
    /// That of the commit in the latter.
    short: String,
    database: Vec<File>,
    checkout: Vec<File>,
}

impl Repository {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let repository: Self = postcard::from_bytes(bytes).ok()?;
        let fine = repository.version == VERSION
            && is_plain(&repository.dir)
            && is_hex(&repository.short, repository.short.len());
        fine.then_some(repository)
    }

    fn database_dir(&self, cargo_home: &Path) -> PathBuf {
        cargo_home.join("git/db").join(&self.dir)
    }

    fn checkout_dir(&self, cargo_home: &Path) -> PathBuf {
        let dir = cargo_home.join("git/checkouts").join(&self.dir);
        dir.join(&self.short)
    }
}

pub(super) fn key(source: &GitSource) -> Digest {
    key_of(&[b"git", source.source.as_bytes()])
}

/// Stores what the store does not have yet.
pub(super) fn capture(
    store: &LocalStore,
    cargo_home: &Path,
    sources: &[GitSource],
    captured: &mut Captured,
) -> Result<(), RegistryError> {
    let mut new = Vec::new();
    for source in sources {
        let record = store.get_record(Space::Packages, &key(source));
        let record = record.ok().flatten();
        match record.and_then(|record| Repository::decode(&record.payload)) {
            Some(_) => captured.known += 1,
            None => new.push(source),
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    // So that no cargo fetches into a database meanwhile.
    let _lock = lock_packages(cargo_home)?;
    for source in new {
        match capture_one(store, cargo_home, source) {
            Ok(bytes) => {
                captured.known += 1;
                captured.new += 1;
                captured.new_bytes += bytes;
            }
            Err(why) => captured.left.push(left(source, why)),
        }
    }
    Ok(())
}

fn left(source: &GitSource, why: String) -> Left {
    Left {
        what: source.source.clone(),
        why,
    }
}

fn capture_one(store: &LocalStore, cargo_home: &Path, source: &GitSource) -> Result<u64, String> {
    let (dir, short) = find(cargo_home, source)
        .ok_or_else(|| "cargo's home has no checkout of that commit".to_owned())?;
    let mut repository = Repository {
        version: VERSION,
        dir,
        short,
        database: Vec::new(),
        checkout: Vec::new(),
    };
    let mut collector = Collector {
        store,
        seen: HashMap::new(),
        refs: Vec::new(),
        files: 0,
        bytes: 0,
    };
    repository.database = collector.collect(&repository.database_dir(cargo_home))?;
    repository.checkout = collector.collect(&repository.checkout_dir(cargo_home))?;
    let payload = postcard::to_stdvec(&repository).map_err(|error| error.to_string())?;
    store
        .put_record(Space::Packages, &key(source), &collector.refs, &payload)
        .map_err(|error| error.to_string())?;
    Ok(collector.bytes)
}

/// The names of a source's directories: what cargo calls them depends on its version, but a complete
/// checkout says which commit it is.
fn find(cargo_home: &Path, source: &GitSource) -> Option<(String, String)> {
    let checkouts = cargo_home.join("git/checkouts");
    for dir in fsx::list_names(&checkouts).ok()? {
        let Some(dir) = dir.to_str() else { continue };
        let ident = dir.rsplit_once('-').map(|(ident, _)| ident.to_lowercase());
        if ident.as_deref() != Some(&source.ident)
            || !fsx::exists(&cargo_home.join("git/db").join(dir))
        {
            continue;
        }
        for short in fsx::list_names(&checkouts.join(dir)).ok()? {
            let checkout = checkouts.join(dir).join(&short);
            if is_at(&checkout.join(".git"), &source.revision)
                && fsx::exists(&checkout.join(rekindle_outputs::archive::CARGO_OK))
            {
                return Some((dir.to_owned(), short.to_str()?.to_owned()));
            }
        }
    }
    None
}

/// Whether a repository's head is this commit. cargo makes its checkouts on a branch that it resets.
fn is_at(repository: &Path, revision: &str) -> bool {
    let text = |name: &str| fsx::read_to_string(&repository.join(name)).unwrap_or_default();
    let head = text("HEAD");
    let Some(branch) = head.trim().strip_prefix("ref: ") else {
        return head.trim() == revision;
    };
    let loose = plain(branch).is_ok() && text(branch).trim() == revision;
    loose
        || text("packed-refs")
            .lines()
            .any(|line| line.strip_prefix(revision).map(str::trim) == Some(branch))
}

/// Stores files of one repository.
struct Collector<'a> {
    store: &'a LocalStore,
    /// A checkout shares files with its database: objects by device and inode.
    seen: HashMap<(u64, u64), (Digest, u64)>,
    refs: Vec<Digest>,
    files: usize,
    bytes: u64,
}

impl Collector<'_> {
    /// Every file below `root`, its directory before what is in it.
    fn collect(&mut self, root: &Path) -> Result<Vec<File>, String> {
        let mut files = Vec::new();
        let mut pending = vec![root.to_owned()];
        while let Some(dir) = pending.pop() {
            for entry in fsx::list_dir(&dir).map_err(|error| error.to_string())? {
                let path = entry.path.strip_prefix(root).unwrap_or(&entry.path);
                let path = path
                    .to_str()
                    .ok_or_else(|| format!("`{}` is not UTF-8", path.display()))?;
                let body = match entry.sig.kind() {
                    FileKind::Dir => {
                        pending.push(entry.path.clone());
                        Body::Directory
                    }
                    FileKind::Other => link(&entry.path)?,
                    FileKind::File => self.file(&entry.path, &entry.sig)?,
                };
                files.push(File {
                    path: path.to_owned(),
                    mode: entry.sig.mode & 0o777,
                    body,
                });
                self.files += 1;
                if self.files > MAX_FILES || self.bytes > MAX_BYTES {
                    return Err("it is too large".to_owned());
                }
            }
        }
        Ok(files)
    }

    fn file(&mut self, path: &Path, sig: &fsx::StatSig) -> Result<Body, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        if sig.size <= INLINE_BYTES {
            let bytes = fsx::read(path).map_err(|error| text(&error))?;
            self.bytes += bytes.len() as u64;
            return Ok(Body::Inline(bytes));
        }
        let inode = (sig.dev, sig.ino);
        let (digest, size) = match self.seen.get(&inode) {
            Some(known) => *known,
            None => {
                let wish = Wish {
                    // People edit checkouts.
                    hardlink: false,
                    executable: sig.is_executable(),
                };
                let stored = self.store.put_object(path, wish);
                let stored = stored.map_err(|error| text(&error))?;
                self.seen.insert(inode, (stored.digest, stored.size));
                self.refs.push(stored.digest);
                self.bytes += stored.size;
                (stored.digest, stored.size)
            }
        };
        Ok(Body::Object(Object {
            digest,
            size,
            form: Form::Real,
            known: None,
            localised: false,
        }))
    }
}

fn link(path: &Path) -> Result<Body, String> {
    use std::os::unix::ffi::OsStringExt;
    let target = fsx::read_link(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Body::Link(target.into_os_string().into_vec()))
}

/// Repositories that cargo's home lacks and the store has.
pub(super) fn missing(
    cargo_home: &Path,
    store: &LocalStore,
    sources: &[GitSource],
) -> Vec<(GitSource, Repository)> {
    sources
        .iter()
        .filter(|source| find(cargo_home, source).is_none())
        .filter_map(|source| {
            let record = store.get_record(Space::Packages, &key(source)).ok()??;
            Some((source.clone(), Repository::decode(&record.payload)?))
        })
        .collect()
}

/// Puts repositories in place, each directory by one rename. The caller holds cargo's lock.
pub(super) fn restore(
    cargo_home: &Path,
    store: &LocalStore,
    missing: &[(GitSource, Repository)],
    restored: &mut Restored,
) {
    for (source, repository) in missing {
        let database = repository.database_dir(cargo_home);
        let checkout = repository.checkout_dir(cargo_home);
        let placed = place(store, &repository.database, &database).and_then(|database| {
            let mut filled = place(store, &repository.checkout, &checkout)?;
            filled += database;
            Ok(filled)
        });
        match placed {
            Ok(filled) => {
                restored.git += filled;
                restored.git.packages += 1;
            }
            Err(why) => restored.left.push(left(source, why)),
        }
    }
}

fn place(store: &LocalStore, files: &[File], dest: &Path) -> Result<Filled, String> {
    if fsx::exists(dest) {
        return Ok(Filled::default());
    }
    let arrival = fsx::atomic::beside(dest);
    let result = fsx::remove_dir_all(&arrival)
        .and_then(|()| fsx::create_dir_all(&arrival))
        .map_err(|error| error.to_string())
        .and_then(|()| place_files(store, files, &arrival))
        .and_then(|filled| {
            fsx::rename(&arrival, dest).map_err(|error| error.to_string())?;
            Ok(filled)
        });
    if result.is_err() {
        let _ = fsx::remove_dir_all(&arrival);
    }
    result
}

fn place_files(store: &LocalStore, files: &[File], root: &Path) -> Result<Filled, String> {
    use std::os::unix::ffi::OsStringExt;
    let mut filled = Filled::default();
    let mut links = Vec::new();
    for file in files {
        let path = root.join(plain(&file.path)?);
        let text = |error: std::io::Error| format!("{}: {error}", path.display());
        match &file.body {
            Body::Directory => fsx::create_dir_all(&path).map_err(text)?,
            Body::Inline(bytes) => {
                let mut content = bytes.as_slice();
                let now_s = fsx::time::realtime_ns() / 1_000_000_000;
                let now_s = u64::try_from(now_s).unwrap_or(0);
                fsx::write_file(&path, &mut content, file.mode, now_s).map_err(text)?;
                filled.bytes += bytes.len() as u64;
            }
            Body::Object(object) => {
                let wish = Wish {
                    hardlink: false,
                    executable: file.mode & 0o111 != 0,
                };
                store
                    .place_object(&object.digest, &path, wish)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                filled.bytes += object.size;
            }
            // When all else is there: nothing is written through one.
            Body::Link(target) => {
                links.push((std::ffi::OsString::from_vec(target.clone()), path));
            }
            Body::Same(_) | Body::Mapped(_) => {
                return Err(format!("{} is no file of a package", path.display()));
            }
        }
        filled.files += 1;
    }
    for (target, path) in links {
        fsx::symlink(Path::new(&target), &path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(filled)
}

/// A path that stays below where it is put.
fn plain(path: &str) -> Result<&Path, String> {
    use std::path::Component;
    let path = Path::new(path);
    let mut components = path.components().peekable();
    let plain = components.peek().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)));
    match plain {
        true => Ok(path),
        false => Err(format!("`{}` leads out of it", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_put_elsewhere_or_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store"));
        let file = |path: &str, body: Body| File {
            path: path.to_owned(),
            mode: 0o644,
            body,
        };
        let outside = dir.path().join("outside");
        fsx::create_dir_all(&outside).unwrap();
        let outside_bytes = outside.to_str().unwrap().as_bytes().to_vec();
        let dest = dir.path().join("dest");
        let text = || Body::Inline(b"x".to_vec());
        for files in [
            vec![file("../outside/x", text())],
            vec![file("/x", text())],
            vec![file("", text())],
            vec![
                file("link", Body::Link(outside_bytes.clone())),
                file("link/x", text()),
            ],
            vec![file("a", Body::Same(0))],
        ] {
            assert!(place(&store, &files, &dest).is_err(), "{files:?}");
            assert!(!fsx::exists(&dest));
            assert_eq!(fsx::list_names(&outside).unwrap().len(), 0);
        }
        let fine = [
            file("link", Body::Link(outside_bytes)),
            file("a", Body::Directory),
            file("a/x", text()),
        ];
        assert_eq!(place(&store, &fine, &dest).unwrap().files, 3);
        assert_eq!(fsx::read(&dest.join("a/x")).unwrap(), b"x");
        assert_eq!(fsx::list_names(dir.path()).unwrap(), ["dest", "outside"]);
    }
}
