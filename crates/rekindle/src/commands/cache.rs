//! `rekindle cache`: minding the store.

use std::io;
use std::path::Path;

use rekindle::{Resolved, resolve_settings};
use rekindle_base::{ByteSize, Clock, SystemClock};
use rekindle_store::{BadKind, GcReport, LocalStore, Usage, VerifyReport};
use serde::Serialize;

use super::bar::Work;
use super::{cache_remote, print, print_json};
use crate::cli::{CacheArgs, CacheCommand, CacheGc, Format};
use crate::error::CommandError;

/// Exit code of `cache verify` where something is damaged.
pub(crate) const DAMAGED: u8 = 1;

/// Version of the JSON forms of these commands.
const VERSION: u32 = 1;

pub(crate) fn run(args: &CacheArgs) -> Result<u8, CommandError> {
    let resolved = resolve_settings()?;
    let dir = &resolved.settings.store_dir;
    let store = LocalStore::open(dir);
    match &args.command {
        CacheCommand::Du(args) if args.remote => {
            cache_remote::du(&resolved, args.format).map(|()| 0)
        }
        CacheCommand::Gc(args) if args.remote => {
            cache_remote::gc(&resolved, args.keep, args.format).map(|()| 0)
        }
        CacheCommand::Verify(args) if args.remote => {
            let is_sound = cache_remote::verify(&resolved, args.remove, args.format)?;
            Ok(if is_sound { 0 } else { DAMAGED })
        }
        CacheCommand::Push(args) => cache_remote::push(args).map(|()| 0),
        CacheCommand::Pull(args) => cache_remote::pull(args).map(|()| 0),
        CacheCommand::Copy(args) => cache_remote::copy(&resolved, args).map(|()| 0),
        CacheCommand::Du(args) => {
            let usage = store.usage().map_err(|error| failed("read", dir, &error))?;
            show_usage(&resolved, &usage, args.format)?;
            Ok(0)
        }
        CacheCommand::Gc(args) => gc(&resolved, &store, args).map(|()| 0),
        CacheCommand::Verify(args) => {
            // With a remote records are there before their objects.
            let bar = cache_remote::bars(&resolved, args.format)?.begin(Work::VERIFY);
            let report = match &resolved.remote {
                Some(_) => store.verify_with_beyond(args.remove),
                None => store.verify(args.remove),
            };
            drop(bar);
            let report = report.map_err(|error| failed("read", dir, &error))?;
            show_verified(&report, args.format)?;
            Ok(if report.is_clean() { 0 } else { DAMAGED })
        }
    }
}

fn failed(what: &str, dir: &Path, error: &io::Error) -> CommandError {
    CommandError::environment(format!(
        "the store in `{}` could not be {what}: {error}",
        dir.display()
    ))
}

/// `cache du --format json`.
#[derive(Serialize)]
struct DuJson {
    version: u32,
    dir: String,
    budget_bytes: u64,
    total_bytes: u64,
    objects: CountJson,
    records: Vec<SpaceJson>,
    temporaries: CountJson,
}

#[derive(Serialize)]
struct CountJson {
    count: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct SpaceJson {
    space: &'static str,
    #[serde(flatten)]
    count: CountJson,
}

fn show_usage(resolved: &Resolved, usage: &Usage, format: Format) -> Result<(), CommandError> {
    let dir = resolved.settings.store_dir.display().to_string();
    let records = usage.spaces.iter().map(|space| SpaceJson {
        space: space.space.name(),
        count: CountJson {
            count: space.records,
            bytes: space.bytes,
        },
    });
    if format == Format::Json {
        return print_json(&DuJson {
            version: VERSION,
            dir,
            budget_bytes: resolved.size.0,
            total_bytes: usage.total_bytes(),
            objects: CountJson {
                count: usage.objects,
                bytes: usage.object_bytes,
            },
            records: records.collect(),
            temporaries: CountJson {
                count: usage.temporaries,
                bytes: usage.temporary_bytes,
            },
        });
    }
    let record_bytes = usage.spaces.iter().map(|space| space.bytes).sum();
    print(&format!(
        "store        {dir}\n\
         in all       {} of {}\n\
         objects      {} in {}\n\
         records      {} in {}\n\
         temporaries  {} in {}\n",
        ByteSize(usage.total_bytes()),
        resolved.size,
        ByteSize(usage.object_bytes),
        usage.objects,
        ByteSize(record_bytes),
        usage.records(),
        ByteSize(usage.temporary_bytes),
        usage.temporaries,
    ))
}

/// `cache gc --format json`.
#[derive(Serialize)]
struct GcJson<'a> {
    version: u32,
    busy: bool,
    evicted_entries: u64,
    removed_objects: u64,
    freed_bytes: u64,
    kept_bytes: u64,
    removed_runs: u64,
    problems: &'a [String],
}

