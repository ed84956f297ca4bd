//! What `--fix` does: shown before, each step with its way back, or refused.
//!
//! A step either keeps what it replaces (a copy beside a file, a directory moved aside), has a command that
//! undoes it, or removes only what cargo or Rekindle makes again by itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rekindle_base::{ByteSize, Moment};
use rekindle_store::LocalStore;

use super::ask::ask;
use super::diff;

/// An installation may load a toolchain over a slow line.
const COMMAND_DEADLINE: Duration = Duration::from_secs(1800);

/// What the store keeps of younger objects for a record that may be on its way, and some.
const YOUNG_MS: u64 = 90 * 60 * 1000;

/// Steps that mend a finding.
#[derive(Debug)]
pub(crate) struct Fix {
    /// What they come to, as an imperative.
    pub(crate) summary: String,
    /// In their order.
    pub(crate) steps: Vec<Step>,
}

impl Fix {
    pub(crate) fn new(summary: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            summary: summary.into(),
            steps,
        }
    }
}

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    /// Replaces the text of a file; a copy is kept beside it.
    Edit {
        path: PathBuf,
        before: String,
        after: String,
    },
    /// Starts a program; `undo` is the command that takes it back.
    Run {
        program: OsString,
        arguments: Vec<String>,
        undo: String,
    },
    /// Removes directories that are made again by themselves; `what` they are, for people.
    Remove {
        what: String,
        paths: Vec<PathBuf>,
        bytes: u64,
        again: &'static str,
    },
    /// Evicts from the store; `urgent` also what is young. That may be waiting for the record of a unit which was
    /// just built, and then that unit is a miss; on a full disk there is no such record.
    Evict {
        store: PathBuf,
        budget: ByteSize,
        urgent: bool,
    },
    /// Sets permission bits.
    Mode { path: PathBuf, from: u32, to: u32 },
    /// Gives a file the present time.
    Touch { path: PathBuf, was_s: i64 },
    /// Moves something aside.
    Aside { path: PathBuf },
}

impl Step {
    /// What it would do, in lines.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Edit {
                path,
                before,
                after,
            } => format!(
                "edit {} (the file as it is goes to {})\n{}",
                path.display(),
                backup_of(path).display(),
                diff::lines(before, after).trim_end()
            ),
            Self::Run {
                program,
                arguments,
                undo,
            } => {
                let words = arguments.join(" ");
                let program = Path::new(program).display();
                format!("run `{program} {words}` (`{undo}` undoes it)")
            }
            Self::Remove {
                what, bytes, again, ..
            } => format!("remove {what} ({}; {again})", ByteSize(*bytes)),
            Self::Evict { store, budget, .. } => format!(
                "evict from the store in {} what was used least recently, down to {budget} (it is \
                 compiled again when it is needed)",
                store.display()
            ),
            Self::Mode { path, from, to } => format!(
                "run `chmod {to:o} {}` (`chmod {from:o} …` undoes it)",
                path.display()
            ),
            Self::Touch { path, was_s } => {
                let path = path.display();
                format!("run `touch {path}` (`touch -d @{was_s} {path}` undoes it)")
            }
            Self::Aside { path } => {
                format!("move {} to {}", path.display(), backup_of(path).display())
            }
        }
    }

    /// Whether it takes nothing away that does not come back.
    pub(crate) const fn is_reversible(&self) -> bool {
        !matches!(self, Self::Remove { .. } | Self::Evict { .. })
    }

    /// Does it, and says what was done.
    pub(crate) fn apply(&self) -> Result<String, String> {
        let failed = |error: std::io::Error| error.to_string();
        match self {
            Self::Edit {
                path,
                before,
                after,
            } => edit(path, before, after),
            Self::Run {
                program, arguments, ..
            } => {
                let mut command = Command::new(program);
                let answer = ask(command.args(arguments), COMMAND_DEADLINE);
                let answer = answer.map_err(|error| error.to_string())?;
                if answer.ok {
                    Ok(format!("ran `{}`", self.words()))
                } else {
                    let last = answer.stderr.trim().lines().last().unwrap_or_default();
                    Err(format!("`{}` failed: {last}", self.words()))
                }
            }
            Self::Remove {
                what, paths, bytes, ..
            } => {
                for path in paths {
                    rekindle_fsx::remove_dir_all(path).map_err(failed)?;
                }
                Ok(format!("removed {what}: {}", ByteSize(*bytes)))
            }
            Self::Evict {
                store,
                budget,
                urgent,
            } => evict(store, *budget, *urgent),
            Self::Mode { path, to, .. } => {
                rekindle_fsx::set_mode(path, *to).map_err(failed)?;
                Ok(format!("`{}` has the mode {to:o} now", path.display()))
            }
            Self::Touch { path, .. } => {
                rekindle_fsx::touch(path).map_err(failed)?;
                Ok(format!("`{}` has the present time now", path.display()))
            }
            Self::Aside { path } => {
                let to = backup_of(path);
                rekindle_fsx::rename(path, &to).map_err(failed)?;
                Ok(format!("moved {} to {}", path.display(), to.display()))
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Run {
                program, arguments, ..
            } => format!("{} {}", Path::new(program).display(), arguments.join(" ")),
            _ => String::new(),
        }
    }
}

