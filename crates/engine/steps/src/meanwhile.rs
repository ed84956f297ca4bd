//! Whether what a run read may have become something else while it ran. Values are taken after it, and would be those of
//! what it never saw.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_fsx::time::Watch;
use rekindle_fsx::{FileKind, StatSig};
use rekindle_key::loader;
use rekindle_key::pathset::Name;

use rekindle_observe::{Observation, Seen};
use rekindle_outputs::present::{Present, is_machine_name, is_settled_place, search_path};

/// A run that is over.
pub struct Meanwhile<'a> {
    /// What the values of names were taken from, before this is asked.
    pub present: Present<'a>,
    /// From when on it ran.
    pub watch: &'a Watch,
    /// What it did.
    pub observation: &'a Observation,
}

impl Meanwhile<'_> {
    /// The first of the paths behind names that may have been changed by another. Names of a unit's own kinds stand for none here.
    pub fn changed<'n>(&self, names: impl IntoIterator<Item = &'n Name>) -> Option<PathBuf> {
        names.into_iter().find_map(|name| self.changed_behind(name))
    }

    fn changed_behind(&self, name: &Name) -> Option<PathBuf> {
        let (check, name): (fn(&Self, &Path) -> bool, _) = match name {
            Name::File(name) | Name::Program(name) if is_settled_place(name) => {
                (Self::is_settled_as_it_was, name)
            }
            Name::File(name) | Name::Program(name) => (Self::is_file_as_it_was, name),
            Name::Kind(name) => (Self::is_what_it_was, name),
            Name::Listing(name) => (Self::is_listed_as_it_was, name),
            Name::Link(name) => (Self::is_link_as_it_was, name),
            Name::Lookup(name) => return self.changed_on_path(OsStr::from_bytes(name)),
            Name::Library(_) => {
                let index = Path::new(OsStr::from_bytes(loader::INDEX));
                let sig = rekindle_fsx::stat_follow(index);
                let is_changed = sig.is_ok_and(|sig| !self.is_older(&sig));
                return is_changed.then(|| index.to_owned());
            }
            _ => return None,
        };
        if is_machine_name(name) {
            return None;
        }
        let path = self.present.roots.resolve(name)?;
        (!check(self, &path)).then_some(path)
    }

    fn is_settled_as_it_was(&self, path: &Path) -> bool {
        let sig = self.present.files.signature(path);
        sig.is_ok_and(|sig| self.is_older(&sig))
    }

    fn is_file_as_it_was(&self, path: &Path) -> bool {
        let sig = rekindle_fsx::stat_follow(path);
        // What the kernel makes up when somebody looks is always new.
        sig.is_ok_and(|sig| path.starts_with("/proc") || self.is_older(&sig))
    }

    /// Of what was asked about and not read. A directory that stays one changes with what is in it, which is not what was asked.
    fn is_what_it_was(&self, path: &Path) -> bool {
        let seen = seen(self.observation, path);
        if is_made_up(path) || seen == Some(Seen::MISSING) {
            return true;
        }
        match rekindle_fsx::stat(path) {
            // It stands for what was looked for in it in vain, and came since.
            Ok(_) if seen.is_none() => false,
            Ok(sig) if sig.kind() == FileKind::Dir => {
                !seen.is_some_and(|seen| seen.has(Seen::MISSING)) || self.made(path)
            }
            Ok(sig) => self.is_older(&sig) || self.made(path),
            Err(_) => seen.is_none() || self.made(path),
        }
    }

    fn is_listed_as_it_was(&self, path: &Path) -> bool {
        let writes = &self.observation.writes;
        let wrote_in = |directory: PathBuf| {
            let mut above = writes.iter().filter_map(|path| path.parent());
            above.any(|above| above == directory)
        };
        let sig = rekindle_fsx::stat_follow(path);
        let is_older = sig.is_ok_and(|sig| self.is_older(&sig));
        is_made_up(path) || is_older || wrote_in(real(path)) || self.made(path)
    }

    fn is_link_as_it_was(&self, path: &Path) -> bool {
        let sig = rekindle_fsx::stat(path);
        is_made_up(path) || sig.is_ok_and(|sig| self.is_older(&sig)) || self.made(path)
    }

    /// What is found first under this name on `PATH`, where it was put or changed meanwhile. That another was there before is
    /// known by that other's path.
    fn changed_on_path(&self, name: &OsStr) -> Option<PathBuf> {
        let searched = search_path(self.present.environment).iter();
        let first = searched
            .map(|directory| directory.join(name))
            .find_map(|path| {
                let sig = rekindle_fsx::stat(&path).ok()?;
                Some((path, sig))
            });
        let program = self.present.environment.find_program(name);
        let program = program.and_then(|path| {
            let sig = rekindle_fsx::stat_follow(&path).ok()?;
            Some((path, sig))
        });
        let mut found = first.into_iter().chain(program);
        found.find_map(|(path, sig)| (!self.is_older(&sig) && !self.made(&path)).then_some(path))
    }

    fn is_older(&self, sig: &StatSig) -> bool {
        !self.watch.may_have_changed(sig.ctime_ns) || self.present.files.is_settled(sig)
    }

    /// Whether it changed the path, or a directory above: one that it moves brings along what is in it.
    fn made(&self, path: &Path) -> bool {
        let path = real(path);
        let writes = &self.observation.writes;
        path.ancestors().any(|path| writes.contains(path))
    }
}

/// Whether a path was looked for and never there.
#[must_use]
pub fn was_missing(observation: &Observation, path: &Path) -> bool {
    seen(observation, path) == Some(Seen::MISSING)
}

/// What was done with a path, which a link above may lead to.
fn seen(observation: &Observation, path: &Path) -> Option<Seen> {
    let files = &observation.files;
    files.get(path).or_else(|| files.get(&real(path)))
}

/// Whether the kernel makes up what is there when somebody looks, so that it is always new.
fn is_made_up(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|place| path.starts_with(place))
}

/// A path as it really is, but for its last part.
fn real(path: &Path) -> PathBuf {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return path.to_owned();
    };
    let above = rekindle_fsx::canonicalize(above);
    above.map_or_else(|_| path.to_owned(), |above| above.join(name))
}
