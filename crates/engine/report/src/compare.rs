//! What changed between two runs of one command.

use std::cmp::Reverse;
use std::collections::HashMap;

use rekindle_events::Fate;

use crate::timeline::{Bar, Part, Timeline, What};

/// A difference below this is not worth a line, in microseconds.
const WORTH_US: u64 = 500_000;
/// Nor is one below this part of what it was.
const WORTH_PARTS: u64 = 10;

/// A time then and now, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In the earlier run.
    pub then_us: u64,
    /// In this one.
    pub now_us: u64,
}

impl Pair {
    /// Whether the difference is more than two runs of the same have.
    #[must_use]
    pub fn is_worth_saying(&self) -> bool {
        let difference_us = self.now_us.abs_diff(self.then_us);
        difference_us >= WORTH_US && difference_us >= self.then_us / WORTH_PARTS
    }
}

/// What changed since an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Name of the earlier run.
    pub since: String,
    /// When it began: milliseconds since 1970.
    pub since_ms: u64,
    /// The wall.
    pub wall: Pair,
    /// What of the wall went into linking.
    pub link: Pair,
    /// Units compiled, then and now.
    pub compiled: (u64, u64),
    /// Units that both runs compiled, and that took longer now: most added first.
    pub slower: Vec<(String, Pair)>,
    /// Units that were compiled now and not then, longest first.
    pub new: Vec<(String, u64)>,
}

impl Changes {
    /// Compares.
    #[must_use]
    pub fn between(then: &Timeline, now: &Timeline) -> Self {
        let compiled = |of: &Timeline| of.summary.misses + of.summary.uncacheable;
        let link = |of: &Timeline| of.part_us(Part::Link);
        let before = compiles(then);
        let mut slower = Vec::new();
        let mut new = Vec::new();
        for (name, now_us) in compiles(now) {
            match before.get(&name) {
                Some(&then_us) => {
                    let pair = Pair { then_us, now_us };
                    if now_us > then_us && pair.is_worth_saying() {
                        slower.push((name, pair));
                    }
                }
                None => new.push((name, now_us)),
            }
        }
        slower.sort_by_key(|(name, pair)| (Reverse(pair.now_us - pair.then_us), name.clone()));
        new.sort_by_key(|(name, time_us)| (Reverse(*time_us), name.clone()));
        Self {
            since: then.summary.run.clone().unwrap_or_default(),
            since_ms: then.began_ms,
            wall: Pair {
                then_us: then.wall_us,
                now_us: now.wall_us,
            },
            link: Pair {
                then_us: link(then),
                now_us: link(now),
            },
            compiled: (compiled(then), compiled(now)),
            slower,
            new,
        }
    }
}

/// The time of each compiled unit by its name; of several of one name, the longest.
fn compiles(timeline: &Timeline) -> HashMap<String, u64> {
    let mut times: HashMap<String, u64> = HashMap::new();
    let is_compiled = |bar: &&Bar| matches!(bar.what, What::Unit(Fate::Miss | Fate::Uncacheable));
    for bar in timeline.bars.iter().filter(is_compiled) {
        let time_us = times.entry(bar.name()).or_default();
        *time_us = bar.time_us.max(*time_us);
    }
    times
}

#[cfg(test)]
mod tests {
    use rekindle_events::EventKind;

    use super::*;
    use crate::fixtures::{finished, hit, log, missed, never_seen, started};

    fn run(name: &str, units: &[(&str, u64)]) -> Timeline {
        let mut kinds = vec![started(name), EventKind::Unit(hit("restored"))];
        for (package, seconds) in units {
            let mut unit = missed(package, never_seen());
            unit.times.total_us = seconds * 1_000_000;
            kinds.push(EventKind::Unit(unit));
        }
        kinds.push(finished(None));
        Timeline::of_run(name, &log(kinds))
    }

    #[test]
    fn slower_and_new_units_are_named_and_noise_is_not() {
        let then = run("a", &[("app", 2), ("lib", 20), ("gone", 9)]);
        let now = run("b", &[("app", 5), ("lib", 21), ("added", 1), ("more", 3)]);
        let changes = Changes::between(&then, &now);
        assert_eq!(changes.since, "a");
        assert_eq!(changes.compiled, (3, 4));
        let slower: Vec<&str> = changes.slower.iter().map(|(name, _)| &**name).collect();
        assert_eq!(slower, ["app 1.0.0"]);
        let new: Vec<&str> = changes.new.iter().map(|(name, _)| &**name).collect();
        assert_eq!(new, ["more 1.0.0", "added 1.0.0"]);
    }
}
