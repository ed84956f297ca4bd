//! Steps: runs of build scripts and of other programs that were looked up before they were started.

use std::fmt;

use rekindle_base::Digest;
use serde::{Deserialize, Serialize};

use crate::Vantage;
use crate::reason::MissReason;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFate {
    /// Replayed from the store: nothing was started.
    Hit,
    /// Run, and stored for the next time.
    Miss,
    /// Run, and not stored, for a reason of its own.
    Refused,
}

/// Times of a step, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepTimes {
    /// Start of the launcher to its end.
    pub total_us: u64,
    /// Finding out whether the store has it.
    pub lookup_us: u64,
    /// Placing outputs.
    pub restore_us: u64,
    /// Of that, waiting for a remote.
    pub remote_us: u64,
    /// The program's run.
    pub run_us: u64,
    /// Judging what was seen, and storing outputs.
    pub publish_us: u64,
}

/// A launcher dealt with a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    /// What kind of step: `build-script`; `cc` and `ar` for what such a script starts.
    pub kind: String,
    /// Package, as in `zstd-sys`.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Tells steps of one name apart: the end of a build script's directory, a compiler's source, an archive.
    pub id: String,
    /// Of a build script's run: the unit that its program is, as the `id` of that unit's event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What became of it.
    pub fate: StepFate,
    /// Why it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<MissReason>,
    /// Why it was not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// Digest of the whole manifest: the key of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// Where the names of what it read begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
    /// Whether outputs hold a real path that is another in another checkout, so that only the same directory can hit.
    #[serde(default)]
    pub path_bound: bool,
    /// Times.
    pub times: StepTimes,
    /// Bytes placed or stored.
    #[serde(default)]
    pub bytes: u64,
    /// On a hit, what the program took when it was stored, in microseconds.
    #[serde(default)]
    pub saved_us: u64,
    /// The program's exit code.
    #[serde(default)]
    pub exit_code: i32,
}

impl StepEvent {
    /// A step of which nothing is known yet but that it was not found.
    #[must_use]
    pub fn new(kind: &str, package: (String, String), id: String) -> Self {
        let (package, version) = package;
        Self {
            kind: kind.to_owned(),
            package,
            version,
            id,
            program: None,
            fate: StepFate::Miss,
            miss: None,
            refused: None,
            key: None,
            vantage: None,
            path_bound: false,
            times: StepTimes::default(),
            bytes: 0,
            saved_us: 0,
            exit_code: 0,
        }
    }

    /// Whether it is a C compiler or an archiver that a build script started.
    #[must_use]
    pub fn is_tool(&self) -> bool {
        is_tool(&self.kind)
    }
}

/// Whether a kind of step is a C compiler's or an archiver's.
#[must_use]
pub fn is_tool(kind: &str) -> bool {
    matches!(kind, "cc" | "ar")
}

