//! Reading a long range in pieces, which come while those before them are used.
//!
//! A program is tens of megabytes: unpacking, comparing and writing it takes as long as its way here does, so it is done piece by
//! piece as they come. Two are under way at once: one alone waits for a round trip at each end of a piece, and more only
//! make each of them, the first too, come later.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::blobs::Name;
use crate::client::{Client, ClientError};

/// A range that is longer is read so.
pub(crate) const LONG_BYTES: u64 = 6 << 20;
/// The shortest piece, and how many a range is cut into at most: each is a request.
const PIECE_BYTES: u64 = 3 << 20;
const PIECES_MAX: u64 = 6;
/// Pieces under way.
const AT_ONCE: usize = 2;
/// Pieces that have come and are not used yet, those under way included: memory.
const AHEAD: usize = 4;

#[derive(Default)]
struct State {
    /// The next piece to ask for, and the one that is used next.
    next: usize,
    taken: usize,
    came: HashMap<usize, Result<Bytes, ClientError>>,
    /// Nobody uses any more of it.
    over: bool,
    error: Option<ClientError>,
}

struct Pieces<'a> {
    client: &'a Client,
    blob: (&'a Name, usize),
    ranges: Vec<Range<u64>>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Reads a range of a copy of a blob, whose bytes `consume` takes in order; what that came to.
///
/// # Errors
/// What the remote did not do, whatever `consume` made of it.
pub(crate) fn read<T>(
    client: &Client,
    blob: (&Name, usize),
    range: &Range<u64>,
    consume: impl FnOnce(&mut dyn Read) -> T,
) -> Result<T, ClientError> {
    let pieces = Pieces {
        client,
        blob,
        ranges: cut(range),
        state: Mutex::default(),
        changed: Condvar::new(),
    };
    let result = std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(pieces.ranges.len()) {
            scope.spawn(|| pieces.fetch());
        }
        let result = consume(&mut InOrder {
            pieces: &pieces,
            current: Bytes::new(),
        });
        pieces.state().over = true;
        pieces.changed.notify_all();
        result
    });
    match pieces.state().error.take() {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

fn cut(range: &Range<u64>) -> Vec<Range<u64>> {
    let length = range.end.saturating_sub(range.start);
    let piece = length.div_ceil(PIECES_MAX).max(PIECE_BYTES);
    let begins = (0..length.div_ceil(piece)).map(|at| range.start + at * piece);
    begins
        .map(|begin| begin..range.end.min(begin + piece))
        .collect()
}

impl Pieces<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for one piece after the other, not too far ahead.
    fn fetch(&self) {
        loop {
            let mut state = self.state();
            while !state.over && state.next >= state.taken + AHEAD {
                state = self.wait(state);
            }
            let at = state.next;
            let Some(range) = self.ranges.get(at).filter(|_| !state.over) else {
                return;
            };
            state.next += 1;
            drop(state);
            let (name, copy) = self.blob;
            let read = self.client.read_copy(name, Some(range.clone()), copy);
            self.state().came.insert(at, read);
            self.changed.notify_all();
        }
    }

    /// The next piece; `None` behind the last.
    fn take(&self) -> io::Result<Option<Bytes>> {
        let mut state = self.state();
        let at = state.taken;
        if at >= self.ranges.len() {
            return Ok(None);
        }
        loop {
            match state.came.remove(&at) {
                None => state = self.wait(state),
                Some(Ok(bytes)) => {
                    state.taken += 1;
                    self.changed.notify_all();
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => {
                    let told = io::Error::other(error.to_string());
                    state.error = Some(error);
                    // Whoever asks once more gets the end.
                    state.taken = self.ranges.len();
                    return Err(told);
                }
            }
        }
    }
}

struct InOrder<'a> {
    pieces: &'a Pieces<'a>,
    current: Bytes,
}

impl Read for InOrder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            match self.pieces.take()? {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let part = self.current.split_to(count);
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(&part);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_few_pieces_without_a_gap() {
        const MIB: u64 = 1 << 20;
        for (length, count) in [(0, 0), (1, 1), (3 * MIB, 1), (11 * MIB, 4), (900 * MIB, 6)] {
            let range = 77..77 + length;
            let pieces = cut(&range);
            assert_eq!(pieces.len(), count, "{length}");
            let mut at = range.start;
            for piece in &pieces {
                assert_eq!(piece.start, at);
                at = piece.end;
            }
            assert_eq!(at, range.end);
        }
    }
}
