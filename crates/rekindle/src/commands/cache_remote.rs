//! `rekindle cache push`, `pull` and `copy`, and `--remote` of the others: minding a store that many machines share.

use std::sync::Arc;

use rekindle::remote::RemoteSettings;
use rekindle::{Resolved, Surroundings, runs};
use rekindle_base::{ByteSize, Clock, SystemClock};
use rekindle_events::EventKind;
use rekindle_remote::client::ClientError;
use rekindle_remote::far::Far;
use rekindle_remote::keep::{self, KINDS};
use rekindle_store::LocalStore;
use serde::Serialize;

use super::bar::{Bars, Work};
use super::remote::{Job, Opened};
use super::snapshot::Project;
use super::{print, print_json};
use crate::cli::{CacheCopy, CachePull, CachePush, Format};
use crate::error::CommandError;

/// Version of the JSON forms of these commands.
const VERSION: u32 = 1;

/// The remote that is configured.
fn configured(resolved: &Resolved) -> Result<&RemoteSettings, CommandError> {
    resolved.remote.as_ref().ok_or_else(|| {
        CommandError::user("no remote is configured, or it is switched off")
            .hint("set REKINDLE_REMOTE, or `remote` in the user's configuration file")
    })
}

/// How far a command is, shown where nothing reads what it prints.
pub(super) fn bars(resolved: &Resolved, format: Format) -> Result<Bars, CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
    let quiet = resolved.quiet || format == Format::Json;
    Ok(Bars::new(&surroundings, quiet))
}

fn open(settings: &RemoteSettings) -> Result<Opened, CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
    Opened::new(settings, &surroundings)
        .map_err(|error| CommandError::user(format!("the remote cannot be used: {error}")))
}

fn writable(resolved: &Resolved) -> Result<Opened, CommandError> {
    let opened = open(configured(resolved)?)?;
    if !opened.writes {
        let message = "this run may not write to the remote";
        return Err(CommandError::user(message).hint("set REKINDLE_REMOTE_MODE=read-write"));
    }
    Ok(opened)
}

#[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
fn failed(error: ClientError) -> CommandError {
    CommandError::environment(format!("the remote did not do it: {error}"))
}

/// `cache push --format json`.
#[derive(Serialize)]
struct PushJson {
    version: u32,
    packs: u64,
    objects: u64,
    records: u64,
    requests: u64,
    bytes_up: u64,
}

/// Saves what this directory's last run made.
pub(super) fn push(args: &CachePush) -> Result<(), CommandError> {
    let project = Project::find(&args.site)?;
    let opened = writable(&project.resolved)?;
    let wanted = &project.selection.wanted;
    let bar = project.bars(args.format).begin(Work::PUSH);
    let look = opened.look(&project.store, wanted);
    let found = look.map_err(CommandError::environment)?;
    let root = project.layout.workspace_root.clone();
    let job = Job {
        store: project.store.clone(),
        client: opened.client.clone(),
        key: opened.key.clone(),
        wanted: wanted.clone(),
        lock: root.join("Cargo.lock"),
        run_dir: last_run_in(&project.store, &root),
        found: found.map(|(found, _)| Arc::new(found)),
        reads: Vec::new(),
        ahead: None,
        lost: std::collections::HashSet::new(),
    };
    let saved = job.run().map_err(CommandError::environment)?;
    drop(bar);
    let saved = saved.ok_or_else(|| {
        CommandError::user("nothing was built here that could be saved")
            .hint("run `rekindle build` first; a key that only reads cannot sign")
    })?;
    let counts = opened.counts();
    if args.format == Format::Json {
        return print_json(&PushJson {
            version: VERSION,
            packs: saved.packs,
            objects: saved.objects,
            records: saved.records,
            requests: counts.requests,
            bytes_up: counts.bytes_up,
        });
    }
    print(&format!(
        "saved {} objects in {} packs and {} records: {} in {} requests\n",
        saved.objects,
        saved.packs,
        saved.records,
        ByteSize(counts.bytes_up),
        counts.requests
    ))
}

