//! The compiler's incremental state, `incremental/<crate>-<hash>/s-<session>/…`: of every crate the
//! newest session that was finished.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use rekindle_fsx::FileKind;
use rekindle_fsx::place::Wish;
use rekindle_store::Store;

use crate::capture::Captured;
use crate::captured::{Capturing, relative};
use crate::layout::{Profile, is_hash_name};
use crate::model::{Body, File, Form, Incremental, Object, Tree, Unit};

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
    last: Option<&Tree>,
    units: &[Unit],
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
    let is_live = |name: &str| {
        let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
        crates.contains(name)
    };
    let mut states = Vec::new();
    let mut there = HashSet::new();
    for name in rekindle_fsx::list_names(&root)? {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if !is_live(&name) {
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
                if let Some(files) = session_files(all, profile, (&name, &session), captured)? {
                    states.push(Incremental {
                        name,
                        used: generation,
                        files,
                    });
                }
            }
        }
    }
    let others = before.values().filter(|state| !there.contains(&state.name));
    states.extend(
        others
            .filter(|state| is_live(&state.name))
            .map(|state| (*state).clone()),
    );
    Ok(bounded(states))
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
        let name = state.name.rsplit_once('-').map_or("", |(name, _)| name);
        let count = of_crate.entry(name.to_owned()).or_default();
        *count += 1;
        *count <= PER_CRATE_MAX
    });
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}

/// Sessions begin with their time, in digits that sort. One that is under way ends in `-working`.
fn newest_session(dir: &Path) -> io::Result<Option<String>> {
    let names = rekindle_fsx::list_names(dir)?;
    let finished = names.into_iter().filter_map(|name| name.into_string().ok());
    Ok(finished
        .filter(|name| {
            name.starts_with("s-")
                && !name.ends_with("-working")
                && !name.ends_with(".lock")
                && name.matches('-').count() == 3
        })
        .max())
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
            let wish = Wish {
                hardlink: false,
                executable: false,
            };
            let stored = all
                .store
                .put_object(&entry.path, wish)
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

    #[test]
    fn the_newest_finished_session_counts() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "s-hoern00000-0aaaaaa-1bbbb",
            "s-hoern00001-0aaaaaa-1cccc",
            "s-hoern00002-0aaaaaa-working",
        ] {
            rekindle_fsx::create_dir_all(&dir.path().join(name)).unwrap();
        }
        let lock = dir.path().join("s-hoern00009-0aaaaaa.lock");
        rekindle_fsx::atomic::write(&lock, b"").unwrap();
        let newest = newest_session(dir.path()).unwrap();
        assert_eq!(newest.as_deref(), Some("s-hoern00001-0aaaaaa-1cccc"));
    }

    #[test]
    fn a_crate_keeps_a_few_states() {
        let state = |name: &str, used| Incremental {
            name: name.to_owned(),
            used,
            files: Vec::new(),
        };
        let states = (0..6).map(|n| state(&format!("a-{n}"), n)).collect();
        let kept: Vec<u32> = bounded(states).iter().map(|state| state.used).collect();
        assert_eq!(kept, [2, 3, 4, 5]);
    }
}
