//! Fingerprints that hold a file's time or place, rewritten for another checkout.
//!
//! cargo hashes the path of a crate's root; for packages of a registry or of git it begins with cargo's home.
//! Where that is elsewhere, every fingerprint is another one, though nothing else about the units is.
//!
//! A package of a directory whose build script prints no `rerun-if-*` line has, in the fingerprint of that
//! script's run, a text with the newest time of the package's files. In a fresh checkout every time is
//! another, so the run is not fresh, nor what depends on it: its hash is in their fingerprints. So is the
//! documentation of such packages. No time of a source may be set; instead, a restore that has proven that the
//! files are those of the recorded build places fingerprints that say so with this checkout's times.
//!
//! [`newest_file`] says what cargo is going to write here; [`rewrite`] puts it into the recorded fingerprints
//! and into those of all that depends on them. It repeats cargo's hash on what was recorded first, and leaves
//! alone whatever does not come out as cargo had it: then cargo builds again, which is slower and never wrong.
//! Called by the restore, before it places fingerprints. Nothing here is stored.

mod fingerprint;
mod listing;
mod manifest;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use fingerprint::{Fingerprint, Local};

pub use listing::{Listing, list, newest_file};
pub use manifest::Rules;

/// One unit's fingerprint, as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The unit: the 16 hex digits in its names.
    pub id: &'a str,
    /// The name of the file that holds the hash; that of the JSON is the same with `.json`.
    pub hash_name: &'a str,
    /// The hash, in 16 hex digits.
    pub hash: &'a [u8],
    /// What is hashed.
    pub json: &'a [u8],
}

/// What [`rewrite`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Fingerprints that take the place of the recorded ones. All others stay as they were recorded.
    pub changed: Vec<Changed>,
    /// Units whose fingerprints should change and cannot: cargo is going to build them.
    pub lost: Vec<Lost>,
}

/// A fingerprint in the place of a recorded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which: an index into what was given.
    pub index: usize,
    /// The new content of the file with the hash.
    pub hash: Vec<u8>,
    /// The new content of the `.json` file.
    pub json: Vec<u8>,
}

/// A unit that cargo is going to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which: an index into what was given.
    pub index: usize,
    /// Why.
    pub why: Why,
}

/// Why a fingerprint cannot be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has another form than that of the versions of cargo that are known, or hashes to something else
    /// than what was recorded.
    NotUnderstood,
    /// It depends on one that cannot be.
    DependsOnLost,
}

/// Whether a text of a fingerprint is the time and name of a file, as in `1795380486.203029956s (build.rs)`,
/// and not a package's version or a commit.
#[must_use]
pub fn is_newest_file(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((time, rest)) = text.split_once("s (") else {
        return false;
    };
    let Some((seconds, nanoseconds)) = time.split_once('.') else {
        return false;
    };
    let seconds = seconds.strip_prefix('-').unwrap_or(seconds);
    digits(seconds) && nanoseconds.len() == 9 && digits(nanoseconds) && rest.ends_with(')')
}

/// The hash that cargo makes of a fingerprint's JSON, as it writes it; `None` where that has another form than
/// the versions of cargo give it that are known.
#[must_use]
pub fn hash_of(json: &[u8]) -> Option<Vec<u8>> {
    let fingerprint = Fingerprint::parse(json)?;
    Some(fingerprint::to_hex(fingerprint.hash_u64()))
}

/// Which of some paths in a directory is the one whose hash a fingerprint's JSON has: the root of its crate.
#[must_use]
pub fn hashed_path<'a>(
    json: &[u8],
    dir: &Path,
    candidates: impl Iterator<Item = &'a Path>,
) -> Option<&'a Path> {
    let recorded = fingerprint::path_in(json)?;
    let mut candidates = candidates;
    candidates.find(|path| fingerprint::hash_of_path(&dir.join(path)) == recorded)
}

