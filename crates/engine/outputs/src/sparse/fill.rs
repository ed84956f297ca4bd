//! Putting sources in the place of stubs.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, parallel};
use rekindle_fsx as fsx;
use rekindle_fsx::place::Wish;
use rekindle_store::{LocalStore, Store, StoreError};

use super::note::Note;
use super::place::{Way, unpack};
use super::{FillError, Filled, Location, MARKER, Marker, display, links_dir};
use crate::archive::{ArchiveError, CARGO_OK};

/// Fills a sparse package; `None` where it is none, which costs one look. `store` is asked before the
/// one that the marker names. Any number of processes may fill one package: one does it, and the
/// others return when it is whole. After a kill in the middle it is still sparse, and is filled anew.
///
/// # Errors
/// [`FillError`]; the package is then still sparse, or nothing to cargo.
pub fn fill(package_dir: &Path, store: Option<&LocalStore>) -> Result<Option<Filled>, FillError> {
    let marker_file = package_dir.join(MARKER);
    if !fsx::exists(&marker_file) {
        return Ok(None);
    }
    let Some(location) = Location::of(package_dir) else {
        return Ok(None);
    };
    let io = |error| FillError::archive(&location, ArchiveError::Io(error));
    let Some(_lock) = fsx::lock::exclusive_existing(&marker_file).map_err(io)? else {
        return Ok(None);
    };
    let marker = Marker::from_text(&fsx::read(&marker_file).map_err(io)?)
        .ok_or_else(|| FillError::Marker(marker_file.clone()))?;
    obtain_from(&location, &marker.digest, (store, &marker.store))
        .inspect_err(|error| forget_lost(error, &location))?;
    let stubs: HashSet<&Path> = marker.stubs.iter().map(PathBuf::as_path).collect();
    // A crate's root comes last, so that nobody compiles half of it.
    let mut way = |path: &Path| {
        if path == Path::new("Cargo.toml") {
            Way::Skip
        } else if stubs.contains(path) {
            Way::Last
        } else {
            Way::Write
        }
    };
    let mut filled = unpack(&location, package_dir, &mut way)
        .map_err(|error| FillError::archive(&location, error))?;
    filled.packages = 1;
    // Whoever compiles next, here or in a process that waits, must not take them for changed meanwhile.
    fsx::time::await_next_stamp();
    fsx::remove_file(&marker_file).map_err(io)?;
    let _ = fsx::remove_file(&location.links_file());
    Ok(Some(filled))
}

/// Sees to it that a package's `.crate` is in its place, with the bytes of `digest`.
///
/// # Errors
/// [`FillError`]; what was there is then as it was.
pub fn obtain(location: &Location, digest: &Digest, store: &LocalStore) -> Result<(), FillError> {
    obtain_from(location, digest, (Some(store), store.dir()))
}

fn obtain_from(
    location: &Location,
    digest: &Digest,
    (store, named): (Option<&LocalStore>, &Path),
) -> Result<(), FillError> {
    let path = location.crate_file();
    let there = fsx::found(fsx::hash_file(&path)).ok().flatten();
    if there.is_some_and(|(found, _)| found == *digest) {
        return Ok(());
    }
    let wish = Wish {
        // cargo replaces such files, and writes into none that has bytes.
        hardlink: true,
        executable: false,
    };
    let io = |error| FillError::archive(location, ArchiveError::Io(error));
    fsx::create_dir_all(path.parent().unwrap_or(&location.home)).map_err(io)?;
    let named = LocalStore::open(named);
    for store in store.into_iter().chain([&named]) {
        match store.place_object(digest, &path, wish) {
            Ok(_) => return Ok(()),
            Err(StoreError::Missing | StoreError::Corrupt) => {}
            Err(StoreError::Io(error)) => return Err(io(error)),
        }
    }
    Err(FillError::Lost {
        package: display(&location.package),
        home: location.home.clone(),
    })
}

/// Whether a package is sparse, and neither `store` nor the one that its marker names has its sources.
#[must_use]
pub fn is_lost(location: &Location, store: &LocalStore) -> bool {
    let text = fsx::read_if_exists(&location.sources().join(MARKER));
    let marker = text
        .ok()
        .flatten()
        .and_then(|text| Marker::from_text(&text));
    marker.is_some_and(|marker| {
        !store.has_object(&marker.digest, marker.size)
            && !LocalStore::open(&marker.store).has_object(&marker.digest, marker.size)
    })
}

