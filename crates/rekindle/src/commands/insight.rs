//! What would help a run: the rules of `rekindle-plan`, given what only the machine and the store know.

use std::path::Path;

use rekindle::{Surroundings, runs};
use rekindle_events::{Event, EventKind};
use rekindle_plan::advice::{Earlier, Facts, advise};
use rekindle_report::Advice;

/// Programs by which a linker is found, with the name that rules give it.
const LINKERS: &[(&str, &str)] = &[
    ("ld.bfd", "bfd"),
    ("ld.gold", "gold"),
    ("ld.lld", "lld"),
    ("mold", "mold"),
    ("ld.mold", "mold"),
];

/// So many earlier runs are looked at for one of another command.
const LOOK_BACK: usize = 40;

/// What would help most, best first.
pub(crate) fn advice(
    surroundings: &Surroundings,
    store_dir: &Path,
    (run, events): (&str, &[Event]),
) -> Vec<Advice> {
    let mut facts = Facts::of_events(events);
    facts.linkers_here = linkers(surroundings);
    facts.earlier = earlier(store_dir, run, events, |command| command != facts.command)
        .map(|(_, events)| Earlier::of_events(&events));
    advise(&facts).into_iter().map(Advice::from).collect()
}

/// The linkers on `PATH`.
fn linkers(surroundings: &Surroundings) -> Vec<String> {
    let path = surroundings.var("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(path).collect();
    let is_here = |program: &str| {
        dirs.iter()
            .any(|dir| rekindle_fsx::exists(&dir.join(program)))
    };
    let mut found: Vec<String> = LINKERS
        .iter()
        .filter(|(program, _)| is_here(program))
        .map(|(_, name)| (*name).to_owned())
        .collect();
    found.dedup();
    found
}

/// The last run before `run` in the same directory whose command is wanted; runs of other directories are
/// passed over.
pub(crate) fn earlier(
    store_dir: &Path,
    run: &str,
    events: &[Event],
    wanted: impl Fn(&str) -> bool,
) -> Option<(String, Vec<Event>)> {
    let (_, directory) = started(events)?;
    let names = runs::list(store_dir).ok()?;
    let before = names.into_iter().filter(|name| name.as_str() < run).rev();
    for name in before.take(LOOK_BACK) {
        // An eviction may have taken it meanwhile.
        let Ok(log) = runs::read(&runs::runs_dir(store_dir).join(&name)) else {
            continue;
        };
        let fits = started(&log.events)
            .is_some_and(|(command, there)| there == directory && wanted(command));
        if fits {
            return Some((name, log.events));
        }
    }
    None
}

/// Command and directory of a run.
pub(crate) fn started(events: &[Event]) -> Option<(&str, &str)> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted(started) => Some((started.command.as_str(), started.cwd.as_str())),
        _ => None,
    })
}
