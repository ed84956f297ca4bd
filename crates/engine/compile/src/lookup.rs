//! Finding the entry for an invocation: what it says finds path sets; a set whose names all have values
//! that were seen together finds an entry.

use rekindle_events::MissReason;
use rekindle_key::Manifest;
use rekindle_key::entry::Entry;
use rekindle_key::pathset::{PathSet, PathSets};
use rekindle_store::{LocalStore, Space, Store, StoreError};

use crate::inputs::{Inputs, Unit};

/// What a look-up found.
pub(crate) enum Found {
    /// An entry, its manifest, and the path set that led to it where that is not the first.
    Entry(Box<Entry>, Manifest, Option<PathSet>),
    /// Nothing; the reason where it is more than that no such unit is stored.
    Nothing(Option<MissReason>),
}

/// Looks an invocation up.
pub(crate) fn find(unit: &Unit<'_>, inputs: &Inputs) -> Found {
    let store = &unit.context.store;
    let sets = match path_sets(store, inputs) {
        Ok(sets) => sets,
        Err(StoreError::Corrupt) => return Found::Nothing(Some(MissReason::EntryCorrupt)),
        Err(error) => {
            return Found::Nothing(Some(MissReason::StoreUnavailable {
                error: error.to_string(),
            }));
        }
    };
    let mut reason = None;
    for (index, set) in sets.iter().enumerate() {
        let Some(manifest) = unit.observe(&inputs.manifest, set) else {
            continue;
        };
        let key = manifest.digest();
        match store.get_record(Space::Entries, &key) {
            Ok(Some(record)) => match Entry::decode(&record.payload) {
                Some(entry) => {
                    let promoted = (index > 0).then(|| set.clone());
                    return Found::Entry(Box::new(entry), manifest, promoted);
                }
                None => {
                    let _ = store.remove_record(Space::Entries, &key);
                    reason = Some(MissReason::EntryCorrupt);
                }
            },
            Ok(None) => {}
            Err(StoreError::Corrupt) => reason = Some(MissReason::EntryCorrupt),
            Err(error) => {
                reason = Some(MissReason::StoreUnavailable {
                    error: error.to_string(),
                });
            }
        }
    }
    Found::Nothing(reason)
}

/// The path sets of an invocation, none where there is no record.
pub(crate) fn path_sets(store: &LocalStore, inputs: &Inputs) -> Result<PathSets, StoreError> {
    let record = store.get_record(Space::PathSets, &inputs.invocation_key)?;
    Ok(record
        .and_then(|record| PathSets::decode(&record.payload))
        .unwrap_or_default())
}
