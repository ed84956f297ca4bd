//! Compiles and archives of build scripts: many of them miss for one reason, which is said once.

use std::collections::BTreeMap;
use std::fmt::Write;

use rekindle_events::MissReason;

use crate::ExplainedStep;
use crate::words::count;

/// One paragraph for each package and reason.
pub(crate) fn text(steps: &[&ExplainedStep], listed_max: usize) -> String {
    let mut groups: BTreeMap<(String, Vec<String>), Vec<&str>> = BTreeMap::new();
    for step in steps {
        let package = format!("{} {}", step.package, step.version);
        let names = groups.entry((package, reasons(step))).or_default();
        names.push(&step.id);
    }
    let mut text = String::new();
    for ((package, reasons), names) in groups {
        let made = count(
            names.len() as u64,
            "object or archive",
            "objects or archives",
        );
        let _ = writeln!(text, "{made} of the build script of {package} made anew:");
        listed(&mut text, &reasons, listed_max);
        let _ = writeln!(text, "  which concerns:");
        let names: Vec<String> = names.into_iter().map(|name| format!("  {name}")).collect();
        listed(&mut text, &names, listed_max);
    }
    text
}

fn listed(text: &mut String, lines: &[String], listed_max: usize) {
    for line in lines.iter().take(listed_max) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(listed_max) {
        let _ = writeln!(text, "  and {more} more");
    }
}

fn reasons(step: &ExplainedStep) -> Vec<String> {
    match (&step.reason, &step.refused) {
        (_, Some(refused)) => vec![format!("each time: {refused}")],
        (Some(MissReason::Changed { changes }), None) => {
            changes.iter().map(ToString::to_string).collect()
        }
        (Some(MissReason::NeverSeen), None) => vec!["never made with this store before".into()],
        (Some(reason), None) => vec![reason.to_string()],
        (None, None) => vec!["the log does not say why".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_events::{Change, ChangeKind, Refusal};

    #[test]
    fn one_header_is_one_reason() {
        let step = |id: &str, header: &str| ExplainedStep {
            package: "z".into(),
            version: "1.0.0".into(),
            kind: "cc".into(),
            id: id.into(),
            reason: Some(MissReason::Changed {
                changes: vec![Change {
                    kind: ChangeKind::Read,
                    name: header.into(),
                    old: Some("00".into()),
                    new: Some("01".into()),
                }],
            }),
            refused: None,
        };
        let mut refused = step("t.c", "t.h");
        refused.refused = Some(Refusal::Argument {
            argument: "--coverage".into(),
        });
        let steps = [
            step("a.c", "x.h"),
            step("b.c", "x.h"),
            step("c.c", "x.h"),
            refused,
        ];
        let steps: Vec<&ExplainedStep> = steps.iter().collect();
        assert_eq!(
            text(&steps, 2),
            "3 objects or archives of the build script of z 1.0.0 made anew:
  `x.h` was rewritten
  which concerns:
    a.c
    b.c
  and 1 more
1 object or archive of the build script of z 1.0.0 made anew:
  each time: the effect of `--coverage` on what it makes is not known
  which concerns:
    t.c
"
        );
    }
}
