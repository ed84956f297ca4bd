//! Steps that share nothing wait for each other.

use std::collections::BTreeSet;

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::{CargoCall, Run};

pub(super) const RULE: Rule = Rule {
    id: "sequential-steps",
    summary: "steps that share nothing wait for each other in one job",
    severity: Severity::Low,
    confidence: Confidence::Low,
    fix: None,
    check,
};

/// So many different builds in one job are worth a second job.
const MANY: usize = 3;

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs().filter(|(workflow, ..)| workflow.is_ci()) {
        for run in runs {
            let kinds = kinds(run);
            if kinds.len() < MANY {
                continue;
            }
            let message = format!(
                "{} builds that share hardly a unit run one after the other here ({}): jobs of their own would run beside each other",
                kinds.len(),
                kinds.into_iter().collect::<Vec<_>>().join(", ")
            );
            sink.at(workflow.source, job.line(), Some(job), message);
        }
    }
}

/// The different builds of a run, one for each step at least.
fn kinds(run: &Run<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for did in run.done() {
        let first = did
            .cargo()
            .find(|(call, cargo)| cargo.compiles() && !call.conditional && !cargo.unknown);
        if let Some((_, cargo)) = first {
            found.insert(kind(cargo));
        }
    }
    found
}

/// Calls of one kind share the units of dependencies.
fn kind(cargo: &CargoCall) -> String {
    let stage = match cargo.subcommand.as_str() {
        "check" | "clippy" => "check",
        "doc" | "rustdoc" => "doc",
        "miri" | "llvm-cov" | "tarpaulin" => cargo.subcommand.as_str(),
        _ => "build",
    };
    let mut kind = format!("{stage} {}", cargo.profile);
    for target in &cargo.targets {
        kind += &format!(" {target}");
    }
    kind
}
