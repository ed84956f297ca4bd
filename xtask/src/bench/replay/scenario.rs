//! What is played: which states are built, by which command, and which of the builds count.

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::bench::tools::Kind;

/// A story that every tool goes through.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum Scenario {
    /// Successive published versions.
    #[default]
    Versions,
    /// The version that was built last, once more.
    NoChange,
    Readme,
    /// A member that others are built from.
    Leaf,
    /// The member that holds the program.
    Root,
    /// One dependency in another version.
    Lock,
    Check,
    Test,
    Release,
}

impl Scenario {
    pub(in crate::bench) const ALL: [Self; 9] = [
        Self::Versions,
        Self::NoChange,
        Self::Readme,
        Self::Leaf,
        Self::Root,
        Self::Lock,
        Self::Check,
        Self::Test,
        Self::Release,
    ];

    /// On the command line and on the page.
    pub(in crate::bench) const fn name(self) -> &'static str {
        match self {
            Self::Versions => "versions",
            Self::NoChange => "no-change",
            Self::Readme => "readme",
            Self::Leaf => "leaf",
            Self::Root => "root",
            Self::Lock => "lock",
            Self::Check => "check",
            Self::Test => "test",
            Self::Release => "release",
        }
    }

    pub(super) fn choose(names: Option<&str>) -> Result<Vec<Self>, Failure> {
        let Some(names) = names else {
            return Ok(Self::ALL.to_vec());
        };
        let mut chosen = names
            .split(',')
            .map(|name| {
                let found = Self::ALL.into_iter().find(|one| one.name() == name);
                found.ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|one| one.name()).collect();
                    format!("`{name}` is no scenario; choose from {}", known.join(", "))
                })
            })
            .collect::<Result<Vec<Self>, Failure>>()?;
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    const fn edit(self) -> Option<Edit> {
        match self {
            Self::Readme => Some(Edit::Readme),
            Self::Leaf => Some(Edit::Leaf),
            Self::Root => Some(Edit::Root),
            Self::Lock => Some(Edit::Lock),
            _ => None,
        }
    }

    const fn act(self) -> Act {
        match self {
            Self::Check => Act::Check,
            Self::Test => Act::Test,
            Self::Release => Act::Release,
            _ => Act::Build,
        }
    }

    /// The steps of the story. `tags` are versions, oldest first; `edits` those that can be made.
    pub(super) fn steps(self, tags: &[String], edits: &[Edit], repeats: u64) -> Vec<Step> {
        let (Some(first), Some(newest)) = (tags.first(), tags.last()) else {
            return Vec::new();
        };
        let act = self.act();
        let before = tags.iter().rev().nth(1).unwrap_or(newest);
        if let Some(edit) = self.edit() {
            if !edits.contains(&edit) {
                return Vec::new();
            }
            return (0..edit.variants(repeats))
                .flat_map(|number| {
                    let edited = Step::counted(&edit.tag(number), act, NEW);
                    [Step::ground(newest, act), edited]
                })
                .collect();
        }
        match self {
            Self::Versions => std::iter::once(Step::ground(first, act))
                .chain(tags.iter().skip(1).map(|tag| Step::counted(tag, act, tag)))
                .collect(),
            Self::NoChange => std::iter::once(Step::ground(newest, act))
                .chain((0..repeats).map(|_| Step::counted(newest, act, SAME)))
                .collect(),
            _ => vec![
                Step::ground(before, act),
                Step::counted(before, act, SAME),
                Step::counted(newest, act, NEW),
            ],
        }
    }
}

/// Names of steps: what was built last, again.
pub(in crate::bench) const SAME: &str = "same";
/// Something else than what was built last.
pub(in crate::bench) const NEW: &str = "new";

/// A small change to the newest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Edit {
    Readme,
    Leaf,
    Root,
    Lock,
}

impl Edit {
    pub(in crate::bench) fn tag(self, number: u64) -> String {
        format!("{self:?}-{number}").to_lowercase()
    }

    /// The state after that one, with one more.
    pub(in crate::bench) fn second_tag(self, number: u64) -> String {
        format!("{}-second", self.tag(number))
    }

