//! One file for each command.

pub(crate) mod audit;
pub(crate) mod bar;
pub(crate) mod cache;
pub(crate) mod cache_remote;
pub(crate) mod cargo;
mod checkout;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod explain;
pub(crate) mod history;
mod history_github;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod insight;
pub(crate) mod materialise;
pub(crate) mod observe;
mod remote;
mod remote_history;
pub(crate) mod report;
mod since;
pub(crate) mod snapshot;
pub(crate) mod stats;
pub(crate) mod step;
pub(crate) mod switch;

use std::io::Write;
use std::path::Path;

use rekindle::runs;
use rekindle_events::Log;
use serde::Serialize;

use crate::error::CommandError;

/// Writes data to standard output. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(
            CommandError::environment(format!("standard output could not be written: {error}")),
        ),
        _ => Ok(()),
    }
}

/// Writes one JSON document to standard output.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    let text = serde_json::to_string(value).map_err(CommandError::bug)?;
    print(&(text + "\n"))
}

/// The name and the log of a run: `last`, or one by name.
pub(crate) fn load_run(store_dir: &Path, wanted: &str) -> Result<(String, Log), CommandError> {
    let names = list_runs(store_dir)?;
    let name = if wanted == "last" {
        names.last().cloned()
    } else {
        names.into_iter().find(|name| name == wanted)
    };
    let Some(name) = name else {
        let dir = runs::runs_dir(store_dir);
        return Err(match wanted {
            "last" => CommandError::user(format!("no run is recorded in `{}`", dir.display()))
                .hint("run `rekindle build` first"),
            _ => CommandError::user(format!("there is no run `{wanted}` in `{}`", dir.display()))
                .hint("runs are named by their time; `rekindle stats` names the last one"),
        });
    };
    let log = read_log(store_dir, &name)?;
    Ok((name, log))
}

/// The names of all runs, oldest first.
pub(crate) fn list_runs(store_dir: &Path) -> Result<Vec<String>, CommandError> {
    runs::list(store_dir).map_err(|error| {
        let dir = runs::runs_dir(store_dir);
        CommandError::environment(format!("`{}` could not be listed: {error}", dir.display()))
    })
}

/// The log of a run.
pub(crate) fn read_log(store_dir: &Path, name: &str) -> Result<Log, CommandError> {
    let dir = runs::runs_dir(store_dir).join(name);
    runs::read(&dir).map_err(|error| {
        CommandError::environment(format!(
            "the log of run `{name}` could not be read: {error}"
        ))
    })
}
