//! What is noted of the command itself: on which machine, in which phases, with what load.
//!
//! Phases follow each other without a gap, from the command's first line to its last, so that a report can
//! account for all of the time that a person waited.

use std::time::{Instant, SystemTime};

use rekindle::sampler::{Limits, Sampler};
use rekindle_base::{Clock, Moment, SystemClock};
use rekindle_events::{Event, EventKind, MachineEvent, PhaseEvent, PhaseName};

/// The command's begin, by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Began {
    at: Instant,
    ms: Moment,
}

impl Began {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            ms: Moment::from_system(SystemTime::now()),
        }
    }
}

/// What is noted while the command runs.
pub(super) struct Recording {
    began: Began,
    limits: Limits,
    sampler: Option<Sampler>,
    /// The end of the last phase.
    last_us: u64,
}

impl Recording {
    pub(super) fn start(began: Began) -> Self {
        let limits = Limits::of_process();
        Self {
            began,
            sampler: Sampler::start(&limits, began.at),
            limits,
            last_us: 0,
        }
    }

    /// What machine it is.
    pub(super) fn machine(&self, ci: Option<&'static str>) -> Event {
        now(EventKind::Machine(MachineEvent {
            began_ms: self.began.ms.0,
            cores: self.limits.cores,
            memory_bytes: self.limits.memory_bytes,
            limited: self.limits.limited,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            ci: ci.map(ToOwned::to_owned),
        }))
    }

    /// A phase ends, and with it begins the next.
    pub(super) fn ended(&mut self, phase: PhaseName) -> Event {
        let at_us = self.last_us;
        self.last_us = u64::try_from(self.began.at.elapsed().as_micros()).unwrap_or(u64::MAX);
        now(EventKind::Phase(PhaseEvent {
            phase,
            at_us,
            time_us: self.last_us.saturating_sub(at_us),
        }))
    }

    /// Ends the sampling.
    pub(super) fn samples(&mut self) -> Option<Event> {
        let samples = self.sampler.take()?.stop()?;
        Some(now(EventKind::Samples(samples)))
    }
}

fn now(kind: EventKind) -> Event {
    Event::new(SystemClock::default().now(), kind)
}
