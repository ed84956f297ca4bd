//! What has been noted already: asking again would note the same, until the tree changes something.

use super::maps::{HashMap, HashSet};
use super::processes::Scope;

/// How a path was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    Look,
    /// Links not followed, as in all that say so.
    LookAtLink,
    Read,
    ReadLink,
    List,
    /// All parts of its path were asked for.
    Real,
    /// Those of a directory whose path is real were.
    RealDirectory,
}

/// The paths of each part of an observation that were there.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<(Scope, Ask), HashSet<Vec<u8>>>);

impl Answers {
    pub(super) fn has(&self, scope: Scope, ask: Ask, path: &[u8]) -> bool {
        let paths = self.0.get(&(scope, ask));
        paths.is_some_and(|paths| paths.contains(path))
    }

    pub(super) fn add(&mut self, scope: Scope, ask: Ask, path: &[u8]) {
        let paths = self.0.entry((scope, ask)).or_default();
        paths.insert(path.to_vec());
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
