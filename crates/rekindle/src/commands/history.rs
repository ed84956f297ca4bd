//! `rekindle history`: a project's runs over time.

use std::path::Path;

use rekindle::cargo_config::CargoConfig;
use rekindle::config::ConfigError;
use rekindle::layout::Asked;
use rekindle::remote::RemoteSettings;
use rekindle::{Surroundings, layout, selection, settings};
use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_history::{Filter, History, HistoryError, Overview, RUNS_MAX, csv, json, page, text};

use super::remote::Opened;
use super::remote_history;
use super::report::write;
use super::{history_github, print, print_json};
use crate::cli::{HistoryArgs, HistoryCommand, HistoryFormat, HistoryImport, HistoryShow};
use crate::error::CommandError;

const DAY_MS: u64 = 86_400_000;

pub(crate) fn run(args: &HistoryArgs) -> Result<(), CommandError> {
    let surroundings = Surroundings::of_process().map_err(ConfigError::NoWorkingDirectory)?;
    let resolved = settings::resolve(&surroundings)?;
    let store_dir = resolved.settings.store_dir.clone();
    match &args.command {
        Some(HistoryCommand::Import(HistoryImport::Github(args))) => {
            let (project, _) = project(&surroundings, args.manifest_path.as_deref())?;
            history_github::import(args, &surroundings, (&resolved, &project))
        }
        None => {
            if let Some(remote) = &resolved.remote {
                take(&args.show, &surroundings, (&store_dir, remote))?;
            }
            show(&args.show, &surroundings, &store_dir)
        }
    }
}

/// As text.
fn project(
    surroundings: &Surroundings,
    manifest_path: Option<&Path>,
) -> Result<(String, String), CommandError> {
    let (project, name) = project_digest(surroundings, manifest_path)?;
    Ok((project.to_hex(), name))
}

/// The digest of the project in the working directory, or of the manifest that is named; its directory's name.
fn project_digest(
    surroundings: &Surroundings,
    manifest_path: Option<&Path>,
) -> Result<(Digest, String), CommandError> {
    let config = CargoConfig::read(surroundings, &surroundings.cwd, &[]);
    let asked = Asked {
        manifest_path,
        target_dir: None,
    };
    let layout =
        layout::find(surroundings, &config, &surroundings.cwd, asked).map_err(|error| {
            CommandError::user(error.to_string())
                .hint("run it in the project whose history is meant, or name its `--manifest-path`")
        })?;
    let root = &layout.workspace_root;
    let name = root.file_name().unwrap_or(root.as_os_str());
    let (project, _) = selection::project_of(surroundings, root);
    Ok((project, name.to_string_lossy().into_owned()))
}

/// Takes in what the remote has. Where it is not to be had, what is here is shown.
fn take(
    args: &HistoryShow,
    surroundings: &Surroundings,
    (store_dir, settings): (&Path, &RemoteSettings),
) -> Result<(), CommandError> {
    let project = project_digest(surroundings, args.manifest_path.as_deref())?.0;
    let taken = Opened::new(settings, surroundings)
        .and_then(|opened| remote_history::take(&opened.client, store_dir, &project));
    if let Err(why) = taken {
        eprintln!("rekindle: warning: the history that others share is not to be had: {why}");
    }
    Ok(())
}

fn show(
    args: &HistoryShow,
    surroundings: &Surroundings,
    store_dir: &Path,
) -> Result<(), CommandError> {
    let (project, name) = project(surroundings, args.manifest_path.as_deref())?;
    let history = History::open_to_read(store_dir)?;
    let now_ms = SystemClock::default().now().0;
    let filter = Filter {
        branch: args.branch.clone(),
        command: args.of.clone(),
        since_ms: args
            .days
            .map(|days| now_ms.saturating_sub(u64::from(days) * DAY_MS)),
    };
    let runs = history.runs(&project, RUNS_MAX)?;
    let jobs = history.jobs(&project, RUNS_MAX)?;
    let overview = Overview::of(runs, &jobs, &filter);
    let text = match args.format {
        HistoryFormat::Text => text::text(&overview),
        HistoryFormat::Csv => csv::runs(&overview.runs),
        HistoryFormat::Html => page::page(&overview, &format!("History of {name}")),
        HistoryFormat::Json if args.output.is_none() => {
            return print_json(&json::History::from(&overview));
        }
        HistoryFormat::Json => {
            let json = serde_json::to_string(&json::History::from(&overview));
            json.map_err(CommandError::bug)? + "\n"
        }
    };
    match &args.output {
        Some(path) => write(path, &text),
        None => print(&text),
    }
}

impl From<HistoryError> for CommandError {
    fn from(error: HistoryError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
