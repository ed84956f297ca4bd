//! What is in a directory that was listed.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_base::DigestHasher;
use rekindle_fsx::FileType;
use rekindle_key::profile;

use crate::placeholder::Placeholder;

/// The entries of a directory that count, by their names: all, but in those that cargo fills (`name` is relative to roots) what it puts
/// there. Such a one may not be there yet.
///
/// # Errors
/// As listing it.
pub fn counted(name: &[u8], path: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let is_filled = profile::is_filled(name);
    let mut entries = match rekindle_fsx::list_in_order(path) {
        Err(error) if is_filled && error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    if is_filled {
        let all = Names::of(&entries);
        entries.retain(|(name, _)| {
            let name = name.as_bytes();
            let is_ours = name.starts_with(rekindle_fsx::atomic::TEMPORARY_PREFIX.as_bytes());
            !is_ours && !profile::is_given(name, |other| all.has(other))
        });
    }
    entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

/// The names in the directory of a profile under which people find what cargo made.
#[must_use]
pub fn found_by_people(path: &Path) -> Vec<OsString> {
    let entries = rekindle_fsx::list_in_order(path).unwrap_or_default();
    let all = Names::of(&entries);
    let names = entries.into_iter().map(|(name, _)| name);
    names
        .filter(|name| profile::is_found(name.as_bytes(), |other| all.has(other)))
        .collect()
}

struct Names(HashSet<OsString>);

impl Names {
    fn of(entries: &[(OsString, FileType)]) -> Self {
        Self(entries.iter().map(|(name, _)| name.clone()).collect())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.contains(OsStr::from_bytes(name))
    }
}

/// What stands for these entries of a directory.
#[must_use]
pub fn value(path: &Path, entries: &[(OsString, FileType)]) -> String {
    let mut hasher = DigestHasher::new();
    for (name, kind) in entries {
        let stands_for_file = || matches!(Placeholder::read(&path.join(name)), Ok(Some(_)));
        let kind: &[u8] = if kind.is_dir() {
            b"directory"
        } else if kind.is_file() || (kind.is_symlink() && stands_for_file()) {
            b"file"
        } else if kind.is_symlink() {
            b"link"
        } else {
            b"other"
        };
        hasher.field(name.as_bytes()).field(kind);
    }
    hasher.finish().to_hex()
}
