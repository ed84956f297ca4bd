//! What a run came to.

use std::collections::BTreeMap;

use rekindle_base::Moment;
use rekindle_events::{Event, EventKind, Fate, StepEvent, StepFate, UnitEvent, WarningEvent};
use serde::Serialize;

use crate::remotes::Remotes;
use crate::snapshots::Snapshots;

/// Hits that `REKINDLE_VERIFY=1` compiled again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// With the same bits.
    pub same: u64,
    /// With other bits.
    pub different: u64,
}

/// What one run, or several added up, came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Name of the run; `None` for several.
    pub run: Option<String>,
    /// cargo's subcommand; `None` under a plain cargo, and for several runs.
    pub command: Option<String>,
    /// When it began.
    pub began: Option<Moment>,
    /// cargo's exit code; `None` under a plain cargo, or where the run did not end in order.
    pub exit_code: Option<i32>,
    /// How many runs this adds up.
    pub runs: u64,
    /// Wall time in milliseconds; without an end of the run, first to last event.
    pub wall_ms: u64,
    /// Units that cargo found fresh, where its output told.
    pub fresh: Option<u64>,
    /// Units restored from the store.
    pub hits: u64,
    /// Units compiled that a store could have served.
    pub misses: u64,
    /// Units compiled that no store can serve.
    pub uncacheable: u64,
    /// Compilers started, for units and for cargo's questions.
    pub rustc_processes: u64,
    /// Linkers started.
    pub linker_processes: u64,
    /// Build scripts that were started.
    pub build_scripts: u64,
    /// Build scripts that were replayed from the store.
    pub replayed_scripts: u64,
    /// Build scripts that were started and not stored.
    pub refused_scripts: u64,
    /// C compilers and archivers that build scripts started, to compile or to make an archive.
    pub started_tools: u64,
    /// Compiles and archives of build scripts that were restored from the store.
    pub reused_tools: u64,
    /// Compiles and archives that were made and not stored.
    pub refused_tools: u64,
    /// Time inside build scripts in milliseconds, added up.
    pub build_scripts_ms: u64,
    /// Time inside compilers in microseconds, linking included, added up.
    pub compile_us: u64,
    /// Time inside linkers in microseconds, added up.
    pub link_us: u64,
    /// What compilers took when the restored units were stored, in microseconds, added up.
    pub saved_us: u64,
    /// Bytes placed on hits.
    pub restored_bytes: u64,
    /// Bytes stored on misses.
    pub published_bytes: u64,
    /// Bytes put in the place of placeholders.
    pub materialised_bytes: u64,
    /// How many placeholders these were.
    pub materialised_files: u64,
    /// Units by the typed reason that they were compiled for.
    pub reasons: BTreeMap<String, u64>,
    /// Runs of scripts and of C compilers by the typed reason that they were not stored for.
    pub refusals: BTreeMap<String, u64>,
    /// Linked units by the linker that the output names.
    pub linkers: BTreeMap<String, u64>,
    /// Hits compared with a fresh compile.
    pub verified: Verified,
    /// What became of snapshots.
    pub snapshot: Snapshots,
    /// What became of remotes.
    pub remote: Remotes,
    /// Warnings, the first of each kind.
    pub warnings: Vec<WarningEvent>,
}

impl Summary {
    /// Folds the events of one run. `run` is the name of its directory: the run of a plain cargo
    /// has no event that says it.
    #[must_use]
    pub fn of_run(run: &str, events: &[Event]) -> Self {
        let mut summary = Self {
            run: Some(run.to_owned()),
            runs: 1,
            began: events.iter().map(began).min(),
            ..Self::default()
        };
        for event in events {
            match &event.kind {
                EventKind::RunStarted(started) => summary.command = Some(started.command.clone()),
                EventKind::Unit(unit) => summary.add_unit(unit),
                EventKind::Step(step) => summary.add_step(step),
                EventKind::Probe(probe) => {
                    summary.rustc_processes += u64::from(!probe.from_memo);
                }
                EventKind::Materialised(done) => {
                    summary.materialised_bytes += done.bytes;
                    summary.materialised_files += done.files;
                }
                EventKind::Warning(warning) => summary.add_warning(warning),
                EventKind::PackagesRestored(restored) => summary.snapshot.add_packages(restored),
                EventKind::SnapshotRestored(restored) => summary.snapshot.add_restored(restored),
                EventKind::SnapshotCaptured(captured) => summary.snapshot.add_captured(captured),
                EventKind::RemotePulled(pulled) => summary.remote.add_pulled(pulled),
                EventKind::RemotePushed(pushed) => summary.remote.add_pushed(pushed),
                EventKind::RemoteUsed(used) => summary.remote.add_used(used),
                EventKind::Collected(collected) => {
                    summary.materialised_bytes += collected.bytes;
                    summary.materialised_files += collected.files;
                }
                EventKind::Imported(imported) => {
                    summary.hits += imported.hits;
                    summary.misses += imported.misses;
                    summary.uncacheable += imported.uncacheable;
                    summary.compile_us += imported.compile_us;
                    add_counts(&mut summary.reasons, &imported.reasons);
                }
                EventKind::Machine(_)
                | EventKind::ScriptRan(_)
                | EventKind::Phase(_)
                | EventKind::Samples(_) => {}
                EventKind::RunFinished(finished) => {
                    summary.exit_code = Some(finished.exit_code);
                    summary.wall_ms = finished.wall_ms;
                    summary.fresh = finished.fresh;
                    summary.build_scripts = finished.build_scripts;
                    summary.build_scripts_ms = finished.build_scripts_ms;
                }
            }
        }
        if summary.exit_code.is_none() {
            summary.wall_ms = span_ms(summary.began, events);
        }
        summary
    }

