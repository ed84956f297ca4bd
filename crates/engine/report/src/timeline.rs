//! When what happened in a run, and where its wall time went.
//!
//! Times are in microseconds since the command's begin. A log without phases (a plain cargo's) begins with
//! its first unit and ends with its last event.
//!
//! [`Timeline::parts`] accounts for the wall time: phases of the command follow each other without a gap;
//! within cargo's, each instant is divided equally among what runs then, by what each is doing. So the
//! parts add up to the wall, and `link` is the share of the wait that went into linking, however much
//! ran beside it.

mod account;
mod bars;
mod waits;

use rekindle_events::{Event, EventKind, MachineEvent, PhaseName, SamplesEvent};

pub use account::{Part, PartTime};
pub use bars::{Bar, Segment, What};

use crate::Summary;
use crate::since::Since;

/// A phase of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// Its begin.
    pub at_us: u64,
    /// Its length.
    pub time_us: u64,
}

/// A run, in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// What it came to.
    pub summary: Summary,
    /// The version of Rekindle that ran; empty where the log does not say.
    pub rekindle: String,
    /// The directory that it ran in; empty where the log does not say.
    pub directory: String,
    /// What it was imported from; `None` for a run of Rekindle's.
    pub imported_from: Option<String>,
    /// The command's begin: milliseconds since 1970.
    pub began_ms: u64,
    /// The whole time of the command, as far as it is recorded.
    pub wall_us: u64,
    /// The machine; `None` where the log does not say.
    pub machine: Option<MachineEvent>,
    /// The phases of the command, in order.
    pub phases: Vec<Phase>,
    /// Units and runs of build scripts, by their begin.
    pub bars: Vec<Bar>,
    /// The chain of bars that no number of cores makes shorter, first to last; empty where the log does not say
    /// what units were given.
    pub critical: Vec<usize>,
    /// How long it is.
    pub critical_us: u64,
    /// Where the wall time went, in the order of time; nothing that took no time.
    pub parts: Vec<PartTime>,
    /// What the machine did.
    pub samples: SamplesEvent,
    /// What it is compared with; put in by whoever knows other runs.
    pub since: Option<Since>,
}

impl Timeline {
    /// Folds the events of a run. `run` is the name of its directory.
    #[must_use]
    pub fn of_run(run: &str, events: &[Event]) -> Self {
        let mut timeline = Self {
            summary: Summary::of_run(run, events),
            ..Self::default()
        };
        for event in events {
            match &event.kind {
                EventKind::RunStarted(started) => {
                    timeline.rekindle.clone_from(&started.rekindle);
                    timeline.directory.clone_from(&started.cwd);
                }
                EventKind::Machine(machine) => timeline.machine = Some(machine.clone()),
                EventKind::Phase(phase) => timeline.phases.push(Phase {
                    name: phase.phase,
                    at_us: phase.at_us,
                    time_us: phase.time_us,
                }),
                EventKind::Imported(imported) => {
                    timeline.imported_from = Some(imported.from.clone());
                }
                EventKind::Samples(samples) => timeline.samples = samples.clone(),
                _ => {}
            }
        }
        timeline.phases.sort_by_key(|phase| phase.at_us);
        timeline.began_ms = match (&timeline.machine, timeline.summary.began) {
            (Some(machine), _) if machine.began_ms > 0 => machine.began_ms,
            (_, Some(began)) => began.0,
            _ => 0,
        };
        timeline.bars = bars::of_events(timeline.began_ms, events);
        (timeline.critical, timeline.critical_us) = waits::note(&mut timeline.bars, events);
        timeline.wall_us = timeline.measured_wall_us();
        timeline.parts = account::parts(&timeline.phases, &timeline.bars, timeline.wall_us);
        timeline
    }

    /// To the end of the last phase; without phases to the end of the last unit, or to what cargo took.
    fn measured_wall_us(&self) -> u64 {
        let phases = self.phases.iter();
        let of_phases = phases.map(|phase| phase.at_us.saturating_add(phase.time_us));
        of_phases.max().unwrap_or_else(|| {
            let bars = self.bars.iter().map(Bar::end_us).max().unwrap_or(0);
            bars.max(self.summary.wall_ms.saturating_mul(1000))
        })
    }

    /// The time of one part.
    #[must_use]
    pub fn part_us(&self, part: Part) -> u64 {
        let mut parts = self.parts.iter();
        parts.find(|of| of.part == part).map_or(0, |of| of.time_us)
    }

    /// What linking took of the wall, in per cent; `None` where there is no wall.
    #[must_use]
    pub fn link_share(&self) -> Option<f64> {
        share(self.part_us(Part::Link), self.wall_us)
    }

    /// What of the wall has a name, in per cent; `None` where there is no wall.
    #[must_use]
    pub fn accounted_share(&self) -> Option<f64> {
        let named = self.parts.iter().filter(|of| of.part != Part::Unnamed);
        share(named.map(|of| of.time_us).sum(), self.wall_us)
    }
}

/// A part of a whole in per cent.
#[allow(
    clippy::cast_precision_loss,
    reason = "a time in microseconds is far below 2^52"
)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests;
