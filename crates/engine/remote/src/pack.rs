//! Packs: many objects in one blob.
//!
//! A pack is written once, under the BLAKE3 digest of its bytes, and read in parts: an index ([`crate::index`]) has a copy of
//! the packs' tables, so a reader asks for the ranges of the frames that it needs and never for a whole pack.
//!
//! # Form
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `rkpk` |
//! | 4 | version, [`VERSION`] |
//! | … | frames of zstd, one after the other |
//! | `t` | the table: postcard of [`Table`], in zstd |
//! | 32 | BLAKE3 of the table's `t` bytes |
//! | 4 | `t` |
//! | 4 | `rkpt` |
//!
//! Integers are little-endian. A frame holds one object, or several small ones, one after the other. The table has lengths
//! alone, so places follow from their order and no two can overlap. Small objects share frames since each frame costs
//! a zstd header and loses what it could have learnt from its neighbour; large ones have one each, so that what is not asked for is
//! not read.
//!
//! An `.rlib` repeats the `.rmeta` beside it, byte for byte, and that is most of it. So the frame of a library may have a
//! *base*, an earlier frame of the same pack with its metadata alone, whose bytes zstd refers to (a prefix, as of `zstd
//! --patch-from`). Who compiles reads metadata only, who links reads both and the repetition once. Libraries of macros have one among
//! themselves, and build scripts' programs: each has the standard library in it. A base has no base.
//!
//! Nothing here is believed: lengths are bounded before memory is taken ([`Table::check`]), a frame must come out at exactly
//! the length that the table says, and every object is compared with its digest. A base may be anything: it decides how
//! short a frame is, never what comes out of it unnoticed.

mod builder;
mod class;

use std::io::Read;
use std::ops::Range;

use rekindle_base::Digest;
use serde::{Deserialize, Serialize};

pub use self::builder::Builder;
pub(crate) use self::class::Class;
#[cfg(test)]
pub(crate) use self::class::elf_head;

/// The version of the format.
pub const VERSION: u32 = 2;

/// The largest object that is packed, in bytes; a larger one stays where it was made.
pub const MAX_OBJECT_BYTES: u64 = 1 << 30;
/// The largest pack that is read, in bytes.
pub const MAX_PACK_BYTES: u64 = 2 << 30;
/// Objects in one pack.
pub const MAX_OBJECTS: usize = 1 << 18;

/// Objects up to this size share frames.
pub const SMALL_BYTES: u64 = 64 << 10;
/// A shared frame is closed when it holds this much.
const SHARED_BYTES: usize = 256 << 10;

const MAGIC: [u8; 4] = *b"rkpk";
const END: [u8; 4] = *b"rkpt";
const HEAD_BYTES: u64 = 8;
const TAIL_BYTES: usize = 40;
/// The largest table, raw: what [`MAX_OBJECTS`] need.
const MAX_TABLE_BYTES: u64 = 48 << 20;
/// The largest window that a frame may ask of its reader: 128 MiB, as zstd's own tools allow.
const MAX_WINDOW_LOG: u32 = 27;
/// Compiled code compresses a tenth better at 9 and takes four times as long, which a cold build would wait for.
const LEVEL: i32 = 3;

/// What is wrong with a pack, or with what stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Not a pack, or cut off.
    #[error("it is not a whole pack")]
    Shape,
    /// An earlier version, whose packs are written anew.
    #[error("an earlier version of rekindle wrote it")]
    Older,
    /// A later version.
    #[error("a later version of rekindle wrote it")]
    Newer,
    /// Lengths that no pack has.
    #[error("its table has lengths that no pack has")]
    Bounds,
    /// Bytes that are not those that the table promises.
    #[error("its bytes are not those that its table promises")]
    Damaged,
    /// An object that is no part of it.
    #[error("it has no such object")]
    Missing,
}

/// An object in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is executable.
    pub executable: bool,
}

/// A frame of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its length in the pack, in bytes.
    pub packed_bytes: u64,
    /// The place in the table of the frame whose bytes it refers to, if any.
    pub base: Option<u32>,
    /// What it holds, in order.
    pub objects: Vec<Packed>,
}

