//! Where the time of a command went around its units, and what the machine did meanwhile.

use rekindle_base::Moment;
use serde::{Deserialize, Serialize};

/// The machine that a run is on. Times of phases and samples count from `began_ms`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineEvent {
    /// When the command began: milliseconds since 1970.
    pub began_ms: u64,
    /// Processors that the command may use, limits of a container included.
    pub cores: u32,
    /// Memory that it may use, in bytes, limits of a container included; 0 where it is not known.
    pub memory_bytes: u64,
    /// Whether samples are of a control group that has a limit; else of the whole machine.
    pub limited: bool,
    /// As in `linux` and `x86_64`.
    pub system: String,
    /// The CI service, as in `github`; none on a machine of a person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<String>,
}

impl MachineEvent {
    /// When the command began.
    #[must_use]
    pub fn began(&self) -> Moment {
        Moment(self.began_ms)
    }
}

/// A part of the command, between which there is nothing: together they are its whole time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// Settings read, where cargo builds found out, the run's directory made.
    Prepare,
    /// A remote asked for a save, and its records taken in.
    Pull,
    /// Snapshot and packages restored.
    Restore,
    /// cargo, from its start to its end.
    Cargo,
    /// What people collect made real.
    Collect,
    /// The target captured.
    Capture,
    /// What was made saved to a remote, for as long as the command waits for that.
    Push,
    /// Log read, lines printed, reports written, the store kept within its size.
    Finish,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// A phase of the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseEvent {
    /// Which. cargo may run twice.
    pub phase: PhaseName,
    /// Its begin, in microseconds since that of the command.
    pub at_us: u64,
    /// Its length, in microseconds.
    pub time_us: u64,
}

/// What the machine did, sampled: the values of each sample at the same index. A column of what is not known is
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplesEvent {
    /// When each was taken, in milliseconds since the command's begin.
    pub taken_ms: Vec<u64>,
    /// Processor time used since the sample before it, in thousandths of a processor.
    pub cpu_milli: Vec<u32>,
    /// Memory in use, in mebibytes.
    pub memory_mib: Vec<u32>,
}

/// A build script ran that no launcher dealt with: cargo's own stamps tell when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRanEvent {
    /// Package.
    pub package: String,
    /// Tells runs of one name apart: the end of its directory.
    pub id: String,
    /// When it was started: milliseconds since 1970.
    pub began_ms: u64,
    /// How long it ran, in milliseconds.
    pub time_ms: u64,
}

/// The run was recorded by another tool, and read from what that tool wrote. Its counts, where it has only
/// those, are here; units, where it has those, are events of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportedEvent {
    /// What it was read from, as in `cargo --timings`.
    pub from: String,
    /// Units that came from a cache.
    pub hits: u64,
    /// Units that a cache could have had.
    pub misses: u64,
    /// Units that no cache could have had.
    pub uncacheable: u64,
    /// Compiler time of the misses, added up, in microseconds.
    pub compile_us: u64,
    /// Why units could not be cached, with how many, as the tool says it.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub reasons: std::collections::BTreeMap<String, u64>,
}
