//! The ordered, tagged list of inputs that a key is the digest of.
//!
//! Encoding, fixed by a golden test: for each item its tag byte, then name and value, each with its
//! length as a little-endian `u64` before it. No two lists of items encode alike.

use rekindle_base::{Digest, DigestHasher};
use serde::{Deserialize, Serialize};

use crate::table::{KEY_VERSION, Tag};

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub tag: Tag,
    /// Its name: a path, an option, a variable.
    pub name: Vec<u8>,
    /// Its value: a digest in hexadecimal for contents and secrets, else text.
    pub value: Vec<u8>,
}

/// The inputs of one invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    items: Vec<Item>,
}

impl Manifest {
    /// A manifest that holds the key version alone.
    #[must_use]
    pub fn new() -> Self {
        let mut manifest = Self { items: Vec::new() };
        manifest.push(Tag::Version, "key", KEY_VERSION.to_string());
        manifest
    }

    /// Adds an input.
    pub fn push(&mut self, tag: Tag, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.items.push(Item {
            tag,
            name: name.as_ref().to_vec(),
            value: value.as_ref().to_vec(),
        });
    }

    /// Adds an input that is known by digest.
    pub fn push_digest(&mut self, tag: Tag, name: impl AsRef<[u8]>, digest: &Digest) {
        self.push(tag, name, digest.to_hex());
    }

    /// The inputs, in order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The key.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = DigestHasher::new();
        for item in &self.items {
            hasher
                .update(&[item.tag as u8])
                .field(&item.name)
                .field(&item.value);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_fixed() {
        let mut manifest = Manifest::new();
        manifest.push(Tag::Argument, "-C debuginfo", "2");
        manifest.push(Tag::Source, "{workspace}/src/lib.rs", "00");
        assert_eq!(
            manifest.digest().to_hex(),
            "f7039054fbbfb32a2cec2e43128821de410101dc1c18838e631cf93ff670720c"
        );
    }

    #[test]
    fn a_name_is_not_its_value_and_a_tag_not_another() {
        let digest = |tag, name: &str, value: &str| {
            let mut manifest = Manifest::new();
            manifest.push(tag, name, value);
            manifest.digest()
        };
        let base = digest(Tag::Argument, "ab", "c");
        assert_ne!(base, digest(Tag::Argument, "a", "bc"));
        assert_ne!(base, digest(Tag::Argument, "c", "ab"));
        assert_ne!(base, digest(Tag::Source, "ab", "c"));
    }
}
