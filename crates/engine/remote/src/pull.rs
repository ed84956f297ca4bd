//! Finding the index of a save, and bringing its records into the local store.

use rekindle_base::{Digest, DigestHasher, parallel};
use rekindle_store::{LocalStore, Space, Store};

use crate::blobs::Name;
use crate::client::{Client, ClientError};
use crate::far::index_name;
use crate::index::{Index, IndexError, MAX_BYTES, Shared};
use crate::tip::{Key, Tip, TipError};

/// A save that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The place of its name among those that were looked for.
    pub at: usize,
    /// Its name.
    pub name: Name,
    /// The digest of its index.
    pub digest: Digest,
    /// Its index.
    pub index: Index,
    /// The index's length in the remote, in bytes.
    pub index_bytes: u64,
}

/// Why nothing was found where something may be.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The remote did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What the name leads to is not to be trusted, or not to be read.
    #[error("what `{name}` leads to is left alone: {error}")]
    Tip {
        /// The name.
        name: Name,
        /// What is wrong with it.
        error: TipError,
    },
    /// The index is not what the tip says.
    #[error("its index is damaged")]
    Damaged,
    /// The index is not to be read.
    #[error("its index is left alone: {0}")]
    Index(#[from] IndexError),
}

/// Finds the save that the first of these names leads to; `None` where none leads to any.
///
/// # Errors
/// [`PullError`].
pub fn find(
    client: &Client,
    store: &LocalStore,
    names: &[Name],
    key: Option<&Key>,
) -> Result<Option<Found>, PullError> {
    let Some((at, bytes)) = client.find(names)? else {
        return Ok(None);
    };
    let name = names.get(at).ok_or(PullError::Damaged)?;
    let tip = Tip::decode(&bytes, name, key).map_err(|error| PullError::Tip {
        name: name.clone(),
        error,
    })?;
    let bytes = index_bytes(client, store, &tip)?;
    Ok(Some(Found {
        at,
        name: name.clone(),
        digest: tip.index,
        index: Index::decode(&bytes)?,
        index_bytes: tip.index_bytes,
    }))
}

/// The bytes of an index, from the local store where they were read before.
fn index_bytes(client: &Client, store: &LocalStore, tip: &Tip) -> Result<Vec<u8>, PullError> {
    let memo = memo(b"index", &tip.index);
    if let Ok(Some(record)) = store.get_record(Space::Memos, &memo)
        && Digest::of(&record.payload) == tip.index
    {
        return Ok(record.payload);
    }
    if tip.index_bytes > MAX_BYTES {
        return Err(IndexError::TooLarge.into());
    }
    // As long as the tip says and no longer, whatever the remote would send.
    let range = 0..tip.index_bytes;
    for copy in 0..client.copies() {
        let name = index_name(&tip.index);
        let bytes = match client.read_copy(&name, Some(range.clone()), copy) {
            // There are no more copies than those that were damaged.
            Err(error) if error.is_missing() && copy > 0 => break,
            read => read?,
        };
        if Digest::of(&bytes) == tip.index {
            keep_index(store, &tip.index, &bytes);
            return Ok(bytes.to_vec());
        }
    }
    Err(PullError::Damaged)
}

/// Keeps an index so that it need not be read again. Where that fails, it is.
pub(crate) fn keep_index(store: &LocalStore, digest: &Digest, bytes: &[u8]) {
    let _ = store.put_record(Space::Memos, &memo(b"index", digest), &[], bytes);
}

fn memo(what: &[u8], index: &Digest) -> Digest {
    DigestHasher::new()
        .field(b"rekindle remote 1")
        .field(what)
        .field(index.as_bytes())
        .finish()
}

/// Puts what two records of one key say together, the local one's payload first; `None` leaves the local one.
pub type Merge<'a> = &'a (dyn Fn(Space, &[u8], &[u8]) -> Option<Vec<u8>> + Sync);

/// More threads than this only wait for each other in the file system.
const THREADS_MAX: usize = 4;

/// Brings the records of an index into the local store; how many are new there. What is there already stays, or becomes
/// what `merge` makes of both.
///
/// # Errors
/// Where the store cannot be written.
pub fn import(
    store: &LocalStore,
    found: &Found,
    merge: Merge<'_>,
) -> Result<u64, rekindle_store::StoreError> {
    let done = memo(b"imported", &found.digest);
    let again = store.last_use_ns(Space::Memos, &done).is_some();
    // Each is a file: the system makes them on every core.
    let at_once = parallel::cores().min(THREADS_MAX);
    let results = parallel::map_at_most(at_once, &found.index.records, |record| {
        let is_here = store.last_use_ns(record.space, &record.key).is_some();
        if is_here && again {
            return Ok(false);
        }
        one(store, record, is_here, merge)
    });
    let mut new = 0;
    for result in results {
        new += u64::from(result?);
    }
    if !again {
        store.put_record(Space::Memos, &done, &[], &[])?;
    }
    Ok(new)
}

fn one(
    store: &LocalStore,
    record: &Shared,
    is_here: bool,
    merge: Merge<'_>,
) -> Result<bool, rekindle_store::StoreError> {
    let (space, key) = (record.space, &record.key);
    // A damaged one is removed by the look.
    let local = is_here
        .then(|| store.get_record(space, key).ok().flatten())
        .flatten();
    let Some(local) = local else {
        store.put_record(space, key, &record.refs, &record.payload)?;
        return Ok(true);
    };
    if local.payload != record.payload
        && let Some(payload) = merge(space, &local.payload, &record.payload)
    {
        let mut refs = local.refs;
        refs.extend(&record.refs);
        refs.sort_unstable();
        refs.dedup();
        store.put_record(space, key, &refs, &payload)?;
    }
    Ok(false)
}