    /// Adds the figures of another run; names are dropped.
    pub fn add(&mut self, other: &Self) {
        self.run = None;
        self.command = None;
        self.exit_code = None;
        self.began = match (self.began, other.began) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.fresh = match (self.fresh, other.fresh) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.runs += other.runs;
        self.wall_ms += other.wall_ms;
        self.hits += other.hits;
        self.misses += other.misses;
        self.uncacheable += other.uncacheable;
        self.rustc_processes += other.rustc_processes;
        self.linker_processes += other.linker_processes;
        self.build_scripts += other.build_scripts;
        self.build_scripts_ms += other.build_scripts_ms;
        self.replayed_scripts += other.replayed_scripts;
        self.refused_scripts += other.refused_scripts;
        self.started_tools += other.started_tools;
        self.reused_tools += other.reused_tools;
        self.refused_tools += other.refused_tools;
        self.compile_us += other.compile_us;
        self.link_us += other.link_us;
        self.saved_us += other.saved_us;
        self.restored_bytes += other.restored_bytes;
        self.published_bytes += other.published_bytes;
        self.snapshot.add(&other.snapshot);
        self.remote.add(&other.remote);
        self.materialised_bytes += other.materialised_bytes;
        self.materialised_files += other.materialised_files;
        self.verified.same += other.verified.same;
        self.verified.different += other.verified.different;
        add_counts(&mut self.reasons, &other.reasons);
        add_counts(&mut self.refusals, &other.refusals);
        add_counts(&mut self.linkers, &other.linkers);
        for warning in &other.warnings {
            self.add_warning(warning);
        }
    }

    /// Units that reached a wrapper.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.hits + self.misses + self.uncacheable
    }

    /// Hits among the units that a store can serve, in per cent.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let cacheable = self.hits + self.misses;
        #[allow(clippy::cast_precision_loss, reason = "units are few")]
        (cacheable > 0).then(|| self.hits as f64 * 100.0 / cacheable as f64)
    }

    /// Adds a warning unless there is one of its kind.
    pub fn add_warning(&mut self, warning: &WarningEvent) {
        if !self.warnings.iter().any(|known| known.id == warning.id) {
            self.warnings.push(warning.clone());
        }
    }

    fn add_step(&mut self, step: &StepEvent) {
        let is_tool = step.is_tool();
        self.started_tools += u64::from(is_tool && step.fate != StepFate::Hit);
        match step.fate {
            StepFate::Hit => {
                *if is_tool {
                    &mut self.reused_tools
                } else {
                    &mut self.replayed_scripts
                } += 1;
                self.saved_us += step.saved_us;
                self.restored_bytes += step.bytes;
            }
            StepFate::Miss => self.published_bytes += step.bytes,
            StepFate::Refused if is_tool => self.refused_tools += 1,
            StepFate::Refused => self.refused_scripts += 1,
        }
        if let Some(reason) = step.refused.as_ref().and_then(tag) {
            *self.refusals.entry(reason).or_default() += 1;
        }
    }

    fn add_unit(&mut self, unit: &UnitEvent) {
        self.rustc_processes += u64::from(unit.rustc);
        self.linker_processes += u64::from(unit.linkers);
        self.compile_us += unit.times.compile_us;
        self.link_us += unit.times.link_us;
        self.materialised_bytes += unit.materialised_bytes;
        self.materialised_files += unit.materialised;
        match unit.fate {
            Fate::Hit => {
                self.hits += 1;
                self.saved_us += unit.saved_us;
                self.restored_bytes += unit.bytes;
            }
            Fate::Miss => {
                self.misses += 1;
                self.published_bytes += unit.bytes;
            }
            Fate::Uncacheable => self.uncacheable += 1,
        }
        let reasons = [
            unit.miss.as_ref().and_then(tag),
            unit.uncacheable.as_ref().and_then(tag),
        ];
        for reason in reasons.into_iter().flatten() {
            *self.reasons.entry(reason).or_default() += 1;
        }
        if let Some(linker) = &unit.linker {
            *self.linkers.entry(linker.clone()).or_default() += 1;
        }
        match unit.verified {
            Some(true) => self.verified.same += 1,
            Some(false) => self.verified.different += 1,
            None => {}
        }
    }
}

