//! Reading a `.crate`, as cargo unpacks it.
//!
//! A `.crate` is a gzipped tar whose members all lie below `NAME-VERSION/`. Its bytes come from outside:
//! what cargo would refuse is refused, and links, which cargo itself never packs, are refused as well.
//! Called by [`crate::sparse`] and by snapshots, which look into a package before they store it.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use rekindle_fsx::time::PACKED_S;

/// What cargo allows a `.crate` to unpack to, whatever its own size.
const MAX_BYTES: u64 = 512 << 20;
/// And for each byte of its own.
const MAX_RATIO: u64 = 20;
/// The file that says that cargo has unpacked everything; cargo takes none from an archive.
pub const CARGO_OK: &str = ".cargo-ok";

/// Files that cargo made when it packed, whose times some versions left out. They are given [`PACKED_S`].
const GENERATED: &[&str] = &["Cargo.lock", "Cargo.toml", ".cargo_vcs_info.json"];

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read or written, or is no gzipped tar.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A member that may not be.
    #[error("its member `{path}` {why}")]
    Refused {
        /// As the archive names it.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Below the package's directory: plain names.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Modification time that cargo gives it: seconds since 1970.
    pub mtime_s: u64,
    /// Bytes.
    pub size: u64,
}

/// Reads an archive of `compressed_bytes` whose members lie below `prefix`, and shows each file with
/// its bytes to `visit`, in their order. `visit` may leave bytes unread.
///
/// # Errors
/// [`ArchiveError`], also from `visit`; what was shown before was shown.
pub fn read(
    archive: &mut dyn Read,
    compressed_bytes: u64,
    prefix: &str,
    visit: &mut dyn FnMut(&Member, &mut dyn Read) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let bound = MAX_BYTES.max(compressed_bytes.saturating_mul(MAX_RATIO));
    let bounded = Bounded {
        inner: GzDecoder::new(archive),
        left: bound,
    };
    let mut archive = tar::Archive::new(bounded);
    let mut seen = HashSet::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(member) = member(&entry, prefix)? else {
            continue;
        };
        // A case that cargo leaves to the order of members.
        if !seen.insert(member.path.clone()) {
            return Err(refused(&member.path, "is there twice"));
        }
        visit(&member, &mut entry)?;
    }
    Ok(())
}

fn refused(path: &Path, why: &'static str) -> ArchiveError {
    ArchiveError::Refused {
        path: path.to_string_lossy().into_owned(),
        why,
    }
}

/// Checks an entry; `None` for one that cargo does not unpack, and for directories.
fn member<R: Read>(
    entry: &tar::Entry<'_, R>,
    prefix: &str,
) -> Result<Option<Member>, ArchiveError> {
    let header = entry.header();
    let kind = header.entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(None);
    }
    let whole = entry.path()?.into_owned();
    let plain = whole
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if !plain {
        return Err(refused(&whole, "does not lie below its package"));
    }
    let Ok(path) = whole.strip_prefix(prefix) else {
        return Err(refused(&whole, "does not lie below its package"));
    };
    if kind.is_dir() {
        return Ok(None);
    }
    if !(kind.is_file() || kind.is_contiguous()) {
        return Err(refused(&whole, "is neither a file nor a directory"));
    }
    let name = path.file_name().unwrap_or_default();
    if name.is_empty() {
        return Err(refused(&whole, "has no name"));
    }
    if name == CARGO_OK {
        return Ok(None);
    }
    if path == Path::new(crate::sparse::MARKER) {
        return Err(refused(&whole, "has a name that is Rekindle's own"));
    }
    // As tar does: a time of zero is taken by some tools for none.
    let mut mtime_s = header.mtime()?.max(1);
    if mtime_s == 1
        && GENERATED
            .iter()
            .any(|generated| path == Path::new(generated))
    {
        mtime_s = PACKED_S;
    }
    Ok(Some(Member {
        path: path.to_owned(),
        mode: header.mode()? & 0o777,
        mtime_s,
        size: entry.size(),
    }))
}

