//! Putting a snapshot into a target directory that has nothing yet.
//!
//! Phases: read the trees; look at every input ([`watch`]); decide which units are still those of these
//! inputs ([`decide`]); give fingerprints the times of this checkout ([`retime`]); place the files, fingerprints' hashes last ([`place`]), none before those of
//! what the unit was built with ([`waves`]). Killed at any instant, it leaves a target in which every unit with a hash is whole, and so are those
//! that it was built with.

mod decide;
mod kept;
mod place;
mod reads;
mod retime;
mod watch;
mod waves;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_outputs::early::Early;
use rekindle_outputs::environment::Environment;
use rekindle_outputs::placeholder::Placeholder;
use rekindle_store::{LocalStore, beyond};

pub use self::decide::Invalid;
pub use self::kept::forget_changed;
use crate::incremental;
use crate::inputs::Where;
use crate::layout::Profile;
use crate::ledger::Ledger;
use crate::model::{Body, Tree};
use crate::narrow::{self, Packages};
use crate::trees;

/// What to restore, and where.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The directories.
    pub here: &'a Where,
    /// Trees by profile directory.
    pub trees: &'a [(String, Digest)],
    /// The program that placeholders of programs start.
    pub launcher: &'a Path,
    /// What cargo is given.
    pub environment: &'a Environment,
    /// Whether programs that people collect are made ready: they will be wanted when cargo has ended.
    pub early: bool,
    /// Whether these were built from the sources that are here, as far as that is known.
    pub same: bool,
    /// The packages that are built here, where these are trees of whatever project: units of others stay where they are.
    pub only: Option<&'a Packages>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Restored {
    /// Profile directories that were restored.
    pub profiles: Vec<String>,
    /// Why others were not.
    pub skipped: Vec<(String, Skipped)>,
    /// Units that cargo will find fresh, unless something that it knows itself has changed.
    pub units: u32,
    /// Units that were not restored: package, id and why.
    pub invalid: Vec<(String, String, Invalid)>,
    /// Files that were placed, placeholders included.
    pub files: u64,
    /// Bytes that were placed.
    pub placed_bytes: u64,
    /// Bytes that placeholders stand for.
    pub waiting_bytes: u64,
    /// What makes programs ready that people collect.
    pub early: Option<Early>,
    /// What compilers are going to read, as far as that is known, in this order.
    pub reads: Vec<Digest>,
    /// The trees, as they were read: for the capture after it.
    pub trees: HashMap<Digest, Tree>,
}

/// Why a profile directory was not restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// Somebody built there.
    #[error("something was built there already")]
    Built,
    /// Somebody is building there.
    #[error("somebody is building there")]
    Busy,
    /// The store does not have it any more.
    #[error("the store does not have its tree any more")]
    Gone,
    /// It has no unit of a package that is built here.
    #[error("it has nothing of this project's packages")]
    Foreign,
    /// Sources change faster than they can be read.
    #[error("its sources are being changed")]
    Unsettled,
}

/// One tree on its way.
struct Job {
    profile: Profile,
    digest: Digest,
    tree: Tree,
    /// Whether it was built somewhere else.
    moved: bool,
    /// Whether cargo's home was somewhere else.
    rehomed: bool,
    /// Whether the directories here have names, so that their paths can be put into texts.
    named: bool,
}