/// What running builds use stays, whatever the budget.
fn evict(store: &Path, budget: ByteSize, urgent: bool) -> Result<String, String> {
    let now = Moment::from_system(SystemTime::now());
    let later = if urgent { YOUNG_MS } else { 0 };
    let report = LocalStore::open(store).gc(budget, Moment(now.0 + later));
    let report = report.map_err(|error| error.to_string())?;
    if report.busy {
        return Err("another eviction is running; try again".to_owned());
    }
    Ok(format!(
        "freed {} in the store, which holds {} now",
        ByteSize(report.freed_bytes),
        ByteSize(report.kept_bytes)
    ))
}

/// Where the file as it is goes: the first free name, so that an earlier copy stays.
fn backup_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    (0_u32..)
        .map(|number| {
            let mut name = name.to_owned();
            name.push(".before-rekindle-doctor");
            if number > 0 {
                name.push(format!("-{number}"));
            }
            path.with_file_name(name)
        })
        .find(|path| !rekindle_fsx::exists(path))
        .unwrap_or_else(|| path.with_extension("before-rekindle-doctor"))
}

/// Only where the file is still as it was shown.
fn edit(path: &Path, before: &str, after: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let real = rekindle_fsx::canonicalize(path).map_err(failed)?;
    if rekindle_fsx::read_to_string(&real).map_err(failed)? != before {
        return Err("the file was changed meanwhile; run doctor again".to_owned());
    }
    let mode = rekindle_fsx::stat_follow(&real).map_err(failed)?.mode & 0o7777;
    let backup = backup_of(&real);
    rekindle_fsx::atomic::write(&backup, before.as_bytes()).map_err(failed)?;
    rekindle_fsx::atomic::write(&real, after.as_bytes()).map_err(failed)?;
    rekindle_fsx::set_mode(&real, mode).map_err(failed)?;
    Ok(format!(
        "edited {} (`mv {} {}` undoes it)",
        real.display(),
        backup.display(),
        real.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_keeps_what_it_replaces_and_every_earlier_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        rekindle_fsx::atomic::write(&path, b"one\n").unwrap();
        for (before, after) in [("one\n", "two\n"), ("two\n", "three\n")] {
            let step = Step::Edit {
                path: path.clone(),
                before: before.into(),
                after: after.into(),
            };
            assert!(
                step.shown()
                    .contains(format!("-{before}+{after}").trim_end())
            );
            step.apply().unwrap();
        }
        let read = |name: &str| rekindle_fsx::read_to_string(&dir.path().join(name)).unwrap();
        assert_eq!(read("config.toml"), "three\n");
        assert_eq!(read("config.toml.before-rekindle-doctor"), "one\n");
        assert_eq!(read("config.toml.before-rekindle-doctor-1"), "two\n");
    }

    #[test]
    fn what_was_changed_meanwhile_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        rekindle_fsx::atomic::write(&path, b"other\n").unwrap();
        let step = Step::Edit {
            path: path.clone(),
            before: "one\n".into(),
            after: "two\n".into(),
        };
        assert!(step.apply().is_err());
        assert_eq!(rekindle_fsx::read_to_string(&path).unwrap(), "other\n");
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let step = Step::Run {
            program: "sh".into(),
            arguments: vec!["-c".into(), "echo no room >&2; exit 1".into()],
            undo: String::new(),
        };
        assert!(step.apply().unwrap_err().ends_with("failed: no room"));
    }
}
