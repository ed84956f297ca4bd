//! The commits before the one that is checked out, the nearest first.
//!
//! How near a commit is, is the number of commits that the checkout has and it has not. For a line of
//! commits that is the number of steps; at a merge it tells the side that brought more.

use std::collections::HashMap;

use rekindle_snapshot::base::Ancestor;

use super::ci::Ci;

/// Commits by index; 0 is the one that is checked out. Those at which the known history ends are in
/// it by name alone.
#[derive(Debug)]
pub(super) struct Graph {
    names: Vec<String>,
    parents: Vec<Vec<usize>>,
    /// How many are known by more than their name.
    known: usize,
}

impl Graph {
    /// Reads `git rev-list --format=raw`: for each commit `commit NAME`, then its header as it is
    /// stored, then its message, each line indented.
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        let mut commits: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in raw.split(|byte| *byte == b'\n') {
            if let Some(name) = line.strip_prefix(b"commit ") {
                commits.push((object_name(name)?, Vec::new()));
            } else if let Some(name) = line.strip_prefix(b"parent ") {
                commits.last_mut()?.1.push(object_name(name)?);
            }
        }
        let mut names: Vec<String> = Vec::new();
        let mut index: HashMap<&str, usize> = HashMap::new();
        for (name, _) in &commits {
            index.insert(name, names.len());
            names.push((*name).to_owned());
        }
        let known = names.len();
        let mut parents = Vec::with_capacity(known);
        for (_, of_commit) in &commits {
            let indices = of_commit.iter().map(|name| {
                *index.entry(name).or_insert_with(|| {
                    names.push((*name).to_owned());
                    names.len() - 1
                })
            });
            parents.push(indices.collect());
        }
        (known > 0).then_some(Self {
            names,
            parents,
            known,
        })
    }

    pub(super) fn head(&self) -> &str {
        &self.names[0]
    }

    /// Where a pull request's merge with its target is checked out: the pull request's own commit.
    pub(super) fn pull_request_head(&self, ci: &Ci) -> Option<String> {
        match self.parents[0][..] {
            [_, head] if ci.is_merge => Some(self.names[head].clone()),
            _ => None,
        }
    }

    /// All but the first, the nearest first, at most so many.
    pub(super) fn ancestors(&self, ci: &Ci, at_most: usize) -> Vec<Ancestor> {
        let pull_request = self.pull_request_head(ci);
        let mut ancestors: Vec<Ancestor> = self
            .distances()
            .into_iter()
            .zip(&self.names)
            .skip(1)
            .map(|(distance, name)| Ancestor {
                commit: name.clone(),
                distance,
            })
            .collect();
        // Of two that are as near, the pull request's own side; else as git has them, the newest first.
        ancestors.sort_by_key(|ancestor| {
            let own = pull_request.as_ref() == Some(&ancestor.commit);
            (ancestor.distance, !own)
        });
        let ends_at_head = self.known == 1 && self.names.len() > 1;
        if let Some(before) = &ci.before
            && ends_at_head
            && !self.names.contains(before)
        {
            // Behind the parent (the pull request's own), at least one commit further.
            let behind = ancestors[0].distance + 1;
            let ancestor = Ancestor {
                commit: before.clone(),
                distance: behind,
            };
            ancestors.insert(1, ancestor);
        }
        ancestors.truncate(at_most);
        ancestors
    }

    fn distances(&self) -> Vec<usize> {
        let count = self.names.len();
        let words = count.div_ceil(64);
        let mut reach = vec![vec![0_u64; words]; count];
        for (at, own) in reach.iter_mut().enumerate() {
            own[at / 64] |= 1 << (at % 64);
        }
        // Parents mostly come behind their children, so one pass does, and another sees that it did;
        // clocks that went back take more.
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..self.known).rev() {
                for parent in &self.parents[at] {
                    let from = reach[*parent].clone();
                    for (to, from) in reach[at].iter_mut().zip(from) {
                        changed |= from & !*to != 0;
                        *to |= from;
                    }
                }
            }
        }
        let size = |bits: &[u64]| bits.iter().map(|word| word.count_ones() as usize).sum();
        let sizes: Vec<usize> = reach.iter().map(|bits| size(bits)).collect();
        sizes.iter().map(|own| sizes[0] - own).collect()
    }
}

/// A full object name: 40 hex digits, or 64.
pub(super) fn object_name(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let is_hex = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // Services write zeros for "none".
    let is_none = text.bytes().all(|byte| byte == b'0');
    (matches!(text.len(), 40 | 64) && is_hex && !is_none).then_some(text)
}
