//! What invocations of one shape were seen to read: names, without values.
//!
//! On disk (the payload of a record in the space `PathSets`, under the digest of the invocation's
//! manifest): postcard of [`PathSets`], newest first. The record's frame carries version and checksum.

use serde::{Deserialize, Serialize};

use crate::roots::Root;

/// The name of something that was read. Paths are canonical: see [`crate::Roots::canonical`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Name {
    /// A source, or another file that dep-info lists.
    Source(Vec<u8>),
    /// A variable whose value reaches the output.
    Env(String),
    /// A variable that only says where included files lie.
    EnvPath(String),
    /// A root whose real path the output holds.
    Directory(Root),
    /// A file that the linker read.
    LinkerFile(Vec<u8>),
    /// A program that the driver starts, looked for on `PATH` unless it is a path.
    LinkerProgram(Vec<u8>),
    /// A native archive that may have been bundled.
    Native(Vec<u8>),
    /// A file that was not there.
    Absent(Vec<u8>),
    /// The width that diagnostics were wrapped to.
    DiagnosticWidth,
    /// A file that a step was seen to read.
    File(Vec<u8>),
    /// A path that a step asked about without reading what is there, or where nothing was.
    Kind(Vec<u8>),
    /// A directory that a step listed.
    Listing(Vec<u8>),
    /// A symbolic link that a step followed or read.
    Link(Vec<u8>),
    /// A program that a step started, by its path.
    Program(Vec<u8>),
    /// A program that a step looked for on `PATH`, by its name.
    Lookup(Vec<u8>),
    /// A variable that a step read.
    Variable(Vec<u8>),
    /// All variables: a step read them as a whole.
    Variables,
    /// A library that the dynamic loader may have looked for, by its name.
    Library(Vec<u8>),
    /// All variables that a program speaks of, by its [`crate::words::Words`]: it looks for names in a copy of all.
    Spoken(Vec<u8>),
}

impl Name {
    /// Whether it stands for many variables: they follow it in a manifest.
    #[must_use]
    pub fn is_of_many(&self) -> bool {
        matches!(self, Self::Variables | Self::Spoken(_))
    }
}

/// One set of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSet {
    /// In the order in which their values join the key.
    pub names: Vec<Name>,
}

/// The sets under one invocation, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSets {
    sets: Vec<PathSet>,
}

/// A set is tried by reading all that it names, so only a few are kept. More than a few mean that
/// the invocation reads other files each time.
pub const MAX_SETS: usize = 8;

impl PathSets {
    /// The sets, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &PathSet> {
        self.sets.iter()
    }

    /// Puts a set first. Whether anything changed.
    pub fn promote(&mut self, set: PathSet) -> bool {
        if self.sets.first() == Some(&set) {
            return false;
        }
        self.sets.retain(|other| *other != set);
        self.sets.insert(0, set);
        self.sets.truncate(MAX_SETS);
        true
    }

    /// The payload of a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads a payload; `None` where it is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_newest_sets_are_kept() {
        let set = |name: usize| PathSet {
            names: vec![Name::Env(name.to_string())],
        };
        let mut sets = PathSets::default();
        for name in 0..20 {
            assert!(sets.promote(set(name)));
        }
        assert!(!sets.promote(set(19)));
        assert!(sets.promote(set(15)));
        assert_eq!(sets.iter().next(), Some(&set(15)));
        assert_eq!(sets.iter().count(), MAX_SETS);
        assert_eq!(PathSets::decode(&sets.encode()), Some(sets));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = PathSets::decode(&bytes);
        }
    }
}
