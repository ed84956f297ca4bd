//! What the store holds, for `cache du` and `stats`.

use std::io;

use serde::{Deserialize, Serialize};

use crate::gc::files;
use crate::layout::digest_of;
use crate::{LocalStore, Space};

/// The records of one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceUsage {
    /// Which.
    pub space: Space,
    /// How many records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What the store holds. Bytes are lengths of files, not blocks on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many objects.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// The records, in the order of [`Space::ALL`].
    pub spaces: Vec<SpaceUsage>,
    /// How many temporaries: of writes under way, or left from killed processes.
    pub temporaries: u64,
    /// Their bytes.
    pub temporary_bytes: u64,
}

impl Usage {
    /// Records of all spaces.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.spaces.iter().map(|space| space.records).sum()
    }

    /// Bytes of objects, records and temporaries.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let records: u64 = self.spaces.iter().map(|space| space.bytes).sum();
        self.object_bytes + records + self.temporary_bytes
    }
}

impl LocalStore {
    /// Counts what the store holds, without reading any of it. A missing store holds nothing.
    ///
    /// # Errors
    /// Where a directory cannot be listed.
    pub fn usage(&self) -> io::Result<Usage> {
        let mut usage = Usage::default();
        for file in files(&self.layout.objects())? {
            if digest_of(&file.path).is_some() {
                usage.objects += 1;
                usage.object_bytes += file.sig.size;
            }
        }
        for space in Space::ALL {
            let mut found = SpaceUsage {
                space,
                records: 0,
                bytes: 0,
            };
            for file in files(&self.layout.records(space))? {
                if digest_of(&file.path).is_some() {
                    found.records += 1;
                    found.bytes += file.sig.size;
                }
            }
            usage.spaces.push(found);
        }
        for file in files(&self.layout.temporaries())? {
            usage.temporaries += 1;
            usage.temporary_bytes += file.sig.size;
        }
        Ok(usage)
    }
}
