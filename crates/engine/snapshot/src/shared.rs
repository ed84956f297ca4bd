//! What of snapshots goes to other machines.

use std::collections::HashSet;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_store::LocalStore;

use crate::model::{Body, File, Form};
use crate::trees;

/// The objects of some trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Those that a restore places with their bytes, in its order, each once.
    pub placed: Vec<(Digest, u64)>,
    /// Those that are incremental state and nothing else: it is large, changes with every edit, and a compiler takes it for
    /// another's in another directory.
    pub incremental: HashSet<Digest>,
}

/// The objects of the trees that the store has.
#[must_use]
pub fn objects(store: &LocalStore, trees: &[Digest]) -> Objects {
    let mut objects = Objects::default();
    let (mut of_units, mut placed) = (HashSet::new(), HashSet::new());
    for tree in trees.iter().filter_map(|tree| trees::get(store, tree)) {
        for file in tree.units.iter().flat_map(|unit| &unit.files) {
            let Body::Object(object) = &file.body else {
                continue;
            };
            of_units.insert(object.digest);
            if object.form == Form::Real && placed.insert(object.digest) {
                objects.placed.push((object.digest, object.size));
            }
        }
        let states = tree.incremental.iter().flat_map(|state| &state.files);
        objects.incremental.extend(states.filter_map(digest));
    }
    objects
        .incremental
        .retain(|digest| !of_units.contains(digest));
    objects
}

fn digest(file: &File) -> Option<Digest> {
    match &file.body {
        Body::Object(object) => Some(object.digest),
        _ => None,
    }
}

/// The keys of the records of a lock file's packages, as far as their registries are known.
#[must_use]
pub fn packages(store: &LocalStore, lock: &Path) -> Vec<Digest> {
    crate::registry::keys(store, lock)
}
