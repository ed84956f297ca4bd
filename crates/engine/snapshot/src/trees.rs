//! Trees as records of the store.

use rekindle_base::Digest;
use rekindle_key::entry::is_plain;
use rekindle_store::{LocalStore, Space, Store, StoreError};

use crate::model::{Body, File, Tree};

/// The version of the format that this code writes.
pub const VERSION: u32 = 7;

/// Stores a tree; its name.
///
/// # Errors
/// [`StoreError`].
pub fn put(store: &LocalStore, tree: &Tree) -> Result<Digest, StoreError> {
    let payload = postcard::to_stdvec(tree).map_err(std::io::Error::other)?;
    let digest = Digest::of(&payload);
    let mut refs: Vec<Digest> = files(tree)
        .filter_map(|file| match &file.body {
            Body::Object(object) => Some(object.digest),
            _ => None,
        })
        .collect();
    refs.sort_unstable();
    refs.dedup();
    store.put_record(Space::Trees, &digest, &refs, &payload)?;
    Ok(digest)
}

/// A tree; `None` where it is gone, damaged, of another version, or names files that no build makes.
#[must_use]
pub fn get(store: &LocalStore, digest: &Digest) -> Option<Tree> {
    let record = store.get_record(Space::Trees, digest).ok()??;
    decode(&record.payload)
}

/// Reads a payload.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Tree> {
    let tree: Tree = postcard::from_bytes(bytes).ok()?;
    let indices_ok = tree.units.iter().all(|unit| {
        let inputs_ok = unit
            .inputs
            .iter()
            .all(|index| (*index as usize) < tree.inputs.len());
        inputs_ok && same_ok(&unit.files)
    });
    let incremental_ok = tree
        .incremental
        .iter()
        .all(|state| is_plain(&state.name) && same_ok(&state.files));
    let ok = tree.version == VERSION && indices_ok && incremental_ok && files(&tree).all(file_ok);
    ok.then_some(tree)
}

fn files(tree: &Tree) -> impl Iterator<Item = &File> {
    let of_units = tree.units.iter().flat_map(|unit| &unit.files);
    of_units.chain(tree.incremental.iter().flat_map(|state| &state.files))
}

/// Another name of a file comes after that file.
fn same_ok(files: &[File]) -> bool {
    files.iter().enumerate().all(|(at, file)| match file.body {
        Body::Same(first) => (first as usize) < at,
        _ => true,
    })
}

/// Trees may come from elsewhere: a name must not lead out of the profile directory, nor a link that a
/// later file could follow.
fn file_ok(file: &File) -> bool {
    file.path.split('/').all(is_plain) && file.mode <= 0o777
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Site, Unit};

    fn tree(paths: &[&str], body: &Body) -> Tree {
        let files = paths.iter().map(|path| File {
            path: (*path).to_owned(),
            mode: 0o644,
            body: body.clone(),
        });
        Tree {
            version: VERSION,
            site: Site {
                workspace: b"/w".to_vec(),
                target: b"/w/target".to_vec(),
                cargo_home: b"/c".to_vec(),
            },
            revision: String::new(),
            generation: 0,
            inputs: Vec::new(),
            units: vec![Unit {
                id: "0123456789abcdef".into(),
                package: "x".into(),
                used: 0,
                inputs: Vec::new(),
                build: Digest::of(b"x"),
                deps: Vec::new(),
                path_bound: false,
                home: crate::model::Home::default(),
                files: files.collect(),
            }],
            incremental: Vec::new(),
            beside: Vec::new(),
        }
    }

    fn read_back(tree: &Tree) -> Option<Tree> {
        decode(&postcard::to_stdvec(tree).unwrap())
    }

    #[test]
    fn a_tree_cannot_name_a_file_elsewhere() {
        let good = tree(&["deps/liba.rlib"], &Body::Directory);
        assert_eq!(read_back(&good), Some(good));
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "deps/../../x",
            "deps//x",
            "a\0b",
            "./x",
        ] {
            assert_eq!(
                read_back(&tree(&[path], &Body::Directory)),
                None,
                "{path:?}"
            );
        }
    }

    #[test]
    fn indices_lead_to_what_is_there() {
        assert_eq!(read_back(&tree(&["a"], &Body::Same(0))), None);
        let mut wrong = tree(&["a"], &Body::Directory);
        wrong.units[0].inputs.push(0);
        assert_eq!(read_back(&wrong), None);
        let mut newer = tree(&["a"], &Body::Directory);
        newer.version += 1;
        assert_eq!(read_back(&newer), None);
    }

    #[test]
    fn a_stored_tree_refers_to_its_objects() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path());
        let tree = tree(&["a", "b"], &Body::Inline(b"x".to_vec()));
        let digest = put(&store, &tree).unwrap();
        assert_eq!(get(&store, &digest), Some(tree));
        assert_eq!(get(&store, &Digest::of(b"other")), None);
    }
}
