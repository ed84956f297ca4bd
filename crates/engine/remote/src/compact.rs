//! Keeping what an index names there, in few packs.
//!
//! A save is a delta, so packs become many, and dead object by object. A save that writes anyway writes what is still of use of some
//! of them once more and names them no longer. It removes nothing: whoever reads an older index finds its packs, until
//! a sweep or the remote itself forgets them.
//!
//! A remote that forgets what nobody asks for longest would forget the oldest packs first, which hold what changes least and
//! all need. So a save there asks for each pack that it goes on to name, and sends again what is gone.

use std::collections::HashSet;

use rekindle_base::{Digest, parallel};
use rekindle_store::LocalStore;

use crate::client::Client;
use crate::far::{Far, pack_name};
use crate::index::{Index, PackEntry};
use crate::push::PACK_BYTES;

/// Packs that an index names before small ones are put together: some more requests for a remote that forgets.
const PACKS_MAX: usize = 16;
/// A small pack. Larger ones are written again only when they are mostly dead.
const SMALL_BYTES: u64 = PACK_BYTES / 4;
/// What one save writes again, before compression; the next ones go on.
const REWRITE_BYTES: u64 = 128 << 20;

/// The packs of an index that a remote has forgotten; asks for all, so that it goes on to remember them. None where
/// remotes of this kind forget nothing.
pub(crate) fn gone(client: &Client, index: Option<&Index>) -> HashSet<Digest> {
    let packs = index.map_or(&[][..], |index| &index.packs);
    if !client.forgets() || packs.is_empty() {
        return HashSet::new();
    }
    let at_once = client.limits().at_once;
    let gone = parallel::map_at_most(at_once, packs, |pack| {
        let answer = client.touch(&pack_name(&pack.name));
        // One that is not to be had now may be there.
        let is_gone = answer.is_err_and(|error| error.is_missing());
        is_gone.then_some(pack.name)
    });
    gone.into_iter().flatten().collect()
}

/// Takes packs out of an index whose live objects are better written again; these objects, which the store has then.
pub(crate) fn rewritten(client: &Client, store: &LocalStore, index: &mut Index) -> Vec<Digest> {
    let live = index.live();
    let picked = picked(&index.packs, &live);
    if picked.is_empty() {
        return Vec::new();
    }
    let of_pack = |pack: &PackEntry| -> Vec<Digest> {
        let objects = pack.table.frames.iter().flat_map(|frame| &frame.objects);
        let digests = objects.map(|object| object.digest);
        digests.filter(|digest| live.contains(digest)).collect()
    };
    let chosen = index
        .packs
        .iter()
        .filter(|pack| picked.contains(&pack.name));
    let wanted: Vec<Digest> = chosen.flat_map(of_pack).collect();
    // What was restored lazily is not on this disk.
    Far::new(client.clone(), store.clone(), index, None).fetch(&wanted);
    let mut moved = Vec::new();
    index.packs.retain(|pack| {
        if !picked.contains(&pack.name) {
            return true;
        }
        let objects = of_pack(pack);
        let all_here = objects
            .iter()
            .all(|digest| store.object_size(digest).is_some());
        if all_here {
            moved.extend(objects);
        }
        // One that did not come whole stays as it is.
        !all_here
    });
    moved
}

/// The packs to write again: those that are mostly dead, and small ones where there are too many packs.
fn picked(packs: &[PackEntry], live: &HashSet<Digest>) -> HashSet<Digest> {
    let is_crowded = packs.len() > PACKS_MAX;
    let mut picked = HashSet::new();
    let mut bytes = 0;
    for pack in packs {
        let objects = pack.table.frames.iter().flat_map(|frame| &frame.objects);
        let (mut raw, mut of_use) = (0_u64, 0_u64);
        for object in objects {
            raw += object.size;
            of_use += if live.contains(&object.digest) {
                object.size
            } else {
                0
            };
        }
        let is_small = is_crowded && pack.bytes < SMALL_BYTES;
        if (is_small || of_use < raw / 2) && bytes + of_use <= REWRITE_BYTES {
            bytes += of_use;
            picked.insert(pack.name);
        }
    }
    picked
}