/// What changes in recorded fingerprints.
pub trait Present {
    /// What cargo is going to compute here in the place of a text that [`is_newest_file`]; `None` where that is not known
    /// or where the package's files are not proven to be those of the recorded build: the unit then
    /// stays as it was recorded.
    fn newest(&self, unit: &Recorded<'_>, old: &str) -> Option<String>;

    /// Where the root of the unit's crate was and is, where that is not one place.
    fn moved(&self, unit: &Recorded<'_>) -> Option<(PathBuf, PathBuf)>;
}

/// Puts the times and places of this checkout into recorded fingerprints.
///
/// `recorded` are all units that are restored, those of several profile directories together where one
/// depends on another (with `--target`, build scripts are the host's).
#[must_use]
pub fn rewrite(recorded: &[Recorded<'_>], present: &dyn Present) -> Rewritten {
    let seeds = seeds(recorded, present);
    if seeds.is_empty() {
        return Rewritten::default();
    }
    let graph = Graph::new(recorded);
    let affected = graph.reach(seeds.keys().copied());
    let doubtful = graph.reach(graph.unreadable());
    Walk {
        recorded,
        graph: &graph,
        seeds: &seeds,
        affected: &affected,
        doubtful: &doubtful,
        hashes: HashMap::new(),
        rewritten: Rewritten::default(),
    }
    .run()
}

/// What changes in one fingerprint, others' hashes apart.
#[derive(Debug, Default)]
struct Seed {
    /// Its texts' new values by the old ones.
    texts: HashMap<String, String>,
    /// The hashes of where the root of its crate was, and is.
    path: Option<(u64, u64)>,
}

fn seeds(recorded: &[Recorded<'_>], present: &dyn Present) -> HashMap<usize, Seed> {
    // Most units have no text at all; parsing them all here would be most of the work.
    let marker = memchr::memmem::Finder::new(b"\"Precalculated\"");
    let mut seeds = HashMap::new();
    for (index, unit) in recorded.iter().enumerate() {
        let mut seed = Seed::default();
        if let Some((from, to)) = present.moved(unit) {
            seed.path = Some((
                fingerprint::hash_of_path(&from),
                fingerprint::hash_of_path(&to),
            ));
        }
        if marker.find(unit.json).is_some() {
            seed.texts = new_texts(unit, present);
        }
        if seed.path.is_some() || !seed.texts.is_empty() {
            seeds.insert(index, seed);
        }
    }
    seeds
}

fn new_texts(unit: &Recorded<'_>, present: &dyn Present) -> HashMap<String, String> {
    let new = |old: String| {
        let new = is_newest_file(&old).then(|| present.newest(unit, &old))??;
        (new != old).then_some((old, new))
    };
    fingerprint::texts(unit.json)
        .into_iter()
        .filter_map(new)
        .collect()
}

impl Fingerprint<'_> {
    fn change(&mut self, seed: &Seed) -> Result<(), Why> {
        if let Some((from, to)) = seed.path {
            if self.path != from {
                return Err(Why::NotUnderstood);
            }
            self.path = to;
        }
        for local in &mut self.local {
            if let Local::Precalculated(text) = local
                && let Some(new) = seed.texts.get(text)
            {
                text.clone_from(new);
            }
        }
        Ok(())
    }
}

/// Which fingerprints hold which others' hashes.
struct Graph<'a> {
    units: Vec<Node<'a>>,
    /// Those that were recorded with a hash. Several are possible: a build script's runs for the host and
    /// for the target have equal fingerprints.
    by_hash: HashMap<u64, Vec<usize>>,
    /// Those whose fingerprints hold a hash.
    dependents: HashMap<u64, Vec<usize>>,
}

struct Node<'a> {
    hash: Option<u64>,
    fingerprint: Option<Fingerprint<'a>>,
}

impl<'a> Graph<'a> {
    fn new(recorded: &[Recorded<'a>]) -> Self {
        let mut graph = Self {
            units: Vec::with_capacity(recorded.len()),
            by_hash: HashMap::new(),
            dependents: HashMap::new(),
        };
        for (index, unit) in recorded.iter().enumerate() {
            let hash = fingerprint::from_hex(unit.hash);
            let fingerprint = Fingerprint::parse(unit.json);
            if let Some(hash) = hash {
                graph.by_hash.entry(hash).or_default().push(index);
            }
            for dependency in fingerprint.iter().flat_map(|found| &found.deps) {
                graph
                    .dependents
                    .entry(dependency.3)
                    .or_default()
                    .push(index);
            }
            graph.units.push(Node { hash, fingerprint });
        }
        graph
    }

    /// The units of which nothing is known but that they exist.
    fn unreadable(&self) -> impl Iterator<Item = usize> {
        let units = self.units.iter().enumerate();
        units.filter_map(|(index, unit)| unit.fingerprint.is_none().then_some(index))
    }

    /// These units and all that depends on them.
    fn reach(&self, from: impl Iterator<Item = usize>) -> HashSet<usize> {
        let mut pending: Vec<usize> = from.collect();
        let mut reached: HashSet<usize> = pending.iter().copied().collect();
        while let Some(index) = pending.pop() {
            for &dependent in self.dependents_of(index) {
                if reached.insert(dependent) {
                    pending.push(dependent);
                }
            }
        }
        reached
    }

    /// Those whose fingerprints hold this unit's hash, once for each time that they do.
    fn dependents_of(&self, index: usize) -> &[usize] {
        let hash = self.units[index].hash;
        let dependents = hash.and_then(|hash| self.dependents.get(&hash));
        dependents.map_or(&[], Vec::as_slice)
    }

    fn with_hash(&self, hash: u64) -> &[usize] {
        self.by_hash.get(&hash).map_or(&[], Vec::as_slice)
    }
}

/// Goes through the affected units, each after those that it depends on.
struct Walk<'a> {
    recorded: &'a [Recorded<'a>],
    graph: &'a Graph<'a>,
    seeds: &'a HashMap<usize, Seed>,
    affected: &'a HashSet<usize>,
    doubtful: &'a HashSet<usize>,
    /// What became of the recorded hashes of affected units: a new one, or `None` where that is not known.
    hashes: HashMap<u64, Option<u64>>,
    rewritten: Rewritten,
}

