//! `explain` for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rekindle_events::MissReason;

use crate::words::count;
use crate::{Explained, Explanation, Followers, UnitName};

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
    use rekindle_events::{ChangeKind, EventKind};

    use super::*;
    use crate::fixtures::{changed, hit, log, missed, never_seen, uncacheable};

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