impl Frame {
    /// Its length when it is unpacked, in bytes.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }
}

/// What a pack holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its frames, in order.
    pub frames: Vec<Frame>,
}

impl Table {
    /// Whether its lengths are such as packs have: the sums cannot overflow afterwards.
    ///
    /// # Errors
    /// [`PackError::Bounds`].
    pub fn check(&self) -> Result<(), PackError> {
        let mut packed_bytes = HEAD_BYTES;
        let mut objects = 0;
        for (at, frame) in self.frames.iter().enumerate() {
            if frame.base.is_some() && self.base_of(at).is_none() {
                return Err(PackError::Bounds);
            }
            objects += frame.objects.len();
            packed_bytes = packed_bytes.saturating_add(frame.packed_bytes);
            let is_shared = frame.objects.len() > 1;
            let most = if is_shared {
                SMALL_BYTES
            } else {
                MAX_OBJECT_BYTES
            };
            let fits = frame.objects.iter().all(|object| object.size <= most);
            // No more than one small object after the frame was full.
            let is_full = is_shared && frame.raw_bytes() > SHARED_BYTES as u64 + SMALL_BYTES;
            if frame.objects.is_empty() || !fits || is_full {
                return Err(PackError::Bounds);
            }
        }
        let fine = packed_bytes <= MAX_PACK_BYTES && objects <= MAX_OBJECTS;
        fine.then_some(()).ok_or(PackError::Bounds)
    }

    /// The frame that a frame refers to, with its place; `None` where it refers to none, or to one that is no base.
    #[must_use]
    pub fn base_of(&self, at: usize) -> Option<(usize, &Frame)> {
        let frame = self.frames.get(at)?;
        let place = usize::try_from(frame.base?).ok()?;
        let base = self.frames.get(place).filter(|_| place < at)?;
        // A base without a base: whoever needs a frame needs at most one other.
        let fits = base.base.is_none() && base.objects.len() == 1 && frame.objects.len() == 1;
        fits.then_some((place, base))
    }

    /// The frames with their ranges in the pack.
    pub fn ranges(&self) -> impl Iterator<Item = (Range<u64>, &Frame)> {
        let mut at = HEAD_BYTES;
        self.frames.iter().map(move |frame| {
            let begin = at;
            at = at.saturating_add(frame.packed_bytes);
            (begin..at, frame)
        })
    }
}

/// Unpacks one frame: the bytes of its objects, each compared with its digest. `base` has the bytes of the object that its
/// base frame holds, where it has a base.
///
/// # Errors
/// [`PackError::Damaged`].
pub fn unpack(
    bytes: &[u8],
    frame: &Frame,
    base: Option<&[u8]>,
) -> Result<Vec<(Packed, Vec<u8>)>, PackError> {
    let mut raw = Vec::new();
    let mut objects = Vec::with_capacity(frame.objects.len());
    for (object, own) in unpack_into(&mut raw, bytes, frame, base)? {
        if Digest::of(own) != object.digest {
            return Err(PackError::Damaged);
        }
        objects.push((object, own.to_vec()));
    }
    Ok(objects)
}

/// As [`unpack`], into memory that is used again for the next one. Nothing is compared: whoever takes the bytes does.
///
/// # Errors
/// [`PackError::Damaged`].
pub(crate) fn unpack_into<'a>(
    raw: &'a mut Vec<u8>,
    bytes: &[u8],
    frame: &Frame,
    base: Option<&[u8]>,
) -> Result<Vec<(Packed, &'a [u8])>, PackError> {
    inflate_into(
        raw,
        bytes,
        (frame.raw_bytes(), base.filter(|_| frame.base.is_some())),
    )?;
    let mut rest = &raw[..];
    let mut objects = Vec::with_capacity(frame.objects.len());
    for object in &frame.objects {
        let size = usize::try_from(object.size).map_err(|_| PackError::Bounds)?;
        let (own, others) = rest.split_at_checked(size).ok_or(PackError::Damaged)?;
        objects.push((*object, own));
        rest = others;
    }
    Ok(objects)
}

