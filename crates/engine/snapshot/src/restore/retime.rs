//! Fingerprints that hold a file's time or place, with those of this checkout: see [`crate::rehash`].

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rekindle_key::depinfo::DepInfo;

use super::Job;
use crate::fingerprint;
use crate::inputs::Where;
use crate::model::{Body, File, Unit};
use crate::rehash::{self, Present, Recorded, Rules};

/// Files of units that take the place of the recorded ones: by tree and by unit.
pub(super) type Rewritten = HashMap<(usize, usize), Vec<File>>;

/// What is known of units, by the paths of their hashes.
struct Known<'a> {
    here: &'a Where,
    /// The packages of units that were built from a whole package.
    roots: HashMap<&'a str, PathBuf>,
    /// Where the root of a crate was and is.
    moved: HashMap<&'a str, (PathBuf, PathBuf)>,
}

impl Present for Known<'_> {
    /// What cargo is going to find newest in a package; `None` where that cannot be told: then it builds.
    fn newest(&self, unit: &Recorded<'_>, _old: &str) -> Option<String> {
        let root = self.roots.get(unit.hash_name)?;
        let rules = Rules::of(root, &self.here.workspace).ok()??;
        rehash::newest_file(root, &rules).ok()?
    }

    fn moved(&self, unit: &Recorded<'_>) -> Option<(PathBuf, PathBuf)> {
        self.moved.get(unit.hash_name).cloned()
    }
}

/// Rewrites the fingerprints of the valid units, as far as they hold times or places or depend on such.
pub(super) fn rewrite(jobs: &[Job], valid: &[Vec<usize>], here: &Where) -> Rewritten {
    let mut places = Vec::new();
    let mut recorded = Vec::new();
    let mut known = Known {
        here,
        roots: HashMap::new(),
        moved: HashMap::new(),
    };
    for (at, (job, valid)) in jobs.iter().zip(valid).enumerate() {
        for index in valid {
            let unit = &job.tree.units[*index];
            let Some(one) = fingerprint(unit) else {
                continue;
            };
            if let Some(root) = package_root(job, unit, here) {
                known.roots.insert(one.hash_name, root);
            }
            if let Some(moved) = crate_root(job, unit, here) {
                known.moved.insert(one.hash_name, moved);
            }
            places.push((at, *index));
            recorded.push(one);
        }
    }
    let rewritten = rehash::rewrite(&recorded, &known);
    let changed = rewritten.changed.into_iter().map(|changed| {
        let place = places[changed.index];
        let job = &jobs[place.0];
        let mut files = replaced(&job.tree.units[place.1], &changed);
        if job.rehomed {
            rename_sources(&mut files, job, here);
        }
        (place, files)
    });
    changed.collect()
}

/// Where the root of a unit's crate was and is, if it is in another home of cargo's.
fn crate_root(job: &Job, unit: &Unit, here: &Where) -> Option<(PathBuf, PathBuf)> {
    let source = unit.home.source.as_ref().filter(|_| job.rehomed)?;
    let source = Path::new(OsStr::from_bytes(source));
    let before = Path::new(OsStr::from_bytes(&job.tree.site.cargo_home));
    Some((before.join(source), here.cargo_home.join(source)))
}

fn fingerprint(unit: &Unit) -> Option<Recorded<'_>> {
    let hash = unit.files.last()?;
    let (_, json) = fingerprint::json_of(&unit.files)?;
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

/// The package of a unit that was built from a whole package: its content is proven.
fn package_root(job: &Job, unit: &Unit, here: &Where) -> Option<PathBuf> {
    let inputs = unit
        .inputs
        .iter()
        .map(|index| &job.tree.inputs[*index as usize]);
    let package = inputs.into_iter().find(|input| input.is_package)?;
    here.path(&package.place)
}

/// Gives the sources that dep-info names their places in this home: by the program's, a build script's package is
/// found. cargo itself reads another form, which has no such paths.
fn rename_sources(files: &mut [File], job: &Job, here: &Where) {
    let before = Path::new(OsStr::from_bytes(&job.tree.site.cargo_home));
    for file in files.iter_mut().filter(|file| file.path.ends_with(".d")) {
        let Body::Inline(text) = &mut file.body else {
            continue;
        };
        let Some(mut info) = DepInfo::parse(text) else {
            continue;
        };
        for input in &mut info.inputs {
            if let Ok(rest) = Path::new(OsStr::from_bytes(input)).strip_prefix(before) {
                *input = here.cargo_home.join(rest).into_os_string().into_vec();
            }
        }
        *text = info.write();
    }
}

fn replaced(unit: &Unit, changed: &rehash::Changed) -> Vec<File> {
    let mut files = unit.files.clone();
    if let Some((at, _)) = fingerprint::json_of(&unit.files) {
        files[at].body = Body::Inline(changed.json.clone());
    }
    if let Some(hash) = files.last_mut() {
        hash.body = Body::Inline(changed.hash.clone());
    }
    files
}
