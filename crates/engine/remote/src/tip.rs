//! Tips: what a name leads to, small and written last.
//!
//! A save is found by names: of a commit, a branch, a lock file. Each leads to a tip, which has the digest of an index. All
//! else is named by its digest, so a tip is the one thing that can be forged or go backwards; where a key is set,
//! it is signed together with its name, and one that is not, or not by this key, leads nowhere.
//!
//! # Form
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `rktp` |
//! | 4 | version, [`VERSION`] |
//! | 32 | BLAKE3 of the index |
//! | 8 | length of the index in bytes |
//! | 8 | when it was made, in milliseconds since 1970 |
//! | 1 | how it is signed: 0 not, 1 by a shared secret, 2 by Ed25519 |
//! | 0, 32 or 64 | the signature of: `rekindle tip 1`, the name (length-prefixed), all of the above |
//!
//! Integers are little-endian.

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use rekindle_base::Digest;

use crate::blobs::Name;

/// The version of the format.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 4] = *b"rktp";
const BODY_BYTES: usize = 56;

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The digest of an index.
    pub index: Digest,
    /// Its length in bytes.
    pub index_bytes: u64,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Why a tip leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TipError {
    /// No tip.
    #[error("it is not a whole tip")]
    Shape,
    /// A later version.
    #[error("a later version of rekindle wrote it")]
    Newer,
    /// A key is set, and it has no signature.
    #[error("it is not signed, and a key is set: save once with the key")]
    Unsigned,
    /// It has a signature of another key.
    #[error("its signature is not by the key that is set")]
    Forged,
}

/// That a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write `secret:TEXT` with at least 16 letters, `ed25519:SEED` or `ed25519-public:KEY` with 64 hex digits"
)]
pub struct NotAKey;

/// What tips are signed with.
#[derive(Clone)]
pub enum Key {
    /// A secret that writers and readers share: BLAKE3, keyed.
    Secret([u8; 32]),
    /// A writer's key.
    Signing(Box<SigningKey>),
    /// A reader's key.
    Verifying(Box<VerifyingKey>),
}

/// Never what it is.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Key::Secret",
            Self::Signing(_) => "Key::Signing",
            Self::Verifying(_) => "Key::Verifying",
        })
    }
}

impl Key {
    /// Reads one as people set it.
    ///
    /// # Errors
    /// [`NotAKey`], which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        const SECRET_MIN_BYTES: usize = 16;
        let hex = |text: &str| {
            let digest: Digest = text.parse().map_err(|_| NotAKey)?;
            Ok::<_, NotAKey>(*digest.as_bytes())
        };
        match text.split_once(':') {
            Some(("secret", secret)) if secret.len() >= SECRET_MIN_BYTES => {
                let key = blake3::derive_key("rekindle 2026 tips of remotes", secret.as_bytes());
                Ok(Self::Secret(key))
            }
            Some(("ed25519", seed)) => {
                Ok(Self::Signing(Box::new(SigningKey::from_bytes(&hex(seed)?))))
            }
            Some(("ed25519-public", key)) => VerifyingKey::from_bytes(&hex(key)?)
                .map(|key| Self::Verifying(Box::new(key)))
                .map_err(|_| NotAKey),
            _ => Err(NotAKey),
        }
    }

    /// Whether it can sign, and not only check.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        !matches!(self, Self::Verifying(_))
    }

    fn sign(&self, message: &[u8]) -> (u8, Vec<u8>) {
        match self {
            Self::Secret(key) => (1, blake3::keyed_hash(key, message).as_bytes().to_vec()),
            Self::Signing(key) => (2, key.sign(message).to_bytes().to_vec()),
            Self::Verifying(_) => (0, Vec::new()),
        }
    }

    fn is_by(&self, message: &[u8], kind: u8, signature: &[u8]) -> bool {
        let ed25519 = |key: &VerifyingKey| {
            let signature = Signature::from_slice(signature).ok();
            kind == 2 && signature.is_some_and(|signature| key.verify(message, &signature).is_ok())
        };
        match self {
            Self::Secret(key) => {
                let expected = blake3::keyed_hash(key, message);
                let given: Option<[u8; 32]> = signature.try_into().ok();
                // This comparison takes the same time wherever they differ.
                kind == 1 && given.is_some_and(|given| expected == given)
            }
            Self::Signing(key) => ed25519(&key.verifying_key()),
            Self::Verifying(key) => ed25519(key),
        }
    }
}

fn message(name: &Name, body: &[u8]) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    let mut message = b"rekindle tip 1".to_vec();
    message.extend_from_slice(&(name.len() as u64).to_le_bytes());
    message.extend_from_slice(name);
    message.extend_from_slice(body);
    message
}

