//! From cargo's home to the store.

use std::collections::BTreeMap;
use std::path::Path;

use rekindle_base::{Digest, Moment, parallel};
use rekindle_fsx as fsx;
use rekindle_fsx::StatSig;
use rekindle_fsx::place::Wish;
use rekindle_outputs::sparse::note::Note;
use rekindle_store::{LocalStore, Record, Space, Store, beyond};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::lockfile::{Lock, Locked};
use super::package::{self, Package, Source};
use super::{
    Captured, Left, Registry, RegistryError, VERSION, git, index, key_of, read_lock, registry_key,
};

/// A `.crate` larger than this is left to cargo: registries take none of a tenth of it.
const MAX_CRATE_BYTES: u64 = 256 << 20;
/// A capture is repeated after this time, so that what it stored counts as used.
const REPEAT_MS: u64 = 24 * 60 * 60 * 1000;

/// Stores what cargo's home has of the packages in a lock file. What the store has already is not read
/// again, and where neither the lock file nor cargo's home changed within a day, nothing is. A missing
/// lock file has no packages.
///
/// # Errors
/// [`RegistryError`]; a single package's trouble is in the result instead.
pub fn capture(
    store: &LocalStore,
    cargo_home: &Path,
    lock_path: &Path,
    now: Moment,
) -> Result<Captured, RegistryError> {
    let Some((text, lock)) = read_lock(lock_path)? else {
        return Ok(Captured::default());
    };
    let state = State {
        version: VERSION,
        at_ms: now.0,
        sigs: sigs(cargo_home),
    };
    // Who fetches a package from afar wants nothing of it but what cargo looks at.
    let looks = beyond::is_set();
    let memo = memo_key(cargo_home, &text, looks);
    let before = store.get_record(Space::Memos, &memo).ok().flatten();
    if before.is_some_and(|record| state.is_as(&record)) {
        return Ok(Captured {
            unchanged: true,
            known: (lock.registry.len() + lock.git.len()) as u64,
            ..Captured::default()
        });
    }
    let mut captured = Captured::default();
    registries(store, (cargo_home, looks), &lock, &mut captured)?;
    git::capture(store, cargo_home, &lock.git, &mut captured)?;
    let unchecked = lock.unchecked.into_iter().map(|what| Left {
        what,
        why: "the lock file has no checksum of it".to_owned(),
    });
    captured.left.extend(unchecked);
    let state = postcard::to_stdvec(&state).unwrap_or_default();
    store.put_record(Space::Memos, &memo, &[], &state)?;
    Ok(captured)
}

/// When something was last captured, and how cargo's home looked then.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    version: u32,
    at_ms: u64,
    /// Of the directories that a download adds names to.
    sigs: Vec<(String, StatSig)>,
}

impl State {
    fn is_as(&self, record: &Record) -> bool {
        postcard::from_bytes::<Self>(&record.payload).is_ok_and(|before| {
            before.version == self.version
                && before.sigs == self.sigs
                && self.at_ms.abs_diff(before.at_ms) < REPEAT_MS
        })
    }
}

fn memo_key(cargo_home: &Path, lock: &str, looks: bool) -> Digest {
    use std::os::unix::ffi::OsStrExt;
    key_of(&[
        b"captured",
        cargo_home.as_os_str().as_bytes(),
        lock.as_bytes(),
        &[u8::from(looks)],
    ])
}

fn sigs(cargo_home: &Path) -> Vec<(String, StatSig)> {
    let mut sigs = Vec::new();
    for kind in ["registry/cache", "git/checkouts"] {
        let dir = cargo_home.join(kind);
        for name in fsx::list_names(&dir).unwrap_or_default() {
            if let Ok(sig) = fsx::stat(&dir.join(&name)) {
                sigs.push((format!("{kind}/{}", name.to_string_lossy()), sig));
            }
        }
    }
    sigs
}

fn registries(
    store: &LocalStore,
    (cargo_home, looks): (&Path, bool),
    lock: &Lock,
    captured: &mut Captured,
) -> Result<(), RegistryError> {
    let mut by_source: BTreeMap<&str, Vec<&Locked>> = BTreeMap::new();
    for package in &lock.registry {
        by_source.entry(&package.source).or_default().push(package);
    }
    for (source, packages) in by_source {
        let Some(dir) = directory_of(cargo_home, &packages) else {
            captured.left.push(Left {
                what: source.to_owned(),
                why: "cargo's home has no sparse index of it".to_owned(),
            });
            continue;
        };
        remember(store, cargo_home, source, &dir)?;
        let home = Home {
            store,
            cargo_home,
            dir: &dir,
            looks,
        };
        for (package, result) in packages.iter().zip(home.capture_all(&packages)) {
            match result {
                Ok(new_bytes) => {
                    captured.known += 1;
                    captured.new += u64::from(new_bytes.is_some());
                    captured.new_bytes += new_bytes.unwrap_or(0);
                }
                Err(why) => captured.left.push(Left {
                    what: format!("{} {}", package.name, package.version),
                    why,
                }),
            }
        }
    }
    Ok(())
}

