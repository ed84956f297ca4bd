//! Whether everything in the store is what its name says, for `cache verify` and the crash tests.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, progress};
use rekindle_fsx as fsx;
use serde::{Deserialize, Serialize};

use crate::gc::files;
use crate::layout::digest_of;
use crate::{LocalStore, Space, frame};

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadKind {
    /// An object whose bytes have another digest.
    DamagedObject,
    /// A record that is not whole, was changed, or is another's.
    DamagedRecord,
    /// A record that refers to an object that is damaged or not there. A miss, or fetched from
    /// elsewhere.
    DanglingRecord,
    /// Not named by a digest: not ours.
    Stray,
    /// The system refuses to read it.
    Unreadable,
}

/// A file with something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: BadKind,
    /// Whether it was removed.
    pub removed: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Objects read.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// Records read.
    pub records: u64,
    /// Of these, records of a later Rekindle; only their envelope was checked.
    pub newer_records: u64,
    /// Temporaries: of writes under way, or left from killed processes. Nothing is wrong with them.
    pub temporaries: u64,
    /// What is wrong.
    pub bad: Vec<Bad>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.bad.is_empty()
    }
}

struct Verifier {
    store: LocalStore,
    remove: bool,
    /// Whether an object that is not here is no fault.
    far_is_fine: bool,
    report: VerifyReport,
    /// Whether each object that was looked for is there and sound.
    sound: HashMap<Digest, bool>,
}

impl LocalStore {
    /// Reads every object and record and compares them with their names; with `remove`, removes
    /// what is wrong, except what cannot be read. Others may use the store meanwhile.
    ///
    /// # Errors
    /// Where a directory cannot be listed.
    pub fn verify(&self, remove: bool) -> io::Result<VerifyReport> {
        self.verify_as(remove, false)
    }

    /// As [`LocalStore::verify`], where objects that are not here may be beyond: a record is fine without them.
    ///
    /// # Errors
    /// As there.
    pub fn verify_with_beyond(&self, remove: bool) -> io::Result<VerifyReport> {
        self.verify_as(remove, true)
    }

    fn verify_as(&self, remove: bool, far_is_fine: bool) -> io::Result<VerifyReport> {
        let mut verifier = Verifier {
            store: self.clone(),
            remove,
            far_is_fine,
            report: VerifyReport::default(),
            sound: HashMap::new(),
        };
        let objects = files(&self.layout.objects())?;
        progress().expect(objects.len() as u64);
        for file in objects {
            verifier.object(&file.path);
            progress().did(1);
        }
        for space in Space::ALL {
            for file in files(&self.layout.records(space))? {
                verifier.record(space, &file.path);
            }
        }
        let temporaries = files(&self.layout.temporaries())?;
        verifier.report.temporaries = temporaries.len() as u64;
        Ok(verifier.report)
    }
}

impl Verifier {
    fn bad(&mut self, path: &Path, kind: BadKind) {
        let may_remove = self.remove && kind != BadKind::Unreadable;
        self.report.bad.push(Bad {
            path: path.to_owned(),
            kind,
            removed: may_remove && fsx::remove_file(path).is_ok(),
        });
    }

    fn object(&mut self, path: &Path) {
        let Some(digest) = digest_of(path) else {
            return self.bad(path, BadKind::Stray);
        };
        match fsx::found(fsx::hash_file(path)) {
            // Evicted meanwhile.
            Ok(None) => {}
            Ok(Some((found, size))) => {
                self.report.objects += 1;
                self.report.object_bytes += size;
                self.sound.insert(digest, found == digest);
                if found != digest {
                    self.bad(path, BadKind::DamagedObject);
                }
            }
            Err(_) => {
                self.sound.insert(digest, false);
                self.bad(path, BadKind::Unreadable);
            }
        }
    }

    fn record(&mut self, space: Space, path: &Path) {
        let Some(key) = digest_of(path) else {
            return self.bad(path, BadKind::Stray);
        };
        let bytes = match fsx::read_with_sig(path, frame::MAX_BYTES + 1) {
            Ok(None) => return,
            Ok(Some((bytes, _))) => bytes,
            Err(_) => return self.bad(path, BadKind::Unreadable),
        };
        self.report.records += 1;
        let Ok(frame) = frame::parse(&bytes, space, &key) else {
            return self.bad(path, BadKind::DamagedRecord);
        };
        self.report.newer_records += u64::from(frame.version.is_newer());
        // Objects may have been stored, and the record dropped with them, since they were listed.
        let dangles = frame.refs().any(|digest| !self.is_sound(digest));
        if dangles && fsx::exists(path) {
            self.bad(path, BadKind::DanglingRecord);
        }
    }

    fn is_sound(&mut self, digest: Digest) -> bool {
        let path = self.store.layout.object(&digest);
        *self
            .sound
            .entry(digest)
            .or_insert_with(|| self.far_is_fine || fsx::exists(&path))
    }
}