/// The directory of the newest run that was started in or below a directory.
fn last_run_in(store: &LocalStore, root: &std::path::Path) -> Option<std::path::PathBuf> {
    let names = runs::list(store.dir()).ok()?;
    let dirs = names
        .into_iter()
        .rev()
        .map(|name| store.runs_dir().join(name));
    dirs.into_iter().find(|dir| {
        let events = runs::read(dir).map(|log| log.events).unwrap_or_default();
        events.iter().any(|event| match &event.kind {
            EventKind::RunStarted(started) => std::path::Path::new(&started.cwd).starts_with(root),
            _ => false,
        })
    })
}

/// `cache pull --format json`.
#[derive(Serialize)]
struct PullJson {
    version: u32,
    found: bool,
    new_records: u64,
    objects: u64,
    object_bytes: u64,
    fetched: u64,
    requests: u64,
    bytes_down: u64,
}

/// Brings the save that a build here would begin with, with all of its objects where that is wanted.
pub(super) fn pull(args: &CachePull) -> Result<(), CommandError> {
    let project = Project::find(&args.site)?;
    let opened = open(configured(&project.resolved)?)?;
    let bar = project.bars(args.format).begin(Work::PULL);
    let look = opened.look(&project.store, &project.selection.wanted);
    let found = look.map_err(CommandError::environment)?;
    let mut json = PullJson {
        version: VERSION,
        found: found.is_some(),
        new_records: 0,
        objects: 0,
        object_bytes: 0,
        fetched: 0,
        requests: 0,
        bytes_down: 0,
    };
    if let Some((found, new_records)) = &found {
        let client = opened.client.clone();
        let far = Far::new(client, project.store.clone(), &found.index, None);
        json.new_records = *new_records;
        (json.objects, json.object_bytes) = far.whole();
        if args.objects {
            far.fetch_everything();
        }
        json.fetched = far.fetched().objects;
    }
    drop(bar);
    let counts = opened.counts();
    (json.requests, json.bytes_down) = (counts.requests, counts.bytes_down);
    if args.format == Format::Json {
        return print_json(&json);
    }
    if !json.found {
        return print("the remote has no save for this\n");
    }
    print(&format!(
        "{} new records, {} of {} objects fetched ({} in all): {} in {} requests\n",
        json.new_records,
        json.fetched,
        json.objects,
        ByteSize(json.object_bytes),
        ByteSize(json.bytes_down),
        json.requests
    ))
}

/// `cache du --remote --format json`.
#[derive(Serialize)]
struct DuJson {
    version: u32,
    kinds: Vec<KindJson>,
    total_bytes: u64,
}

#[derive(Serialize)]
struct KindJson {
    kind: &'static str,
    count: u64,
    bytes: u64,
}

pub(super) fn du(resolved: &Resolved, format: Format) -> Result<(), CommandError> {
    let opened = open(configured(resolved)?)?;
    let usage = keep::usage(&opened.client).map_err(failed)?;
    let kinds = KINDS.into_iter().map(|kind| {
        let (count, bytes) = usage.get(kind).copied().unwrap_or_default();
        KindJson { kind, count, bytes }
    });
    let kinds: Vec<KindJson> = kinds.collect();
    let total_bytes = kinds.iter().map(|kind| kind.bytes).sum();
    if format == Format::Json {
        return print_json(&DuJson {
            version: VERSION,
            kinds,
            total_bytes,
        });
    }
    let mut text = String::new();
    for kind in &kinds {
        text.push_str(&format!(
            "{:8} {:8} {}\n",
            kind.kind,
            kind.count,
            ByteSize(kind.bytes)
        ));
    }
    text.push_str(&format!("{:17} {}\n", "total", ByteSize(total_bytes)));
    print(&text)
}

/// `cache gc --remote --format json`.
#[derive(Serialize)]
struct GcJson {
    version: u32,
    tips: u64,
    indexes: u64,
    packs: u64,
    freed_bytes: u64,
    kept_bytes: u64,
}

