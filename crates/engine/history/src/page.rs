//! An overview as one HTML file: no script, no network; light and dark; plots are inline SVG.
//!
//! Each plot is one series: a dot for each run by time, the median of each [`BIN`] runs as a line, and what got
//! worse as a mark. The tables below say the same in words, so that nothing depends on the plots.

use std::fmt::Write as _;

use rekindle_report::html::{Prose, Text};
use rekindle_report::words::{count, duration};

use crate::model::Run;
use crate::overview::{Overview, Percentiles, by_series};
use crate::regress::{Metric, Regression};
use crate::text::{GROUP_HEAD, JOB_HEAD, group_row, job_row, regression};
use crate::time::{day, stamp};

/// Series that get a plot: those with most runs.
const PLOTS: usize = 12;

/// A series of fewer runs gets none.
const RUNS_MIN: usize = 3;

/// Dots of a plot; of more runs the newest are drawn.
const DOTS_MAX: usize = 600;

/// Runs that a median is drawn of.
const BIN: usize = 10;

const WIDTH: f64 = 540.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;

/// The colours are those of a run's report.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fcfbf9;--ink:#211d1a;--soft:#6b635b;--line:#e7e1d9;--ember:#c2410c;--dot:#3f5fc2;--middle:#e0762b}\
@media(prefers-color-scheme:dark){:root{--paper:#151311;--ink:#eee8e1;--soft:#a89d92;--line:#322d28;--ember:#ff9152;--dot:#7391f0;--middle:#f08a3c}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif;font-variant-numeric:tabular-nums}\
main{max-width:1120px;margin:0 auto;padding:28px 28px 64px}\
h1{margin:0;font-size:clamp(30px,5.4vw,46px);line-height:1.1;font-weight:650;letter-spacing:-.022em;overflow-wrap:anywhere}\
.lead{margin:10px 0 26px;font-size:clamp(16px,2.2vw,19px);color:var(--soft)}\
h2{margin:52px 0 12px;font-size:17px;font-weight:620}\
.note{color:var(--soft);font-size:13px;max-width:100ch}\
.worse{padding-left:1.2em}.worse li::marker{color:var(--ember)}\
.wide{overflow-x:auto}table{border-collapse:collapse;white-space:nowrap}\
:focus-visible{outline:2px solid var(--ember);outline-offset:2px;border-radius:4px}\
th,td{padding:4px 18px 4px 0;text-align:right;border-bottom:1px solid var(--line)}\
th{color:var(--soft);font-weight:500}th.word,td.word{text-align:left}td.word{white-space:normal;overflow-wrap:anywhere;min-width:6em}\
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:24px 40px}\
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
figure{margin:0}figcaption{overflow-wrap:anywhere}svg{display:block;width:100%;height:auto}\
svg text{fill:var(--soft);font-size:12px}svg .axis{stroke:var(--line)}\
svg circle{fill:var(--dot);fill-opacity:.5}svg circle.failed{fill:none;stroke:var(--ember);stroke-width:1.5}\
svg .median{fill:none;stroke:var(--middle);stroke-width:2.5;stroke-linejoin:round}svg .since{stroke:var(--ember);stroke-dasharray:4 3}";

/// The whole page.
#[must_use]
pub fn page(overview: &Overview, title: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n",
        title = Text(title)
    );
    match (overview.runs.first(), overview.runs.last()) {
        (Some(first), Some(last)) => {
            let _ = writeln!(
                page,
                "<p class=\"lead\">{} from {} to {}</p>",
                count(overview.runs.len() as u64, "run", "runs"),
                day(first.began_ms),
                day(last.began_ms)
            );
        }
        _ => page.push_str("<p>No run of this project fits.</p>\n"),
    }
    worse(&mut page, &overview.regressions);
    plots(&mut page, overview);
    if !overview.groups.is_empty() {
        page.push_str("<h2>Runs by command, branch and job</h2>\n");
        let rows: Vec<Vec<String>> = overview.groups.iter().map(group_row).collect();
        table(&mut page, GROUP_HEAD, &rows, 3);
        page.push_str("<p class=\"note\">Times are wall times of cargo of runs that succeeded, percentiles by nearest rank. Hits are of the units that a store can serve; linking is of the time inside compilers.</p>\n");
    }
    if !overview.jobs.is_empty() {
        page.push_str("<h2>Jobs of the CI service</h2>\n");
        let rows: Vec<Vec<String>> = overview.jobs.iter().map(job_row).collect();
        table(&mut page, JOB_HEAD, &rows, 2);
    }
    page.push_str("</main></body></html>\n");
    page
}

