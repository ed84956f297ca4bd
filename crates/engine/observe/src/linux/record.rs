//! What has been seen so far, by one observer.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::maps::{HashMap, HashSet};
use crate::{Blind, Contact, EnvDoubt, Observation, Seen};

/// More paths than this are not kept: see [`Blind::TooMuch`].
const MOST_PATHS: usize = 1 << 20;

/// One observer's record.
#[derive(Debug, Default)]
pub(super) struct Record {
    files: HashMap<Vec<u8>, Seen>,
    writes: HashSet<Vec<u8>>,
    /// Of these, what is the tree's own now: looking at it is no input.
    own: HashSet<Vec<u8>>,
    /// Directories that the tree made, or put in their place.
    made: HashSet<Vec<u8>>,
    /// All else.
    rest: Observation,
    /// Prefixes that are not recorded.
    skip: Vec<Vec<u8>>,
    /// Prefixes of objects that may read variables.
    pub(super) trusted: Vec<Vec<u8>>,
}

impl Record {
    /// An empty record.
    pub(super) fn new(skip: Vec<Vec<u8>>, trusted: Vec<Vec<u8>>) -> Self {
        Self {
            skip,
            trusted,
            ..Self::default()
        }
    }

    /// Notes what was seen of a path.
    pub(super) fn note(&mut self, path: &[u8], seen: Seen) {
        if is_under(path, &self.skip) {
            return;
        }
        if self.is_own(path) {
            return;
        }
        if let Some(before) = self.files.get_mut(path) {
            // Missing first and there later: somebody else made it meanwhile. Both are told, and no
            // state of the file can be both.
            *before = before.with(seen);
            return;
        }
        if self.files.len() >= MOST_PATHS {
            self.blind(Blind::TooMuch);
            return;
        }
        self.files.insert(path.to_vec(), seen);
    }

    /// Whether the tree itself made what is at a path.
    pub(super) fn is_own(&self, path: &[u8]) -> bool {
        self.own.contains(path)
            || (!self.made.is_empty() && ancestors(path).any(|above| self.made.contains(above)))
    }

    /// Notes that a path was written; `whole` where nothing is left of what was there before.
    pub(super) fn wrote(&mut self, path: &[u8], whole: bool) {
        if is_under(path, &self.skip) {
            return;
        }
        if self.writes.len() >= MOST_PATHS {
            self.blind(Blind::TooMuch);
            return;
        }
        self.writes.insert(path.to_vec());
        if whole {
            self.own.insert(path.to_vec());
        }
    }

    /// Notes that what is below a path is the tree's own from now on.
    pub(super) fn made(&mut self, path: &[u8]) {
        self.made.insert(path.to_vec());
    }

    /// Notes a program that was started.
    pub(super) fn program(&mut self, path: &[u8]) {
        self.rest.programs.insert(to_path(path));
    }

    /// Notes a contact.
    pub(super) fn contact(&mut self, contact: Contact) {
        self.rest.contacts.insert(contact);
    }

    /// Notes that something is not seen.
    pub(super) fn blind(&mut self, blind: Blind) {
        self.rest.blind.insert(blind);
    }

    /// Notes a variable.
    pub(super) fn name(&mut self, name: &[u8]) {
        self.rest
            .env
            .names
            .insert(OsString::from_vec(name.to_vec()));
    }

    /// Notes that a program may have read any variable.
    pub(super) fn doubt(&mut self, program: &[u8], doubt: EnvDoubt) {
        self.rest
            .env
            .doubts
            .entry(to_path(program))
            .or_default()
            .insert(doubt);
    }

    /// Adds what another one has seen, as if it had happened now.
    pub(super) fn add(&mut self, other: &Observation) {
        use std::os::unix::ffi::OsStrExt;
        for (path, seen) in other.files.iter() {
            self.note(path.as_os_str().as_bytes(), seen);
        }
        for path in &other.writes {
            self.wrote(path.as_os_str().as_bytes(), true);
        }
        self.rest.programs.extend(other.programs.iter().cloned());
        self.rest.contacts.extend(other.contacts.iter().cloned());
        self.rest.blind.extend(other.blind.iter().cloned());
        self.rest.env.names.extend(other.env.names.iter().cloned());
        for (program, doubts) in &other.env.doubts {
            let known = self.rest.env.doubts.entry(program.clone()).or_default();
            known.extend(doubts.iter().cloned());
        }
    }

    /// What was seen.
    pub(super) fn into_observation(self) -> Observation {
        let files = self.files.into_iter();
        let files = files
            .map(|(path, seen)| (PathBuf::from(OsString::from_vec(path)), seen))
            .collect();
        Observation {
            files,
            writes: self
                .writes
                .into_iter()
                .map(|path| PathBuf::from(OsString::from_vec(path)))
                .collect(),
            ..self.rest
        }
    }
}

/// Whether a path is one of these or below one of them.
pub(super) fn is_under(path: &[u8], prefixes: &[Vec<u8>]) -> bool {
    prefixes.iter().any(|prefix| {
        path.strip_prefix(prefix.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    })
}

/// The directories above, nearest first.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let cut = rest.iter().rposition(|byte| *byte == b'/')?;
        rest = &rest[..cut];
        (!rest.is_empty()).then_some(rest)
    })
}

pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(play: impl FnOnce(&mut Record)) -> Observation {
        let mut record = Record::new(vec![b"/skip".to_vec()], Vec::new());
        play(&mut record);
        record.into_observation()
    }

    #[test]
    fn what_was_written_first_is_no_input() {
        let seen = record(|record| {
            record.wrote(b"/out/a", true);
            record.note(b"/out/a", Seen::READ);
            record.note(b"/in/b", Seen::READ);
            record.wrote(b"/in/b", true);
        });
        assert!(!seen.files.contains(&to_path(b"/out/a")));
        assert!(seen.files.contains(&to_path(b"/in/b")));
        assert_eq!(seen.writes.len(), 2);
    }

    #[test]
    fn what_is_in_a_directory_of_ones_own_is_no_input() {
        let seen = record(|record| {
            record.made(b"/tmp/x");
            record.note(b"/tmp/x/deep/y", Seen::MISSING);
            record.note(b"/tmp/xy", Seen::MISSING);
        });
        assert_eq!(
            seen.files.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            [&to_path(b"/tmp/xy")]
        );
    }

    #[test]
    fn prefixes_are_whole_names() {
        let seen = record(|record| {
            record.note(b"/skip/a", Seen::READ);
            record.note(b"/skip", Seen::LISTED);
            record.note(b"/skipped", Seen::READ);
        });
        assert_eq!(
            seen.files.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            [&to_path(b"/skipped")]
        );
    }
}
