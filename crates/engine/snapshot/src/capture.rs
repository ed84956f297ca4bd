//! Capturing what a run built.
//!
//! Units that an earlier restore or capture recorded, and whose fingerprint is unchanged since, are
//! taken as recorded: none of their files is looked at. Units that were built in this run are read.
//! Others are left out: nobody knows what happened to them since they were built.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use rekindle_base::{Digest, progress};
use rekindle_fsx::lock::FileLock;
use rekindle_key::entry::Entry;
use rekindle_outputs::environment::Environment;
use rekindle_store::{LocalStore, Space, Store};

use crate::captured::{Built, Capture, Capturing, LeftOut};
use crate::fingerprint;
use crate::incremental;
use crate::inputs::{Inputs, Where};
use crate::layout::{Place, Profile};
use crate::ledger::Ledger;
use crate::model::{Body, Site, Tree, Unit};
use crate::scripts::Scripts;
use crate::seen::{Recorder, Seen};
use crate::trees;

/// A unit that was not used for this many revisions goes.
const REVISIONS_MAX: u32 = 8;

/// What was seen of units in a run, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Saw {
    /// Units that the unit cache saw.
    pub units: HashSet<String>,
    /// The keys of the entries that these were restored from, or stored as.
    pub entries: HashMap<String, Digest>,
    /// Those of them whose outputs hold a real path, or were made of one.
    pub bound: HashSet<String>,
    /// The same, where that is the path of cargo's home alone.
    pub bound_to_home: HashSet<String>,
    /// Runs of build scripts that the unit cache gives to any directory, with that directory's paths in what is text.
    pub portable: HashSet<String>,
    /// What was read to make them, declared or not, of those that may have read what nobody declares.
    pub seen: HashMap<String, Seen>,
    /// Those that read what cannot be looked at again, and why.
    pub unjudged: HashMap<String, String>,
    /// Runs of build scripts that were seen to write nowhere but into their directory.
    pub confined: HashSet<String>,
    /// Runs of build scripts that wrote outside of their directory.
    pub wrote_outside: HashSet<String>,
    /// Which units wrote incremental state, by the state's directory.
    pub states: HashMap<String, String>,
    /// Which units wrote none though cargo asked for it, and their crates' names.
    pub without_state: HashMap<String, String>,
}

/// What a run built, and where.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The directories.
    pub here: &'a Where,
    /// What was built: the commit; `None` where there is no git.
    pub revision: Option<&'a str>,
    /// When the run began: nanoseconds since 1970.
    pub began_ns: i64,
    /// What was seen of units while it ran.
    pub saw: &'a Saw,
    /// The program that placeholders of programs start.
    pub launcher: &'a Path,
    /// Whether incremental state is captured.
    pub incremental: bool,
    /// What cargo was given.
    pub environment: &'a Environment,
    /// Trees that were read already.
    pub trees: &'a HashMap<Digest, Tree>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Captured {
    /// Trees by profile directory.
    pub trees: Vec<(String, Digest)>,
    /// How many of them are new.
    pub new_trees: u32,
    /// Units that were read.
    pub units_new: u32,
    /// Units that are as they were recorded.
    pub units_kept: u32,
    /// Units that aged out.
    pub units_dropped: u32,
    /// Bytes that were stored.
    pub stored_bytes: u64,
    /// Bytes that were read to know their digests.
    pub hashed_bytes: u64,
    /// Units that are not in it: package, id and why.
    pub left_out: Vec<(String, String, LeftOut)>,
    /// Profile directories that somebody was building in.
    pub busy: Vec<String>,
}

