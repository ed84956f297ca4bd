//! The events of a run: what `stats`, `explain` and reports know.
//!
//! A run's log is a file of lines, each one [`Event`] as JSON with the format's version in `v`.
//! Wrappers append whole lines, so a line that does not parse is one that a killed process or a full
//! disk cut short: [`read_log`] leaves it out and counts it. A reader meets newer versions by
//! leaving out what it does not know.

mod machine;
mod reason;
mod remote;
mod snapshot;
mod step;

use rekindle_base::{Digest, Moment};
use serde::{Deserialize, Serialize};

pub use machine::{
    ImportedEvent, MachineEvent, PhaseEvent, PhaseName, SamplesEvent, ScriptRanEvent,
};
pub use reason::{Change, ChangeKind, MissReason, UncacheableReason};
pub use remote::{RemotePulled, RemotePushed, RemoteUsed, StoreUsed};
pub use snapshot::{
    Collected, PackagesRestored, ProfileSkipped, SnapshotCaptured, SnapshotRestored, UnitLeft,
};
pub use step::{Refusal, StepEvent, StepFate, StepTimes, is_tool};

/// The version of the format that this code writes.
pub const VERSION: u32 = 1;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the format.
    pub v: u32,
    /// When it was written.
    pub at_ms: Moment,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A `rekindle` command began.
    RunStarted(RunStarted),
    /// Which machine it is on.
    Machine(MachineEvent),
    /// A wrapper dealt with one unit.
    Unit(Box<UnitEvent>),
    /// A launcher dealt with a build script's run, or with another step.
    Step(Box<StepEvent>),
    /// A wrapper answered one of cargo's questions to the compiler.
    Probe(ProbeEvent),
    /// Bytes were put in the place of placeholders, other than for a unit.
    Materialised(MaterialisedEvent),
    /// Something a person should know; the build went on.
    Warning(WarningEvent),
    /// Packages were restored before cargo.
    PackagesRestored(PackagesRestored),
    /// A snapshot was restored before cargo, or none was.
    SnapshotRestored(Box<SnapshotRestored>),
    /// The target became a snapshot after cargo.
    SnapshotCaptured(Box<SnapshotCaptured>),
    /// Before cargo: a remote was asked for a save.
    RemotePulled(RemotePulled),
    /// After cargo: a save went to a remote.
    RemotePushed(RemotePushed),
    /// What the run asked of a remote, all in all.
    RemoteUsed(RemoteUsed),
    /// What a person collects was made real after cargo.
    Collected(Collected),
    /// A build script ran that no launcher dealt with.
    ScriptRan(ScriptRanEvent),
    /// A phase of the command ended.
    Phase(PhaseEvent),
    /// What the machine did meanwhile.
    Samples(SamplesEvent),
    /// Another tool recorded the run.
    Imported(ImportedEvent),
    /// A `rekindle` command ended.
    RunFinished(RunFinished),
}

/// A `rekindle` command began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Name of the run: also of its directory.
    pub run: String,
    /// cargo's subcommand, as in `build`. Arguments are not kept: they may hold secrets.
    pub command: String,
    /// Directory it ran in.
    pub cwd: String,
    /// Rekindle's version.
    pub rekindle: String,
}

/// A `rekindle` command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFinished {
    /// cargo's exit code, or 128 and the number of the signal that ended it.
    pub exit_code: i32,
    /// Wall time of cargo, in milliseconds.
    pub wall_ms: u64,
    /// Units that cargo found fresh; `None` where its output does not tell.
    pub fresh: Option<u64>,
    /// Build scripts that ran.
    pub build_scripts: u64,
    /// Time inside them, in milliseconds, added up.
    pub build_scripts_ms: u64,
}

/// What became of a unit. Fresh units never reach a wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Restored from the store.
    Hit,
    /// Compiled, and published for the next time where that was possible.
    Miss,
    /// Compiled, for a reason that no store can help.
    Uncacheable,
}

