//! `rekindle observe UNIT`: what a unit, or the run of its build script, was seen to read. Names only:
//! values of variables are never shown, and are nowhere kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rekindle::resolve_settings;
use rekindle_base::Digest;
use rekindle_events::{ChangeKind, Event, EventKind};
use rekindle_key::entry::Entry;
use rekindle_key::step::StepEntry;
use rekindle_key::{Manifest, Tag};
use rekindle_store::{LocalStore, Space, Store};
use serde::Serialize;

use super::{list_runs, load_run, print, print_json, read_log};
use crate::cli::{Format, ObserveArgs};
use crate::error::CommandError;

/// The version of the JSON form, which may only grow.
const VERSION: u32 = 1;

/// The JSON form.
#[derive(Serialize)]
struct Form {
    /// Version of this form.
    version: u32,
    /// Name of the run.
    run: String,
    /// The units and steps of that name in it.
    observed: Vec<Observed>,
}

/// One unit or step.
#[derive(Serialize)]
struct Observed {
    /// Package.
    package: String,
    /// Its version.
    version: String,
    /// Kind of unit or step.
    kind: String,
    /// Tells those of one name apart.
    id: String,
    /// Why nothing is known; `null` where it is.
    unknown: Option<String>,
    /// What was read, by kind.
    read: BTreeMap<String, Vec<String>>,
}

pub(crate) fn run(args: &ObserveArgs) -> Result<(), CommandError> {
    let store_dir = resolve_settings()?.settings.store_dir;
    let store = LocalStore::open(&store_dir);
    let (run, events) = match &args.run {
        Some(run) => {
            let (run, log) = load_run(&store_dir, run)?;
            (run, log.events)
        }
        None => newest_with(&store_dir, &args.unit)?,
    };
    let observed: Vec<Observed> = events
        .iter()
        .filter_map(|event| observed(&store, event, &args.unit))
        .collect();
    if observed.is_empty() {
        let message = format!("nothing is known of `{}` in run `{run}`", args.unit);
        return Err(
            CommandError::user(message).hint("name a package or crate that was built in it")
        );
    }
    match args.format {
        Format::Json => print_json(&Form {
            version: VERSION,
            run,
            observed,
        }),
        Format::Text => print(&text(&observed)),
    }
}

/// The last run in which a unit of this name was built, restored or started.
fn newest_with(
    store_dir: &std::path::Path,
    unit: &str,
) -> Result<(String, Vec<Event>), CommandError> {
    for name in list_runs(store_dir)?.into_iter().rev() {
        // A log that another process is about to remove.
        let Ok(log) = read_log(store_dir, &name) else {
            continue;
        };
        if log.events.iter().any(|event| is_about(event, unit)) {
            return Ok((name, log.events));
        }
    }
    let message = format!("no run that is kept has built or started `{unit}`");
    Err(CommandError::user(message)
        .hint("run `rekindle build` first; fresh units are not looked at"))
}

fn is_about(event: &Event, wanted: &str) -> bool {
    match &event.kind {
        EventKind::Unit(unit) => {
            unit.package == wanted || unit.crate_name == wanted.replace('-', "_")
        }
        EventKind::Step(step) => step.package == wanted,
        _ => false,
    }
}

fn observed(store: &LocalStore, event: &Event, wanted: &str) -> Option<Observed> {
    if !is_about(event, wanted) {
        return None;
    }
    let (package, version, kind, id, key, why) = match &event.kind {
        EventKind::Unit(unit) => {
            let why = unit.uncacheable.as_ref().map(ToString::to_string);
            let name = (&unit.package, &unit.version, unit.kind.clone());
            (name.0, name.1, name.2, &unit.id, unit.key, why)
        }
        EventKind::Step(step) => {
            let why = step.refused.as_ref().map(ToString::to_string);
            let kind = format!("run of its {}", step.kind.replace('-', " "));
            (&step.package, &step.version, kind, &step.id, step.key, why)
        }
        _ => return None,
    };
    let manifest = key.and_then(|key| manifest(store, &key));
    let unknown = match (&manifest, why) {
        (Some(_), _) => None,
        (None, Some(why)) => Some(format!("it is not stored: {why}")),
        (None, None) => Some("it is no longer in the store".to_owned()),
    };
    Some(Observed {
        package: package.clone(),
        version: version.clone(),
        kind,
        id: id.clone(),
        unknown,
        read: manifest.as_ref().map(read).unwrap_or_default(),
    })
}

fn manifest(store: &LocalStore, key: &Digest) -> Option<Manifest> {
    let record = store.get_record(Space::Entries, key).ok()??;
    let is_step = |manifest: &Manifest| manifest.items().iter().any(|item| item.tag == Tag::Step);
    let step = StepEntry::decode(&record.payload).map(|entry| entry.manifest);
    match step.filter(is_step) {
        Some(manifest) => Some(manifest),
        None => Some(Entry::decode(&record.payload)?.manifest),
    }
}

/// The names of what was read, without what only the command line says.
fn read(manifest: &Manifest) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in manifest.items() {
        let said = matches!(
            item.tag.change_kind(),
            ChangeKind::Argument | ChangeKind::Format | ChangeKind::Step
        );
        let is_own = matches!(item.tag, Tag::StepProgram | Tag::Env | Tag::Remap);
        if said || is_own {
            continue;
        }
        let name = match item.tag {
            Tag::Variable if item.name.is_empty() => "all of them".to_owned(),
            Tag::Spoken => "all that the program speaks of".to_owned(),
            _ => String::from_utf8_lossy(&item.name).into_owned(),
        };
        let kind = item.tag.change_kind().word().to_owned();
        names.entry(kind).or_default().push(name);
    }
    names
}

fn text(observed: &[Observed]) -> String {
    let mut text = String::new();
    for unit in observed {
        let _ = writeln!(
            text,
            "{} {} ({}) {}",
            unit.package, unit.version, unit.kind, unit.id
        );
        if let Some(unknown) = &unit.unknown {
            let _ = writeln!(text, "  {unknown}");
        }
        for (kind, names) in &unit.read {
            for name in names {
                let _ = writeln!(text, "  {kind} {name}");
            }
        }
    }
    text
}
