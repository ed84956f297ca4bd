//! Units and runs of build scripts, each with the parts of its time.

use rekindle_events::{
    Event, EventKind, Fate, ScriptRanEvent, StepEvent, StepFate, UnitEvent, UnitTimes,
};

use super::Part;
use crate::summary::tag;

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A unit, with what became of it.
    Unit(Fate),
    /// A build script's run, with what became of it; `None` where no launcher dealt with it.
    Script(Option<StepFate>),
}

/// A part of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What was done.
    pub part: Part,
    /// Its begin, since that of the bar.
    pub at_us: u64,
    /// Its length.
    pub time_us: u64,
}

/// A unit, or a build script's run.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Which of them.
    pub what: What,
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Crate; empty for a script's run.
    pub crate_name: String,
    /// Kind of unit; `run-build-script` for a script's run.
    pub kind: String,
    /// Tells bars of one name and kind apart.
    pub id: String,
    /// Its begin, since that of the command.
    pub at_us: u64,
    /// Its length.
    pub time_us: u64,
    /// When all that it was given was there: it waited from then on. Never after its begin.
    pub ready_us: u64,
    /// Its parts, in order, without gaps.
    pub segments: Vec<Segment>,
    /// The type of the reason that it was compiled or run for; none on a hit.
    pub reason: Option<String>,
    /// That reason in a sentence.
    pub message: Option<String>,
    /// Bytes placed or stored.
    pub bytes: u64,
    /// On a hit, what it took when it was stored.
    pub saved_us: u64,
    /// The linker that made its output.
    pub linker: Option<String>,
    /// Its exit code.
    pub exit_code: i32,
}

/// The kind of a build script's run.
const SCRIPT_RUN: &str = "run-build-script";

impl Bar {
    /// Its end, since the begin of the command.
    #[must_use]
    pub fn end_us(&self) -> u64 {
        self.at_us.saturating_add(self.time_us)
    }

    /// The time of one part.
    #[must_use]
    pub fn part_us(&self, part: Part) -> u64 {
        let parts = self.segments.iter().filter(|of| of.part == part);
        parts.map(|of| of.time_us).sum()
    }

    /// Its name for people, as in `serde 1.0.228` or `app 0.1.0 (test it)`.
    #[must_use]
    pub fn name(&self) -> String {
        let plain = self.package.replace('-', "_");
        let what = match self.kind.as_str() {
            SCRIPT_RUN => " build script run".to_owned(),
            "build-script" => " build script".to_owned(),
            "lib" | "rlib" if self.crate_name == plain => String::new(),
            kind if self.crate_name == plain || self.crate_name.is_empty() => format!(" ({kind})"),
            kind => format!(" ({kind} {})", self.crate_name),
        };
        let space = if self.version.is_empty() { "" } else { " " };
        format!("{}{space}{}{what}", self.package, self.version)
    }
}

/// All of them, by their begin.
pub(super) fn of_events(began_ms: u64, events: &[Event]) -> Vec<Bar> {
    let mut bars: Vec<Bar> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Unit(unit) => {
                let at_us = begin_us(began_ms, event.at_ms.0, unit.times.total_us);
                Some(of_unit(at_us, unit))
            }
            EventKind::Step(step) if !step.is_tool() => {
                let at_us = begin_us(began_ms, event.at_ms.0, step.times.total_us);
                Some(of_step(at_us, step))
            }
            EventKind::ScriptRan(ran) => Some(of_script(began_ms, ran)),
            _ => None,
        })
        .collect();
    bars.sort_by_key(|bar| (bar.at_us, bar.end_us()));
    bars
}

/// An event is written at the end of what it tells of.
fn begin_us(began_ms: u64, written_ms: u64, total_us: u64) -> u64 {
    let written_us = written_ms.saturating_sub(began_ms).saturating_mul(1000);
    written_us.saturating_sub(total_us)
}

/// Puts parts one after the other, each not before its time and none beyond the end; what is between
/// them has no name.
struct Laid {
    segments: Vec<Segment>,
    end_us: u64,
    total_us: u64,
}

impl Laid {
    fn new(total_us: u64) -> Self {
        Self {
            segments: Vec::new(),
            end_us: 0,
            total_us,
        }
    }

    /// A part that begins where the last one ended.
    fn next(&mut self, part: Part, time_us: u64) {
        let time_us = time_us.min(self.total_us.saturating_sub(self.end_us));
        if time_us > 0 {
            self.segments.push(Segment {
                part,
                at_us: self.end_us,
                time_us,
            });
            self.end_us += time_us;
        }
    }

    /// Of work that takes so long the part that is waiting for a remote, first; what is left of it.
    fn after_waiting(&mut self, remote_us: u64, work_us: u64) -> u64 {
        let waited_us = remote_us.min(work_us);
        self.next(Part::RemoteWait, waited_us);
        work_us - waited_us
    }

    /// Nothing with a name until then.
    fn until(&mut self, at_us: u64) {
        self.next(Part::Unnamed, at_us.saturating_sub(self.end_us));
    }

