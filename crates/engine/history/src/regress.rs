//! What got worse, by rule.
//!
//! A *series* is the successful runs of one command on one branch in one job, by time. At each place in it the
//! [`AFTER`] runs from there on are compared with up to [`BEFORE`] runs before. It is a regression where
//!
//! - there are at least [`BEFORE_MIN`] runs before and [`AFTER`] after,
//! - the medians differ, for the worse, by more than [`DEVIATIONS`] times the scatter of those before, which is
//!   1.4826 times their median absolute deviation from their median (of normal noise, its standard deviation);
//!   that of up to [`SCATTER_OF`] runs before counts where it is larger, as few runs may happen to be alike,
//! - at least [`AFTER_WORSE`] of the runs from there on are that much worse,
//! - and by more than a floor below which nobody cares: of wall and link time 10 % and 1 s, of the hit rate 10
//!   points,
//! - and the last [`AFTER`] runs of the series are still that much worse: what was mended is not shown.
//!
//! Of several places in a series the one with the largest difference is when it began. Medians and median
//! deviations leave single odd runs without effect: a runner that was slow once, a cache that was lost once.

use crate::model::Run;
use crate::overview::by_series;

/// Runs from the place on.
pub const AFTER: usize = 5;

/// Runs before the place, at most.
pub const BEFORE: usize = 20;

/// Runs before the place, at least.
pub const BEFORE_MIN: usize = 10;

/// Of the runs from the place on, so many are worse than the limit, at least.
pub const AFTER_WORSE: usize = 4;

/// Runs before the place whose scatter counts where it is larger.
pub const SCATTER_OF: usize = 60;

/// How many times the scatter is too far.
pub const DEVIATIONS: f64 = 3.0;

/// Makes the standard deviation of normal noise of a median absolute deviation.
const NORMAL: f64 = 1.4826;

/// The newest runs of a series that are places: what began before them is no news.
const LOOKED_AT: usize = 200;

/// What got worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Wall time, in milliseconds.
    Wall,
    /// Time inside linkers, in milliseconds.
    Link,
    /// Hits among the units that a store can serve, in per cent.
    HitRate,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wall, Self::Link, Self::HitRate];

    /// The word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wall => "wall_ms",
            Self::Link => "link_ms",
            Self::HitRate => "hit_rate",
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds below 2^53")]
    fn of(self, run: &Run) -> Option<f64> {
        match self {
            Self::Wall => Some(run.wall_ms as f64),
            Self::Link => Some(run.link_ms as f64),
            Self::HitRate => run.hit_rate(),
        }
    }

    /// By how much something is worse: positive is worse.
    fn worse_by(self, before: f64, after: f64) -> f64 {
        match self {
            Self::Wall | Self::Link => after - before,
            Self::HitRate => before - after,
        }
    }

    /// What nobody cares about.
    fn floor(self, before: f64) -> f64 {
        match self {
            Self::Wall | Self::Link => (before * 0.1).max(1_000.0),
            Self::HitRate => 10.0,
        }
    }
}

/// Something got worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// What.
    pub metric: Metric,
    /// cargo's subcommand.
    pub command: String,
    /// Branch.
    pub branch: Option<String>,
    /// The CI service's name of the job.
    pub job: Option<String>,
    /// The median before.
    pub before: f64,
    /// How many runs that is of.
    pub before_runs: usize,
    /// The scatter of these.
    pub scatter: f64,
    /// The median of the newest runs.
    pub now: f64,
    /// When the first of the worse runs began: milliseconds since 1970.
    pub since_ms: u64,
    /// Its commit.
    pub since_commit: Option<String>,
    /// The commit of the run before it.
    pub last_good_commit: Option<String>,
}

