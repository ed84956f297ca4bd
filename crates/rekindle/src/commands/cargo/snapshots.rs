//! Snapshots around a run of cargo: restore before it, make real what people collect and capture after.
//!
//! A fault here costs a warning, and the build goes on with the unit cache alone.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use rekindle::cargo_config::CargoConfig;
use rekindle::layout::Layout;
use rekindle::{Surroundings, git, selection};
use rekindle_base::{Clock, SystemClock};
use rekindle_events::{
    Collected, Event, EventKind, PackagesRestored, ProfileSkipped, Refusal, SnapshotCaptured,
    SnapshotRestored, UnitLeft, WarningEvent,
};
use rekindle_outputs::{lost, materialise};
use rekindle_snapshot::base::{self, Chosen, Made, NoBase, Wanted};
use rekindle_snapshot::capture::{self, Captured, Saw};
use rekindle_snapshot::inputs::Where;
use rekindle_snapshot::layout::Profile;
use rekindle_snapshot::registry::{self, Readers};
use rekindle_snapshot::restore::{self, Restored};
use rekindle_store::LocalStore;

use crate::invocation::CargoLine;

/// Snapshots of one run.
pub(super) struct Snapshots<'a> {
    store: &'a LocalStore,
    here: Where,
    /// Where people find what they collect; the same directory unless `build.build-dir` is set.
    target_dir: PathBuf,
    wanted: Wanted,
    surroundings: &'a Surroundings,
    launcher: PathBuf,
    began_ns: i64,
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
            },
            target_dir: layout.target_dir.clone(),
            wanted: selection.wanted,
            surroundings,
            launcher: launcher.to_owned(),
            began_ns: rekindle_fsx::time::coarse_ns(),
        })
    }

    /// Brings back what is missing: packages in cargo's home, then profile directories that have nothing yet.
    pub(super) fn restore(&mut self) -> Vec<Event> {
        let chosen = (!self.is_kept()).then(|| base::choose(self.store, &self.wanted));
        let packages = self.packages(chosen.as_ref());
        let target = chosen.map(|chosen| self.target(chosen));
        // What cargo builds is built after this; the restored files' times are before it.
        self.began_ns = rekindle_fsx::time::coarse_ns();
        packages.into_iter().chain(target).collect()
    }

    /// Whether something is there already, in all directories that the command builds in.
    fn is_kept(&self) -> bool {
        let is_built = |dir: &String| Profile::new(&self.here.build_dir, dir).is_built();
        let dirs = &self.wanted.dirs;
        if dirs.is_empty() {
            Profile::all(&self.here.build_dir).is_ok_and(|all| !all.is_empty())
        } else {
            dirs.iter().all(is_built)
        }
    }

    /// Restores the packages of the lock file that cargo's home lacks; `None` where it has all. Those that
    /// are read without asking come whole: what that is depends on the base, or on what is there already.
    fn packages(&self, base: Option<&Result<Chosen, NoBase>>) -> Option<Event> {
        let began = Instant::now();
        let lock = self.here.workspace.join("Cargo.lock");
        let readers = LazyLock::new(|| match base {
            None => Readers::of_build_dir(self.store, &self.here.build_dir),
            Some(Ok(chosen)) => {
                let trees = chosen.pointer.trees.iter().map(|(_, tree)| tree);
                Readers::of_trees(self.store, trees)
            }
            Some(Err(_)) => Readers::default(),
        });
        let is_whole = |name: &str, _: &str| readers.has(name);
        match registry::restore(self.store, &self.here.cargo_home, &lock, &is_whole) {
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

    /// Restores the best base.
    fn target(&self, chosen: Result<Chosen, NoBase>) -> Event {
        let began = Instant::now();
        let mut event = match chosen {
            Err(none) => SnapshotRestored {
                base: none.to_string(),
                ..SnapshotRestored::default()
            },
            Ok(chosen) => {
                let request = restore::Request {
                    here: &self.here,
                    trees: &chosen.pointer.trees,
                    launcher: &self.launcher,
                };
                match restore::restore(self.store, &request) {
                    Ok(restored) => said(chosen.why.to_string(), restored),
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
        let outcome = materialise::materialise_all(&paths, None);
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
        let packages = registry::capture(self.store, &self.here.cargo_home, &lock, at);
        let mut said = Vec::new();
        if let Err(error) = packages {
            let message = format!("packages could not be stored: {error}");
            said.push(warning("packages-not-stored", message));
        }
        said.push(self.capture_target(events, began));
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
        };
        let captured = match capture::capture(self.store, &request) {
            Ok(captured) => captured,
            Err(error) => {
                let message = format!("the target could not be captured: {error}");
                return warning("snapshot-not-captured", message);
            }
        };
        // The build may have changed what git sees: then the snapshot is not the commit's.
        let git = self.wanted.git.as_ref();
        let made = Made {
            trees: captured.trees.clone(),
            clean: git.is_some_and(|git| git::is_clean(self.surroundings, git)),
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
                if unit.uncacheable.is_some() {
                    continue;
                }
                saw.units.insert(unit.id.clone());
                if unit.undeclared {
                    saw.undeclared.insert(unit.id.clone());
                }
                if unit.path_bound {
                    saw.bound.insert(unit.id.clone());
                }
            }
            EventKind::Step(step) if matches!(step.refused, Some(Refusal::WroteOutside { .. })) => {
                saw.wrote_outside.insert(step.id.clone());
            }
            _ => {}
        }
    }
    saw
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
    let invalid = restored.invalid.into_iter();
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
        invalid: invalid
            .map(|(package, id, reason)| UnitLeft {
                package,
                id,
                reason: reason.to_string(),
            })
            .collect(),
        files: restored.files,
        placed_bytes: restored.placed_bytes,
        waiting_bytes: restored.waiting_bytes,
        time_us: 0,
    }
}

fn told(captured: Captured, time_us: u64) -> SnapshotCaptured {
    let left_out = captured.left_out.into_iter();
    SnapshotCaptured {
        new_trees: captured.new_trees.into(),
        units_new: captured.units_new.into(),
        units_kept: captured.units_kept.into(),
        units_dropped: captured.units_dropped.into(),
        left_out: left_out
            .map(|(package, id, reason)| UnitLeft {
                package,
                id,
                reason: reason.to_string(),
            })
            .collect(),
        stored_bytes: captured.stored_bytes,
        hashed_bytes: captured.hashed_bytes,
        time_us,
    }
}

fn now(kind: EventKind) -> Event {
    Event::new(SystemClock::default().now(), kind)
}

fn warning(id: &str, message: String) -> Event {
    now(EventKind::Warning(WarningEvent {
        id: id.to_owned(),
        message,
    }))
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
