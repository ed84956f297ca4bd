//! A database is started for a job that only compiles and needs none.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::Run;

use super::support::{is_plain, unseen_action};

pub(super) const RULE: Rule = Rule {
    id: "database-for-compile",
    summary: "a database is started for a job that only compiles and needs none",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

const DATABASES: &[&str] = &[
    "postgres",
    "mysql",
    "mariadb",
    "redis",
    "mongo",
    "cockroach",
    "mssql",
    "timescale",
    "valkey",
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        let Some((key, services)) = job.node.entry("services") else {
            continue;
        };
        let named: Vec<&str> = services
            .entries()
            .iter()
            .filter(|(_, service)| {
                let image = service
                    .get("image")
                    .and_then(crate::yaml::Node::str)
                    .unwrap_or_default();
                DATABASES.iter().any(|database| image.contains(database))
            })
            .filter_map(|(name, _)| name.str())
            .collect();
        if named.is_empty() || !runs.iter().all(|run| only_compiles(context, run)) {
            continue;
        }
        let message = format!(
            "`{}` is started for this job, which only compiles and asks it nothing: leave it out",
            named.join("`, `")
        );
        sink.at(workflow.source, key.place.line, Some(job), message);
    }
}

/// Nothing in it can ask a database: no test, no program of its own, and macros are told not to.
fn only_compiles(context: &Context<'_>, run: &Run<'_>) -> bool {
    let mut compiles = false;
    for did in run.done() {
        if unseen_action(context, did) {
            return false;
        }
        for call in &did.calls {
            let Some(cargo) = &call.cargo else {
                if !is_plain(call) {
                    return false;
                }
                continue;
            };
            if !matches!(
                cargo.subcommand.as_str(),
                "check" | "clippy" | "build" | "doc" | "fmt"
            ) {
                return false;
            }
            let offline = call
                .env
                .get("SQLX_OFFLINE")
                .is_some_and(|value| matches!(value.as_str(), "true" | "1"));
            if call.env.contains_key("DATABASE_URL") && !offline {
                return false;
            }
            compiles = true;
        }
    }
    compiles
}