/// Removes what keeps cargo from downloading a package whose bytes are lost, if it is sparse or its
/// `.crate` a note. The stubs stay: they make a compile that is under way fail, and cargo unpacks over
/// them.
pub fn forget(location: &Location) {
    let crate_file = location.crate_file();
    if Note::is_at(&crate_file) {
        let _ = fsx::remove_file(&crate_file);
    }
    let sources = location.sources();
    let marker = sources.join(MARKER);
    if fsx::exists(&marker) {
        // The marker last: after a kill it is a sparse package still.
        let _ = fsx::remove_file(&sources.join(CARGO_OK));
        let _ = fsx::remove_file(&location.links_file());
        let _ = fsx::remove_file(&marker);
    }
}

fn forget_lost(error: &FillError, location: &Location) {
    if matches!(error, FillError::Lost { .. }) {
        forget(location);
    }
}

/// What cargo's home has of packages: a path to one has this in it.
const SOURCES: &[u8] = b"/registry/src/";

/// Fills the sparse packages that any of `values` names, which are arguments and environment variables:
/// `CARGO_MANIFEST_DIR`, the directories that a build script tells others of, those that are searched
/// for libraries.
///
/// # Errors
/// The first [`FillError`]; the rest are filled all the same.
pub fn fill_mentioned<'a>(
    values: impl IntoIterator<Item = &'a OsStr>,
    store: Option<&LocalStore>,
) -> Result<Filled, FillError> {
    let finder = memchr::memmem::Finder::new(SOURCES);
    let mut seen = HashSet::new();
    let mut filled = Filled::default();
    let mut failed = None;
    for value in values {
        let value = value.as_bytes();
        for at in finder.find_iter(value) {
            for dir in candidates(value, at) {
                if !seen.insert(dir) {
                    continue;
                }
                match fill(Path::new(OsStr::from_bytes(dir)), store) {
                    Ok(done) => filled += done.unwrap_or_default(),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
    }
    failed.map_or(Ok(filled), Err)
}

/// Fills the sparse package whose crate a compiler made: its dep-info names the sources, perhaps in another home of
/// cargo's. A compiler that reads the crate looks into sources of its macros, and what it makes of it is not the same
/// without.
///
/// # Errors
/// [`FillError`].
pub fn fill_behind(
    dep_info: &Path,
    cargo_home: &Path,
    store: Option<&LocalStore>,
) -> Result<Option<Filled>, FillError> {
    let head = fsx::read_with_sig(dep_info, DEP_INFO_HEAD_BYTES)
        .ok()
        .flatten();
    let Some((head, _)) = head else {
        return Ok(None);
    };
    let Some(at) = memchr::memmem::find(&head, SOURCES) else {
        return Ok(None);
    };
    let mut parts = head[at + SOURCES.len()..].split(|byte| *byte == b'/');
    let (Some(index), Some(package), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(None);
    };
    let mut dir = cargo_home.join("registry/src");
    dir.push(OsStr::from_bytes(index));
    dir.push(OsStr::from_bytes(package));
    fill(&dir, store)
}

/// The first source comes after the dep-info's own path.
const DEP_INFO_HEAD_BYTES: u64 = 16 << 10;

/// The directories of packages that a path around `at` may mean: where it begins is not known, since
/// any byte may be part of a directory's name.
fn candidates(value: &[u8], at: usize) -> impl Iterator<Item = &[u8]> {
    let rest = &value[at + SOURCES.len()..];
    let index = memchr::memchr(b'/', rest);
    let end = index.map(|index| {
        let package = &rest[index + 1..];
        let length = package
            .iter()
            .position(|byte| b"/\"':;, \t\n".contains(byte));
        at + SOURCES.len() + index + 1 + length.unwrap_or(package.len())
    });
    let starts = (0..=at).filter(move |start| {
        value[*start] == b'/' && (*start == 0 || b"=:;,\"' \t\n@".contains(&value[start - 1]))
    });
    end.into_iter()
        .flat_map(move |end| starts.clone().map(move |start| &value[start..end]))
}

/// Fills the sparse packages that have `links`: a build script that is about to run may read their
/// sources, whose place only their own build script told it.
///
/// # Errors
/// The first [`FillError`]; the rest are filled all the same.
pub fn fill_linked(cargo_home: &Path, store: Option<&LocalStore>) -> Result<Filled, FillError> {
    let mut dirs = Vec::new();
    let links = links_dir(cargo_home);
    for index in fsx::list_names(&links).unwrap_or_default() {
        for package in fsx::list_names(&links.join(&index)).unwrap_or_default() {
            let location = Location {
                home: cargo_home.to_owned(),
                index: index.clone(),
                package,
            };
            dirs.push(location.sources());
        }
    }
    let mut all = fill_each(&dirs, store);
    match all.errors.is_empty() {
        true => Ok(all.filled),
        false => Err(all.errors.swap_remove(0)),
    }
}

/// What came of filling many.
#[derive(Debug, Default)]
pub struct FilledAll {
    /// What was filled.
    pub filled: Filled,
    /// What was not.
    pub errors: Vec<FillError>,
}

/// Fills every sparse package in cargo's home, and puts real `.crate`s in the place of notes whose
/// package is not there.
///
/// # Errors
/// Where a directory cannot be listed.
pub fn fill_all(cargo_home: &Path, store: Option<&LocalStore>) -> std::io::Result<FilledAll> {
    let mut all = fill_each(&sparse_dirs(cargo_home)?, store);
    let cache = cargo_home.join("registry/cache");
    for index in fsx::list_names(&cache)? {
        for name in fsx::list_names(&cache.join(&index))? {
            let path = cache.join(&index).join(&name);
            let Some(package) = Path::new(&name).file_stem() else {
                continue;
            };
            let Ok(Some(note)) = Note::read(&path) else {
                continue;
            };
            let location = Location {
                home: cargo_home.to_owned(),
                index: index.clone(),
                package: package.to_owned(),
            };
            if let Err(error) = obtain_from(&location, &note.digest, (store, &note.store)) {
                forget_lost(&error, &location);
                all.errors.push(error);
            }
        }
    }
    Ok(all)
}

/// Whether any sparse package in cargo's home has its sources in no store on this disk.
///
/// # Errors
/// Where a directory cannot be listed.
pub fn is_any_lost(cargo_home: &Path, store: &LocalStore) -> std::io::Result<bool> {
    let dirs = sparse_dirs(cargo_home)?;
    let mut locations = dirs.iter().filter_map(|dir| Location::of(dir));
    Ok(locations.any(|location| is_lost(&location, store)))
}

/// The packages in cargo's home that are sparse.
fn sparse_dirs(cargo_home: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    let sources = cargo_home.join("registry/src");
    for index in fsx::list_names(&sources)? {
        let index = sources.join(index);
        for package in fsx::list_names(&index)? {
            let dir = index.join(package);
            if fsx::exists(&dir.join(MARKER)) {
                dirs.push(dir);
            }
        }
    }
    Ok(dirs)
}

/// Unpacking is mostly the processor's work.
fn fill_each(dirs: &[PathBuf], store: Option<&LocalStore>) -> FilledAll {
    let mut all = FilledAll::default();
    for result in parallel::map(dirs, |dir| fill(dir, store)) {
        match result {
            Ok(done) => all.filled += done.unwrap_or_default(),
            Err(error) => all.errors.push(error),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> Vec<&str> {
        let at = value.find("/registry/src/").unwrap();
        candidates(value.as_bytes(), at)
            .map(|dir| std::str::from_utf8(dir).unwrap())
            .collect()
    }

    #[test]
    fn packages_are_found_in_values() {
        let dir = "/h/registry/src/i-1/a-1.0.0";
        for value in [
            dir.to_owned(),
            format!("{dir}/include"),
            format!("native={dir}/lib"),
            format!("-Lnative={dir}"),
            format!("x:{dir}/bin:y"),
            format!("-I \"{dir}\" -I b"),
        ] {
            assert_eq!(found(&value), [dir], "{value}");
        }
        assert_eq!(found("/a b/registry/src/i/p"), ["/a b/registry/src/i/p"]);
        assert_eq!(
            found("/x:/h/registry/src/i/p"),
            ["/x:/h/registry/src/i/p", "/h/registry/src/i/p"]
        );
        for none in ["/h/registry/src/i", "h/registry/src/i/p", "/registry/src/"] {
            assert!(found(none).iter().all(|dir| *dir != none), "{none}");
        }
    }
}
