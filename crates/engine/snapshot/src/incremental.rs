//! The compiler's incremental state: of every crate the newest session that was finished, where it is
//! known which unit's compile reads it. It waits beside the target until then (see
//! [`rekindle_outputs::incremental`]).

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use rekindle_base::{Digest, DigestHasher};
use rekindle_fsx::FileKind;
use rekindle_outputs::incremental::{
    Bytes, Piece, WISH, Waiting, crate_name, mark_name, newest_session,
};
use rekindle_store::{LocalStore, Space, Store, StoreError};

use crate::capture::Captured;
use crate::captured::{Capturing, relative};
use crate::layout::{Profile, is_hash_name};
use crate::model::{Body, File, Form, Incremental, Object, Site, Tree, Unit};
use crate::trees;

/// Crates of one name whose state is kept: a library, its tests, what `check` has of both.
const PER_CRATE_MAX: usize = 4;
/// State that is larger than this is left: placing it would cost more than it saves.
const CRATE_MAX_BYTES: u64 = 256 << 20;
/// Files up to this size are part of the tree.
const INLINE_MAX_BYTES: u64 = 1 << 10;

/// The state that goes into a tree with these units.
pub(crate) fn capture(
    all: &Capturing<'_>,
    profile: &Profile,
    (written, last): (&HashMap<String, String>, Option<&Tree>),
    (units, there_ids): (&[Unit], &HashSet<String>),
    generation: u32,
    captured: &mut Captured,
) -> io::Result<Vec<Incremental>> {
    let root = profile.path.join("incremental");
    let before: HashMap<&str, &Incremental> = last
        .iter()
        .flat_map(|tree| &tree.incremental)
        .map(|state| (state.name.as_str(), state))
        .collect();
    let crates = crate_names(units);
    // A unit may be there and not be captured: it has state all the same.
    let is_live = |name: &str| {
        let unit = written.get(name).or_else(|| Some(&before.get(name)?.unit));
        crates.contains(crate_name(name)) || unit.is_some_and(|unit| there_ids.contains(unit))
    };
    let mut states = Vec::new();
    let mut there = HashSet::new();
    for name in rekindle_fsx::list_names(&root)? {
        let Ok(name) = name.into_string() else {
            continue;
        };
        // Names of ours have a dot: what waits, and what was being placed.
        if name.contains('.') || !is_live(&name) {
            continue;
        }
        let Some(session) = newest_session(&root.join(&name))? else {
            continue;
        };
        there.insert(name.clone());
        let same = before.get(name.as_str()).filter(|state| {
            let prefix = format!("incremental/{name}/{session}/");
            state
                .files
                .iter()
                .any(|file| file.path.starts_with(&prefix))
        });
        match same {
            Some(state) => states.push((*state).clone()),
            None => {
                // A state that some other tool wrote is of no use: nobody knows whose it is.
                let earlier = before.get(name.as_str()).map(|state| &state.unit);
                let Some(unit) = written.get(&name).or(earlier) else {
                    continue;
                };
                if let Some(files) = session_files(all, profile, (&name, &session), captured)? {
                    states.push(Incremental {
                        unit: unit.clone(),
                        used: generation,
                        paid: before.contains_key(name.as_str()),
                        name,
                        files,
                    });
                }
            }
        }
    }
    let others = before.values().filter(|state| !there.contains(&state.name));
    let others = others.filter(|state| is_live(&state.name)).copied();
    let others: Vec<Incremental> = others.cloned().collect();
    states.extend(others);
    mark(&mut states, &all.saw.without_state, generation);
    Ok(bounded(states))
}

