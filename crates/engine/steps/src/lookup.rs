//! Finding the entry for a step.

use rekindle_base::Digest;
use rekindle_events::MissReason;
use rekindle_key::pathset::{PathSet, PathSets};
use rekindle_key::step::{self, StepEntry};
use rekindle_key::{Manifest, explain};
use rekindle_store::{Space, Store, StoreError};

use crate::{Engine, Step};
use rekindle_outputs::present::Present;

/// An entry for a step, with the manifest that led to it.
#[derive(Debug)]
pub struct Found {
    /// What a run with these inputs made.
    pub entry: StepEntry,
    /// Its key.
    pub key: Digest,
    /// The path set, where it was not the first.
    pub(crate) promoted: Option<PathSet>,
}

/// What a look-up found.
#[derive(Debug)]
pub enum LookedUp {
    /// An entry.
    Hit(Box<Found>),
    /// None; why.
    Miss(MissReason),
}

impl<'a> Engine<'a> {
    /// Looks a step up.
    #[must_use]
    pub fn look_up(&self, step: &Step<'_>) -> LookedUp {
        let manifest = step.manifest();
        let sets = match self.path_sets(&manifest) {
            Ok(sets) => sets,
            Err(StoreError::Corrupt) => return LookedUp::Miss(MissReason::EntryCorrupt),
            Err(error) => return LookedUp::Miss(unavailable(&error)),
        };
        let mut fault = None;
        for (index, set) in sets.iter().enumerate() {
            let key = self.present(step).observe(&manifest, set).digest();
            match self.entry(&key) {
                Ok(Some(entry)) => {
                    return LookedUp::Hit(Box::new(Found {
                        entry,
                        key,
                        promoted: (index > 0).then(|| set.clone()),
                    }));
                }
                Ok(None) => {}
                Err(reason) => fault = Some(reason),
            }
        }
        LookedUp::Miss(fault.unwrap_or_else(|| self.reason(step, &manifest)))
    }

    /// What differs from when the step was last found or stored.
    fn reason(&self, step: &Step<'_>, manifest: &Manifest) -> MissReason {
        for name in &step.known_as {
            let Ok(Some(record)) = self.store.get_record(Space::Latest, name) else {
                continue;
            };
            let Ok(key) = <[u8; 32]>::try_from(record.payload.as_slice()) else {
                continue;
            };
            let Ok(Some(entry)) = self.entry(&Digest::from_bytes(key)) else {
                return MissReason::Evicted;
            };
            let names = step::names(&entry.manifest);
            let now = self.present(step).observe(manifest, &names);
            if now == entry.manifest {
                return MissReason::Evicted;
            }
            let changes = explain::changes(&entry.manifest, &now);
            return MissReason::Changed { changes };
        }
        MissReason::NeverSeen
    }

    /// The entry under a key.
    ///
    /// # Errors
    /// Why it cannot be had, though something is there.
    pub fn entry(&self, key: &Digest) -> Result<Option<StepEntry>, MissReason> {
        match self.store.get_record(Space::Entries, key) {
            Ok(Some(record)) => match StepEntry::decode(&record.payload) {
                Some(entry) => Ok(Some(entry)),
                None => {
                    let _ = self.store.remove_record(Space::Entries, key);
                    Err(MissReason::EntryCorrupt)
                }
            },
            Ok(None) => Ok(None),
            Err(StoreError::Corrupt) => Err(MissReason::EntryCorrupt),
            Err(error) => Err(unavailable(&error)),
        }
    }

    pub(crate) fn present<'s>(&'s self, step: &'s Step<'_>) -> Present<'s> {
        Present {
            files: self.files,
            environment: step.environment,
            roots: &step.roots,
            shown: &step.shown,
            was_missing: None,
        }
    }

    fn path_sets(&self, manifest: &Manifest) -> Result<PathSets, StoreError> {
        let record = self.store.get_record(Space::PathSets, &manifest.digest())?;
        Ok(record
            .and_then(|record| PathSets::decode(&record.payload))
            .unwrap_or_default())
    }

    /// Puts a path set first among those of its step. Two processes that do so at once may lose one of two
    /// sets: that costs a miss.
    pub(crate) fn promote(&self, manifest: &Manifest, set: PathSet) -> Result<(), StoreError> {
        let mut sets = self.path_sets(manifest).unwrap_or_default();
        if sets.promote(set) {
            let key = manifest.digest();
            self.store
                .put_record(Space::PathSets, &key, &[], &sets.encode())?;
        }
        Ok(())
    }

    /// Remembers under which key a step was last found or stored.
    pub(crate) fn remember(&self, step: &Step<'_>, key: &Digest) -> Result<(), StoreError> {
        for name in &step.known_as {
            let known = self.store.get_record(Space::Latest, name).ok().flatten();
            if known.is_none_or(|record| record.payload != key.as_bytes()) {
                self.store
                    .put_record(Space::Latest, name, &[], key.as_bytes())?;
            }
        }
        Ok(())
    }
}

pub(crate) fn unavailable(error: &StoreError) -> MissReason {
    MissReason::StoreUnavailable {
        error: error.to_string(),
    }
}