/// Captures every profile directory.
///
/// # Errors
/// Where the target cannot be read, or the store refuses.
pub fn capture(store: &LocalStore, request: &Request<'_>) -> io::Result<Captured> {
    let mut captured = Captured::default();
    let mut profiles = Vec::new();
    for profile in Profile::all(&request.here.build_dir)? {
        let places = profile.units()?;
        profiles.push((profile, places));
    }
    let known: Vec<Known<'_>> = profiles
        .iter()
        .map(|(profile, places)| Known::look(store, request, profile, places))
        .collect();
    let scripts = if known.iter().all(|known| known.changed.is_empty()) {
        Scripts::default()
    } else {
        Scripts::find(&request.here.workspace, &profiles)
    };
    let all = Capturing {
        store,
        here: request.here,
        began_ns: request.began_ns,
        saw: request.saw,
        launcher: request.launcher,
        scripts: &scripts,
        roots: request.here.roots(),
    };
    let mut recorder = Recorder::new(store, request.here, request.environment);
    let mut works = Vec::new();
    for ((profile, places), known) in profiles.iter().zip(known) {
        // Somebody who builds at this moment captures it, too.
        match profile.try_lock()? {
            Some(held) => works.push(Work::read(
                &all,
                (profile, places, held),
                known,
                (&mut recorder, &mut captured),
            )?),
            None => captured.busy.push(profile.name.clone()),
        }
    }
    forget_scripts(&mut works, request.saw, &mut captured);
    resolve(&mut works, &mut captured);
    for work in works {
        work.write(&all, request, &mut captured)?;
    }
    Ok(captured)
}

