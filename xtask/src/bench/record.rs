//! What was measured, as it is kept in `docs/benchmarks.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::observe::ObserveRecord;
use super::projects::write;
use super::remote::record::RemoteRecord;
use super::replay::record::{ReplayRecord, ScaleRecord};
use crate::Failure;

/// The version of the file; a reader of another one starts anew.
const VERSION: u32 = 1;

/// All projects that were ever measured, each by its last run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Records {
    version: u32,
    pub(super) projects: Vec<ProjectRecord>,
    /// Of fresh checkouts, each project by its last run.
    #[serde(default)]
    pub(super) replays: Vec<ReplayRecord>,
    /// Of machines that share a store, each project by its last run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) remotes: Vec<RemoteRecord>,
    /// Of workspaces that grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scale: Option<ScaleRecord>,
    /// Of processes that are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) observe: Option<ObserveRecord>,
}

/// One project in one run of the bench.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ProjectRecord {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) next_version: String,
    pub(super) kind: String,
    pub(super) builds_c: bool,
    /// Packages built for the host.
    pub(super) packages: u64,
    pub(super) rounds: u64,
    pub(super) machine: Machine,
    pub(super) tools: Vec<ToolRecord>,
    pub(super) not_measured: Vec<NotMeasured>,
    pub(super) runs: Vec<Run>,
}

/// What it was measured on, without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) cores: u64,
    pub(super) memory_gib: u64,
    pub(super) file_system: String,
    pub(super) rustc: String,
}

/// A tool that was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ToolRecord {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) note: String,
}

/// A tool that was not, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NotMeasured {
    pub(super) tool: String,
    pub(super) why: String,
}

/// One build.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) scenario: Scenario,
    pub(super) tool: String,
    pub(super) round: u64,
    pub(super) wall_ms: u64,
    pub(super) cpu_ms: u64,
    pub(super) machine_cpu_ms: u64,
    pub(super) build_scripts_ms: u64,
    pub(super) store_bytes: u64,
    /// What Rekindle says of its own run: units by fate, processes by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) units: Option<Units>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rustc_processes: Option<u64>,
}

/// Units by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Units {
    pub(super) fresh: u64,
    pub(super) hit: u64,
    pub(super) miss: u64,
    pub(super) uncacheable: u64,
}

/// Processes that a run of Rekindle started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Processes {
    pub(super) rustc: u64,
    pub(super) linker: u64,
    pub(super) build_script: u64,
}

/// What a run of Rekindle restored and captured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// What was restored and why, in its own words.
    pub(super) base: Option<String>,
    pub(super) restored_units: u64,
    pub(super) captured_units: u64,
    pub(super) invalidated_units: Option<u64>,
    pub(super) placed_bytes: Option<u64>,
    pub(super) materialised_bytes: Option<u64>,
    pub(super) restore_ms: Option<u64>,
    pub(super) capture_ms: Option<u64>,
}

/// What is built, and what is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scenario {
    /// The store is empty.
    #[default]
    Cold,
    /// As before, with nothing removed; plain cargo only, as the limit of what can be reached.
    Noop,
    /// The target directory is removed.
    WarmSame,
    /// Another checkout and another `CARGO_HOME`.
    WarmElsewhere,
    /// The next published version, unpacked at the same path.
    NextVersion,
}

impl Scenario {
    pub(super) const ALL: [Self; 5] = [
        Self::Cold,
        Self::Noop,
        Self::WarmSame,
        Self::WarmElsewhere,
        Self::NextVersion,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Noop => "no-op",
            Self::WarmSame => "warm, same directory",
            Self::WarmElsewhere => "warm, other directory and CARGO_HOME",
            Self::NextVersion => "next version",
        }
    }
}

impl ProjectRecord {
    /// The middle of a figure over all rounds; `None` where nothing was measured.
    pub(super) fn median(
        &self,
        tool: &str,
        scenario: Scenario,
        figure: impl Fn(&Run) -> u64,
    ) -> Option<u64> {
        let mut values: Vec<u64> = self
            .runs
            .iter()
            .filter(|run| run.tool == tool && run.scenario == scenario)
            .map(figure)
            .collect();
        median(&mut values)
    }