/// Why a run is not stored, so that it happens each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// What it reads could not be observed.
    Blind {
        /// Why.
        why: String,
    },
    /// It talked to a network.
    Network {
        /// To whom, as far as that is known.
        peer: String,
    },
    /// It opened a device.
    Device {
        /// Which.
        path: String,
    },
    /// It read state of the kernel that no file stands for.
    Kernel {
        /// Where.
        path: String,
    },
    /// It talked to a process that it had not started.
    Process {
        /// How.
        what: String,
    },
    /// It left a process behind.
    LeftBehind,
    /// It read the time of day.
    Clock {
        /// The program that asked.
        program: String,
    },
    /// What it made holds the day or the time of the run.
    Dated {
        /// Which output.
        output: String,
    },
    /// It read randomness.
    Random {
        /// The program that asked.
        program: String,
    },
    /// It asks to be run each time.
    AlwaysRuns {
        /// The path that it declared, which is not there.
        path: String,
    },
    /// It changed something outside of where its outputs go.
    WroteOutside {
        /// What.
        path: String,
    },
    /// It looked below the directory that cargo was started in, as a shell had named it.
    ShellsDirectory {
        /// Where.
        path: String,
    },
    /// It listed what cargo had built so far, and something that it made names it, or may.
    ListedOutputs {
        /// What was listed.
        path: String,
    },
    /// It looked at what an earlier run of it had left.
    FoundEarlierOutput {
        /// What.
        path: String,
    },
    /// It failed.
    Failed {
        /// Its exit code.
        exit_code: i32,
    },
    /// Something that it read was changed while it ran.
    ChangedDuringRun {
        /// What.
        path: String,
    },
    /// The clock was set while it ran.
    ClockWasSet,
    /// An output is neither file, link nor directory, or could not be read.
    OddOutput {
        /// Which.
        path: String,
        /// What is odd.
        detail: String,
    },
    /// The effect of an argument on what it makes is not known.
    Argument {
        /// Which.
        argument: String,
    },
    /// It is no run that may be used again, by what is known of such programs.
    Command {
        /// Why.
        detail: String,
    },
    /// A source asks for the time of the run.
    Present {
        /// By what name.
        name: String,
        /// In which file.
        path: String,
    },
    /// The store did not take it.
    StoreUnavailable {
        /// What the system says.
        error: String,
    },
}

impl Refusal {
    /// Whether the user may vouch for such a run, so that it is stored all the same.
    #[must_use]
    pub fn can_be_trusted(&self) -> bool {
        matches!(
            self,
            Self::Network { .. }
                | Self::Device { .. }
                | Self::Kernel { .. }
                | Self::Process { .. }
                | Self::LeftBehind
                | Self::Clock { .. }
                | Self::Dated { .. }
                | Self::Random { .. }
                | Self::AlwaysRuns { .. }
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blind { why } => write!(f, "what it reads could not be observed: {why}"),
            Self::Network { peer } => write!(f, "it talks to a network ({peer})"),
            Self::Device { path } => write!(f, "it opens the device `{path}`"),
            Self::Kernel { path } => write!(f, "it reads `{path}`, which the kernel makes up"),
            Self::Process { what } => write!(f, "it talks to another process ({what})"),
            Self::LeftBehind => f.write_str("it leaves a process behind"),
            Self::Clock { program } => write!(f, "`{program}` reads the time of day"),
            Self::Dated { output } => write!(f, "`{output}` holds the time of the run"),
            Self::Random { program } => write!(f, "`{program}` reads randomness"),
            Self::AlwaysRuns { path } => write!(
                f,
                "it asks to be run each time: it declares `{path}`, which is not there"
            ),
            Self::WroteOutside { path } => {
                write!(f, "it changes `{path}`, outside of where its outputs go")
            }
            Self::ShellsDirectory { path } => write!(
                f,
                "it uses `PWD`, the directory that cargo was started in, in `{path}`"
            ),
            Self::ListedOutputs { path } => write!(
                f,
                "it lists what cargo has built so far, in `{path}`, and what it makes may name that"
            ),
            Self::FoundEarlierOutput { path } => {
                write!(f, "it looked at `{path}`, which an earlier run had left")
            }
            Self::Failed { exit_code } => write!(f, "it ended with exit code {exit_code}"),
            Self::ChangedDuringRun { path } => write!(f, "`{path}` was changed while it ran"),
            Self::ClockWasSet => f.write_str("the clock was set while it ran"),
            Self::OddOutput { path, detail } => {
                write!(f, "its output `{path}` cannot be stored: {detail}")
            }
            Self::Argument { argument } => {
                write!(
                    f,
                    "the effect of `{argument}` on what it makes is not known"
                )
            }
            Self::Command { detail } => f.write_str(detail),
            Self::Present { name, path } => write!(
                f,
                "`{path}` asks for the time of the run (`{name}`); set SOURCE_DATE_EPOCH to fix it"
            ),
            Self::StoreUnavailable { error } => write!(f, "the store did not take it: {error}"),
        }
    }
}
