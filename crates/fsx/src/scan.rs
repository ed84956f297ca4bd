//! Searching and replacing bytes in files, piece by piece: outputs may be far larger than a wrapper may
//! grow.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rekindle_base::{Digest, DigestHasher};

use crate::hash::{PIECE_BYTES, piece_for};

/// Which of `needles` stand somewhere in the file. The same one twice is looked for once.
///
/// # Errors
/// As opening and reading.
pub fn find_any(path: &Path, needles: &[&[u8]]) -> io::Result<Vec<bool>> {
    let mut unique = needles.to_vec();
    unique.sort_unstable();
    unique.dedup();
    let finders: Vec<_> = unique.iter().map(memchr::memmem::Finder::new).collect();
    let overlap = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
    let mut found = vec![false; unique.len()];
    let mut file = File::open(path)?;
    let mut buffer = vec![0; piece_for(&file) + overlap];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 || !found.contains(&false) {
            let at = |needle| unique.binary_search(needle).unwrap_or_default();
            return Ok(needles.iter().map(|needle| found[at(needle)]).collect());
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

/// Shows a part of a file to `look`, piece by piece.
///
/// # Errors
/// As opening and reading; a range beyond the file's end is one.
pub fn pieces(path: &Path, range: Range<u64>, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let file = File::open(path)?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = range.start;
    while at < range.end {
        let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let piece = &mut buffer[..left.min(PIECE_BYTES)];
        file.read_exact_at(piece, at)?;
        look(piece);
        at += piece.len() as u64;
    }
    Ok(())
}

/// Replaces bytes by others of the same length, in place, within `ranges` of a file. How many were
/// replaced.
///
/// # Errors
/// As opening, reading and writing.
pub fn replace_in_place(
    path: &Path,
    ranges: &[Range<u64>],
    replacements: &[(Vec<u8>, Vec<u8>)],
) -> io::Result<u64> {
    let overlap = overlap(replacements);
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut count = 0;
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let piece = &mut piece[..left.min(PIECE_BYTES)];
            file.read_exact_at(piece, at)?;
            let replaced = replace_in(piece, replacements);
            if replaced > 0 {
                crate::failpoint::hit();
                file.write_all_at(piece, at)?;
            }
            count += replaced;
            if piece.len() == left {
                break;
            }
            // What lies across two pieces is seen whole in the second.
            at += (piece.len() - overlap) as u64;
        }
    }
    Ok(count)
}

/// The digest that a file would have after [`replace_in_place`] with the same `ranges`, which lie apart
/// from each other, and whether anything would be replaced. The file is left alone.
///
/// # Errors
/// As opening and reading; a range beyond the file's end is one.
pub fn hash_replaced(
    path: &Path,
    ranges: &[Range<u64>],
    replacements: &[(Vec<u8>, Vec<u8>)],
) -> io::Result<(Digest, bool)> {
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| range.start);
    let size = crate::stat_follow(path)?.size;
    let mut reader = Replacing {
        file: File::open(path)?,
        hasher: DigestHasher::new(),
        piece: vec![0; PIECE_BYTES],
        replaced: false,
    };
    let mut at = 0;
    for range in ranges {
        reader.hash(at..range.start, &[])?;
        reader.hash(range.clone(), replacements)?;
        at = range.end;
    }
    reader.hash(at..size, &[])?;
    Ok((reader.hasher.finish(), reader.replaced))
}

struct Replacing {
    file: File,
    hasher: DigestHasher,
    piece: Vec<u8>,
    replaced: bool,
}

impl Replacing {
    /// Adds a range, cut into the pieces that [`replace_in_place`] cuts it into.
    fn hash(&mut self, range: Range<u64>, replacements: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
        let overlap = overlap(replacements);
        let (mut at, mut kept) = (range.start, 0);
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let fresh = left.min(PIECE_BYTES - kept);
            let filled = kept + fresh;
            self.file.read_exact_at(&mut self.piece[kept..filled], at)?;
            self.replaced |= replace_in(&mut self.piece[..filled], replacements) > 0;
            at += fresh as u64;
            kept = if at < range.end { overlap } else { 0 };
            self.hasher.update(&self.piece[..filled - kept]);
            self.piece.copy_within(filled - kept..filled, 0);
        }
        Ok(())
    }
}

/// What two pieces share, so that whatever lies across them is seen whole.
fn overlap(replacements: &[(Vec<u8>, Vec<u8>)]) -> usize {
    let longest = replacements.iter().map(|(from, _)| from.len()).max();
    longest.unwrap_or(1).saturating_sub(1)
}

fn replace_in(piece: &mut [u8], replacements: &[(Vec<u8>, Vec<u8>)]) -> u64 {
    let mut count = 0;
    for (from, to) in replacements
        .iter()
        .filter(|(from, to)| from.len() == to.len())
    {
        let found: Vec<usize> = memchr::memmem::find_iter(piece, from).collect();
        for at in found {
            piece[at..at + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    count
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
            let needles: [&[u8]; 4] = [b"needle", b"absent", b"needle", b"."];
            let found = find_any(&path, &needles).unwrap();
            assert_eq!(found, [true, false, true, true], "{at}");
        }
    }

    #[test]
    fn bytes_are_replaced_within_ranges_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![b'.'; 3 * PIECE_BYTES];
        for at in [0, 100, PIECE_BYTES - 3, 2 * PIECE_BYTES] {
            bytes[at..at + 6].copy_from_slice(b"needle");
        }
        std::fs::write(&path, &bytes).unwrap();
        let ranges = [
            (PIECE_BYTES - 3) as u64..(2 * PIECE_BYTES + 3) as u64,
            50..107,
        ];
        let pair = [(b"needle".to_vec(), b"thread".to_vec())];
        let before = Digest::of(&bytes);
        let foreseen = hash_replaced(&path, &ranges, &pair).unwrap();
        assert_eq!(replace_in_place(&path, &ranges, &pair).unwrap(), 2);
        for at in [100, PIECE_BYTES - 3] {
            bytes[at..at + 6].copy_from_slice(b"thread");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(foreseen, (Digest::of(&bytes), true));
        let undone = [(pair[0].1.clone(), pair[0].0.clone())];
        assert_eq!(
            hash_replaced(&path, &ranges, &undone).unwrap(),
            (before, true)
        );
    }
}
