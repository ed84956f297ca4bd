//! Runners of GitHub's on this machine: where they are, and what they say of themselves.
//!
//! An installation is a directory with `.runner` (JSON, with a byte order mark), `.service` (the name of its unit,
//! where it is a service), `bin` (after an update a link to `bin.VERSION`) and `_diag` (logs whose names hold their
//! time). A unit is a file `actions.runner.*.service` where systemd looks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::ask::ask;
use super::context::Context;

const UNIT_PREFIX: &str = "actions.runner.";
const UNIT_ENDING: &str = ".service";
/// The beginning of a log names the version; its end has the last errors.
const LOG_MAX_BYTES: usize = 4 << 20;
const LINE_MAX: usize = 240;

/// A unit of systemd's for a runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) file: PathBuf,
    /// Its file's name.
    pub(super) name: String,
    /// The runner's directory, as the unit says.
    pub(super) dir: Option<PathBuf>,
}

/// An installation.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) dir: PathBuf,
    /// As it is called at GitHub.
    pub(super) name: String,
    /// Whether its jobs come from github.com rather than from a server of one's own.
    pub(super) public: bool,
    /// Whether updates are switched off.
    pub(super) never_updates: bool,
    /// The unit that `.service` names.
    pub(super) service: Option<String>,
    pub(super) version: Option<Version>,
    /// The newest log's last error, unless it went on to listen for jobs.
    pub(super) last_error: Option<String>,
}

/// `2.336.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// All units for runners.
pub(super) fn units(context: &Context<'_>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for dir in &context.machine.units {
        for name in rekindle_fsx::list_names(dir).unwrap_or_default() {
            let Some(name) = name.to_str() else { continue };
            let is_one = name.starts_with(UNIT_PREFIX) && name.ends_with(UNIT_ENDING);
            // The first directory that has it counts.
            if !is_one || units.iter().any(|unit| unit.name == name) {
                continue;
            }
            let file = dir.join(name);
            let text = rekindle_fsx::read_to_string(&file).unwrap_or_default();
            units.push(Unit {
                name: name.to_owned(),
                dir: directory_of(&text),
                file,
            });
        }
    }
    units
}

/// `WorkingDirectory`, else where the program is that it starts.
fn directory_of(unit: &str) -> Option<PathBuf> {
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.trim().strip_prefix(key));
        line.and_then(|rest| rest.trim_start().strip_prefix('='))
            .map(str::trim)
    };
    let dir = value("WorkingDirectory").map(|dir| PathBuf::from(dir.trim_start_matches('-')));
    dir.or_else(|| {
        let program = value("ExecStart")?.split(' ').next()?;
        Some(Path::new(program).parent()?.to_owned())
    })
}

/// All installations: of units, of processes, and where they usually are.
pub(super) fn installed(context: &Context<'_>, units: &[Unit]) -> Vec<Runner> {
    let mut dirs: BTreeSet<PathBuf> = units.iter().filter_map(|unit| unit.dir.clone()).collect();
    dirs.extend(running(context));
    let mut usual: Vec<PathBuf> = [
        "/actions-runner",
        "/opt/actions-runner",
        "/home/runner",
        "/runner",
    ]
    .iter()
    .map(PathBuf::from)
    .collect();
    if let Some(home) = &context.surroundings.home {
        usual.push(home.join("actions-runner"));
        usual.push(home.clone());
    }
    let homes = rekindle_fsx::list_names(Path::new("/home")).unwrap_or_default();
    usual.extend(
        homes
            .iter()
            .map(|user| Path::new("/home").join(user).join("actions-runner")),
    );
    dirs.extend(usual);
    let real: BTreeSet<PathBuf> = dirs
        .iter()
        .filter_map(|dir| rekindle_fsx::canonicalize(dir).ok())
        .collect();
    real.iter().filter_map(|dir| read(dir)).collect()
}

/// Directories of runners that run now.
fn running(context: &Context<'_>) -> Vec<PathBuf> {
    let processes = rekindle_fsx::list_names(&context.machine.proc).unwrap_or_default();
    processes
        .iter()
        .filter(|name| {
            name.to_str()
                .is_some_and(|name| name.parse::<u32>().is_ok())
        })
        .filter_map(|name| {
            let line = rekindle_fsx::read(&context.machine.proc.join(name).join("cmdline")).ok()?;
            let program = line.split(|byte| *byte == 0).next()?;
            let program = PathBuf::from(String::from_utf8_lossy(program).into_owned());
            let is_listener = program.file_name()? == "Runner.Listener";
            is_listener.then(|| program.parent()?.parent().map(Path::to_owned))?
        })
        .collect()
}

/// Whether a listener of this installation runs.
pub(super) fn is_listening(context: &Context<'_>, dir: &Path) -> bool {
    running(context)
        .iter()
        .any(|running| rekindle_fsx::canonicalize(running).ok().as_deref() == Some(dir))
}

fn read(dir: &Path) -> Option<Runner> {
    let text = rekindle_fsx::read_to_string(&dir.join(".runner")).ok()?;
    let settings: serde_json::Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    // Written in either case by one version or another.
    let field = |name: &str| {
        let capital = name[..1].to_uppercase() + &name[1..];
        settings
            .get(name)
            .or_else(|| settings.get(capital))
            .cloned()
    };
    let words = |name: &str| field(name).and_then(|value| Some(value.as_str()?.to_owned()));
    let url = words("gitHubUrl").unwrap_or_default();
    let host = url.split('/').nth(2).unwrap_or_default().to_owned();
    let service = rekindle_fsx::read_to_string(&dir.join(".service")).ok();
    let log = newest_log(dir);
    Some(Runner {
        name: words("agentName").unwrap_or_default(),
        public: host == "github.com" || host.ends_with(".ghe.com"),
        never_updates: field("disableUpdate").and_then(|value| value.as_bool()) == Some(true),
        service: service
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty()),
        version: version(dir, log.as_deref()),
        last_error: log.as_deref().and_then(last_error),
        dir: dir.to_owned(),
    })
}

