//! From the label that a job has to the one that it gets.

use crate::providers::{self, Arch, Need, NoLabel, Os, Runner, Wanted};

use super::{Request, SwitchError};

/// The provider of one's own runners, as `--to` names it.
pub(super) const OWN: &str = "self-hosted";

/// Where jobs go.
pub(super) struct Target<'a> {
    request: &'a Request<'a>,
    kind: Kind,
}

enum Kind {
    /// A provider, which has labels for several systems and sizes.
    Provider(&'static providers::Provider),
    /// Runners of one's own, by the labels that they all have.
    Own,
    /// These labels.
    Labels(Vec<String>),
}

/// What a label that is to go says of its runner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    pub(super) os: Os,
    pub(super) arch: Arch,
    pub(super) known: Option<Runner>,
    /// Nothing in it says what system it is.
    pub(super) is_guess: bool,
}

impl Current {
    /// Of the labels of one job. Unknown ones are Linux on x86-64 unless they say otherwise.
    pub(super) fn of(labels: &[&str]) -> Self {
        let known = labels.iter().find_map(|label| providers::parse(label));
        // `self-hosted` alone says nothing of system and architecture.
        let known = known.filter(|runner| runner.provider.name != OWN);
        let text = labels.join(" ").to_lowercase();
        let os = if text.contains("windows") {
            Os::Windows
        } else if text.contains("macos") {
            Os::Macos
        } else {
            Os::Linux
        };
        let arch = if text.contains("arm64") || text.contains("aarch64") {
            Arch::Arm64
        } else {
            Arch::X64
        };
        let says = [
            "linux",
            "ubuntu",
            "debian",
            "windows",
            "macos",
            "self-hosted",
        ];
        Self {
            is_guess: known.is_none()
                && !labels.is_empty()
                && !says.iter().any(|word| text.contains(word)),
            os: known.map_or(os, |runner| runner.os),
            arch: known.map_or(arch, |runner| runner.arch),
            known,
        }
    }
}

/// What becomes of a job's label.
pub(super) enum Fate {
    /// It gets these: one, or several that a runner must all have.
    New(Vec<String>),
    /// It stays, since it is what is asked for.
    Same,
    /// It stays, for a reason that a person wants to know.
    Kept(String),
}

impl<'a> Target<'a> {
    pub(super) fn of(request: &'a Request<'a>) -> Result<Self, SwitchError> {
        let to = request.to.trim();
        if let Some(provider) = providers::provider(to) {
            if provider.name == OWN {
                if request.size.is_some() {
                    return Err(SwitchError::Size(to.to_owned()));
                }
                return Ok(Self {
                    request,
                    kind: Kind::Own,
                });
            }
            if !providers::has_living(provider, &request.today) {
                return Err(dead_provider(provider, request));
            }
            return Ok(Self {
                request,
                kind: Kind::Provider(provider),
            });
        }
        let labels: Vec<String> = match providers::parse(to) {
            Some(_) => vec![to.to_owned()],
            None => to.split(',').map(|label| label.trim().to_owned()).collect(),
        };
        for label in &labels {
            if let Some(runner) = providers::parse(label)
                && runner.is_dead(&request.today)
            {
                return Err(SwitchError::Dead {
                    label: label.clone(),
                    ends: runner
                        .ends()
                        .filter(|ends| **ends <= request.today)
                        .cloned(),
                    nearest: providers::nearest_living(&runner, &request.today),
                });
            }
        }
        if request.size.is_some() || request.arch.is_some() {
            return Err(SwitchError::Size(to.to_owned()));
        }
        Ok(Self {
            request,
            kind: Kind::Labels(labels),
        })
    }

    /// Whether the runners may be somebody's own machines: also labels that no provider is known for.
    pub(super) fn is_own(&self) -> bool {
        match &self.kind {
            Kind::Provider(_) => false,
            Kind::Own => true,
            Kind::Labels(labels) => {
                let mut known = labels.iter().filter_map(|label| providers::parse(label));
                !known.any(|runner| runner.provider.name != OWN)
            }
        }
    }

