//! `rekindle stats`: what a run came to.

use rekindle::config::ConfigError;
use rekindle::{Surroundings, settings};
use rekindle_report::{Advice, Summary, json, stats_text};

use super::{insight, list_runs, load_run, print, print_json, read_log};
use crate::cli::{Format, StatsArgs};
use crate::error::CommandError;

pub(crate) fn run(args: &StatsArgs) -> Result<(), CommandError> {
    let surroundings = Surroundings::of_process().map_err(ConfigError::NoWorkingDirectory)?;
    let store_dir = settings::resolve(&surroundings)?.settings.store_dir;
    let mut advice = Vec::new();
    let (summary, unread_lines) = if args.run == "all" {
        let mut sum = Summary::default();
        let mut unread_lines = 0;
        for name in list_runs(&store_dir)? {
            // An eviction may have taken it meanwhile.
            let Ok(log) = read_log(&store_dir, &name) else {
                continue;
            };
            unread_lines += log.unread_lines;
            sum.add(&Summary::of_run(&name, &log.events));
        }
        (sum, unread_lines)
    } else {
        let (name, log) = load_run(&store_dir, &args.run)?;
        if args.format == Format::Text {
            advice = insight::advice(&surroundings, &store_dir, (&name, &log.events));
        }
        (Summary::of_run(&name, &log.events), log.unread_lines)
    };
    if unread_lines > 0 {
        eprintln!(
            "rekindle: {unread_lines} lines of the log could not be read: cut short, or written by \
             a newer version"
        );
    }
    match args.format {
        Format::Json => print_json(&json::Stats::from(&summary)),
        Format::Text => {
            if let Some(run) = &summary.run {
                let command = summary.command.as_deref().unwrap_or("plain cargo");
                eprintln!("run {run} ({command})");
            }
            print(&stats_text(&summary))?;
            match advice.first() {
                Some(first) => print(&helps_most(first)),
                None => Ok(()),
            }
        }
    }
}

/// What would help most, in a line; `rekindle report` has the figures behind it.
fn helps_most(advice: &Advice) -> String {
    let gain = advice.gain();
    let gain = gain.map_or_else(String::new, |gain| format!(": would save {gain}"));
    format!("advice: {}{gain}; see `rekindle report`\n", advice.title)
}
