//! The part of `docs/benchmarks.md` on machines that share a store over a link.

use std::fmt::Write;

use super::link::Distance;
use super::record::{Job, RemoteRecord, Run, Used};
use crate::bench::page::{Bar, quotient, ratio, render_bars, render_tools, seconds, shown};

const ABOUT: &str = "
# Shared stores

Machines that are born empty: no local store, no target directory, nothing in `CARGO_HOME`, a checkout made anew by git; what they
share is a bucket of a real S3 server (s3s-fs) at the far end of a link. Near and far are network namespaces, `tc tbf` keeps the rate
at both ends. Packages that nobody has saved are there without a download, unpacked by nobody; for sccache, kache and mbx, which leave
packages to others, all are there and unpacked, before the clock runs. The wall time is that of everything a job waits for, fetching and sending included; bytes are those of the near end's
device, with all headers, until the tool's daemon has ended. Each job starts from what the one before saved.
";

const KERNEL: &str = "Packets were delayed by `tc netem`.";
const RELAY: &str = "This kernel has no netem: a relay before the server holds all bytes back, and each new \
                     connection for a round trip, and acknowledges at once what the server sends; that TCP starts slowly does \
                     not show.";

// Writing into a `String` cannot fail, so the results of `write!` are dropped below.

pub(in crate::bench) fn render_remotes(page: &mut String, records: &[RemoteRecord]) {
    if records.is_empty() {
        return;
    }
    page.push_str(ABOUT);
    for record in records {
        let _ = write!(
            page,
            "\n## A shared store for {} ({})\n\n{} packages; medians of {} rounds. {}. {}\n",
            record.name,
            record.kind,
            record.packages,
            record.rounds,
            shown(&record.machine),
            if record.netem { KERNEL } else { RELAY },
        );
        for link in Distance::ALL {
            if record.runs.iter().any(|run| run.link == link) {
                render_link(page, record, link);
            }
        }
        page.push_str("\n**Bars**\n");
        render_bars(page, &bars(record));
        render_tools(page, &record.tools, &record.not_measured);
    }
}

fn render_link(page: &mut String, record: &RemoteRecord, link: Distance) {
    let there = |job: &Job| {
        record
            .runs
            .iter()
            .any(|run| run.link == link && run.job == *job)
    };
    let jobs: Vec<Job> = Job::ALL.into_iter().filter(there).collect();
    let _ = write!(
        page,
        "\n**{} ms there and back, {} Mbit/s**: wall time, bytes down, bytes up; in parentheses: packages built.\n\n| |",
        link.round_trip_ms(),
        link.megabits()
    );
    head(page, &jobs);
    for tool in &record.tools {
        let _ = write!(page, "| {} |", tool.name);
        for job in &jobs {
            let of = |figure: fn(&Run) -> u64| {
                record.median(link, &tool.name, *job, |run| Some(figure(run)))
            };
            let cell = of(|run| run.wall_ms).map(|wall_ms| {
                format!(
                    "{}, ↓ {}, ↑ {} ({})",
                    seconds(wall_ms),
                    megabytes(of(|run| run.bytes_down).unwrap_or(0)),
                    megabytes(of(|run| run.bytes_up).unwrap_or(0)),
                    of(|run| run.packages_built).unwrap_or(0)
                )
            });
            let _ = write!(page, " {} |", cell.as_deref().unwrap_or("–"));
        }
        page.push('\n');
    }
    render_requests(page, record, link, &jobs);
}

/// The rest of a table's first line, one column for each job, and the line below it.
fn head(page: &mut String, jobs: &[Job]) {
    for job in jobs {
        let _ = write!(page, " {} |", job.name());
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(jobs.len()));
}

