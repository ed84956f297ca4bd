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
    /// The log of this run; none where the run has no directory.
    pub(crate) fn open(context: &Context<'_>) -> Self {
        let directory = context.settings.run_dir.as_ref();
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
