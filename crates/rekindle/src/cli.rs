//! Rekindle's own commands, as clap parses them; the CLI reference is generated from this.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What every help page says of the commands that are not listed.
pub(crate) const PASSED_ON: &str = "\
Any other command is cargo's: `rekindle build --release` runs `cargo build --release` with cargo's \
own output and exit code, and prints at most three lines of its own afterwards. \
`rekindle cargo COMMAND` runs cargo's command where Rekindle has one of the same name.";

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
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Shows what the store holds.
    Du(CacheFormat),
    /// Removes what was used least recently until the store fits its size budget.
    Gc(CacheGc),
    /// Reads everything in the store and compares it with its digests.
    Verify(CacheVerify),
}

#[derive(Debug, Args)]
pub(crate) struct CacheFormat {
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CacheGc {
    /// Another size than the configured one, as in `2G`; `0` removes all that no running build uses.
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Option<rekindle_base::ByteSize>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CacheVerify {
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
