//! cargo is called once per package where one call would do.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::{Call, CargoCall};

pub(super) const RULE: Rule = Rule {
    id: "cargo-call-per-package",
    summary: "cargo is called once per package where one call would do",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            for did in run.done() {
                let calls: Vec<(&Call, &CargoCall)> = did
                    .cargo()
                    .filter(|(call, cargo)| joins(cargo) && !call.conditional)
                    .collect();
                for (index, (call, cargo)) in calls.iter().enumerate() {
                    let twins = calls
                        .iter()
                        .filter(|(_, other)| alike(cargo, other))
                        .count();
                    let first = calls[..index].iter().all(|(_, other)| !alike(cargo, other));
                    let looped = call.looped
                        && cargo
                            .packages
                            .iter()
                            .any(|name| name.contains(crate::shell::UNKNOWN))
                        && cargo.packages.len() == 1;
                    if (twins < 2 || !first) && !looped {
                        continue;
                    }
                    let message = format!(
                        "`cargo {}` is called once per package: one call with several `-p` builds them beside each other, and each dependency with one set of features",
                        cargo.subcommand
                    );
                    sink.at(did.step.source, call.line, Some(job), message);
                }
            }
        }
    }
}

/// Such a call takes several packages.
fn joins(cargo: &CargoCall) -> bool {
    matches!(
        cargo.subcommand.as_str(),
        "build" | "check" | "clippy" | "test" | "nextest" | "doc"
    )
}

/// The same call for another package.
fn alike(one: &CargoCall, other: &CargoCall) -> bool {
    let bare = |call: &CargoCall| CargoCall {
        packages: std::collections::BTreeSet::new(),
        ..call.clone()
    };
    let known = |call: &CargoCall| call.packages.len() == 1 && !call.unknown;
    known(one)
        && known(other)
        && bare(one) == bare(other)
        && one.features.is_empty()
        && !one.no_default_features
}
