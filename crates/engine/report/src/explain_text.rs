//! `explain` for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rekindle_events::{MissReason, Refusal, is_tool};

use crate::explain_tools;
use crate::words::count;
use crate::{Explained, ExplainedStep, Explanation, Followers, UnitName};

/// More units than this with one and the same reason are counted, not listed, unless a crate was
/// asked for.
const LISTED_MAX: usize = 10;

/// The whole text, its last line ended. `wanted` is the crate that was asked for.
#[must_use]
pub fn explain_text(explanation: &Explanation, wanted: Option<&str>) -> String {
    if explanation.is_empty() {
        return nothing(explanation, wanted);
    }
    let listed_max = if wanted.is_some() {
        usize::MAX
    } else {
        LISTED_MAX
    };
    let mut sections = vec![
        steps(&explanation.steps, listed_max),
        changed(&explanation.roots, listed_max),
        other_roots(&explanation.roots, listed_max),
        followers(&explanation.followers, listed_max),
        uncacheable(explanation, listed_max),
    ];
    if !explanation.hits.is_empty() {
        sections.push(format!(
            "restored from the store:\n{}",
            list(&explanation.hits, usize::MAX)
        ));
    }
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn nothing(explanation: &Explanation, wanted: Option<&str>) -> String {
    let text = match wanted {
        Some(wanted) => format!(
            "nothing is known of `{wanted}` in this run: it was fresh, or is no part of the build"
        ),
        None if explanation.units == 0 => {
            "nothing to explain: no unit was compiled or restored in this run".to_owned()
        }
        None => format!(
            "nothing to explain: {} restored from the store",
            count(explanation.units as u64, "unit was", "units were")
        ),
    };
    text + "\n"
}

/// Steps that were started: what changed, and why they are not stored.
fn steps(steps: &[ExplainedStep], listed_max: usize) -> String {
    let mut text = String::new();
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (tools, steps): (Vec<_>, Vec<_>) = steps.iter().partition(|step| is_tool(&step.kind));
    for step in &steps {
        let reason = match (&step.reason, &step.refused) {
            (_, Some(refused)) => format!("started each time: {refused}"),
            (Some(MissReason::Changed { changes }), None) => {
                let _ = writeln!(text, "{step} was started because of what it reads:");
                for change in changes.iter().take(listed_max) {
                    let _ = writeln!(text, "  {change}");
                }
                if let Some(more @ 1..) = changes.len().checked_sub(listed_max) {
                    let _ = writeln!(text, "  and {more} more");
                }
                continue;
            }
            (Some(MissReason::NeverSeen), None) => {
                "started: never run with this store before".into()
            }
            (Some(reason), None) => format!("started: {reason}"),
            (None, None) => "started: the log does not say why".into(),
        };
        groups.entry(reason).or_default().push(step.to_string());
    }
    for (reason, steps) in groups {
        for step in steps {
            let _ = writeln!(text, "{step} was {reason}");
        }
    }
    text + &trust(&steps) + &explain_tools::text(&tools, listed_max)
}

/// How to have runs used again that are not, where what they make is none the worse for it.
fn trust(steps: &[&ExplainedStep]) -> String {
    let mut packages: Vec<&str> = steps
        .iter()
        .filter(|step| step.kind == "build-script")
        .filter(|step| step.refused.as_ref().is_some_and(Refusal::can_be_trusted))
        .map(|step| step.package.as_str())
        .collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return String::new();
    }
    format!(
        "if what they make does not depend on that, `REKINDLE_TRUSTED_SCRIPTS={}` or `build.trusted-scripts` in your \
         configuration has such runs used again\n",
        packages.join(",")
    )
}

/// Units whose own inputs changed, each with all of its changes.
fn changed(roots: &[Explained], listed_max: usize) -> String {
    let mut text = String::new();
    for root in roots {
        let Some(MissReason::Changed { changes }) = &root.reason else {
            continue;
        };
        let _ = writeln!(
            text,
            "{} was compiled because its inputs changed:",
            root.unit
        );
        for change in changes.iter().take(listed_max) {
            let _ = writeln!(text, "  {change}");
        }
        if let Some(more @ 1..) = changes.len().checked_sub(listed_max) {
            let _ = writeln!(
                text,
                "  and {more} more: `rekindle explain {}` lists them",
                root.unit.package
            );
        }
    }
    text
}

/// Units that missed for another reason, grouped by it.
fn other_roots(roots: &[Explained], listed_max: usize) -> String {
    let mut groups: BTreeMap<String, Vec<UnitName>> = BTreeMap::new();
    for root in roots {
        let reason = match &root.reason {
            Some(MissReason::Changed { .. }) => continue,
            Some(reason) => reason.to_string(),
            None => "the log does not say why".to_owned(),
        };
        groups.entry(reason).or_default().push(root.unit.clone());
    }
    grouped(&groups, "compiled", listed_max)
}

