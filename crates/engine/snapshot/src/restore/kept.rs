//! A target that is there already: units of which something undeclared changed since.
//!
//! cargo does not watch it and would call such a unit fresh.

use std::collections::HashMap;
use std::io;

use rekindle_outputs::environment::Environment;
use rekindle_store::LocalStore;

use super::{Invalid, decide, watch};
use crate::captured::is_script_run;
use crate::inputs::Where;
use crate::layout::Profile;
use crate::ledger::Ledger;
use crate::model::{Body, Place, Tree, Unit};
use crate::trees;

/// Removes the fingerprints of units that were made from something undeclared which is another now, as far as
/// they are as Rekindle left them. `names` are profile directories, none all. Which units they are: package, id and why.
///
/// # Errors
/// Where the target directory cannot be read, or a fingerprint cannot be removed.
pub fn forget_changed(
    store: &LocalStore,
    (here, environment): (&Where, &Environment),
    names: &[String],
) -> io::Result<Vec<(String, String, Invalid)>> {
    let profiles: Vec<Profile> = if names.is_empty() {
        Profile::all(&here.build_dir)?
    } else {
        let names = names.iter();
        names
            .map(|name| Profile::new(&here.build_dir, name))
            .collect()
    };
    let mut forgotten = Vec::new();
    for profile in profiles {
        let ledger = Ledger::read(&here.build_dir, &profile.name).filter(|ledger| ledger.has_seen);
        let tree = ledger
            .as_ref()
            .and_then(|ledger| trees::get(store, &ledger.tree?));
        let (Some(ledger), Some(mut tree)) = (ledger, tree) else {
            continue;
        };
        // Somebody who builds there at this moment has looked, too.
        let Some(_held) = profile.try_lock()? else {
            continue;
        };
        tree.units
            .retain(|unit| is_as_it_was(&profile, &ledger, unit));
        keep_seen(&mut tree);
        let Some(watched) = watch::inputs(store, &[&tree], (here, environment))? else {
            continue;
        };
        for unit in &tree.units {
            let Some(reason) = decide::changed(&tree, unit, &watched) else {
                continue;
            };
            forget(&profile, unit)?;
            forgotten.push((unit.package.clone(), unit.id.clone(), reason));
        }
    }
    Ok(forgotten)
}

/// Makes cargo build a unit and what depends on it. Without its fingerprint it alone would be built: what depends
/// on it is out of date where one of its outputs is missing. Of a script's run, what it printed is all that
/// cargo takes for an output.
fn forget(profile: &Profile, unit: &Unit) -> io::Result<()> {
    let is_run = is_script_run(unit);
    for file in &unit.files {
        let is_output = if is_run {
            file.path.ends_with("/output") || file.path.ends_with("/run/stdout")
        } else {
            matches!(file.body, Body::Object(_))
        };
        if is_output {
            rekindle_fsx::remove_file(&profile.path.join(&file.path))?;
        }
    }
    match unit.files.last() {
        Some(hash) => rekindle_fsx::remove_file(&profile.path.join(&hash.path)),
        None => Ok(()),
    }
}

/// Whether a unit's fingerprint is the one that a restore or a capture knew.
fn is_as_it_was(profile: &Profile, ledger: &Ledger, unit: &Unit) -> bool {
    let hash = unit.files.last().map(|file| profile.path.join(&file.path));
    let stamp = hash.and_then(|hash| Some(rekindle_fsx::stat(&hash).ok()?.mtime_ns));
    stamp.is_some() && stamp.as_ref() == ledger.stamps.get(&unit.id)
}

/// Leaves of a tree what was seen to be read; cargo watches the rest.
fn keep_seen(tree: &mut Tree) {
    let mut indices = HashMap::new();
    let mut seen = Vec::new();
    for (at, input) in std::mem::take(&mut tree.inputs).into_iter().enumerate() {
        if matches!(input.place, Place::Seen(..)) {
            indices.insert(at, seen.len());
            seen.push(input);
        }
    }
    for unit in &mut tree.units {
        let inputs = unit.inputs.iter();
        let of_seen = inputs.filter_map(|at| indices.get(&(*at as usize)));
        unit.inputs = of_seen.filter_map(|at| u32::try_from(*at).ok()).collect();
    }
    tree.units.retain(|unit| !unit.inputs.is_empty());
    tree.inputs = seen;
}
