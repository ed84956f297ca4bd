//! What would help most: rules with thresholds, each with the run's own figures as evidence.
//!
//! [`RULES`] is the table. A rule looks at [`Facts`], and where its threshold is crossed it plays the run's
//! own graph with what the change would make of its times; the difference between the two walls is the
//! gain. How much a change makes of a unit's time is measured once and kept in [`rates`]; where nobody
//! has measured it the gain is a bound, or is not given. What a graph does not hold (tests that run,
//! downloads) is in no gain.

mod facts;
pub mod rates;
mod rules;
mod words;

use crate::graph::{Graph, Job, Parts};
use crate::simulate;

pub use facts::{Causes, Earlier, Facts, Refused};

/// What a rule says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The rule's id.
    pub id: &'static str,
    /// What is so, as a sentence without its full stop.
    pub title: String,
    /// The figures that it is said for, as sentences without their full stop.
    pub evidence: Vec<String>,
    /// What a change would gain.
    pub gain: Gain,
    /// What to do, the first first, as sentences without their full stop.
    pub remedy: Vec<String>,
}

/// What of a run's wall a change would save, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gain {
    /// Not known.
    Unknown,
    /// No more than this.
    AtMost(u64),
    /// About this.
    About(u64),
}

impl Gain {
    /// In milliseconds, where there is a figure.
    #[must_use]
    pub const fn ms(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::AtMost(ms) | Self::About(ms) => Some(ms),
        }
    }
}

impl std::fmt::Display for Gain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("not known"),
            Self::AtMost(ms) => write!(f, "at most {}", words::seconds(*ms)),
            Self::About(ms) => write!(f, "about {}", words::seconds(*ms)),
        }
    }
}

/// A rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name, for good.
    pub id: &'static str,
    /// When it speaks, as a sentence without its full stop.
    pub threshold: &'static str,
    /// How the gain is found, as a sentence without its full stop.
    pub gain: &'static str,
    check: fn(&Model<'_>) -> Option<Advice>,
}

/// The rules, in the order of the reference page.
pub const RULES: &[Rule] = &[
    rules::hit_rate::RULE,
    rules::link_share::RULE,
    rules::long_wall::RULE,
    rules::duplicates::RULE,
    rules::scripts::RULE,
    rules::lto::RULE,
    rules::debug_info::RULE,
    rules::features::RULE,
    rules::codegen::RULE,
];

/// A gain below this is not worth a person's time.
pub const WORTH_MIN_MS: u64 = 1000;

/// Nor is one below this share of the wall, in per cent.
pub const WORTH_MIN_PERCENT: u64 = 1;

/// What would help, what helps most first. Gains are of each alone: together they are less than their sum.
#[must_use]
pub fn advise(facts: &Facts) -> Vec<Advice> {
    let model = Model::new(facts);
    let worth_ms = WORTH_MIN_MS.max(facts.wall_ms * WORTH_MIN_PERCENT / 100);
    let mut found: Vec<Advice> = RULES
        .iter()
        .filter_map(|rule| (rule.check)(&model))
        .filter(|advice| advice.gain.ms().is_none_or(|ms| ms >= worth_ms))
        .collect();
    found.sort_by_key(|advice| {
        let is_bound = matches!(advice.gain, Gain::AtMost(_));
        std::cmp::Reverse((advice.gain.ms().unwrap_or(0), !is_bound))
    });
    found
}

/// A run as it is played.
struct Model<'a> {
    facts: &'a Facts,
    cores: u32,
    wall_us: u64,
}

impl<'a> Model<'a> {
    fn new(facts: &'a Facts) -> Self {
        let cores = match facts.cores {
            0 => facts.graph.most_at_once().max(1),
            cores => cores,
        };
        Self {
            facts,
            cores,
            wall_us: simulate(&facts.graph, cores).wall_us,
        }
    }

    /// What other times of jobs would save, in milliseconds.
    fn saved_ms(&self, parts: impl FnMut(&Job) -> Parts) -> u64 {
        self.saved_by_ms(&self.facts.graph.with_parts(parts), self.cores)
    }

    /// What another graph, or another number of cores, would save, in milliseconds.
    fn saved_by_ms(&self, graph: &Graph, cores: u32) -> u64 {
        let other_us = simulate(graph, cores).wall_us;
        self.wall_us.saturating_sub(other_us) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_rules_say_what_they_go_by() {
        let mut ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            assert!(
                rule.threshold.len() > 20 && rule.gain.len() > 20,
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(advise(&Facts::default()), []);
    }

    #[test]
    fn gains_read_well() {
        assert_eq!(Gain::About(1_500).to_string(), "about 1.5 s");
        assert_eq!(Gain::AtMost(150_000).to_string(), "at most 2 min 30 s");
        assert_eq!(Gain::Unknown.to_string(), "not known");
    }
}
