//! What was measured of fresh checkouts, as it is kept in `docs/benchmarks.json`.

use serde::{Deserialize, Serialize};

use super::scenario::Scenario;
use crate::bench::record::{Machine, NotMeasured, Processes, Snapshot, ToolRecord, Units, median};

/// One program, each scenario by the last run of the bench that played it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct ReplayRecord {
    pub(in crate::bench) name: String,
    pub(in crate::bench) kind: String,
    /// Packages that the newest version builds for the host.
    pub(in crate::bench) packages: u64,
    pub(in crate::bench) machine: Machine,
    pub(in crate::bench) tools: Vec<ToolRecord>,
    pub(in crate::bench) scenarios: Vec<Played>,
}

/// One scenario in one run of the bench.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Played {
    pub(in crate::bench) scenario: Scenario,
    pub(in crate::bench) rounds: u64,
    /// How many commits a checkout knew; `None` for all.
    pub(in crate::bench) depth: Option<u64>,
    pub(in crate::bench) runs: Vec<Build>,
    pub(in crate::bench) not_measured: Vec<NotMeasured>,
}

/// One build that counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Build {
    pub(in crate::bench) tool: String,
    /// A version's tag, or one of [`super::scenario::SAME`] and [`super::scenario::NEW`].
    pub(in crate::bench) step: String,
    pub(in crate::bench) round: u64,
    /// All that a job waits for: what comes before the build, the build, and what comes after.
    pub(in crate::bench) wall_ms: u64,
    pub(in crate::bench) cpu_ms: u64,
    pub(in crate::bench) machine_cpu_ms: u64,
    pub(in crate::bench) build_scripts_ms: u64,
    pub(in crate::bench) store_bytes: u64,
    /// Packages that cargo did not find fresh.
    pub(in crate::bench) packages_built: u64,
    /// Size of the programs in `target/<profile>/`.
    pub(in crate::bench) program_bytes: u64,
    /// Parts of the wall time, where there are several commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::bench) phases: Vec<Phase>,
    /// What Rekindle says of its own run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) units: Option<Units>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) processes: Option<Processes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) snapshot: Option<Snapshot>,
    /// What the kernel says of it. Such a build is slow: it counts for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) witnessed: Option<Witnessed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Phase {
    pub(in crate::bench) name: String,
    pub(in crate::bench) wall_ms: u64,
}

/// Processes that were seen to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Witnessed {
    /// Questions to a compiler (`-vV`, target information) are none.
    pub(in crate::bench) compilers: u64,
    pub(in crate::bench) linkers: u64,
}

impl ReplayRecord {
    /// Takes the scenarios of a newer record of the same program; the others stay.
    pub(in crate::bench) fn update(&mut self, newer: Self) {
        self.kind = newer.kind;
        self.packages = newer.packages;
        self.machine = newer.machine;
        for tool in newer.tools {
            match self.tools.iter_mut().find(|old| old.name == tool.name) {
                Some(old) => *old = tool,
                None => self.tools.push(tool),
            }
        }
        for played in newer.scenarios {
            self.scenarios.retain(|old| old.scenario != played.scenario);
            self.scenarios.push(played);
        }
        self.scenarios.sort_by_key(|played| played.scenario);
    }

    pub(in crate::bench) fn played(&self, scenario: Scenario) -> Option<&Played> {
        self.scenarios
            .iter()
            .find(|played| played.scenario == scenario)
    }
}

