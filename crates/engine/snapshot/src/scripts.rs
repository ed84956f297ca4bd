//! Which package a build script's run belongs to: paths that it declares are relative to its root.
//!
//! cargo's fingerprint of a run names the fingerprint of the program that ran, and that program's dep-info
//! names its source. Runs and programs may be in different profile directories (`--target`).
//!
//! And which runs' files a unit was seen to read, and which of its variables they set: [`Made`].

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::fingerprint;
use crate::layout::{Place, Profile, is_hash_name};
use rekindle_fsx::DirEntry;
use rekindle_key::depinfo::DepInfo;
use rekindle_key::directives;

/// Programs of build scripts by the hash of their fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Scripts<'a> {
    profiles: &'a [(Profile, Vec<Place>)],
    sources: HashMap<u64, PathBuf>,
    /// Runs of them, by the hash of the run's fingerprint.
    runs: HashMap<u64, Run>,
    /// What each unit was built with, by hashes of fingerprints. Read where it is asked for, which is seldom.
    needs: OnceCell<HashMap<u64, Vec<u64>>>,
}

/// What a run left.
#[derive(Debug)]
struct Run {
    /// Where it wrote.
    out_dir: PathBuf,
    /// What it printed.
    printed: PathBuf,
}

impl<'a> Scripts<'a> {
    /// Finds them in all profile directories of a build directory.
    pub(crate) fn find(workspace: &Path, profiles: &'a [(Profile, Vec<Place>)]) -> Self {
        let mut found = Self {
            profiles,
            ..Self::default()
        };
        for (profile, places) in profiles {
            for place in places {
                if let Some((hash, source)) = script(workspace, profile, place) {
                    found.sources.insert(hash, source);
                } else if let Some(hash) = hash_named(profile, place, "run-build-script-") {
                    let run = Run {
                        out_dir: profile.path.join(place.out_dir()),
                        printed: profile.path.join(place.script_output()),
                    };
                    found.runs.insert(hash, run);
                }
            }
        }
        found
    }

    /// What a unit may read that was made with it: in `own`, its own directory, and in those of runs that it was
    /// built with, directly or not. `needs` are the hashes of those it was built with directly.
    pub(crate) fn made<'s>(&'s self, own: PathBuf, needs: &'s [u64]) -> Made<'s> {
        let direct = needs.iter().filter_map(|hash| self.runs.get(hash));
        Made {
            scripts: self,
            needs,
            dirs: direct.map(|run| run.out_dir.clone()).chain([own]).collect(),
            further: OnceCell::new(),
            read: BTreeSet::new(),
            variables: OnceCell::new(),
            told: Vec::new(),
        }
    }

    /// The runs that units with these hashes were built with, the whole way back, and where each wrote.
    fn behind(&self, needs: &[u64]) -> Vec<(u64, &Path)> {
        let all = self.needs.get_or_init(|| {
            let places = self.profiles.iter();
            let places =
                places.flat_map(|(profile, of)| of.iter().map(move |place| (profile, place)));
            let needs = |(profile, place): (&Profile, &Place)| {
                let needs = fingerprint::needs_at(&profile.path.join(&place.fingerprint))?;
                Some((hash_named(profile, place, "")?, needs))
            };
            places.filter_map(needs).collect()
        });
        let mut pending = needs.to_vec();
        let mut found = HashSet::new();
        while let Some(hash) = pending.pop() {
            if found.insert(hash) {
                pending.extend(all.get(&hash).into_iter().flatten());
            }
        }
        let runs = found.into_iter();
        runs.filter_map(|hash| Some((hash, self.runs.get(&hash)?.out_dir.as_path())))
            .collect()
    }

    /// The root of the package whose build script ran with this fingerprint; else why it is not known.
    pub(crate) fn package_root(&self, fingerprint: &[DirEntry]) -> Result<PathBuf, String> {
        let json = fingerprint
            .iter()
            .find(|entry| entry.path.extension() == Some(OsStr::new("json")))
            .ok_or("its fingerprint has another form")?;
        let bytes = rekindle_fsx::read(&json.path).map_err(|error| error.to_string())?;
        let needs = fingerprint::needs(&bytes).ok_or("its fingerprint has another form")?;
        let source = needs
            .iter()
            .find_map(|hash| self.sources.get(hash))
            .ok_or("the program of its build script was not found")?;
        source
            .ancestors()
            .skip(1)
            .find(|dir| rekindle_fsx::exists(&dir.join("Cargo.toml")))
            .map(Path::to_owned)
            .ok_or_else(|| format!("`{}` is in no package", source.display()))
    }
}

/// What a unit may read whose makers vouch for it: those that it was built with, and itself.
pub(crate) struct Made<'a> {
    scripts: &'a Scripts<'a>,
    needs: &'a [u64],
    dirs: Vec<PathBuf>,
    further: OnceCell<Vec<(u64, &'a Path)>>,
    read: BTreeSet<u64>,
    /// What the runs that the unit was built with directly have cargo set for it.
    variables: OnceCell<Vec<(Vec<u8>, OsString)>>,
    told: Vec<OsString>,
}