/// Times of one unit, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitTimes {
    /// Start of the wrapper to its end.
    pub total_us: u64,
    /// Finding out whether the store has it.
    pub lookup_us: u64,
    /// Placing outputs.
    pub restore_us: u64,
    /// From the wrapper's start to the compiler's: look-up and placeholders come before it. 0 where
    /// no compiler was started, and in logs that do not say.
    pub compile_at_us: u64,
    /// The compiler's run, linking included.
    pub compile_us: u64,
    /// Of that, what came after metadata was ready; 0 where none was announced.
    pub codegen_us: u64,
    /// Of that, linking.
    pub link_us: u64,
    /// Storing outputs.
    pub publish_us: u64,
    /// Putting bytes in the place of placeholders.
    pub materialise_us: u64,
    /// Of restoring and of placeholders, waiting for a remote.
    pub remote_us: u64,
    /// CPU time of the wrapper itself, children apart.
    pub wrapper_cpu_us: u64,
}

/// The options of a compile that its time depends on most, as rustc's `-C` has them; `None` where the
/// command line does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitOptions {
    /// As in `0`, `3` or `s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_level: Option<String>,
    /// Debug information, as in `2` or `line-tables-only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<String>,
    /// Where debug information goes, as in `unpacked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_debug: Option<String>,
    /// Link-time optimisation over all crates: `fat` or `thin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lto: Option<String>,
    /// Codegen units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codegen_units: Option<u32>,
}

impl UnitOptions {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the names of what was seen to be read begin: they are relative to roots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vantage {
    /// The directory that was run in.
    pub directory: String,
    /// Roots by their names, as in `{workspace}`.
    pub roots: std::collections::BTreeMap<String, String>,
}

/// A linker that leaves no name in what it links, as events have it.
pub const GNU_LD: &str = "GNU ld (it leaves no mark)";

/// A wrapper dealt with one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitEvent {
    /// Package, as in `serde`.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Crate, as in `build_script_build`.
    pub crate_name: String,
    /// Kind of unit: a crate type, or `test`, `check`, `build-script`.
    pub kind: String,
    /// Tells units of one name apart: cargo's `-C extra-filename`, without the dash.
    pub id: String,
    /// What became of it.
    pub fate: Fate,
    /// Why it missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<MissReason>,
    /// Why no store can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncacheable: Option<UncacheableReason>,
    /// Digest of the whole manifest: the key of the action entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// File names of the outputs: `explain` and unit graphs follow them.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// File names of the crates that it was given on its command line, in that order. `.rmeta` means that
    /// their metadata was enough to start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub externs: Vec<String>,
    /// The run of its package's build script that it was given the directory of, as the `id` of that
    /// [`StepEvent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// What its profile came to: the options on which its time depends most.
    #[serde(default, skip_serializing_if = "UnitOptions::is_default")]
    pub options: UnitOptions,
    /// Whether the code of everything behind it goes into its output: a program, a test, a macro.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub links: bool,
    /// Whether the outputs hold a real path, or were made of a variable that does: only the same directory can hit.
    #[serde(default)]
    pub path_bound: bool,
    /// Whether that is the path of cargo's home alone: any directory with the same home can hit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bound_to_home: bool,
    /// Whether it was made from something that nobody declared, which cargo does not watch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undeclared: bool,
    /// Where the names of that begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
    /// The directory below `incremental` that the compile wrote its state to, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<String>,
    /// Whether the compile wrote no incremental state though cargo asked for it: that of the unit's
    /// predecessors never paid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_state: bool,
    /// Times.
    pub times: UnitTimes,
    /// Bytes placed or published.
    #[serde(default)]
    pub bytes: u64,
    /// Placeholders that became real for it: what the compiler was about to read, and for a build script
    /// what that is.
    #[serde(default)]
    pub materialised: u64,
    /// Bytes in them.
    #[serde(default)]
    pub materialised_bytes: u64,
    /// On a hit, the compiler's time when the entry was made, in microseconds.
    #[serde(default)]
    pub saved_us: u64,
    /// Compilers started.
    #[serde(default)]
    pub rustc: u32,
    /// Linkers started.
    #[serde(default)]
    pub linkers: u32,
    /// The linker that made a linked output, as the output itself says; [`GNU_LD`] where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linker: Option<String>,
    /// Under `REKINDLE_VERIFY=1`: whether a fresh compile gave the same bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// Where the compiler was observed: whether all was seen. Else the unit is stored under what it
    /// declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<bool>,
    /// The compiler's exit code.
    #[serde(default)]
    pub exit_code: i32,
}

/// A wrapper answered one of cargo's questions to the compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeEvent {
    /// Whether the answer came from a memo, so that no compiler started.
    pub from_memo: bool,
}