/// Leaves out the runs of build scripts that a unit was built with which is left out: it alone would say which
/// files the script wrote among the sources, and a fresh run would not write them. Of a unit whose build did
/// not end cargo does not say what it was built with: then the package's runs are left out. A script that was seen to
/// write nothing there stays.
fn forget_scripts(works: &mut [Work<'_>], saw: &Saw, captured: &mut Captured) {
    let mut without = Lost::default();
    for work in works.iter_mut() {
        without.hashes.extend(work.lost.hashes.drain());
        without.packages.extend(work.lost.packages.drain());
    }
    for work in works {
        let scripts = work.built.extract_if(.., |built| {
            built.is_script_run()
                && !saw.confined.contains(&built.unit.id)
                && (without.hashes.contains(&built.hash)
                    || without.packages.contains(&built.unit.package))
        });
        captured
            .left_out
            .extend(scripts.map(|script| (script.unit.package, script.unit.id, LeftOut::Script)));
    }
}

/// Replaces the hashes of dependencies by their builds. A unit that was built with one that is not
/// captured is left out, and then those that were built with it.
fn resolve(works: &mut [Work<'_>], captured: &mut Captured) {
    if works.iter().all(|work| work.built.is_empty()) {
        return;
    }
    for work in works.iter_mut() {
        work.known.place(work.profile);
    }
    let mut builds: HashMap<u64, Digest> = HashMap::new();
    for work in works.iter() {
        builds.extend(work.known.builds());
        builds.extend(
            work.built
                .iter()
                .map(|built| (built.hash, built.unit.build)),
        );
    }
    loop {
        let mut lost = Vec::new();
        for work in works.iter_mut() {
            let without = work.built.extract_if(.., |built| {
                built.needs.iter().any(|hash| !builds.contains_key(hash))
            });
            for built in without {
                lost.push(built.hash);
                let reason = LeftOut::WithoutDependency;
                captured
                    .left_out
                    .push((built.unit.package, built.unit.id, reason));
            }
        }
        if lost.is_empty() {
            break;
        }
        for hash in lost {
            builds.remove(&hash);
        }
    }
    for built in works.iter_mut().flat_map(|work| &mut work.built) {
        built.unit.deps = built.needs.iter().map(|hash| builds[hash]).collect();
    }
}

/// What is known of a profile directory before it is read.
struct Known<'a> {
    ledger: Ledger,
    tree: Option<(Digest, Cow<'a, Tree>)>,
    /// Whether the tree's units are as they were placed here.
    is_as_placed: bool,
    /// Units that are as they were recorded: index in the tree, and whether cargo looked at them.
    unchanged: HashMap<String, (usize, bool)>,
    /// Indices of units that are not.
    changed: Vec<usize>,
    /// All units that are there.
    ids: HashSet<String>,
}

impl<'a> Known<'a> {
    fn look(
        store: &LocalStore,
        request: &Request<'a>,
        profile: &Profile,
        places: &[Place],
    ) -> Self {
        let ledger = Ledger::read(&request.here.build_dir, &profile.name).unwrap_or_default();
        let tree = ledger.tree.and_then(|digest| {
            let known = request.trees.get(&digest).map(Cow::Borrowed);
            let tree = known.or_else(|| trees::get(store, &digest).map(Cow::Owned))?;
            Some((digest, tree))
        });
        let units: HashMap<&str, usize> = tree
            .iter()
            .flat_map(|(_, tree)| tree.units.iter().enumerate())
            .map(|(index, unit)| (unit.id.as_str(), index))
            .collect();
        let (mut unchanged, mut changed) = (HashMap::new(), Vec::new());
        for (at, place) in places.iter().enumerate() {
            let recorded = units.get(place.id.as_str()).copied();
            let looked = recorded.and_then(|index| {
                let (_, tree) = tree.as_ref()?;
                let hash = profile.path.join(&tree.units[index].files.last()?.path);
                let stamp = ledger.stamps.get(&place.id)?;
                (rekindle_fsx::stat(&hash).ok()?.mtime_ns == *stamp).then_some((index, hash))
            });
            match looked {
                Some((index, hash)) => {
                    let used = rekindle_fsx::stamped::was_read(&hash).unwrap_or(true);
                    unchanged.insert(place.id.clone(), (index, used));
                }
                None => changed.push(at),
            }
        }
        // A file system without access times tells nothing: then all count as used.
        if !unchanged.is_empty() && unchanged.values().all(|(_, used)| !used) {
            unchanged.values_mut().for_each(|(_, used)| *used = true);
        }
        Self {
            ledger,
            tree,
            is_as_placed: false,
            unchanged,
            changed,
            ids: places.iter().map(|place| place.id.clone()).collect(),
        }
    }

    /// Takes what a restore rewrote for this place as it is there, once: a tree that is written needs it, and
    /// units that were built with the rewritten ones. Where nothing was built, nobody asks.
    fn place(&mut self, profile: &Profile) {
        if std::mem::replace(&mut self.is_as_placed, true) || self.ledger.rewritten.is_empty() {
            return;
        }
        if let Some((_, tree)) = &mut self.tree {
            let rewritten = |unit: &&mut Unit| self.ledger.rewritten.contains(&unit.id);
            for unit in tree.to_mut().units.iter_mut().filter(rewritten) {
                as_placed(profile, unit);
            }
        }
    }

    /// The builds of units that are as they were recorded, by the hash of their fingerprint.
    fn builds(&self) -> impl Iterator<Item = (u64, Digest)> {
        let tree = self.tree.as_ref().map(|(_, tree)| tree.as_ref());
        let units = self
            .unchanged
            .values()
            .filter_map(move |(index, _)| tree?.units.get(*index));
        units.filter_map(|unit| Some((fingerprint::hash_of(unit)?, unit.build)))
    }
}

/// What units were built with that are left out.
#[derive(Default)]
struct Lost {
    /// The hashes of those that are known.
    hashes: HashSet<u64>,
    /// The packages of units of which that is not known.
    packages: HashSet<String>,
}

impl Lost {
    fn add(&mut self, profile: &Profile, place: &Place, reason: &LeftOut) {
        // What others built is none of this capture's; a script that wrote elsewhere is not its own reader.
        if matches!(reason, LeftOut::NotOurs | LeftOut::WroteOutside) {
            return;
        }
        // What an earlier build left says nothing of one that did not end.
        let ended = !matches!(reason, LeftOut::Unfinished);
        let needs = fingerprint::needs_at(&profile.path.join(&place.fingerprint));
        match needs.filter(|_| ended) {
            Some(needs) => self.hashes.extend(needs),
            None => {
                self.packages.insert(place.package.clone());
            }
        }
    }
}

/// A profile directory under way.
struct Work<'a> {
    profile: &'a Profile,
    known: Known<'a>,
    built: Vec<Built>,
    lost: Lost,
    inputs: Inputs,
    _held: Vec<FileLock>,
}

impl<'a> Work<'a> {
    /// Reads the units that are not as they were recorded.
    fn read(
        all: &Capturing<'_>,
        (profile, places, held): (&'a Profile, &[Place], Vec<FileLock>),
        known: Known<'a>,
        (recorder, captured): (&mut Recorder<'_>, &mut Captured),
    ) -> io::Result<Self> {
        let mut inputs = Inputs::default();
        let outputs = if known.changed.is_empty() {
            HashMap::new()
        } else {
            profile.outputs()?
        };
        let (mut built, mut lost) = (Vec::new(), Lost::default());
        progress().expect(known.changed.len() as u64);
        for at in &known.changed {
            let place = &places[*at];
            match Capture::new(all, profile, place).unit(&outputs, (&mut inputs, recorder)) {
                Ok(unit) => built.push(unit),
                Err(reason) => {
                    lost.add(profile, place, &reason);
                    let (package, id) = (place.package.clone(), place.id.clone());
                    captured.left_out.push((package, id, reason));
                }
            }
            progress().did(1);
        }
        Ok(Self {
            profile,
            known,
            built,
            lost,
            inputs,
            _held: held,
        })
    }

    /// Stores the tree, and notes what is known now.
    fn write(
        self,
        all: &Capturing<'_>,
        request: &Request<'_>,
        captured: &mut Captured,
    ) -> io::Result<()> {
        let (profile, mut known) = (self.profile, self.known);
        let mut stamps = HashMap::new();
        for built in &self.built {
            captured.stored_bytes += built.cost.stored_bytes;
            captured.hashed_bytes += built.cost.hashed_bytes;
            captured.units_new += 1;
            if let Some(hash) = built.unit.files.last() {
                let sig = rekindle_fsx::stat(&profile.path.join(&hash.path))?;
                stamps.insert(built.unit.id.clone(), sig.mtime_ns);
            }
        }
        captured.units_kept += u32::try_from(known.unchanged.len()).unwrap_or(u32::MAX);
        if known.tree.is_none() && self.built.is_empty() {
            return Ok(());
        }
        let beside = beside(all, &known, &self.built);
        let (digest, has_seen) = match &known.tree {
            Some((digest, tree))
                if self.built.is_empty()
                    && !wrote_state(request, profile)
                    && beside.as_ref().is_none_or(|beside| *beside == tree.beside)
                    && !must_age(request, tree, &known) =>
            {
                (*digest, known.ledger.has_seen)
            }
            _ => {
                captured.new_trees += 1;
                known.place(profile);
                let built = self.built.into_iter().map(|built| built.unit).collect();
                let mut tree = merge(all, request, profile, &known, built, self.inputs, captured)?;
                let before = known.tree.as_ref().map(|(_, tree)| &tree.beside);
                tree.beside = beside.or_else(|| before.cloned()).unwrap_or_default();
                let put = trees::put(all.store, &tree);
                let noted = put.and_then(|digest| {
                    incremental::note(all.store, &digest, &tree)?;
                    Ok(digest)
                });
                let digest = noted.map_err(|error| io::Error::other(error.to_string()))?;
                (digest, tree.has_seen())
            }
        };
        for id in known.unchanged.keys() {
            if let Some(stamp) = known.ledger.stamps.get(id) {
                stamps.insert(id.clone(), *stamp);
            }
        }
        let mut ledger = Ledger::new(Some(digest), stamps);
        ledger.has_seen = has_seen;
        if known.tree.is_some_and(|(before, _)| before == digest) {
            ledger.rewritten.clone_from(&known.ledger.rewritten);
        }
        if ledger != known.ledger {
            ledger.write(&all.here.build_dir, &profile.name)?;
        }
        captured.trees.push((profile.name.clone(), digest));
        Ok(())
    }
}

/// What the unit cache has of the units that are left out; `None` where none of them was asked for in this run.
fn beside(all: &Capturing<'_>, known: &Known<'_>, built: &[Built]) -> Option<Vec<Digest>> {
    let captured: HashSet<&String> = built.iter().map(|built| &built.unit.id).collect();
    let mut ids: Vec<&String> = known.ids.iter().collect();
    ids.retain(|id| !known.unchanged.contains_key(*id) && !captured.contains(id));
    ids.sort_unstable();
    let keys: Vec<&Digest> = ids
        .iter()
        .filter_map(|id| all.saw.entries.get(*id))
        .collect();
    let entry = |key: &&Digest| {
        let record = all.store.get_record(Space::Entries, key).ok()??;
        Entry::decode(&record.payload)
    };
    let entries = keys.iter().filter_map(entry);
    let outputs = entries.flat_map(|entry| entry.outputs);
    (!keys.is_empty()).then(|| outputs.map(|output| output.digest).collect())
}

/// Whether a compile wrote incremental state: also a unit that is left out has some.
fn wrote_state(request: &Request<'_>, profile: &Profile) -> bool {
    let dir = profile.path.join("incremental");
    let mut names = request.saw.states.keys();
    request.incremental && names.any(|name| rekindle_fsx::exists(&dir.join(name)))
}

/// Whether a unit that is in use would soon count as unused, with nothing else to write.
fn must_age(request: &Request<'_>, tree: &Tree, known: &Known<'_>) -> bool {
    let generation = generation(request, tree);
    known.unchanged.values().any(|(index, used)| {
        *used && generation.saturating_sub(tree.units[*index].used) > REVISIONS_MAX / 2
    })
}

/// Takes the fingerprint and the dep-info that were placed for the recorded ones: units that are built now name
/// the one's hash, and the other names sources of this place.
fn as_placed(profile: &Profile, unit: &mut Unit) {
    let Some(hash) = unit.files.last().map(|file| file.path.clone()) else {
        return;
    };
    let json = format!("{hash}.json");
    for file in &mut unit.files {
        let is_rewritten = file.path == hash || file.path == json || file.path.ends_with(".d");
        if is_rewritten
            && matches!(file.body, Body::Inline(_))
            && let Ok(bytes) = rekindle_fsx::read(&profile.path.join(&file.path))
        {
            file.body = Body::Inline(bytes);
        }
    }
}

fn generation(request: &Request<'_>, tree: &Tree) -> u32 {
    let is_other = request.revision != Some(tree.revision.as_str());
    tree.generation + u32::from(is_other)
}

/// Whether a unit that was not restored here would pass for one that was built here: a tree has one place.
fn is_of_another_place(site: &Site, here: &Site, unit: &Unit) -> bool {
    let rehomed = site.cargo_home != here.cargo_home;
    (unit.path_bound && site != here)
        || (rehomed && (unit.home.bound || unit.home.source.is_some()))
}

/// The new tree: what was built, what is unchanged, and what the last one had besides, for a while.
fn merge(
    all: &Capturing<'_>,
    request: &Request<'_>,
    profile: &Profile,
    known: &Known<'_>,
    built: Vec<Unit>,
    mut inputs: Inputs,
    captured: &mut Captured,
) -> io::Result<Tree> {
    let last = known.tree.as_ref().map(|(_, tree)| tree.as_ref());
    let generation = last.map_or(0, |tree| generation(request, tree));
    let here = all.here.site();
    let mut units = built;
    for unit in &mut units {
        unit.used = generation;
    }
    let new: HashSet<String> = units.iter().map(|unit| unit.id.clone()).collect();
    for unit in last.iter().flat_map(|tree| &tree.units) {
        if new.contains(&unit.id) {
            continue;
        }
        let is_here = known.unchanged.contains_key(&unit.id);
        if !is_here && last.is_some_and(|last| is_of_another_place(&last.site, &here, unit)) {
            captured.units_dropped += 1;
            continue;
        }
        let mut unit = unit.clone();
        if known.unchanged.get(&unit.id).is_some_and(|(_, used)| *used) {
            unit.used = generation;
        }
        if generation - unit.used > REVISIONS_MAX {
            captured.units_dropped += 1;
            continue;
        }
        for index in &mut unit.inputs {
            let input = last.map(|tree| &tree.inputs[*index as usize]);
            *index = input.map_or(*index, |input| inputs.keep(input));
        }
        units.push(unit);
    }
    units.sort_by(|a, b| a.id.cmp(&b.id));
    let incremental = if request.incremental {
        let states = (&request.saw.states, last);
        let units = (units.as_slice(), &known.ids);
        incremental::capture(all, profile, states, units, generation, captured)?
    } else {
        Vec::new()
    };
    Ok(Tree {
        version: trees::VERSION,
        site: here,
        revision: request.revision.unwrap_or_default().to_owned(),
        generation,
        inputs: inputs.into_list(),
        units,
        incremental,
        beside: Vec::new(),
    })
}
