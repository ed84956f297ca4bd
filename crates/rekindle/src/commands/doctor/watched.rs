//! What cargo watches of a package beside its sources: what its build script said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rekindle_key::directives;

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    paths: BTreeSet<PathBuf>,
    variables: BTreeSet<String>,
    /// A build script that says nothing is run again when any file of its package changes.
    package: Option<PathBuf>,
}

impl Watched {
    /// Reads what the newest run of the package's build script printed, in any profile.
    pub(super) fn of(build_dir: &Path, package: &str, dir: &Path) -> Self {
        let mut watched = Self::default();
        if !rekindle_fsx::exists(&dir.join("build.rs")) {
            return watched;
        }
        let mut newest: Option<(i64, PathBuf)> = None;
        for profile in rekindle_fsx::disk::holders(build_dir, ".fingerprint", 2) {
            for entry in rekindle_fsx::list_dir(&profile.join("build")).unwrap_or_default() {
                let name = entry.name.to_string_lossy();
                let is_of = name
                    .rsplit_once('-')
                    .is_some_and(|(name, _)| name == package);
                let output = entry.path.join("output");
                if let Some(sig) = is_of.then(|| rekindle_fsx::stat(&output).ok()).flatten()
                    && newest.as_ref().is_none_or(|(time, _)| sig.mtime_ns > *time)
                {
                    newest = Some((sig.mtime_ns, output));
                }
            }
        }
        let text = newest.and_then(|(_, output)| rekindle_fsx::read(&output).ok());
        watched.read(&text.unwrap_or_default(), dir);
        watched
    }

    fn read(&mut self, output: &[u8], dir: &Path) {
        for (key, value) in directives::of(output) {
            let value = String::from_utf8_lossy(value);
            match key {
                b"rerun-if-changed" => {
                    self.paths.insert(plain(&dir.join(&*value)));
                }
                b"rerun-if-env-changed" => {
                    self.variables.insert(value.into_owned());
                }
                _ => {}
            }
        }
        if self.paths.is_empty() && self.variables.is_empty() {
            self.package = Some(dir.to_owned());
        }
    }

    /// Whether a path, or a directory above it, is watched.
    pub(super) fn has(&self, path: &Path) -> bool {
        let package = self.package.as_deref();
        path.ancestors()
            .any(|dir| self.paths.contains(dir) || package == Some(dir))
    }

    /// Whether a script that says nothing lets cargo watch all of the package.
    pub(super) fn has_whole(&self, package: &Path) -> bool {
        self.package.as_deref() == Some(package)
    }

    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.variables.contains(name)
    }
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(output: &str) -> Watched {
        let mut watched = Watched::default();
        watched.read(output.as_bytes(), Path::new("/ws/app"));
        watched
    }

    #[test]
    fn what_a_script_says_is_watched_with_all_below() {
        let watched = watched(
            "cargo::rerun-if-changed=migrations\ncargo:rerun-if-changed=../shared/./x\nnoise\n\
             cargo:rerun-if-env-changed=DATABASE_URL\n",
        );
        assert!(watched.has(Path::new("/ws/app/migrations/1.sql")));
        assert!(watched.has(Path::new("/ws/shared/x")));
        assert!(!watched.has(Path::new("/ws/app/templates")));
        assert!(watched.has_variable("DATABASE_URL") && !watched.has_variable("OTHER"));
    }

    #[test]
    fn a_script_that_says_nothing_watches_its_package() {
        let watched = watched("cargo:rustc-cfg=x\n");
        assert!(watched.has(Path::new("/ws/app/migrations")));
        assert!(watched.has_whole(Path::new("/ws/app")));
        assert!(!watched.has(Path::new("/ws/shared/x")));
    }
}
