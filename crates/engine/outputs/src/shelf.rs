//! What is known of many files that are read together, in one record.
//!
//! Each compile of a C library reads the same some hundred headers, in a process of its own. A record for each file would
//! be opened, read and closed for each of them; a *shelf* is one. As a tool memo it says what a file was found to be under
//! its signature, and another signature means that the file is read again.
//!
//! Processes that end at once replace each other's shelf: what is lost is looked at again.

use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use serde::{Deserialize, Serialize};

use crate::files::Paths;
use crate::record::Signature;

/// More files than this, and those go that this process did not ask for.
const FILES_MAX: usize = 4096;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    sig: Signature,
    digest: Option<Digest>,
    marks: Option<u8>,
}

/// The files of one shelf.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// With whether this process asked for it.
    files: Paths<(Known, bool)>,
    /// Files that no other process reads, which are not kept.
    own: Paths<Option<Known>>,
    changed: bool,
}

/// The form on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept(Vec<(PathBuf, Known)>);

impl From<Kept> for Shelf {
    fn from(kept: Kept) -> Self {
        let files = kept.0.into_iter();
        Self {
            files: files
                .map(|(path, known)| (path.into(), (known, false)))
                .collect(),
            own: Paths::new(),
            changed: false,
        }
    }
}

impl Shelf {
    /// Leaves out what no other process like this one reads.
    pub(crate) fn leave_out(&mut self, own: impl IntoIterator<Item = PathBuf>) {
        self.own = own.into_iter().map(|path| (path.into(), None)).collect();
    }

    pub(crate) fn digest(&mut self, path: &Path, sig: Signature) -> Option<Digest> {
        self.known(path, sig)?.digest
    }

    pub(crate) fn marks(&mut self, path: &Path, sig: Signature) -> Option<u8> {
        self.known(path, sig)?.marks
    }

    fn known(&mut self, path: &Path, sig: Signature) -> Option<Known> {
        if let Some(known) = self.own.get(path.as_os_str()) {
            return known.filter(|known| known.sig == sig);
        }
        let (known, asked) = self.files.get_mut(path.as_os_str())?;
        *asked = true;
        (known.sig == sig).then_some(*known)
    }

    pub(crate) fn set_digest(&mut self, path: &Path, sig: Signature, digest: Digest) {
        self.change(path, sig, |known| known.digest = Some(digest));
    }

    pub(crate) fn set_marks(&mut self, path: &Path, sig: Signature, marks: u8) {
        self.change(path, sig, |known| known.marks = Some(marks));
    }

    fn change(&mut self, path: &Path, sig: Signature, set: impl FnOnce(&mut Known)) {
        let nothing = Known {
            sig,
            digest: None,
            marks: None,
        };
        if let Some(known) = self.own.get_mut(path.as_os_str()) {
            let before = known.filter(|known| known.sig == sig);
            set(known.insert(before.unwrap_or(nothing)));
            return;
        }
        let place = self.files.entry(path.into());
        let (known, asked) = place.or_insert((nothing, true));
        *asked = true;
        if known.sig != sig {
            *known = nothing;
        }
        let before = *known;
        set(known);
        self.changed |= *known != before;
    }

    /// What is to be kept of it; `None` where that is what was kept before.
    pub(crate) fn kept(&self) -> Option<Kept> {
        if !self.changed {
            return None;
        }
        let is_full = self.files.len() > FILES_MAX;
        let files = self.files.iter();
        let kept = files.filter(|(_, (_, asked))| *asked || !is_full);
        Some(Kept(
            kept.map(|(path, (known, _))| (path.into(), *known))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_fsx::StatSig;

    fn sig(dir: &Path, text: &str) -> Signature {
        let path = dir.join("x");
        rekindle_fsx::atomic::write(&path, text.as_bytes()).unwrap();
        let sig: StatSig = rekindle_fsx::stat(&path).unwrap();
        sig.into()
    }

    #[test]
    fn another_signature_is_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (sig(dir.path(), "a"), sig(dir.path(), "bc"));
        let path = Path::new("/x");
        let mut shelf = Shelf::default();
        assert!(shelf.kept().is_none());
        shelf.set_digest(path, old, Digest::of(b"a"));
        shelf.set_marks(path, old, 3);
        let mut shelf = Shelf::from(shelf.kept().unwrap());
        assert_eq!(shelf.digest(path, old), Some(Digest::of(b"a")));
        assert_eq!(shelf.marks(path, old), Some(3));
        assert_eq!(shelf.digest(path, new), None);
        assert_eq!(shelf.marks(path, new), None);
        assert!(shelf.kept().is_none(), "nothing was learned");
        shelf.set_marks(path, new, 4);
        assert_eq!(shelf.digest(path, new), None, "that was the other's");
        assert_eq!(shelf.marks(path, new), Some(4));
        assert!(shelf.kept().is_some());
    }

    #[test]
    fn what_one_process_reads_alone_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (sig(dir.path(), "a"), sig(dir.path(), "bc"));
        let path = Path::new("/x");
        let mut shelf = Shelf::default();
        shelf.leave_out([path.to_owned()]);
        shelf.set_digest(path, old, Digest::of(b"a"));
        shelf.set_marks(path, old, 3);
        assert_eq!(shelf.digest(path, old), Some(Digest::of(b"a")));
        assert_eq!(shelf.marks(path, old), Some(3));
        assert_eq!(shelf.digest(path, new), None);
        shelf.set_marks(path, new, 4);
        assert_eq!(shelf.digest(path, new), None, "that was the other's");
        assert!(shelf.kept().is_none());
    }

    #[test]
    fn a_full_shelf_keeps_what_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let sig = sig(dir.path(), "a");
        let mut shelf = Shelf::default();
        for number in 0..=FILES_MAX {
            shelf.set_marks(Path::new(&format!("/{number}")), sig, 0);
        }
        let mut shelf = Shelf::from(shelf.kept().unwrap());
        assert_eq!(shelf.files.len(), FILES_MAX + 1);
        assert_eq!(shelf.marks(Path::new("/7"), sig), Some(0));
        shelf.set_marks(Path::new("/new"), sig, 0);
        assert_eq!(shelf.kept().unwrap().0.len(), 2);
    }
}
