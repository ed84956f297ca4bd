//! One run of cargo with the wrapper, phase by phase.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rekindle::Surroundings;
use rekindle::cargo_config::CargoConfig;
use rekindle::ci::Service;
use rekindle::layout::Layout;
use rekindle::remote::RemoteSettings;
use rekindle_base::{ByteSize, Clock, Moment, SystemClock};
use rekindle_events::{Event, EventKind, PhaseName, RunFinished, SnapshotRestored};
use rekindle_report::{Summary, closing};
use rekindle_snapshot::base::Wanted;
use rekindle_store::LocalStore;

use super::beforehand::Beforehand;
use super::build_scripts::{self, BuildScripts};
use super::child::{self, Ended};
use super::ci_report::CiReport;
use super::messages::{self, Reading};
use super::past;
use super::recording::{Began, Recording};
use super::remote::Remote;
use super::snapshots::Snapshots;
use super::wiring::Wiring;
use super::{cargo, warn};
use crate::commands::bar::{Bars, Work};
use crate::error::CommandError;
use crate::invocation::CargoLine;

/// What a run is about, and where.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) line: &'a CargoLine,
    pub(super) surroundings: &'a Surroundings,
    pub(super) config: &'a CargoConfig<'a>,
    /// `None` where cargo has no workspace here.
    pub(super) layout: Option<&'a Layout>,
    pub(super) cwd: &'a Path,
    pub(super) store: &'a LocalStore,
    pub(super) cargo_home: &'a Path,
    /// Whether nothing of ours is printed.
    pub(super) quiet: bool,
}

/// A run; its methods are its phases, in their order.
pub(super) struct Run<'a> {
    place: Place<'a>,
    wiring: Wiring,
    recording: Recording,
    bars: Bars,
    /// `None` where nothing is built, or none are wanted.
    snapshots: Option<Snapshots<'a>>,
    /// What the history says of where it was built.
    past: Option<past::Place>,
    history: past::Ready,
    remote: Option<Remote>,
}

/// What cargo's part of it came to.
pub(super) struct Built {
    pub(super) ended: Ended,
    /// When cargo began.
    began_ns: i64,
    beforehand: Option<Beforehand>,
}

impl<'a> Run<'a> {
    pub(super) fn prepare(
        place: Place<'a>,
        mut wiring: Wiring,
        began: Began,
        snapshot: bool,
    ) -> Self {
        let mut recording = Recording::start(began);
        let service = Service::of(place.surroundings).map(Service::name);
        wiring.log([recording.machine(service)]);
        let is_kept = place.line.is_build() && wiring.run_dir.is_some();
        let history = is_kept.then(|| past::Ready::begin(&wiring.store_dir));
        let layout = place.layout.filter(|_| snapshot);
        let snapshots = layout.and_then(|layout| {
            let with = (place.store, place.cargo_home, wiring.wrapper.as_path());
            Snapshots::prepare(place.line, (place.surroundings, place.config, layout), with)
        });
        wiring.log([recording.ended(PhaseName::Prepare)]);
        Self {
            bars: Bars::new(place.surroundings, place.quiet),
            place,
            wiring,
            recording,
            snapshots,
            past: None,
            history: history.unwrap_or_default(),
            remote: None,
        }
    }

    /// Brings back what was built before, here or elsewhere.
    pub(super) fn restore(&mut self, remote: Option<&RemoteSettings>) {
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        let (wiring, recording) = (&mut self.wiring, &mut self.recording);
        if let Some(settings) = remote {
            // What is kept has what cargo was told before.
            let is_kept = snapshots.is_kept();
            if !is_kept {
                // The network takes its time meanwhile.
                snapshots.ask_version();
            }
            let bar = self.bars.begin(Work::PULL);
            let (remote, events) = Remote::pull(
                (settings, self.place.surroundings),
                self.place.store,
                (snapshots.wanted(), wiring.run_dir.as_deref()),
            );
            drop(bar);
            wiring.log(events);
            wiring.log([recording.ended(PhaseName::Pull)]);
            self.remote = remote;
            if let Some(remote) = self.remote.as_ref().filter(|_| !is_kept) {
                remote.fetch_placed();
            }
        }
        let restored = self.bars.during(Work::RESTORE, || snapshots.restore());
        let reads = snapshots.reads();
        let builds = !reads.is_empty() || has_work(&restored);
        if builds || has_nothing(&restored) {
            snapshots.read_compiler();
        }
        if let Some(remote) = self.remote.as_ref().filter(|_| builds) {
            remote.prefetch(reads);
        }
        wiring.log(restored);
        wiring.log([recording.ended(PhaseName::Restore)]);
    }

