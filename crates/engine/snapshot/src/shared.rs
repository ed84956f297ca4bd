//! What of snapshots goes to other machines.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_store::LocalStore;

use crate::model::{File, Incremental, Tree};
use crate::trees;

/// The objects of some trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Those that a restore places with their bytes, in its order, each once.
    pub placed: Vec<(Digest, u64)>,
    /// Those that stay here: incremental state of which there is too much.
    pub left_out: HashSet<Digest>,
}

/// Incremental state that goes to other machines is no more than this, unpacked, of all trees together: what was used last.
const STATE_MAX_BYTES: u64 = 512 << 20;

/// The objects of the trees that the store has.
#[must_use]
pub fn objects(store: &LocalStore, trees: &[Digest]) -> Objects {
    let mut objects = Objects::default();
    let trees: Vec<Tree> = trees
        .iter()
        .filter_map(|tree| trees::get(store, tree))
        .collect();
    let mut sent: HashSet<Digest> = HashSet::new();
    let mut placed = HashSet::new();
    let units = trees.iter().flat_map(|tree| &tree.units);
    for object in units.flat_map(|unit| &unit.files).filter_map(File::object) {
        sent.insert(object.digest);
        if object.form.is_placed() && placed.insert(object.digest) {
            objects.placed.push((object.digest, object.size));
        }
    }
    let mut states: Vec<&Incremental> = trees.iter().flat_map(|tree| &tree.incremental).collect();
    states.sort_by_key(|state| (Reverse(state.used), state.bytes()));
    let mut left_bytes = STATE_MAX_BYTES;
    let mut left_out = Vec::new();
    for state in states {
        let of_state = state.objects().map(|object| object.digest);
        match left_bytes.checked_sub(state.bytes()) {
            Some(left) => {
                left_bytes = left;
                sent.extend(of_state);
            }
            None => left_out.extend(of_state),
        }
    }
    left_out.retain(|digest| !sent.contains(digest));
    objects.left_out = left_out.into_iter().collect();
    objects
}

/// The keys of the records of a lock file's packages, as far as their registries are known.
#[must_use]
pub fn packages(store: &LocalStore, lock: &Path) -> Vec<Digest> {
    crate::registry::keys(store, lock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Body, Form, Object};

    /// State of a crate in one object that begins as its name does.
    fn state(name: &str, used: u32, size: u64) -> Incremental {
        let object = Object {
            digest: Digest::of(name.as_bytes()),
            size,
            form: Form::Text,
            known: None,
            localised: false,
        };
        Incremental {
            name: name.to_owned(),
            unit: name.to_owned(),
            used,
            paid: false,
            files: vec![File {
                path: format!("incremental/{name}/s-1-2-3/query-cache.bin"),
                mode: 0o644,
                body: Body::Object(object),
            }],
        }
    }

    fn left_out(incremental: Vec<Incremental>) -> HashSet<Digest> {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path());
        let tree = Tree::of(Vec::new(), incremental);
        let tree = trees::put(&store, &tree).unwrap();
        objects(&store, &[tree]).left_out
    }

    #[test]
    fn state_is_sent_within_its_bound_the_last_used_first() {
        let half = STATE_MAX_BYTES / 2;
        assert!(left_out(vec![state("a", 1, half), state("b", 1, half)]).is_empty());
        let three = vec![
            state("a", 2, half),
            state("b", 1, half),
            state("c", 2, half),
        ];
        assert_eq!(left_out(three), HashSet::from([Digest::of(b"b")]));
        // What is too large does not keep what is smaller from being sent.
        let two = vec![state("a", 2, STATE_MAX_BYTES + 1), state("b", 1, half)];
        assert_eq!(left_out(two), HashSet::from([Digest::of(b"a")]));
    }
}
