//! From the store to cargo's home.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rekindle_base::parallel;
use rekindle_fsx as fsx;
use rekindle_outputs::archive::CARGO_OK;
use rekindle_outputs::sparse::note::Note;
use rekindle_outputs::sparse::{self, FillError, Filled, Location, Marker, Sources};
use rekindle_store::{LocalStore, Space, Store};

use super::lockfile::{Lock, Locked};
use super::package::{self, Look, Package, Source};
use super::{
    Left, Registry, RegistryError, Restored, git, index, lock_packages, read_lock, registry_key,
};

/// Which packages have to be whole: by name and version, asked of those that are missing or sparse.
pub type Wanted<'a> = &'a (dyn Fn(&str, &str) -> bool + Sync);

/// Puts into cargo's home what it lacks of the packages in a lock file, and leaves alone what is there.
/// Packages come sparse, but whole where `whole` says so, as by [`super::Readers`].
/// A missing lock file has no packages.
///
/// # Errors
/// [`RegistryError`]; a single package's trouble is in the result instead.
pub fn restore(
    store: &LocalStore,
    cargo_home: &Path,
    lock_path: &Path,
    whole: Wanted<'_>,
) -> Result<Restored, RegistryError> {
    let mut restored = Restored::default();
    let Some((_, lock)) = read_lock(lock_path)? else {
        return Ok(restored);
    };
    let homes = homes(store, &lock, &mut restored);
    let mut jobs = Vec::new();
    for (registry, packages) in &homes {
        let home = Home {
            store,
            cargo_home,
            registry,
            whole,
        };
        jobs.extend(home.jobs(packages, &mut restored));
    }
    let git = git::missing(cargo_home, store, &lock.git);
    let orphans = orphans(store, cargo_home, &homes, &lock);
    if jobs.is_empty() && git.is_empty() && orphans.is_empty() {
        return Ok(restored);
    }
    let _lock = lock_packages(cargo_home)?;
    for orphan in &orphans {
        sparse::forget(orphan);
        restored.lost += 1;
    }
    if !jobs.is_empty() {
        tag(&cargo_home.join("registry"))?;
    }
    if !git.is_empty() {
        tag(&cargo_home.join("git"))?;
    }
    for (registry, _) in &homes {
        place_config(cargo_home, registry)?;
    }
    for done in parallel::map_counted(&jobs, Job::run) {
        restored += done;
    }
    git::restore(cargo_home, store, &git, &mut restored);
    Ok(restored)
}

impl std::ops::AddAssign for Restored {
    fn add_assign(&mut self, other: Self) {
        self.packages += other.packages;
        self.whole += other.whole;
        self.index_files += other.index_files;
        self.git += other.git;
        self.lost += other.lost;
        self.left.extend(other.left);
    }
}

/// Where the lock file's registries are, and what it has of each.
pub(super) fn homes<'a>(
    store: &LocalStore,
    lock: &'a Lock,
    restored: &mut Restored,
) -> Vec<(Registry, Vec<&'a Locked>)> {
    let mut by_source: BTreeMap<&str, Vec<&Locked>> = BTreeMap::new();
    for package in &lock.registry {
        by_source.entry(&package.source).or_default().push(package);
    }
    let mut homes = Vec::new();
    for (source, packages) in by_source {
        let record = store.get_record(Space::Packages, &registry_key(source));
        let registry = record.ok().flatten();
        match registry.and_then(|record| Registry::decode(&record.payload)) {
            Some(registry) => homes.push((registry, packages)),
            None => restored.left.push(Left {
                what: source.to_owned(),
                why: "nothing of it was captured yet".to_owned(),
            }),
        }
    }
    homes
}

/// What stands for packages in registries of which this store knows nothing, and nobody has their sources: somebody emptied the
/// store, or cargo's home came from elsewhere, perhaps with archives alone. It makes way for cargo to download them.
fn orphans(
    store: &LocalStore,
    cargo_home: &Path,
    homes: &[(Registry, Vec<&Locked>)],
    lock: &Lock,
) -> Vec<Location> {
    let is_known = |dir: &Path| {
        homes
            .iter()
            .any(|(registry, _)| Path::new(&registry.dir) == dir)
    };
    let dirs = fsx::list_names(&cargo_home.join("registry/cache")).unwrap_or_default();
    let mut orphans = Vec::new();
    for dir in dirs.into_iter().filter(|dir| !is_known(Path::new(dir))) {
        let location = |package: &Locked| Location {
            home: cargo_home.to_owned(),
            index: dir.clone(),
            package: package.dir_name().into(),
        };
        let is_orphan = |location: &Location| {
            let is_note = || Note::is_at(&location.crate_file());
            sparse::is_lost(location, store) || (!fsx::exists(&location.sources()) && is_note())
        };
        orphans.extend(lock.registry.iter().map(location).filter(is_orphan));
    }
    orphans
}