/// The directory that has a source's packages. Its name holds a digest that depends on cargo's version
/// and configuration, so what is in it tells: the one with most of them, of several the newest.
fn directory_of(cargo_home: &Path, packages: &[&Locked]) -> Option<String> {
    let indexes = cargo_home.join("registry/index");
    let names = fsx::list_names(&indexes).ok()?;
    let candidates = names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|dir| fsx::exists(&indexes.join(dir).join("config.json")));
    let count = |dir: &str| {
        let cache = cargo_home.join("registry/cache").join(dir);
        let has = |package: &&&Locked| {
            fsx::exists(&cache.join(format!("{}.crate", package.dir_name())))
                || fsx::exists(&indexes.join(dir).join(index::file_of(&package.name)))
        };
        let newest = fsx::stat(&cache).map_or(0, |sig| sig.mtime_ns);
        (packages.iter().filter(has).count(), newest)
    };
    candidates
        .map(|dir| (count(dir), dir))
        .filter(|((count, _), _)| *count > 0)
        .max()
        .map(|(_, dir)| dir.to_owned())
}

/// Stores where a source's packages are.
fn remember(
    store: &LocalStore,
    cargo_home: &Path,
    source: &str,
    dir: &str,
) -> Result<(), RegistryError> {
    let path = cargo_home
        .join("registry/index")
        .join(dir)
        .join("config.json");
    let registry = Registry {
        version: VERSION,
        dir: dir.to_owned(),
        config: fsx::read(&path).map_err(RegistryError::at(&path))?,
    };
    let key = registry_key(source);
    let payload = postcard::to_stdvec(&registry).unwrap_or_default();
    let before = store.get_record(Space::Packages, &key).ok().flatten();
    if before.is_none_or(|record| record.payload != payload) {
        store.put_record(Space::Packages, &key, &[], &payload)?;
    }
    Ok(())
}

/// One registry in cargo's home.
struct Home<'a> {
    store: &'a LocalStore,
    cargo_home: &'a Path,
    dir: &'a str,
    /// Whether packages are looked into.
    looks: bool,
}

impl Home<'_> {
    fn capture_all(&self, packages: &[&Locked]) -> Vec<Result<Option<u64>, String>> {
        parallel::map_counted(packages, |package| self.capture(package))
    }

    /// Stores a package; the bytes that are new, or `None` where the store has it, or why it is left.
    fn capture(&self, package: &Locked) -> Result<Option<u64>, String> {
        let key = package::key(self.dir, package);
        let known = self.store.get_record(Space::Packages, &key).ok().flatten();
        let known = known.and_then(|record| Package::decode(&record.payload));
        if let Some(known) = &known
            && let Some(source) = &known.source
            && self.store.has_object(&source.digest, source.size)
        {
            if self.looks && source.look.is_none() {
                let look = package::look_at(self.store, source, &package.dir_name())?;
                package::keep(self.store, &key, (known.line.clone(), source), look)?;
            }
            return Ok(None);
        }
        let source = self.source(package)?;
        let line = match known {
            // A package for another system, now as before.
            Some(_) if source.is_none() => return Ok(None),
            Some(known) => known.line,
            None => self.line(package)?,
        };
        let size = source.as_ref().map_or(0, |source| source.size);
        package::put(self.store, &key, line, source)?;
        Ok(Some(size))
    }

    fn line(&self, package: &Locked) -> Result<Vec<u8>, String> {
        let path = self
            .cargo_home
            .join("registry/index")
            .join(self.dir)
            .join(index::file_of(&package.name));
        let file = fsx::read_if_exists(&path).map_err(|error| error.to_string())?;
        file.as_deref()
            .and_then(|file| index::line_of(file, package))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| "the registry's index in cargo's home does not have it".to_owned())
    }

    /// Stores a package's `.crate`; `None` where it was not downloaded.
    fn source(&self, package: &Locked) -> Result<Option<Source>, String> {
        let name = package.dir_name();
        let path = self
            .cargo_home
            .join("registry/cache")
            .join(self.dir)
            .join(format!("{name}.crate"));
        let text = |error: &dyn std::fmt::Display| error.to_string();
        if let Some(note) = Note::read(&path).map_err(|error| text(&error))? {
            let has = self.store.has_object(&note.digest, note.size);
            let why = match has {
                true => "it is sparse, and the store has forgotten whose sources it has",
                false => "it is sparse, and the store has lost its sources",
            };
            return Err(why.to_owned());
        }
        let read = fsx::read_with_sig(&path, MAX_CRATE_BYTES + 1).map_err(|error| text(&error))?;
        let Some((bytes, _)) = read.filter(|(bytes, _)| !bytes.is_empty()) else {
            return Ok(None);
        };
        if bytes.len() as u64 > MAX_CRATE_BYTES {
            return Err("it is too large".to_owned());
        }
        if sha256(&bytes) != package.checksum {
            return Err("its `.crate` has not the lock file's checksum".to_owned());
        }
        let looked = self.looks.then(|| package::look_into(&bytes, &name));
        let source = Source {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            look: looked.transpose().map_err(|error| text(&error))?,
        };
        let wish = Wish {
            // cargo writes into no `.crate` that has bytes.
            hardlink: true,
            executable: false,
        };
        let stored = self
            .store
            .put_object(&path, wish)
            .map_err(|error| text(&error))?;
        if stored.digest != source.digest {
            return Err("its `.crate` changed while it was stored".to_owned());
        }
        Ok(Some(source))
    }
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
