//! An action made for a Node that GitHub's runners no longer have.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::{self, Kind};
use crate::yaml::edit::replace_scalar;

pub(super) const RULE: Rule = Rule {
    id: "action-node-removed",
    summary: "an action is made for a Node that runners no longer have",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    super::support::each_uses(context, &mut |source, job, _, uses| {
        let Some(known) = actions::find(&uses.name) else {
            return;
        };
        let Some(major) = uses.major().filter(|major| *major < known.first_live_major) else {
            return;
        };
        // That these do not work at all is the other rule's finding.
        let served = matches!(
            known.kind,
            Kind::Cache | Kind::CacheRestore | Kind::CacheSave
        ) && uses.older_than(3, 4, 0)
            || major < known.first_served_major;
        if served {
            return;
        }
        let dead = matches!(uses.name.split('/').next(), Some("actions-rs" | "hecrj"));
        let advice = if dead {
            "nobody maintains it: take another".to_owned()
        } else {
            format!("take v{} or later", known.first_live_major)
        };
        let message = format!(
            "`{}@{}` is made for Node 12 or 16, which runners no longer have: {advice}",
            uses.name, uses.reference
        );
        let finding = sink.at(source, uses.node.place.line, job, message);
        let plain = uses
            .reference
            .strip_prefix('v')
            .is_some_and(|rest| rest.parse::<u32>().is_ok());
        if plain && !dead {
            let name = uses
                .node
                .str()
                .unwrap_or_default()
                .split('@')
                .next()
                .unwrap_or_default();
            let text = format!("{name}@v{}", known.first_live_major);
            finding.fix(
                Safety::Unsafe,
                "take the first version that runs",
                [replace_scalar(&source.document, uses.node, &text)],
            );
        }
    });
}
