//! Bringing what many placeholders stand for from beyond the store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rekindle_base::Digest;
use rekindle_store::{LocalStore, beyond};

use crate::placeholder::Placeholder;

/// Brings at once what is beyond the store, if anything is: one after the other would take as many round trips. `files` has the
/// names of each.
pub(crate) fn placeholders(files: &[Vec<PathBuf>]) {
    if files.len() < 2 || !beyond::is_set() {
        return;
    }
    let mut wanted: BTreeMap<PathBuf, Vec<(Digest, u64)>> = BTreeMap::new();
    for path in files.iter().filter_map(|names| names.first()) {
        if let Ok(Some(placeholder)) = Placeholder::read(path) {
            let object = (placeholder.digest, placeholder.size);
            wanted.entry(placeholder.store).or_default().push(object);
        }
    }
    for (store, objects) in wanted {
        LocalStore::open(&store).bring_objects(&objects);
    }
}
