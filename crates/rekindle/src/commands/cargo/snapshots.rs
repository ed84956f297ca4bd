//! Snapshots around a run of cargo: restore before it, make real what people collect and capture after.
//!
//! A fault here costs a warning, and the build goes on with the unit cache alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use rekindle::cargo_config::CargoConfig;
use rekindle::layout::Layout;
use rekindle::{Surroundings, git, given, selection};
use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_compile::{probe, toolchain};
use rekindle_events::{
    Collected, Event, EventKind, PackagesRestored, ProfileSkipped, Refusal, SnapshotCaptured,
    SnapshotRestored, UncacheableReason, UnitLeft, Vantage, WarningEvent,
};
use rekindle_outputs::early::{self, Early};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::{lost, materialise};
use rekindle_snapshot::base::{self, Chosen, Made, NoBase, Wanted, Why};
use rekindle_snapshot::capture::{self, Captured, Saw};
use rekindle_snapshot::inputs::Where;
use rekindle_snapshot::layout::Profile;
use rekindle_snapshot::model::Tree;
use rekindle_snapshot::narrow::Packages;
use rekindle_snapshot::registry::{self, Readers};
use rekindle_snapshot::restore::{self, Restored};
use rekindle_snapshot::seen::Seen;
use rekindle_snapshot::trees;
use rekindle_store::LocalStore;

use super::compiler_info;
use super::past::Place;
use crate::invocation::CargoLine;

/// Snapshots of one run.
pub(super) struct Snapshots<'a> {
    store: &'a LocalStore,
    here: Where,
    /// Where people find what they collect; the same directory unless `build.build-dir` is set.
    target_dir: PathBuf,
    wanted: Wanted,
    surroundings: &'a Surroundings,
    environment: Environment,
    launcher: PathBuf,
    began_ns: i64,
    /// Whether the command gives programs their names where people find them.
    collects: bool,
    /// What compilers are going to read.
    reads: RefCell<Vec<Digest>>,
    /// What makes these ready.
    early: RefCell<Option<Early>>,
    /// Trees that were restored: what is captured is mostly what they say.
    trees: RefCell<HashMap<Digest, Tree>>,
    /// What git was asked when cargo had ended.
    cleanness: RefCell<Option<git::Cleanness>>,
}

