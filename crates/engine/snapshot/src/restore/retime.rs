//! Fingerprints that hold a file's time, with the times of this checkout: see [`crate::rehash`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Job;
use crate::inputs::Where;
use crate::model::{Body, File, Unit};
use crate::rehash::{self, Recorded, Rules};

/// Files of units that take the place of the recorded ones: by tree and by unit.
pub(super) type Rewritten = HashMap<(usize, usize), Vec<File>>;

/// Rewrites the fingerprints of the valid units, as far as they hold times or depend on such.
pub(super) fn rewrite(jobs: &[Job], valid: &[Vec<usize>], here: &Where) -> Rewritten {
    let mut places = Vec::new();
    let mut recorded = Vec::new();
    let mut roots: HashMap<&str, PathBuf> = HashMap::new();
    for (at, (job, valid)) in jobs.iter().zip(valid).enumerate() {
        for index in valid {
            let unit = &job.tree.units[*index];
            let Some(one) = fingerprint(unit) else {
                continue;
            };
            if let Some(root) = package_root(job, unit, here) {
                roots.insert(one.hash_name, root);
            }
            places.push((at, *index));
            recorded.push(one);
        }
    }
    let fresh = |unit: &Recorded<'_>, _old: &str| newest(roots.get(unit.hash_name)?, here);
    let rewritten = rehash::rewrite(&recorded, &fresh);
    let changed = rewritten.changed.into_iter().map(|changed| {
        let place = places[changed.index];
        let unit = &jobs[place.0].tree.units[place.1];
        (place, replaced(unit, &changed))
    });
    changed.collect()
}

/// What cargo is going to find newest in a package; `None` where that cannot be told: then it builds.
fn newest(root: &Path, here: &Where) -> Option<String> {
    let rules = Rules::of(root, &here.workspace).ok()??;
    rehash::newest_file(root, &rules).ok()?
}

fn fingerprint(unit: &Unit) -> Option<Recorded<'_>> {
    let hash = unit.files.last()?;
    let (_, json) = json(unit)?;
    let Body::Inline(text) = &hash.body else {
        return None;
    };
    Some(Recorded {
        id: &unit.id,
        // The whole path: names alone are many units'.
        hash_name: &hash.path,
        hash: text,
        json,
    })
}

fn json(unit: &Unit) -> Option<(usize, &[u8])> {
    let name = format!("{}.json", unit.files.last()?.path);
    let at = unit.files.iter().position(|file| file.path == name)?;
    match &unit.files[at].body {
        Body::Inline(json) => Some((at, json)),
        _ => None,
    }
}

/// The package of a unit that was built from a whole package: its content is proven.
fn package_root(job: &Job, unit: &Unit, here: &Where) -> Option<PathBuf> {
    let inputs = unit
        .inputs
        .iter()
        .map(|index| &job.tree.inputs[*index as usize]);
    let package = inputs.into_iter().find(|input| input.is_package)?;
    here.path(&package.place)
}

fn replaced(unit: &Unit, changed: &rehash::Changed) -> Vec<File> {
    let mut files = unit.files.clone();
    if let Some((at, _)) = json(unit) {
        files[at].body = Body::Inline(changed.json.clone());
    }
    if let Some(hash) = files.last_mut() {
        hash.body = Body::Inline(changed.hash.clone());
    }
    files
}
