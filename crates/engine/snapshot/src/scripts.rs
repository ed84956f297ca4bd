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
}

impl Scripts {
    /// Finds them in all profile directories of a build directory.
    pub(crate) fn find(workspace: &Path, profiles: &[(Profile, Vec<Place>)]) -> Self {
        let mut sources = HashMap::new();
        for (profile, places) in profiles {
            for place in places {
                if let Some((hash, source)) = script(workspace, profile, place) {
                    sources.insert(hash, source);
                }
            }
        }
        Self { sources }
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

/// The hash of a build script's program and its source.
fn script(workspace: &Path, profile: &Profile, place: &Place) -> Option<(u64, PathBuf)> {
    let dir = profile.path.join(&place.fingerprint);
    let name = rekindle_fsx::list_names(&dir)
        .ok()?
        .into_iter()
        .find(|name| {
            name.to_str()
                .is_some_and(|name| name.starts_with("build-script-") && is_hash_name(name))
        })?;
    let hash = fingerprint::hash(&rekindle_fsx::read(&dir.join(name)).ok()?)?;
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