impl<'a> Snapshots<'a> {
    /// Prepares them. `None` where nothing is built.
    pub(super) fn prepare(
        line: &CargoLine,
        (surroundings, config, layout): (&'a Surroundings, &CargoConfig<'_>, &Layout),
        (store, cargo_home, launcher): (&'a LocalStore, &Path, &Path),
    ) -> Option<Self> {
        if !line.is_build() || line.no_snapshot || line.command.as_deref() == Some("install") {
            return None;
        }
        let selection = selection::gather(surroundings, config, layout, line.call());
        Some(Self {
            store,
            here: Where {
                workspace: layout.workspace_root.clone(),
                build_dir: layout.build_dir.clone(),
                cargo_home: cargo_home.to_owned(),
                sysroot: selection.sysroot,
            },
            target_dir: layout.target_dir.clone(),
            wanted: selection.wanted,
            surroundings,
            environment: given::environment(
                surroundings,
                config,
                (&layout.workspace_root, cargo_home),
            ),
            launcher: launcher.to_owned(),
            began_ns: rekindle_fsx::time::coarse_ns(),
            collects: matches!(line.command.as_deref(), Some("build" | "b")),
            reads: RefCell::default(),
            early: RefCell::new(None),
            trees: RefCell::default(),
            cleanness: RefCell::new(None),
        })
    }

    /// Where the run belongs in the history.
    pub(super) fn place(&self) -> Place {
        Place::new(self.wanted.project, self.wanted.git.as_ref())
    }

    /// What is wanted.
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The workspace's lock file.
    pub(super) fn lock(&self) -> PathBuf {
        self.here.workspace.join("Cargo.lock")
    }

    /// What compilers are going to read of what was restored, as far as that is known.
    pub(super) fn reads(&self) -> Vec<Digest> {
        self.reads.take()
    }

    /// Begins to ask the compiler for its version, which is the first that cargo will want to know. Not worth it where all is
    /// built anyway.
    pub(super) fn ask_version(&self) {
        if let Some(sysroot) = self.here.sysroot.clone() {
            let (store, environment) = (self.store.clone(), self.environment.clone());
            std::thread::spawn(move || probe::ask_version(&store, &environment, &sysroot));
        }
    }

    /// Begins to read the compiler where nothing is known of it: the first unit asks for its digest, and half a gigabyte takes
    /// longer than cargo's start.
    pub(super) fn read_compiler(&self) {
        self.read_compiler_if(|_| true);
    }

    /// The same before it is known what is valid, where something is built each time.
    fn read_compiler_early(&self, chosen: &Chosen) {
        let chosen: Vec<Digest> = chosen.pointer.trees.iter().map(|(_, tree)| *tree).collect();
        self.read_compiler_if(move |store| {
            let mut trees = chosen.iter().filter_map(|tree| trees::get(store, tree));
            trees.any(|tree| !tree.beside.is_empty())
        });
    }

    fn read_compiler_if(&self, is_needed: impl FnOnce(&LocalStore) -> bool + Send + 'static) {
        let Some(sysroot) = self.here.sysroot.clone() else {
            return;
        };
        let dirs = self.wanted.dirs.iter();
        let targets = dirs.filter_map(|dir| Some(dir.split_once('/')?.0.to_owned()));
        let targets: Vec<String> = targets.collect();
        let (store, environment) = (self.store.clone(), self.environment.clone());
        // Not joined: who needs it waits for its lock, and what nobody needs ends with this process.
        std::thread::spawn(move || {
            let compiler = (sysroot.as_path(), targets.as_slice());
            if !toolchain::was_read(&store, &environment, compiler) && is_needed(&store) {
                toolchain::read_ahead(&store, &environment, compiler);
            }
        });
    }

    /// Brings back what is missing: packages in cargo's home, then profile directories that have nothing yet.
    pub(super) fn restore(&mut self) -> Vec<Event> {
        let chosen = (!self.is_kept()).then(|| base::choose(self.store, &self.wanted));
        let base = chosen.as_ref();
        if let Some(Ok(chosen)) = base {
            self.read_compiler_early(chosen);
        }
        // Of packages cargo's home has the files, of units the target directory: neither looks at the other's.
        let (packages, target) = std::thread::scope(|scope| {
            let (store, here) = (self.store, &self.here);
            let packages = scope.spawn(move || packages(store, here, base));
            let target = match base {
                Some(chosen) => {
                    let said = self.target(chosen);
                    compiler_info::restore(self.store, &self.wanted, &self.here.build_dir);
                    Some(said)
                }
                None => self.forget_changed(),
            };
            (packages.join().ok().flatten(), target)
        });
        // What cargo builds is built after this; the restored files' times are before it.
        self.began_ns = rekindle_fsx::time::coarse_ns();
        packages.into_iter().chain(target).collect()
    }

    /// Whether something is there already, in all directories that the command builds in.
    pub(super) fn is_kept(&self) -> bool {
        let is_built = |dir: &String| Profile::new(&self.here.build_dir, dir).is_built();
        let dirs = &self.wanted.dirs;
        if dirs.is_empty() {
            Profile::all(&self.here.build_dir).is_ok_and(|all| !all.is_empty())
        } else {
            dirs.iter().all(is_built)
        }
    }

    /// Has cargo build the units of which something changed that it does not watch.
    fn forget_changed(&self) -> Option<Event> {
        let began = Instant::now();
        early::tidy(&self.here.build_dir);
        let around = (&self.here, &self.environment);
        match restore::forget_changed(self.store, around, &self.wanted.dirs) {
            Ok(forgotten) if forgotten.is_empty() => None,
            Ok(forgotten) => {
                let mut event = SnapshotRestored {
                    base: "what was there already".to_owned(),
                    invalid: left(forgotten),
                    ..SnapshotRestored::default()
                };
                event.time_us = micros(began);
                Some(now(EventKind::SnapshotRestored(Box::new(event))))
            }
            Err(error) => {
                let message = format!("what was there already could not be looked at: {error}");
                Some(warning("target-not-looked-at", message))
            }
        }
    }

    /// Restores the best base.
    fn target(&self, chosen: &Result<Chosen, NoBase>) -> Event {
        let began = Instant::now();
        let mut event = match chosen {
            Err(none) => SnapshotRestored {
                base: none.to_string(),
                ..SnapshotRestored::default()
            },
            Ok(chosen) => {
                // Of another project's build only what this one's lock file has.
                let lock = || rekindle_fsx::read_to_string(&self.here.workspace.join("Cargo.lock"));
                let is_foreign = chosen.why == Why::Toolchain;
                let only = is_foreign.then(|| Packages::of_lock(&lock().ok()?).ok());
                let only = only.flatten();
                let request = restore::Request {
                    here: &self.here,
                    trees: &chosen.pointer.trees,
                    launcher: &self.launcher,
                    environment: &self.environment,
                    early: self.collects,
                    same: chosen.why.is_this_commit(),
                    only: only.as_ref(),
                };
                match restore::restore(self.store, &request) {
                    Ok(mut restored) => {
                        *self.trees.borrow_mut() = std::mem::take(&mut restored.trees);
                        *self.early.borrow_mut() = restored.early.take();
                        *self.reads.borrow_mut() = std::mem::take(&mut restored.reads);
                        said(chosen.why.to_string(), restored)
                    }
                    Err(error) => {
                        let message = format!("the snapshot could not be restored: {error}");
                        return warning("snapshot-not-restored", message);
                    }
                }
            }
        };
        event.time_us = micros(began);
        now(EventKind::SnapshotRestored(Box::new(event)))
    }

    /// Makes real what people collect: programs and libraries at the top of profile directories. Says
    /// whether the store has lost one, so that the next cargo builds it.
    pub(super) fn collect(&self) -> (Vec<Event>, bool) {
        let began = Instant::now();
        let git = self.wanted.git.as_ref();
        let asked = git.map(|git| git::Cleanness::ask(self.surroundings, git));
        *self.cleanness.borrow_mut() = asked;
        let mut paths = Vec::new();
        for dir in [&self.here.build_dir, &self.target_dir] {
            for profile in Profile::all(dir).unwrap_or_default() {
                for dir in [profile.path.join("examples"), profile.path] {
                    let entries = rekindle_fsx::list_dir(&dir).unwrap_or_default();
                    let files = entries
                        .into_iter()
                        .filter(|entry| entry.sig.size <= PLACEHOLDER_MAX_BYTES)
                        .map(|entry| entry.path)
                        .filter(|path| !is_for_compilers(path));
                    paths.extend(files.flat_map(|path| materialise::names(&path)));
                }
            }
        }
        paths.sort_unstable();
        paths.dedup();
        let early = self.early.borrow_mut().take();
        let ready = early.map(Early::ready).unwrap_or_default();
        let outcome = materialise::materialise_ready(&paths, &ready);
        let mut events = Vec::new();
        if outcome.done.files > 0 {
            events.push(now(EventKind::Collected(Collected {
                files: outcome.done.files,
                bytes: outcome.done.bytes,
                time_us: micros(began),
            })));
        }
        let mut is_lost = false;
        for error in &outcome.failed {
            if error.is_lost() && lost::forget(error.path()).is_ok() {
                is_lost = true;
                // What it is built from may be lost, too, and would be found out one by one.
                let _ = lost::forget_others(error.path());
            }
            events.push(warning("placeholder-lost", error.to_string()));
        }
        (events, is_lost)
    }

    /// Captures what was built, and the packages that it was built from. `events` has this run's units.
    pub(super) fn capture(&self, events: &[Event]) -> Vec<Event> {
        let began = Instant::now();
        let lock = self.here.workspace.join("Cargo.lock");
        let at = SystemClock::default().now();
        let (packages, target) = std::thread::scope(|scope| {
            let (store, home) = (self.store, &self.here.cargo_home);
            let packages = scope.spawn(move || registry::capture(store, home, &lock, at));
            let target = self.capture_target(events, began);
            compiler_info::capture(self.store, &self.wanted, &self.here.build_dir);
            (packages.join(), target)
        });
        let mut said = Vec::new();
        if let Ok(Err(error)) = packages {
            let message = format!("packages could not be stored: {error}");
            said.push(warning("packages-not-stored", message));
        }
        said.push(target);
        said
    }

    fn capture_target(&self, events: &[Event], began: Instant) -> Event {
        let saw = saw(events);
        let revision = self.wanted.git.as_ref().map(|git| git.head.as_str());
        let request = capture::Request {
            here: &self.here,
            revision,
            began_ns: self.began_ns,
            saw: &saw,
            launcher: &self.launcher,
            incremental: true,
            environment: &self.environment,
            trees: &self.trees.borrow(),
        };
        let captured = match capture::capture(self.store, &request) {
            Ok(captured) => captured,
            Err(error) => {
                let message = format!("the target could not be captured: {error}");
                return warning("snapshot-not-captured", message);
            }
        };
        // The build may have changed what git sees: then the snapshot is not the commit's.
        let asked = self.cleanness.borrow_mut().take();
        let made = Made {
            trees: captured.trees.clone(),
            clean: asked.is_some_and(git::Cleanness::answer),
            at: SystemClock::default().now(),
        };
        if let Err(error) = base::publish(self.store, &self.wanted, &made) {
            let message = format!("the snapshot could not be stored: {error}");
            return warning("snapshot-not-captured", message);
        }
        now(EventKind::SnapshotCaptured(Box::new(told(
            captured,
            micros(began),
        ))))
    }
}

/// Restores the packages of the lock file that cargo's home lacks; `None` where it has all. Those that
/// are read without asking come whole: what that is depends on the base, or on what is there already.
fn packages(
    store: &LocalStore,
    here: &Where,
    base: Option<&Result<Chosen, NoBase>>,
) -> Option<Event> {
    let began = Instant::now();
    let lock = here.workspace.join("Cargo.lock");
    let readers = LazyLock::new(|| match base {
        None => Readers::of_build_dir(store, &here.build_dir),
        Some(Ok(chosen)) => {
            let trees = chosen.pointer.trees.iter().map(|(_, tree)| tree);
            Readers::of_trees(store, trees)
        }
        Some(Err(_)) => Readers::default(),
    });
    let is_whole = |name: &str, _: &str| readers.has(name);
    match registry::restore(store, &here.cargo_home, &lock, &is_whole) {
        Ok(restored) if restored.packages.packages + restored.git.packages == 0 => None,
        Ok(restored) => Some(now(EventKind::PackagesRestored(PackagesRestored {
            packages: restored.packages.packages + restored.git.packages,
            whole: restored.whole,
            files: restored.packages.files + restored.git.files + restored.index_files,
            left: restored.left.len() as u64 + restored.lost,
            time_us: micros(began),
        }))),
        Err(error) => {
            let message = format!("packages could not be restored: {error}");
            Some(warning("packages-not-restored", message))
        }
    }
}

/// What a run's log says of units.
fn saw(events: &[Event]) -> Saw {
    let mut saw = Saw::default();
    for event in events {
        match &event.kind {
            EventKind::Unit(unit) => {
                if let Some(state) = &unit.incremental {
                    saw.states.insert(state.clone(), unit.id.clone());
                }
                if unit.without_state {
                    let (id, name) = (unit.id.clone(), unit.crate_name.clone());
                    saw.without_state.insert(id, name);
                }
                // Of a unit that was built twice in this run, the last build counts.
                saw.seen.remove(&unit.id);
                saw.unjudged.remove(&unit.id);
                if let Some(reason) = &unit.uncacheable {
                    if let UncacheableReason::Observed { refusal } = reason {
                        saw.unjudged.insert(unit.id.clone(), refusal.to_string());
                    }
                    continue;
                }
                saw.units.insert(unit.id.clone());
                if let Some(key) = unit.key {
                    saw.entries.insert(unit.id.clone(), key);
                }
                if unit.undeclared {
                    note_seen(&mut saw, &unit.id, (unit.key, &unit.vantage, false));
                }
                if unit.bound_to_home {
                    saw.bound_to_home.insert(unit.id.clone());
                } else if unit.path_bound {
                    saw.bound.insert(unit.id.clone());
                }
            }
            EventKind::Step(step) if step.kind == "build-script" => {
                saw.seen.remove(&step.id);
                saw.unjudged.remove(&step.id);
                saw.wrote_outside.remove(&step.id);
                saw.confined.remove(&step.id);
                saw.portable.remove(&step.id);
                match &step.refused {
                    None => {
                        note_seen(&mut saw, &step.id, (step.key, &step.vantage, true));
                        // What is stored under a key has all that it wrote.
                        if step.key.is_some() {
                            saw.confined.insert(step.id.clone());
                            if !step.path_bound {
                                saw.portable.insert(step.id.clone());
                            }
                        }
                    }
                    Some(Refusal::WroteOutside { .. }) => {
                        saw.wrote_outside.insert(step.id.clone());
                    }
                    Some(refusal) if is_known_by_declared(refusal) => {}
                    Some(refusal) => {
                        saw.unjudged.insert(step.id.clone(), refusal.to_string());
                    }
                }
            }
            _ => {}
        }
    }
    saw
}

/// Whether a run of which none is stored is known by what it declares: nothing more can be known of it, or cargo
/// is going to run it anyway. What is never reused by itself, since it asked a network or a clock, is not reused as part
/// of a snapshot either.
fn is_known_by_declared(refusal: &Refusal) -> bool {
    use Refusal::{AlwaysRuns, Blind, Failed};
    matches!(refusal, Blind { .. } | AlwaysRuns { .. } | Failed { .. })
}

fn note_seen(
    saw: &mut Saw,
    id: &str,
    (key, vantage, is_step): (Option<Digest>, &Option<Vantage>, bool),
) {
    let (Some(key), Some(vantage)) = (key, vantage) else {
        let why = "the unit cache does not have what it read".to_owned();
        saw.unjudged.insert(id.to_owned(), why);
        return;
    };
    let seen = Seen {
        key,
        is_step,
        directory: PathBuf::from(&vantage.directory),
        roots: vantage.roots.clone(),
    };
    saw.seen.insert(id.to_owned(), seen);
}

/// Nothing larger is a placeholder.
const PLACEHOLDER_MAX_BYTES: u64 = rekindle_outputs::placeholder::MAX_BYTES;

/// Libraries that only a compiler reads, which asks for them.
fn is_for_compilers(path: &Path) -> bool {
    path.extension()
        .is_some_and(|kind| kind == "rlib" || kind == "rmeta")
}

fn said(base: String, restored: Restored) -> SnapshotRestored {
    let skipped = restored.skipped.into_iter();
    SnapshotRestored {
        base,
        profiles: restored.profiles,
        skipped: skipped
            .map(|(profile, reason)| ProfileSkipped {
                profile,
                reason: reason.to_string(),
            })
            .collect(),
        units: restored.units.into(),
        invalid: left(restored.invalid),
        files: restored.files,
        placed_bytes: restored.placed_bytes,
        waiting_bytes: restored.waiting_bytes,
        time_us: 0,
    }
}

fn left(units: Vec<(String, String, impl ToString)>) -> Vec<UnitLeft> {
    let units = units.into_iter();
    units
        .map(|(package, id, reason)| UnitLeft {
            package,
            id,
            reason: reason.to_string(),
        })
        .collect()
}

fn told(captured: Captured, time_us: u64) -> SnapshotCaptured {
    SnapshotCaptured {
        new_trees: captured.new_trees.into(),
        units_new: captured.units_new.into(),
        units_kept: captured.units_kept.into(),
        units_dropped: captured.units_dropped.into(),
        left_out: left(captured.left_out),
        stored_bytes: captured.stored_bytes,
        hashed_bytes: captured.hashed_bytes,
        time_us,
    }
}

pub(super) fn now(kind: EventKind) -> Event {
    Event::new(SystemClock::default().now(), kind)
}

pub(super) fn warning(id: &str, message: String) -> Event {
    now(EventKind::Warning(WarningEvent {
        id: id.to_owned(),
        message,
    }))
}

pub(super) fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