/// Finds what got worse among runs that are ordered by time, the largest differences first.
#[must_use]
pub fn find(runs: &[Run]) -> Vec<Regression> {
    let mut found: Vec<(f64, Regression)> = Vec::new();
    for ((command, branch, job), series) in by_series(runs) {
        for metric in Metric::ALL {
            let points: Vec<(f64, &Run)> = series
                .iter()
                .filter(|run| run.exit_code == 0)
                .filter_map(|run| Some((metric.of(run)?, *run)))
                .collect();
            let newest = &points[points.len().saturating_sub(LOOKED_AT + SCATTER_OF)..];
            let Some(step) = step(metric, newest) else {
                continue;
            };
            let first = newest[step.at].1;
            let regression = Regression {
                metric,
                command: command.to_owned(),
                branch: branch.map(str::to_owned),
                job: job.map(str::to_owned),
                before: step.before,
                before_runs: step.before_runs,
                scatter: step.scatter,
                now: step.now,
                since_ms: first.began_ms,
                since_commit: first.commit.clone(),
                last_good_commit: newest[step.at - 1].1.commit.clone(),
            };
            found.push((step.excess(metric), regression));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found
        .into_iter()
        .map(|(_, regression)| regression)
        .collect()
}

/// A step in a series.
#[derive(Clone, Copy, Debug)]
struct Step {
    at: usize,
    before: f64,
    before_runs: usize,
    scatter: f64,
    now: f64,
}

impl Step {
    /// How many times its threshold the difference is.
    fn excess(&self, metric: Metric) -> f64 {
        let threshold = threshold(metric, self.before, self.scatter);
        metric.worse_by(self.before, self.now) / threshold
    }
}

fn threshold(metric: Metric, before: f64, scatter: f64) -> f64 {
    metric.floor(before).max(DEVIATIONS * scatter)
}

fn step(metric: Metric, points: &[(f64, &Run)]) -> Option<Step> {
    let values: Vec<f64> = points.iter().map(|(value, _)| *value).collect();
    let now = median(&values[values.len().checked_sub(AFTER)?..]);
    let mut best: Option<(f64, Step)> = None;
    let first = values.len().saturating_sub(LOOKED_AT).max(BEFORE_MIN);
    for at in first..=values.len() - AFTER {
        let before = &values[at.saturating_sub(BEFORE)..at];
        let middle = median(before);
        let after = median(&values[at..at + AFTER]);
        let by = metric.worse_by(middle, after);
        // Most places end here, before anything is sorted for its scatter.
        if by <= metric.floor(middle) {
            continue;
        }
        let scatter = scatter(before).max(scatter(&values[at.saturating_sub(SCATTER_OF)..at]));
        let limit = threshold(metric, middle, scatter);
        // The place is where the first worse run is, not one before it of which most runs after are worse.
        let is_first = metric.worse_by(middle, values[at]) > limit;
        let is_still = metric.worse_by(middle, now) > limit;
        let worse = values[at..at + AFTER]
            .iter()
            .filter(|value| metric.worse_by(middle, **value) > limit);
        let are_worse = worse.count() >= AFTER_WORSE;
        if by > limit && is_first && are_worse && is_still && best.is_none_or(|(most, _)| by > most)
        {
            let step = Step {
                at,
                before: middle,
                before_runs: before.len(),
                scatter,
                now,
            };
            best = Some((by, step));
        }
    }
    best.map(|(_, step)| step)
}

/// How far values are from their median.
fn scatter(values: &[f64]) -> f64 {
    let middle = median(values);
    let deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    NORMAL * median(&deviations)
}

/// The median; of an even number the mean of the two in the middle. Of nothing 0.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::run;

    /// Runs of these walls in seconds.
    fn series(walls: &[u64]) -> Vec<Run> {
        (0..)
            .zip(walls)
            .map(|(at, wall)| Run {
                wall_ms: wall * 1000,
                ..run(at)
            })
            .collect()
    }

    fn check(walls: &[u64], since: Option<u64>) {
        let found = find(&series(walls));
        let found: Vec<u64> = found.iter().map(|found| found.since_ms).collect();
        let expected: Vec<u64> = since.map(|at| run(at).began_ms).into_iter().collect();
        assert_eq!(found, expected, "{walls:?}");
    }

    /// Noise of a few per cent around 100 s.
    const NOISE: [u64; 12] = [100, 103, 98, 101, 97, 102, 99, 100, 104, 96, 101, 100];

    fn with(tail: &[u64]) -> Vec<u64> {
        [&NOISE, tail].concat()
    }

    #[test]
    fn a_step_that_stays_is_found_where_it_began() {
        check(&with(&[130, 128, 133, 129, 131]), Some(12));
        check(&with(&[101, 99, 130, 128, 133, 129, 131, 130]), Some(14));
    }

    #[test]
    fn noise_odd_runs_and_what_was_mended_are_not() {
        check(&NOISE, None);
        check(&with(&[100, 300, 99, 102, 98, 300, 101]), None);
        check(
            &with(&[130, 128, 133, 129, 131, 100, 101, 99, 100, 102]),
            None,
        );
        check(&with(&[105, 106, 104, 105, 106]), None);
    }

    #[test]
    fn a_step_within_the_scatter_is_not() {
        let wild = [100, 180, 90, 170, 100, 190, 80, 160, 110, 175, 95, 165];
        check(&[&wild[..], &[190, 185, 195, 188, 192]].concat(), None);
        let calm = [130; 12];
        check(&[&calm[..], &[190, 185, 195, 188, 192]].concat(), Some(12));
    }

    #[test]
    fn too_few_runs_say_nothing() {
        let of = |before: usize, after: usize| [vec![100; before], vec![200; after]].concat();
        check(&of(9, 5), None);
        check(&of(10, 4), None);
        check(&of(10, 5), Some(10));
    }

    #[test]
    fn few_runs_that_happen_to_be_alike_are_not_all_the_scatter() {
        // Wild for long, then alike by chance, then as wild as ever.
        let wild: Vec<u64> = (0..40).map(|at| 100 + at * 37 % 90).collect();
        let alike = [140; 20];
        check(
            &[&wild[..], &alike, &[170, 172, 168, 175, 171]].concat(),
            None,
        );
        check(&[&alike[..], &[170, 172, 168, 175, 171]].concat(), Some(20));
    }

    #[test]
    fn what_began_long_ago_is_no_news() {
        let of = |after: usize| [vec![100; 30], vec![200; after]].concat();
        check(&of(LOOKED_AT), Some(30));
        check(&of(LOOKED_AT + BEFORE), None);
    }

    #[test]
    fn most_of_the_runs_after_are_worse() {
        check(&with(&[130, 128, 133, 100, 131]), Some(12));
        check(&with(&[130, 128, 101, 100, 131]), None);
    }

    #[test]
    fn a_second_that_nobody_notices_is_not() {
        // 40 % more, but below one second.
        let walls: Vec<Run> = series(&[1; 20])
            .into_iter()
            .enumerate()
            .map(|(at, run)| Run {
                wall_ms: if at < 12 { 1_000 } else { 1_400 },
                ..run
            })
            .collect();
        assert_eq!(find(&walls), []);
    }

    #[test]
    fn commits_on_both_sides_are_named() {
        let found = find(&series(&with(&[130; 5])));
        assert_eq!(found[0].since_commit, run(12).commit);
        assert_eq!(found[0].last_good_commit, run(11).commit);
        assert_eq!(found[0].metric, Metric::Wall);
    }

    #[test]
    fn a_hit_rate_that_fell_is_found() {
        let runs: Vec<Run> = (0..20)
            .map(|at| Run {
                hits: if at < 12 { 38 } else { 12 },
                misses: if at < 12 { 2 } else { 28 },
                ..run(at)
            })
            .collect();
        let found = find(&runs);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].metric, Metric::HitRate);
        assert_eq!((found[0].before, found[0].now), (95.0, 30.0));
    }

    #[test]
    fn failed_runs_and_other_series_are_apart() {
        let mut runs = series(&with(&[130, 128, 133, 129, 131]));
        for run in &mut runs[12..] {
            run.exit_code = 101;
        }
        assert_eq!(find(&runs), []);
        let mut runs = series(&with(&[130, 128, 133, 129, 131]));
        for run in &mut runs[12..] {
            run.branch = Some("topic".into());
        }
        assert_eq!(find(&runs), []);
    }

    proptest! {
        #[test]
        fn any_series_is_taken(walls in prop::collection::vec(0u64..1_000_000, 0..60)) {
            let _ = find(&series(&walls));
        }
    }
}