    pub(super) fn setup(&self) -> Option<&'static str> {
        let provider = match &self.kind {
            Kind::Provider(provider) => Some(*provider),
            Kind::Own => providers::provider(OWN),
            Kind::Labels(labels) => {
                let known = labels.iter().find_map(|label| providers::parse(label));
                known
                    .map(|runner| runner.provider)
                    .or(providers::provider(OWN))
            }
        };
        provider.and_then(|provider| provider.setup.as_deref())
    }

    /// What becomes of a job with such labels.
    pub(super) fn fate(&self, current: &Current) -> Result<Fate, NoLabel> {
        match &self.kind {
            Kind::Labels(labels) => Ok(self.given(labels, current)),
            Kind::Own => {
                let arch = self.request.arch.unwrap_or(current.arch);
                let system = match current.os {
                    Os::Linux => "linux",
                    Os::Macos => "macOS",
                    Os::Windows => "windows",
                };
                let arch = match arch {
                    Arch::X64 => "x64",
                    Arch::Arm64 => "ARM64",
                };
                let labels = [OWN, system, arch];
                Ok(Fate::New(labels.map(str::to_owned).to_vec()))
            }
            Kind::Provider(provider) => self.provided(provider, current),
        }
    }

    /// Labels that were given stand for one system: jobs of another keep theirs.
    fn given(&self, labels: &[String], current: &Current) -> Fate {
        let words: Vec<&str> = labels.iter().map(String::as_str).collect();
        let new = Current::of(&words);
        if new.os == current.os {
            Fate::New(labels.to_vec())
        } else {
            Fate::Kept(format!(
                "runs on {}, which `{}` is not",
                current.os,
                labels.join(",")
            ))
        }
    }

    fn provided(
        &self,
        provider: &'static providers::Provider,
        current: &Current,
    ) -> Result<Fate, NoLabel> {
        let request = self.request;
        let there = current.known.is_some_and(|runner| {
            runner.provider.name == provider.name && !runner.is_dead(&request.today)
        });
        if there && request.size.is_none() && request.arch.is_none_or(|arch| arch == current.arch) {
            return Ok(Fate::Same);
        }
        // A size or an architecture is asked for with Linux in mind: others keep what they have.
        let is_linux = current.os == Os::Linux;
        let wanted = Wanted {
            provider: &provider.name,
            os: current.os,
            arch: request.arch.filter(|_| is_linux).unwrap_or(current.arch),
            image: current.known.and_then(|runner| runner.image()),
            size: request.size.filter(|_| is_linux),
            at_least: current.known.and_then(|runner| runner.size),
        };
        match providers::build(&wanted, &request.today) {
            Ok(label) => Ok(Fate::New(vec![label])),
            Err(error @ NoLabel::Kind { .. }) if !is_linux || request.arch.is_none() => {
                Ok(Fate::Kept(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// What the new runner lacks, and whether that is only not known to be there.
    pub(super) fn lacks(&self, labels: &[String]) -> (Vec<Need>, bool) {
        let known = labels.iter().find_map(|label| providers::parse(label));
        let known = known.filter(|runner| runner.provider.name != OWN);
        match known {
            Some(runner) => (runner.lacks().collect(), runner.provider.lacks_unsure),
            None => {
                let own = providers::provider(OWN);
                (own.map(|own| own.lacks.clone()).unwrap_or_default(), true)
            }
        }
    }
}

fn dead_provider(provider: &'static providers::Provider, request: &Request<'_>) -> SwitchError {
    let wanted = Wanted {
        provider: "github",
        os: Os::Linux,
        arch: request.arch.unwrap_or(Arch::X64),
        image: None,
        size: None,
        at_least: request.size,
    };
    SwitchError::Dead {
        label: provider.title.clone(),
        ends: providers::end_of(provider),
        nearest: providers::build(&wanted, &request.today).ok(),
    }
}
