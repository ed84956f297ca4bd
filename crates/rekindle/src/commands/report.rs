//! `rekindle report`: where the time of a run went, as a page, as data, or in a few lines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rekindle::cargo_config::CargoConfig;
use rekindle::layout::{self, Asked};
use rekindle::{Surroundings, config::ConfigError, runs, settings};
use rekindle_report::{Advice, Report, Timeline, page, report_text, trace};

use super::{insight, load_run, print, print_json, since};
use crate::cli::{ReportArgs, ReportFormat};
use crate::error::CommandError;

/// File name of the page in a run's directory.
pub(crate) const PAGE: &str = "report.html";

pub(crate) fn run(args: &ReportArgs) -> Result<(), CommandError> {
    let surroundings = Surroundings::of_process().map_err(ConfigError::NoWorkingDirectory)?;
    let store_dir = settings::resolve(&surroundings)?.settings.store_dir;
    let (name, log) = load_run(&store_dir, &args.run)?;
    let mut timeline = Timeline::of_run(&name, &log.events);
    let root = root_of(&surroundings, &timeline);
    let places = (store_dir.as_path(), root.as_deref());
    timeline.since = since::find(&surroundings, places, (&name, &log.events), &timeline);
    let advice = insight::advice(&surroundings, &store_dir, (&name, &log.events));
    let text = match args.format {
        ReportFormat::Html => {
            let path = match &args.output {
                Some(path) => path.clone(),
                None => runs::runs_dir(&store_dir).join(&name).join(PAGE),
            };
            write(&path, &html(&timeline, &advice)?)?;
            print(&report_text(&timeline, &advice))?;
            print(&format!("page: {}\n", path.display()))?;
            return if args.open { open(&path) } else { Ok(()) };
        }
        ReportFormat::Text => report_text(&timeline, &advice),
        ReportFormat::Json if args.output.is_none() => {
            return print_json(&Report::new(&timeline, &advice));
        }
        ReportFormat::Json => {
            let json = serde_json::to_string(&Report::new(&timeline, &advice));
            json.map_err(CommandError::bug)? + "\n"
        }
        ReportFormat::Trace => trace(&timeline).map_err(CommandError::bug)? + "\n",
    };
    match &args.output {
        Some(path) => write(path, &text),
        None => print(&text),
    }
}

/// The workspace that a run was in, where it is still there.
fn root_of(surroundings: &Surroundings, timeline: &Timeline) -> Option<PathBuf> {
    let directory = Path::new(&timeline.directory);
    if !directory.is_absolute() {
        return None;
    }
    let config = CargoConfig::read(surroundings, directory, &[]);
    let layout = layout::find(surroundings, &config, directory, Asked::default()).ok()?;
    Some(layout.workspace_root)
}

/// The page of a run.
pub(crate) fn html(timeline: &Timeline, advice: &[Advice]) -> Result<String, CommandError> {
    page(timeline, advice).map_err(CommandError::bug)
}

/// Writes a file that a person asked for.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let written = match path.parent() {
        Some(dir) if dir != Path::new("") => rekindle_fsx::create_dir_all(dir),
        _ => Ok(()),
    };
    written
        .and_then(|()| rekindle_fsx::atomic::write(path, text.as_bytes()))
        .map_err(|error| {
            CommandError::environment(format!(
                "`{}` could not be written: {error}",
                path.display()
            ))
            .hint("name another place with `--output FILE`")
        })
}

/// Shows a file in what the desktop opens such files with.
fn open(path: &Path) -> Result<(), CommandError> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let path = rekindle_fsx::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let started = Command::new(opener)
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{opener}` ended with {status}")),
        Err(error) => Err(format!("`{opener}` could not be started: {error}")),
    }
    .map_err(|why| {
        CommandError::environment(format!("the page could not be shown: {why}"))
            .hint(format!("open `{}` in a browser", path.display()))
    })
}
