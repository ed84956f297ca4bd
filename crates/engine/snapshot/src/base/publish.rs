//! Writing down where a snapshot is found.

use std::time::{Duration, Instant};

use rekindle_base::{Digest, Moment};
use rekindle_store::{LocalStore, Space, Store, StoreError};

use super::{Name, POINTER_VERSION, Wanted, read};
use crate::model::Pointer;
use crate::union;

/// How many trees of one project, toolchain and profile directory are kept. Enough for the branches
/// that a team works on at a time, since those that are used as bases stay.
pub const KEPT_TREES: usize = 32;

/// A pointer leads to no more profile directories than this.
pub(super) const DIRS_MAX: usize = 16;

/// Another publisher is done in milliseconds; one that was stopped is not waited for.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_POLL: Duration = Duration::from_millis(2);

/// Version of an index.
const INDEX_VERSION: u32 = 1;

/// A snapshot that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its trees by profile directory; their records are stored already.
    pub trees: Vec<(String, Digest)>,
    /// Whether the work tree was as the commit says. Without git: no.
    pub clean: bool,
    /// When.
    pub at: Moment,
}

/// Makes a snapshot the one that its commit, branch, lock file, directory, project and toolchain lead
/// to, and drops the trees that are too many.
///
/// - Under each name, trees of profile directories that this snapshot does not have stay as long as
///   they exist: the job that builds `release` does not hide the `debug` of another.
/// - Two snapshots of one commit and one profile directory become one that has the units of both: the
///   job that tests does not hide what another checked.
/// - A snapshot of edited sources does not replace one of the commit itself, under the commit's and
///   the branch's name: others who check the commit out have its sources, not these. It is found by
///   its directory, where the edits are.
/// - Of each profile directory, the [`KEPT_TREES`] that were used last stay. By use, not by age: the
///   default branch's newest is older than a day's pull requests, and is what they all begin with.
///
/// # Errors
/// Where the store cannot be written. Each name's record is whole all the same, old or new.
pub fn publish(store: &LocalStore, wanted: &Wanted, made: &Made) -> Result<(), StoreError> {
    if made.trees.is_empty() {
        return Ok(());
    }
    let _lock = lock(store)?;
    let commit = wanted.git.as_ref().map(|git| git.head.clone());
    let mut fresh = Pointer {
        version: POINTER_VERSION,
        commit: commit.unwrap_or_default(),
        clean: made.clean,
        at_ms: made.at.0,
        trees: made.trees.clone(),
    };
    if made.clean {
        join(store, wanted, &mut fresh.trees)?;
    }
    for name in names(wanted) {
        let key = name.digest(wanted);
        let old = read(store, &key);
        if let (Some(old), Name::Commit(commit)) = (&old, name)
            && commit != fresh.commit
            && old.commit == commit
        {
            // A merge stands in for a commit; the commit's own snapshot is better.
            continue;
        }
        let pointer = merged(store, name, old, &fresh);
        let payload = encoded(&pointer)?;
        store.put_record(Space::Pointers, &key, &[], &payload)?;
    }
    let mut stored = made.trees.clone();
    stored.extend(fresh.trees);
    stored.dedup();
    for (dir, tree) in &stored {
        bound(store, &Name::Index(dir).digest(wanted), *tree)?;
    }
    Ok(())
}

/// Replaces trees by what they and those of another snapshot of this very commit have together.
fn join(
    store: &LocalStore,
    wanted: &Wanted,
    trees: &mut [(String, Digest)],
) -> Result<(), StoreError> {
    let Some(git) = &wanted.git else {
        return Ok(());
    };
    let old = read(store, &Name::Commit(&git.head).digest(wanted));
    let Some(old) = old.filter(|old| old.clean && old.commit == git.head) else {
        return Ok(());
    };
    for (dir, tree) in trees {
        let other = old.trees.iter().find(|(other, _)| other == dir);
        if let Some((_, other)) = other.filter(|(_, other)| other != tree)
            && let Some(union) = union::stored(store, tree, other)?
        {
            *tree = union;
        }
    }
    Ok(())
}

