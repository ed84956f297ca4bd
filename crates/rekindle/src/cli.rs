//! Rekindle's own commands, as clap parses them; the CLI reference is generated from this.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What every help page says of the commands that are not listed.
pub(crate) const PASSED_ON: &str = "\
Any other command is cargo's: `rekindle build --release` runs `cargo build --release` with cargo's \
own output and exit code, and prints at most three lines of its own afterwards. \
`rekindle cargo COMMAND` runs cargo's command where Rekindle has one of the same name.";

/// What `rekindle step --help` says of the command.
const STEP_HELP: &str = "\
The command is observed: every file that it reads, or looks for, and every variable that it asks for, \
is an input, declared or not. Its standard input is empty. What it prints is printed again where its \
outputs are replayed. It is run each time, and Rekindle says why, where it talks to a network, changes \
anything but its outputs, or cannot be observed. Its exit code is the exit code.";

/// Makes Rust builds take the time of the work that changed, and shows where their time goes.
#[derive(Debug, Parser)]
#[command(name = "rekindle", version, after_help = PASSED_ON, subcommand_value_name = "COMMAND")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: OwnCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OwnCommand {
    /// Prints what a plain `cargo build` needs to use Rekindle.
    Env(EnvArgs),
    /// Shows what a run came to.
    Stats(StatsArgs),
    /// Says why units were compiled.
    Explain(ExplainArgs),
    /// Lists what a unit, or the run of its build script, was seen to read.
    Observe(ObserveArgs),
    /// Looks at snapshots of target directories, captures and restores them.
    Snapshot(SnapshotArgs),
    /// Puts the bytes in the place of every placeholder in the target directory.
    Materialise(MaterialiseArgs),
    /// Runs a command that turns files into files, or replays what it made from the same inputs.
    #[command(after_help = STEP_HELP)]
    Step(StepArgs),
    /// Minds the store.
    Cache(CacheArgs),
    /// Prints the generated references.
    #[command(hide = true)]
    Docs(DocsArgs),
}

/// How data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: versioned.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    /// Append to the file that `$GITHUB_ENV` names, for the steps that follow.
    #[arg(long, conflicts_with = "format")]
    pub(crate) github: bool,
    /// Shell commands (`eval "$(rekindle env)"`), or JSON.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// A run's name, `last`, or `all` for the sum of all kept runs.
    #[arg(long, default_value = "last", value_name = "RUN")]
    pub(crate) run: String,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Only this package or crate, its hits included.
    #[arg(value_name = "CRATE")]
    pub(crate) wanted: Option<String>,
    /// A run's name, or `last`.
    #[arg(long, default_value = "last", value_name = "RUN")]
    pub(crate) run: String,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ObserveArgs {
    /// A package or crate.
    #[arg(value_name = "UNIT")]
    pub(crate) unit: String,
    /// A run's name, or `last`; without it, the last run in which it was built, restored or started.
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Which project, and what of it.
#[derive(Debug, Args)]
pub(crate) struct Site {
    /// As cargo's.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
    /// As cargo's.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) target_dir: Option<PathBuf>,
    /// As cargo's; may be given several times.
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Vec<String>,
    /// As cargo's.
    #[arg(long, value_name = "PROFILE", conflicts_with = "release")]
    pub(crate) profile: Option<String>,
    /// As cargo's.
    #[arg(long, short)]
    pub(crate) release: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    pub(crate) command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Lists the trees that are stored for this project, toolchain and flags.
    List(SnapshotList),
    /// Shows what a tree holds: by default, what the next build here would begin with.
    Show(SnapshotTree),
    /// Says in which units two trees differ, and by which inputs.
    Diff(SnapshotDiff),
    /// Captures the target directory as it is, also what plain cargo built.
    Capture(SnapshotList),
    /// Restores into profile directories that have nothing yet.
    Restore(SnapshotTree),
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotList {
    #[command(flatten)]
    pub(crate) site: Site,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotTree {
    /// The beginning of a tree's name, as `rekindle snapshot list` shows it.
    #[arg(value_name = "TREE")]
    pub(crate) tree: Option<String>,
    #[command(flatten)]
    pub(crate) site: Site,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotDiff {
    /// The beginning of a tree's name.
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// The beginning of another's.
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) site: Site,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct MaterialiseArgs {
    #[command(flatten)]
    pub(crate) site: Site,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// A file that the command makes, or a directory, whose name ends in a slash; may be given several
    /// times. A directory that has something in it already is neither replayed nor stored.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Vec<PathBuf>,
    /// A file that counts as an input also where the command does not read it; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,
    /// Remove the outputs first: what a command finds of an earlier run keeps it from being stored.
    #[arg(long)]
    pub(crate) clear: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Shows what the store holds.
    Du(CacheDu),
    /// Removes what was used least recently until the store fits its size budget.
    Gc(CacheGc),
    /// Reads everything in the store and compares it with its digests.
    Verify(CacheVerify),
    /// Saves what the last build here made to the remote.
    Push(CachePush),
    /// Brings the save that a build here would begin with from the remote.
    Pull(CachePull),
    /// Copies everything from one remote to another, as in a change of provider.
    Copy(CacheCopy),
}

#[derive(Debug, Args)]
pub(crate) struct CachePush {
    #[command(flatten)]
    pub(crate) site: Site,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CachePull {
    /// All of its objects, too: for builds that will have no remote.
    #[arg(long)]
    pub(crate) objects: bool,
    #[command(flatten)]
    pub(crate) site: Site,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CacheCopy {
    /// The address of one.
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// The address of the other.
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CacheDu {
    /// Of the remote, not of the store on this machine.
    #[arg(long)]
    pub(crate) remote: bool,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CacheGc {
    /// Another size than the configured one, as in `2G`; `0` removes all that no running build uses.
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Option<rekindle_base::ByteSize>,
    /// In the remote: saves that nobody made again for a while, and what only these need.
    #[arg(long, conflicts_with = "size")]
    pub(crate) remote: bool,
    /// For how long saves in the remote are kept, as in `30d` or `12h`; never for less than a day.
    #[arg(long, requires = "remote", default_value = "30d", value_name = "AGE")]
    pub(crate) keep: crate::commands::cache_remote::Age,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CacheVerify {
    /// Everything in the remote instead, which is downloaded for that.
    #[arg(long)]
    pub(crate) remote: bool,
    /// Remove what is damaged.
    #[arg(long)]
    pub(crate) remove: bool,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct DocsArgs {
    /// Which reference.
    #[arg(value_enum)]
    pub(crate) topic: Topic,
}

/// A generated reference.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Topic {
    /// Commands, arguments, exit codes.
    Cli,
    /// Environment variables.
    Env,
    /// Configuration keys.
    Config,
    /// What a unit's key holds, and what it leaves out.
    Keys,
}
