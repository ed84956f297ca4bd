//! What Rekindle knows of a profile directory: which tree it was restored from or captured into.
//!
//! On disk: `<build directory>/.rekindle/<profile>.ledger`, postcard of [`Ledger`]. It is written before
//! the first file of a restore and again after the last, so that an interrupted one is known as such.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 2;

/// What is known of a profile directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    version: u32,
    /// The tree; `None` while a restore is under way.
    pub tree: Option<Digest>,
    /// By unit, the modification time of its fingerprint's hash: nanoseconds since 1970.
    pub stamps: HashMap<String, i64>,
    /// Units whose fingerprint is another than the tree's, since it holds times: see [`crate::rehash`].
    pub rewritten: HashSet<String>,
    /// Whether a unit of the tree was made from what nobody declares, so that somebody has to look.
    pub has_seen: bool,
}

impl Ledger {
    /// One of this version.
    #[must_use]
    pub fn new(tree: Option<Digest>, stamps: HashMap<String, i64>) -> Self {
        Self {
            version: VERSION,
            tree,
            stamps,
            rewritten: HashSet::new(),
            has_seen: false,
        }
    }

    /// Reads one; anything else than one of ours counts as none.
    #[must_use]
    pub fn read(build_dir: &Path, profile: &str) -> Option<Self> {
        let bytes = rekindle_fsx::read(&path(build_dir, profile)).ok()?;
        let ledger: Self = postcard::from_bytes(&bytes).ok()?;
        (ledger.version == VERSION).then_some(ledger)
    }

    /// Writes it.
    ///
    /// # Errors
    /// As writing.
    pub fn write(&self, build_dir: &Path, profile: &str) -> io::Result<()> {
        let path = path(build_dir, profile);
        rekindle_fsx::create_dir_all(path.parent().unwrap_or(build_dir))?;
        let bytes = postcard::to_stdvec(self).map_err(io::Error::other)?;
        rekindle_fsx::atomic::write(&path, &bytes)
    }
}

fn path(build_dir: &Path, profile: &str) -> PathBuf {
    // `%` is in no target's and no profile's name.
    let name = format!("{}.ledger", profile.replace('/', "%"));
    build_dir.join(".rekindle").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let profile = "x86_64-unknown-linux-musl/release";
        assert_eq!(Ledger::read(dir.path(), profile), None);
        let stamps = HashMap::from([("0123456789abcdef".to_owned(), 7)]);
        let ledger = Ledger::new(Some(Digest::of(b"tree")), stamps);
        ledger.write(dir.path(), profile).unwrap();
        assert_eq!(Ledger::read(dir.path(), profile), Some(ledger));
        assert_eq!(Ledger::read(dir.path(), "release"), None);
    }
}
