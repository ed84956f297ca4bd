//! Writing events: one line per unit, appended to the log of the run.

use std::path::PathBuf;

use rekindle_base::{Clock, SystemClock};
use rekindle_events::{Event, EventKind, WarningEvent};

use crate::context::Context;

/// The log of a run.
pub(crate) struct Journal {
    log: Option<PathBuf>,
}

impl Journal {
    /// The log of this run: the one that the CLI made, or one for the cargo process that called.
    pub(crate) fn open(context: &Context<'_>) -> Self {
        let directory = context.settings.run_dir.clone().or_else(|| {
            let run = format!("cargo-{}", caller()?);
            let directory = context.settings.store_dir.join("v1/runs").join(run);
            rekindle_fsx::create_dir_all(&directory).ok()?;
            Some(directory)
        });
        Self {
            log: directory.map(|directory| directory.join("events.jsonl")),
        }
    }

    /// Writes an event. A log that cannot be written costs the event.
    pub(crate) fn write(&self, kind: EventKind) {
        if let Some(log) = &self.log {
            let event = Event::new(SystemClock::default().now(), kind);
            let _ = rekindle_fsx::append(log, &event.to_line());
        }
    }

    /// Writes a warning.
    pub(crate) fn warn(&self, id: &str, message: String) {
        self.write(EventKind::Warning(WarningEvent {
            id: id.to_owned(),
            message,
        }));
    }
}

/// The process that called, by start time and number: numbers are reused.
fn caller() -> Option<String> {
    let parent = std::os::unix::process::parent_id();
    let stat = rekindle_fsx::read(&PathBuf::from(format!("/proc/{parent}/stat"))).ok()?;
    let text = String::from_utf8_lossy(&stat);
    // The name of the program, in parentheses, may hold spaces; the 20th field behind it is the start.
    let start = text.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{start:0>12}-{parent}"))
}
