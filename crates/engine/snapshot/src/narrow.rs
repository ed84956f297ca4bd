//! The part of another project's tree that a project can use: units of packages that its lock file has.
//!
//! A store that many projects share gives a new one the newest build with its toolchain, of whatever project. Most of what
//! is in that is none of its own: it would be placed, or brought from afar, for nothing.

use std::collections::HashSet;

use crate::inputs::Inputs;
use crate::model::{Tree, Unit};
use crate::registry::RegistryError;
use crate::registry::lockfile;

/// The packages of a `Cargo.lock`, the workspace's own with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    names: HashSet<String>,
    /// What the directories of those from a registry are called: name and version.
    dirs: HashSet<String>,
}

impl Packages {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`RegistryError::Lock`] where it is no lock file.
    pub fn of_lock(text: &str) -> Result<Self, RegistryError> {
        let mut packages = Self::default();
        for (name, version) in lockfile::packages(text)? {
            packages.dirs.insert(format!("{name}-{version}"));
            packages.names.insert(name);
        }
        Ok(packages)
    }

    /// Whether a unit can be of one of them, as far as it says: its name, and where its crate is known to be in a registry,
    /// its version.
    fn have(&self, unit: &Unit) -> bool {
        let is_version = || {
            let source = unit.home.source.as_deref();
            let source = source.filter(|source| source.starts_with(b"registry/src/"));
            let dir = source.and_then(|source| source.split(|byte| *byte == b'/').nth(3));
            let dir = dir.and_then(|dir| std::str::from_utf8(dir).ok());
            dir.is_none_or(|dir| self.dirs.contains(dir))
        };
        self.names.contains(&unit.package) && is_version()
    }
}

/// Leaves what is of these packages. States of incremental compiles are of a workspace's own crates: none stays.
pub(crate) fn to(packages: &Packages, tree: Tree) -> Tree {
    let mut inputs = Inputs::default();
    let mut units = tree.units;
    units.retain(|unit| packages.have(unit));
    for unit in &mut units {
        for index in &mut unit.inputs {
            *index = inputs.keep(&tree.inputs[*index as usize]);
        }
    }
    Tree {
        inputs: inputs.into_list(),
        units,
        incremental: Vec::new(),
        beside: Vec::new(),
        ..tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Home, Input, Place};
    use rekindle_base::Digest;

    const LOCK: &str = "version = 4\n\
        [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\
        [[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"sparse+x\"\n";

    fn unit(package: &str, source: Option<&str>, input: u32) -> Unit {
        Unit {
            id: package.to_owned(),
            package: package.to_owned(),
            used: 0,
            inputs: vec![input],
            build: Digest::of(package.as_bytes()),
            deps: Vec::new(),
            path_bound: false,
            home: Home {
                source: source.map(|source| source.as_bytes().to_vec()),
                bound: false,
            },
            files: Vec::new(),
        }
    }

    #[test]
    fn units_of_other_packages_and_versions_are_left_and_what_only_they_read() {
        let input = |name: &str| Input {
            place: Place::Workspace(name.into()),
            content: Content::Absent,
            is_package: false,
            signature: None,
        };
        let units = [
            unit("own", None, 2),
            unit("a", Some("registry/src/x-1/a-1.0.0/src/lib.rs"), 1),
            unit("a", Some("registry/src/x-1/a-1.0.1/src/lib.rs"), 0),
            unit("a", Some("git/checkouts/a-1/0123456/src/lib.rs"), 1),
            unit("b", None, 0),
        ];
        let mut tree = Tree::of(units.into(), Vec::new());
        tree.inputs = ["zero", "one", "two"].map(input).into();
        let narrow = to(&Packages::of_lock(LOCK).unwrap(), tree);
        let units = narrow.units.iter().map(|unit| {
            let read = &narrow.inputs[unit.inputs[0] as usize].place;
            let Place::Workspace(read) = read else {
                panic!("{read:?}");
            };
            let source = unit.home.source.as_deref().unwrap_or_default();
            (unit.package.as_str(), source.len(), read.as_slice())
        });
        let expected: [(&str, usize, &[u8]); 3] =
            [("own", 0, b"two"), ("a", 35, b"one"), ("a", 36, b"one")];
        assert_eq!(units.collect::<Vec<_>>(), expected);
        assert_eq!(narrow.inputs.len(), 2);
        assert!(Packages::of_lock("package = 3").is_err());
    }
}
