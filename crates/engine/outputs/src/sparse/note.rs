//! What stands for a `.crate` whose bytes are in the store.
//!
//! A gzipped tar with one member, which does not lie below the package's name. cargo never unpacks a
//! package that is there; should it have to, it refuses this one and names the member, whose name
//! says what to do. What it stands for is in gzip's comment: `rekindle crate 1 DIGEST SIZE STORE`.

use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use rekindle_base::Digest;

/// The member's name, which cargo's message quotes.
const MEMBER: &str = "Rekindle keeps this package in its store: run `rekindle materialise`";
/// gzip with a comment and nothing else, of no time, of no system.
const HEAD: &[u8] = &[0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0];
const MAGIC: &[u8] = b"rekindle crate 1 ";
/// Nothing longer is a note.
const MAX_BYTES: u64 = 16 << 10;

/// Which `.crate` is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its bytes, an object of the store.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Directory of the store that has them.
    pub store: PathBuf,
}

impl Note {
    /// The file's bytes.
    ///
    /// # Errors
    /// None that this code knows of: writing to memory.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut comment = MAGIC.to_vec();
        comment.extend_from_slice(format!("{} {} ", self.digest, self.size).as_bytes());
        comment.extend_from_slice(self.store.as_os_str().as_bytes());
        let gz = GzBuilder::new()
            .comment(comment)
            .write(Vec::new(), Compression::fast());
        let mut archive = tar::Builder::new(gz);
        let mut header = tar::Header::new_ustar();
        header.set_path(MEMBER)?;
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, io::empty())?;
        let mut gz = archive.into_inner()?;
        gz.flush()?;
        gz.finish()
    }

    /// Reads bytes; `None` for a real `.crate`.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(HEAD)?.get(2..)?.strip_prefix(MAGIC)?;
        let comment = &rest[..memchr::memchr(0, rest)?];
        let mut parts = comment.splitn(3, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (digest, size) = (text()?.parse().ok()?, text()?.parse().ok()?);
        let store = std::ffi::OsString::from_vec(parts.next()?.to_vec()).into();
        Some(Self {
            digest,
            size,
            store,
        })
    }

    /// Reads a file; `None` where it is a real `.crate` or there is none.
    ///
    /// # Errors
    /// As opening and reading.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let Some(sig) = rekindle_fsx::found(rekindle_fsx::stat(path))? else {
            return Ok(None);
        };
        if sig.size > MAX_BYTES || sig.kind() != rekindle_fsx::FileKind::File {
            return Ok(None);
        }
        Ok(rekindle_fsx::read_if_exists(path)?.and_then(|bytes| Self::from_bytes(&bytes)))
    }

    /// Whether a file is one, and can be read.
    #[must_use]
    pub fn is_at(path: &Path) -> bool {
        matches!(Self::read(path), Ok(Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_names_the_way_out_where_it_is_unpacked() {
        let note = Note {
            digest: Digest::of(b"x"),
            size: 70_000,
            store: "/home/me/a store".into(),
        };
        let bytes = note.to_bytes().unwrap();
        assert_eq!(Note::from_bytes(&bytes), Some(note));
        let error = crate::archive::read(&mut &*bytes, 9, "a-1.0.0", &mut |_, _| Ok(()));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("run `rekindle materialise`"), "{message}");
    }

    #[test]
    fn a_real_archive_is_no_note() {
        let gz = GzBuilder::new()
            .comment("rekindle")
            .write(Vec::new(), Compression::fast());
        for bytes in [gz.finish().unwrap(), HEAD.to_vec(), Vec::new()] {
            assert_eq!(Note::from_bytes(&bytes), None);
        }
    }
}
