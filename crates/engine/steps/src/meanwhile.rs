//! Whether what a run read may have become something else while it ran. Values are taken after it, and would be those of
//! what it never saw.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_fsx::time::Watch;
use rekindle_fsx::{StatSig, real_but_last};
use rekindle_key::step::{DIRECTORY, NOTHING};
use rekindle_key::{Item, Manifest, Tag, loader, profile};
use rekindle_observe::{Observation, Seen};
use rekindle_outputs::listing;
use rekindle_outputs::present::{Present, is_machine_name, is_settled_place};

/// A run that is over.
pub struct Meanwhile<'a> {
    /// What values were taken from.
    pub present: Present<'a>,
    /// From when on it ran.
    pub watch: &'a Watch,
    /// What it did.
    pub observation: &'a Observation,
}

impl Meanwhile<'_> {
    /// The first of the paths behind the names of a manifest that may have been changed by another before their values were
    /// taken. Names of a unit's own kinds stand for none here.
    #[must_use]
    pub fn changed(&self, manifest: &Manifest) -> Option<PathBuf> {
        let items = manifest.items();
        let index = items.iter().any(|item| item.tag == Tag::Library);
        let changed_index = index.then(|| self.changed_index()).flatten();
        changed_index.or_else(|| items.iter().find_map(|item| self.changed_behind(item)))
    }

    fn changed_behind(&self, item: &Item) -> Option<PathBuf> {
        let check: fn(&Self, &Item, &Path) -> bool = match item.tag {
            Tag::ReadFile | Tag::RanProgram => Self::is_read_as_it_was,
            Tag::Looked => Self::is_what_it_was,
            Tag::Listing => Self::is_listed_as_it_was,
            Tag::Link => Self::is_link_as_it_was,
            Tag::Lookup => return self.changed_on_path(OsStr::from_bytes(&item.name)),
            _ => return None,
        };
        if is_machine_name(&item.name) {
            return None;
        }
        let path = self.present.roots.resolve(&item.name)?;
        (!check(self, item, &path)).then_some(path)
    }

    /// The loader's index, in which it looked for libraries.
    fn changed_index(&self) -> Option<PathBuf> {
        let index = Path::new(OsStr::from_bytes(loader::INDEX));
        let sig = rekindle_fsx::stat_follow(index);
        sig.is_ok_and(|sig| !self.is_older(&sig))
            .then(|| index.to_owned())
    }

    fn is_read_as_it_was(&self, item: &Item, path: &Path) -> bool {
        let sig = if is_settled_place(&item.name) {
            self.present.files.signature(path)
        } else {
            rekindle_fsx::stat_follow(path)
        };
        // What the kernel makes up when somebody looks is always new.
        sig.is_ok_and(|sig| path.starts_with("/proc") || self.is_older(&sig))
    }

    /// Of what was asked about and not read. A directory that stays one changes with what is in it, which is not what was asked.
    fn is_what_it_was(&self, item: &Item, path: &Path) -> bool {
        let Some(seen) = seen(self.observation, path) else {
            return true;
        };
        if is_made_up(path) || seen == Seen::MISSING {
            return true;
        }
        let is_same = if item.value == NOTHING.as_bytes() {
            false
        } else if item.value == DIRECTORY.as_bytes() {
            !seen.has(Seen::MISSING)
        } else {
            rekindle_fsx::stat(path).is_ok_and(|sig| self.is_older(&sig))
        };
        // What it removed itself is for others to judge.
        is_same || self.made(path)
    }

    fn is_listed_as_it_was(&self, item: &Item, path: &Path) -> bool {
        if profile::is_filled(&item.name) {
            return self.is_filled_as_it_was(item, path);
        }
        let writes = &self.observation.writes;
        let wrote_in = |directory: PathBuf| {
            let mut above = writes.iter().filter_map(|path| path.parent());
            above.any(|above| above == directory)
        };
        let sig = rekindle_fsx::stat_follow(path);
        let is_older = sig.is_ok_and(|sig| self.is_older(&sig));
        is_made_up(path) || is_older || wrote_in(real_but_last(path)) || self.made(path)
    }

    /// cargo puts things there all the time. What else is there has to be older; that nothing else was removed is not known, but
    /// nobody does that while a build goes on.
    fn is_filled_as_it_was(&self, item: &Item, path: &Path) -> bool {
        let counted = listing::counted(&item.name, path);
        counted.is_ok_and(|entries| {
            entries.iter().all(|(name, _)| {
                let entry = path.join(name);
                let sig = rekindle_fsx::stat(&entry);
                sig.is_ok_and(|sig| self.is_older(&sig)) || self.made(&entry)
            })
        })
    }

    fn is_link_as_it_was(&self, _: &Item, path: &Path) -> bool {
        let sig = rekindle_fsx::stat(path);
        is_made_up(path) || sig.is_ok_and(|sig| self.is_older(&sig)) || self.made(path)
    }

    /// What is found first under this name on `PATH`, where it was put or changed meanwhile. That another was there before is
    /// known by that other's path.
    fn changed_on_path(&self, name: &OsStr) -> Option<PathBuf> {
        let on_path = self.present.files.on_path(self.present.environment, name);
        let first = on_path
            .first
            .as_ref()
            .map(|path| (path, rekindle_fsx::stat(path)));
        let files = self.present.files;
        let program = on_path
            .program
            .as_ref()
            .map(|path| (path, files.signature(path)));
        let mut found = first.into_iter().chain(program);
        let changed = found.find(|(path, sig)| {
            let is_older = sig.as_ref().is_ok_and(|sig| self.is_older(sig));
            !is_older && !self.made(path)
        });
        changed.map(|(path, _)| path.clone())
    }

    fn is_older(&self, sig: &StatSig) -> bool {
        !self.watch.may_have_changed(sig.ctime_ns) || self.present.files.is_settled(sig)
    }

    /// Whether it changed the path, or a directory above: one that it moves brings along what is in it.
    fn made(&self, path: &Path) -> bool {
        let writes = &self.observation.writes;
        let path = real_but_last(path);
        path.ancestors().any(|path| writes.contains(path))
    }
}

/// Whether a path was looked for and never there.
#[must_use]
pub fn was_missing(observation: &Observation, path: &Path) -> bool {
    seen(observation, path) == Some(Seen::MISSING)
}

/// What was done with a path, which a link above may lead to. A directory by itself stands for what was looked for in it in
/// vain.
fn seen(observation: &Observation, path: &Path) -> Option<Seen> {
    let files = &observation.files;
    let seen = files.get(path);
    let for_others = || files.has_below(path).then_some(Seen::MISSING);
    seen.or_else(for_others)
        .or_else(|| files.get(&real_but_last(path)))
}

/// Whether the kernel makes up what is there when somebody looks, so that it is always new.
fn is_made_up(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|place| path.starts_with(place))
}
