//! Writing events: one line per unit, appended to the log of the run.

use std::io::Write;
use std::path::{Path, PathBuf};

use rekindle_base::{Clock, SystemClock};
use rekindle_events::{Event, EventKind, Refusal, StepEvent, StepFate, Vantage, WarningEvent};
use rekindle_key::Roots;
use rekindle_outputs::environment::Environment;
use rekindle_steps::Published;

use rekindle_outputs::lost;
use rekindle_outputs::materialise::MaterialiseError;

use crate::context::Context;

/// The warning that makes the `rekindle` command run cargo once more.
pub const PLACEHOLDER_LOST: &str = "placeholder-lost";

/// As cargo's own for a unit that does not compile.
pub(crate) const LOST_EXIT_CODE: i32 = 101;

/// The log of a run.
#[derive(Clone, Debug)]
pub struct Journal {
    log: Option<PathBuf>,
}

impl Journal {
    /// The log of this run; none where the run has no directory.
    pub(crate) fn open(context: &Context<'_>) -> Self {
        Self::of_run(context.settings.run_dir.as_deref())
    }

    /// The log in a run's directory, if there is one.
    #[must_use]
    pub fn of_run(directory: Option<&Path>) -> Self {
        Self {
            log: directory.map(|directory| directory.join("events.jsonl")),
        }
    }

    /// Writes an event. A log that cannot be written costs the event.
    pub fn write(&self, kind: EventKind) {
        if let Some(log) = &self.log {
            let event = Event::new(SystemClock::default().now(), kind);
            let _ = rekindle_fsx::append(log, &event.to_line());
        }
    }

    /// Deals with placeholders whose bytes could not be put in their places, so that nothing can go on:
    /// of those whose bytes are gone cargo forgets the units, so that it builds them the next time. The
    /// exit code.
    pub fn lost(&self, errors: &[MaterialiseError], stderr: &mut dyn Write) -> i32 {
        for error in errors {
            let _ = writeln!(stderr, "error: {error}");
            if !error.is_lost() {
                continue;
            }
            let forgotten =
                lost::forget(error.path()).and_then(|()| lost::forget_others(error.path()));
            if let Err(error) = forgotten {
                let _ = writeln!(
                    stderr,
                    "error: what cargo knows of it could not be removed: {error}; run `cargo clean`"
                );
            }
            self.warn(PLACEHOLDER_LOST, error.to_string());
        }
        LOST_EXIT_CODE
    }

    /// Writes a warning.
    pub(crate) fn warn(&self, id: &str, message: String) {
        self.write(EventKind::Warning(WarningEvent {
            id: id.to_owned(),
            message,
        }));
    }
}

/// The event of a step of the package that cargo's variables name, of which nothing is known yet.
pub(crate) fn step(environment: &Environment, kind: &str, id: String) -> StepEvent {
    let variable = |name| {
        let value = environment.get(name).unwrap_or_default();
        value.to_string_lossy().into_owned()
    };
    let package = (variable("CARGO_PKG_NAME"), variable("CARGO_PKG_VERSION"));
    StepEvent::new(kind, package, id)
}

/// Where the names of what is seen of an invocation or a step begin.
pub(crate) fn vantage(roots: &Roots) -> Vantage {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Vantage {
        directory: text(&roots.absolute(Path::new(""))),
        roots: roots
            .iter()
            .map(|(root, path)| (root.name().to_owned(), text(path)))
            .collect(),
    }
}

/// Notes that a step was stored, or why it was not.
pub(crate) fn stored(event: &mut StepEvent, published: Result<Published, Refusal>) {
    match published {
        Ok(published) => {
            event.key = Some(published.key);
            event.bytes = published.bytes;
            event.path_bound = published.path_bound;
        }
        Err(refusal) => {
            event.fate = StepFate::Refused;
            event.refused = Some(refusal);
        }
    }
}