/// Restores what can be.
///
/// # Errors
/// Where files cannot be placed; what was placed is removed again as far as possible.
pub fn restore(store: &LocalStore, request: &Request<'_>) -> io::Result<Restored> {
    let mut restored = Restored::default();
    let jobs = jobs(store, request, &mut restored);
    if jobs.is_empty() {
        return Ok(restored);
    }
    let trees: Vec<&Tree> = jobs.iter().map(|job| &job.tree).collect();
    let around = (request.here, request.environment);
    let Some(watched) = watch::inputs(store, &trees, around)? else {
        let unsettled = |job: Job| (job.profile.name, Skipped::Unsettled);
        restored.skipped.extend(jobs.into_iter().map(unsettled));
        return Ok(restored);
    };
    let valid = decide::units(store, &jobs, &watched, &mut restored);
    if request.only.is_some() {
        // What another project has besides is nothing that this one would miss.
        restored.invalid.clear();
    }
    let placing = place::Placing {
        store,
        request,
        roots: request.here.roots(),
        time_ns: watched.newest_ns,
    };
    // Where placing has every core, a copy beside it makes both later; cargo alone leaves one free.
    let at_once = place::threads() > 2;
    bring_placed(store, &jobs, &valid);
    restored.reads = reads::of_missing(&jobs, &valid);
    if request.same && restored.invalid.is_empty() && !restored.reads.is_empty() {
        // What was built with a script that runs again is mostly what it was.
        let beside = jobs.iter().flat_map(|job| &job.tree.beside);
        restored.reads.extend(beside.copied());
    }
    if request.early {
        bring_programs(&placing, &jobs, &valid);
    }
    if request.early && at_once {
        restored.early = early(&placing, &jobs, &valid)?;
    }
    let rewritten = retime::rewrite(&jobs, &valid, request.here);
    for (at, (job, valid)) in jobs.iter().zip(&valid).enumerate() {
        let files = valid
            .iter()
            .map(|index| {
                let unit = &job.tree.units[*index];
                let files = rewritten.get(&(at, *index)).unwrap_or(&unit.files);
                (unit.id.as_str(), files.as_slice())
            })
            .collect();
        let changed = rewritten.keys().filter(|(tree, _)| *tree == at);
        let changed = changed.map(|(_, index)| job.tree.units[*index].id.clone());
        let units = place::Units {
            files,
            waves: waves::of(valid.iter().map(|index| &job.tree.units[*index])),
        };
        one(&placing, job, (&units, changed.collect()), &mut restored)?;
    }
    if request.early && !at_once {
        restored.early = early(&placing, &jobs, &valid)?;
    }
    let trees = jobs.into_iter().map(|job| (job.digest, job.tree));
    restored.trees = trees.collect();
    Ok(restored)
}

/// Brings at once what is placed with its bytes and is beyond this disk.
fn bring_placed(store: &LocalStore, jobs: &[Job], valid: &[Vec<usize>]) {
    let units = jobs.iter().zip(valid).flat_map(|(job, valid)| {
        let units = valid.iter();
        units.filter_map(|index| job.tree.units.get(*index))
    });
    let objects = units
        .flat_map(|unit| &unit.files)
        .filter_map(|file| match &file.body {
            Body::Object(object) if object.form.is_placed() => Some((object.digest, object.size)),
            _ => None,
        });
    store.bring_objects(&objects.collect::<Vec<_>>());
}

/// Begins to bring the programs that are made ready later: they are the largest files, and nothing else is wanted of afar
/// while files are placed and cargo looks at them.
fn bring_programs(placing: &place::Placing<'_>, jobs: &[Job], valid: &[Vec<usize>]) {
    let programs = programs(placing, jobs, valid);
    let objects: Vec<(Digest, u64)> = programs
        .iter()
        .map(|program| (program.digest, program.size))
        .collect();
    let store = placing.store.clone();
    let is_far = |(digest, size): &(Digest, u64)| !store.holds_object(digest, *size);
    if beyond::is_set() && objects.iter().any(is_far) {
        // Not joined: whoever needs them waits for them.
        std::thread::spawn(move || store.bring_objects(&objects));
    }
}

