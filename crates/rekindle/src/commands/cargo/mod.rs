//! `rekindle <cargo's command>`: runs cargo with Rekindle's wrapper and says what it came to.
//!
//! Phases: read the command line and the settings; prepare ([`wiring`]: what wrapper, which
//! directory for the run); run cargo ([`child`], with its standard output read by [`messages`]
//! where that changes nothing a person sees); count the build scripts ([`build_scripts`]); report.
//! Around that, [`snapshots`] restores what an earlier run built, and captures what this one did; around these,
//! [`remote`] brings what other machines saved, and saves. [`recording`] notes how long each phase took and what the
//! machine did.
//! A fault of ours costs a warning, and cargo runs as if Rekindle were not there.

mod beforehand;
mod build_scripts;
mod child;
mod ci_report;
mod compiler_info;
mod messages;
mod past;
mod recording;
mod remote;
mod snapshots;
mod wiring;

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use rekindle::cargo_config::CargoConfig;
use rekindle::ci::Service;
use rekindle::{Resolved, Surroundings, layout, settings};
use rekindle_base::{Clock, ErrorKind, Moment, SystemClock};
use rekindle_events::{Event, EventKind, PhaseName, RunFinished};
use rekindle_report::{Summary, closing};
use rekindle_store::LocalStore;

use self::beforehand::Beforehand;
use self::child::Ended;
use self::ci_report::CiReport;
use self::messages::Reading;
use self::recording::{Began, Recording};
use self::remote::Remote;
use self::snapshots::Snapshots;
use self::wiring::Wiring;
use super::bar::{Bars, Work};
use crate::error::CommandError;
use crate::invocation::CargoLine;

pub(crate) use self::wiring::located;

pub(crate) fn run(arguments: &[OsString]) -> Result<u8, CommandError> {
    let began = Began::now();
    let line = CargoLine::parse(arguments);
    let Ok(surroundings) = Surroundings::of_process() else {
        // cargo says better than we could that there is no working directory.
        return plain(&line, None);
    };
    if line.command.is_none() || line.informs || settings::is_disabled(&surroundings)? {
        return plain(&line, Some(&surroundings));
    }
    let resolved = match settings::resolve(&surroundings) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == ErrorKind::Environment => {
            warn(&format!("{error}: cargo runs without rekindle"));
            return plain(&line, Some(&surroundings));
        }
        Err(error) => return Err(error.into()),
    };
    with_wrapper(&line, &surroundings, resolved, began)
}

fn warn(message: &str) {
    eprintln!("rekindle: warning: {message}");
}

/// cargo, as the user would call it.
fn cargo(line: &CargoLine, surroundings: Option<&Surroundings>) -> Command {
    let named = surroundings.and_then(|surroundings| surroundings.non_empty("CARGO"));
    // `+nightly` means something to rustup's cargo alone, and `CARGO` names a toolchain's own.
    let mut command = match (&line.toolchain, named) {
        (None, Some(program)) => Command::new(program),
        _ => Command::new("cargo"),
    };
    command.args(&line.toolchain);
    command
}

/// Runs cargo without anything of ours.
fn plain(line: &CargoLine, surroundings: Option<&Surroundings>) -> Result<u8, CommandError> {
    let mut command = cargo(line, surroundings);
    command.args(&line.arguments);
    Ok(child::run(&mut command, Reading::Nothing)?.code)
}