impl Walk<'_> {
    fn run(mut self) -> Rewritten {
        let mut waiting_for: HashMap<usize, usize> = HashMap::new();
        for &index in self.affected {
            for &dependent in self.graph.dependents_of(index) {
                *waiting_for.entry(dependent).or_default() += 1;
            }
        }
        let is_free = |index: &&usize| !waiting_for.contains_key(*index);
        let mut ready: Vec<usize> = self.affected.iter().filter(is_free).copied().collect();
        while let Some(index) = ready.pop() {
            self.visit(index);
            for &dependent in self.graph.dependents_of(index) {
                let left = waiting_for.entry(dependent).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    waiting_for.remove(&dependent);
                    ready.push(dependent);
                }
            }
        }
        // Hashes cannot go round in a circle; what was recorded may claim to.
        let in_circles = waiting_for.into_keys().map(|index| Lost {
            index,
            why: Why::NotUnderstood,
        });
        self.rewritten.lost.extend(in_circles);
        self.rewritten.changed.sort_by_key(|changed| changed.index);
        self.rewritten.lost.sort_by_key(|lost| lost.index);
        self.rewritten
    }

    fn visit(&mut self, index: usize) {
        let result = self.renewed(index);
        if let Some(old) = self.graph.units[index].hash {
            let new = result.as_ref().ok().map(|(hash, _)| *hash);
            let entry = self.hashes.entry(old).or_insert(new);
            if *entry != new {
                *entry = None;
            }
        }
        match result {
            Ok((hash, json)) => self.rewritten.changed.push(Changed {
                index,
                hash: fingerprint::to_hex(hash),
                json,
            }),
            Err(why) => self.rewritten.lost.push(Lost { index, why }),
        }
    }

    /// An affected unit's new hash and JSON.
    fn renewed(&self, index: usize) -> Result<(u64, Vec<u8>), Why> {
        let Node {
            hash: Some(hash),
            fingerprint: Some(recorded),
        } = &self.graph.units[index]
        else {
            return Err(Why::NotUnderstood);
        };
        if !recorded.is_what_was_recorded(*hash, self.recorded[index].json) {
            return Err(Why::NotUnderstood);
        }
        if self.doubtful.contains(&index) {
            return Err(Why::DependsOnLost);
        }
        let mut new = recorded.clone();
        for dependency in &mut new.deps {
            dependency.3 = self.new_hash(dependency.3).ok_or(Why::DependsOnLost)?;
        }
        if let Some(seed) = self.seeds.get(&index) {
            new.change(seed)?;
        }
        let json = new.to_json().ok_or(Why::NotUnderstood)?;
        Ok((new.hash_u64(), json))
    }

    /// What a recorded hash of a dependency is now; `None` where that is not known.
    fn new_hash(&self, recorded: u64) -> Option<u64> {
        let units = self.graph.with_hash(recorded);
        let is_affected = |index: &usize| self.affected.contains(index);
        if !units.iter().any(is_affected) {
            return Some(recorded);
        }
        // Which of several units with one hash is meant is not recorded.
        if !units.iter().all(is_affected) {
            return None;
        }
        self.hashes.get(&recorded).copied().flatten()
    }
}