fn worse(page: &mut String, found: &[Regression]) {
    page.push_str("<h2>What got worse</h2>\n");
    if found.is_empty() {
        page.push_str("<p>Nothing, by the rule: the median of five runs against that of up to twenty before, beyond three times their scatter, and still so.</p>\n");
        return;
    }
    page.push_str("<ul class=\"worse\">\n");
    for regression_found in found {
        let _ = writeln!(page, "<li>{}</li>", Prose(&regression(regression_found)));
    }
    page.push_str("</ul>\n");
}

fn table(page: &mut String, head: &[&str], rows: &[Vec<String>], left: usize) {
    let class = |column: usize| if column < left { " class=\"word\"" } else { "" };
    page.push_str("<div class=\"wide\" tabindex=\"0\"><table><thead><tr>");
    for (column, word) in head.iter().enumerate() {
        let _ = write!(page, "<th scope=\"col\"{}>{word}</th>", class(column));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(column), Text(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

fn plots(page: &mut String, overview: &Overview) {
    let mut series: Vec<_> = by_series(&overview.runs)
        .into_iter()
        .filter(|(_, runs)| runs.len() >= RUNS_MIN)
        .collect();
    series.sort_by_key(|(_, runs)| std::cmp::Reverse(runs.len()));
    if !series.is_empty() {
        page.push_str("<h2>Wall time</h2>\n<div class=\"plots\">\n");
    }
    for ((command, branch, job), runs) in series.iter().take(PLOTS) {
        let since = overview.regressions.iter().find(|found| {
            found.metric == Metric::Wall
                && found.command == *command
                && found.branch.as_deref() == *branch
                && found.job.as_deref() == *job
        });
        let mut name = format!("`{command}`");
        if let Some(branch) = branch {
            let _ = write!(name, " on {branch}");
        }
        if let Some(job) = job {
            let _ = write!(name, " in {job}");
        }
        let newest = &runs[runs.len().saturating_sub(DOTS_MAX)..];
        plot(page, &name, newest, since.map(|found| found.since_ms));
    }
    if !series.is_empty() {
        page.push_str("</div>\n<p class=\"note\">A dot for each run, an open one where it failed; the line is the median of every ten that succeeded; a dashed line is where a run got slower, by the rule.</p>\n");
    }
}

/// Where things are in a plot.
struct Scale {
    from_ms: u64,
    span_ms: u64,
    top_ms: u64,
}

#[allow(clippy::cast_precision_loss, reason = "pixels")]
impl Scale {
    fn x(&self, at_ms: u64) -> f64 {
        let share = at_ms.saturating_sub(self.from_ms) as f64 / self.span_ms as f64;
        LEFT + share * (WIDTH - LEFT - 10.0)
    }

    fn y(&self, wall_ms: u64) -> f64 {
        let share = wall_ms as f64 / self.top_ms as f64;
        HEIGHT - BOTTOM - share.min(1.0) * (HEIGHT - BOTTOM - TOP)
    }
}

fn plot(page: &mut String, name: &str, runs: &[&Run], since_ms: Option<u64>) {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return;
    };
    let longest = runs.iter().map(|run| run.wall_ms).max().unwrap_or(0);
    let scale = Scale {
        from_ms: first.began_ms,
        span_ms: (last.began_ms - first.began_ms).max(1),
        top_ms: top_ms(longest),
    };
    let median = Percentiles::of(runs.iter().map(|run| run.wall_ms).collect());
    let label = format!(
        "Wall time of {name}: {}, median {}, longest {}",
        count(runs.len() as u64, "run", "runs"),
        duration(median.map_or(0, |all| all.p50_ms)),
        duration(longest)
    );
    let _ = write!(
        page,
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        Prose(name),
        Text(&label)
    );
    axes(page, &scale, (first.began_ms, last.began_ms));
    for run in runs {
        let _ = write!(
            page,
            "<circle{} cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{} {} {}</title></circle>",
            if run.exit_code == 0 {
                ""
            } else {
                " class=\"failed\""
            },
            scale.x(run.began_ms),
            scale.y(run.wall_ms),
            stamp(run.began_ms),
            duration(run.wall_ms),
            Text(
                run.commit
                    .as_deref()
                    .and_then(|commit| commit.get(..9))
                    .unwrap_or_default()
            ),
        );
    }
    medians(page, &scale, runs);
    if let Some(since_ms) = since_ms {
        let x = scale.x(since_ms);
        let _ = write!(
            page,
            "<line class=\"since\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"><title>slower since {}</title></line>",
            HEIGHT - BOTTOM,
            day(since_ms)
        );
    }
    page.push_str("</svg></figure>\n");
}

/// The top of a plot: the next time that people count in, whose half is one, too.
fn top_ms(longest: u64) -> u64 {
    const UNITS_MS: [u64; 4] = [1, 1_000, 60_000, 3_600_000];
    const STEPS: [u64; 16] = [
        2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 100, 200, 500,
    ];
    let times = UNITS_MS.into_iter().flat_map(|unit_ms| {
        let steps = STEPS.into_iter().map(move |step| step * unit_ms);
        // Beyond that the next unit has them.
        steps.filter(move |ms| unit_ms != 1_000 && unit_ms != 60_000 || *ms < 60 * unit_ms)
    });
    let mut fitting = times.filter(|ms| *ms >= longest);
    fitting.next().unwrap_or(longest)
}

fn axes(page: &mut String, scale: &Scale, (from_ms, until_ms): (u64, u64)) {
    for part in [0, scale.top_ms / 2, scale.top_ms] {
        let y = scale.y(part);
        let _ = write!(
            page,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 10.0,
            LEFT - 6.0,
            y + 4.0,
            duration(part)
        );
    }
    let _ = write!(
        page,
        "<text x=\"{LEFT}\" y=\"{0}\">{1}</text><text x=\"{2}\" y=\"{0}\" text-anchor=\"end\">{3}</text>",
        HEIGHT - 6.0,
        day(from_ms),
        WIDTH - 10.0,
        day(until_ms)
    );
}

fn medians(page: &mut String, scale: &Scale, runs: &[&Run]) {
    let good: Vec<&&Run> = runs.iter().filter(|run| run.exit_code == 0).collect();
    let points = good.chunks(BIN).filter_map(|bin| {
        let wall = Percentiles::of(bin.iter().map(|run| run.wall_ms).collect())?;
        let middle = bin[bin.len() / 2].began_ms;
        Some(format!(
            "{:.1},{:.1}",
            scale.x(middle),
            scale.y(wall.p50_ms)
        ))
    });
    let points: Vec<String> = points.collect();
    let _ = write!(
        page,
        "<polyline class=\"median\" points=\"{}\"/>",
        points.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_end_where_people_count() {
        for (longest, top) in [
            (0, 2),
            (900, 2_000),
            (1_500, 2_000),
            (59_000, 120_000),
            (607_000, 720_000),
            (1_108_000, 1_200_000),
            (3_500_000, 7_200_000),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(top_ms(longest), top, "{longest}");
        }
    }
    use crate::fixtures::{job, run};
    use crate::overview::Filter;

    fn of(runs: Vec<Run>) -> String {
        page(
            &Overview::of(runs, &[job(1)], &Filter::default()),
            "History of <r>",
        )
    }

    #[test]
    fn a_page_has_plots_tables_and_what_got_worse() {
        let runs = (0..20).map(|at| Run {
            wall_ms: if at < 12 { 100_000 } else { 150_000 },
            ..run(at)
        });
        let page = of(runs.collect());
        assert_eq!(page.matches("<circle").count(), 20);
        assert_eq!(page.matches("class=\"since\"").count(), 1);
        assert!(page.contains("is slower since"));
        assert!(page.contains("History of &lt;r&gt;"));
        for outside in ["http:", "https:", "src=", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn names_of_others_are_no_markup() {
        let evil = "</title><script>alert(1)</script>\"'&";
        let runs = (0..9).map(|at| Run {
            branch: Some(evil.into()),
            job: Some(evil.into()),
            commit: Some(evil.into()),
            ..run(at)
        });
        assert!(!of(runs.collect()).contains("<script"));
    }

    #[test]
    fn plots_are_bounded() {
        let page = of((0..5_000).map(run).collect());
        assert_eq!(page.matches("<circle").count(), DOTS_MAX);
        assert!(of(Vec::new()).contains("No run"));
    }
}