    pub(super) fn wall_ms(&self, tool: &str, scenario: Scenario) -> Option<u64> {
        self.median(tool, scenario, |run| run.wall_ms)
    }

    /// The best of the other caches, with its name.
    pub(super) fn best_rival(&self, scenario: Scenario) -> Option<(&str, u64)> {
        self.tools
            .iter()
            .map(|tool| tool.name.as_str())
            .filter(|name| !matches!(*name, "plain" | "rekindle"))
            .filter_map(|name| Some((name, self.wall_ms(name, scenario)?)))
            .min_by_key(|(_, wall_ms)| *wall_ms)
    }
}

/// The middle value; of an even number of values, the mean of the middle two.
pub(super) fn median(values: &mut [u64]) -> Option<u64> {
    values.sort_unstable();
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(u64::midpoint(values[middle - 1], upper))
}

impl Records {
    /// What the file holds; nothing when it is missing or of another version.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let Ok(text) = std::fs::read_to_string(path) else {
            return Ok(Self::empty());
        };
        // What cannot be read is not written over: it may be hours of figures.
        let kept = serde_json::from_str::<Self>(&text)
            .map_err(|error| format!("`{}` holds no figures: {error}", path.display()))?;
        Ok(if kept.version == VERSION {
            kept
        } else {
            Self::empty()
        })
    }

    fn empty() -> Self {
        Self {
            version: VERSION,
            ..Self::default()
        }
    }

    /// Puts a project's record in the place of its older one.
    pub(super) fn put(&mut self, record: ProjectRecord) {
        match self.projects.iter_mut().find(|old| old.name == record.name) {
            Some(old) => *old = record,
            None => self.projects.push(record),
        }
        self.projects.sort_by_key(|project| project.packages);
    }

    /// Takes what was played anew; scenarios and programs that were not keep their figures.
    pub(super) fn put_replay(&mut self, record: ReplayRecord) {
        match self.replays.iter_mut().find(|old| old.name == record.name) {
            Some(old) => old.update(record),
            None => self.replays.push(record),
        }
        self.replays.sort_by_key(|replay| replay.packages);
    }

    /// Puts a project's record in the place of its older one.
    pub(super) fn put_remote(&mut self, record: RemoteRecord) {
        self.remotes.retain(|old| old.name != record.name);
        self.remotes.push(record);
        self.remotes.sort_by_key(|remote| remote.packages);
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| format!("cannot write the figures as JSON: {error}"))?;
        write(path, &(text + "\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_one_tool_in_one_scenario() {
        let run = |tool: &str, wall_ms| Run {
            tool: tool.to_owned(),
            wall_ms,
            ..Run::default()
        };
        let record = ProjectRecord {
            runs: vec![
                run("plain", 30),
                run("plain", 10),
                run("plain", 20),
                run("mbx", 1),
            ],
            ..ProjectRecord::default()
        };
        assert_eq!(record.wall_ms("plain", Scenario::Cold), Some(20));
        assert_eq!(record.wall_ms("plain", Scenario::Noop), None);
        assert_eq!(median(&mut [4, 1, 3, 2]), Some(2));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn a_project_replaces_its_older_record_only() {
        let record = |name: &str, rounds| ProjectRecord {
            name: name.to_owned(),
            rounds,
            ..ProjectRecord::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.json");
        let mut records = Records::read(&path).unwrap();
        records.put(record("a", 1));
        records.put(record("b", 1));
        records.write(&path).unwrap();
        let mut records = Records::read(&path).unwrap();
        records.put(record("a", 3));
        let rounds: Vec<u64> = records
            .projects
            .iter()
            .map(|project| project.rounds)
            .collect();
        assert_eq!(rounds, [3, 1]);
    }
}