/// Fails where more bytes come than are left, instead of ending.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(io::Error::other("it unpacks to more than cargo allows")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gz);
        for (path, kind, bytes) in members {
            let mut header = tar::Header::new_ustar();
            // `set_path` refuses what is tried here.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            if *kind == tar::EntryType::Symlink || *kind == tar::EntryType::Link {
                header.set_link_name("/etc").unwrap();
            }
            header.set_size(bytes.len() as u64);
            header.set_mode(0o4755);
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn names(archive: &[u8], compressed: u64) -> Result<Vec<String>, ArchiveError> {
        let mut names = Vec::new();
        read(&mut &*archive, compressed, "a-1.0.0", &mut |member, _| {
            assert_eq!(member.mode, 0o755);
            names.push(member.path.to_string_lossy().into_owned());
            Ok(())
        })?;
        Ok(names)
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn files_are_shown_and_cargos_own_are_not() {
        let archive = packed(&[
            ("a-1.0.0/src", tar::EntryType::Directory, b""),
            ("a-1.0.0/src/lib.rs", FILE, b"x"),
            ("a-1.0.0/.cargo-ok", FILE, b"{}"),
            ("a-1.0.0/src/.cargo-ok", FILE, b"{}"),
            ("a-1.0.0/Cargo.toml", FILE, b"y"),
        ]);
        assert_eq!(names(&archive, 1).unwrap(), ["src/lib.rs", "Cargo.toml"]);
    }

    #[test]
    fn what_leads_out_of_the_package_is_refused() {
        for (path, kind) in [
            ("a-1.0.0/../b-1.0.0/lib.rs", FILE),
            ("a-1.0.0/src/../../lib.rs", FILE),
            ("../lib.rs", FILE),
            ("/lib.rs", FILE),
            ("b-1.0.0/lib.rs", FILE),
            ("a-1.0.0", FILE),
            ("a-1.0.0/.rekindle-sparse", FILE),
            ("a-1.0.0/link", tar::EntryType::Symlink),
            ("a-1.0.0/link", tar::EntryType::Link),
            ("a-1.0.0/pipe", tar::EntryType::Fifo),
            ("a-1.0.0/device", tar::EntryType::Block),
        ] {
            let error = names(&packed(&[(path, kind, b"")]), 1).unwrap_err();
            assert!(
                matches!(error, ArchiveError::Refused { .. }),
                "{path}: {error}"
            );
        }
        let twice = [("a-1.0.0/x", FILE, &b"1"[..]), ("a-1.0.0/x", FILE, b"2")];
        assert!(names(&packed(&twice), 1).is_err());
    }

    #[test]
    fn what_is_cut_or_grows_too_much_is_refused() {
        let archive = packed(&[("a-1.0.0/x", FILE, &[7; 5000])]);
        for length in [0, 1, 20, archive.len() / 2] {
            let mut shown = 0;
            let result = read(&mut &archive[..length], 1, "a-1.0.0", &mut |_, bytes| {
                io::copy(bytes, &mut io::sink())?;
                shown += 1;
                Ok(())
            });
            assert!(result.is_err(), "{length} bytes");
            assert_eq!(shown, 0);
        }
        let mut bounded = Bounded {
            inner: io::repeat(0),
            left: 10_000,
        };
        let error = io::copy(&mut bounded, &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("more than cargo allows"));
    }

    #[test]
    fn generated_files_have_cargos_time() {
        let archive = packed(&[
            ("a-1.0.0/Cargo.toml", FILE, b""),
            ("a-1.0.0/x/Cargo.toml", FILE, b""),
        ]);
        let mut times = Vec::new();
        read(&mut &*archive, 1, "a-1.0.0", &mut |member, _| {
            times.push(member.mtime_s);
            Ok(())
        })
        .unwrap();
        assert_eq!(times, [PACKED_S, 1]);
    }
}
