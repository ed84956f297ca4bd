//! Making packs.

use rekindle_base::Digest;

use super::class::{self, Class};

use super::{
    END, Frame, LEVEL, MAGIC, MAX_OBJECT_BYTES, MAX_WINDOW_LOG, Packed, SHARED_BYTES, SMALL_BYTES,
    Table, VERSION, deflate, deflate_by,
};

/// What is kept for others of the same pack to refer to: a share of objects has no more.
const BASES_BYTES: usize = 128 << 20;
/// Places in a library that may be the begin of its metadata, at most: mostly the first one is.
const CANDIDATES_MAX: usize = 8;

/// A frame that others may refer to.
#[derive(Debug)]
struct Base {
    frame: u32,
    class: Class,
    bytes: Vec<u8>,
}

impl Base {
    /// Whether a program of that class is worth reading beside this one.
    fn is_like(&self, (class, length): (Class, usize)) -> bool {
        let (least, most) = (self.bytes.len() / 2, self.bytes.len().saturating_mul(2));
        self.class == class && (least..=most).contains(&length)
    }
}

/// Deflates what may repeat `base`.
fn deflate_onto(raw: &[u8], base: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::with_ref_prefix(Vec::new(), LEVEL, base)?;
    // All of the base has to be in sight from all of what refers to it.
    let reach = (raw.len() + base.len()).max(1 << MIN_WINDOW_LOG);
    encoder.window_log((usize::BITS - reach.leading_zeros()).min(MAX_WINDOW_LOG))?;
    encoder.long_distance_matching(true)?;
    encoder.set_pledged_src_size(Some(raw.len() as u64))?;
    std::io::Write::write_all(&mut encoder, raw)?;
    encoder.finish()
}

/// zstd's smallest window.
const MIN_WINDOW_LOG: u32 = 10;

/// Makes a pack, one object after the other.
#[derive(Debug)]
pub struct Builder {
    /// For one large object.
    threads: usize,
    bytes: Vec<u8>,
    table: Table,
    /// What later ones may repeat.
    bases: Vec<Base>,
    bases_bytes: usize,
    /// Small objects that wait for their frame, and their bytes.
    waiting: Vec<Packed>,
    shared: Vec<u8>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::with_threads(1)
    }
}

impl Builder {
    /// A builder that takes so many threads for a large object.
    #[must_use]
    pub fn with_threads(threads: usize) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        Self {
            threads,
            bytes,
            table: Table::default(),
            bases: Vec::new(),
            bases_bytes: 0,
            waiting: Vec::new(),
            shared: Vec::new(),
        }
    }

    /// Adds an object, whose digest the caller has checked.
    ///
    /// # Errors
    /// Of kind `InvalidInput` where it is larger than [`MAX_OBJECT_BYTES`]; where zstd has no memory.
    pub fn add(&mut self, digest: Digest, bytes: &[u8], executable: bool) -> std::io::Result<()> {
        let object = Packed {
            digest,
            size: bytes.len() as u64,
            executable,
        };
        if object.size > MAX_OBJECT_BYTES {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        if object.size > SMALL_BYTES {
            return self.large(bytes, object);
        }
        self.waiting.push(object);
        self.shared.extend_from_slice(bytes);
        if self.shared.len() >= SHARED_BYTES {
            self.close()?;
        }
        Ok(())
    }

    /// How long it is so far, roughly.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.bytes.len() + self.shared.len()) as u64
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.frames.is_empty() && self.waiting.is_empty()
    }

    /// The pack's bytes and its table.
    ///
    /// # Errors
    /// Where zstd has no memory.
    pub fn finish(mut self) -> std::io::Result<(Vec<u8>, Table)> {
        self.close()?;
        let raw = postcard::to_stdvec(&self.table).map_err(std::io::Error::other)?;
        let table = deflate(&raw)?;
        let length = u32::try_from(table.len()).map_err(std::io::Error::other)?;
        self.bytes.extend_from_slice(&table);
        self.bytes.extend_from_slice(Digest::of(&table).as_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&END);
        Ok((self.bytes, self.table))
    }

    fn close(&mut self) -> std::io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let shared = std::mem::take(&mut self.shared);
        let objects = std::mem::take(&mut self.waiting);
        self.frame(&shared, objects)
    }

    /// Adds a frame of its own for one object.
    fn large(&mut self, bytes: &[u8], object: Packed) -> std::io::Result<()> {
        let class = Class::of(bytes);
        let base = self.base_for(class, bytes);
        let packed = match base {
            Some(base) => deflate_onto(bytes, &base.bytes)?,
            None => deflate_by(self.threads, bytes)?,
        };
        let base = base.map(|base| base.frame);
        let place = u32::try_from(self.table.frames.len()).map_err(std::io::Error::other)?;
        self.push(&packed, base, vec![object]);
        let is_base = match class {
            Class::Metadata => true,
            // A base has no base.
            Class::Macros | Class::Script => base.is_none(),
            Class::Library | Class::Program | Class::Other => false,
        };
        if is_base && self.bases_bytes + bytes.len() <= BASES_BYTES {
            self.bases_bytes += bytes.len();
            self.bases.push(Base {
                frame: place,
                class,
                bytes: bytes.to_vec(),
            });
        }
        Ok(())
    }

    /// What these bytes repeat much of.
    fn base_for(&self, class: Class, bytes: &[u8]) -> Option<&Base> {
        match class {
            Class::Library => self.metadata_of(bytes),
            Class::Macros | Class::Script => {
                let mut bases = self.bases.iter();
                bases.find(|base| base.is_like((class, bytes.len())))
            }
            Class::Metadata | Class::Program | Class::Other => None,
        }
    }

    /// The metadata that a library has in it.
    fn metadata_of(&self, library: &[u8]) -> Option<&Base> {
        // It is the first member behind the table of symbols, in an object file.
        let candidates = memchr::memmem::find_iter(library, class::METADATA).take(CANDIDATES_MAX);
        let mut candidates = candidates.filter_map(|at| library.get(at..));
        candidates.find_map(|metadata| {
            let mut bases = self.bases.iter();
            bases.find(|base| base.class == Class::Metadata && metadata.starts_with(&base.bytes))
        })
    }

    fn frame(&mut self, raw: &[u8], objects: Vec<Packed>) -> std::io::Result<()> {
        let packed = deflate(raw)?;
        self.push(&packed, None, objects);
        Ok(())
    }

    fn push(&mut self, packed: &[u8], base: Option<u32>, objects: Vec<Packed>) {
        self.bytes.extend_from_slice(packed);
        self.table.frames.push(Frame {
            packed_bytes: packed.len() as u64,
            base,
            objects,
        });
    }
}
