//! Where cargo keeps what in a profile directory, in both of its layouts.
//!
//! Up to cargo 1.99 a unit's files are `.fingerprint/<package>-<id>/…`, `build/<package>-<id>/…` and
//! `deps/…-<id>.…`; from 1.100 on they are all below `build/<package>/<id>/`. The id is 16 hex digits.
//! Libraries that people link by name have no id in theirs: those are found by the name of the crate.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rekindle_base::is_hex;
use rekindle_fsx::lock::FileLock;

/// A profile directory of a build directory.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Where it is.
    pub path: PathBuf,
    /// Relative to the build directory, as in `debug`.
    pub name: String,
}

impl Profile {
    /// The directory itself.
    #[must_use]
    pub fn new(build_dir: &Path, name: &str) -> Self {
        Self {
            path: build_dir.join(name),
            name: name.to_owned(),
        }
    }

    /// Those that a build directory has, sorted.
    ///
    /// # Errors
    /// As listing directories.
    pub fn all(build_dir: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for name in texts(build_dir)? {
            let profile = Self::new(build_dir, &name);
            if profile.is_built() {
                found.push(profile);
                continue;
            }
            // `<target>/<profile>`: anything else has no directories that look like a profile's.
            for inner in texts(&profile.path).unwrap_or_default() {
                let profile = Self::new(build_dir, &format!("{name}/{inner}"));
                if profile.is_built() {
                    found.push(profile);
                }
            }
        }
        Ok(found)
    }

    /// Whether anything was built in it.
    #[must_use]
    pub fn is_built(&self) -> bool {
        [".fingerprint", "deps", "build"]
            .iter()
            .any(|name| rekindle_fsx::exists(&self.path.join(name)))
    }

    /// Cargo's locks on it, taken; `None` where somebody holds one. The newer layout has two more, which cargo makes.
    ///
    /// # Errors
    /// As opening and locking files.
    pub fn try_lock(&self) -> io::Result<Option<Vec<FileLock>>> {
        let mut held = Vec::new();
        for (name, always) in [
            (".cargo-lock", true),
            (".cargo-build-lock", false),
            (".cargo-artifact-lock", false),
        ] {
            let path = self.path.join(name);
            if !always && !rekindle_fsx::exists(&path) {
                continue;
            }
            match rekindle_fsx::lock::try_exclusive(&path)? {
                Some(lock) => held.push(lock),
                None => return Ok(None),
            }
        }
        Ok(Some(held))
    }

    /// All units that have a directory of fingerprints.
    ///
    /// # Errors
    /// As listing directories.
    pub fn units(&self) -> io::Result<Vec<Place>> {
        let mut places = Vec::new();
        for name in texts(&self.path.join(".fingerprint"))? {
            if let Some((package, id)) = split_id(&name) {
                places.push(Place {
                    id: id.to_owned(),
                    package: package.to_owned(),
                    fingerprint: format!(".fingerprint/{name}"),
                    own: format!("build/{name}"),
                    is_nested: false,
                });
            }
        }
        for package in texts(&self.path.join("build"))? {
            if split_id(&package).is_some() {
                continue;
            }
            for id in texts(&self.path.join("build").join(&package)).unwrap_or_default() {
                let own = format!("build/{package}/{id}");
                let fingerprint = format!("{own}/fingerprint");
                if is_id(&id) && rekindle_fsx::exists(&self.path.join(&fingerprint)) {
                    places.push(Place {
                        id,
                        package: package.clone(),
                        fingerprint,
                        own,
                        is_nested: true,
                    });
                }
            }
        }
        Ok(places)
    }

    /// Names in `deps` and `examples` by the id that is in them, and those without one under their
    /// own crate's name, as in `lib foo`.
    ///
    /// # Errors
    /// As listing directories.
    pub fn outputs(&self) -> io::Result<HashMap<String, Vec<String>>> {
        let mut outputs: HashMap<String, Vec<String>> = HashMap::new();
        for dir in ["deps", "examples"] {
            for name in texts(&self.path.join(dir))? {
                let stem = name.split('.').next().unwrap_or(&name);
                let owner = match split_id(stem) {
                    Some((_, id)) => id.to_owned(),
                    None if dir == "deps" => {
                        format!("lib {}", stem.strip_prefix("lib").unwrap_or(stem))
                    }
                    None => continue,
                };
                outputs
                    .entry(owner)
                    .or_default()
                    .push(format!("{dir}/{name}"));
            }
        }
        Ok(outputs)
    }
}

