//! Indexes: what one save holds.
//!
//! An index names every record and every object that a build can use, of this save and of those before it that are still of
//! use, so a reader needs one index and no history. It is written when all packs that it names are there, under
//! the BLAKE3 digest of its bytes; what leads to it is a [`crate::tip`].
//!
//! Records are in the index itself: they are small, and a build that changed nothing needs hardly anything else. Objects are
//! in packs.
//!
//! # Form
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `rkix` |
//! | 4 | version, [`VERSION`] |
//! | 8 | length of the rest when it is unpacked |
//! | … | postcard of [`Index`], in zstd |
//!
//! Integers are little-endian.

use std::collections::{HashMap, HashSet};

use rekindle_base::Digest;
use rekindle_store::Space;
use serde::{Deserialize, Serialize};

use crate::pack::{self, Table};

/// The version of the format.
pub const VERSION: u32 = 2;

/// The longest index, raw.
pub const MAX_BYTES: u64 = 256 << 20;
/// Packs in one index.
pub const MAX_PACKS: usize = 4096;
/// How many saves a record stays in indexes without being used.
pub const KEPT_SAVES: u32 = 8;

const MAGIC: [u8; 4] = *b"rkix";

/// What is wrong with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Not an index, or cut off, or with lengths that none has.
    #[error("it is not a whole index")]
    Shape,
    /// An earlier version: the next save takes its place.
    #[error("an earlier version of rekindle wrote it, and the next save takes its place")]
    Older,
    /// A later version.
    #[error("a later version of rekindle wrote it")]
    Newer,
    /// Larger than an index may be.
    #[error("it is larger than an index may be")]
    TooLarge,
}

/// What one save holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Counts the saves on the way here, one base after the other.
    pub generation: u32,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// The payload of a record in the space `Pointers`: which trees belong together. Empty where no snapshot was made.
    pub pointer: Vec<u8>,
    /// The packs.
    pub packs: Vec<PackEntry>,
    /// The records.
    pub records: Vec<Shared>,
    /// The objects that runs asked for since, in the order of their first question.
    pub reads: Vec<Digest>,
}

/// A pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// The digest that it is named by.
    pub name: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it holds.
    pub table: Table,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Its space.
    pub space: Space,
    /// Its key there.
    pub key: Digest,
    /// The objects that it refers to.
    pub refs: Vec<Digest>,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// The generation that used it last.
    pub used: u32,
}

