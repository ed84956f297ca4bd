//! Under which keys of GitHub's cache service blobs are kept.
//!
//! Keys never change what they hold, and all but whole keys match by their beginnings. So what is written [once] is
//! under its name, and each version of what is written again and again is under `NAME@TIME-RANDOM`, where TIME has
//! thirteen digits of milliseconds. No name holds an `@`, so that `NAME@` is the beginning of its versions only.
//!
//! [once]: crate::blobs::Kind::Once

use std::hash::{BuildHasher, Hasher, RandomState};

use rekindle_base::Moment;

use crate::blobs::{BlobError, Name};

/// The longest key that the service takes, in bytes.
const MAX_KEY_BYTES: usize = 512;
/// What a version adds to a name: `@`, thirteen digits, `-`, sixteen digits.
const VERSION_BYTES: usize = 1 + 13 + 1 + 16;

/// Keys with one beginning, which tells ours from others' in the list of a repository's caches.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    /// Below a prefix, or below `rekindle`.
    pub(super) fn new(prefix: &str) -> Result<Self, BlobError> {
        let prefix = if prefix.is_empty() {
            "rekindle"
        } else {
            prefix.trim_end_matches('/')
        };
        let fits = prefix.len() + 1 + crate::blobs::MAX_NAME_BYTES + VERSION_BYTES <= MAX_KEY_BYTES;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",@".contains(&byte);
        if fits && prefix.bytes().all(is_plain) {
            Ok(Self {
                prefix: format!("{prefix}/"),
            })
        } else {
            Err(BlobError::Refused(format!(
                "`{prefix}` cannot begin keys: up to 220 plain characters, no comma, no `@`"
            )))
        }
    }

    /// The key of a blob that is written once, or the beginning of all our keys.
    pub(super) fn whole(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// How the keys of all versions begin.
    pub(super) fn versions(&self, name: &Name) -> String {
        format!("{}{name}@", self.prefix)
    }

    /// A key for a new version.
    pub(super) fn version(&self, name: &Name, now: Moment) -> String {
        // Each is made with keys from the system's randomness.
        let random = RandomState::new().build_hasher().finish();
        format!("{}{:013}-{random:016x}", self.versions(name), now.0)
    }

    /// Whose key it is; `None` for keys that are not ours.
    pub(super) fn name(&self, key: &str) -> Option<Name> {
        let key = key.strip_prefix(&self.prefix)?;
        let name = key.split_once('@').map_or(key, |(name, _)| name);
        Name::new(name).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_names() {
        let keys = Keys::new("").unwrap();
        let name = Name::new("index/main").unwrap();
        let version = keys.version(&name, Moment(1_790_000_000_000));
        assert!(version.starts_with("rekindle/index/main@1790000000000-"));
        assert_eq!(version.len(), "rekindle/index/main".len() + VERSION_BYTES);
        assert_ne!(version, keys.version(&name, Moment(1_790_000_000_000)));
        assert_eq!(keys.name(&version), Some(name.clone()));
        assert_eq!(keys.name(&keys.whole(name.as_str())), Some(name));
        assert_eq!(keys.name("Linux-cargo-abc"), None);
    }

    #[test]
    fn prefixes() {
        assert_eq!(Keys::new("team/").unwrap().whole("a"), "team/a");
        for bad in ["a,", "a@", "a b", "é", "a".repeat(300).as_str()] {
            assert!(Keys::new(bad).is_err(), "{bad}");
        }
    }
}
