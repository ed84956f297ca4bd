//! Packages whose sources something reads without asking us.

use std::collections::HashSet;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_outputs::launch;
use rekindle_outputs::placeholder::Placeholder;
use rekindle_store::LocalStore;

use crate::captured::is_script_run;
use crate::layout::{Place, Profile};
use crate::ledger::Ledger;
use crate::model::{Tree, Unit};
use crate::trees;

/// Names of packages that have to be whole: what [`super::restore`] is asked with.
///
/// - A build script whose program is real reads sources when cargo starts it. One that is a placeholder starts
///   our launcher, and one that the wrapper makes is made after its package was filled.
/// - A unit that holds a path may hold that of its package, and reads it when it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers(HashSet<String>);

impl Readers {
    /// Those of a build directory as it is.
    #[must_use]
    pub fn of_build_dir(store: &LocalStore, build_dir: &Path) -> Self {
        let mut readers = Self::default();
        for profile in Profile::all(build_dir).unwrap_or_default() {
            for place in profile.units().unwrap_or_default() {
                if !readers.0.contains(&place.package) && has_real_script(&profile, &place) {
                    readers.0.insert(place.package);
                }
            }
            let ledger = Ledger::read(build_dir, &profile.name);
            if let Some(tree) = ledger.and_then(|ledger| trees::get(store, &ledger.tree?)) {
                readers.add(&tree);
            }
        }
        readers
    }

    /// Those of trees that are about to be restored: build scripts come as placeholders.
    #[must_use]
    pub fn of_trees<'a>(store: &LocalStore, digests: impl IntoIterator<Item = &'a Digest>) -> Self {
        let mut readers = Self::default();
        for digest in digests {
            if let Some(tree) = trees::get(store, digest) {
                readers.add(&tree);
            }
        }
        readers
    }

    fn add(&mut self, tree: &Tree) {
        let holds_home = |unit: &Unit| unit.home.bound && !is_script_run(unit);
        let units = tree.units.iter();
        let bound = units.filter(|unit| unit.path_bound || holds_home(unit));
        self.0.extend(bound.map(|unit| unit.package.clone()));
    }

    /// Whether a package of this name is one.
    #[must_use]
    pub fn has(&self, package: &str) -> bool {
        self.0.contains(package)
    }
}

fn has_real_script(profile: &Profile, place: &Place) -> bool {
    let own = profile.path.join(&place.own);
    let dir = if place.is_nested {
        own.join("out")
    } else {
        own
    };
    let names = rekindle_fsx::list_names(&dir).unwrap_or_default();
    names.iter().map(|name| dir.join(name)).any(|path| {
        launch::is_build_script(&path)
            && rekindle_fsx::stat_follow(&path).is_ok_and(|sig| sig.is_executable())
            && !matches!(Placeholder::read(&path), Ok(Some(_)))
    })
}
