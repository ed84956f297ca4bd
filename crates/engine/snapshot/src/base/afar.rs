//! Names that other machines find a snapshot by.
//!
//! They are those of this machine's pointers but for directories, with the profile directories that the command builds in: two jobs
//! that build `debug` and `release` of one commit do not take each other's place. A request costs more than a look
//! on a disk, so fewer commits are looked for; the newest of a branch stands for the rest.

use rekindle_base::{Digest, DigestHasher};
use rekindle_store::{LocalStore, Space, Store, StoreError};

use super::publish::{DIRS_MAX, bound, encoded, exists, lock};
use super::{Name, POINTER_VERSION, Wanted, read};
use crate::model::Pointer;
use crate::union;

/// Commits before the one that is checked out that are looked for.
const ANCESTORS: usize = 3;
/// Branches that are looked for besides the own one.
const TARGETS: usize = 2;

fn afar(name: Name<'_>, wanted: &Wanted) -> Digest {
    let mut hasher = DigestHasher::new();
    hasher
        .field(b"rekindle afar 1")
        .field(name.digest(wanted).as_bytes());
    for dir in &wanted.dirs {
        hasher.field(dir.as_bytes());
    }
    hasher.finish()
}

/// Where to look, the best first.
fn read_names(wanted: &Wanted) -> Vec<Name<'_>> {
    let mut names = Vec::new();
    if let Some(git) = &wanted.git {
        names.push(Name::Commit(&git.head));
        let before = git.ancestors.iter().take(ANCESTORS);
        names.extend(before.map(|ancestor| Name::Commit(&ancestor.commit)));
        names.extend(git.branch.as_deref().map(Name::Branch));
        names.extend(
            git.targets
                .iter()
                .take(TARGETS)
                .map(|name| Name::Branch(name)),
        );
    }
    names.extend(wanted.lock.as_ref().map(Name::Lock));
    names.extend([Name::Project, Name::Toolchain]);
    names
}

/// The names that a save for `wanted` may be found by, the best first.
#[must_use]
pub fn names_to_read(wanted: &Wanted) -> Vec<Digest> {
    let names = read_names(wanted).into_iter();
    names.map(|name| afar(name, wanted)).collect()
}

/// The names that a save of `wanted` is to be found by, the best first. One of edited sources does not take the place of the
/// commit's own.
#[must_use]
pub fn names_to_write(wanted: &Wanted, clean: bool) -> Vec<Digest> {
    let mut names = Vec::new();
    if let Some(git) = wanted.git.as_ref().filter(|_| clean) {
        names.push(Name::Commit(&git.head));
        names.extend(git.stands_for.iter().map(|commit| Name::Commit(commit)));
        names.extend(git.branch.as_deref().map(Name::Branch));
    }
    names.extend(wanted.lock.as_ref().map(Name::Lock));
    names.extend([Name::Project, Name::Toolchain]);
    names.into_iter().map(|name| afar(name, wanted)).collect()
}

/// What this directory's last run made, with its payload as others may adopt it.
#[must_use]
pub fn made(store: &LocalStore, wanted: &Wanted) -> Option<(Pointer, Vec<u8>)> {
    let pointer = read(store, &Name::Directory.digest(wanted))?;
    let payload = encoded(&pointer).ok()?;
    Some((pointer, payload))
}

/// The trees that a pointer's payload leads to; `None` where it is none.
#[must_use]
pub fn trees(payload: &[u8]) -> Option<Vec<(String, Digest)>> {
    let pointer: Pointer = postcard::from_bytes(payload).ok()?;
    (pointer.version == POINTER_VERSION).then_some(pointer.trees)
}

/// What a pointer and another one's payload lead to together, where both are of one clean commit: the job that tests does
/// not hide what another checked at the same time. The records of both are in the store. `None` where the other adds
/// nothing.
#[must_use]
pub fn joined(store: &LocalStore, pointer: &Pointer, theirs: &[u8]) -> Option<(Pointer, Vec<u8>)> {
    let theirs: Pointer = postcard::from_bytes(theirs).ok()?;
    let is_of_same = theirs.version == POINTER_VERSION
        && theirs.commit == pointer.commit
        && !pointer.commit.is_empty()
        && theirs.clean
        && pointer.clean;
    if !is_of_same {
        return None;
    }
    let mut joined = pointer.clone();
    for (dir, other) in theirs.trees {
        match joined.trees.iter_mut().find(|(own, _)| *own == dir) {
            None => joined.trees.push((dir, other)),
            Some((_, tree)) if *tree == other => {}
            Some((_, tree)) => {
                if let Ok(Some(union)) = union::stored(store, tree, &other) {
                    *tree = union;
                }
            }
        }
    }
    joined.trees.truncate(DIRS_MAX);
    let payload = encoded(&joined).ok()?;
    (joined.trees != pointer.trees).then_some((joined, payload))
}

/// Takes over a pointer that was found afar under the name `at` of [`names_to_read`], whose trees are in the store now: what
/// [`super::choose`] would find first here stays where it is as good.
///
/// # Errors
/// Where the store cannot be written.
pub fn adopt(
    store: &LocalStore,
    wanted: &Wanted,
    (at, payload): (usize, &[u8]),
) -> Result<(), StoreError> {
    let Ok(mut pointer) = postcard::from_bytes::<Pointer>(payload) else {
        return Ok(());
    };
    let names = read_names(wanted);
    let Some(name) = names.get(at).filter(|_| pointer.version == POINTER_VERSION) else {
        return Ok(());
    };
    pointer.trees.retain(|(_, tree)| exists(store, tree));
    if pointer.trees.is_empty() {
        return Ok(());
    }
    let _lock = lock(store)?;
    let key = name.digest(wanted);
    if let Some(old) = read(store, &key) {
        let is_newer = old.at_ms >= pointer.at_ms;
        let (first, second) = if is_newer {
            (old, pointer)
        } else {
            (pointer, old)
        };
        pointer = first;
        pointer.trees.retain(|(_, tree)| exists(store, tree));
        for (dir, tree) in second.trees {
            let has = pointer.trees.iter().any(|(other, _)| *other == dir);
            if !has && exists(store, &tree) {
                pointer.trees.push((dir, tree));
            }
        }
    }
    store.put_record(Space::Pointers, &key, &[], &encoded(&pointer)?)?;
    for (dir, tree) in &pointer.trees {
        bound(store, &Name::Index(dir).digest(wanted), *tree)?;
    }
    Ok(())
}