fn jobs(store: &LocalStore, request: &Request<'_>, restored: &mut Restored) -> Vec<Job> {
    let site = request.here.site();
    let named = request.here.are_named();
    let mut jobs = Vec::new();
    for (name, digest) in request.trees {
        let profile = Profile::new(&request.here.build_dir, name);
        let read = if profile.is_built() {
            Err(Skipped::Built)
        } else {
            read(store, digest, request.only)
        };
        match read {
            Ok((digest, tree)) => jobs.push(Job {
                moved: tree.site != site,
                rehomed: tree.site.cargo_home != site.cargo_home,
                named,
                profile,
                digest,
                tree,
            }),
            Err(skipped) => restored.skipped.push((name.clone(), skipped)),
        }
    }
    // What is built for a target is built with macros and scripts of the host's.
    jobs.sort_by_key(|job| job.profile.name.contains('/'));
    jobs
}

/// A tree, or as much of it as is wanted: that is a tree of its own then, so that what a capture makes of it has no more.
fn read(
    store: &LocalStore,
    digest: &Digest,
    only: Option<&Packages>,
) -> Result<(Digest, Tree), Skipped> {
    let mut tree = trees::get(store, digest).ok_or(Skipped::Gone)?;
    let Some(packages) = only else {
        incremental::recall(store, &mut tree);
        return Ok((*digest, tree));
    };
    let tree = narrow::to(packages, tree);
    if tree.units.is_empty() {
        return Err(Skipped::Foreign);
    }
    // Where the store takes nothing, the whole tree's name stands for it: units that are not here are none of a capture's.
    let digest = trees::put(store, &tree).unwrap_or(*digest);
    Ok((digest, tree))
}

/// Begins to copy the programs: one takes as long as all that is placed.
fn early(
    placing: &place::Placing<'_>,
    jobs: &[Job],
    valid: &[Vec<usize>],
) -> io::Result<Option<Early>> {
    let build_dir = &placing.request.here.build_dir;
    place::target_directory(build_dir)?;
    Ok(Early::begin(build_dir, programs(placing, jobs, valid)))
}

/// The programs that people collect.
fn programs(placing: &place::Placing<'_>, jobs: &[Job], valid: &[Vec<usize>]) -> Vec<Placeholder> {
    let units = jobs.iter().zip(valid).flat_map(|(job, valid)| {
        let units = valid.iter().map(|index| &job.tree.units[*index]);
        units.filter_map(|unit| placing.program(&unit.files))
    });
    units.collect()
}

fn one(
    placing: &place::Placing<'_>,
    job: &Job,
    (units, rewritten): (&place::Units<'_>, HashSet<String>),
    restored: &mut Restored,
) -> io::Result<()> {
    let (build_dir, name) = (&placing.request.here.build_dir, &job.profile.name);
    place::target_directory(build_dir)?;
    rekindle_fsx::create_dir_apart(&job.profile.path)?;
    let Some(_held) = job.profile.try_lock()? else {
        restored.skipped.push((name.clone(), Skipped::Busy));
        return Ok(());
    };
    if job.profile.is_built() {
        restored.skipped.push((name.clone(), Skipped::Built));
        return Ok(());
    }
    Ledger::new(None, HashMap::new()).write(build_dir, name)?;
    let placed = placing.tree(job, units).inspect_err(|_| {
        // Nothing was there before, and half a target is of no use where the disk is full.
        for name in [".fingerprint", "deps", "build", "examples", "incremental"] {
            let _ = rekindle_fsx::remove_dir_all(&job.profile.path.join(name));
        }
    })?;
    restored.files += placed.files;
    restored.placed_bytes += placed.placed_bytes;
    restored.waiting_bytes += placed.waiting_bytes;
    restored.units += u32::try_from(units.files.len()).unwrap_or(u32::MAX);
    let stamps = units
        .files
        .iter()
        .map(|(id, _)| ((*id).to_owned(), placing.time_ns))
        .collect();
    let mut ledger = Ledger::new(Some(job.digest), stamps);
    ledger.rewritten = rewritten;
    ledger.has_seen = job.tree.has_seen();
    ledger.write(build_dir, name)?;
    restored.profiles.push(name.clone());
    Ok(())
}
