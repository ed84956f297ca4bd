//! What units were seen to read without saying so: recorded with a unit, and looked at again at a restore.
//!
//! cargo watches what is declared. A procedural macro that reads a grammar, or a build script that includes a
//! header of the system's, is observed by the unit cache, whose entry holds the names of what was read and what
//! stood for each. A capture takes them over ([`Recorder`]) as inputs of the unit, at [`Place::Seen`]: named
//! relative to this site's roots, so that units share them. A restore asks [`Sight`] what each stands for
//! now; a unit of which one is another is left out, and goes through the unit cache.
//!
//! A unit was given an environment by cargo, which is not at hand here. So a capture takes over what this
//! command's own environment gives the same value, and variables that cargo made itself, from what it watches,
//! or that the package's build script has it set, need no look. Whatever else there is leaves the unit out.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_fsx::FileKind;
use rekindle_key::entry::Entry;
use rekindle_key::pathset::Name;
use rekindle_key::step::{self, DIRECTORY, NOTHING, StepEntry};
use rekindle_key::variables::{SET_BY_CARGO, is_among, value_of};
use rekindle_key::{Item, Manifest, Root, Roots, Tag, profile};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_outputs::listing;
use rekindle_outputs::present::Present;
use rekindle_outputs::record::Signature;
use rekindle_store::{LocalStore, Space, Store};

use crate::inputs::{Inputs, Where};
use crate::model::{Content, Input, Place};
use crate::scripts::Made;

/// What an observer saw of a unit's build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The key of its entry, which holds what was read.
    pub key: Digest,
    /// Whether it is the run of a build script.
    pub is_step: bool,
    /// The directory that it ran in.
    pub directory: PathBuf,
    /// Its roots by their names, as it was told of them.
    pub roots: BTreeMap<String, String>,
}

/// Looks at what names stand for now.
#[derive(Debug)]
pub(crate) struct Sight<'a> {
    environment: &'a Environment,
    /// The site's roots as paths really are.
    roots: Roots,
    shown: Roots,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(here: &Where, environment: &'a Environment) -> Self {
        let mut roots = vec![
            (Root::Target, here.build_dir.clone()),
            (Root::CargoHome, here.cargo_home.clone()),
            (Root::Workspace, here.workspace.clone()),
        ];
        roots.extend(here.sysroot.clone().map(|sysroot| (Root::Sysroot, sysroot)));
        let home = environment.get("HOME");
        roots.extend(home.map(|home| (Root::Home, PathBuf::from(home))));
        let shown = Roots::new(&here.workspace, roots);
        Self {
            environment,
            roots: really(&shown),
            shown,
        }
    }

    /// What stands for a name; `None` for what is no such name.
    pub(crate) fn value(&self, files: &Files<'_>, tag: Tag, name: &[u8]) -> Option<Vec<u8>> {
        value(&self.present(files), &step::seen(tag, name)?)
    }

    /// The signature of a file, under which its content needs no look: most are the system's and the toolchain's.
    pub(crate) fn signature(&self, tag: Tag, name: &[u8]) -> Option<Signature> {
        let path = self.roots.resolve(name)?;
        let sig = match tag {
            Tag::ReadFile | Tag::RanProgram => rekindle_fsx::stat_follow(&path).ok()?,
            Tag::Looked => rekindle_fsx::stat(&path).ok()?,
            _ => return None,
        };
        // What the kernel makes up has no size, and says something else each time.
        (sig.kind() == FileKind::File && sig.size > 0).then(|| sig.into())
    }

    fn present<'s>(&'s self, files: &'s Files<'s>) -> Present<'s> {
        Present {
            files,
            environment: self.environment,
            roots: &self.roots,
            shown: &self.shown,
            was_missing: None,
        }
    }
}

/// Of all variables, or those that are spoken of, a digest of their names; of anything else the value as the unit cache has it.
fn value(present: &Present<'_>, name: &Name) -> Option<Vec<u8>> {
    let mut manifest = Manifest::default();
    present.push(&mut manifest, name);
    if name.is_of_many() {
        let mut hasher = DigestHasher::new();
        for item in manifest.items() {
            hasher.field(&item.name);
        }
        return Some(hasher.finish().to_hex().into_bytes());
    }
    Some(manifest.items().last()?.value.clone())
}