/// The bytes of the one object in a frame, as they come out of what `packed` brings. Nothing is compared: whoever takes them does.
///
/// # Errors
/// Where zstd has no memory.
pub(crate) fn unpacking<'a>(packed: &'a mut dyn Read) -> std::io::Result<impl Read + 'a> {
    let mut decoder = zstd::Decoder::new(packed)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

/// Inflates zstd that must come to exactly so many bytes.
pub(crate) fn inflate(bytes: &[u8], raw_bytes: u64) -> Result<Vec<u8>, PackError> {
    let mut raw = Vec::new();
    inflate_into(&mut raw, bytes, (raw_bytes, None))?;
    Ok(raw)
}

/// Up to this size memory is taken as promised, and zstd writes straight to it. Beyond, memory grows with what comes out.
pub(crate) const PROMISED_BYTES: u64 = 16 << 20;

/// As [`inflate`], in the place of what `raw` has, where bytes may refer to those of a base.
fn inflate_into(
    raw: &mut Vec<u8>,
    bytes: &[u8],
    (raw_bytes, base): (u64, Option<&[u8]>),
) -> Result<(), PackError> {
    raw.clear();
    let inflated = if raw_bytes <= PROMISED_BYTES {
        inflate_at_once(raw, bytes, (raw_bytes, base))
    } else {
        inflate_by_and_by(raw, bytes, (raw_bytes, base))
    };
    let fits = inflated.is_some() && raw.len() as u64 == raw_bytes;
    fits.then_some(()).ok_or(PackError::Damaged)
}

fn inflate_at_once(
    raw: &mut Vec<u8>,
    bytes: &[u8],
    (raw_bytes, base): (u64, Option<&[u8]>),
) -> Option<()> {
    // What would be longer does not fit and is an error.
    raw.reserve_exact(usize::try_from(raw_bytes).ok()?);
    let mut context = zstd::zstd_safe::DCtx::try_create()?;
    if let Some(base) = base {
        context.ref_prefix(base).ok()?;
    }
    context.decompress(raw, bytes).ok()?;
    Some(())
}

fn inflate_by_and_by(
    raw: &mut Vec<u8>,
    bytes: &[u8],
    (raw_bytes, base): (u64, Option<&[u8]>),
) -> Option<()> {
    let mut decoder = match base {
        Some(base) => zstd::Decoder::with_ref_prefix(bytes, base),
        None => zstd::Decoder::with_buffer(bytes),
    }
    .ok()?;
    decoder.window_log_max(MAX_WINDOW_LOG).ok()?;
    raw.reserve(usize::try_from(PROMISED_BYTES).ok()?);
    let mut limited = decoder.take(raw_bytes.saturating_add(1));
    limited.read_to_end(raw).ok()?;
    Some(())
}

/// Deflates.
pub(crate) fn deflate(raw: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(raw, LEVEL)
}

/// From here on several threads are worth their start, and the matches that are lost where their parts meet.
const THREADED_BYTES: usize = 16 << 20;

