//! Rekindle's own commands, as clap parses them; the CLI reference is generated from this.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What every help page says of the commands that are not listed.
pub(crate) const PASSED_ON: &str = "\
Any other command is cargo's: `rekindle build --release` runs `cargo build --release` with cargo's \
own output and exit code, and prints at most three lines of its own afterwards, on a CI service also a \
report. \
`rekindle cargo COMMAND` runs cargo's command where Rekindle has one of the same name.";

/// What `rekindle step --help` says of the command.
const STEP_HELP: &str = "\
The command is observed: every file that it reads, or looks for, and every variable that it asks for, \
is an input, declared or not. Its standard input is empty. What it prints is printed again where its \
outputs are replayed. It is run each time, and Rekindle says why, where it talks to a network, changes \
anything but its outputs, or cannot be observed. Its exit code is the exit code.";

/// What `rekindle doctor --help` says of fixes.
const DOCTOR_HELP: &str = "\
Every finding is explained in docs/doctor.md. The exit code is 1 where a finding of severity error remains.";

/// What `rekindle history import github --help` says of asking.
const HISTORY_GITHUB_HELP: &str = "\
With `--repo` the token is taken from GITHUB_TOKEN or GH_TOKEN, and needs no more than to read actions; public \
repositories answer without one, sixty times an hour. What was read is not asked for again; where GitHub wants to be \
left alone, the next time goes on from there. GITHUB_API_URL names another GitHub.";

/// What `rekindle init --help` says of the command.
const INIT_HELP: &str = "\
It looks at the workspace, its targets, the libraries of the system that its dependencies need, its oldest \
compiler and its programs, and writes `.github/workflows/ci.yml` and `release.yml`. A workflow that exists is \
never written: what it lacks is printed as a diff for `git apply`, and the exit code is 1.";

/// What `rekindle switch --help` says of the command.
const SWITCH_HELP: &str = "\
Only the text that names runners changes, in `runs-on`, matrices, expressions, inputs of reusable \
workflows and their calls; comments and indents stay. The diff is printed first. What cannot be \
followed is a warning with its line. `--undo` takes the last switch back, from a record in the \
repository's own directory, and refuses where a line that it wrote was changed since.";

/// What `rekindle audit --help` says of the command.
const AUDIT_HELP: &str = "\
Nothing is asked of a network. A comment `# rekindle: ignore[RULE]` on a finding's line or right above it silences \
that line, on a job's line the job, at the head of a file the file; `audit.ignore` of the configuration silences a rule. \
docs/audit has a page for each rule.";

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
    /// Shows where the time of a run went: as a page, as data, in a few lines.
    Report(ReportArgs),
    /// Reads what another tool recorded of a build, so that `report` shows it.
    Import(ImportArgs),
    /// Shows a project's runs over time: percentiles, rates, what got worse.
    History(HistoryArgs),
    /// Says why units were compiled.
    Explain(ExplainArgs),
    /// Lists what a unit, or the run of its build script, was seen to read.
    Observe(ObserveArgs),
    /// Looks for what is wrong with this machine and this project, and mends it.
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Looks at snapshots of target directories, captures and restores them.
    Snapshot(SnapshotArgs),
    /// Puts the bytes in the place of every placeholder in the target directory.
    Materialise(MaterialiseArgs),
    /// Runs a command that turns files into files, or replays what it made from the same inputs.
    #[command(after_help = STEP_HELP)]
    Step(StepArgs),
    /// Minds the store.
    Cache(CacheArgs),
    /// Writes workflows for this project.
    #[command(after_help = INIT_HELP)]
    Init(InitArgs),
    /// Moves the jobs of this project's workflows to other runners.
    #[command(after_help = SWITCH_HELP)]
    Switch(SwitchArgs),
    /// Finds what wastes time in the project's GitHub workflows, and mends it.
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditArgs),
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
pub(crate) struct ReportArgs {
    /// A run's name, or `last`.
    #[arg(default_value = "last", value_name = "RUN")]
    pub(crate) run: String,
    /// As what.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: ReportFormat,
    /// Where to write it; without this a page goes beside the run's log, and all else to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show the page in a browser.
    #[arg(long)]
    pub(crate) open: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// The page that `cargo build --timings` writes.
    CargoTimings(ImportFile),
    /// What `sccache --show-stats --stats-format json` prints.
    SccacheStats(ImportFile),
}