impl Played {
    pub(in crate::bench) fn of<'a>(
        &'a self,
        tool: &'a str,
        step: &'a str,
    ) -> impl Iterator<Item = &'a Build> {
        self.runs
            .iter()
            .filter(move |run| run.tool == tool && run.step == step && run.witnessed.is_none())
    }

    /// The middle over all rounds; `None` where nothing was measured.
    pub(in crate::bench) fn wall_ms(&self, tool: &str, step: &str) -> Option<u64> {
        let mut values: Vec<u64> = self.of(tool, step).map(|run| run.wall_ms).collect();
        median(&mut values)
    }

    /// The names of all steps, in their order.
    pub(in crate::bench) fn steps(&self) -> Vec<&str> {
        let mut steps: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !steps.contains(&run.step.as_str()) {
                steps.push(&run.step);
            }
        }
        steps
    }

    /// The sum over all steps; `None` where one of them is missing.
    pub(in crate::bench) fn total_ms(&self, tool: &str) -> Option<u64> {
        let steps = self.steps();
        if steps.is_empty() {
            return None;
        }
        steps.iter().map(|step| self.wall_ms(tool, step)).sum()
    }

    /// The best of those that a person could use instead, by a figure of theirs.
    pub(in crate::bench) fn best_rival<'a>(
        &self,
        tools: &'a [ToolRecord],
        figure: impl Fn(&Self, &str) -> Option<u64>,
    ) -> Option<(&'a str, u64)> {
        tools
            .iter()
            .map(|tool| tool.name.as_str())
            .filter(|name| !matches!(*name, "kept" | "plain" | "rekindle"))
            .filter_map(|name| Some((name, figure(self, name)?)))
            .min_by_key(|(_, ms)| *ms)
    }
}

/// Workspaces that grow, in one run of the bench.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct ScaleRecord {
    pub(in crate::bench) machine: Machine,
    pub(in crate::bench) rounds: u64,
    pub(in crate::bench) tools: Vec<ToolRecord>,
    pub(in crate::bench) not_measured: Vec<NotMeasured>,
    pub(in crate::bench) sizes: Vec<Size>,
}

/// A workspace of a size.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Size {
    pub(in crate::bench) units: u64,
    pub(in crate::bench) played: Played,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(tool: &str, step: &str, wall_ms: u64) -> Build {
        Build {
            tool: tool.to_owned(),
            step: step.to_owned(),
            wall_ms,
            ..Build::default()
        }
    }

    fn tools(names: &[&str]) -> Vec<ToolRecord> {
        let tool = |name: &&str| ToolRecord {
            name: (*name).to_owned(),
            ..ToolRecord::default()
        };
        names.iter().map(tool).collect()
    }

    #[test]
    fn a_total_is_of_medians_and_only_where_nothing_is_missing() {
        let watched = Build {
            witnessed: Some(Witnessed::default()),
            ..build("rekindle", "v1", 9_999)
        };
        let played = Played {
            runs: vec![
                build("rekindle", "v1", 10),
                build("rekindle", "v1", 30),
                build("rekindle", "v1", 20),
                watched,
                build("rekindle", "v2", 5),
                build("mbx", "v1", 1),
            ],
            ..Played::default()
        };
        assert_eq!(played.total_ms("rekindle"), Some(25));
        assert_eq!(played.total_ms("mbx"), None);
        assert_eq!(Played::default().total_ms("mbx"), None);
    }

    #[test]
    fn the_limit_and_plain_cargo_are_no_rivals() {
        let played = Played {
            runs: ["kept", "plain", "rekindle", "mbx", "kache"]
                .iter()
                .zip(1..)
                .map(|(tool, ms)| build(tool, "same", ms))
                .collect(),
            ..Played::default()
        };
        let tools = tools(&["kept", "plain", "rekindle", "mbx", "kache"]);
        let best = played.best_rival(&tools, |played, tool| played.wall_ms(tool, "same"));
        assert_eq!(best, Some(("mbx", 4)));
    }

    #[test]
    fn a_scenario_replaces_its_older_self_only() {
        let played = |scenario, rounds| Played {
            scenario,
            rounds,
            ..Played::default()
        };
        let mut record = ReplayRecord {
            tools: tools(&["kept"]),
            scenarios: vec![played(Scenario::NoChange, 1), played(Scenario::Versions, 1)],
            ..ReplayRecord::default()
        };
        record.update(ReplayRecord {
            tools: tools(&["kept", "mbx"]),
            scenarios: vec![played(Scenario::NoChange, 3)],
            ..ReplayRecord::default()
        });
        let rounds: Vec<u64> = record.scenarios.iter().map(|one| one.rounds).collect();
        assert_eq!(rounds, [1, 3]);
        assert_eq!(record.tools.len(), 2);
    }
}