/// Deflates, with some threads where there is much of it.
fn deflate_by(threads: usize, raw: &[u8]) -> std::io::Result<Vec<u8>> {
    let threads = u32::try_from(threads).unwrap_or(1);
    if threads < 2 || raw.len() < THREADED_BYTES {
        return deflate(raw);
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.multithread(threads)?;
    encoder.set_pledged_src_size(Some(raw.len() as u64))?;
    std::io::Write::write_all(&mut encoder, raw)?;
    encoder.finish()
}

/// Reads the table out of a whole pack, for whoever has no index: total, any bytes give a table or an error.
///
/// # Errors
/// [`PackError`].
pub fn table_of(pack: &[u8]) -> Result<Table, PackError> {
    let (head, rest) = pack.split_first_chunk::<8>().ok_or(PackError::Shape)?;
    let (magic, version) = head.split_at(4);
    if magic != MAGIC {
        return Err(PackError::Shape);
    }
    match version.try_into().map_or(VERSION, u32::from_le_bytes) {
        older if older < VERSION => return Err(PackError::Older),
        newer if newer > VERSION => return Err(PackError::Newer),
        _ => {}
    }
    let (body, tail) = rest
        .split_last_chunk::<TAIL_BYTES>()
        .ok_or(PackError::Shape)?;
    let (digest, tail) = tail.split_at(32);
    let (length, end) = tail.split_first_chunk::<4>().ok_or(PackError::Shape)?;
    if end != END {
        return Err(PackError::Shape);
    }
    let length = u32::from_le_bytes(*length) as usize;
    let frames = body.len().checked_sub(length).ok_or(PackError::Shape)?;
    let (frames, table) = body.split_at(frames);
    if Digest::of(table).as_bytes() != digest {
        return Err(PackError::Damaged);
    }
    let mut raw = Vec::new();
    let mut decoder = zstd::Decoder::with_buffer(table).map_err(|_| PackError::Damaged)?;
    let _ = decoder.window_log_max(MAX_WINDOW_LOG);
    let mut limited = decoder.take(MAX_TABLE_BYTES);
    limited
        .read_to_end(&mut raw)
        .map_err(|_| PackError::Damaged)?;
    let table: Table = postcard::from_bytes(&raw).map_err(|_| PackError::Shape)?;
    table.check()?;
    let end = table
        .ranges()
        .last()
        .map_or(HEAD_BYTES, |(range, _)| range.end);
    if end != HEAD_BYTES + frames.len() as u64 {
        return Err(PackError::Bounds);
    }
    Ok(table)
}

/// Reads all of a pack, for `verify` and the fuzz target: how many objects are sound.
///
/// # Errors
/// The first [`PackError`].
pub fn check_all(pack: &[u8]) -> Result<usize, PackError> {
    let table = table_of(pack)?;
    let ranges: Vec<Range<u64>> = table.ranges().map(|(range, _)| range).collect();
    let bytes_of = |at: usize| {
        let range = ranges.get(at).ok_or(PackError::Bounds)?;
        let begin = usize::try_from(range.start).map_err(|_| PackError::Bounds)?;
        let end = usize::try_from(range.end).map_err(|_| PackError::Bounds)?;
        pack.get(begin..end).ok_or(PackError::Shape)
    };
    let mut sound = 0;
    for (at, frame) in table.frames.iter().enumerate() {
        let base = match table.base_of(at) {
            Some((place, base)) => unpack(bytes_of(place)?, base, None)?.pop(),
            None => None,
        };
        let base = base.as_ref().map(|(_, bytes)| &bytes[..]);
        sound += unpack(bytes_of(at)?, frame, base)?.len();
    }
    Ok(sound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(objects: &[Vec<u8>]) -> (Vec<u8>, Table) {
        let mut builder = Builder::default();
        for (at, bytes) in objects.iter().enumerate() {
            builder.add(Digest::of(bytes), bytes, at % 2 == 1).unwrap();
        }
        builder.finish().unwrap()
    }

    fn cut(pack: &[u8], range: std::ops::Range<u64>) -> &[u8] {
        &pack[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    }

    fn some_objects() -> Vec<Vec<u8>> {
        let large = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut objects: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 9_000]).collect();
        objects.insert(7, large);
        objects.push(Vec::new());
        objects
    }

    #[test]
    fn what_was_packed_comes_out_of_ranges_alone() {
        let objects = some_objects();
        let (pack, table) = packed(&objects);
        assert_eq!(table_of(&pack).unwrap(), table);
        assert_eq!(check_all(&pack), Ok(objects.len()));
        let mut seen = Vec::new();
        for (range, frame) in table.ranges() {
            seen.extend(
                unpack(cut(&pack, range), frame, None)
                    .unwrap()
                    .into_iter()
                    .map(|(_, bytes)| bytes),
            );
        }
        seen.sort();
        let mut expected = objects.clone();
        expected.sort();
        assert_eq!(seen, expected);
        assert!(table.frames.len() < 6, "small objects share frames");
    }

    #[test]
    fn a_large_object_that_threads_have_packed_comes_out_as_it_was() {
        let mut large = vec![7; THREADED_BYTES + 5];
        for (at, byte) in large.iter_mut().step_by(999_983).enumerate() {
            *byte = u8::try_from(at).unwrap();
        }
        let mut builder = Builder::with_threads(3);
        builder.add(Digest::of(&large), &large, true).unwrap();
        let (pack, table) = builder.finish().unwrap();
        assert_eq!(check_all(&pack), Ok(1));
        let (range, frame) = table.ranges().next().unwrap();
        let objects = unpack(cut(&pack, range), frame, None).unwrap();
        assert_eq!(objects.len(), 1);
        assert!(objects[0].1 == large, "other bytes came out");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (pack, _) = packed(&[vec![1; 100], (0..=255).collect()]);
        for at in 0..pack.len() {
            let mut damaged = pack.clone();
            damaged[at] ^= 0x10;
            // zstd's own header has bits that change nothing: then nothing may have changed.
            if let Ok(sound) = check_all(&damaged) {
                assert_eq!(sound, 2, "byte {at}");
            }
        }
        for length in 0..pack.len() {
            assert!(check_all(&pack[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_what_the_table_says() {
        let bomb = deflate(&vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(inflate(&bomb, 100), Err(PackError::Damaged));
        assert_eq!(inflate(&bomb, u64::MAX), Err(PackError::Damaged));
    }

    #[test]
    fn lengths_that_no_pack_has_are_refused() {
        let object = |size| Packed {
            digest: Digest::of(b"x"),
            size,
            executable: false,
        };
        let check = |packed_bytes, sizes: &[u64]| {
            let objects = sizes.iter().copied().map(object).collect();
            Table {
                frames: vec![Frame {
                    packed_bytes,
                    base: None,
                    objects,
                }],
            }
            .check()
        };
        assert_eq!(check(10, &[5, 5]), Ok(()));
        for (packed_bytes, sizes) in [
            (u64::MAX, &[5][..]),
            (10, &[]),
            (10, &[MAX_OBJECT_BYTES + 1]),
            (10, &[SMALL_BYTES + 1, 1]),
            (10, &[SMALL_BYTES; 100]),
        ] {
            assert_eq!(
                check(packed_bytes, sizes),
                Err(PackError::Bounds),
                "{sizes:?}"
            );
        }
    }

    #[test]
    fn a_library_refers_to_its_metadata_and_to_nothing_else() {
        let noise = |from: u32| {
            (0..40_000_u32).flat_map(move |n| (n ^ from).wrapping_mul(2_654_435_761).to_le_bytes())
        };
        let metadata: Vec<u8> = b"rust\0\0\0\x0a".iter().copied().chain(noise(1)).collect();
        let other: Vec<u8> = b"rust\0\0\0\x0a".iter().copied().chain(noise(2)).collect();
        let library = [b"!<arch>\nlib.rmeta/ ", &metadata[..], b"code"].concat();
        let plain = [b"!<arch>\nlib.o/ ", &metadata[4..], b"code"].concat();
        let objects = [other, metadata.clone(), library.clone(), plain];
        let (pack, table) = packed(&objects);
        let bases: Vec<Option<u32>> = table.frames.iter().map(|frame| frame.base).collect();
        assert_eq!(bases, [None, None, Some(1), None]);
        assert_eq!(check_all(&pack), Ok(4));
        let (range, frame) = table.ranges().nth(2).unwrap();
        assert!(range.end - range.start < 1000);
        let with = |base: Option<&[u8]>| unpack(cut(&pack, range.clone()), frame, base);
        assert_eq!(with(Some(&metadata)).unwrap()[0].1, library);
        assert_eq!(with(None), Err(PackError::Damaged));
        let mut spoilt = metadata.clone();
        spoilt[5_000] ^= 1;
        assert_eq!(with(Some(&spoilt)), Err(PackError::Damaged));
    }

    #[test]
    fn macros_refer_to_macros_of_about_their_size_and_scripts_to_scripts() {
        let elf = |kind: u8, word: &[u8], kilobytes: u32, from: u32| {
            let code = (0..kilobytes * 256)
                .flat_map(|n| (n ^ from).wrapping_mul(2_654_435_761).to_le_bytes());
            let head = [&elf_head([kind, 0])[..], word].concat();
            head.into_iter().chain(code).collect::<Vec<u8>>()
        };
        let macros = |kilobytes, from| elf(3, b"__rustc_proc_macro_decls_1__", kilobytes, from);
        let script = |kilobytes, from| elf(3, b"_ZN18build_script_build4main", kilobytes, from);
        let objects = [
            macros(100, 0),
            script(100, 0),
            elf(3, b"a program", 100, 0),
            elf(1, b"build_script_build", 100, 0),
            macros(190, 0),
            script(90, 0),
            // More than twice the size of the first, or less than half: it has more to say than it repeats.
            macros(210, 0),
            macros(70, 1 << 30),
            macros(300, 0),
        ];
        let (pack, table) = packed(&objects);
        let bases: Vec<Option<u32>> = table.frames.iter().map(|frame| frame.base).collect();
        let expected = [
            None,
            None,
            None,
            None,
            Some(0),
            Some(1),
            None,
            Some(0),
            Some(6),
        ];
        assert_eq!(bases, expected);
        assert_eq!(check_all(&pack), Ok(objects.len()));
        let frame = &table.frames[4];
        assert!(frame.packed_bytes < 100_000, "{} bytes", frame.packed_bytes);
    }

    #[test]
    fn a_library_that_is_larger_than_what_is_promised_comes_out_of_its_base_as_well() {
        let size = u32::try_from(PROMISED_BYTES / 4).unwrap();
        let noise = (0..size).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
        let metadata: Vec<u8> = b"rust\0\0\0\x0a".iter().copied().chain(noise).collect();
        let library = [b"!<arch>\nlib.rmeta/ ", &metadata[..]].concat();
        let (pack, table) = packed(&[metadata.clone(), library.clone()]);
        let (range, frame) = table.ranges().nth(1).unwrap();
        assert!(frame.base == Some(0) && range.end - range.start < 1 << 20);
        let objects = unpack(cut(&pack, range), frame, Some(&metadata)).unwrap();
        assert!(objects[0].1 == library, "other bytes came out");
    }

    #[test]
    fn nothing_of_an_earlier_frame_is_left_in_memory_that_is_used_again() {
        let (pack, table) = packed(&[vec![7; 300_000], vec![8; 100_000]]);
        let mut raw = Vec::new();
        for ((range, frame), (byte, size)) in table.ranges().zip([(7, 300_000), (8, 100_000)]) {
            let packed = cut(&pack, range);
            let objects = unpack_into(&mut raw, packed, frame, None).unwrap();
            assert!(objects.len() == 1 && objects[0].1 == vec![byte; size]);
            for cut in [0, 10, packed.len() - 1] {
                let damaged = unpack_into(&mut raw, &packed[..cut], frame, None);
                assert_eq!(damaged, Err(PackError::Damaged));
            }
        }
    }

    #[test]
    fn bases_that_no_pack_has_are_refused() {
        let frame = |base, count| Frame {
            packed_bytes: 10,
            base,
            objects: vec![
                Packed {
                    digest: Digest::of(b"x"),
                    size: 1,
                    executable: false,
                };
                count
            ],
        };
        let check = |frames: &[(Option<u32>, usize)]| {
            let frames = frames.iter().map(|(base, count)| frame(*base, *count));
            let frames = frames.collect();
            Table { frames }.check()
        };
        assert_eq!(check(&[(None, 1), (Some(0), 1), (Some(0), 1)]), Ok(()));
        for bad in [
            &[(Some(0), 1)][..],
            &[(Some(1), 1), (None, 1)],
            &[(None, 1), (Some(0), 1), (Some(1), 1)],
            &[(None, 2), (Some(0), 1)],
            &[(None, 1), (Some(0), 2)],
            &[(None, 1), (Some(u32::MAX), 1)],
        ] {
            assert_eq!(check(bad), Err(PackError::Bounds), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_pack_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check_all(&bytes);
        }

        #[test]
        fn any_objects_read_back(
            objects in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..20)
        ) {
            let (pack, table) = packed(&objects);
            prop_assert_eq!(table_of(&pack), Ok(table));
            prop_assert_eq!(check_all(&pack), Ok(objects.len()));
        }
    }
}