    /// How many there are to repeat it with: a second build of the same edit would be no change.
    pub(super) fn variants(self, wanted: u64) -> u64 {
        if self == Self::Lock { 1 } else { wanted }
    }
}

/// What cargo is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Build,
    Check,
    Test,
    Release,
}

impl Act {
    pub(super) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Build => &["build"],
            Self::Check => &["check"],
            Self::Test => &["test", "--no-run"],
            Self::Release => &["build", "--release"],
        }
    }

    /// The directory below `target/`.
    pub(super) const fn profile(self) -> &'static str {
        match self {
            Self::Release => "release",
            _ => "debug",
        }
    }

    /// Whether it leaves a program that can be tried.
    pub(super) const fn links(self) -> bool {
        matches!(self, Self::Build | Self::Release)
    }
}

/// One build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) tag: String,
    pub(super) act: Act,
    /// How it is recorded; `None` where it only prepares the next one.
    pub(super) counted: Option<String>,
}

impl Step {
    fn ground(tag: &str, act: Act) -> Self {
        Self {
            tag: tag.to_owned(),
            act,
            counted: None,
        }
    }

    fn counted(tag: &str, act: Act, name: &str) -> Self {
        Self {
            counted: Some(name.to_owned()),
            ..Self::ground(tag, act)
        }
    }

    /// Plain cargo in a fresh checkout remembers nothing: nothing prepares it, and it is always
    /// cold. Small changes would only repeat that figure.
    pub(super) fn applies(&self, scenario: Scenario, kind: Kind, repeat: usize) -> bool {
        if kind != Kind::Plain {
            return true;
        }
        match (scenario, self.counted.as_deref()) {
            (_, None) => false,
            (Scenario::NoChange, _) => repeat == 0,
            (Scenario::Versions, _) | (_, Some(NEW)) => scenario.edit().is_none(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Vec<String> {
        ["v1", "v2", "v3"].map(str::to_owned).to_vec()
    }

    /// `tag` prepares, `tag=name` counts.
    fn shown(scenario: Scenario, edits: &[Edit]) -> Vec<String> {
        let steps = scenario.steps(&tags(), edits, 2);
        let text = |step: Step| match step.counted {
            Some(name) => format!("{}={name}", step.tag),
            None => step.tag,
        };
        steps.into_iter().map(text).collect()
    }

    #[test]
    fn every_counted_build_has_a_store_warm_from_the_state_before() {
        assert_eq!(shown(Scenario::Versions, &[]), ["v1", "v2=v2", "v3=v3"]);
        assert_eq!(shown(Scenario::NoChange, &[]), ["v3", "v3=same", "v3=same"]);
        assert_eq!(
            shown(Scenario::Root, &[Edit::Root]),
            ["v3", "root-0=new", "v3", "root-1=new"]
        );
        assert_eq!(shown(Scenario::Lock, &[Edit::Lock]), ["v3", "lock-0=new"]);
        assert_eq!(shown(Scenario::Check, &[]), ["v2", "v2=same", "v3=new"]);
        assert!(shown(Scenario::Leaf, &[Edit::Root]).is_empty());
    }

    #[test]
    fn plain_cargo_is_measured_where_it_says_something_new() {
        let counted = |scenario: Scenario| {
            let steps = scenario.steps(&tags(), &[Edit::Root], 2);
            let applies = |(number, step): (usize, &Step)| {
                step.applies(scenario, Kind::Plain, number.saturating_sub(1))
            };
            steps.iter().enumerate().filter(|one| applies(*one)).count()
        };
        assert_eq!(counted(Scenario::Versions), 2);
        assert_eq!(counted(Scenario::NoChange), 1);
        assert_eq!(counted(Scenario::Root), 0);
        assert_eq!(counted(Scenario::Release), 1);
    }

    #[test]
    fn scenarios_are_chosen_by_name_and_played_in_their_order() {
        let chosen = Scenario::choose(Some("root,versions,root")).unwrap();
        assert_eq!(chosen, [Scenario::Versions, Scenario::Root]);
        assert!(Scenario::choose(Some("nothing")).is_err());
    }
}