fn add_counts(counts: &mut BTreeMap<String, u64>, others: &BTreeMap<String, u64>) {
    for (name, count) in others {
        *counts.entry(name.clone()).or_default() += count;
    }
}

/// The name that a typed reason has in the log, so that both say the same.
pub(crate) fn tag<T: Serialize>(reason: &T) -> Option<String> {
    let value = serde_json::to_value(reason).ok()?;
    Some(value.get("reason")?.as_str()?.to_owned())
}

/// When what an event tells of began: a unit's is written at its end.
fn began(event: &Event) -> Moment {
    match &event.kind {
        EventKind::Unit(unit) => Moment(event.at_ms.0.saturating_sub(unit.times.total_us / 1000)),
        _ => event.at_ms,
    }
}

fn span_ms(began: Option<Moment>, events: &[Event]) -> u64 {
    let last = events.iter().map(|event| event.at_ms).max();
    match (began, last) {
        (Some(first), Some(last)) => last.0.saturating_sub(first.0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finished, hit, log, missed, never_seen, probe, started, step};

    #[test]
    fn a_run_adds_up() {
        let mut hit = hit("serde");
        hit.saved_us = 2_000_000;
        hit.bytes = 10;
        hit.verified = Some(true);
        let mut miss = missed("app", never_seen());
        miss.bytes = 5;
        miss.rustc = 1;
        miss.linkers = 1;
        miss.linker = Some("lld".into());
        let events = log(vec![
            started("r"),
            probe(true),
            probe(false),
            EventKind::Unit(hit),
            EventKind::Unit(miss),
            finished(Some(3)),
        ]);
        let summary = Summary::of_run("r", &events);
        assert_eq!((summary.hits, summary.misses), (1, 1));
        assert_eq!(summary.fresh, Some(3));
        assert_eq!(summary.rustc_processes, 2);
        assert_eq!(summary.linker_processes, 1);
        assert_eq!(summary.saved_us, 2_000_000);
        assert_eq!((summary.restored_bytes, summary.published_bytes), (10, 5));
        assert_eq!(summary.reasons["never_seen"], 1);
        assert_eq!(summary.linkers["lld"], 1);
        assert_eq!(summary.verified.same, 1);
        assert_eq!(summary.hit_rate(), Some(50.0));
    }

    #[test]
    fn compilers_are_not_counted_as_build_scripts() {
        let tool = |kind: &str, fate| {
            let mut step = step("z", fate);
            step.kind = kind.into();
            EventKind::Step(step)
        };
        let summary = Summary::of_run(
            "r",
            &log(vec![
                tool("cc", StepFate::Hit),
                tool("cc", StepFate::Miss),
                tool("ar", StepFate::Refused),
                tool("build-script", StepFate::Hit),
            ]),
        );
        assert_eq!((summary.reused_tools, summary.started_tools), (1, 2));
        assert_eq!((summary.refused_tools, summary.refused_scripts), (1, 0));
        assert_eq!(summary.replayed_scripts, 1);
        let mut sum = summary.clone();
        sum.add(&summary);
        assert_eq!(
            (sum.reused_tools, sum.started_tools, sum.refused_tools),
            (2, 4, 2)
        );
    }

    #[test]
    fn a_plain_cargo_has_times_from_its_events() {
        let mut first = hit("a");
        first.times.total_us = 500_000;
        let events = log(vec![EventKind::Unit(first), EventKind::Unit(hit("b"))]);
        let summary = Summary::of_run("r", &events);
        // The fixture's events are one second apart, the first of them at 1 s.
        assert_eq!(summary.began, Some(Moment(500)));
        assert_eq!(summary.wall_ms, 1_500);
        assert_eq!(summary.fresh, None);
        assert_eq!(summary.exit_code, None);
    }

    #[test]
    fn several_runs_add_up() {
        let one = Summary::of_run(
            "a",
            &log(vec![
                started("a"),
                EventKind::Unit(hit("x")),
                finished(Some(2)),
            ]),
        );
        let two = Summary::of_run(
            "b",
            &log(vec![
                started("b"),
                EventKind::Unit(hit("y")),
                finished(None),
            ]),
        );
        let mut all = one;
        all.add(&two);
        assert_eq!((all.runs, all.hits, all.fresh), (2, 2, Some(2)));
        assert_eq!(all.run, None);
    }
}
