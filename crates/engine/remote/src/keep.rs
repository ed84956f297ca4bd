//! Minding a remote: what it holds, whether that is sound, what nobody needs, and moving it elsewhere.
//!
//! What leads to something is written after it, so whatever is read here in the opposite order is whole: tips, then indexes,
//! then packs. What is young may be a save under way and is never removed.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use rekindle_base::{Digest, progress};

use crate::blobs::{Kind, Listed, Name};
use crate::client::{Client, ClientError};
use crate::index::{Index, IndexError};
use crate::pack;
use crate::tip::{Key, Tip, TipError};

/// Kinds of blobs, in the order in which they are written.
pub const KINDS: [&str; 3] = ["packs", "index", "tips"];

/// A save takes no longer than this from its first pack to its tips.
const GRACE_MS: u64 = 24 * 60 * 60 * 1000;

/// The kind of a blob, by its name; `None` for what is not ours.
fn kind_of(name: &Name) -> Option<&'static str> {
    let (kind, _) = name.as_str().split_once('/')?;
    KINDS.into_iter().find(|known| *known == kind)
}

/// The digest that names a pack or an index.
fn digest_of(name: &Name) -> Option<Digest> {
    name.as_str().split_once('/')?.1.parse().ok()
}

/// How many blobs of each kind there are, and their bytes.
///
/// # Errors
/// [`ClientError`].
pub fn usage(client: &Client) -> Result<BTreeMap<&'static str, (u64, u64)>, ClientError> {
    let mut usage = BTreeMap::new();
    for kind in KINDS {
        let listed = client.list(&format!("{kind}/"))?;
        let bytes = listed.iter().map(|blob| blob.size).sum();
        usage.insert(kind, (listed.len() as u64, bytes));
    }
    Ok(usage)
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blobs that were read.
    pub blobs: u64,
    /// Objects in their packs.
    pub objects: u64,
    /// What is wrong: the blob, and how.
    pub bad: Vec<(Name, String)>,
    /// Whether these were removed.
    pub removed: bool,
}

/// Reads everything and compares it with its name, its signature and its digests; with `remove` removes what is wrong.
///
/// # Errors
/// Where the remote cannot be listed or read.
pub fn verify(client: &Client, key: Option<&Key>, remove: bool) -> Result<Verified, ClientError> {
    let mut verified = Verified {
        removed: remove,
        ..Verified::default()
    };
    let mut sound: HashSet<Digest> = HashSet::new();
    for kind in KINDS {
        for blob in expected(client.list(&format!("{kind}/"))?) {
            let bytes = match client.read(&blob.name, None) {
                Ok(bytes) => bytes,
                // Removed meanwhile.
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(error),
            };
            verified.blobs += 1;
            match wrong(&blob.name, &bytes, key, &sound) {
                Ok(objects) => {
                    verified.objects += objects;
                    sound.extend(digest_of(&blob.name).filter(|_| kind != "tips"));
                }
                Err(what) => {
                    if remove {
                        client.remove(&blob.name)?;
                    }
                    verified.bad.push((blob.name, what));
                }
            }
        }
    }
    Ok(verified)
}

/// How many objects a blob has; an error says what is wrong with it. `sound` has what was found sound so far.
fn wrong(
    name: &Name,
    bytes: &Bytes,
    key: Option<&Key>,
    sound: &HashSet<Digest>,
) -> Result<u64, String> {
    if kind_of(name) == Some("tips") {
        let tip = Tip::decode(bytes, name, key).map_err(|error| error.to_string())?;
        let leads = sound.contains(&tip.index);
        return leads
            .then_some(0)
            .ok_or_else(|| "it leads to an index that is gone or damaged".to_owned());
    }
    if digest_of(name) != Some(Digest::of(bytes)) {
        return Err("its bytes are not those that its name promises".to_owned());
    }
    if kind_of(name) == Some("packs") {
        let objects = pack::check_all(bytes).map_err(|error| error.to_string())?;
        return Ok(objects as u64);
    }
    let index = Index::decode(bytes).map_err(|error| error.to_string())?;
    let lost = index
        .packs
        .iter()
        .filter(|pack| !sound.contains(&pack.name))
        .count();
    if lost > 0 {
        return Err(format!("{lost} of its packs are gone or damaged"));
    }
    Ok(0)
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tips that were older than what is kept.
    pub tips: u64,
    /// Indexes that no tip leads to.
    pub indexes: u64,
    /// Packs that no index names.
    pub packs: u64,
    /// Bytes of all of these.
    pub bytes: u64,
    /// Bytes that remain.
    pub kept_bytes: u64,
}

