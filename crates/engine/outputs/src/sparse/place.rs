//! Putting a package into cargo's home.

use std::collections::HashSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use rekindle_fsx as fsx;

use super::note::Note;
use super::{CARGO_OK_TEXT, Filled, Location, MARKER, Marker, STUB};
use crate::archive::{self, ArchiveError, CARGO_OK};

/// What of a package's sources is put in place.
#[derive(Clone, Copy, Debug)]
pub enum Sources<'a> {
    /// What cargo reads of one that stays fresh.
    Sparse {
        /// `Cargo.toml`.
        manifest: &'a [u8],
        /// What it stands for.
        marker: &'a Marker,
        /// Whether the manifest has `links`.
        links: bool,
    },
    /// All of it, from its `.crate`, which is in its place and sound.
    Whole,
}

/// Puts a package's sources where cargo looks for them, if nothing is there: `None` where something is.
/// They appear by rename, all at once. For [`Sources::Sparse`] without a `.crate`, a note takes its
/// place. The caller holds cargo's lock of its packages.
///
/// # Errors
/// [`ArchiveError`]; nothing is then there.
pub fn place(location: &Location, sources: Sources<'_>) -> Result<Option<Filled>, ArchiveError> {
    let dest = location.sources();
    if fsx::exists(&dest) {
        return Ok(None);
    }
    // One writer, by cargo's lock: what a killed one left is in the way of nobody else.
    let arrival = fsx::atomic::beside(&dest);
    fsx::remove_dir_all(&arrival)?;
    fsx::create_dir_all(&arrival)?;
    let result = fill_arrival(location, sources, &arrival).and_then(|filled| {
        fsx::rename(&arrival, &dest)?;
        if let Sources::Sparse { marker, .. } = sources {
            note_crate(location, marker)?;
        }
        Ok(Some(filled))
    });
    if result.is_err() {
        let _ = fsx::remove_dir_all(&arrival);
    }
    result
}

fn fill_arrival(
    location: &Location,
    sources: Sources<'_>,
    arrival: &Path,
) -> Result<Filled, ArchiveError> {
    let mut filled = Filled {
        packages: 1,
        ..Filled::default()
    };
    match sources {
        Sources::Sparse {
            manifest,
            marker,
            links,
        } => {
            if links {
                let file = location.links_file();
                fsx::create_dir_all(file.parent().unwrap_or(&location.home))?;
                write(&file, b"")?;
            }
            let mut made = HashSet::new();
            for stub in &marker.stubs {
                check_plain(stub)?;
                parent(arrival, stub, &mut made)?;
                write(&arrival.join(stub), STUB)?;
            }
            let text = marker.to_text();
            for (name, bytes) in [
                ("Cargo.toml", manifest),
                (MARKER, &text),
                (CARGO_OK, CARGO_OK_TEXT),
            ] {
                write(&arrival.join(name), bytes)?;
                filled.bytes += bytes.len() as u64;
            }
            filled.files = 3 + marker.stubs.len() as u64;
        }
        Sources::Whole => {
            let unpacked = unpack(location, arrival, &mut |_| Way::Write)?;
            write(&arrival.join(CARGO_OK), CARGO_OK_TEXT)?;
            filled.files = unpacked.files + 1;
            filled.bytes = unpacked.bytes;
        }
    }
    Ok(filled)
}

/// Puts a note in the place of a `.crate` that is missing or empty.
fn note_crate(location: &Location, marker: &Marker) -> io::Result<()> {
    let path = location.crate_file();
    let there = fsx::found(fsx::stat_follow(&path))?;
    if there.is_some_and(|sig| sig.size > 0) {
        return Ok(());
    }
    let note = Note {
        digest: marker.digest,
        size: marker.size,
        store: marker.store.clone(),
    };
    fsx::create_dir_all(path.parent().unwrap_or(&location.home))?;
    fsx::atomic::write_via(&fsx::atomic::beside(&path), &path, &note.to_bytes()?)
}

fn write(path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    fsx::write_file(path, &mut bytes, 0o644, fsx::time::PACKED_S)?;
    Ok(())
}

fn check_plain(path: &Path) -> Result<(), ArchiveError> {
    let mut components = path.components().peekable();
    let plain = components.peek().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)));
    if plain {
        return Ok(());
    }
    Err(ArchiveError::Refused {
        path: path.to_string_lossy().into_owned(),
        why: "does not lie below its package",
    })
}

/// Makes the directory that a file below `root` is in, once.
fn parent(root: &Path, path: &Path, made: &mut HashSet<PathBuf>) -> io::Result<()> {
    let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else {
        return Ok(());
    };
    if made.insert(dir.to_owned()) {
        fsx::create_dir_all(&root.join(dir))?;
    }
    Ok(())
}

/// What becomes of a file of an archive.
pub(super) enum Way {
    Write,
    /// It is there already.
    Skip,
    /// It appears when all others are there.
    Last,
}

/// Unpacks the `.crate` that is in its place to `root`.
pub(super) fn unpack(
    location: &Location,
    root: &Path,
    way: &mut dyn FnMut(&Path) -> Way,
) -> Result<Filled, ArchiveError> {
    let crate_file = location.crate_file();
    let mut file = fsx::open(&crate_file)?;
    let size = fsx::stat_follow(&crate_file)?.size;
    let mut made = HashSet::new();
    let mut last = Vec::new();
    let mut filled = Filled::default();
    archive::read(&mut file, size, &location.prefix(), &mut |member, bytes| {
        let path = root.join(&member.path);
        let dest = match way(&member.path) {
            Way::Skip => return Ok(()),
            Way::Write => path,
            Way::Last => {
                let temporary = fsx::atomic::beside(&path);
                last.push((temporary.clone(), path));
                temporary
            }
        };
        parent(root, &member.path, &mut made)?;
        filled.bytes += fsx::write_file(&dest, bytes, member.mode, member.mtime_s)?;
        filled.files += 1;
        Ok(())
    })?;
    for (temporary, path) in last {
        fsx::rename(&temporary, &path)?;
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_put_over_what_is_there_or_out_of_its_directory() {
        let home = tempfile::tempdir().unwrap();
        let location = Location {
            home: home.path().to_owned(),
            index: "i-1".into(),
            package: "a-1.0.0".into(),
        };
        let marker = |stub: &str| Marker {
            digest: rekindle_base::Digest::of(b"x"),
            size: 1,
            store: home.path().join("store"),
            stubs: vec![stub.into()],
        };
        let put = |marker: &Marker| {
            let sources = Sources::Sparse {
                manifest: b"",
                marker,
                links: false,
            };
            place(&location, sources)
        };
        for stub in ["../a-1.0.1/lib.rs", "/lib.rs", "src/../../lib.rs", ""] {
            assert!(put(&marker(stub)).is_err(), "{stub}");
            assert!(
                fsx::list_names(&home.path().join("registry/src/i-1"))
                    .unwrap()
                    .is_empty()
            );
        }
        fsx::create_dir_all(&location.sources()).unwrap();
        assert_eq!(put(&marker("lib.rs")).unwrap(), None);
        assert!(fsx::list_names(&location.sources()).unwrap().is_empty());
        fsx::remove_dir_all(&location.sources()).unwrap();
        assert_eq!(put(&marker("lib.rs")).unwrap().unwrap().files, 4);
    }
}
