//! What the labels of `runs-on` say.

use crate::providers;
use crate::shell::UNKNOWN;

pub use crate::providers::Os;

/// Whose machine a job runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// GitHub's, new for each job.
    GitHub,
    /// A provider's, new for each job.
    Provider,
    /// The project's own.
    Own,
    /// Not known: a label that somebody chose.
    Unknown,
}

/// A job's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The labels as far as they are known.
    pub labels: Vec<String>,
    /// Whose it is.
    pub host: Host,
    /// Its system.
    pub os: Option<Os>,
    /// It is an ARM64 machine; `None` if that is not known.
    pub arm: Option<bool>,
}

impl Runner {
    /// Reads labels.
    #[must_use]
    pub fn of(labels: Vec<String>) -> Self {
        let lower: Vec<String> = labels
            .iter()
            .map(|label| label.to_ascii_lowercase())
            .collect();
        let any = |test: &dyn Fn(&str) -> bool| lower.iter().any(|label| test(label));
        if any(&|label| label == "self-hosted") {
            let os = [
                ("linux", Os::Linux),
                ("macos", Os::Macos),
                ("windows", Os::Windows),
            ];
            let os = os
                .into_iter()
                .find(|(name, _)| any(&|label| label == *name))
                .map(|(_, os)| os);
            let arm = if any(&|label| label == "arm64") {
                Some(true)
            } else {
                any(&|label| label == "x64").then_some(false)
            };
            return Self {
                labels,
                host: Host::Own,
                os,
                arm,
            };
        }
        let known = labels.iter().find_map(|label| providers::parse(label));
        let host = match &known {
            Some(found) if found.provider.name == "github" => Host::GitHub,
            Some(_) => Host::Provider,
            None => Host::Unknown,
        };
        Self {
            host,
            os: known.as_ref().map(|found| found.os),
            arm: known.map(|found| found.arch == providers::Arch::Arm64),
            labels,
        }
    }

    /// Whether it runs Linux, as far as that is known.
    #[must_use]
    pub fn linux(&self) -> bool {
        self.os == Some(Os::Linux)
    }

    /// Whether all of its disk is new for each job.
    #[must_use]
    pub fn ephemeral(&self) -> bool {
        matches!(self.host, Host::GitHub | Host::Provider)
    }

    /// Whether the disk stays from job to job, as far as the labels say.
    #[must_use]
    pub fn persistent(&self) -> bool {
        self.host == Host::Own
            && !self
                .labels
                .iter()
                .any(|label| label.to_ascii_lowercase().contains("ephemeral"))
    }

    /// The labels in one text.
    #[must_use]
    pub fn shown(&self) -> String {
        self.labels.join(", ").replace(UNKNOWN, "…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(label: &str, host: Host, os: Option<Os>, arm: Option<bool>) {
        let runner = Runner::of(label.split(' ').map(str::to_owned).collect());
        assert_eq!(
            (runner.host, runner.os, runner.arm),
            (host, os, arm),
            "{label}"
        );
    }

    #[test]
    fn labels_are_read() {
        check("ubuntu-latest", Host::GitHub, Some(Os::Linux), Some(false));
        check(
            "ubuntu-24.04-arm",
            Host::GitHub,
            Some(Os::Linux),
            Some(true),
        );
        check("macos-15-intel", Host::GitHub, Some(Os::Macos), Some(false));
        check(
            "windows-11-arm",
            Host::GitHub,
            Some(Os::Windows),
            Some(true),
        );
        check(
            "self-hosted linux ARM64",
            Host::Own,
            Some(Os::Linux),
            Some(true),
        );
        check(
            "blacksmith-4vcpu-ubuntu-2404",
            Host::Provider,
            Some(Os::Linux),
            Some(false),
        );
        check("our-big-machine", Host::Unknown, None, None);
    }
}
