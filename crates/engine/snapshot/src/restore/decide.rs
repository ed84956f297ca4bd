//! Which units of a tree are those that cargo would build from the present inputs.

use std::collections::{HashMap, HashSet};

use rekindle_base::Digest;
use rekindle_key::{Root, Tag};
use rekindle_store::LocalStore;

use super::watch::Watched;
use super::{Job, Restored};
use crate::captured::is_script_run;
use crate::model::{Body, Content, File, Input, Place, Tree, Unit};

/// Why a unit was not restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An input is not what it was.
    #[error("`{0}` changed")]
    Input(String),
    /// Something is not what it was that a macro or a build script was seen to read.
    #[error("undeclared input `{0}` changed")]
    Undeclared(String),
    /// It is the run of a build script, and a source of what was built with it is gone: it may have written that.
    #[error("`{0}` is gone, which this build script may have made")]
    SourceGone(String),
    /// Its outputs hold the path of another directory.
    #[error("it holds the path of the directory that it was built in")]
    PathBound,
    /// It was built from a file that may be another one here.
    #[error("it was built elsewhere, from `{0}`")]
    ElsewhereInput(String),
    /// The store does not have a file of it any more.
    #[error("the store does not have `{0}` any more")]
    Gone(String),
    /// A unit that it was built with is not restored, or is another build of it.
    #[error("a unit that it was built with is another one")]
    Dependency,
}

/// The indices of the valid units of each tree.
pub(super) fn units(
    store: &LocalStore,
    jobs: &[Job],
    watched: &Watched,
    restored: &mut Restored,
) -> Vec<Vec<usize>> {
    let mut valid: Vec<Vec<usize>> = Vec::with_capacity(jobs.len());
    let mut reject = |unit: &Unit, reason: Invalid| {
        let (package, id) = (unit.package.clone(), unit.id.clone());
        restored.invalid.push((package, id, reason));
    };
    let without = runs_without_a_source(jobs, watched);
    for job in jobs {
        let mut of_tree = Vec::with_capacity(job.tree.units.len());
        for (index, unit) in job.tree.units.iter().enumerate() {
            let lost = without.get(&unit.build);
            let lost = lost.map(|place| Invalid::SourceGone(shown(place)));
            match lost.or_else(|| invalid(store, job, unit, watched)) {
                Some(reason) => reject(unit, reason),
                None => of_tree.push(index),
            }
        }
        valid.push(of_tree);
    }
    // What was built with a unit that is not here goes too, until nothing more goes.
    loop {
        let builds: HashSet<Digest> = jobs
            .iter()
            .zip(&valid)
            .flat_map(|(job, valid)| valid.iter().map(|index| job.tree.units[*index].build))
            .collect();
        let mut changed = false;
        for (job, valid) in jobs.iter().zip(&mut valid) {
            valid.retain(|index| {
                let unit = &job.tree.units[*index];
                let whole = unit.deps.iter().all(|dep| builds.contains(dep));
                if !whole {
                    reject(unit, Invalid::Dependency);
                    changed = true;
                }
                whole
            });
        }
        if !changed {
            return valid;
        }
    }
}

/// Runs of build scripts with which a unit was built that has lost a source, and that source. One that the script wrote, where
/// version control does not see it, is in no fresh checkout: the script has to run again. A unit of another version was built with
/// another run: that a file was deleted since then says nothing of this one's.
fn runs_without_a_source<'a>(jobs: &'a [Job], watched: &Watched) -> HashMap<Digest, &'a Place> {
    let mut runs = HashMap::new();
    for tree in jobs.iter().map(|job| &job.tree) {
        for unit in &tree.units {
            let inputs = unit
                .inputs
                .iter()
                .map(|index| &tree.inputs[*index as usize]);
            let is_gone = |input: &&Input| {
                input.content != Content::Absent
                    && watched.content(&input.place, input.is_package) == Some(&Content::Absent)
            };
            let Some(input) = inputs.into_iter().find(is_gone) else {
                continue;
            };
            let is_its = |run: &&Unit| {
                run.package == unit.package && is_script_run(run) && unit.deps.contains(&run.build)
            };
            let its = tree.units.iter().filter(is_its);
            runs.extend(its.map(|run| (run.build, &input.place)));
        }
    }
    runs
}

/// Why a unit alone is not valid.
fn invalid(store: &LocalStore, job: &Job, unit: &Unit, watched: &Watched) -> Option<Invalid> {
    let is_bound = job.moved && unit.path_bound || job.rehomed && unit.home.bound;
    if is_bound || (!job.named && unit.files.iter().any(File::is_mapped)) {
        return Some(Invalid::PathBound);
    }
    let elsewhere = unit.inputs.iter().find_map(|index| {
        let place = &job.tree.inputs[*index as usize].place;
        (job.moved && may_be_another(place)).then(|| Invalid::ElsewhereInput(shown(place)))
    });
    elsewhere
        .or_else(|| changed(&job.tree, unit, watched))
        .or_else(|| gone(store, &job.tree, unit))
}

/// Which input of a unit is another now.
pub(super) fn changed(tree: &Tree, unit: &Unit, watched: &Watched) -> Option<Invalid> {
    unit.inputs.iter().find_map(|index| {
        let input = &tree.inputs[*index as usize];
        let now = watched.content(&input.place, input.is_package);
        (now != Some(&input.content)).then(|| match input.place {
            Place::Seen(..) => Invalid::Undeclared(shown(&input.place)),
            _ => Invalid::Input(shown(&input.place)),
        })
    })
}

/// A path outside the workspace means the same file from another directory only if it is the system's.
fn may_be_another(place: &Place) -> bool {
    match place {
        Place::Workspace(_) => false,
        // What a relative path led to would now be somewhere else.
        Place::Seen(Tag::ReadFile | Tag::Listing, path) => {
            let in_home = path.starts_with(Root::Home.name().as_bytes());
            in_home || (path.starts_with(b"/") && !is_of_system(path))
        }
        Place::Seen(..) => false,
        Place::Absolute(path) => !is_of_system(path),
    }
}

fn is_of_system(path: &[u8]) -> bool {
    [
        "/usr/", "/lib/", "/lib64/", "/etc/", "/opt/", "/proc/", "/sys/",
    ]
    .iter()
    .any(|dir| path.starts_with(dir.as_bytes()))
}

fn shown(place: &Place) -> String {
    let (Place::Workspace(path) | Place::Absolute(path) | Place::Seen(_, path)) = place;
    let path = if path.is_empty() {
        b"the environment"
    } else {
        path.as_slice()
    };
    String::from_utf8_lossy(path).into_owned()
}

fn gone(store: &LocalStore, _tree: &Tree, unit: &Unit) -> Option<Invalid> {
    unit.files.iter().find_map(|file| match &file.body {
        Body::Object(object) if !store.has_object(&object.digest, object.size) => {
            Some(Invalid::Gone(file.path.clone()))
        }
        _ => None,
    })
}
