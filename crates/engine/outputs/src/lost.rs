//! A placeholder whose bytes are gone: cargo must build the unit again, and does not know.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::materialise;
use crate::placeholder::{MAX_BYTES, Placeholder};
use rekindle_base::is_hex;
use rekindle_store::LocalStore;

/// Makes cargo build the unit that a lost placeholder belongs to, with what depends on it: removes what
/// cargo knows of it, then the placeholder with its other names. What is real there stays.
///
/// # Errors
/// As removing.
pub fn forget(path: &Path) -> io::Result<()> {
    if let Some(state) = state(path) {
        return rekindle_fsx::remove_dir_all(state);
    }
    let names = materialise::names(path);
    for name in &names {
        for fingerprint in fingerprints(name) {
            rekindle_fsx::remove_dir_all(&fingerprint)?;
        }
        if let Some(said) = said_by_script(name) {
            rekindle_fsx::remove_file(&said)?;
        }
    }
    for name in names {
        if let Ok(Some(_)) = Placeholder::read(&name) {
            rekindle_fsx::remove_file(&name)?;
        }
    }
    Ok(())
}

/// Forgets whatever else a store has lost of the target directory that `path` is in, so that it is not
/// found out one by one. Bytes are not read: what is damaged and of the right size is found when it is
/// wanted. How many placeholders these were.
///
/// # Errors
/// As reading directories and removing.
pub fn forget_others(path: &Path) -> io::Result<usize> {
    let Some(profile) = layout::profile_dir(path) else {
        return Ok(0);
    };
    let mut lost = Vec::new();
    for profile in layout::profile_dirs(&layout::target_dir(&profile)) {
        for entry in rekindle_fsx::walk_all(&profile)? {
            if entry.sig.size > MAX_BYTES {
                continue;
            }
            if is_lost(&entry.path) {
                lost.push(entry.path);
            }
        }
    }
    for path in &lost {
        forget(path)?;
    }
    Ok(lost.len())
}

/// Whether a file is a placeholder, and its store has no object of this size, nor what lies beyond.
#[must_use]
pub fn is_lost(path: &Path) -> bool {
    let placeholder = Placeholder::read(path).ok().flatten();
    placeholder.is_some_and(|placeholder| {
        let store = LocalStore::open(&placeholder.store);
        !store.has_object(&placeholder.digest, placeholder.size)
    })
}

/// The directory of a crate's incremental state: without one of its files the rest is of no use.
fn state(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| {
        dir.parent()
            .is_some_and(|above| above.ends_with("incremental"))
    })
}

/// The file with what a build script printed, for what it made. It is all that cargo takes for the
/// unit's output: a unit without a fingerprint is built, but what depends on it only where an output
/// is missing, too; else that would be found out of date by the build after the next.
fn said_by_script(path: &Path) -> Option<PathBuf> {
    let unit = path
        .ancestors()
        .find(|dir| dir.ends_with("out"))?
        .parent()?;
    let said = [unit.join("output"), unit.join("run/stdout")];
    said.into_iter().find(|said| rekindle_fsx::exists(said))
}

/// The directories in which cargo keeps what it knows of the unit that a file belongs to; none where
/// the file's name does not tell.
#[must_use]
pub fn fingerprints(path: &Path) -> Vec<PathBuf> {
    let Some(profile) = layout::profile_dir(path) else {
        return Vec::new();
    };
    let Ok(below) = path.strip_prefix(&profile) else {
        return Vec::new();
    };
    let parts: Vec<&OsStr> = below.iter().collect();
    let is = |index: usize, name: &str| parts.get(index).is_some_and(|part| *part == name);
    if is(0, "build") {
        let Some([package, unit]) = parts.get(1..3) else {
            return Vec::new();
        };
        // `build/PACKAGE/HASH/…`
        if unit.to_str().is_some_and(is_hash) {
            return vec![
                profile
                    .join("build")
                    .join(package)
                    .join(unit)
                    .join("fingerprint"),
            ];
        }
        // `build/PACKAGE-HASH/…`
        return vec![profile.join(".fingerprint").join(package)];
    }
    if !is(0, "deps") && !is(0, "examples") {
        return Vec::new();
    }
    let Some(hash) = hash_of(path) else {
        return Vec::new();
    };
    let all = rekindle_fsx::list_names(&profile.join(".fingerprint")).unwrap_or_default();
    all.into_iter()
        .filter(|name| name.to_str().and_then(|name| name.rsplit('-').next()) == Some(&hash))
        .map(|name| profile.join(".fingerprint").join(name))
        .collect()
}

/// `0123456789abcdef` of `libx-0123456789abcdef.rmeta`.
fn hash_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.split('.').next()?;
    let hash = stem.rsplit('-').next().filter(|hash| is_hash(hash))?;
    Some(hash.to_owned())
}

fn is_hash(text: &str) -> bool {
    is_hex(text, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_lead_to_fingerprints() {
        let target = tempfile::tempdir().unwrap();
        let profile = target.path().join("debug");
        for name in [
            "x-0123456789abcdef",
            "x-1123456789abcdef",
            "y-2123456789abcdef",
        ] {
            rekindle_fsx::create_dir_all(&profile.join(".fingerprint").join(name)).unwrap();
        }
        let check = |file: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(|name| profile.join(name)).collect();
            assert_eq!(fingerprints(&profile.join(file)), expected, "{file}");
        };
        let first = &[".fingerprint/x-0123456789abcdef"][..];
        check("deps/libx-0123456789abcdef.rmeta", first);
        check("deps/x-0123456789abcdef", first);
        check("examples/x-0123456789abcdef", first);
        check("build/x-0123456789abcdef/build-script-build", first);
        check("build/x-0123456789abcdef/out/deep/libz.a", first);
        check(
            "build/x/0123456789abcdef/out/libx-0123456789abcdef.rlib",
            &["build/x/0123456789abcdef/fingerprint"],
        );
        check("deps/libx.rmeta", &[]);
        check("x", &[]);
    }
}
