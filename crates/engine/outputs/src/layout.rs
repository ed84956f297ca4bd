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

/// The target directory behind a profile directory, as far as names tell: `TARGET/debug`, or
/// `TARGET/x86_64-unknown-linux-musl/debug`.
#[must_use]
pub fn target_dir(profile: &Path) -> PathBuf {
    let above = profile.parent().unwrap_or(profile);
    // A target directory has a mark of cargo's in it, a triple's has none.
    let is_marked = |dir: &&Path| rekindle_fsx::exists(&dir.join("CACHEDIR.TAG"));
    let marked = [Some(above), above.parent()]
        .into_iter()
        .flatten()
        .find(is_marked);
    marked.unwrap_or(above).to_owned()
}

/// The directories that build scripts write to, and in the newer layout those of compilers.
#[must_use]
pub fn out_dirs(profile: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for package in directories(&profile.join("build")) {
        let older = package.join("out");
        if rekindle_fsx::exists(&older) {
            dirs.push(older);
        } else {
            let newer = directories(&package)
                .into_iter()
                .map(|unit| unit.join("out"));
            dirs.extend(newer.filter(|dir| rekindle_fsx::exists(dir)));
        }
    }
    dirs
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

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> tempfile::TempDir {
        let target = tempfile::tempdir().unwrap();
        for dir in [
            "debug/.fingerprint",
            "debug/deps",
            "debug/build/x-0123456789abcdef/out",
            "debug/build/y-0123456789abcdef",
            "x86_64-unknown-linux-musl/release/build/z/0123456789abcdef/out",
            "doc/x",
        ] {
            rekindle_fsx::create_dir_all(&target.path().join(dir)).unwrap();
        }
        for file in [
            "CACHEDIR.TAG",
            "x86_64-unknown-linux-musl/release/.cargo-lock",
        ] {
            rekindle_fsx::append(&target.path().join(file), b"").unwrap();
        }
        target
    }

    #[test]
    fn profiles_are_found_from_above_and_from_below() {
        let target = target();
        let at = |name: &str| target.path().join(name);
        let musl = at("x86_64-unknown-linux-musl/release");
        assert_eq!(profile_dirs(target.path()), [at("debug"), musl.clone()]);
        for profile in [at("debug"), musl.clone()] {
            assert_eq!(target_dir(&profile), target.path());
            for file in [
                "deps/libx.rmeta",
                "build/x-0123456789abcdef/out/deep/er/libz.a",
                "incremental/x-1/s-1/x.o",
                "app",
            ] {
                let found = profile_dir(&profile.join(file));
                assert_eq!(found.as_ref(), Some(&profile), "{file}");
            }
        }
        assert_eq!(profile_dir(&at("doc/x/index.html")), None);
        assert_eq!(
            out_dirs(&at("debug")),
            [at("debug/build/x-0123456789abcdef/out")]
        );
        assert_eq!(out_dirs(&musl), [musl.join("build/z/0123456789abcdef/out")]);
    }
}