/// Bytes were put in the place of placeholders, other than for a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterialisedEvent {
    /// File name of the program that was about to read them: a build script, a test, `rustdoc`.
    pub reader: String,
    /// How many.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Time that it took, in microseconds.
    pub time_us: u64,
}

/// Something a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningEvent {
    /// What kind, as in `store-unwritable`: summaries show one of each.
    pub id: String,
    /// One sentence, with the thing, the reason and the next step.
    pub message: String,
}

impl UnitEvent {
    /// A unit of which nothing is known yet but what became of it.
    #[must_use]
    pub fn new(fate: Fate) -> Self {
        Self {
            package: String::new(),
            version: String::new(),
            crate_name: String::new(),
            kind: String::new(),
            id: String::new(),
            fate,
            miss: None,
            uncacheable: None,
            key: None,
            outputs: Vec::new(),
            externs: Vec::new(),
            script: None,
            options: UnitOptions::default(),
            links: false,
            path_bound: false,
            bound_to_home: false,
            undeclared: false,
            vantage: None,
            incremental: None,
            without_state: false,
            times: UnitTimes::default(),
            bytes: 0,
            materialised: 0,
            materialised_bytes: 0,
            saved_us: 0,
            rustc: 0,
            linkers: 0,
            linker: None,
            verified: None,
            observed: None,
            exit_code: 0,
        }
    }
}

impl Event {
    /// An event of this version.
    #[must_use]
    pub fn new(at_ms: Moment, kind: EventKind) -> Self {
        Self {
            v: VERSION,
            at_ms,
            kind,
        }
    }

    /// The line that is appended to a log, its end included.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        // The types hold nothing that JSON cannot: maps with text keys, numbers, text.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// A log, read.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The events, in the order in which they were written.
    pub events: Vec<Event>,
    /// Lines that could not be read: cut short, or from a newer version.
    pub unread_lines: usize,
}

/// Reads a log.
#[must_use]
pub fn read_log(bytes: &[u8]) -> Log {
    let mut log = Log::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Event>(line) {
            Ok(event) => log.events.push(event),
            Err(_) => log.unread_lines += 1,
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_costs_only_itself() {
        let event = Event::new(
            Moment(7),
            EventKind::Warning(WarningEvent {
                id: "x".into(),
                message: "y".into(),
            }),
        );
        let mut bytes = event.to_line();
        let whole = bytes.len();
        bytes.extend(event.to_line());
        bytes.truncate(whole + 10);
        bytes.push(b'\n');
        bytes.extend(event.to_line());
        let log = read_log(&bytes);
        assert_eq!(log.events, [event.clone(), event]);
        assert_eq!(log.unread_lines, 1);
    }

    /// All fields of an event stand in one object: a name that two have would make its line unreadable.
    #[test]
    fn what_is_written_is_read_again() {
        let kinds = [
            EventKind::Machine(MachineEvent::default()),
            EventKind::Phase(PhaseEvent {
                phase: PhaseName::Capture,
                at_us: 1,
                time_us: 2,
            }),
            EventKind::Samples(SamplesEvent {
                taken_ms: vec![1],
                cpu_milli: vec![2],
                memory_mib: vec![3],
            }),
            EventKind::ScriptRan(ScriptRanEvent {
                package: "p".into(),
                id: "i".into(),
                began_ms: 1,
                time_ms: 2,
            }),
            EventKind::Imported(ImportedEvent {
                from: "x".into(),
                ..ImportedEvent::default()
            }),
            EventKind::Collected(Collected::default()),
            EventKind::PackagesRestored(PackagesRestored::default()),
            EventKind::SnapshotRestored(Box::default()),
            EventKind::SnapshotCaptured(Box::default()),
        ];
        let events: Vec<Event> = kinds.map(|kind| Event::new(Moment(7), kind)).into();
        let lines: Vec<u8> = events.iter().flat_map(Event::to_line).collect();
        let log = read_log(&lines);
        assert_eq!(log.unread_lines, 0);
        assert_eq!(log.events, events);
    }

    #[test]
    fn the_line_format_is_fixed() {
        let event = Event::new(Moment(1), EventKind::Probe(ProbeEvent { from_memo: true }));
        assert_eq!(
            String::from_utf8(event.to_line()).unwrap(),
            "{\"v\":1,\"at_ms\":1,\"event\":\"probe\",\"from_memo\":true}\n"
        );
    }
}