/// Notes which units were compiled without writing state.
fn mark(states: &mut Vec<Incremental>, without: &HashMap<String, String>, generation: u32) {
    let written: HashSet<String> = states
        .iter()
        .filter(|state| !state.files.is_empty())
        .map(|state| state.unit.clone())
        .collect();
    states.retain(|state| !state.files.is_empty() || !written.contains(&state.unit));
    states.extend(without.iter().map(|(unit, crate_name)| Incremental {
        name: mark_name(crate_name, unit),
        unit: unit.clone(),
        used: generation,
        paid: false,
        files: Vec::new(),
    }));
}

/// Notes that a tree has the state that compiles of its generation wrote, for trees which have none: those of
/// commits before it, and what is built from them.
pub(crate) fn note(store: &LocalStore, digest: &Digest, tree: &Tree) -> Result<(), StoreError> {
    for state in &tree.incremental {
        if state.used == tree.generation && !state.files.is_empty() {
            let key = key_of(&tree.site, &state.unit);
            store.put_record(Space::Memos, &key, &[], digest.as_bytes())?;
        }
    }
    Ok(())
}

/// Puts state of other trees in a tree, where its own compiles wrote none. To the compiler the state of any sources
/// is a beginning.
pub(crate) fn recall(store: &LocalStore, tree: &mut Tree) {
    let mut others = HashMap::new();
    let site = &tree.site;
    let marks = tree.incremental.iter_mut();
    for mark in marks.filter(|state| state.files.is_empty()) {
        let noted = store.get_record(Space::Memos, &key_of(site, &mark.unit));
        let noted = noted.ok().flatten();
        let digest =
            noted.and_then(|record| Some(Digest::from_bytes(record.payload.try_into().ok()?)));
        let Some(digest) = digest else {
            continue;
        };
        let other = others
            .entry(digest)
            .or_insert_with(|| trees::get(store, &digest));
        let states = other.iter().filter(|other| other.site == *site);
        let mut states = states.flat_map(|other| &other.incremental);
        if let Some(state) = states.find(|state| state.unit == mark.unit) {
            *mark = Incremental {
                used: mark.used,
                ..state.clone()
            };
        }
    }
}

fn key_of(site: &Site, unit: &str) -> Digest {
    DigestHasher::new()
        .field(b"tree with a unit's incremental state")
        .field(&site.workspace)
        .field(&site.target)
        .field(unit.as_bytes())
        .finish()
}

/// Crates that some unit is: targets' names, from the names of fingerprints.
fn crate_names(units: &[Unit]) -> HashSet<String> {
    let hash = |unit: &Unit| {
        let name = unit.files.last()?.path.rsplit('/').next()?.to_owned();
        is_hash_name(&name).then_some(name)
    };
    let mut names = HashSet::new();
    for name in units.iter().filter_map(hash) {
        // `test-integration-test-x` or `lib-x`: every ending may be the target's name.
        for (at, _) in name.match_indices('-') {
            names.insert(name[at + 1..].replace('-', "_"));
        }
    }
    names
}

/// The newest of each crate's, by use.
fn bounded(mut states: Vec<Incremental>) -> Vec<Incremental> {
    states.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
    let mut of_crate: HashMap<String, usize> = HashMap::new();
    states.retain(|state| {
        let count = of_crate
            .entry(crate_name(&state.name).to_owned())
            .or_default();
        *count += 1;
        *count <= PER_CRATE_MAX
    });
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}

/// Leaves the states of a tree in a profile directory, for their units' compiles to find.
pub(crate) fn leave(store: &LocalStore, root: &Path, states: &[Incremental]) -> io::Result<u64> {
    let dir = root.join("incremental");
    let mut bytes = 0;
    for state in states {
        let prefix = format!("incremental/{}/", state.name);
        let pieces = state.files.iter().filter_map(|file| {
            let content = match &file.body {
                Body::Inline(bytes) => Bytes::Inline(bytes.clone()),
                Body::Object(object) => Bytes::Object(object.digest, object.size),
                _ => return None,
            };
            Some(Piece {
                path: file.path.strip_prefix(&prefix)?.to_owned(),
                bytes: content,
            })
        });
        let pieces: Vec<Piece> = pieces.collect();
        // A form that no capture of ours makes.
        if pieces.len() < state.files.len() {
            continue;
        }
        rekindle_fsx::create_dir_all(&dir)?;
        Waiting::new(store, &state.name, pieces, state.paid).leave(&dir, &state.unit)?;
        bytes += state.bytes();
    }
    Ok(bytes)
}

