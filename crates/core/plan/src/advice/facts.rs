//! What rules look at.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_events::{
    ChangeKind, Event, EventKind, Fate, MissReason, Refusal, StepEvent, StepFate, UnitEvent,
};

use crate::graph::Graph;

/// What is known of a run. [`Facts::of_events`] fills what the log says; the caller adds what is around it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The run's jobs.
    pub graph: Graph,
    /// cargo's subcommand; empty under a plain cargo.
    pub command: String,
    /// Wall time of cargo in milliseconds; 0 where the run did not end in order.
    pub wall_ms: u64,
    /// Cores that cargo could use; 0 where it is not known.
    pub cores: u32,
    /// Whether it ran under a CI service.
    pub is_ci: bool,
    /// Units restored from the store.
    pub hits: u64,
    /// Units compiled that a store could have served.
    pub misses: u64,
    /// Why units missed.
    pub causes: Causes,
    /// Build scripts that were run and not stored.
    pub refused: Vec<Refused>,
    /// Linkers that are installed here, by the names of [`crate::advice::rates::LINKERS`]. Of the caller.
    pub linkers_here: Vec<String>,
    /// An earlier run with another command in the same directory and with the same store. Of the caller.
    pub earlier: Option<Earlier>,
}

/// Why units missed, those apart that missed only because others did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// Nothing of their name was ever stored.
    pub never_seen: u64,
    /// It was stored and is gone: evicted, lost or damaged.
    pub gone: u64,
    /// The store did not answer.
    pub unavailable: u64,
    /// Compiled again because somebody asked for it.
    pub asked: u64,
    /// Missed only because a crate that they depend on did.
    pub followed: u64,
    /// Units by an input that changed, where that is one that a whole build shares: its kind and its name.
    pub shared_inputs: BTreeMap<(ChangeKind, String), u64>,
    /// Units of which sources changed.
    pub sources: u64,
}

/// A build script that was run and not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Package.
    pub package: String,
    /// Tells its runs apart: the job's id.
    pub id: String,
    /// Whether it asks cargo to be run each time, so that what depends on it is never fresh.
    pub always_runs: bool,
    /// Why it is not stored, as a sentence without subject.
    pub reason: String,
}

/// An earlier run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// cargo's subcommand.
    pub command: String,
    /// The ids of its units by package, version, crate and kind.
    pub units: BTreeMap<[String; 4], BTreeSet<String>>,
}

impl Earlier {
    /// What a run's log says.
    #[must_use]
    pub fn of_events(events: &[Event]) -> Self {
        let mut earlier = Self::default();
        for event in events {
            match &event.kind {
                EventKind::RunStarted(started) => earlier.command.clone_from(&started.command),
                EventKind::Unit(unit) => {
                    let name = [&unit.package, &unit.version, &unit.crate_name, &unit.kind];
                    let ids = earlier.units.entry(name.map(Clone::clone)).or_default();
                    ids.insert(unit.id.clone());
                }
                _ => {}
            }
        }
        earlier
    }
}

impl Facts {
    /// What a run's log says.
    #[must_use]
    pub fn of_events(events: &[Event]) -> Self {
        let mut facts = Self {
            graph: Graph::of_events(events),
            ..Self::default()
        };
        for event in events {
            match &event.kind {
                EventKind::RunStarted(started) => facts.command.clone_from(&started.command),
                EventKind::Machine(machine) => {
                    facts.cores = machine.cores;
                    facts.is_ci = machine.ci.is_some();
                }
                EventKind::Unit(unit) => facts.add_unit(unit),
                EventKind::Step(step) => facts.add_step(step),
                EventKind::RunFinished(finished) => facts.wall_ms = finished.wall_ms,
                _ => {}
            }
        }
        if facts.wall_ms == 0 {
            facts.wall_ms = facts.graph.span_us() / 1000;
        }
        facts
    }

    fn add_unit(&mut self, unit: &UnitEvent) {
        match unit.fate {
            Fate::Hit => self.hits += 1,
            Fate::Miss => {
                self.misses += 1;
                self.causes.add(unit.miss.as_ref());
            }
            Fate::Uncacheable => {}
        }
    }

    fn add_step(&mut self, step: &StepEvent) {
        if step.is_tool() || step.fate != StepFate::Refused {
            return;
        }
        if let Some(refusal) = &step.refused {
            self.refused.push(Refused {
                package: step.package.clone(),
                id: step.id.clone(),
                always_runs: matches!(refusal, Refusal::AlwaysRuns { .. }),
                reason: refusal.to_string(),
            });
        }
    }
}

impl Causes {
    fn add(&mut self, miss: Option<&MissReason>) {
        match miss {
            Some(MissReason::NeverSeen) => self.never_seen += 1,
            Some(
                MissReason::ObjectMissing { .. }
                | MissReason::ObjectCorrupt { .. }
                | MissReason::EntryCorrupt
                | MissReason::Evicted,
            ) => self.gone += 1,
            Some(MissReason::StoreUnavailable { .. } | MissReason::RestoreFailed { .. }) => {
                self.unavailable += 1;
            }
            Some(MissReason::Recache | MissReason::VerifyMismatch) => self.asked += 1,
            Some(MissReason::Changed { changes }) => {
                let kinds: BTreeSet<ChangeKind> =
                    changes.iter().map(|change| change.kind).collect();
                if kinds.iter().all(|kind| *kind == ChangeKind::Extern) {
                    self.followed += 1;
                    return;
                }
                let shared: BTreeSet<(ChangeKind, String)> = changes
                    .iter()
                    .filter(|change| is_shared(change.kind))
                    .map(|change| (change.kind, change.name.clone()))
                    .collect();
                for input in shared {
                    *self.shared_inputs.entry(input).or_default() += 1;
                }
                self.sources += u64::from(kinds.contains(&ChangeKind::Source));
            }
            None => {}
        }
    }

    /// The input that most units missed for, and how many.
    #[must_use]
    pub fn most_shared(&self) -> Option<(&(ChangeKind, String), u64)> {
        let inputs = self.shared_inputs.iter();
        inputs
            .map(|(input, units)| (input, *units))
            .max_by_key(|(_, units)| *units)
    }
}

/// Whether a kind of input is one that a whole build has in common, other than what a unit is made from.
const fn is_shared(kind: ChangeKind) -> bool {
    matches!(
        kind,
        ChangeKind::Compiler
            | ChangeKind::Argument
            | ChangeKind::Env
            | ChangeKind::Linker
            | ChangeKind::Directory
            | ChangeKind::Format
    )
}
