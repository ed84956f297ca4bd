//! `rekindle stats`: what a run came to.

use rekindle::resolve_settings;
use rekindle_report::{Summary, json, stats_text};

use super::{list_runs, load_run, print, print_json, read_log};
use crate::cli::{Format, StatsArgs};
use crate::error::CommandError;

pub(crate) fn run(args: &StatsArgs) -> Result<(), CommandError> {
    let store_dir = resolve_settings()?.settings.store_dir;
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
            print(&stats_text(&summary))
        }
    }
}