impl Tip {
    /// Its bytes under a name, signed where there is a key that can.
    #[must_use]
    pub fn encode(&self, name: &Name, key: Option<&Key>) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(self.index.as_bytes());
        bytes.extend_from_slice(&self.index_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.at_ms.to_le_bytes());
        let (kind, signature) = key.map_or((0, Vec::new()), |key| key.sign(&message(name, &bytes)));
        bytes.push(kind);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Reads the one that was found under a name.
    ///
    /// # Errors
    /// [`TipError`].
    pub fn decode(bytes: &[u8], name: &Name, key: Option<&Key>) -> Result<Self, TipError> {
        let (body, signed) = bytes.split_at_checked(BODY_BYTES).ok_or(TipError::Shape)?;
        let (kind, signature) = signed.split_first().ok_or(TipError::Shape)?;
        let part = |from: usize, to: usize| body.get(from..to).unwrap_or_default();
        if part(0, 4) != MAGIC {
            return Err(TipError::Shape);
        }
        if part(4, 8) != VERSION.to_le_bytes() {
            return Err(TipError::Newer);
        }
        match (kind, signature.len()) {
            (0, 0) | (1, 32) | (2, 64) => {}
            _ => return Err(TipError::Shape),
        }
        if let Some(key) = key {
            if *kind == 0 {
                return Err(TipError::Unsigned);
            }
            if !key.is_by(&message(name, body), *kind, signature) {
                return Err(TipError::Forged);
            }
        }
        let number = |from| part(from, from + 8).try_into().map(u64::from_le_bytes);
        let index: [u8; 32] = part(8, 40).try_into().map_err(|_| TipError::Shape)?;
        Ok(Self {
            index: Digest::from_bytes(index),
            index_bytes: number(40).map_err(|_| TipError::Shape)?,
            at_ms: number(48).map_err(|_| TipError::Shape)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "ed25519:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    /// The public half, from RFC 8032, 7.1, test 1.
    const PUBLIC: &str =
        "ed25519-public:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn tip() -> Tip {
        Tip {
            index: Digest::of(b"index"),
            index_bytes: 7,
            at_ms: 8,
        }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn it_reads_back_under_its_name_and_its_key() {
        let secret = || key("secret:0123456789abcdef");
        for (writer, reader) in [
            (None, None),
            (Some(secret()), Some(secret())),
            (Some(key(SEED)), Some(key(SEED))),
            (Some(key(SEED)), Some(key(PUBLIC))),
            // Who has no key takes what is there.
            (Some(key(SEED)), None),
        ] {
            let bytes = tip().encode(&name("tips/a"), writer.as_ref());
            assert_eq!(
                Tip::decode(&bytes, &name("tips/a"), reader.as_ref()),
                Ok(tip())
            );
        }
    }

    #[test]
    fn what_is_not_signed_for_this_name_by_this_key_leads_nowhere() {
        let secret = key("secret:0123456789abcdef");
        let other = key("secret:another one of 16");
        let check = |writer: Option<&Key>, written: &str, reader: &Key, expected| {
            let bytes = tip().encode(&name(written), writer);
            assert_eq!(
                Tip::decode(&bytes, &name("tips/a"), Some(reader)),
                Err(expected)
            );
        };
        check(None, "tips/a", &secret, TipError::Unsigned);
        check(Some(&other), "tips/a", &secret, TipError::Forged);
        check(Some(&secret), "tips/b", &secret, TipError::Forged);
        check(Some(&key(SEED)), "tips/b", &key(PUBLIC), TipError::Forged);
        check(Some(&secret), "tips/a", &key(PUBLIC), TipError::Forged);
        // A reader's key signs nothing.
        check(
            Some(&key(PUBLIC)),
            "tips/a",
            &key(PUBLIC),
            TipError::Unsigned,
        );
    }

    #[test]
    fn every_flipped_bit_of_a_signed_tip_is_noticed() {
        for key in [key("secret:0123456789abcdef"), key(SEED)] {
            let bytes = tip().encode(&name("tips/a"), Some(&key));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert!(
                    Tip::decode(&damaged, &name("tips/a"), Some(&key)).is_err(),
                    "{at}"
                );
                assert!(Tip::decode(&bytes[..at], &name("tips/a"), Some(&key)).is_err());
            }
        }
    }

    #[test]
    fn keys_are_read_and_never_shown() {
        for bad in [
            "",
            "secret:short",
            "ed25519:zz",
            "x:0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            format!("{:?}", key("secret:0123456789abcdef")),
            "Key::Secret"
        );
        assert!(!key(PUBLIC).can_sign() && key(SEED).can_sign());
    }
}
