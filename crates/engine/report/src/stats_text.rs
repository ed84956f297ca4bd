//! `stats` for people: two columns, names left and numbers right, as compile caches print them.
//! The first five lines are those that scripts around CI logs look for.

use std::collections::BTreeMap;

use rekindle_base::ByteSize;

use crate::words::duration;
use crate::{Snapshots, Summary};

/// Lines of two columns.
#[derive(Default)]
struct Table(Vec<(String, String, &'static str)>);

impl Table {
    fn row(&mut self, name: impl Into<String>, value: impl ToString) -> &mut Self {
        self.unit(name, value, "")
    }

    fn unit(
        &mut self,
        name: impl Into<String>,
        value: impl ToString,
        unit: &'static str,
    ) -> &mut Self {
        self.0.push((name.into(), value.to_string(), unit));
        self
    }

    fn render(&self) -> String {
        let names = self.0.iter().map(|(name, ..)| name.len()).max();
        let values = self.0.iter().map(|(_, value, _)| value.len()).max();
        let (names, values) = (names.unwrap_or(0), values.unwrap_or(0));
        let mut text = String::new();
        for (name, value, unit) in &self.0 {
            let space = if unit.is_empty() { "" } else { " " };
            text.push_str(&format!("{name:<names$}  {value:>values$}{space}{unit}\n"));
        }
        text
    }
}

/// The whole text, its last line ended.
#[must_use]
pub fn stats_text(summary: &Summary) -> String {
    let mut table = Table::default();
    known_lines(&mut table, summary);
    units(&mut table, summary);
    processes(&mut table, summary);
    sums(&mut table, summary);
    snapshots(&mut table, summary);
    remotes(&mut table, summary);
    let mut text = table.render();
    for warning in &summary.warnings {
        text.push_str(&format!("warning: {}\n", warning.message));
    }
    text
}

fn known_lines(table: &mut Table, summary: &Summary) {
    table
        .row("Compile requests", summary.requests())
        .row("Compile requests executed", summary.hits + summary.misses)
        .row("Cache hits", summary.hits)
        .row("Cache misses", summary.misses);
    match summary.hit_rate() {
        Some(rate) => table.unit("Cache hit rate", format!("{rate:.2}"), "%"),
        None => table.row("Cache hit rate", "-"),
    };
}

fn units(table: &mut Table, summary: &Summary) {
    if summary.runs > 1 {
        table.row("Runs", summary.runs);
    }
    match summary.fresh {
        Some(fresh) => table.row("Units fresh", fresh),
        None => table.row("Units fresh", "not counted"),
    };
    table
        .row("Units restored", summary.hits)
        .row("Units missed", summary.misses)
        .row("Units uncacheable", summary.uncacheable);
    reasons(table, &summary.reasons);
    if summary.verified.same + summary.verified.different > 0 {
        table
            .row("Hits verified, same bits", summary.verified.same)
            .row("Hits verified, other bits", summary.verified.different);
    }
}

/// What the row before is made of.
fn reasons(table: &mut Table, reasons: &BTreeMap<String, u64>) {
    for (reason, count) in reasons {
        table.row(format!("  {}", reason.replace('_', " ")), count);
    }
}

fn snapshots(table: &mut Table, summary: &Summary) {
    let snapshots = &summary.snapshot;
    if *snapshots == Snapshots::default() {
        return;
    }
    if let Some(base) = &snapshots.base {
        table.row("Snapshot", base);
    }
    table
        .row("Units from a snapshot", snapshots.restored)
        .row("Units of it left out", snapshots.invalid)
        .row("Packages restored", snapshots.packages)
        .row("Bytes placed", ByteSize(snapshots.placed_bytes))
        .row("Bytes materialised", ByteSize(summary.materialised_bytes))
        .row("Units captured", snapshots.captured)
        .row("Units not captured", snapshots.left_out)
        .row("Time restoring", duration(snapshots.restore_us / 1000))
        .row("Time capturing", duration(snapshots.capture_us / 1000));
}

fn remotes(table: &mut Table, summary: &Summary) {
    let remote = &summary.remote;
    if remote.is_none() {
        return;
    }
    table
        .row("Saves found in the remote", remote.found)
        .row("Saves sent there", remote.saved)
        .row("Requests to it", remote.requests)
        .row("Requests that failed", remote.failed)
        .row("Bytes down", ByteSize(remote.bytes_down))
        .row("Bytes up", ByteSize(remote.bytes_up))
        .row("Bytes that nothing read", ByteSize(remote.bytes_unread))
        .row("Time looking for a save", duration(remote.pull_ms))
        .row("Time waiting for objects", duration(remote.waited_ms))
        .row("Time waiting for a save", duration(remote.push_ms));
}

fn processes(table: &mut Table, summary: &Summary) {
    table
        .row("Compilers started", summary.rustc_processes)
        .row("Linkers started", summary.linker_processes)
        .row("Build scripts run", summary.build_scripts)
        .row("Build scripts replayed", summary.replayed_scripts);
    if summary.started_tools + summary.reused_tools > 0 {
        table
            .row("C compilers and archivers started", summary.started_tools)
            .row("C objects and archives restored", summary.reused_tools);
    }
    let refused = summary.refused_scripts + summary.refused_tools;
    if refused > 0 {
        table.row("Scripts and C compiles not stored", refused);
        reasons(table, &summary.refusals);
    }
    for (linker, count) in &summary.linkers {
        table.row(format!("Linked with {linker}"), count);
    }
}

fn sums(table: &mut Table, summary: &Summary) {
    table
        .row("Time, whole run", duration(summary.wall_ms))
        .row(
            "Time compiling, added up",
            duration(summary.compile_us / 1000),
        )
        .row("Time linking, added up", duration(summary.link_us / 1000))
        .row(
            "Time in build scripts, added up",
            duration(summary.build_scripts_ms),
        )
        .row("Time saved (estimated)", duration(summary.saved_us / 1000))
        .row("Bytes restored", ByteSize(summary.restored_bytes))
        .row("Bytes stored", ByteSize(summary.published_bytes));
}

#[cfg(test)]
mod tests {
    use rekindle_events::{EventKind, Refusal, StepFate};

    use super::*;
    use crate::fixtures::{finished, hit, log, missed, never_seen, started, step};

    #[test]
    fn the_known_lines_come_first_and_line_up() {
        let events = log(vec![
            started("r"),
            EventKind::Unit(hit("a")),
            EventKind::Unit(hit("b")),
            EventKind::Unit(missed("c", never_seen())),
            finished(None),
        ]);
        let text = stats_text(&Summary::of_run("r", &events));
        let lines: Vec<_> = text.lines().collect();
        let words: Vec<Vec<_>> = lines[..5]
            .iter()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|w| !w.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(words[0], ["Compile requests", "3"]);
        assert_eq!(words[1], ["Compile requests executed", "3"]);
        assert_eq!(words[2], ["Cache hits", "2"]);
        assert_eq!(words[3], ["Cache misses", "1"]);
        assert_eq!(words[4], ["Cache hit rate", "66.67 %"]);
        assert_eq!(lines[0].len(), lines[1].len());
        assert!(text.contains("not counted"));
    }

    #[test]
    fn what_is_not_stored_of_scripts_is_no_reason_of_a_unit() {
        let mut refused = step("z", StepFate::Refused);
        refused.refused = Some(Refusal::Failed { exit_code: 1 });
        let events = log(vec![
            started("r"),
            EventKind::Unit(missed("c", never_seen())),
            EventKind::Step(refused),
            finished(None),
        ]);
        let text = stats_text(&Summary::of_run("r", &events));
        let below = |row: &str| {
            let lines = text
                .lines()
                .skip_while(|line| !line.starts_with(row))
                .skip(1);
            let lines = lines.take_while(|line| line.starts_with("  "));
            let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            words.collect::<Vec<_>>()
        };
        assert_eq!(below("Units uncacheable"), ["never seen 1"]);
        assert_eq!(below("Scripts and C compiles not stored"), ["failed 1"]);
    }

    #[test]
    fn no_units_have_no_rate() {
        let text = stats_text(&Summary::of_run("r", &[]));
        let rate = text.lines().nth(4).unwrap();
        assert!(rate.ends_with('-'), "{rate}");
    }
}