#[derive(Debug, Args)]
pub(crate) struct ImportFile {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// As what a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One file for a browser, and a few lines.
    #[default]
    Html,
    /// A few lines.
    Text,
    /// For programs: versioned, with a published schema.
    Json,
    /// Trace events, for Perfetto and `about:tracing`.
    Trace,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
    #[command(flatten)]
    pub(crate) show: HistoryShow,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Takes in what a CI service knows of jobs: queues, steps.
    #[command(subcommand)]
    Import(HistoryImport),
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryImport {
    /// Asks GitHub, or reads its API's answers, saved as they come: `/repos/OWNER/REPO/actions/runs` and `…/runs/ID/jobs`.
    #[command(after_help = HISTORY_GITHUB_HELP)]
    Github(HistoryGithub),
}

#[derive(Debug, Args)]
pub(crate) struct HistoryGithub {
    /// Files; one may hold several answers, as `gh api --paginate` writes them.
    #[arg(required_unless_present = "repo", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Ask GitHub for this repository's runs instead.
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "files")]
    pub(crate) repo: Option<String>,
    /// How far back it is asked.
    #[arg(
        long,
        default_value_t = 30,
        value_name = "DAYS",
        conflicts_with = "files"
    )]
    pub(crate) days: u32,
    /// As cargo's: which project's history they go to.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryShow {
    /// Only this branch.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
    /// Only this subcommand of cargo's.
    #[arg(long = "command", value_name = "COMMAND")]
    pub(crate) of: Option<String>,
    /// Only the last days.
    #[arg(long, value_name = "DAYS")]
    pub(crate) days: Option<u32>,
    /// As cargo's.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
    /// As what.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: HistoryFormat,
    /// Where to write it, other than to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// As what a history is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: versioned.
    Json,
    /// A line for each run, for spreadsheets.
    Csv,
    /// One file for a browser, with plots.
    Html,
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

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Mend what can be mended: each step is shown, and asked for.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Do what `--fix` shows without asking.
    #[arg(long, requires = "fix")]
    pub(crate) yes: bool,
    /// Only this check; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) check: Vec<String>,
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
pub(crate) struct InitArgs {
    /// Only print what would be written.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Rekindle's Action, at a commit, instead of the one of this release.
    #[arg(long, value_name = "OWNER/REPOSITORY@COMMIT")]
    pub(crate) action: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    /// `github`, `self-hosted`, `namespace`, `blacksmith`, `depot`, `warpbuild`, `ubicloud`, `runs-on`; or a
    /// label, or several with commas between them.
    #[arg(long, value_name = "RUNNER", required_unless_present = "undo")]
    pub(crate) to: Option<String>,
    /// How many processors a Linux runner is to have; by default about as many as now.
    #[arg(long, value_name = "PROCESSORS")]
    pub(crate) size: Option<u32>,
    /// Which architecture a Linux runner is to have; by default the one that it has.
    #[arg(long, value_enum, value_name = "ARCHITECTURE")]
    pub(crate) arch: Option<SwitchArch>,
    /// Only this job: its name, or `ci.yml:name`.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Why your own runners are safe although strangers can start jobs there, as from a pull request's fork.
    #[arg(long, value_name = "REASON")]
    pub(crate) allow_forks: Option<String>,
    /// Take back the last switch.
    #[arg(long, conflicts_with_all = ["to", "size", "arch", "job", "allow_forks"])]
    pub(crate) undo: bool,
    /// Only print the diff.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// An architecture of runners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SwitchArch {
    /// x86-64.
    X64,
    /// 64-bit ARM.
    Arm64,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Workflows, actions or manifests, or a project's directory; without any, the project of the working directory.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Mend what can be mended, after showing the difference: only what is safe, or also what somebody may have wanted.
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "safe")]
    pub(crate) fix: Option<Mend>,
    /// What `GET /repos/OWNER/REPO/actions/runs/RUN/jobs` answers, or a list of such answers: findings whose step or job would
    /// not be then say how many minutes it took.
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    pub(crate) runs: Option<PathBuf>,
    /// How to write findings.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: AuditFormat,
}

/// Which fixes are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mend {
    /// Those that change neither what is built nor who may do what.
    Safe,
    /// All.
    Unsafe,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: versioned.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// Annotations of a GitHub run.
    Github,
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
    /// Rules of advice.
    Advice,
    /// JSON Schema of `rekindle report --format json`.
    ReportSchema,
    /// What `rekindle doctor` finds.
    Doctor,
}