fn newest_log(dir: &Path) -> Option<String> {
    let names = rekindle_fsx::list_names(&dir.join("_diag")).ok()?;
    let is_log = |name: &&std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.starts_with("Runner_") && name.ends_with(".log")
    };
    // Their names hold their time.
    let newest = names.iter().rfind(is_log)?;
    let bytes = rekindle_fsx::read(&dir.join("_diag").join(newest)).ok()?;
    if bytes.len() <= LOG_MAX_BYTES {
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let (half, length) = (LOG_MAX_BYTES / 2, bytes.len());
    let head = String::from_utf8_lossy(&bytes[..half]).into_owned();
    Some(head + "\n" + &String::from_utf8_lossy(&bytes[length - half..]))
}

/// After an update `bin` is a link that holds the version; before it the log says.
fn version(dir: &Path, log: Option<&str>) -> Option<Version> {
    let link = rekindle_fsx::read_link(&dir.join("bin")).ok();
    let by_link = link.and_then(|to| {
        let name = to.file_name()?.to_str()?;
        Version::parse(name.strip_prefix("bin.")?)
    });
    let by_log = || {
        log?.lines().find_map(|line| {
            // A job's name may hold the same word: only the listener's own line counts.
            let (_, rest) = line.split_once(" INFO Listener] Version: ")?;
            Version::parse(rest)
        })
    };
    by_link.or_else(by_log)
}

/// The last line of the log with an error, unless the runner listened for jobs or ran one later.
fn last_error(log: &str) -> Option<String> {
    let mut last: Option<&str> = None;
    for line in log.lines() {
        if line.contains(" ERR  ") || line.contains(" ERR ") {
            // Lines of a stack's trace repeat the head of their first.
            let is_trace = line
                .split_once("] ")
                .is_some_and(|(_, rest)| rest.trim_start().starts_with("at "));
            last = if is_trace { last } else { Some(line) };
        } else if line.contains("Listening for Jobs") || line.contains(": Running job: ") {
            last = None;
        }
    }
    last.map(|line| line.chars().take(LINE_MAX).collect())
}

/// What systemd says of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// `active`, `inactive`, `failed`.
    pub(super) active: String,
    /// `success`, `exit-code` and the like.
    pub(super) result: String,
}

/// Asks systemd; `None` where it does not run, or does not know the unit.
pub(super) fn state(context: &Context<'_>, unit: &str) -> Option<State> {
    let program = context.find("systemctl")?;
    let mut command = Command::new(program);
    command.args(["show", "--property=ActiveState,LoadState,Result", unit]);
    let answer = ask(&mut command, Duration::from_secs(5)).ok()?;
    let field = |name: &str| {
        let line = answer
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    (answer.ok && field("LoadState=").as_deref() == Some("loaded")).then(|| State {
        active: field("ActiveState=").unwrap_or_default(),
        result: field("Result=").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "[Unit]\nDescription=GitHub Actions Runner (acme-app.box)\nAfter=network-online.target\n\n\
        [Service]\nExecStart=/srv/r/runsvc.sh\nUser=ci\nWorkingDirectory=/srv/r\nKillMode=process\n\
        KillSignal=SIGTERM\nTimeoutStopSec=5min\n\n[Install]\nWantedBy=multi-user.target\n";

    #[test]
    fn a_unit_names_its_directory() {
        assert_eq!(directory_of(UNIT), Some("/srv/r".into()));
        let without = UNIT.replace("WorkingDirectory=/srv/r\n", "");
        assert_eq!(directory_of(&without), Some("/srv/r".into()));
        assert_eq!(directory_of("[Unit]\n"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("2.99.0") < version("2.329.0"));
        assert!(version("2.335.1") > version("2.335.0"));
        assert_eq!(Version::parse("2.335"), None);
        assert_eq!(version(" 2.335.1\n").to_string(), "2.335.1");
    }

    #[test]
    fn an_error_counts_until_the_runner_listens_again() {
        let error = "[2026-03-17 12:20:29Z ERR  Terminal] WRITE ERROR: An error occured: Runner version \
                     v2.330.0 is deprecated and cannot receive messages.";
        let trace =
            "[2026-03-17 12:20:29Z ERR  Listener]    at GitHub.Runner.Common.BrokerServer.Get()";
        let listening = "[2026-03-17 12:20:31Z INFO Terminal] WRITE LINE: 2026-03-17 12:20:31Z: Listening for Jobs";
        let log = |lines: &[&str]| last_error(&lines.join("\n"));
        assert_eq!(log(&[listening, error, trace]).as_deref(), Some(error));
        assert_eq!(log(&[error, trace, listening]), None);
        assert_eq!(log(&[listening]), None);
    }

    #[test]
    fn the_version_is_the_listeners_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = "[2026-08-05 20:36:10Z INFO Terminal] WRITE LINE: 2026-08-05 20:36:10Z: Running job: \
                   Release Version: 9.9.9\n[2026-08-05 20:36:14Z INFO Listener] Version: 2.336.0\n";
        assert_eq!(version(dir.path(), Some(log)), Version::parse("2.336.0"));
        rekindle_fsx::symlink(Path::new("bin.2.337.0"), &dir.path().join("bin")).unwrap();
        assert_eq!(version(dir.path(), Some(log)), Version::parse("2.337.0"));
    }
}