/// The pointers are changed by one at a time, so that none of two jobs that end together is lost. Who
/// does not get the lock goes on: at worst the other's trees are not found.
pub(super) fn lock(store: &LocalStore) -> Result<Option<impl Drop>, StoreError> {
    let began = Instant::now();
    loop {
        if let Some(lock) = store.try_lock_pointers()? {
            return Ok(Some(lock));
        }
        if began.elapsed() > LOCK_WAIT {
            return Ok(None);
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// Every name that leads to a snapshot for `wanted`.
fn names(wanted: &Wanted) -> Vec<Name<'_>> {
    let mut names = vec![Name::Directory, Name::Project, Name::Toolchain];
    names.extend(wanted.lock.as_ref().map(Name::Lock));
    if let Some(git) = &wanted.git {
        names.push(Name::Commit(&git.head));
        names.extend(git.stands_for.iter().map(|commit| Name::Commit(commit)));
        names.extend(git.branch.as_deref().map(Name::Branch));
    }
    names
}

fn merged(store: &LocalStore, name: Name<'_>, old: Option<Pointer>, fresh: &Pointer) -> Pointer {
    let Some(old) = old else {
        return fresh.clone();
    };
    let of_commits = matches!(name, Name::Commit(_) | Name::Branch(_));
    let old_stays = of_commits && old.clean && !fresh.clean && old.commit == fresh.commit;
    let (mut first, second) = if old_stays {
        (old, fresh.clone())
    } else {
        (fresh.clone(), old)
    };
    first.trees.retain(|(_, tree)| exists(store, tree));
    for (dir, tree) in second.trees {
        let has = first.trees.iter().any(|(other, _)| *other == dir);
        if !has && exists(store, &tree) {
            first.trees.push((dir, tree));
        }
    }
    first.trees.truncate(DIRS_MAX);
    first
}

pub(super) fn exists(store: &LocalStore, tree: &Digest) -> bool {
    store.last_use_ns(Space::Trees, tree).is_some()
}

pub(super) fn encoded<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|error| StoreError::Io(std::io::Error::other(error)))
}

/// Adds a tree to an index and drops the records of those that are too many: their objects go with
/// the next eviction. The index: postcard of its version and the trees' digests.
pub(super) fn bound(store: &LocalStore, index: &Digest, tree: Digest) -> Result<(), StoreError> {
    let mut others = by_use(store, index);
    others.retain(|(_, other)| *other != tree);
    let too_many = others.split_off(others.len().min(KEPT_TREES - 1));
    let mut kept = vec![tree];
    kept.extend(others.into_iter().map(|(_, other)| other));
    // First the index: a kill in between leaves a tree that the store's budget bounds.
    let payload = encoded(&(INDEX_VERSION, kept))?;
    store.put_record(Space::Pointers, index, &[], &payload)?;
    for (_, other) in too_many {
        store.remove_record(Space::Trees, &other)?;
    }
    Ok(())
}

/// The trees of an index that are there, the newest use first; what was in front stays there among
/// equals.
pub(super) fn by_use(store: &LocalStore, index: &Digest) -> Vec<(i64, Digest)> {
    let record = store.get_record(Space::Pointers, index).ok().flatten();
    let known = record.and_then(|record| {
        let (version, trees) = postcard::from_bytes::<(u32, Vec<Digest>)>(&record.payload).ok()?;
        (version == INDEX_VERSION).then_some(trees)
    });
    let mut trees: Vec<(i64, Digest)> = known
        .unwrap_or_default()
        .into_iter()
        .filter_map(|tree| Some((store.last_use_ns(Space::Trees, &tree)?, tree)))
        .collect();
    trees.sort_by_key(|(used_ns, _)| std::cmp::Reverse(*used_ns));
    trees
}
