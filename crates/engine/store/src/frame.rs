//! A record's form on disk.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `rkdr` |
//! | 4 | 4 | format version, [`FrameVersion`] |
//! | 8 | 4 | number of refs, `r` |
//! | 12 | 4 | length of the payload in bytes, `p` |
//! | 16 | 32 `r` | the refs: digests of objects |
//! | 16 + 32 `r` | `p` | the payload |
//! | 16 + 32 `r` + `p` | 32 | BLAKE3 of: the space's tag (1 byte), the key (32 bytes), all of the above |
//!
//! Integers are little-endian; nothing follows the checksum. The checksum covers the space and the
//! key, so that a record under another name is a damaged one.
//!
//! Every version keeps this envelope and changes only what the payload means: an older Rekindle can
//! then tell a newer record (absent, for it) from a damaged one, and its evictions still follow the
//! refs. A new envelope needs a new directory beside `v1`.
//!
//! Called by `local`, `gc` and `verify`; public for the fuzz target.

use rekindle_base::{Digest, DigestHasher};

use crate::Space;

/// The format's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameVersion(pub u32);

impl FrameVersion {
    /// The one that this build writes and reads.
    pub const CURRENT: Self = Self(1);

    /// Whether a later build wrote it.
    #[must_use]
    pub fn is_newer(self) -> bool {
        self > Self::CURRENT
    }
}

/// A frame is no longer than this: records are lists of names and digests, bytes are objects.
pub const MAX_BYTES: u64 = 64 << 20;

const MAGIC: [u8; 4] = *b"rkdr";
const HEADER_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;

/// A sound frame, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Who wrote it; the payload of a newer one means nothing to us.
    pub version: FrameVersion,
    refs: &'a [[u8; DIGEST_BYTES]],
    /// The payload.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The objects that it refers to.
    pub fn refs(&self) -> impl ExactSizeIterator<Item = Digest> {
        self.refs.iter().map(|bytes| Digest::from_bytes(*bytes))
    }
}

/// Bytes that are not a sound frame of this space and key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// Not a frame, or cut off, or longer than it says.
    #[error("it is not a whole record")]
    Shape,
    /// A frame whose bytes were changed, or another record's.
    #[error("its checksum is wrong")]
    Checksum,
    /// More than a frame may hold.
    #[error("it is too large for a record: {0} bytes")]
    TooLarge(u64),
}

/// Reads a frame. Total: any bytes give a frame or an error, in time and memory linear in them.
///
/// # Errors
/// [`FrameError`].
pub fn parse<'a>(bytes: &'a [u8], space: Space, key: &Digest) -> Result<Frame<'a>, FrameError> {
    let (body, checksum) = bytes
        .split_last_chunk::<DIGEST_BYTES>()
        .ok_or(FrameError::Shape)?;
    let (header, rest) = body
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(FrameError::Shape)?;
    let [magic, version, ref_count, payload_bytes] = *header.as_chunks::<4>().0 else {
        return Err(FrameError::Shape);
    };
    if magic != MAGIC {
        return Err(FrameError::Shape);
    }
    // The checksum comes before all meaning: a flipped bit in the version must not look newer.
    if checksum_of(body, space, key).as_bytes() != checksum {
        return Err(FrameError::Checksum);
    }
    let version = FrameVersion(u32::from_le_bytes(version));
    if version == FrameVersion(0) {
        return Err(FrameError::Shape);
    }
    let refs_bytes = u64::from(u32::from_le_bytes(ref_count)) * DIGEST_BYTES as u64;
    let payload_bytes = u64::from(u32::from_le_bytes(payload_bytes));
    if refs_bytes + payload_bytes != rest.len() as u64 {
        return Err(FrameError::Shape);
    }
    let refs_bytes = usize::try_from(refs_bytes).map_err(|_| FrameError::Shape)?;
    let (refs, payload) = rest.split_at(refs_bytes);
    Ok(Frame {
        version,
        refs: refs.as_chunks().0,
        payload,
    })
}