fn gc(resolved: &Resolved, store: &LocalStore, args: &CacheGc) -> Result<(), CommandError> {
    let budget = args.size.unwrap_or(resolved.size);
    let bars = cache_remote::bars(resolved, args.format)?;
    let report = bars
        .during(Work::CLEAN, || {
            store.gc(budget, SystemClock::default().now())
        })
        .map_err(|error| failed("cleaned", &resolved.settings.store_dir, &error))?;
    if args.format == Format::Json {
        return print_json(&GcJson {
            version: VERSION,
            busy: report.busy,
            evicted_entries: report.evicted_entries,
            removed_objects: report.removed_objects,
            freed_bytes: report.freed_bytes,
            kept_bytes: report.kept_bytes,
            removed_runs: report.removed_runs,
            problems: &report.problems,
        });
    }
    show_gc(&report)
}

fn show_gc(report: &GcReport) -> Result<(), CommandError> {
    if report.busy {
        return print("another eviction is running: nothing was done\n");
    }
    for problem in &report.problems {
        eprintln!("rekindle: warning: {problem}");
    }
    print(&format!(
        "removed {} in {} objects of {} entries; {} remain\n",
        ByteSize(report.freed_bytes),
        report.removed_objects,
        report.evicted_entries,
        ByteSize(report.kept_bytes),
    ))
}

/// `cache verify --format json`.
#[derive(Serialize)]
struct VerifyJson {
    version: u32,
    objects: u64,
    object_bytes: u64,
    records: u64,
    bad: Vec<BadJson>,
}

#[derive(Serialize)]
struct BadJson {
    path: String,
    kind: &'static str,
    removed: bool,
}

fn show_verified(report: &VerifyReport, format: Format) -> Result<(), CommandError> {
    if format == Format::Json {
        let bad = report.bad.iter().map(|bad| BadJson {
            path: bad.path.display().to_string(),
            kind: kind_name(bad.kind),
            removed: bad.removed,
        });
        return print_json(&VerifyJson {
            version: VERSION,
            objects: report.objects,
            object_bytes: report.object_bytes,
            records: report.records,
            bad: bad.collect(),
        });
    }
    let mut text = String::new();
    for bad in &report.bad {
        let removed = if bad.removed { ", removed" } else { "" };
        let kind = kind_name(bad.kind).replace('_', " ");
        text.push_str(&format!("{}: {kind}{removed}\n", bad.path.display()));
    }
    text.push_str(&format!(
        "{} objects ({}) and {} records read: {} damaged\n",
        report.objects,
        ByteSize(report.object_bytes),
        report.records,
        report.bad.len(),
    ));
    if report.bad.iter().any(|bad| !bad.removed) {
        eprintln!("hint: `rekindle cache verify --remove` removes what is damaged");
    }
    print(&text)
}

fn kind_name(kind: BadKind) -> &'static str {
    match kind {
        BadKind::DamagedObject => "damaged_object",
        BadKind::DamagedRecord => "damaged_record",
        BadKind::DanglingRecord => "dangling_record",
        BadKind::Stray => "stray",
        BadKind::Unreadable => "unreadable",
    }
}