    /// Runs cargo.
    pub(super) fn build(&mut self) -> Result<Built, CommandError> {
        let Place { line, cwd, .. } = self.place;
        // cargo has no messages for paths that are not UTF-8: it panics where it would write one.
        let is_text =
            cwd.to_str().is_some() && line.arguments.iter().all(|word| word.to_str().is_some());
        let reading = if is_text {
            messages::reading(line, self.place.config)
        } else {
            Reading::Nothing
        };
        // What was restored is older, by as little as one tick.
        let began_ns = rekindle_fsx::time::coarse_ns();
        let from = self.snapshots.as_ref().zip(self.wiring.run_dir.as_deref());
        let beforehand = from.map(|(snapshots, dir)| {
            let packages = (self.place.cargo_home, snapshots.lock());
            Beforehand::start(self.place.store, packages, dir)
        });
        let ended = self.run_and_collect(reading)?;
        Ok(Built {
            ended,
            began_ns,
            beforehand,
        })
    }

    /// Runs cargo and makes real what people collect; once more where the store has lost something.
    fn run_and_collect(&mut self, reading: Reading) -> Result<Ended, CommandError> {
        let line = self.place.line;
        let mut command = cargo(line, Some(self.place.surroundings));
        command.args(messages::arguments(line, reading));
        command.envs(self.wiring.variables());
        let (wiring, recording) = (&mut self.wiring, &mut self.recording);
        let mut is_last = false;
        loop {
            let ended = child::run(&mut command, reading)?;
            wiring.log([recording.ended(PhaseName::Cargo)]);
            if ended.interrupted {
                return Ok(ended);
            }
            let mut is_lost = ended.code != 0 && wiring.has_lost_a_placeholder();
            if let Some(snapshots) = &self.snapshots {
                let (events, lost_here) = self.bars.during(Work::COLLECT, || snapshots.collect());
                is_lost |= lost_here;
                wiring.log(events);
                wiring.log([recording.ended(PhaseName::Collect)]);
            }
            if is_last || !is_lost {
                return Ok(ended);
            }
            warn("the store lost something that the snapshot needs: cargo runs once more");
            is_last = true;
        }
    }

    /// Captures what was built. What a save is to be about, where there is something.
    pub(super) fn capture(&mut self, built: &mut Built) -> Option<(Wanted, PathBuf)> {
        let snapshots = self.snapshots.take()?;
        self.past = Some(snapshots.place());
        if built.ended.interrupted {
            return None;
        }
        let bar = self.bars.begin(Work::CAPTURE);
        self.history.wait();
        if let Some(remote) = self.remote.as_mut().filter(|_| built.ended.code == 0) {
            remote.take_history();
        }
        if let Some(beforehand) = built.beforehand.take() {
            beforehand.end();
        }
        self.wiring.log(snapshots.capture(&self.wiring.events()));
        drop(bar);
        self.wiring.log([self.recording.ended(PhaseName::Capture)]);
        let made = (snapshots.wanted().clone(), snapshots.lock());
        // The command is about to end, and taking apart what was known of each file takes longer than writing it down.
        std::mem::forget(snapshots);
        Some(made)
    }

    /// Writes down what the run came to.
    pub(super) fn record(&mut self, built: &Built) {
        let is_build = self.place.line.is_build();
        let scripts = match self.place.layout.filter(|_| is_build) {
            Some(layout) => build_scripts::count(layout, built.began_ns),
            None => BuildScripts::default(),
        };
        let events = self.wiring.events();
        let ended = &built.ended;
        self.wiring.log(scripts.unseen(&events));
        self.wiring.log(self.recording.samples());
        self.wiring
            .log([finished(ended, &scripts.without_replayed(&events))]);
        if !ended.interrupted && is_build {
            self.history.wait();
            let (past, root) = (self.past.take(), self.root());
            past::record(self.place.surroundings, &mut self.wiring, past, root);
        }
    }

