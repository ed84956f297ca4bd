//! An action of somebody else's that may be another tomorrow.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};

pub(super) const RULE: Rule = Rule {
    id: "action-unpinned",
    summary: "an action of somebody else's is not pinned to a commit",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    super::support::each_uses(context, &mut |source, job, _, uses| {
        let own = matches!(uses.name.split('/').next(), Some("actions" | "github"));
        if uses.local() || uses.pinned() || own {
            return;
        }
        if uses.docker() {
            if !uses.name.contains("@sha256:") {
                let message = format!(
                    "`{}` may be another image tomorrow: pin it to a digest",
                    uses.name
                );
                sink.at(source, uses.node.place.line, job, message);
            }
            return;
        }
        let message = format!(
            "`{}@{}` is whatever its owner, or who has their password, makes of that name: pin it to a commit, with the version in a comment",
            uses.name, uses.reference
        );
        sink.at(source, uses.node.place.line, job, message);
    });
}
