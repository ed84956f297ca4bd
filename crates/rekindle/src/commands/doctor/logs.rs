//! What the logs of earlier runs say of a workspace.

use std::path::Path;
use std::time::{Duration, Instant};

use rekindle::runs;
use rekindle_events::{EventKind, Log};

use super::context::Context;

/// Logs of this many runs are looked through, for at most this long.
const RUNS_MAX: usize = 200;
const LOOK: Duration = Duration::from_secs(5);

/// The logs of runs in a workspace, the newest first.
pub(super) fn of_workspace(context: &Context<'_>, root: &Path) -> impl Iterator<Item = Log> {
    let store = &context.resolved.settings.store_dir;
    let dir = runs::runs_dir(store);
    let until = Instant::now() + LOOK;
    let names = runs::list(store).unwrap_or_default();
    names
        .into_iter()
        .rev()
        .take(RUNS_MAX)
        .take_while(move |_| Instant::now() < until)
        .filter_map(move |name| runs::read(&dir.join(name)).ok())
        .filter(move |log| is_of(log, root))
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
