//! Where in the store's directory things are: see [`crate::LocalStore`] for the whole picture.

use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_fsx as fsx;

use crate::Space;

/// The directory of the format's version, and the names in it.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            root: dir.join("v1"),
        }
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(crate) fn object(&self, digest: &Digest) -> PathBuf {
        sharded("objects", &self.root, digest)
    }

    pub(crate) fn records(&self, space: Space) -> PathBuf {
        self.root.join(space.name())
    }

    pub(crate) fn record(&self, space: Space, key: &Digest) -> PathBuf {
        sharded(space.name(), &self.root, key)
    }

    pub(crate) fn temporaries(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A name in `tmp` that nobody else uses.
    pub(crate) fn temporary(&self) -> PathBuf {
        fsx::atomic::unique_in(&self.temporaries())
    }

    pub(crate) fn active(&self) -> PathBuf {
        self.root.join("active")
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub(crate) fn gc_lock(&self) -> PathBuf {
        self.root.join("gc.lock")
    }

    pub(crate) fn toolchain_lock(&self) -> PathBuf {
        self.root.join("toolchain.lock")
    }

    pub(crate) fn pointers_lock(&self) -> PathBuf {
        self.root.join("pointers.lock")
    }

    pub(crate) fn size(&self) -> PathBuf {
        self.root.join("size")
    }

    pub(crate) fn growth(&self) -> PathBuf {
        self.root.join("growth")
    }
}

/// How many digits of a digest name the directory that its file is in. In a new store each directory has to be
/// made: 256 for each kind of record were a third of all that a first build of 80 units made.
const SHARD_DIGITS: usize = 1;

fn sharded(kind: &str, root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.to_hex();
    let (shard, rest) = hex.split_at(SHARD_DIGITS);
    let mut path = root.join(kind);
    path.push(shard);
    path.push(rest);
    path
}

/// The digest that names a file in `objects` or in a space; `None` for what is not ours.
pub(crate) fn digest_of(path: &Path) -> Option<Digest> {
    let shard = path.parent()?.file_name()?.to_str()?;
    let rest = path.file_name()?.to_str()?;
    if shard.len() != SHARD_DIGITS {
        return None;
    }
    format!("{shard}{rest}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let layout = Layout::new(Path::new("/store"));
        let digest = Digest::of(b"x");
        let path = layout.object(&digest);
        assert_eq!(digest_of(&path), Some(digest));
        let hex = digest.to_hex();
        assert_eq!(
            path,
            Path::new("/store/v1/objects")
                .join(&hex[..1])
                .join(&hex[1..])
        );
        for strange in [
            "/ab",
            "/ab/cd",
            "/a/bc",
            &format!("/{}/{}", &hex[..2], &hex[2..]),
        ] {
            assert_eq!(digest_of(Path::new(strange)), None, "{strange}");
        }
    }
}