fn really(roots: &Roots) -> Roots {
    let real = |path: &Path| rekindle_fsx::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let cwd = real(&roots.absolute(Path::new("")));
    Roots::new(&cwd, roots.iter().map(|(root, path)| (root, real(path))))
}

/// A file that was changed less long ago than this may be changed again under the same signature.
const SETTLED_NS: i64 = 2_000_000_000;

/// Takes over what units were seen to read, all those of a capture.
pub(crate) struct Recorder<'a> {
    store: &'a LocalStore,
    here: &'a Where,
    files: Files<'a>,
    sight: Sight<'a>,
    /// What was looked at already.
    known: HashMap<(Tag, Vec<u8>), Input>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(
        store: &'a LocalStore,
        here: &'a Where,
        environment: &'a Environment,
    ) -> Self {
        let files = Files::new(store);
        files.set_target(&here.build_dir);
        Self {
            store,
            here,
            files,
            sight: Sight::new(here, environment),
            known: HashMap::new(),
        }
    }

    /// The inputs that a unit was seen to read, as indices. `made` knows what units wrote that it was built with,
    /// whose builds vouch for that, and `profile` is its profile directory.
    ///
    /// # Errors
    /// What cannot be looked at again.
    pub(crate) fn record(
        &mut self,
        seen: &Seen,
        (profile, made): (&Path, &mut Made<'_>),
        inputs: &mut Inputs,
    ) -> Result<Vec<u32>, String> {
        let manifest = self
            .manifest(seen)
            .ok_or("the unit cache does not have what it read")?;
        let roots = seen.roots.iter().filter_map(|(name, path)| {
            Some((Root::from_name(name.as_bytes())?, PathBuf::from(path)))
        });
        let shown = Roots::new(&seen.directory, roots);
        let roots = if seen.is_step {
            really(&shown)
        } else {
            shown.clone()
        };
        let unit = Of {
            roots,
            shown,
            profile,
            host: self.host_of(profile),
        };
        let mut indices = Vec::new();
        for item in manifest.items() {
            let Some(name) = step::seen(item.tag, &item.name) else {
                continue;
            };
            if let Some(input) = self.input((&unit, made), item, &name)? {
                indices.push(inputs.keep(&input));
            }
        }
        indices.sort_unstable();
        indices.dedup();
        Ok(indices)
    }

    /// Where cargo builds what runs here, for units of a profile below a target's name.
    fn host_of(&self, profile: &Path) -> Option<PathBuf> {
        let below = profile.strip_prefix(&self.here.build_dir).ok()?;
        let name = below
            .file_name()
            .filter(|_| below.components().count() == 2)?;
        Some(self.here.build_dir.join(name))
    }

    fn manifest(&self, seen: &Seen) -> Option<Manifest> {
        let record = self.store.get_record(Space::Entries, &seen.key).ok()??;
        if seen.is_step {
            Some(StepEntry::decode(&record.payload)?.manifest)
        } else {
            Some(Entry::decode(&record.payload)?.manifest)
        }
    }

    /// The input that an item is; `None` where it needs no look.
    fn input(
        &mut self,
        (unit, made): (&Of<'_>, &mut Made<'_>),
        item: &Item,
        name: &Name,
    ) -> Result<Option<Input>, String> {
        let path = match name {
            Name::Variables | Name::Spoken(_) => {
                return Ok(Some(self.look(item.tag, &item.name)));
            }
            // A unit that holds the path of another root says so itself.
            Name::Directory(root) if *root != Root::Home => return Ok(None),
            Name::Variable(_) => {
                let same = self.same_variable((unit, made), item)?;
                return Ok(same.then(|| self.look(item.tag, &item.name)));
            }
            Name::File(path)
            | Name::Kind(path)
            | Name::Listing(path)
            | Name::Link(path)
            | Name::Program(path) => unit.roots.resolve(path),
            _ => {
                self.same(unit, item, name)?;
                return Ok(Some(self.look(item.tag, &item.name)));
            }
        };
        let path = path.ok_or_else(|| text(&item.name))?;
        let is_directory = item.tag == Tag::Looked && item.value == DIRECTORY.as_bytes();
        let is_known = (is_directory && unit.is_of_all(&path)) || self.never_changes(&path);
        let is_output = path.starts_with(&self.here.build_dir);
        if is_known || (is_output && made.has(&path, is_directory)) {
            return Ok(None);
        }
        // Of what cargo fills nothing counts that comes with a build; nothing else was there, and it is not before one begins.
        let is_filled = item.tag == Tag::Listing && profile::is_filled(&item.name);
        if is_output && is_filled && item.value == listing::value(&path, &[]).as_bytes() {
            return Ok(None);
        }
        // What is nowhere when a build begins is made by one of its units, and none vouches for it.
        if is_output && item.value != NOTHING.as_bytes() {
            return Err(format!(
                "`{}` ({:?}), which is an output",
                path.display(),
                item.tag
            ));
        }
        let canonical = self.sight.roots.canonical(&path);
        let input = self.look(item.tag, &canonical);
        // Only a link's value has paths in it, which are relative to the unit's own roots.
        if item.tag == Tag::Link {
            self.same(unit, item, name)?;
        } else if input.content != Content::Value(item.value.clone()) {
            return Err(format!("`{}`, which is another now", path.display()));
        }
        Ok(Some(input))
    }

    /// What a name of this site's stands for now.
    fn look(&mut self, tag: Tag, name: &[u8]) -> Input {
        let key = (tag, name.to_vec());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let signature = self.sight.signature(tag, name);
        let value = self.sight.value(&self.files, tag, name);
        let settled = rekindle_fsx::time::realtime_ns() - SETTLED_NS;
        let signature = signature.filter(|before| {
            before.is_older_than(settled) && self.sight.signature(tag, name) == Some(*before)
        });
        let input = Input {
            place: Place::Seen(tag, name.to_vec()),
            content: Content::Value(value.unwrap_or_default()),
            is_package: false,
            signature,
        };
        self.known.insert(key, input.clone());
        input
    }

    /// Whether a name stands here for what it stood for when the unit was built.
    fn same(&self, unit: &Of<'_>, item: &Item, name: &Name) -> Result<(), String> {
        let present = Present {
            files: &self.files,
            environment: self.sight.environment,
            roots: &unit.roots,
            shown: &unit.shown,
            was_missing: None,
        };
        if value(&present, name).as_ref() == Some(&item.value) {
            return Ok(());
        }
        Err(format!("`{}`, which is another here", text(&item.name)))
    }

    /// Whether a variable has this command's value; else it must be one of cargo's, or of a build script's.
    fn same_variable(
        &self,
        (unit, made): (&Of<'_>, &mut Made<'_>),
        item: &Item,
    ) -> Result<bool, String> {
        let same = self.same(unit, item, &Name::Variable(item.name.clone()));
        let is_it =
            |value: &OsStr| value_of(&item.name, Some(value), &unit.shown).as_bytes() == item.value;
        match same {
            Ok(()) => Ok(true),
            Err(_) if is_among(&item.name, SET_BY_CARGO) => Ok(false),
            Err(_) if made.sets(&item.name, is_it) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sources of packages never change, and may not be there: see [`crate::registry`]. The toolchain was made
    /// from files that are named by a place that is nowhere.
    fn never_changes(&self, path: &Path) -> bool {
        let packages = ["registry", "git"].map(|name| self.here.cargo_home.join(name));
        path.starts_with("/rustc") || packages.iter().any(|dir| path.starts_with(dir))
    }
}

/// The unit whose reads are recorded.
struct Of<'a> {
    roots: Roots,
    shown: Roots,
    profile: &'a Path,
    /// See [`Recorder::host_of`].
    host: Option<PathBuf>,
}

impl Of<'_> {
    /// Whether a directory is, or is around, one of those that cargo makes for all units. There the loader looks for
    /// libraries, in an order and a number that differ from build to build; for another target, scripts and macros
    /// look there among the host's.
    fn is_of_all(&self, path: &Path) -> bool {
        let profiles = [Some(self.profile), self.host.as_deref()];
        let profiles = profiles.into_iter().flatten();
        let mut dirs =
            profiles.flat_map(|profile| ["deps", "build"].map(|name| profile.join(name)));
        dirs.any(|dir| dir.starts_with(path) || path.starts_with(&dir))
    }
}

fn text(name: &[u8]) -> String {
    Path::new(OsStr::from_bytes(name)).display().to_string()
}