/// Says of a directory that we make what cargo says of it: backups leave it out.
fn tag(dir: &Path) -> Result<(), RegistryError> {
    const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
        # This file is a cache directory tag created by cargo.\n\
        # For information about cache directory tags see https://bford.info/cachedir/\n";
    if fsx::exists(dir) {
        return Ok(());
    }
    // Both at once: a directory without it is somebody's wish.
    let arrival = fsx::atomic::beside(dir);
    fsx::create_dir_all(&arrival)
        .and_then(|()| write(&arrival.join("CACHEDIR.TAG"), TAG))
        .and_then(|()| fsx::rename(&arrival, dir))
        .map_err(RegistryError::at(dir))
}

/// What a registry's packages are downloaded from is in its index, and cargo asks for it first.
fn place_config(cargo_home: &Path, registry: &Registry) -> Result<(), RegistryError> {
    let dir = cargo_home.join("registry/index").join(&registry.dir);
    let path = dir.join("config.json");
    if fsx::exists(&path) {
        return Ok(());
    }
    fsx::create_dir_all(&dir)
        .and_then(|()| write(&path, &registry.config))
        .map_err(RegistryError::at(&path))
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fsx::atomic::write_via(&fsx::atomic::beside(path), path, bytes)
}

/// One registry in cargo's home.
#[derive(Clone, Copy)]
struct Home<'a> {
    store: &'a LocalStore,
    cargo_home: &'a Path,
    registry: &'a Registry,
    whole: Wanted<'a>,
}

impl<'a> Home<'a> {
    /// What is to be done, by name: its versions share a file of the index.
    fn jobs(&self, packages: &[&'a Locked], restored: &mut Restored) -> Vec<Job<'a>> {
        let mut by_file: BTreeMap<PathBuf, Vec<&'a Locked>> = BTreeMap::new();
        for package in packages {
            let file = index::file_of(&package.name);
            by_file.entry(file).or_default().push(package);
        }
        let index = self.cargo_home.join("registry/index");
        let index = index.join(&self.registry.dir);
        let mut jobs = Vec::new();
        for (file, versions) in by_file {
            let file = index.join(file);
            let mut job = Job {
                home: *self,
                actions: Vec::new(),
                index: None,
                file,
            };
            if !fsx::exists(&job.file) {
                job.index = self.index_of(&versions);
            }
            for package in versions {
                match self.decide(package) {
                    Ok(action) => job.actions.extend(action.map(|action| (package, action))),
                    Err(why) => restored.left.push(left(package, why)),
                }
            }
            if job.index.is_some() || !job.actions.is_empty() {
                jobs.push(job);
            }
        }
        jobs
    }

    fn record(&self, package: &Locked) -> Option<Package> {
        let key = package::key(&self.registry.dir, package);
        let record = self.store.get_record(Space::Packages, &key).ok()??;
        Package::decode(&record.payload)
    }

    /// The file of the index with these versions. With one missing, cargo asks the registry for all.
    fn index_of(&self, versions: &[&Locked]) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        for package in versions {
            let line = self.record(package)?.line;
            lines.push((package.version.as_str(), line));
            if !index::is_about(&lines.last()?.1, package) {
                return None;
            }
        }
        Some(index::file_with(
            lines.iter().map(|(version, line)| (*version, &line[..])),
        ))
    }

    /// Looks into a package, and keeps what is found for the next time.
    fn look(&self, package: &Locked, source: &Source) -> Result<Look, String> {
        let look = package::look_at(self.store, source, &package.dir_name())?;
        if let Some(record) = self.record(package) {
            let key = package::key(&self.registry.dir, package);
            let _ = package::keep(self.store, &key, (record.line, source), look.clone());
        }
        Ok(look)
    }

    fn location(&self, package: &Locked) -> Location {
        Location {
            home: self.cargo_home.to_owned(),
            index: self.registry.dir.clone().into(),
            package: package.dir_name().into(),
        }
    }

    /// What is to be done about a package's sources, if anything, or why they are left to cargo.
    fn decide(&self, package: &Locked) -> Result<Option<Action>, &'static str> {
        let location = self.location(package);
        let (sources, crate_file) = (location.sources(), location.crate_file());
        let has_crate = fsx::stat_follow(&crate_file).is_ok_and(|sig| sig.size > 0);
        let there = fsx::exists(&sources);
        let whole = || (self.whole)(&package.name, &package.version);
        if there && fsx::exists(&sources.join(sparse::MARKER)) {
            if sparse::is_lost(&location, self.store) {
                return Ok(Some(Action::Forget));
            }
            if whole() {
                return Ok(Some(Action::Fill));
            }
        }
        let is_whole = there && fsx::exists(&sources.join(CARGO_OK));
        let is_note = || Note::is_at(&crate_file);
        // Where cargo has what it takes to unpack it, it does.
        if has_crate && (is_whole || (there && !is_note())) {
            return Ok(None);
        }
        let source = match self.record(package) {
            Some(record) => match record.source {
                Some(source) if self.store.has_object(&source.digest, source.size) => source,
                Some(_) if is_note() => return Ok(Some(Action::Forget)),
                Some(_) => return Err("the store has lost its sources"),
                // It is for another system, or was when it was captured.
                None => return Ok(None),
            },
            None if is_note() => return Ok(Some(Action::Forget)),
            None => return Err("the store does not have it"),
        };
        Ok(Some(match there {
            true => Action::Crate(source),
            false => Action::Place {
                source,
                whole: whole(),
            },
        }))
    }
}