/// Where a unit's files are, relative to the profile directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// 16 hex digits.
    pub id: String,
    /// Package.
    pub package: String,
    /// Directory of its fingerprint.
    pub fingerprint: String,
    /// Directory of its own in `build`; in the older layout only build scripts have one.
    pub own: String,
    /// Whether it is the newer layout.
    pub is_nested: bool,
}

impl Place {
    /// What a build script printed, where this unit is a build script's run.
    #[must_use]
    pub fn script_output(&self) -> String {
        let name = if self.is_nested {
            "run/stdout"
        } else {
            "output"
        };
        format!("{}/{name}", self.own)
    }

    /// What a build script's run wrote.
    #[must_use]
    pub fn out_dir(&self) -> String {
        format!("{}/out", self.own)
    }

    /// When the unit's build began: its modification time.
    #[must_use]
    pub fn invoked(&self, is_script_run: bool) -> String {
        match (is_script_run, self.is_nested) {
            (true, true) => format!("{}/run/invoked.timestamp", self.own),
            (true, false) => format!("{}/invoked.timestamp", self.own),
            (false, _) => format!("{}/invoked.timestamp", self.fingerprint),
        }
    }
}

/// Whether a file in a directory of fingerprints, by its name, is the hash that makes a unit fresh.
#[must_use]
pub fn is_hash_name(name: &str) -> bool {
    !name.contains('.') && !name.starts_with("dep-") && !name.starts_with("output-")
}

/// `<name>-<id>`.
fn split_id(name: &str) -> Option<(&str, &str)> {
    let (name, id) = name.rsplit_once('-')?;
    is_id(id).then_some((name, id))
}

fn is_id(text: &str) -> bool {
    is_hex(text, 16)
}

/// Names that are text: others are none of cargo's.
fn texts(dir: &Path) -> io::Result<Vec<String>> {
    let names = rekindle_fsx::list_names(dir)?;
    Ok(names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let file = dir.path().join(file);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&file, b"").unwrap();
        }
        dir
    }

    const ID: &str = "0123456789abcdef";

    #[test]
    fn profiles_are_found_with_and_without_a_target() {
        let dir = target(&[
            "debug/.fingerprint/x",
            "x86_64-unknown-linux-musl/release/deps/x",
            "doc/index.html",
            "package/x-1.0/src/lib.rs",
        ]);
        let names: Vec<String> = Profile::all(dir.path())
            .unwrap()
            .into_iter()
            .map(|profile| profile.name)
            .collect();
        assert_eq!(names, ["debug", "x86_64-unknown-linux-musl/release"]);
    }

    #[test]
    fn both_layouts_have_units() {
        let dir = target(&[
            &format!("debug/.fingerprint/my-crate-{ID}/lib-my_crate"),
            &format!("debug/build/new/{ID}/fingerprint/lib-new"),
        ]);
        let units = Profile::new(dir.path(), "debug").units().unwrap();
        let found: Vec<_> = units
            .iter()
            .map(|place| (place.package.as_str(), place.is_nested))
            .collect();
        assert_eq!(found, [("my-crate", false), ("new", true)]);
    }

    #[test]
    fn outputs_belong_to_the_unit_in_their_name() {
        let dir = target(&[
            &format!("debug/deps/liba-{ID}.rlib"),
            &format!("debug/deps/a-{ID}.a.1234-cgu.0.rcgu.o"),
            &format!("debug/examples/e-{ID}"),
            "debug/examples/e",
            "debug/deps/libshared.so",
            "debug/deps/shared.d",
        ]);
        let outputs = Profile::new(dir.path(), "debug").outputs().unwrap();
        assert_eq!(outputs[ID].len(), 3);
        assert_eq!(
            outputs["lib shared"],
            ["deps/libshared.so", "deps/shared.d"]
        );
        assert_eq!(outputs.len(), 2);
    }

    #[test]
    fn only_the_hash_is_a_hash() {
        for (name, is_hash) in [
            ("lib-foo", true),
            ("run-build-script-build-script-build", true),
            ("lib-foo.json", false),
            ("dep-lib-foo", false),
            ("output-lib-foo", false),
            ("invoked.timestamp", false),
        ] {
            assert_eq!(is_hash_name(name), is_hash, "{name}");
        }
    }
}
