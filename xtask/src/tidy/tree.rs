//! What the rules look at: the files that git knows or would add, and the packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::process;

/// A package of the workspace.
#[derive(Clone, Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    /// Its directory, relative to the root.
    pub(super) dir: String,
    pub(super) dependencies: Vec<Dependency>,
    /// The first file of each of its targets, relative to the root.
    pub(super) roots: Vec<String>,
}

/// A line of `[dependencies]`.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Only tests or build scripts see it.
    pub(super) unshipped: bool,
}

/// Files by path relative to the root, with `/` between; text of those that are text.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<String, Option<String>>,
    pub(super) packages: Vec<Package>,
}

impl Tree {
    /// The workspace as it is on disk.
    pub(super) fn read() -> Result<Self, Failure> {
        let root = process::root();
        let listed = process::capture(process::command("git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut files = BTreeMap::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // Deleted but not yet committed: not there.
            if let Ok(bytes) = fs::read(root.join(path)) {
                files.insert(path.to_owned(), String::from_utf8(bytes).ok());
            }
        }
        let packages = read_packages(&process::metadata()?, &root)?;
        Ok(Self { files, packages })
    }

    /// A tree of texts, for tests of rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())))
                .collect(),
            packages: Vec::new(),
        }
    }

    /// The same tree with packages.
    #[cfg(test)]
    pub(super) fn with_packages(mut self, packages: Vec<Package>) -> Self {
        self.packages = packages;
        self
    }

    pub(super) fn files(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        let dir = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&dir))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Every text file with one of these ends.
    pub(super) fn texts<'t>(
        &'t self,
        ends: &'t [&str],
    ) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.files
            .iter()
            .filter(|(path, _)| ends.iter().any(|end| path.ends_with(end)))
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The package that a file belongs to: the one with the longest directory.
    pub(super) fn package_of(&self, path: &str) -> Option<&Package> {
        self.packages
            .iter()
            .filter(|package| path.starts_with(&format!("{}/", package.dir)))
            .max_by_key(|package| package.dir.len())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: String,
    dependencies: Vec<RawDependency>,
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
struct RawDependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct RawTarget {
    src_path: String,
}

fn read_packages(json: &str, root: &Path) -> Result<Vec<Package>, Failure> {
    let metadata: Metadata = serde_json::from_str(json)
        .map_err(|error| format!("cannot read what `cargo metadata` printed: {error}"))?;
    let relative = |path: &str| {
        let path = Path::new(path);
        let inside = path.strip_prefix(root).unwrap_or(path);
        inside.to_string_lossy().into_owned()
    };
    Ok(metadata
        .packages
        .into_iter()
        .map(|raw| Package {
            dir: relative(&raw.manifest_path)
                .trim_end_matches("/Cargo.toml")
                .to_owned(),
            name: raw.name,
            dependencies: raw
                .dependencies
                .into_iter()
                .map(|dependency| Dependency {
                    name: dependency.name,
                    unshipped: dependency.kind.is_some(),
                })
                .collect(),
            roots: raw
                .targets
                .iter()
                .map(|target| relative(&target.src_path))
                .collect(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_relative_to_the_root() {
        let json = r#"{"packages":[{"name":"a","manifest_path":"/r/crates/a/Cargo.toml",
            "dependencies":[{"name":"serde","kind":null},{"name":"tempfile","kind":"dev"}],
            "targets":[{"src_path":"/r/crates/a/src/lib.rs"}]}]}"#;
        let packages = read_packages(json, Path::new("/r")).unwrap();
        assert_eq!(packages[0].dir, "crates/a");
        assert_eq!(packages[0].roots, ["crates/a/src/lib.rs"]);
        assert!(!packages[0].dependencies[0].unshipped);
        assert!(packages[0].dependencies[1].unshipped);
    }

    #[test]
    fn directories_count_as_there() {
        let tree = Tree::of(&[("docs/a.md", "")]);
        assert!(tree.has("docs") && tree.has("docs/") && tree.has("docs/a.md"));
        assert!(!tree.has("doc"));
    }
}
