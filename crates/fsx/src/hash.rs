//! Digests of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rekindle_base::{Digest, DigestHasher};

/// Larger pieces keep BLAKE3's wide lanes busy; much larger ones only cost memory and cache.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// The digest and size of a file.
///
/// # Errors
/// As opening and reading.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    hash_open(&mut File::open(path)?)
}

/// The same of what is left of a file that is open.
pub(crate) fn hash_open(file: &mut File) -> io::Result<(Digest, u64)> {
    let mut hasher = DigestHasher::new();
    let mut piece = vec![0; piece_for(file)];
    let mut size = 0u64;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(&piece[..read]);
        size += read as u64;
    }
}

/// How many bytes of a file to read at once. A small file needs no large buffer, which would have to be filled with
/// zeros: most sources are a few KiB.
pub(crate) fn piece_for(file: &File) -> usize {
    let size = file.metadata().map_or(0, |data| data.len());
    usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(1)
        .clamp(4096, PIECE_BYTES)
}
