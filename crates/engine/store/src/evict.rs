//! Which records go: a pure choice, which `gc` carries out.

use std::collections::HashMap;

use rekindle_base::{ByteSize, Digest};

use crate::Space;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
/// Records of the other spaces go when they were not used for this long.
const MAX_AGE_NS: i64 = 30 * DAY_NS;
/// And the oldest of them when they take more than one part in this many of the budget.
const OTHERS_SHARE: u64 = 4;

/// A record, as an eviction sees it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) space: Space,
    /// When it was last used: nanoseconds since 1970.
    pub(crate) used_ns: i64,
    pub(crate) size_bytes: u64,
    pub(crate) refs: Vec<Digest>,
}

/// What binds the choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) budget: ByteSize,
    pub(crate) now_ns: i64,
    /// What was used at this time or later stays: nanoseconds since 1970.
    pub(crate) horizon_ns: i64,
}

/// The bytes of some records and of the objects that they refer to, each object counted once.
struct Tally<'a> {
    sizes: &'a HashMap<Digest, u64>,
    holders: HashMap<Digest, u64>,
    bytes: u64,
}

impl<'a> Tally<'a> {
    fn new(sizes: &'a HashMap<Digest, u64>) -> Self {
        Self {
            sizes,
            holders: HashMap::new(),
            bytes: 0,
        }
    }

    fn size(&self, digest: &Digest) -> u64 {
        self.sizes.get(digest).copied().unwrap_or(0)
    }

    fn add(&mut self, record: &Candidate) {
        self.bytes += record.size_bytes;
        for digest in &record.refs {
            let holders = self.holders.entry(*digest).or_default();
            *holders += 1;
            if *holders == 1 {
                self.bytes += self.size(digest);
            }
        }
    }

    fn drop(&mut self, record: &Candidate) {
        self.bytes -= record.size_bytes;
        for digest in &record.refs {
            let Some(holders) = self.holders.get_mut(digest) else {
                continue;
            };
            *holders -= 1;
            if *holders == 0 {
                self.holders.remove(digest);
                self.bytes -= self.size(digest);
            }
        }
    }
}

/// The indices of the records to drop, in the order in which to drop them.
pub(crate) fn choose(
    records: &[Candidate],
    sizes: &HashMap<Digest, u64>,
    bounds: Bounds,
) -> Vec<usize> {
    let mut by_use: Vec<usize> = (0..records.len()).collect();
    by_use.sort_by_key(|index| records[*index].used_ns);
    let (mut entries, mut others): (Vec<usize>, Vec<usize>) = by_use
        .into_iter()
        .partition(|index| records[*index].space.holds_outputs());
    let is_old = |index: &usize| bounds.now_ns.saturating_sub(records[*index].used_ns) > MAX_AGE_NS;
    let may_go = |index: &usize| records[*index].used_ns < bounds.horizon_ns;

    let mut victims: Vec<usize> = others
        .extract_if(.., |index| is_old(index) && may_go(index))
        .collect();

    let mut tally = Tally::new(sizes);
    for index in &others {
        tally.add(&records[*index]);
    }
    let share = bounds.budget.0 / OTHERS_SHARE;
    victims.extend(others.extract_if(.., |index| {
        let goes = tally.bytes > share && may_go(index);
        if goes {
            tally.drop(&records[*index]);
        }
        goes
    }));

    for index in &entries {
        tally.add(&records[*index]);
    }
    victims.extend(entries.extract_if(.., |index| {
        let goes = tally.bytes > bounds.budget.0 && may_go(index);
        if goes {
            tally.drop(&records[*index]);
        }
        goes
    }));
    victims
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 1000 * DAY_NS;

    fn object(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn record(space: Space, age_ns: i64, size_bytes: u64, refs: &[&str]) -> Candidate {
        Candidate {
            space,
            used_ns: NOW_NS - age_ns,
            size_bytes,
            refs: refs.iter().map(|name| object(name)).collect(),
        }
    }

    /// Objects `a`, `b`, `c` are of 100 bytes each.
    fn check(records: &[Candidate], budget: u64, horizon_age_ns: Option<i64>, expected: &[usize]) {
        let sizes = ["a", "b", "c"].map(|name| (object(name), 100));
        let bounds = Bounds {
            budget: ByteSize(budget),
            now_ns: NOW_NS,
            horizon_ns: horizon_age_ns.map_or(i64::MAX, |age_ns| NOW_NS - age_ns),
        };
        assert_eq!(choose(records, &HashMap::from(sizes), bounds), expected);
    }

    #[test]
    fn the_least_recently_used_entries_go_until_the_rest_fits() {
        use Space::Entries;
        let records = [
            record(Entries, 10, 10, &["a"]),
            record(Entries, 30, 10, &["b"]),
            record(Entries, 20, 10, &["c"]),
        ];
        check(&records, 330, None, &[]);
        check(&records, 329, None, &[1]);
        check(&records, 220, None, &[1]);
        check(&records, 219, None, &[1, 2]);
        check(&records, 0, None, &[1, 2, 0]);
    }

    #[test]
    fn shared_objects_count_once_and_go_with_their_last_record() {
        use Space::Entries;
        let records = [
            record(Entries, 30, 10, &["a", "b"]),
            record(Entries, 20, 10, &["a", "b", "b"]),
            record(Entries, 10, 10, &["c", "missing"]),
        ];
        check(&records, 330, None, &[]);
        // The first frees only itself; the second then frees both objects.
        check(&records, 325, None, &[0]);
        check(&records, 319, None, &[0, 1]);
        check(&records, 110, None, &[0, 1]);
    }

    #[test]
    fn what_a_running_build_used_stays() {
        use Space::Entries;
        let records = [
            record(Entries, 30, 10, &["a"]),
            record(Entries, 20, 10, &["b"]),
            record(Space::Memos, 20, 10, &[]),
            record(Space::Memos, 30, 10, &[]),
        ];
        check(&records, 0, Some(20), &[3, 0]);
        check(&records, 0, Some(40), &[]);
    }

    #[test]
    fn trees_share_the_budget_with_entries() {
        use Space::{Entries, Trees};
        let records = [
            record(Trees, 300 * DAY_NS, 10, &["a", "b"]),
            record(Entries, 200 * DAY_NS, 10, &["b"]),
            record(Trees, DAY_NS, 10, &["b", "c"]),
            record(Space::Pointers, DAY_NS, 10, &[]),
        ];
        check(&records, 340, None, &[]);
        check(&records, 339, None, &[0]);
        check(&records, 229, None, &[0, 1]);
    }

    #[test]
    fn other_records_go_by_age_and_share() {
        let records = [
            record(Space::Memos, 31 * DAY_NS, 10, &[]),
            record(Space::Latest, 29 * DAY_NS, 10, &[]),
            record(Space::Outputs, DAY_NS, 10, &["a"]),
            record(Space::PathSets, 2 * DAY_NS, 10, &[]),
            record(Space::Entries, 300 * DAY_NS, 10, &["b"]),
        ];
        check(&records, 4000, None, &[0]);
        check(&records, 4 * 130, None, &[0]);
        check(&records, 4 * 129, None, &[0, 1]);
        check(&records, 4 * 119, None, &[0, 1, 3]);
        check(&records, 4 * 109, None, &[0, 1, 3, 2]);
        check(&records, 4000, Some(40 * DAY_NS), &[]);
    }
}
