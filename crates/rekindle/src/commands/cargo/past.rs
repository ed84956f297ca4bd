//! A row in the history for each run that built something.
//!
//! It is written before the lines that people read, so that a fault is among them: as a warning, never more.

use std::path::Path;
use std::thread::JoinHandle;

use rekindle::{Surroundings, selection};
use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_events::{Event, EventKind, WarningEvent};
use rekindle_history::{History, HistoryError, Run};
use rekindle_report::Summary;
use rekindle_snapshot::base::Git;

use super::wiring::Wiring;

/// Where a run belongs.
pub(super) struct Place {
    project: Digest,
    branch: Option<String>,
    commit: Option<String>,
}

impl Place {
    pub(super) fn new(project: Digest, git: Option<&Git>) -> Self {
        Self {
            project,
            branch: git.and_then(|git| git.branch.clone()),
            commit: git.map(|git| git.head.clone()),
        }
    }
}

/// A thread that makes the database of a store that has none. A new one waits until it is on the disk: after a run that
/// would be behind all that the run wrote.
#[derive(Default)]
pub(super) struct Ready(Option<JoinHandle<()>>);

impl Ready {
    pub(super) fn begin(store_dir: &Path) -> Self {
        let store_dir = store_dir.to_owned();
        let is_new = !History::is_there(&store_dir);
        // What fails there fails again where a row is written, and is said there.
        let open = move || drop(History::open(&store_dir));
        Self(is_new.then(|| std::thread::spawn(open)))
    }

    /// Waits for it: whoever opens the database meanwhile may find it locked for longer than a writer waits.
    pub(super) fn wait(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps the run that has just ended. Without a run's directory nothing is known of it, and nothing kept: the
/// store cannot be written, which has been said.
pub(super) fn record(
    surroundings: &Surroundings,
    wiring: &mut Wiring,
    place: Option<Place>,
    root: Option<&Path>,
) {
    if wiring.run_dir.is_none() {
        return;
    }
    let place = place.or_else(|| {
        let (project, git) = selection::project_of(surroundings, root?);
        Some(Place::new(project, git.as_ref()))
    });
    let Some(place) = place else {
        return;
    };
    let events = wiring.events();
    let summary = Summary::of_run(&wiring.run, &events);
    let Some(exit_code) = summary.exit_code else {
        return;
    };
    // cargo found a fault before it looked at any unit.
    if exit_code != 0 && summary.requests() + summary.fresh.unwrap_or(0) == 0 {
        return;
    }
    let mut run = row(&summary, place, exit_code);
    around(&mut run, surroundings, &events);
    run.name(&wiring.run, &rekindle_fsx::host_name());
    let kept = History::open(&wiring.store_dir).and_then(|mut history| history.record(run));
    if let Err(error) = kept {
        // Once is enough: people hear of the same disk.
        let is_said = summary
            .warnings
            .iter()
            .any(|said| said.id == "store-unwritable");
        wiring.log(warning(&error).filter(|_| !is_said));
    }
}

/// What is said of a row that could not be kept. A database of a newer version is the other version's concern.
fn warning(error: &HistoryError) -> Option<Event> {
    if matches!(error, HistoryError::Newer { .. }) {
        return None;
    }
    let warning = WarningEvent {
        id: "history-unwritable".to_owned(),
        message: error.to_string(),
    };
    let now = SystemClock::default().now();
    Some(Event::new(now, EventKind::Warning(warning)))
}

fn row(summary: &Summary, place: Place, exit_code: i32) -> Run {
    Run {
        uid: String::new(),
        project: place.project.to_hex(),
        began_ms: summary.began.map_or(0, |began| began.0),
        branch: place.branch,
        commit: place.commit,
        command: summary.command.clone().unwrap_or_default(),
        wall_ms: summary.wall_ms,
        exit_code,
        fresh: summary.fresh,
        hits: summary.hits,
        misses: summary.misses,
        uncacheable: summary.uncacheable,
        compile_ms: summary.compile_us / 1000,
        link_ms: summary.link_us / 1000,
        script_ms: summary.build_scripts_ms,
        saved_ms: summary.saved_us / 1000,
        restored_bytes: summary.restored_bytes,
        published_bytes: summary.published_bytes,
        materialised_bytes: summary.materialised_bytes,
        rekindle: rekindle::VERSION.to_owned(),
        ..Run::default()
    }
}

/// What the run's machine and its CI service say: names, nothing else of their variables.
fn around(run: &mut Run, surroundings: &Surroundings, events: &[Event]) {
    let machine = events.iter().find_map(|event| match &event.kind {
        EventKind::Machine(machine) => Some(machine),
        _ => None,
    });
    if let Some(machine) = machine {
        run.cores = machine.cores;
        run.ci.clone_from(&machine.ci);
    }
    let text = |name| Some(surroundings.non_empty(name)?.to_str()?.to_owned());
    match run.ci.as_deref() {
        Some("github") => {
            run.workflow = text("GITHUB_WORKFLOW");
            run.job = text("GITHUB_JOB");
            let image = text("ImageOS").or_else(|| text("RUNNER_OS"));
            let words = [image, text("RUNNER_ARCH")];
            run.runner = words
                .into_iter()
                .flatten()
                .reduce(|a, b| format!("{a} {b}"));
        }
        Some("gitlab") => {
            run.workflow = text("CI_PIPELINE_SOURCE");
            run.job = text("CI_JOB_NAME");
            run.runner = text("CI_RUNNER_EXECUTABLE_ARCH");
        }
        _ => {}
    }
}
