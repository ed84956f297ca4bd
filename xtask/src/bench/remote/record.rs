//! What was measured over links, as it is kept in `docs/benchmarks.json`.

use serde::{Deserialize, Serialize};

use super::link::Distance;
use crate::bench::record::{Machine, NotMeasured, Processes, ToolRecord, Units, median};

/// One program in one run of the bench.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct RemoteRecord {
    pub(in crate::bench) name: String,
    pub(in crate::bench) kind: String,
    /// Packages that the newest version builds for the host.
    pub(in crate::bench) packages: u64,
    pub(in crate::bench) machine: Machine,
    pub(in crate::bench) rounds: u64,
    /// Whether the kernel delayed packets; else a relay did.
    pub(in crate::bench) netem: bool,
    pub(in crate::bench) tools: Vec<ToolRecord>,
    pub(in crate::bench) not_measured: Vec<NotMeasured>,
    pub(in crate::bench) runs: Vec<Run>,
}

/// One job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Run {
    pub(in crate::bench) link: Distance,
    pub(in crate::bench) job: Job,
    pub(in crate::bench) tool: String,
    pub(in crate::bench) round: u64,
    /// All that a job waits for, transfers included.
    pub(in crate::bench) wall_ms: u64,
    pub(in crate::bench) cpu_ms: u64,
    /// Over the link, headers included, also after the build until the tool's daemon has ended.
    pub(in crate::bench) bytes_down: u64,
    pub(in crate::bench) bytes_up: u64,
    /// Packages that cargo did not find fresh.
    pub(in crate::bench) packages_built: u64,
    /// What Rekindle says of its own run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) units: Option<Units>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) processes: Option<Processes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::bench) remote: Option<Used>,
}

/// What Rekindle says of the remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::bench) struct Used {
    pub(in crate::bench) requests: u64,
    pub(in crate::bench) failed: u64,
    pub(in crate::bench) bytes_down: u64,
    pub(in crate::bench) bytes_up: u64,
    pub(in crate::bench) objects_fetched: u64,
    pub(in crate::bench) pull_ms: u64,
    pub(in crate::bench) push_ms: u64,
    pub(in crate::bench) waited_ms: u64,
}

/// A job's state when it starts, in the order in which they are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum Job {
    /// Nothing is there and nothing is sent: without a remote.
    #[default]
    Alone,
    /// Nothing is there, and all is saved.
    Cold,
    /// A fresh checkout of the same state, with the local store that the save left.
    Warm,
    /// The same on a machine that has nothing.
    NoChange,
    /// The next published version on a machine that has nothing.
    Next,
    /// A small change to that one on a machine that has nothing: the first build of what has a new number.
    Edit,
    /// One more change in the same place, likewise: a commit among others.
    Commit,
}

impl Job {
    pub(in crate::bench) const ALL: [Self; 7] = [
        Self::Alone,
        Self::Cold,
        Self::Warm,
        Self::NoChange,
        Self::Next,
        Self::Edit,
        Self::Commit,
    ];

    pub(in crate::bench) const fn name(self) -> &'static str {
        match self {
            Self::Alone => "cold, no remote",
            Self::Cold => "cold, saves",
            Self::Warm => "no change, warm local store",
            Self::NoChange => "no change, empty machine",
            Self::Next => "next version, empty machine",
            Self::Edit => "an edit, empty machine",
            Self::Commit => "another edit, empty machine",
        }
    }
}

impl RemoteRecord {
    /// The middle of a figure over all rounds; `None` where nothing was measured.
    pub(in crate::bench) fn median(
        &self,
        link: Distance,
        tool: &str,
        job: Job,
        figure: impl Fn(&Run) -> Option<u64>,
    ) -> Option<u64> {
        let same = |run: &&Run| run.link == link && run.tool == tool && run.job == job;
        let mut values: Vec<u64> = self.runs.iter().filter(same).filter_map(figure).collect();
        median(&mut values)
    }

    pub(in crate::bench) fn wall_ms(&self, link: Distance, tool: &str, job: Job) -> Option<u64> {
        self.median(link, tool, job, |run| Some(run.wall_ms))
    }

    /// The best of the others that share, with its name.
    pub(in crate::bench) fn best_rival(&self, link: Distance, job: Job) -> Option<(&str, u64)> {
        let names = self.tools.iter().map(|tool| tool.name.as_str());
        names
            .filter(|name| *name != "rekindle")
            .filter_map(|name| Some((name, self.wall_ms(link, name, job)?)))
            .min_by_key(|(_, wall_ms)| *wall_ms)
    }
}
