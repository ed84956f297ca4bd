//! Which package a build script's run belongs to: paths that it declares are relative to its root.
//!
//! cargo's fingerprint of a run names the fingerprint of the program that ran, and that program's dep-info
//! names its source. Runs and programs may be in different profile directories (`--target`).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::fingerprint;
use crate::layout::{Place, Profile, is_hash_name};
use rekindle_fsx::DirEntry;
use rekindle_key::depinfo::DepInfo;

/// Programs of build scripts by the hash of their fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    sources: HashMap<u64, PathBuf>,
    /// Where runs of them wrote, by the hash of the run's fingerprint.
    out_dirs: HashMap<u64, PathBuf>,
}

impl Scripts {
    /// Finds them in all profile directories of a build directory.
    pub(crate) fn find(workspace: &Path, profiles: &[(Profile, Vec<Place>)]) -> Self {
        let mut found = Self::default();
        for (profile, places) in profiles {
            for place in places {
                if let Some((hash, source)) = script(workspace, profile, place) {
                    found.sources.insert(hash, source);
                } else if let Some(hash) = hash_named(profile, place, "run-build-script-") {
                    let out_dir = profile.path.join(place.out_dir());
                    found.out_dirs.insert(hash, out_dir);
                }
            }
        }
        found
    }

    /// Where those of the units with these hashes wrote that are runs.
    pub(crate) fn made(&self, needs: &[u64]) -> Vec<PathBuf> {
        let made = needs.iter().filter_map(|hash| self.out_dirs.get(hash));
        made.cloned().collect()
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
