//! The first rows of the table of units, the figures of the cache, and what else there is to say.

use std::fmt::Write as _;

use rekindle_base::ByteSize;
use rekindle_events::{Fate, StepFate};

use crate::html::Text;
use crate::timeline::{Bar, Part, Timeline, What};
use crate::traffic;
use crate::words::{count as counted, time};

/// So many rows are there before the script runs.
const FIRST_ROWS: usize = 25;

/// What became of a bar, for people.
fn fate(what: What) -> &'static str {
    match what {
        What::Unit(Fate::Hit) => "from the store",
        What::Unit(Fate::Miss) => "compiled",
        What::Unit(Fate::Uncacheable) => "compiled, not stored",
        What::Script(Some(StepFate::Hit)) => "replayed",
        What::Script(Some(StepFate::Refused)) => "ran, not stored",
        What::Script(_) => "ran",
    }
}

pub(super) fn count(timeline: &Timeline) -> String {
    format!("{} in all", timeline.bars.len())
}

/// The slowest units.
pub(super) fn rows(timeline: &Timeline) -> String {
    let mut slowest: Vec<&Bar> = timeline.bars.iter().collect();
    slowest.sort_by_key(|bar| std::cmp::Reverse(bar.time_us));
    let mut rows = String::new();
    for bar in slowest.into_iter().take(FIRST_ROWS) {
        row(&mut rows, bar);
    }
    rows
}

fn row(rows: &mut String, bar: &Bar) {
    let front_us = [Part::Frontend, Part::Compile, Part::Script];
    let front_us = front_us.iter().map(|part| bar.part_us(*part)).sum();
    let _ = write!(
        rows,
        "<tr><td class=\"name\">{}</td><td class=\"fate\">{}</td><td class=\"number\">{}</td>",
        Text(&bar.name()),
        fate(bar.what),
        Text(&time(bar.time_us)),
    );
    for time_us in [
        bar.at_us,
        bar.at_us - bar.ready_us,
        front_us,
        bar.part_us(Part::Codegen),
        bar.part_us(Part::Link),
        bar.saved_us,
    ] {
        let _ = write!(
            rows,
            "<td class=\"number wide\">{}</td>",
            Text(&time(time_us))
        );
    }
    rows.push_str("</tr>");
}

/// The figures of the cache.
pub(super) fn cache(timeline: &Timeline) -> String {
    let summary = &timeline.summary;
    let snapshot = &summary.snapshot;
    let mut list = String::new();
    let mut add = |name: &str, value: &str| {
        let _ = write!(list, "<dt>{}</dt><dd>{}</dd>", Text(name), Text(value));
    };
    let fresh = summary
        .fresh
        .map_or("not counted".to_owned(), |n| n.to_string());
    add("Units fresh", &fresh);
    add("From the store", &summary.hits.to_string());
    add("Compiled", &summary.misses.to_string());
    add(
        "Compiled, as no store can help",
        &summary.uncacheable.to_string(),
    );
    let rate = summary
        .hit_rate()
        .map_or("–".to_owned(), |rate| format!("{rate:.1} %"));
    add("Hit rate", &rate);
    let scripts = format!(
        "{} of {}",
        summary.replayed_scripts,
        summary.replayed_scripts + summary.build_scripts
    );
    add("Build scripts replayed", &scripts);
    add(
        "In: placed from a snapshot",
        &ByteSize(snapshot.placed_bytes).to_string(),
    );
    add(
        "In: restored units",
        &ByteSize(summary.restored_bytes).to_string(),
    );
    add(
        "In: placeholders filled",
        &ByteSize(summary.materialised_bytes).to_string(),
    );
    add(
        "Out: units stored",
        &ByteSize(summary.published_bytes).to_string(),
    );
    add(
        "Out: snapshot stored",
        &ByteSize(snapshot.stored_bytes).to_string(),
    );
    for one in traffic::of(summary).iter().skip(1) {
        add(
            &format!("In: {}", one.store),
            &ByteSize(one.in_bytes).to_string(),
        );
        add(
            &format!("Out: {}", one.store),
            &ByteSize(one.out_bytes).to_string(),
        );
    }
    if summary.remote.waited_ms > 0 {
        let waited_us = summary.remote.waited_ms.saturating_mul(1000);
        add("Waited for the remote, added up", &time(waited_us));
    }
    add("Time saved, estimated", &time(summary.saved_us));
    let mut text = format!("<dl>{list}</dl>");
    text.push_str(
        "<p class=\"explain\">The time saved is what compilers and scripts took when the entries used here were stored, added \
         up. It is an estimate: they may have run on another machine, and side by side. Fresh units are not in it.</p>",
    );
    if let Some(base) = &snapshot.base {
        let units = counted(snapshot.restored, "unit", "units");
        let _ = write!(
            text,
            "<p class=\"explain\">Snapshot: {}; {units} restored, {} left out.</p>",
            Text(base),
            snapshot.invalid
        );
    }
    text
}

/// Reasons, linkers and warnings, where there are any.
pub(super) fn more(timeline: &Timeline) -> String {
    let summary = &timeline.summary;
    let mut text = String::new();
    let reasons = summary
        .reasons
        .iter()
        .map(|(name, count)| (name.replace('_', " "), count));
    list(&mut text, "Why units were compiled or scripts run", reasons);
    let linkers = summary
        .linkers
        .iter()
        .map(|(name, count)| (name.clone(), count));
    list(&mut text, "Linked with", linkers);
    if !summary.warnings.is_empty() {
        text.push_str("<section class=\"warnings\" aria-labelledby=\"warnings-title\"><h2 id=\"warnings-title\">Warnings</h2><ul>");
        for warning in &summary.warnings {
            let _ = write!(text, "<li>{}</li>", crate::html::Prose(&warning.message));
        }
        text.push_str("</ul></section>");
    }
    text
}

fn list<'a>(text: &mut String, title: &str, items: impl Iterator<Item = (String, &'a u64)>) {
    let mut items: Vec<(String, &u64)> = items.collect();
    if items.is_empty() {
        return;
    }
    items.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let _ = write!(text, "<section class=\"half\"><h2>{}</h2><dl>", Text(title));
    for (name, count) in items {
        let _ = write!(text, "<dt>{}</dt><dd>{count}</dd>", Text(&name));
    }
    text.push_str("</dl></section>");
}