pub(super) fn gc(resolved: &Resolved, keep: Age, format: Format) -> Result<(), CommandError> {
    let opened = writable(resolved)?;
    let now_ms = SystemClock::default().now().0;
    let bars = bars(resolved, format)?;
    let swept = bars.during(Work::SWEEP, || {
        keep::sweep(&opened.client, (now_ms, keep.0))
    });
    let swept = swept
        .map_err(|error| CommandError::environment(format!("the remote was not swept: {error}")))?;
    if format == Format::Json {
        return print_json(&GcJson {
            version: VERSION,
            tips: swept.tips,
            indexes: swept.indexes,
            packs: swept.packs,
            freed_bytes: swept.bytes,
            kept_bytes: swept.kept_bytes,
        });
    }
    print(&format!(
        "removed {} in {} packs, {} indexes and {} tips; {} remain\n",
        ByteSize(swept.bytes),
        swept.packs,
        swept.indexes,
        swept.tips,
        ByteSize(swept.kept_bytes)
    ))
}

/// `cache verify --remote --format json`.
#[derive(Serialize)]
struct VerifyJson {
    version: u32,
    blobs: u64,
    objects: u64,
    bad: Vec<BadJson>,
}

#[derive(Serialize)]
struct BadJson {
    name: String,
    what: String,
    removed: bool,
}

/// Says whether all is sound.
pub(super) fn verify(
    resolved: &Resolved,
    remove: bool,
    format: Format,
) -> Result<bool, CommandError> {
    let opened = if remove {
        writable(resolved)?
    } else {
        open(configured(resolved)?)?
    };
    let verified = bars(resolved, format)?.during(Work::READ, || {
        keep::verify(&opened.client, opened.key.as_ref(), remove)
    });
    let verified = verified.map_err(failed)?;
    let is_sound = verified.bad.is_empty();
    if format == Format::Json {
        let bad = verified.bad.into_iter().map(|(name, what)| BadJson {
            name: name.to_string(),
            what,
            removed: verified.removed,
        });
        print_json(&VerifyJson {
            version: VERSION,
            blobs: verified.blobs,
            objects: verified.objects,
            bad: bad.collect(),
        })?;
        return Ok(is_sound);
    }
    let mut text = String::new();
    for (name, what) in &verified.bad {
        let removed = if remove { ", removed" } else { "" };
        text.push_str(&format!("{name}: {what}{removed}\n"));
    }
    text.push_str(&format!(
        "{} blobs with {} objects read: {} damaged\n",
        verified.blobs,
        verified.objects,
        verified.bad.len()
    ));
    print(&text)?;
    Ok(is_sound)
}

/// `cache copy --format json`.
#[derive(Serialize)]
struct CopyJson {
    version: u32,
    blobs: u64,
    bytes: u64,
    present: u64,
}

/// Copies a remote to another one; both are named on the command line, so who runs it decides.
pub(super) fn copy(resolved: &Resolved, args: &CacheCopy) -> Result<(), CommandError> {
    let of = |url: &str| {
        let limits = rekindle::remote::defaults();
        let settings = resolved.remote.clone().unwrap_or(limits);
        // Blobs are copied as they are: no key is needed to.
        open(&RemoteSettings {
            url: Some(url.to_owned()),
            key: None,
            ..settings
        })
    };
    let (from, to) = (of(&args.from)?, of(&args.to)?);
    let bars = bars(resolved, args.format)?;
    let copied = bars.during(Work::COPY, || keep::copy(&from.client, &to.client));
    let copied = copied.map_err(failed)?;
    if args.format == Format::Json {
        return print_json(&CopyJson {
            version: VERSION,
            blobs: copied.blobs,
            bytes: copied.bytes,
            present: copied.present,
        });
    }
    print(&format!(
        "copied {} blobs, {}; {} were there already\n",
        copied.blobs,
        ByteSize(copied.bytes),
        copied.present
    ))
}

/// A time as in `30d` or `12h`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) u64);

impl std::str::FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HOUR_MS: u64 = 60 * 60 * 1000;
        let (digits, unit_ms) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
            (Some(days), _) => (days, 24 * HOUR_MS),
            (None, Some(hours)) => (hours, HOUR_MS),
            (None, None) => return Err("write days or hours, as in `30d` or `12h`"),
        };
        let count: u32 = digits
            .parse()
            .map_err(|_| "write days or hours, as in `30d` or `12h`")?;
        Ok(Self(u64::from(count) * unit_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::Age;

    #[test]
    fn ages() {
        assert_eq!("2d".parse(), Ok(Age(172_800_000)));
        assert_eq!("3h".parse(), Ok(Age(10_800_000)));
        for bad in ["", "d", "3", "-1d", "1w"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }
}