impl Made<'_> {
    /// Whether a maker set a variable to a value that `is_it`: cargo builds the unit again where the maker ran
    /// again. What the unit was told so far is [`Self::told`].
    pub(crate) fn sets(&mut self, name: &[u8], is_it: impl Fn(&OsStr) -> bool) -> bool {
        let all = self.variables.get_or_init(|| {
            let runs = self.needs.iter();
            let runs = runs.filter_map(|hash| self.scripts.runs.get(hash));
            let printed = runs.filter_map(|run| rekindle_fsx::read(&run.printed).ok());
            printed.flat_map(|text| variables(&text)).collect()
        });
        let value = all
            .iter()
            .find(|(key, value)| key == name && is_it(value))
            .map(|(_, value)| value.clone());
        let is_set = value.is_some();
        self.told.extend(value);
        is_set
    }

    /// The values of variables that makers set.
    pub(crate) fn told(&self) -> &[OsString] {
        &self.told
    }

    /// Whether what was read at a path is of a maker: in one of the directories or, where it is itself one, around it. A run
    /// that the unit was not built with directly (a linker finds what scripts of crates further back wrote) is one of [`Self::read`] then.
    pub(crate) fn has(&mut self, path: &Path, is_directory: bool) -> bool {
        let is_of = |dir: &Path| path.starts_with(dir) || (is_directory && dir.starts_with(path));
        if self.dirs.iter().any(|dir| is_of(dir)) {
            return true;
        }
        let further = self.further.get_or_init(|| self.scripts.behind(self.needs));
        let runs: Vec<u64> = further
            .iter()
            .filter_map(|(hash, dir)| is_of(dir).then_some(*hash))
            .collect();
        self.read.extend(&runs);
        !runs.is_empty()
    }

    /// The hashes of the runs whose files were read that the unit was not built with directly.
    pub(crate) fn read(self) -> BTreeSet<u64> {
        self.read
    }
}

/// What a build script's output has cargo set for the package's crates.
fn variables(printed: &[u8]) -> Vec<(Vec<u8>, OsString)> {
    directives::of(printed)
        .filter(|(key, _)| *key == b"rustc-env")
        .filter_map(|(_, pair)| directives::pair(pair))
        .map(|(name, value)| (name.to_vec(), OsStr::from_bytes(value).to_owned()))
        .collect()
}

/// The hash of a unit whose fingerprint's name begins so.
fn hash_named(profile: &Profile, place: &Place, beginning: &str) -> Option<u64> {
    let dir = profile.path.join(&place.fingerprint);
    let name = rekindle_fsx::list_names(&dir)
        .ok()?
        .into_iter()
        .find(|name| {
            name.to_str()
                .is_some_and(|name| name.starts_with(beginning) && is_hash_name(name))
        })?;
    fingerprint::hash(&rekindle_fsx::read(&dir.join(name)).ok()?)
}

/// The hash of a build script's program and its source.
fn script(workspace: &Path, profile: &Profile, place: &Place) -> Option<(u64, PathBuf)> {
    let hash = hash_named(profile, place, "build-script-")?;
    let own = profile.path.join(&place.own);
    let own = if place.is_nested {
        own.join("out")
    } else {
        own
    };
    let info = rekindle_fsx::list_names(&own)
        .ok()?
        .into_iter()
        .map(|name| own.join(name))
        .find(|path| path.extension() == Some(OsStr::new("d")))?;
    let info = DepInfo::parse(&rekindle_fsx::read(&info).ok()?)?;
    Some((
        hash,
        workspace.join(OsStr::from_bytes(info.inputs.first()?)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_what_a_script_prints() {
        let printed = b"cargo:rustc-env=ONE=1\ncargo::rustc-env=TWO=a=b \r\nrustc-env=NO=1\n\
            cargo:rustc-cfg=NO=1\n cargo:rustc-env=NO=1\ncargo:rustc-env=NO\ncargo:rustc-env=ONE=2";
        let found = [("ONE", "1"), ("TWO", "a=b"), ("ONE", "2")];
        let found = found.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(variables(printed), found);
    }

    #[test]
    fn a_maker_vouches_for_what_it_set_and_nobody_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let printed = dir.path().join("output");
        rekindle_fsx::atomic::write(&printed, b"cargo:rustc-env=ONE=1\n").unwrap();
        let mut scripts = Scripts::default();
        let out_dir = dir.path().join("out");
        scripts.runs.insert(7, Run { out_dir, printed });
        let mut made = scripts.made(dir.path().join("own"), &[7]);
        assert!(!made.sets(b"ONE", |value| value == "2"));
        assert!(!made.sets(b"TWO", |_| true));
        assert!(made.told().is_empty());
        assert!(made.sets(b"ONE", |value| value == "1"));
        assert_eq!(made.told(), ["1"]);
        let mut other = scripts.made(dir.path().join("own"), &[8]);
        assert!(!other.sets(b"ONE", |_| true));
    }
}
