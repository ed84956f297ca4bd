//! An overview for people, in columns.

use std::fmt::Write as _;

use rekindle_base::ByteSize;
use rekindle_report::words::{add_wrapped, count, duration, shortened};

use crate::overview::{Group, JobGroup, Overview, Percentiles};
use crate::regress::{AFTER, Metric, Regression};
use crate::time::day;

/// Rows of a table; the rest is counted.
const ROWS: usize = 20;

/// Steps of a job.
const STEPS: usize = 3;

/// The whole text, its last line ended.
#[must_use]
pub fn text(overview: &Overview) -> String {
    let mut text = String::new();
    if let (Some(first), Some(last)) = (overview.runs.first(), overview.runs.last()) {
        let _ = writeln!(
            text,
            "{} from {} to {}\n",
            count(overview.runs.len() as u64, "run", "runs"),
            day(first.began_ms),
            day(last.began_ms)
        );
        text.push_str(&groups(&overview.groups));
    }
    for found in &overview.regressions {
        text.push('\n');
        add_wrapped(&mut text, 0, &regression(found));
    }
    if !overview.jobs.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&jobs(&overview.jobs));
    }
    if text.is_empty() {
        text.push_str("no run of this project fits\n");
    }
    text
}

/// Lines of columns: the first `left` are words, the others figures.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|word| (*word).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column < left {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

pub(crate) const GROUP_HEAD: &[&str] = &[
    "command", "branch", "job", "runs", "failed", "p50", "p90", "p95", "hits", "linking", "in",
    "out", "saved",
];

pub(crate) fn group_row(group: &Group) -> Vec<String> {
    let none = || "-".to_owned();
    let [p50, p90, p95] = times(group.wall);
    let percent = |share: Option<f64>| share.map_or_else(none, |share| format!("{share:.0} %"));
    vec![
        group.command.clone(),
        group.branch.clone().unwrap_or_else(none),
        group.job.clone().unwrap_or_else(none),
        group.runs.to_string(),
        group.failed.to_string(),
        p50,
        p90,
        p95,
        percent(group.hit_rate),
        percent(group.link_share),
        ByteSize(group.bytes_in).to_string(),
        ByteSize(group.bytes_out).to_string(),
        duration(group.saved_ms),
    ]
}

fn times(of: Option<Percentiles>) -> [String; 3] {
    match of {
        Some(of) => [of.p50_ms, of.p90_ms, of.p95_ms].map(duration),
        None => ["-"; 3].map(str::to_owned),
    }
}

/// Letters of a branch with its job, so that a line is no wider than a terminal.
const WHERE: usize = 26;

/// Two tables, each no wider than a terminal: times, then what the cache did.
fn groups(groups: &[Group]) -> String {
    let all: Vec<&Group> = groups.iter().take(ROWS).collect();
    let row = |group: &Group, figures: std::ops::Range<usize>| {
        let mut cells = group_row(group);
        let place: Vec<&str> = [&group.branch, &group.job]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let place = shortened(&place.join(", "), WHERE);
        let figures: Vec<String> = cells.drain(figures).collect();
        [vec![cells[0].clone(), place], figures].concat()
    };
    let mut text = String::new();
    // Of `GROUP_HEAD` the columns behind the words.
    for (figures, is_last) in [(3..8, false), (8..GROUP_HEAD.len(), true)] {
        let head = [&["command", "branch, job"], &GROUP_HEAD[figures.clone()]].concat();
        let rows: Vec<Vec<String>> = all
            .iter()
            .map(|group| row(group, figures.clone()))
            .collect();
        text.push_str(&table(&head, &rows, 2));
        if !is_last {
            text.push('\n');
        }
    }
    if groups.len() > ROWS {
        let _ = writeln!(
            text,
            "{} more: see `--branch`, `--command`, or `--format json`",
            groups.len() - ROWS
        );
    }
    text
}

pub(crate) const JOB_HEAD: &[&str] = &[
    "workflow",
    "job",
    "jobs",
    "failed",
    "queue p50",
    "p95",
    "run p50",
    "p95",
    "longest steps",
];

