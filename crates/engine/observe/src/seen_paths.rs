//! What was done with each of many paths.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use crate::Seen;

/// Paths, each with what was done with it, in the order of their bytes.
///
/// A map of paths would compare them part by part, at each step of each look-up, and a compile of C looks for many hundred
/// files. As these have no `.` and nothing twice in them, those that are the same have the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeenPaths(Vec<(PathBuf, Seen)>);

impl SeenPaths {
    /// What was done with a path; `None` for one that is not among them.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<Seen> {
        let at = self.find(path).ok()?;
        self.0.get(at).map(|(_, seen)| *seen)
    }

    /// Whether a path is among them.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        self.find(path).is_ok()
    }

    /// Whether there is any in this directory, or further down.
    #[must_use]
    pub fn has_below(&self, directory: &Path) -> bool {
        let directory = bytes(directory);
        let is_before = |path: &Path| {
            let path = bytes(path);
            let (start, rest) = path.split_at(path.len().min(directory.len()));
            start < directory
                || (start == directory && rest.first().is_none_or(|byte| *byte < b'/'))
        };
        let at = self.0.partition_point(|(path, _)| is_before(path));
        let path = self.0.get(at).map(|(path, _)| bytes(path));
        let rest = path.and_then(|path| path.strip_prefix(directory));
        rest.is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    /// Adds what was done with a path to what is known of it.
    pub fn add(&mut self, path: PathBuf, seen: Seen) {
        match self.find(&path) {
            Ok(at) => self.0[at].1 = self.0[at].1.with(seen),
            Err(at) => self.0.insert(at, (path, seen)),
        }
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, Seen)> {
        self.0.iter().map(|(path, seen)| (path, *seen))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, path: &Path) -> Result<usize, usize> {
        let bytes = bytes(path);
        self.0
            .binary_search_by(|(other, _)| self::bytes(other).cmp(bytes))
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

impl FromIterator<(PathBuf, Seen)> for SeenPaths {
    fn from_iter<I: IntoIterator<Item = (PathBuf, Seen)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        if !all.is_sorted_by(|(one, _), (other, _)| bytes(one) < bytes(other)) {
            all.sort_unstable_by(|(one, _), (other, _)| bytes(one).cmp(bytes(other)));
            all.dedup_by(|(other, more), (one, seen)| {
                let same = bytes(one) == bytes(other);
                if same {
                    *seen = seen.with(*more);
                }
                same
            });
        }
        Self(all)
    }
}

impl Extend<(PathBuf, Seen)> for SeenPaths {
    fn extend<I: IntoIterator<Item = (PathBuf, Seen)>>(&mut self, more: I) {
        for (path, seen) in more {
            self.add(path, seen);
        }
    }
}

// Whoever wrote them may have had another order.
impl<'de> Deserialize<'de> for SeenPaths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, Seen)]) -> SeenPaths {
        all.iter()
            .map(|(path, seen)| (PathBuf::from(path), *seen))
            .collect()
    }

    #[test]
    fn what_is_in_a_directory_is_below_it() {
        let all = of(&[
            ("/a/b", Seen::READ),
            ("/a/b!/c", Seen::READ),
            ("/a/b/c", Seen::READ),
            ("/a/bc/d", Seen::READ),
            ("/e0", Seen::READ),
        ]);
        for (directory, has) in [
            ("/a", true),
            ("/a/b", true),
            ("/a/b!", true),
            ("/a/bc", true),
            ("/a/b/c", false),
            ("/a/bcd", false),
            ("/e", false),
            ("/", false),
            ("/z", false),
        ] {
            assert_eq!(all.has_below(Path::new(directory)), has, "{directory}");
        }
    }

    #[test]
    fn what_was_done_with_a_path_is_found_in_whatever_order_it_came() {
        let in_order = of(&[
            ("/a", Seen::READ),
            ("/a-b", Seen::LINK),
            ("/a/b", Seen::MISSING),
        ]);
        let all = of(&[
            ("/a/b", Seen::MISSING),
            ("/a", Seen::READ),
            ("/a-b", Seen::LINK),
            ("/a", Seen::READ),
        ]);
        assert_eq!(all, in_order);
        assert_eq!(all.get(Path::new("/a/b")), Some(Seen::MISSING));
        assert_eq!(all.get(Path::new("/a-b")), Some(Seen::LINK));
        assert_eq!(all.get(Path::new("/b")), None);
        let bytes = postcard::to_stdvec(&vec![("/b", Seen::READ), ("/a", Seen::LINK)]).unwrap();
        let read: SeenPaths = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read, of(&[("/a", Seen::LINK), ("/b", Seen::READ)]));
    }

    #[test]
    fn all_that_was_done_with_a_path_is_known() {
        let mut all = of(&[("/a", Seen::READ), ("/a", Seen::LINK)]);
        all.extend([("/b".into(), Seen::LISTED), ("/a".into(), Seen::THERE)]);
        let a = Seen::READ.with(Seen::LINK).with(Seen::THERE);
        assert_eq!(all, of(&[("/a", a), ("/b", Seen::LISTED)]));
        assert_eq!(all.len(), 2);
    }
}
