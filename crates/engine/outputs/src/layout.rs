//! Where things are below a profile directory, in both of cargo's layouts.
//!
//! ```text
//! TARGET[/TRIPLE]/PROFILE/                         up to cargo 1.99
//!     deps/libx-HASH.rmeta   examples/x-HASH       incremental/
//!     build/PACKAGE-HASH/{build-script-build,out/} .fingerprint/PACKAGE-HASH/
//! TARGET[/TRIPLE]/PROFILE/                         from cargo 1.100
//!     build/PACKAGE/HASH/{out/,fingerprint/,run/}  incremental/
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The profile directory that a file in a target directory belongs to: the one above `deps`,
/// `examples`, `build` or `incremental`, or else the file's own, where it looks like one.
#[must_use]
pub fn profile_dir(path: &Path) -> Option<PathBuf> {
    let dir = path.parent()?;
    let parts = ["deps", "examples", "build", "incremental"];
    let inner = dir
        .ancestors()
        .find(|dir| {
            let is_part = |name: &OsStr| parts.iter().any(|part| name == *part);
            dir.file_name().is_some_and(is_part) && dir.parent().is_some_and(is_profile_dir)
        })
        .and_then(Path::parent);
    inner
        .or_else(|| is_profile_dir(dir).then_some(dir))
        .map(Path::to_owned)
}

/// cargo makes a lock there before anything else.
fn is_profile_dir(dir: &Path) -> bool {
    [".cargo-lock", ".cargo-build-lock", ".fingerprint"]
        .iter()
        .any(|name| rekindle_fsx::exists(&dir.join(name)))
}

/// The profile directories of a target directory: `debug`, `x86_64-unknown-linux-musl/release`.
#[must_use]
pub fn profile_dirs(target: &Path) -> Vec<PathBuf> {
    let mut profiles = Vec::new();
    for dir in directories(target) {
        if is_profile_dir(&dir) {
            profiles.push(dir);
        } else {
            profiles.extend(
                directories(&dir)
                    .into_iter()
                    .filter(|dir| is_profile_dir(dir)),
            );
        }
    }
    profiles
}

/// Whatever is in a directory, hidden names apart; files among it do no harm to those who look below.
fn directories(dir: &Path) -> Vec<PathBuf> {
    rekindle_fsx::list_names(dir)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| !name.as_bytes().starts_with(b"."))
        .map(|name| dir.join(name))
        .collect()
}

/// The directories in which a second name of `path`, a hardlink by cargo, is likely to be, the
/// likeliest first.
#[must_use]
pub fn neighbours(path: &Path) -> Vec<PathBuf> {
    let Some(dir) = path.parent() else {
        return Vec::new();
    };
    let mut dirs = vec![dir.to_owned()];
    let Some(profile) = profile_dir(path) else {
        return dirs;
    };
    dirs.extend(["deps", "examples"].map(|part| profile.join(part)));
    dirs.push(profile.clone());
    for package in directories(&profile.join("build")) {
        dirs.extend(
            directories(&package)
                .into_iter()
                .map(|unit| unit.join("out")),
        );
    }
    dirs.retain(|dir| rekindle_fsx::exists(dir));
    dirs
}