/// Writes a frame of the current version.
///
/// # Errors
/// [`FrameError::TooLarge`].
pub fn encode(
    space: Space,
    key: &Digest,
    refs: &[Digest],
    payload: &[u8],
) -> Result<Vec<u8>, FrameError> {
    let length = refs
        .len()
        .saturating_mul(DIGEST_BYTES)
        .saturating_add(payload.len())
        .saturating_add(HEADER_BYTES + DIGEST_BYTES);
    let too_large = || FrameError::TooLarge(length as u64);
    if length as u64 > MAX_BYTES {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(length);
    body.extend_from_slice(&MAGIC);
    body.extend_from_slice(&FrameVersion::CURRENT.0.to_le_bytes());
    for count in [refs.len(), payload.len()] {
        let count = u32::try_from(count).map_err(|_| too_large())?;
        body.extend_from_slice(&count.to_le_bytes());
    }
    for digest in refs {
        body.extend_from_slice(digest.as_bytes());
    }
    body.extend_from_slice(payload);
    Ok(seal(body, space, key))
}

/// Adds the checksum to everything before it. Apart from [`encode`] for tests and the fuzz target,
/// which need frames that are sound but strange.
#[doc(hidden)]
#[must_use]
pub fn seal(mut body: Vec<u8>, space: Space, key: &Digest) -> Vec<u8> {
    let checksum = checksum_of(&body, space, key);
    body.extend_from_slice(checksum.as_bytes());
    body
}

fn checksum_of(body: &[u8], space: Space, key: &Digest) -> Digest {
    // Tag and key are of fixed length, so no two records feed the same bytes.
    DigestHasher::new()
        .update(&[space.tag()])
        .update(key.as_bytes())
        .update(body)
        .finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Digest {
        Digest::of(b"key")
    }

    /// A sound frame of another version.
    fn of_version(version: u32) -> Vec<u8> {
        let mut body = encode(Space::Entries, &key(), &[Digest::of(b"o")], b"later").unwrap();
        body.truncate(body.len() - DIGEST_BYTES);
        body[4..8].copy_from_slice(&version.to_le_bytes());
        seal(body, Space::Entries, &key())
    }

    #[test]
    fn golden() {
        let key = Digest::from_bytes([0x11; 32]);
        let refs = [
            Digest::from_bytes([0x22; 32]),
            Digest::from_bytes([0x33; 32]),
        ];
        let bytes = encode(Space::Entries, &key, &refs, b"embers").unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = format!(
            "{}{}{}{}{}{}{}{}",
            "726b6472",
            "01000000",
            "02000000",
            "06000000",
            "22".repeat(32),
            "33".repeat(32),
            "656d62657273",
            "fbad7fb8d45b13bbb95ade448cca8584da4659266eff4ef32c81134da1da9b93",
        );
        assert_eq!(hex, expected);
    }

    #[test]
    fn another_space_or_key_is_damage() {
        let bytes = encode(Space::Entries, &key(), &[], b"x").unwrap();
        assert!(parse(&bytes, Space::Entries, &key()).is_ok());
        for space in Space::ALL
            .into_iter()
            .filter(|space| *space != Space::Entries)
        {
            assert_eq!(parse(&bytes, space, &key()), Err(FrameError::Checksum));
        }
        let other = Digest::of(b"other");
        assert_eq!(
            parse(&bytes, Space::Entries, &other),
            Err(FrameError::Checksum)
        );
    }

    #[test]
    fn a_newer_version_is_sound_and_its_refs_are_seen() {
        let bytes = of_version(2);
        let frame = parse(&bytes, Space::Entries, &key()).unwrap();
        assert!(frame.version.is_newer());
        assert_eq!(frame.refs().collect::<Vec<_>>(), [Digest::of(b"o")]);
        assert_eq!(
            parse(&of_version(0), Space::Entries, &key()),
            Err(FrameError::Shape)
        );
    }

    #[test]
    fn counts_that_do_not_add_up_are_refused() {
        for (offset, value) in [
            (8, u32::MAX),
            (8, 0),
            (8, 2),
            (12, u32::MAX),
            (12, 0),
            (12, 6),
        ] {
            let mut body = encode(Space::Memos, &key(), &[Digest::of(b"o")], b"later").unwrap();
            body.truncate(body.len() - DIGEST_BYTES);
            body[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            let bytes = seal(body, Space::Memos, &key());
            assert_eq!(
                parse(&bytes, Space::Memos, &key()),
                Err(FrameError::Shape),
                "{value} at {offset}"
            );
        }
    }

    #[test]
    fn a_record_too_large_is_refused_by_the_writer() {
        let payload = vec![0; usize::try_from(MAX_BYTES).unwrap()];
        assert!(matches!(
            encode(Space::Memos, &key(), &[], &payload),
            Err(FrameError::TooLarge(_))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, Space::Entries, &key());
            // Behind a sound checksum, too, and behind the magic.
            let _ = parse(&seal(bytes.clone(), Space::Entries, &key()), Space::Entries, &key());
            let mut body = MAGIC.to_vec();
            body.extend_from_slice(&bytes);
            let _ = parse(&seal(body, Space::Entries, &key()), Space::Entries, &key());
        }

        #[test]
        fn what_was_written_is_read(
            refs in proptest::collection::vec(any::<[u8; 32]>(), 0..5),
            payload in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let refs: Vec<_> = refs.into_iter().map(Digest::from_bytes).collect();
            let bytes = encode(Space::Latest, &key(), &refs, &payload).unwrap();
            let frame = parse(&bytes, Space::Latest, &key()).unwrap();
            prop_assert_eq!(frame.refs().collect::<Vec<_>>(), refs);
            prop_assert_eq!(frame.payload, payload);
        }

        #[test]
        fn any_change_is_noticed(
            payload in proptest::collection::vec(any::<u8>(), 0..100),
            position in any::<proptest::sample::Index>(),
            bit in 0u8..8,
            cut in any::<proptest::sample::Index>(),
        ) {
            let bytes = encode(Space::Latest, &key(), &[Digest::of(b"o")], &payload).unwrap();
            let mut flipped = bytes.clone();
            flipped[position.index(bytes.len())] ^= 1 << bit;
            prop_assert!(parse(&flipped, Space::Latest, &key()).is_err());
            prop_assert!(parse(&bytes[..cut.index(bytes.len())], Space::Latest, &key()).is_err());
            let mut longer = bytes;
            longer.push(bit);
            prop_assert!(parse(&longer, Space::Latest, &key()).is_err());
        }
    }
}
