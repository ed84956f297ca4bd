//! The sentence that comes first, in every form of a report.

use rekindle_events::StepFate;

use crate::timeline::{Timeline, What};
use crate::words::{percent, time};

/// `Built in 41.2 s`, and the figures behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// What was done in how long.
    pub done: String,
    /// What that was made of, as in `300 units fresh`, in the order in which it is read.
    pub figures: Vec<String>,
    /// Whether cargo failed.
    pub failed: bool,
}

impl Headline {
    /// The headline of a run.
    #[must_use]
    pub fn of(timeline: &Timeline) -> Self {
        let summary = &timeline.summary;
        let took = time(timeline.wall_us);
        let failed = summary.exit_code.is_some_and(|code| code != 0);
        let command = summary.command.as_deref().unwrap_or("");
        let done = match (failed, command) {
            _ if timeline.wall_us == 0 && timeline.imported_from.is_some() => {
                "Figures without times".to_owned()
            }
            (false, _) if timeline.imported_from.is_some() => format!("Built in {took}"),
            (true, "") => format!("Failed after {took}"),
            (true, command) => format!("{command} failed after {took}"),
            (false, "build" | "b" | "rustc" | "install" | "") => format!("Built in {took}"),
            (false, "test" | "t" | "nextest") => format!("Tested in {took}"),
            (false, "check" | "c") => format!("Checked in {took}"),
            (false, "clippy") => format!("Linted in {took}"),
            (false, "doc" | "rustdoc") => format!("Documented in {took}"),
            (false, "bench") => format!("Benchmarked in {took}"),
            (false, "run" | "r") => format!("Built and run in {took}"),
            (false, command) => format!("{command} took {took}"),
        };
        Self {
            done,
            figures: figures(timeline),
            failed,
        }
    }

    /// All in one sentence, without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.figures.is_empty() {
            return self.done.clone();
        }
        format!("{}: {}", self.done, self.figures.join(", "))
    }
}

fn figures(timeline: &Timeline) -> Vec<String> {
    let summary = &timeline.summary;
    let mut figures = Vec::new();
    let mut add = |number: u64, one: &str, many: &str| {
        if number > 0 {
            figures.push(format!("{number} {}", if number == 1 { one } else { many }));
        }
    };
    add(summary.fresh.unwrap_or(0), "unit fresh", "units fresh");
    add(summary.hits, "from the store", "from the store");
    add(summary.misses + summary.uncacheable, "compiled", "compiled");
    let scripts = timeline
        .bars
        .iter()
        .filter(|bar| matches!(bar.what, What::Script(fate) if fate != Some(StepFate::Hit)));
    add(
        scripts.count() as u64,
        "build script run",
        "build scripts run",
    );
    if figures.is_empty() && summary.fresh.is_some() {
        figures.push("nothing to build".to_owned());
    }
    if summary.link_us > 0
        && let Some(share) = timeline.link_share()
    {
        figures.push(format!("link {}", percent(share)));
    }
    figures
}

#[cfg(test)]
mod tests {
    use rekindle_events::EventKind;

    use super::*;
    use crate::fixtures::{finished, hit, log, missed, never_seen, started};

    fn sentence(kinds: Vec<EventKind>) -> String {
        Headline::of(&Timeline::of_run("r", &log(kinds))).sentence()
    }

    #[test]
    fn the_sentence_says_what_happened() {
        let mut linked = missed("app", never_seen());
        linked.times.total_us = 2_000_000;
        linked.times.compile_us = 2_000_000;
        linked.times.link_us = 1_000_000;
        assert_eq!(
            sentence(vec![
                started("r"),
                EventKind::Unit(hit("a")),
                EventKind::Unit(linked),
                finished(Some(300)),
            ]),
            "Built in 4.0 s: 300 units fresh, 1 from the store, 1 compiled, link 25 %"
        );
        assert_eq!(
            sentence(vec![started("r"), finished(Some(0))]),
            "Built in 4.0 s: nothing to build"
        );
    }

    #[test]
    fn a_failure_is_said_first() {
        let EventKind::RunFinished(mut end) = finished(None) else {
            unreachable!("the fixture is that")
        };
        end.exit_code = 101;
        assert_eq!(
            sentence(vec![started("r"), EventKind::RunFinished(end)]),
            "build failed after 4.0 s"
        );
    }
}
