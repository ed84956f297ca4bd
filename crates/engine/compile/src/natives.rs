//! Native libraries that the command line names, and the directories that are searched for them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_base::DigestHasher;
use rekindle_events::UncacheableReason;
use rekindle_key::{Invocation, Manifest, NativeLibrary, SearchKind, Tag};

use crate::inputs::{Unit, unreadable};

/// A directory with more libraries than this is the system's: only names are keyed there, and the
/// archives that arguments name.
const MAX_KEYED_LIBRARIES: usize = 64;

/// Adds native libraries to a manifest. A unit that is only checked reads none.
pub(crate) fn push(unit: &Unit<'_>, manifest: &mut Manifest) -> Result<(), UncacheableReason> {
    if !unit.invocation.emit.link {
        return Ok(());
    }
    for directory in searched(unit.invocation) {
        let directory = unit.roots.absolute(directory);
        let names = libraries_in(&directory)?;
        let mut hasher = DigestHasher::new();
        for name in &names {
            hasher.field(name.as_bytes());
        }
        let canonical = unit.roots.canonical(&directory);
        manifest.push_digest(Tag::NativeDirectory, canonical, &hasher.finish());
        if names.len() > MAX_KEYED_LIBRARIES {
            continue;
        }
        // `#[link(kind = "static")]` names an archive where no argument does.
        for name in names.iter().filter(|name| !is_shared(name.as_bytes())) {
            push_archive(unit, manifest, &directory.join(name))?;
        }
    }
    for library in &unit.invocation.natives {
        push_library(unit, manifest, library)?;
    }
    Ok(())
}

fn libraries_in(directory: &Path) -> Result<Vec<OsString>, UncacheableReason> {
    let mut names =
        rekindle_fsx::list_names(directory).map_err(|error| unreadable(directory, &error))?;
    names.retain(|name| is_library(name.as_bytes()));
    Ok(names)
}

fn push_archive(
    unit: &Unit<'_>,
    manifest: &mut Manifest,
    path: &Path,
) -> Result<(), UncacheableReason> {
    let digest = unit.files.tool(path).map_err(|error| unreadable(path, &error))?;
    manifest.push_digest(Tag::Native, unit.roots.canonical(path), &digest);
    Ok(())
}

/// The directories in which native libraries are looked for.
pub(crate) fn searched(invocation: &Invocation) -> impl Iterator<Item = &Path> {
    invocation
        .searches
        .iter()
        .filter(|search| matches!(search.kind, SearchKind::Native | SearchKind::All))
        .map(|search| search.path.as_path())
}

/// Adds every archive of a library's name, in whichever directory: which one is taken is then decided
/// by what is keyed. Shared ones are only read by linkers, which say so themselves.
fn push_library(
    unit: &Unit<'_>,
    manifest: &mut Manifest,
    library: &NativeLibrary,
) -> Result<(), UncacheableReason> {
    let file = if library.verbatim {
        library.name.clone()
    } else {
        format!("lib{}.a", library.name)
    };
    for directory in searched(unit.invocation) {
        let path = unit.roots.absolute(directory).join(&file);
        if !rekindle_fsx::exists(&path) {
            continue;
        }
        push_archive(unit, manifest, &path)?;
    }
    Ok(())
}

fn is_shared(name: &[u8]) -> bool {
    name.ends_with(b".so") || memchr::memmem::find(name, b".so.").is_some()
}

fn is_library(name: &[u8]) -> bool {
    [&b".a"[..], b".so", b".o", b".lib", b".dylib"]
        .iter()
        .any(|ending| name.ends_with(ending))
        || is_shared(name)
}

/// A member of a finished library that came from a native archive which is not keyed:
/// `#[link(kind = "static")]` in the source, found in a directory of the system.
pub(crate) fn unnamed_member(unit: &Unit<'_>, library: &Path) -> Option<String> {
    let mut keyed = BTreeSet::new();
    let mut all_keyed = true;
    for directory in searched(unit.invocation) {
        let directory = unit.roots.absolute(directory);
        let names = libraries_in(&directory).unwrap_or_default();
        let small = names.len() <= MAX_KEYED_LIBRARIES;
        all_keyed &= small;
        for name in names.iter().filter(|name| !is_shared(name.as_bytes())) {
            if small || is_named(unit.invocation, name) {
                keyed.extend(members(&directory.join(name)));
            }
        }
    }
    if all_keyed {
        return None;
    }
    members(library)
        .into_iter()
        .find(|name| {
            // Code of the crate itself is in `<crate>.<unit>.rcgu.o` and metadata in `lib.rmeta`.
            let own = name == b"lib.rmeta" || name.ends_with(b".rcgu.o") || name.ends_with(b".rmeta-link");
            // A whole archive may be bundled as a member, under its own name.
            let named = is_named(unit.invocation, OsStr::from_bytes(name));
            !own && !named && !keyed.contains(name)
        })
        .map(|name| String::from_utf8_lossy(&name).into_owned())
}

fn is_named(invocation: &Invocation, file: &OsStr) -> bool {
    invocation
        .natives
        .iter()
        .any(|library| file == library.name.as_str() || file == format!("lib{}.a", library.name).as_str())
}

/// The names of an archive's members; none where it is not an archive.
fn members(archive: &Path) -> Vec<Vec<u8>> {
    let Ok(file) = rekindle_fsx::open(archive) else {
        return Vec::new();
    };
    let cache = object::read::ReadCache::new(file);
    let Ok(archive) = object::read::archive::ArchiveFile::parse(&cache) else {
        return Vec::new();
    };
    archive
        .members()
        .filter_map(Result::ok)
        .map(|member| member.name().to_vec())
        .collect()
}