impl Index {
    /// Its bytes.
    ///
    /// # Errors
    /// Of kind `InvalidInput` where it is larger than [`MAX_BYTES`].
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let raw = postcard::to_stdvec(self).map_err(std::io::Error::other)?;
        if raw.len() as u64 > MAX_BYTES {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                IndexError::TooLarge,
            ));
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(raw.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&pack::deflate(&raw)?);
        Ok(bytes)
    }

    /// Reads one. Total: any bytes give an index or an error.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let (head, body) = bytes.split_first_chunk::<16>().ok_or(IndexError::Shape)?;
        let (magic, head) = head.split_at(4);
        let (version, length) = head.split_at(4);
        if magic != MAGIC {
            return Err(IndexError::Shape);
        }
        match version.try_into().map_or(VERSION, u32::from_le_bytes) {
            older if older < VERSION => return Err(IndexError::Older),
            newer if newer > VERSION => return Err(IndexError::Newer),
            _ => {}
        }
        let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
        if length > MAX_BYTES {
            return Err(IndexError::TooLarge);
        }
        let raw = pack::inflate(body, length).map_err(|_| IndexError::Shape)?;
        let index: Self = postcard::from_bytes(&raw).map_err(|_| IndexError::Shape)?;
        let is_fine = |entry: &PackEntry| {
            let end = entry
                .table
                .ranges()
                .last()
                .map_or(0, |(range, _)| range.end);
            entry.table.check().is_ok() && end <= entry.bytes
        };
        let fine = index.packs.len() <= MAX_PACKS
            && index.packs.iter().all(is_fine)
            && index.records.iter().all(|record| record.space.is_shared());
        fine.then_some(index).ok_or(IndexError::Shape)
    }

    /// Takes in what another index has besides: its packs and records; of a record that both have the one that was used last.
    pub fn join(&mut self, other: &Self) {
        self.generation = self.generation.max(other.generation);
        let packs: HashSet<Digest> = self.packs.iter().map(|pack| pack.name).collect();
        let new = other
            .packs
            .iter()
            .filter(|pack| !packs.contains(&pack.name));
        self.packs.extend(new.cloned());
        let mut at: HashMap<(Space, Digest), usize> = HashMap::new();
        for (index, record) in self.records.iter().enumerate() {
            at.insert((record.space, record.key), index);
        }
        for record in &other.records {
            let own = at.get(&(record.space, record.key));
            match own.and_then(|index| self.records.get_mut(*index)) {
                None => self.records.push(record.clone()),
                Some(own) if own.used < record.used => own.clone_from(record),
                Some(_) => {}
            }
        }
    }

    /// Where each object is: its pack and its frame.
    #[must_use]
    pub fn places(&self) -> HashMap<Digest, Place> {
        let mut places = HashMap::new();
        for (pack, entry) in self.packs.iter().enumerate() {
            for (frame, of_frame) in entry.table.frames.iter().enumerate() {
                for object in &of_frame.objects {
                    let size = object.size;
                    places
                        .entry(object.digest)
                        .or_insert(Place { pack, frame, size });
                }
            }
        }
        places
    }

    /// The objects that its records refer to.
    #[must_use]
    pub fn live(&self) -> HashSet<Digest> {
        let refs = self.records.iter().flat_map(|record| &record.refs);
        refs.copied().collect()
    }

    /// Drops records that no save used for [`KEPT_SAVES`], trees that `trees` does not have, and packs of which nothing
    /// is left that any record or `others` refers to.
    pub fn prune(&mut self, trees: &HashSet<Digest>, others: &HashSet<Digest>) {
        let generation = self.generation;
        self.records.retain(|record| match record.space {
            Space::Trees => trees.contains(&record.key),
            _ => generation.saturating_sub(record.used) <= KEPT_SAVES,
        });
        let mut live = self.live();
        live.extend(others);
        self.packs.retain(|entry| {
            let mut objects = entry.table.frames.iter().flat_map(|frame| &frame.objects);
            objects.any(|object| live.contains(&object.digest))
        });
        self.reads.retain(|digest| live.contains(digest));
    }
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The index of its pack in [`Index::packs`].
    pub pack: usize,
    /// The index of its frame in that pack's table.
    pub frame: usize,
    /// Its size in bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pack::{Frame, Packed};

    fn pack_of(objects: &[&[u8]]) -> PackEntry {
        let objects = objects.iter().map(|bytes| Packed {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            executable: false,
        });
        let table = Table {
            frames: vec![Frame {
                packed_bytes: 10,
                base: None,
                objects: objects.collect(),
            }],
        };
        PackEntry {
            name: Digest::of(b"pack"),
            bytes: 100,
            table,
        }
    }

    fn record(space: Space, key: &[u8], refs: &[&[u8]], used: u32) -> Shared {
        Shared {
            space,
            key: Digest::of(key),
            refs: refs.iter().map(|bytes| Digest::of(bytes)).collect(),
            payload: key.to_vec(),
            used,
        }
    }

    fn index() -> Index {
        Index {
            generation: 20,
            packs: vec![pack_of(&[b"a", b"b"]), pack_of(&[b"c"])],
            records: vec![
                record(Space::Entries, b"new", &[b"a"], 19),
                record(Space::Entries, b"old", &[b"c"], 2),
                record(Space::Trees, b"tree", &[b"b"], 1),
                record(Space::Trees, b"other", &[b"b"], 20),
            ],
            reads: vec![Digest::of(b"a"), Digest::of(b"c")],
            ..Index::default()
        }
    }

    #[test]
    fn it_reads_back() {
        let index = index();
        assert_eq!(Index::decode(&index.encode().unwrap()), Ok(index));
    }

    #[test]
    fn what_no_machine_could_share_is_refused() {
        let mut index = index();
        index.records.push(record(Space::Outputs, b"here", &[], 20));
        assert_eq!(
            Index::decode(&index.encode().unwrap()),
            Err(IndexError::Shape)
        );
    }

    #[test]
    fn a_table_that_is_longer_than_its_pack_is_refused() {
        let mut index = index();
        index.packs[0].bytes = 17;
        assert_eq!(
            Index::decode(&index.encode().unwrap()),
            Err(IndexError::Shape)
        );
    }

    #[test]
    fn unused_records_and_packs_go() {
        let mut index = index();
        index.prune(&[Digest::of(b"tree")].into(), &HashSet::new());
        let kept: Vec<&[u8]> = index
            .records
            .iter()
            .map(|record| &record.payload[..])
            .collect();
        assert_eq!(kept, [&b"new"[..], b"tree"]);
        assert_eq!(index.packs.len(), 1);
        assert_eq!(index.reads, [Digest::of(b"a")]);
    }

    #[test]
    fn two_indexes_together_have_what_each_has() {
        let mut one = Index {
            generation: 3,
            packs: vec![pack_of(&[b"a"])],
            records: vec![
                record(Space::Entries, b"both", &[b"a"], 3),
                record(Space::Entries, b"one", &[], 1),
            ],
            ..Index::default()
        };
        let mut other = index();
        other.packs[1].name = Digest::of(b"another pack");
        other.records = vec![
            record(Space::Entries, b"both", &[b"a"], 2),
            record(Space::Entries, b"other", &[], 20),
        ];
        one.join(&other);
        assert_eq!(
            (one.generation, one.packs.len(), one.records.len()),
            (20, 2, 3)
        );
        assert_eq!(one.records[0].used, 3);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_index_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Index::decode(&bytes);
            let mut headed = b"rkix\x02\0\0\0\xff\0\0\0\0\0\0\0".to_vec();
            headed.extend_from_slice(&bytes);
            let _ = Index::decode(&headed);
        }
    }
}
