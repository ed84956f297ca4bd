//! Searching files for bytes, piece by piece: outputs may be far larger than a wrapper may grow.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::hash::PIECE_BYTES;

/// Which of `needles` stand somewhere in the file.
///
/// # Errors
/// As opening and reading.
pub fn find_any(path: &Path, needles: &[&[u8]]) -> io::Result<Vec<bool>> {
    let finders: Vec<_> = needles.iter().map(memchr::memmem::Finder::new).collect();
    let overlap = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
    let mut found = vec![false; needles.len()];
    let mut file = File::open(path)?;
    let mut buffer = vec![0; PIECE_BYTES + overlap];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(found);
        }
        let filled = kept + read;
        for (finder, found) in finders.iter().zip(&mut found) {
            *found = *found || finder.find(&buffer[..filled]).is_some();
        }
        // A needle may lie across two pieces.
        kept = overlap.min(filled);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_across_two_pieces_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for at in [0, PIECE_BYTES - 3, PIECE_BYTES, 2 * PIECE_BYTES - 1] {
            let mut bytes = vec![b'.'; 3 * PIECE_BYTES];
            bytes[at..at + 6].copy_from_slice(b"needle");
            std::fs::write(&path, &bytes).unwrap();
            let found = find_any(&path, &[b"needle", b"absent"]).unwrap();
            assert_eq!(found, [true, false], "{at}");
        }
    }
}