pub(crate) fn job_row(group: &JobGroup) -> Vec<String> {
    let [queue, _, queue_p95] = times(group.queue);
    let [run, _, run_p95] = times(group.run);
    let steps = group
        .steps
        .iter()
        .take(STEPS)
        .map(|step| format!("{} {}", step.name, duration(step.time.p50_ms)));
    vec![
        group.workflow.clone(),
        group.name.clone(),
        group.jobs.to_string(),
        group.failed.to_string(),
        queue,
        queue_p95,
        run,
        run_p95,
        steps.collect::<Vec<_>>().join(", "),
    ]
}

fn jobs(groups: &[JobGroup]) -> String {
    let rows: Vec<Vec<String>> = groups.iter().take(ROWS).map(job_row).collect();
    table(JOB_HEAD, &rows, 2)
}

/// What got worse, in a sentence, its evidence included.
#[must_use]
pub fn regression(found: &Regression) -> String {
    let place = [
        found.branch.as_ref().map(|branch| format!(" on {branch}")),
        found.job.as_ref().map(|job| format!(" in {job}")),
    ];
    let place: String = place.into_iter().flatten().collect();
    let figure = |value: f64| match found.metric {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds, never negative"
        )]
        Metric::Wall | Metric::Link => duration(value as u64),
        Metric::HitRate => format!("{value:.0} %"),
    };
    let what = match found.metric {
        Metric::Wall => "is slower",
        Metric::Link => "links longer",
        Metric::HitRate => "hits less",
    };
    let commits = match (&found.last_good_commit, &found.since_commit) {
        (Some(good), Some(bad)) if good == bad => format!(" (commit {})", short(bad)),
        (Some(good), Some(bad)) => format!(" (commits {}..{})", short(good), short(bad)),
        _ => String::new(),
    };
    format!(
        "`{}`{place} {what} since {}{commits}: the median of the last {AFTER} runs is {}, of the {} before it \
         was {}, with a scatter of {}",
        found.command,
        day(found.since_ms),
        figure(found.now),
        found.before_runs,
        figure(found.before),
        figure(found.scatter),
    )
}

fn short(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{job, run};
    use crate::model::Run;
    use crate::overview::Filter;

    #[test]
    fn columns_line_up_and_what_got_worse_is_said() {
        let runs: Vec<Run> = (0..20)
            .map(|at| Run {
                wall_ms: if at < 12 { 100_000 } else { 150_000 },
                ..run(at)
            })
            .collect();
        let text = text(&Overview::of(runs, &[job(1)], &Filter::default()));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "20 runs from 2026-09-21 to 2026-09-21");
        assert_eq!(
            lines[2],
            "command  branch, job  runs  failed     p50     p90     p95"
        );
        assert_eq!(
            lines[3],
            "build    main, test     20       0  1m 40s  2m 30s  2m 30s"
        );
        assert!(
            lines[5].starts_with("command  branch, job  hits  linking        in       out"),
            "{text}"
        );
        assert!(lines[6].starts_with("build    main, test   75 %"), "{text}");
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            said.contains(
                "`build` on main in test is slower since 2026-09-21 (commits 000000000..000000000): the median of \
                 the last 5 runs is 2m 30s, of the 12 before it was 1m 40s, with a scatter of 0ms"
            ),
            "{text}"
        );
        assert!(text.contains("build 50.0s"), "{text}");
    }

    #[test]
    fn long_names_do_not_make_lines_longer_than_a_terminal_is_wide() {
        let runs: Vec<Run> = (0..20)
            .map(|at| Run {
                wall_ms: if at < 12 { 3_000_000 } else { 4_500_000 },
                branch: Some("feature/a-very-long-name-of-a-branch".to_owned()),
                job: Some("release-x86_64-unknown-linux-gnu".to_owned()),
                restored_bytes: 1023 << 30,
                ..run(at)
            })
            .collect();
        let text = text(&Overview::of(runs, &[], &Filter::default()));
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{text}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(text(&Overview::default()), "no run of this project fits\n");
    }
}