fn uncacheable(explanation: &Explanation, listed_max: usize) -> String {
    let mut groups: BTreeMap<String, Vec<UnitName>> = BTreeMap::new();
    for (unit, reason) in &explanation.uncacheable {
        let reason = match reason {
            Some(reason) => reason.to_string(),
            None => "the log does not say why".to_owned(),
        };
        groups.entry(reason).or_default().push(unit.clone());
    }
    grouped(&groups, "not cacheable", listed_max)
}

fn grouped(groups: &BTreeMap<String, Vec<UnitName>>, what: &str, listed_max: usize) -> String {
    let mut text = String::new();
    for (reason, units) in groups {
        let number = count(units.len() as u64, "unit", "units");
        let _ = writeln!(text, "{number} {what}: {reason}");
        text.push_str(&list(units, listed_max));
    }
    text
}

fn followers(groups: &[Followers], listed_max: usize) -> String {
    let mut text = String::new();
    for group in groups {
        let number = count(group.units.len() as u64, "unit", "units");
        let roots: Vec<_> = group.roots.iter().map(ToString::to_string).collect();
        let because = if roots.is_empty() {
            "dependencies that an earlier build compiled".to_owned()
        } else {
            roots.join(", ")
        };
        let _ = writeln!(text, "{number} compiled only because of {because}:");
        text.push_str(&list(&group.units, listed_max));
    }
    text
}

fn list(units: &[UnitName], listed_max: usize) -> String {
    let mut text = String::new();
    for unit in units.iter().take(listed_max) {
        let _ = writeln!(text, "  {unit}");
    }
    if units.len() > listed_max {
        let more = units.len() - listed_max;
        let _ = writeln!(text, "  and {more} more: `--format json` lists all");
    }
    text
}

#[cfg(test)]
mod tests {
    use rekindle_events::{ChangeKind, EventKind, StepFate};

    use super::*;
    use crate::fixtures::{changed, hit, log, missed, never_seen, step, uncacheable};

    fn check(kinds: Vec<EventKind>, wanted: Option<&str>, expected: &str) {
        let explanation = Explanation::of(&log(kinds), wanted);
        assert_eq!(explain_text(&explanation, wanted), expected);
    }

    #[test]
    fn causes_come_before_consequences() {
        let source = changed(&[
            (ChangeKind::Source, "src/lib.rs"),
            (ChangeKind::Env, "MODE"),
        ]);
        let follows = changed(&[(ChangeKind::Extern, "libcore-coreid.rmeta")]);
        check(
            vec![
                EventKind::Unit(uncacheable("odd")),
                EventKind::Unit(missed("app", follows)),
                EventKind::Unit(missed("new", never_seen())),
                EventKind::Unit(missed("core", source)),
            ],
            None,
            "core 1.0.0 (lib) was compiled because its inputs changed:
  source `src/lib.rs`: one → two
  environment variable `MODE`: one → two

1 unit compiled: never built with this store before
  new 1.0.0 (lib)

1 unit compiled only because of core 1.0.0 (lib):
  app 1.0.0 (lib)

1 unit not cacheable: the clock was set while the compiler ran
  odd 1.0.0 (lib)
",
        );
    }

    #[test]
    fn steps_say_what_changed_or_why_they_are_not_stored() {
        let header = changed(&[(ChangeKind::Read, "/usr/include/zlib.h")]);
        let of = |package: &str, reason, refused| {
            let mut step = step(package, StepFate::Miss);
            step.miss = Some(reason);
            step.refused = refused;
            EventKind::Step(step)
        };
        check(
            vec![
                of("z-sys", header, None),
                of("new-sys", never_seen(), None),
                of("git", never_seen(), Some(Refusal::AlwaysRuns { path: "x".into() })),
                of("blind", never_seen(), Some(Refusal::Blind { why: "off".into() })),
                EventKind::Step(step("hit", StepFate::Hit)),
            ],
            None,
            "the build script of z-sys 1.0.0 was started because of what it reads:
  `/usr/include/zlib.h` was rewritten
the build script of git 1.0.0 was started each time: it asks to be run each time: it declares `x`, which is not there
the build script of blind 1.0.0 was started each time: what it reads could not be observed: off
the build script of new-sys 1.0.0 was started: never run with this store before
if what they make does not depend on that, `REKINDLE_TRUSTED_SCRIPTS=git` or `build.trusted-scripts` in your configuration has such runs used again
",
        );
    }

    #[test]
    fn nothing_is_said_plainly() {
        check(
            vec![],
            None,
            "nothing to explain: no unit was compiled or restored in this run\n",
        );
        check(
            vec![EventKind::Unit(hit("a"))],
            None,
            "nothing to explain: 1 unit was restored from the store\n",
        );
        check(
            vec![EventKind::Unit(hit("a"))],
            Some("a"),
            "restored from the store:\n  a 1.0.0 (lib)\n",
        );
    }

    #[test]
    fn many_are_counted() {
        let units = (0..13).map(|n| EventKind::Unit(missed(&format!("p{n}"), never_seen())));
        let text = explain_text(&Explanation::of(&log(units.collect()), None), None);
        assert_eq!(text.lines().count(), 12);
        assert!(text.contains("and 3 more"));
    }
}
