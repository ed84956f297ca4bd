//! `rekindle import`: what another tool recorded of a build becomes a run, which `report` and `stats` show.

use std::io::Read;
use std::path::Path;

use rekindle::{resolve_settings, runs};
use rekindle_base::{Clock, SystemClock};
use rekindle_events::Event;
use rekindle_report::import::{cargo_timings, sccache_stats};
use rekindle_report::{Timeline, report_text};

use super::print;
use crate::cli::{ImportArgs, ImportFrom};
use crate::error::CommandError;

/// No page and no document that is meant is larger.
const FILE_MAX_BYTES: u64 = 256 << 20;

pub(crate) fn run(args: &ImportArgs) -> Result<(), CommandError> {
    let store_dir = resolve_settings()?.settings.store_dir;
    let now = SystemClock::default().now();
    let run = runs::run_id(now, std::process::id());
    let (file, events) = match &args.from {
        ImportFrom::CargoTimings(args) => {
            (&args.file, cargo_timings(&read(&args.file)?, &run, now))
        }
        ImportFrom::SccacheStats(args) => {
            (&args.file, sccache_stats(&read(&args.file)?, &run, now))
        }
    };
    let events = events.map_err(|error| {
        CommandError::user(format!("`{}` could not be read: {error}", file.display()))
    })?;
    record(&store_dir, &run, &events)?;
    print(&report_text(&Timeline::of_run(&run, &events), &[]))?;
    print(&format!(
        "run: {run} (`rekindle report {run}` makes its page)\n"
    ))
}

fn record(store_dir: &Path, run: &str, events: &[Event]) -> Result<(), CommandError> {
    let lines: Vec<u8> = events.iter().flat_map(Event::to_line).collect();
    runs::create(store_dir, run)
        .and_then(|dir| rekindle_fsx::append(&dir.join(runs::LOG), &lines))
        .map_err(|error| {
            CommandError::environment(format!(
                "the run could not be recorded in `{}`: {error}",
                store_dir.display()
            ))
        })
}

fn read(file: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |error: String| {
        CommandError::user(format!("`{}` could not be read: {error}", file.display()))
    };
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().lock().take(FILE_MAX_BYTES);
        return match input.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(failed(error.to_string())),
        };
    }
    match rekindle_fsx::read_with_sig(file, FILE_MAX_BYTES) {
        Ok(Some((bytes, _))) => Ok(bytes),
        Ok(None) => Err(failed("there is no such file".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}
