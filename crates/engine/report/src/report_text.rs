//! A report in a few lines, for a terminal and for logs.

use std::fmt::Write as _;

use crate::advice::Advice;
use crate::headline::Headline;
use crate::timeline::{Bar, Timeline};
use crate::traffic;
use crate::words::{COLUMNS, add_wrapped, percent, shortened, time};

/// So many of the slowest are named.
const SLOWEST: usize = 8;
/// Parts below this share of the wall, in per cent, are added up.
const SMALL: f64 = 1.0;

/// The text, its last line ended.
#[must_use]
pub fn report_text(timeline: &Timeline, advice: &[Advice]) -> String {
    let mut text = format!("{}\n", Headline::of(timeline).sentence());
    for one in advice {
        let gain = one
            .gain()
            .map_or(String::new(), |gain| format!(" ({gain})"));
        text.push('\n');
        add_wrapped(&mut text, 0, &format!("{}{gain}", one.title));
        for line in one.remedy.iter().chain(&one.evidence) {
            add_wrapped(&mut text, 2, line);
        }
    }
    add_since(&mut text, timeline);
    add_parts(&mut text, timeline);
    add_slowest(&mut text, timeline);
    if timeline.critical_us > 0 {
        let _ = writeln!(
            text,
            "\nCritical path: {} of {}, {} units",
            time(timeline.critical_us),
            time(timeline.wall_us),
            timeline.critical.len()
        );
    }
    add_traffic(&mut text, timeline);
    if timeline.summary.saved_us > 0 {
        let _ = writeln!(
            text,
            "\nSaved about {}, added up: what was reused took so long when it was stored",
            time(timeline.summary.saved_us)
        );
    }
    for warning in &timeline.summary.warnings {
        text.push('\n');
        add_wrapped(&mut text, 0, &format!("warning: {}", warning.message));
    }
    text
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a time in microseconds is far below 2^52"
)]
fn add_parts(text: &mut String, timeline: &Timeline) {
    if timeline.wall_us == 0 {
        return;
    }
    let mut parts = timeline.parts.clone();
    parts.sort_by_key(|of| std::cmp::Reverse(of.time_us));
    let share = |time_us: u64| time_us as f64 * 100.0 / timeline.wall_us as f64;
    let mut lines = Vec::new();
    let mut small_us = 0;
    for of in &parts {
        if share(of.time_us) < SMALL {
            small_us += of.time_us;
        } else {
            lines.push((of.part.title(), of.time_us));
        }
    }
    if small_us > 0 {
        lines.push(("Everything else", small_us));
    }
    let _ = writeln!(text, "\nWhere the time went");
    let width = lines
        .iter()
        .map(|(title, _)| title.len())
        .max()
        .unwrap_or(0);
    for (title, time_us) in lines {
        let _ = writeln!(
            text,
            "  {title:<width$}  {:>12}  {:>5}",
            time(time_us),
            percent(share(time_us))
        );
    }
}

fn add_since(text: &mut String, timeline: &Timeline) {
    let Some(since) = &timeline.since else {
        return;
    };
    let lines = since.lines();
    if lines.is_empty() {
        let _ = writeln!(text, "\n{}: no change worth a line", since.title());
        return;
    }
    let _ = writeln!(text, "\n{}", since.title());
    for line in lines {
        add_wrapped(text, 2, &line);
    }
}

fn add_traffic(text: &mut String, timeline: &Timeline) {
    let stores = traffic::of(&timeline.summary);
    if stores.iter().all(|one| one.in_bytes + one.out_bytes == 0) {
        return;
    }
    let _ = writeln!(text, "\nBytes");
    let width = stores.iter().map(|one| one.store.len()).max().unwrap_or(0);
    for one in stores {
        let _ = writeln!(text, "  {:<width$}  {}", one.store, one.figures());
    }
}

fn add_slowest(text: &mut String, timeline: &Timeline) {
    let mut slowest: Vec<(usize, &Bar)> = timeline.bars.iter().enumerate().collect();
    slowest.sort_by_key(|(_, bar)| std::cmp::Reverse(bar.time_us));
    slowest.truncate(SLOWEST);
    if slowest.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nSlowest");
    for (index, bar) in slowest {
        let mark = if timeline.critical.contains(&index) {
            "  on the critical path"
        } else {
            ""
        };
        // What is before the name takes so many columns.
        let room = COLUMNS - 16 - mark.len();
        let name = shortened(&bar.name(), room);
        let _ = writeln!(text, "  {:>12}  {name}{mark}", time(bar.time_us));
    }
}
