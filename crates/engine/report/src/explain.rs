//! Why units were compiled: root causes first, then what missed only because they did.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_events::{
    Change, ChangeKind, Event, EventKind, Fate, MissReason, Refusal, StepEvent, StepFate,
    UncacheableReason, UnitEvent,
};

/// Names a unit for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitName {
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Crate.
    pub crate_name: String,
    /// Kind of unit.
    pub kind: String,
    /// Tells units of one name apart.
    pub id: String,
}

impl UnitName {
    fn of(unit: &UnitEvent) -> Self {
        Self {
            package: unit.package.clone(),
            version: unit.version.clone(),
            crate_name: unit.crate_name.clone(),
            kind: unit.kind.clone(),
            id: unit.id.clone(),
        }
    }

    fn is_about(&self, wanted: &str) -> bool {
        self.package == wanted || self.crate_name == wanted.replace('-', "_")
    }
}

impl std::fmt::Display for UnitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({}", self.package, self.version, self.kind)?;
        // A build script's crate is always called the same; a binary's name says which it is.
        let plain = self.package.replace('-', "_");
        if self.crate_name != plain && !self.crate_name.starts_with("build_script") {
            write!(f, " {}", self.crate_name)?;
        }
        f.write_str(")")
    }
}

/// A unit that missed for a reason of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Which.
    pub unit: UnitName,
    /// Why; `None` where the log does not say.
    pub reason: Option<MissReason>,
}

/// Units that missed only because the same others did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followers {
    /// The units at the root: missed for reasons of their own, or uncacheable. Empty where the
    /// log does not hold them: they were built by an earlier run.
    pub roots: Vec<UnitName>,
    /// The units that followed.
    pub units: Vec<UnitName>,
}

/// Why the units of a run were compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Root causes, in the order of the log.
    pub roots: Vec<Explained>,
    /// What missed only because of them.
    pub followers: Vec<Followers>,
    /// What no store can serve, and why.
    pub uncacheable: Vec<(UnitName, Option<UncacheableReason>)>,
    /// Hits; only where one crate was asked for.
    pub hits: Vec<UnitName>,
    /// Build scripts and other steps that were started.
    pub steps: Vec<ExplainedStep>,
    /// Units in the log, explained or not.
    pub units: usize,
}

/// A step that was started.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedStep {
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// What kind of step.
    pub kind: String,
    /// Tells steps of one name apart.
    pub id: String,
    /// Why it was not found; `None` where the log does not say.
    pub reason: Option<MissReason>,
    /// Why it was not stored.
    pub refused: Option<Refusal>,
}

impl ExplainedStep {
    fn of(step: &StepEvent) -> Self {
        Self {
            package: step.package.clone(),
            version: step.version.clone(),
            kind: step.kind.clone(),
            id: step.id.clone(),
            reason: step.miss.clone(),
            refused: step.refused.clone(),
        }
    }
}

impl std::fmt::Display for ExplainedStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.replace('-', " ");
        if self.version.is_empty() {
            return write!(f, "the {kind} `{}`", self.package);
        }
        write!(f, "the {kind} of {} {}", self.package, self.version)
    }
}

impl Explanation {
    /// Explains a run; with `wanted`, only the units of that package or crate.
    #[must_use]
    pub fn of(events: &[Event], wanted: Option<&str>) -> Self {
        let units: Vec<&UnitEvent> = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Unit(unit) => Some(unit.as_ref()),
                _ => None,
            })
            .collect();
        let graph = Graph::of(&units);
        let mut explanation = Self {
            units: units.len(),
            ..Self::default()
        };
        let mut followers: BTreeMap<BTreeSet<usize>, Vec<UnitName>> = BTreeMap::new();
        for (index, unit) in units.iter().enumerate() {
            let name = UnitName::of(unit);
            if wanted.is_some_and(|wanted| !name.is_about(wanted)) {
                continue;
            }
            match unit.fate {
                Fate::Hit if wanted.is_some() => explanation.hits.push(name),
                Fate::Hit => {}
                Fate::Uncacheable => explanation
                    .uncacheable
                    .push((name, unit.uncacheable.clone())),
                Fate::Miss if extern_changes(unit).is_some() => {
                    followers.entry(graph.roots(index)).or_default().push(name);
                }
                Fate::Miss => explanation.roots.push(Explained {
                    unit: name,
                    reason: unit.miss.clone(),
                }),
            }
        }
        explanation.steps = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Step(step) if step.fate != StepFate::Hit => Some(step),
                _ => None,
            })
            .filter(|step| wanted.is_none_or(|wanted| step.package == wanted))
            .map(|step| ExplainedStep::of(step))
            .collect();
        explanation.followers = followers
            .into_iter()
            .map(|(roots, followers)| Followers {
                roots: roots.iter().map(|&at| UnitName::of(units[at])).collect(),
                units: followers,
            })
            .collect();
        explanation
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
            && self.followers.is_empty()
            && self.uncacheable.is_empty()
            && self.hits.is_empty()
            && self.steps.is_empty()
    }
}

