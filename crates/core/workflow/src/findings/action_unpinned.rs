//! An action of somebody else's that may be another tomorrow.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::Uses;
use crate::pins;
use crate::yaml::Document;
use crate::yaml::edit::{Edit, replace_scalar};

pub(super) const RULE: Rule = Rule {
    id: "action-unpinned",
    summary: "an action of somebody else's is not pinned to a commit",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
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
        let finding = sink.at(source, uses.node.place.line, job, message);
        finding.fix(
            Safety::Unsafe,
            "pin it to a release of the same line",
            [pinned(&source.document, uses)],
        );
    });
}

/// The commit of a release that the name may stand for. The name may have gone on to a later one, and what another
/// version's commit is cannot be known without asking.
fn pinned(document: &Document, uses: &Uses<'_>) -> Option<Edit> {
    let (commit, version) = pins::of_action(&uses.name)?.of_line(uses.reference)?;
    let written = uses.node.str()?.split('@').next()?;
    let mut edit = replace_scalar(document, uses.node, &format!("{written}@{commit}"))?;
    // Words that stand there stay.
    edit.text = format!("{} # {version}", edit.text);
    Some(edit)
}