/// A session's files and its lock; `None` where it is too large.
fn session_files(
    all: &Capturing<'_>,
    profile: &Profile,
    (name, session): (&str, &str),
    captured: &mut Captured,
) -> io::Result<Option<Vec<File>>> {
    let dir = profile.path.join("incremental").join(name);
    let entries = rekindle_fsx::list_dir(&dir.join(session))?;
    let size_bytes: u64 = entries.iter().map(|entry| entry.sig.size).sum();
    if size_bytes > CRATE_MAX_BYTES {
        return Ok(None);
    }
    // `s-<time>-<random>-<hash>` is locked by `s-<time>-<random>.lock`.
    let lock = session.rsplit_once('-').map_or("", |(start, _)| start);
    let mut files = vec![File {
        path: format!("incremental/{name}/{lock}.lock"),
        mode: 0o644,
        body: Body::Inline(Vec::new()),
    }];
    for entry in entries {
        if entry.sig.kind() != FileKind::File {
            return Ok(None);
        }
        let Some(path) = relative(&profile.path, &entry.path) else {
            return Ok(None);
        };
        let body = if entry.sig.size <= INLINE_MAX_BYTES {
            Body::Inline(rekindle_fsx::read(&entry.path)?)
        } else {
            let stored = all
                .store
                .put_object(&entry.path, WISH)
                .map_err(|error| io::Error::other(error.to_string()))?;
            captured.hashed_bytes += stored.size;
            captured.stored_bytes += if stored.new { stored.size } else { 0 };
            Body::Object(Object {
                digest: stored.digest,
                size: stored.size,
                form: Form::Text,
                known: None,
                localised: false,
            })
        };
        files.push(File {
            path,
            mode: entry.sig.mode & 0o777,
            body,
        });
    }
    Ok(Some(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of one state, or the mark that there is none, made in a workspace.
    fn tree(workspace: &str, files: Vec<File>) -> Tree {
        let state = Incremental {
            name: "app-1xyz".to_owned(),
            unit: "0123".to_owned(),
            used: 1,
            paid: false,
            files,
        };
        let mut tree = Tree::of(Vec::new(), vec![state]);
        tree.site.workspace = workspace.into();
        tree
    }

    #[test]
    fn state_of_another_tree_serves_where_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path());
        let file = File {
            path: "incremental/app-1xyz/s-a-b-c/x.o".to_owned(),
            mode: 0o644,
            body: Body::Inline(b"object code".to_vec()),
        };
        let with = tree("/w", vec![file]);
        let digest = trees::put(&store, &with).unwrap();
        note(&store, &digest, &with).unwrap();
        let recalled = |workspace: &str| {
            let mut tree = tree(workspace, Vec::new());
            recall(&store, &mut tree);
            tree.incremental[0].files.len()
        };
        assert_eq!(recalled("/w"), 1);
        assert_eq!(recalled("/elsewhere"), 0);
        store.remove_record(Space::Trees, &digest).unwrap();
        assert_eq!(recalled("/w"), 0, "what is gone is done without");
    }

    #[test]
    fn a_crate_keeps_a_few_states() {
        let state = |name: &str, used| Incremental {
            name: name.to_owned(),
            unit: String::new(),
            used,
            paid: false,
            files: Vec::new(),
        };
        let states = (0..6).map(|n| state(&format!("a-{n}"), n)).collect();
        let kept: Vec<u32> = bounded(states).iter().map(|state| state.used).collect();
        assert_eq!(kept, [2, 3, 4, 5]);
    }
}