/// The changes of a unit that missed only because of crates that it depends on.
fn extern_changes(unit: &UnitEvent) -> Option<&[Change]> {
    match &unit.miss {
        Some(MissReason::Changed { changes })
            if !changes.is_empty()
                && changes
                    .iter()
                    .all(|change| change.kind == ChangeKind::Extern) =>
        {
            Some(changes)
        }
        _ => None,
    }
}

/// Who made which file, among the compiled units of a run.
struct Graph<'a> {
    units: &'a [&'a UnitEvent],
    makers: BTreeMap<&'a str, usize>,
}

/// A crate's file name without directory and extension: `.rmeta` and `.rlib` are one crate.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

impl<'a> Graph<'a> {
    fn of(units: &'a [&'a UnitEvent]) -> Self {
        let mut makers = BTreeMap::new();
        for (index, unit) in units.iter().enumerate() {
            if unit.fate != Fate::Hit {
                for output in &unit.outputs {
                    makers.insert(stem(output), index);
                }
            }
        }
        Self { units, makers }
    }

    /// The units at the root of a follower's miss.
    fn roots(&self, follower: usize) -> BTreeSet<usize> {
        let mut roots = BTreeSet::new();
        let mut seen = BTreeSet::from([follower]);
        let mut pending = vec![follower];
        while let Some(index) = pending.pop() {
            let Some(changes) = extern_changes(self.units[index]) else {
                roots.insert(index);
                continue;
            };
            let makers = changes
                .iter()
                .filter_map(|change| self.makers.get(stem(&change.name)));
            for &maker in makers {
                if seen.insert(maker) {
                    pending.push(maker);
                }
            }
        }
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{changed, hit, log, missed, uncacheable};

    fn names(units: &[UnitName]) -> Vec<&str> {
        units.iter().map(|unit| unit.package.as_str()).collect()
    }

    fn chain() -> Vec<Event> {
        let extern_of = |name: &str| changed(&[(ChangeKind::Extern, name)]);
        log(vec![
            EventKind::Unit(hit("serde")),
            EventKind::Unit(missed(
                "core",
                changed(&[(ChangeKind::Source, "src/lib.rs")]),
            )),
            // Followed through an `.rmeta` with a directory before it.
            EventKind::Unit(missed("mid", extern_of("deps/libcore-coreid.rmeta"))),
            EventKind::Unit(missed("app", extern_of("libmid-midid.rlib"))),
            EventKind::Unit(missed("alien", extern_of("libelsewhere-1.rlib"))),
            EventKind::Unit(uncacheable("odd")),
        ])
    }

    #[test]
    fn followers_are_grouped_under_their_root() {
        let explanation = Explanation::of(&chain(), None);
        assert_eq!(explanation.roots.len(), 1);
        assert_eq!(explanation.roots[0].unit.package, "core");
        assert_eq!(explanation.followers.len(), 2);
        assert_eq!(names(&explanation.followers[0].roots), Vec::<&str>::new());
        assert_eq!(names(&explanation.followers[0].units), ["alien"]);
        assert_eq!(names(&explanation.followers[1].roots), ["core"]);
        assert_eq!(names(&explanation.followers[1].units), ["mid", "app"]);
        assert_eq!(explanation.uncacheable.len(), 1);
        assert!(explanation.hits.is_empty());
    }

    #[test]
    fn a_mixed_change_is_a_root() {
        let mixed = changed(&[(ChangeKind::Extern, "libx-1.rlib"), (ChangeKind::Env, "A")]);
        let explanation = Explanation::of(&log(vec![EventKind::Unit(missed("app", mixed))]), None);
        assert_eq!(explanation.roots.len(), 1);
    }

    #[test]
    fn units_that_name_each_other_end() {
        let of = |name: &str| changed(&[(ChangeKind::Extern, name)]);
        let events = log(vec![
            EventKind::Unit(missed("a", of("libb-bid.rlib"))),
            EventKind::Unit(missed("b", of("liba-aid.rlib"))),
        ]);
        assert!(Explanation::of(&events, None).roots.is_empty());
    }

    #[test]
    fn one_crate_is_told_of_its_hits_too() {
        let explanation = Explanation::of(&chain(), Some("serde"));
        assert_eq!(names(&explanation.hits), ["serde"]);
        assert!(explanation.roots.is_empty());
        assert!(Explanation::of(&chain(), Some("unheard-of")).is_empty());
    }
}