/// Why a remote was not swept to the end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The remote did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What a later Rekindle saved may need anything.
    #[error("a later version of rekindle saved to it: sweep it with that one")]
    Newer,
}

/// Removes tips that were last written before `keep_ms` ago, then indexes that no tip leads to, then packs that none of the
/// remaining indexes names; of all that nothing that is younger than a day, or whose age the remote does not tell.
///
/// # Errors
/// [`SweepError`]; what was not reached stays.
pub fn sweep(client: &Client, (now_ms, keep_ms): (u64, u64)) -> Result<Swept, SweepError> {
    let mut swept = Swept::default();
    let is_older = |blob: &Listed, age_ms: u64| {
        let age = blob
            .written_ms
            .map(|written| now_ms.saturating_sub(written));
        age.is_some_and(|age| age > age_ms)
    };
    let mut live: HashSet<Digest> = HashSet::new();
    for blob in expected(client.list("tips/")?) {
        if is_older(&blob, keep_ms.max(GRACE_MS)) {
            swept.tips += removed(client, &blob, &mut swept.bytes)?;
            continue;
        }
        swept.kept_bytes += blob.size;
        match client.read(&blob.name, None) {
            // Whose signature it has does not matter: it is there, and somebody may read it.
            Ok(bytes) => match Tip::decode(&bytes, &blob.name, None) {
                Ok(tip) => live.extend([tip.index]),
                Err(TipError::Newer) => return Err(SweepError::Newer),
                Err(_) => {}
            },
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut named: HashSet<Digest> = HashSet::new();
    for blob in expected(client.list("index/")?) {
        let is_live = digest_of(&blob.name).is_some_and(|digest| live.contains(&digest));
        if !is_live && is_older(&blob, GRACE_MS) {
            swept.indexes += removed(client, &blob, &mut swept.bytes)?;
            continue;
        }
        swept.kept_bytes += blob.size;
        let bytes = client.read(&blob.name, None)?;
        match Index::decode(&bytes) {
            Ok(index) => named.extend(index.packs.iter().map(|pack| pack.name)),
            Err(IndexError::Newer) => return Err(SweepError::Newer),
            // One that nobody can read names nothing to anybody.
            Err(_) => {}
        }
    }
    for blob in expected(client.list("packs/")?) {
        let is_named = digest_of(&blob.name).is_some_and(|digest| named.contains(&digest));
        if is_named || !is_older(&blob, GRACE_MS) {
            swept.kept_bytes += blob.size;
        } else {
            swept.packs += removed(client, &blob, &mut swept.bytes)?;
        }
    }
    Ok(swept)
}

/// Blobs that are dealt with one after the other, counted as the next is asked for.
fn expected(blobs: Vec<Listed>) -> impl Iterator<Item = Listed> {
    progress().expect(blobs.len() as u64);
    let mut is_first = true;
    blobs.into_iter().inspect(move |_| {
        progress().did(u64::from(!std::mem::take(&mut is_first)));
    })
}

fn removed(client: &Client, blob: &Listed, bytes: &mut u64) -> Result<u64, ClientError> {
    client.remove(&blob.name)?;
    *bytes += blob.size;
    Ok(1)
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were there already.
    pub present: u64,
}

/// Copies everything from one remote to another, packs first, then indexes, then tips: whoever reads the other one meanwhile
/// finds what is whole. Signatures stay valid, since names stay.
///
/// # Errors
/// [`ClientError`]; what was copied until then stays.
pub fn copy(from: &Client, to: &Client) -> Result<Copied, ClientError> {
    let mut copied = Copied::default();
    for kind in KINDS {
        let there: HashMap<Name, u64> = match to.list(&format!("{kind}/")) {
            Ok(listed) => listed
                .into_iter()
                .map(|blob| (blob.name, blob.size))
                .collect(),
            // One that cannot say what it has finds out at each write.
            Err(_) => HashMap::new(),
        };
        for blob in expected(from.list(&format!("{kind}/"))?) {
            if kind != "tips" && there.get(&blob.name) == Some(&blob.size) {
                copied.present += 1;
                continue;
            }
            let bytes = match from.read(&blob.name, None) {
                Ok(bytes) => bytes,
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(error),
            };
            let how = if kind == "tips" {
                Kind::Latest
            } else {
                Kind::Once
            };
            to.write(&blob.name, &bytes, how)?;
            copied.blobs += 1;
            copied.bytes += bytes.len() as u64;
        }
    }
    Ok(copied)
}