    fn root(&self) -> Option<&'a Path> {
        let layout = self.place.layout?;
        Some(layout.workspace_root.as_path())
    }

    /// Saves for other machines what was made, where the run went well.
    pub(super) fn share(&mut self, ended: &Ended, made: Option<(Wanted, PathBuf)>) {
        let Some(remote) = self.remote.take() else {
            return;
        };
        let made = made.filter(|_| ended.code == 0);
        let (wiring, recording) = (&mut self.wiring, &mut self.recording);
        wiring.log([recording.ended(PhaseName::Finish)]);
        wiring.log(self.bars.during(Work::PUSH, || remote.finish(made)));
        wiring.log([recording.ended(PhaseName::Push)]);
    }

    /// Says what the run came to; on a CI service also with pages, in a directory where one is named.
    pub(super) fn report(&self, pages: Option<Option<PathBuf>>) {
        let quiet = self.place.quiet;
        let is_shown = summed_up(self.place.line, &self.wiring, quiet);
        let Some(pages) = pages.filter(|_| is_shown) else {
            return;
        };
        CiReport {
            surroundings: self.place.surroundings,
            store_dir: self.place.store.dir(),
            root: self.root(),
            pages: pages.as_deref(),
            run: &self.wiring.run,
            events: &self.wiring.events(),
            quiet,
        }
        .write();
    }

    /// Keeps the store within its size. After the report, since the build's result need not wait; not
    /// after an interruption, since the user wants the prompt.
    pub(super) fn end(mut self, ended: &Ended, size: ByteSize) {
        if !ended.interrupted {
            let now = Moment::from_system(SystemTime::now());
            // What goes wrong here is no fault of the build's; `rekindle cache gc` shows it.
            let _ = self
                .bars
                .during(Work::CLEAN, || self.place.store.maybe_gc(size, now));
        }
        self.wiring.log([self.recording.ended(PhaseName::Finish)]);
    }
}

fn finished(ended: &Ended, scripts: &build_scripts::BuildScripts) -> Event {
    let finished = RunFinished {
        exit_code: i32::from(ended.code),
        wall_ms: ended.wall_ms,
        fresh: ended.fresh,
        build_scripts: scripts.runs,
        build_scripts_ms: scripts.time_ms,
    };
    let now = SystemClock::default().now();
    Event::new(now, EventKind::RunFinished(finished))
}

/// Whether a unit was left out of what was restored, so that something is built.
fn has_work(restored: &[Event]) -> bool {
    of_targets(restored).any(|restored| !restored.invalid.is_empty())
}

/// Whether there was nothing to restore, so that everything is built.
fn has_nothing(restored: &[Event]) -> bool {
    of_targets(restored).any(|restored| restored.profiles.is_empty())
}

/// What is said of target directories.
fn of_targets(restored: &[Event]) -> impl Iterator<Item = &SnapshotRestored> {
    restored.iter().filter_map(|event| match &event.kind {
        EventKind::SnapshotRestored(restored) => Some(&**restored),
        _ => None,
    })
}

/// Prints what the run came to. Whether it is a run to show at all, and was recorded.
fn summed_up(line: &CargoLine, wiring: &Wiring, quiet: bool) -> bool {
    let events = wiring.events();
    let of_units = |event: &Event| matches!(event.kind, EventKind::Unit(_));
    let is_run = line.is_build() || events.iter().any(of_units);
    if let Some(dir) = wiring.run_dir.as_ref().filter(|_| !is_run) {
        // `cargo metadata` and the like ask the compiler questions; that is not a run to show.
        let _ = rekindle_fsx::remove_dir_all(dir);
    }
    let is_shown = is_run && wiring.run_dir.is_some();
    if quiet {
        return is_shown;
    }
    let summary = Summary::of_run(&wiring.run, &events);
    // Without a log nothing is known of units, and zeros would be lies.
    let counted = wiring.run_dir.is_some() && line.is_build();
    for text in closing::lines(&summary, &events, counted) {
        eprintln!("rekindle: {text}");
    }
    is_shown
}