    fn end(mut self) -> Vec<Segment> {
        self.until(self.total_us);
        self.segments
    }
}

fn of_unit(at_us: u64, unit: &UnitEvent) -> Bar {
    let reason = unit.uncacheable.as_ref().and_then(tag);
    let message = unit.uncacheable.as_ref().map(ToString::to_string);
    Bar {
        what: What::Unit(unit.fate),
        package: unit.package.clone(),
        version: unit.version.clone(),
        crate_name: unit.crate_name.clone(),
        kind: unit.kind.clone(),
        id: unit.id.clone(),
        at_us,
        time_us: unit.times.total_us,
        ready_us: at_us,
        segments: unit_segments(&unit.times, unit.fate),
        reason: reason.or_else(|| unit.miss.as_ref().and_then(tag)),
        message: message.or_else(|| unit.miss.as_ref().map(ToString::to_string)),
        bytes: unit.bytes,
        saved_us: unit.saved_us,
        linker: unit.linker.clone(),
        exit_code: unit.exit_code,
    }
}

fn unit_segments(times: &UnitTimes, fate: Fate) -> Vec<Segment> {
    let mut laid = Laid::new(times.total_us);
    laid.next(Part::Lookup, times.lookup_us);
    if fate == Fate::Hit {
        let left_us = laid.after_waiting(times.remote_us, times.restore_us);
        laid.next(Part::RestoreUnit, left_us);
        laid.next(Part::Materialise, times.materialise_us);
        return laid.end();
    }
    // Logs that do not say it: storing is the last that is done.
    let compile_at_us = match times.compile_at_us {
        0 => times
            .total_us
            .saturating_sub(times.publish_us.saturating_add(times.compile_us)),
        at_us => at_us,
    };
    let before_us = compile_at_us.saturating_sub(times.lookup_us);
    let fill_us = times.materialise_us.min(before_us);
    let left_us = laid.after_waiting(times.remote_us, fill_us);
    laid.next(Part::Materialise, left_us);
    laid.until(compile_at_us);
    let link_us = times.link_us.min(times.compile_us);
    if times.codegen_us > 0 {
        let codegen_us = times.codegen_us.min(times.compile_us);
        laid.next(Part::Frontend, times.compile_us - codegen_us);
        laid.next(Part::Codegen, codegen_us.saturating_sub(link_us));
    } else {
        laid.next(Part::Compile, times.compile_us - link_us);
    }
    laid.next(Part::Link, link_us);
    laid.next(Part::Publish, times.publish_us);
    // A build script's program: what the script is going to read.
    laid.next(
        Part::Materialise,
        times.materialise_us.saturating_sub(before_us),
    );
    laid.end()
}

fn of_step(at_us: u64, step: &StepEvent) -> Bar {
    let refused = step.refused.as_ref();
    let miss = step.miss.as_ref();
    let times = &step.times;
    let mut laid = Laid::new(times.total_us);
    laid.next(Part::Lookup, times.lookup_us);
    if step.fate == StepFate::Hit {
        let left_us = laid.after_waiting(times.remote_us, times.restore_us);
        laid.next(Part::RestoreUnit, left_us);
    } else {
        let behind_us = times.publish_us.saturating_add(times.run_us);
        let run_at_us = times.total_us.saturating_sub(behind_us);
        laid.next(Part::Materialise, run_at_us.saturating_sub(times.lookup_us));
        laid.next(Part::Script, times.run_us);
        laid.next(Part::Publish, times.publish_us);
    }
    Bar {
        what: What::Script(Some(step.fate)),
        package: step.package.clone(),
        version: step.version.clone(),
        crate_name: String::new(),
        kind: if step.kind == "build-script" {
            SCRIPT_RUN.to_owned()
        } else {
            step.kind.clone()
        },
        id: step.id.clone(),
        at_us,
        time_us: times.total_us,
        ready_us: at_us,
        segments: laid.end(),
        reason: refused.and_then(tag).or_else(|| miss.and_then(tag)),
        message: refused
            .map(ToString::to_string)
            .or_else(|| miss.map(ToString::to_string)),
        bytes: step.bytes,
        saved_us: step.saved_us,
        linker: None,
        exit_code: step.exit_code,
    }
}

fn of_script(began_ms: u64, ran: &ScriptRanEvent) -> Bar {
    let time_us = ran.time_ms.saturating_mul(1000);
    let mut laid = Laid::new(time_us);
    laid.next(Part::Script, time_us);
    let at_us = ran.began_ms.saturating_sub(began_ms).saturating_mul(1000);
    Bar {
        what: What::Script(None),
        package: ran.package.clone(),
        version: String::new(),
        crate_name: String::new(),
        kind: SCRIPT_RUN.to_owned(),
        id: ran.id.clone(),
        at_us,
        time_us,
        ready_us: at_us,
        segments: laid.end(),
        reason: None,
        message: None,
        bytes: 0,
        saved_us: 0,
        linker: None,
        exit_code: 0,
    }
}