/// A name, a figure, and whether it is a time in milliseconds.
type Row = (&'static str, fn(&Used) -> u64, bool);

/// What Rekindle says of its own requests and of its waiting.
fn render_requests(page: &mut String, record: &RemoteRecord, link: Distance, jobs: &[Job]) {
    const ROWS: [Row; 5] = [
        ("requests", |used| used.requests, false),
        ("requests that failed", |used| used.failed, false),
        ("looked for a save", |used| used.pull_ms, true),
        ("waited for objects, added up", |used| used.waited_ms, true),
        ("the end waited for the save", |used| used.push_ms, true),
    ];
    let _ = write!(page, "\n| rekindle |");
    head(page, jobs);
    for (name, figure, is_time) in ROWS {
        let _ = write!(page, "| {name} |");
        for job in jobs {
            let value = used(record, link, *job, figure);
            let cell = value.map_or_else(
                || "–".to_owned(),
                |value| {
                    if is_time {
                        seconds(value)
                    } else {
                        value.to_string()
                    }
                },
            );
            let _ = write!(page, " {cell} |");
        }
        page.push('\n');
    }
}

fn used(record: &RemoteRecord, link: Distance, job: Job, figure: fn(&Used) -> u64) -> Option<u64> {
    record.median(link, "rekindle", job, |run| run.remote.as_ref().map(figure))
}

fn bars(record: &RemoteRecord) -> Vec<Bar> {
    let runner = Distance::Runner;
    let wall = |job| record.wall_ms(runner, "rekindle", job);
    let mut bars = vec![at_most(
        "no change, empty machine, against a warm local store; 1 Gbit/s",
        wall(Job::NoChange),
        wall(Job::Warm),
        2.0,
        "of the warm local store",
        seconds,
    )];
    let office = Distance::Office;
    for (figure, link, job) in [
        ("next commit, empty machine; 1 Gbit/s", runner, Job::Commit),
        (
            "next commit, empty machine; 200 Mbit/s",
            office,
            Job::Commit,
        ),
        ("next version, empty machine; 1 Gbit/s", runner, Job::Next),
        ("next version, empty machine; 200 Mbit/s", office, Job::Next),
    ] {
        let of = record.best_rival(link, job);
        bars.push(at_most(
            figure,
            record.wall_ms(link, "rekindle", job),
            of.map(|(_, wall_ms)| wall_ms),
            0.5,
            &format!("of {}", of.map_or("the best rival", |(rival, _)| rival)),
            seconds,
        ));
    }
    let down = |tool, job| record.median(runner, tool, job, |run| Some(run.bytes_down));
    let up = |tool, job| record.median(runner, tool, job, |run| Some(run.bytes_up));
    // What it would send, had the key changed: an edit does not change it.
    let tarball = |job| down("rust-cache", job);
    for (figure, ours, theirs, limit) in [
        (
            "bytes down, no change",
            down("rekindle", Job::NoChange),
            tarball(Job::NoChange),
            0.1,
        ),
        (
            "bytes down, next commit",
            down("rekindle", Job::Commit),
            tarball(Job::Commit),
            0.4,
        ),
        (
            "bytes up, next commit",
            up("rekindle", Job::Commit),
            tarball(Job::Commit),
            0.1,
        ),
    ] {
        let of = "of the tarball";
        bars.push(at_most(figure, ours, theirs, limit, of, megabytes));
    }
    bars.push(requests(record, "requests, no change", Job::NoChange, 20));
    bars.push(requests(record, "requests, cold save", Job::Cold, 100));
    bars.push(at_most(
        "cold build that saves, against one without a remote; 1 Gbit/s",
        wall(Job::Cold),
        wall(Job::Alone),
        1.03,
        "of it",
        seconds,
    ));
    bars
}

fn at_most(
    figure: &'static str,
    ours: Option<u64>,
    theirs: Option<u64>,
    limit: f64,
    of: &str,
    shown: fn(u64) -> String,
) -> Bar {
    let both = ours.zip(theirs);
    Bar {
        figure,
        wanted: format!("≤ {limit} {of}"),
        measured: both.map_or_else(
            || "–".to_owned(),
            |(ours, theirs)| {
                let (share, ours, theirs) = (ratio(ours, theirs), shown(ours), shown(theirs));
                format!("{share} ({ours} against {theirs})")
            },
        ),
        met: both.map(|(ours, theirs)| quotient(ours, theirs) <= limit),
    }
}

/// The worst over links.
fn requests(record: &RemoteRecord, figure: &'static str, job: Job, limit: u64) -> Bar {
    let worst = Distance::ALL
        .into_iter()
        .filter_map(|link| used(record, link, job, |used| used.requests))
        .max();
    Bar {
        figure,
        wanted: format!("≤ {limit}"),
        measured: worst.map_or_else(|| "–".to_owned(), |worst| worst.to_string()),
        met: worst.map(|worst| worst <= limit),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", quotient(bytes, 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::ToolRecord;

    fn run(tool: &str, job: Job, wall_ms: u64, bytes_down: u64, bytes_up: u64) -> Run {
        Run {
            tool: tool.to_owned(),
            job,
            wall_ms,
            bytes_down,
            bytes_up,
            remote: (tool == "rekindle").then_some(Used {
                requests: 21,
                ..Used::default()
            }),
            ..Run::default()
        }
    }

    fn record() -> RemoteRecord {
        RemoteRecord {
            name: "example".to_owned(),
            tools: ["rekindle", "rust-cache"]
                .iter()
                .map(|name| ToolRecord {
                    name: (*name).to_owned(),
                    ..ToolRecord::default()
                })
                .collect(),
            runs: vec![
                run("rekindle", Job::Alone, 10_000, 0, 0),
                run("rekindle", Job::Cold, 10_400, 10, 9_000_000),
                run("rust-cache", Job::Cold, 12_000, 10, 20_000_000),
                run("rekindle", Job::NoChange, 900, 1_000_000, 10),
                run("rust-cache", Job::NoChange, 4_000, 20_000_000, 10),
                run("rekindle", Job::Next, 2_000, 1, 1),
                run("rust-cache", Job::Next, 4_000, 1, 1),
                run("rekindle", Job::Commit, 2_001, 9_000_000, 1_000_000),
                run("rust-cache", Job::Commit, 4_000, 20_000_000, 10),
            ],
            ..RemoteRecord::default()
        }
    }

    #[test]
    fn bars_say_what_is_met_and_what_was_not_measured() {
        let met: Vec<Option<bool>> = bars(&record()).iter().map(|bar| bar.met).collect();
        let expected = [
            None,        // no run with a warm local store
            Some(false), // a commit: more than half of the tarball's
            None,        // nothing over the office's link
            Some(true),  // a version: half of it
            None,
            Some(true),  // 1 MB of 20 MB
            Some(false), // 9 MB of 20 MB
            Some(true),  // 1 MB of 20 MB
            Some(false), // 21 requests
            Some(true),
            Some(false), // 4 % for sending
        ];
        assert_eq!(met, expected);
    }

    #[test]
    fn the_page_has_a_table_for_each_link_that_was_measured() {
        let mut page = String::new();
        render_remotes(&mut page, &[record()]);
        assert!(page.contains("10 ms there and back, 1000 Mbit/s"), "{page}");
        assert!(!page.contains("40 ms there and back"), "{page}");
        assert!(page.contains("0.90 s, ↓ 1.00 MB, ↑ 0.00 MB (0)"), "{page}");
    }
}