fn with_wrapper(
    line: &CargoLine,
    surroundings: &Surroundings,
    resolved: Resolved,
    began: Began,
) -> Result<u8, CommandError> {
    let cwd = match &line.directory {
        Some(dir) => surroundings.cwd.join(dir),
        None => surroundings.cwd.clone(),
    };
    let config = CargoConfig::read(surroundings, &cwd, &line.config);
    let layout = layout::find(surroundings, &config, &cwd, line.asked());
    let quiet = resolved.quiet
        || line.quiet
        || surroundings
            .var("CARGO_TERM_QUIET")
            .is_some_and(|value| value == "true");
    let (size, snapshot, remote) = (resolved.size, resolved.snapshot, resolved.remote);
    let report_dir = resolved.report.then_some(resolved.report_dir);
    let store = LocalStore::open(&resolved.settings.store_dir);
    let cargo_home = resolved.settings.cargo_home.clone();
    let mut wiring = match Wiring::prepare(line, surroundings, &config, resolved.settings) {
        Ok(wiring) => wiring,
        Err(reason) => {
            warn(&format!("{reason}: cargo runs without rekindle"));
            return plain(line, Some(surroundings));
        }
    };
    let mut recording = Recording::start(began);
    wiring.log([recording.machine(Service::of(surroundings).map(Service::name))]);
    // What the build uses is not evicted meanwhile; where this fails, an eviction makes a miss.
    let active = store.register_active();
    let with = (&store, cargo_home.as_path(), wiring.wrapper.as_path());
    let mut snapshots = snapshot
        .then(|| {
            let layout = layout.as_ref().ok()?;
            Snapshots::prepare(line, (surroundings, &config, layout), with)
        })
        .flatten();
    wiring.log([recording.ended(PhaseName::Prepare)]);
    let bars = Bars::new(surroundings, quiet);
    let mut remote = snapshots.as_ref().and_then(|snapshots| {
        let settings = remote.as_ref()?;
        let _bar = bars.begin(Work::PULL);
        let (remote, events) = Remote::pull(
            (settings, surroundings),
            &store,
            (snapshots.wanted(), wiring.run_dir.as_deref()),
        );
        wiring.log(events);
        wiring.log([recording.ended(PhaseName::Pull)]);
        remote
    });
    if let Some(snapshots) = &mut snapshots {
        if let Some(remote) = remote.as_ref().filter(|_| !snapshots.is_kept()) {
            remote.fetch_placed();
        }
        let restored = bars.during(Work::RESTORE, || snapshots.restore());
        if let Some(remote) = remote.as_ref().filter(|_| has_work(&restored)) {
            remote.prefetch(snapshots.reads());
        }
        wiring.log(restored);
        wiring.log([recording.ended(PhaseName::Restore)]);
    }
    // cargo has no messages for paths that are not UTF-8: it panics where it would write one.
    let is_text =
        cwd.to_str().is_some() && line.arguments.iter().all(|word| word.to_str().is_some());
    let reading = if is_text {
        messages::reading(line, &config)
    } else {
        Reading::Nothing
    };
    let mut command = cargo(line, Some(surroundings));
    command.args(messages::arguments(line, reading));
    command.envs(wiring.variables());
    // What was restored is older, by as little as one tick.
    let began_ns = rekindle_fsx::time::coarse_ns();
    let beforehand = snapshots.as_ref().zip(wiring.run_dir.as_deref());
    let beforehand = beforehand
        .map(|(snapshots, dir)| Beforehand::start(&store, (&cargo_home, snapshots.lock()), dir));
    let ended = run_and_collect(
        &mut command,
        reading,
        snapshots.as_ref(),
        (&mut wiring, &mut recording),
        bars,
    )?;
    let place = snapshots.as_ref().map(Snapshots::place);
    let mut made = None;
    if let Some(snapshots) = snapshots.filter(|_| !ended.interrupted) {
        let bar = bars.begin(Work::CAPTURE);
        if let Some(remote) = remote.as_mut().filter(|_| ended.code == 0) {
            remote.take_history();
        }
        if let Some(beforehand) = beforehand {
            beforehand.end();
        }
        wiring.log(snapshots.capture(&wiring.events()));
        drop(bar);
        wiring.log([recording.ended(PhaseName::Capture)]);
        made = Some((snapshots.wanted().clone(), snapshots.lock()));
        // The command is about to end, and taking apart what was known of each file takes longer than writing it down.
        std::mem::forget(snapshots);
    }
    let scripts = match &layout {
        Ok(layout) if line.is_build() => build_scripts::count(layout, began_ns),
        _ => build_scripts::BuildScripts::default(),
    };
    let events = wiring.events();
    wiring.log(scripts.unseen(&events));
    wiring.log(recording.samples());
    wiring.log([finished(&ended, &scripts.without_replayed(&events))]);
    let root = layout.as_ref().ok();
    let root = root.map(|layout| layout.workspace_root.as_path());
    if !ended.interrupted && line.is_build() {
        past::record(surroundings, &mut wiring, place, root);
    }
    if let Some(remote) = remote {
        let made = made.filter(|_| ended.code == 0);
        wiring.log([recording.ended(PhaseName::Finish)]);
        wiring.log(bars.during(Work::PUSH, || remote.finish(made)));
        wiring.log([recording.ended(PhaseName::Push)]);
    }
    drop(active);
    let is_shown = report(line, &wiring, quiet);
    if let (Some(pages), true) = (report_dir, is_shown) {
        CiReport {
            surroundings,
            store_dir: store.dir(),
            root,
            pages: pages.as_deref(),
            run: &wiring.run,
            events: &wiring.events(),
            quiet,
        }
        .write();
    }
    bars.during(Work::CLEAN, || evict(&store, size, &ended));
    wiring.log([recording.ended(PhaseName::Finish)]);
    Ok(ended.code)
}

/// Runs cargo and makes real what people collect; once more where the store has lost something.
fn run_and_collect(
    command: &mut Command,
    reading: Reading,
    snapshots: Option<&Snapshots<'_>>,
    (wiring, recording): (&mut Wiring, &mut Recording),
    bars: Bars,
) -> Result<Ended, CommandError> {
    let mut is_last = false;
    loop {
        let ended = child::run(command, reading)?;
        wiring.log([recording.ended(PhaseName::Cargo)]);
        if ended.interrupted {
            return Ok(ended);
        }
        let mut is_lost = ended.code != 0 && wiring.has_lost_a_placeholder();
        if let Some(snapshots) = snapshots {
            let (events, lost_here) = bars.during(Work::COLLECT, || snapshots.collect());
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
    restored.iter().any(|event| match &event.kind {
        EventKind::SnapshotRestored(restored) => !restored.invalid.is_empty(),
        _ => false,
    })
}

/// Prints what the run came to. Whether it is a run to show at all, and was recorded.
fn report(line: &CargoLine, wiring: &Wiring, quiet: bool) -> bool {
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

/// Keeps the store within its size. After the report, since the build's result need not wait; not
/// after an interruption, since the user wants the prompt.
fn evict(store: &LocalStore, size: rekindle_base::ByteSize, ended: &Ended) {
    if !ended.interrupted {
        // What goes wrong here is no fault of the build's; `rekindle cache gc` shows it.
        let _ = store.maybe_gc(size, Moment::from_system(SystemTime::now()));
    }
}

/// A flag that one thread sets for another.
type Flag = Arc<std::sync::atomic::AtomicBool>;