fn left(package: &Locked, why: impl Into<String>) -> Left {
    Left {
        what: format!("{} {}", package.name, package.version),
        why: why.into(),
    }
}

/// What is done about a package.
enum Action {
    /// Puts its sources in place.
    Place { source: Source, whole: bool },
    /// Puts its `.crate` in place.
    Crate(Source),
    /// Makes a sparse package whole.
    Fill,
    /// Makes way for cargo to download it.
    Forget,
}

/// One name in a registry.
struct Job<'a> {
    home: Home<'a>,
    actions: Vec<(&'a Locked, Action)>,
    /// Its file of the index, where that is missing.
    index: Option<Vec<u8>>,
    file: PathBuf,
}

impl Job<'_> {
    fn run(&self) -> Restored {
        let mut restored = Restored::default();
        for (package, action) in &self.actions {
            if let Err(why) = self.act(package, action, &mut restored) {
                restored.left.push(left(package, why));
            }
        }
        if let Some(bytes) = &self.index
            && !fsx::exists(&self.file)
        {
            let dir = self.file.parent().unwrap_or(self.home.cargo_home);
            let placed = fsx::create_dir_all(dir).and_then(|()| write(&self.file, bytes));
            restored.index_files += u64::from(placed.is_ok());
        }
        restored
    }

    fn act(
        &self,
        package: &Locked,
        action: &Action,
        restored: &mut Restored,
    ) -> Result<(), String> {
        let store = self.home.store;
        let location = self.home.location(package);
        let text = |error: FillError| error.to_string();
        match action {
            Action::Place { source, whole } => {
                restored.packages += self.place(package, &location, (source, *whole))?;
                restored.whole += u64::from(*whole);
            }
            Action::Crate(source) => {
                sparse::obtain(&location, &source.digest, store).map_err(text)?;
            }
            Action::Fill => {
                let filled = sparse::fill(&location.sources(), Some(store)).map_err(text)?;
                restored.packages += filled.unwrap_or_default();
                restored.whole += 1;
            }
            Action::Forget => {
                sparse::forget(&location);
                restored.lost += 1;
            }
        }
        Ok(())
    }

    fn place(
        &self,
        package: &Locked,
        location: &Location,
        (source, whole): (&Source, bool),
    ) -> Result<Filled, String> {
        if whole {
            sparse::obtain(location, &source.digest, self.home.store)
                .map_err(|error| error.to_string())?;
            return placed(location, Sources::Whole);
        }
        let look = match &source.look {
            Some(look) => look.clone(),
            None => self.home.look(package, source)?,
        };
        let marker = Marker {
            digest: source.digest,
            size: source.size,
            store: self.home.store.dir().to_owned(),
            stubs: look.stubs.iter().map(PathBuf::from).collect(),
        };
        let sources = Sources::Sparse {
            manifest: &look.manifest,
            marker: &marker,
            links: look.links,
        };
        placed(location, sources)
    }
}

fn placed(location: &Location, sources: Sources<'_>) -> Result<Filled, String> {
    let filled = sparse::place(location, sources).map_err(|error| error.to_string())?;
    Ok(filled.unwrap_or_default())
}
