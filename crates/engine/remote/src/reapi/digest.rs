//! Digests, by the function that the server announces.

use bazel_remote_apis::build::bazel::remote::execution::v2::Digest;
use bazel_remote_apis::build::bazel::remote::execution::v2::digest_function::Value;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A function that we have. MD5, SHA-1 and Murmur are left out: what they name can be forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sha256,
    Blake3,
    Sha384,
    Sha512,
}

impl Function {
    /// In the order of preference: what all servers have first, so that they share blobs with other clients.
    const ALL: [Self; 4] = [Self::Sha256, Self::Blake3, Self::Sha384, Self::Sha512];

    /// The best of those that a server announces.
    pub(super) fn best(announced: &[i32]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|function| announced.contains(&(function.value() as i32)))
    }

    pub(super) const fn value(self) -> Value {
        match self {
            Self::Sha256 => Value::Sha256,
            Self::Blake3 => Value::Blake3,
            Self::Sha384 => Value::Sha384,
            Self::Sha512 => Value::Sha512,
        }
    }

    /// What stands before the hash in a resource's name: nothing for the functions that were there before it could.
    const fn segment(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3/",
            Self::Sha256 | Self::Sha384 | Self::Sha512 => "",
        }
    }

    const fn hash_digits(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    pub(super) fn of(self, bytes: &[u8]) -> Digest {
        let hash = match self {
            Self::Sha256 => hex(&Sha256::digest(bytes)),
            Self::Sha384 => hex(&Sha384::digest(bytes)),
            Self::Sha512 => hex(&Sha512::digest(bytes)),
            Self::Blake3 => rekindle_base::Digest::of(bytes).to_hex(),
        };
        Digest {
            hash,
            size_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        }
    }

    /// Whether it can be a digest of this function: what comes from a server goes into names of resources.
    pub(super) fn is_digest(self, digest: &Digest) -> bool {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digest.hash.len() == self.hash_digits()
            && digest.hash.bytes().all(is_hex)
            && digest.size_bytes >= 0
    }

    /// The end of a resource's name: `HASH/SIZE`.
    pub(super) fn path(self, digest: &Digest) -> String {
        format!("{}{}/{}", self.segment(), digest.hash, digest.size_bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions() {
        let all = |values: &[Value]| values.iter().map(|value| *value as i32).collect::<Vec<_>>();
        let best = |values| Function::best(&all(values));
        assert_eq!(
            best(&[Value::Sha1, Value::Blake3, Value::Sha256]),
            Some(Function::Sha256)
        );
        assert_eq!(best(&[Value::Blake3]), Some(Function::Blake3));
        assert_eq!(best(&[Value::Md5, Value::Sha1]), None);
        for function in Function::ALL {
            let digest = function.of(b"abc");
            assert!(function.is_digest(&digest), "{digest:?}");
            assert_eq!(digest.size_bytes, 3);
        }
        let digest = Function::Sha256.of(b"abc");
        assert!(digest.hash.starts_with("ba7816bf"));
        assert_eq!(Function::Sha256.path(&digest), format!("{}/3", digest.hash));
        let digest = Function::Blake3.of(b"abc");
        assert!(digest.hash.starts_with("6437b3ac"));
        assert_eq!(
            Function::Blake3.path(&digest),
            format!("blake3/{}/3", digest.hash)
        );
    }

    #[test]
    fn what_is_no_digest() {
        let of = |hash: &str, size_bytes| Digest {
            hash: hash.into(),
            size_bytes,
        };
        let hash = "a".repeat(64);
        assert!(Function::Sha256.is_digest(&of(&hash, 0)));
        assert!(!Function::Sha256.is_digest(&of(&hash, -1)));
        assert!(!Function::Sha256.is_digest(&of("../../x", 1)));
        assert!(!Function::Sha256.is_digest(&of(&"A".repeat(64), 1)));
        assert!(!Function::Sha512.is_digest(&of(&hash, 1)));
    }
}
