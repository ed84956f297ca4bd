//! What the logs of earlier runs say of a workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rekindle::runs;
use rekindle_events::{EventKind, Log};

/// Logs of this many runs are looked through, for at most this long.
const RUNS_MAX: usize = 200;
const LOOK: Duration = Duration::from_secs(5);

/// What is recorded of a workspace.
pub(super) struct Recorded {
    /// The workspace, without links in its path.
    pub(super) root: PathBuf,
    /// The newest event of each unit, and of each package's build script, that went through Rekindle there.
    pub(super) newest: BTreeMap<String, EventKind>,
}

impl Recorded {
    /// Looks through the logs in a store.
    pub(super) fn read(store: &Path, workspace: &Path) -> Self {
        let root = rekindle_fsx::canonicalize(workspace);
        let root = root.unwrap_or_else(|_| workspace.to_owned());
        let mut newest = BTreeMap::new();
        let until = Instant::now() + LOOK;
        let is_time = |_: &&String| Instant::now() < until;
        let names = runs::list(store).unwrap_or_default();
        for name in names.iter().rev().take(RUNS_MAX).take_while(is_time) {
            let log = runs::read(&runs::runs_dir(store).join(name));
            let Some(log) = log.ok().filter(|log| is_of(log, &root)) else {
                continue;
            };
            // Within a run the last event of a unit counts.
            for event in log.events.into_iter().rev() {
                let id = match &event.kind {
                    EventKind::Unit(unit) => {
                        format!("{} {} {}", unit.package, unit.crate_name, unit.kind)
                    }
                    EventKind::Step(step) if step.kind == "build-script" => {
                        format!("{} build script", step.package)
                    }
                    _ => continue,
                };
                newest.entry(id).or_insert(event.kind);
            }
        }
        Self { root, newest }
    }
}

fn is_of(log: &Log, root: &Path) -> bool {
    let within = |dir: &str| Path::new(dir).starts_with(root);
    log.events.iter().any(|event| match &event.kind {
        EventKind::RunStarted(started) => within(&started.cwd),
        // A plain cargo's run has no first event.
        EventKind::Unit(unit) => {
            let vantage = unit.vantage.as_ref();
            vantage.is_some_and(|vantage| within(&vantage.directory))
        }
        _ => false,
    })
}
