//! Full debug information is made in CI, where no debugger reads it.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::CargoCall;
use crate::yaml::edit::{add_entry, add_entry_before};

use super::support::has_dependencies;

pub(super) const RULE: Rule = Rule {
    id: "debug-info-in-ci",
    summary: "full debug information is made in CI, where no debugger reads it",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let said = ["dev", "test"].iter().any(|profile| {
        let key = format!("profile.{profile}.debug");
        context
            .project
            .manifest_value(&key)
            .or_else(|| context.project.config_value(&key))
            .is_some()
    });
    if said {
        return;
    }
    for played in context
        .workflows
        .iter()
        .filter(|played| played.workflow.is_ci())
    {
        let workflow = &played.workflow;
        let first = played.jobs().find_map(|(job, runs)| {
            let call = runs
                .iter()
                .flat_map(|run| run.cargo())
                .find(|(_, call, cargo)| {
                    let limited =
                        call.env.keys().any(|name| {
                            name.starts_with("CARGO_PROFILE_") && name.ends_with("_DEBUG")
                        }) || ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].iter().any(|name| {
                            call.env.get(*name).is_some_and(|flags| {
                                flags.contains("debuginfo") || flags.contains("-g")
                            })
                        });
                    makes_debug(cargo)
                        && has_dependencies(context, cargo)
                        && !limited
                        && !call.conditional
                });
            call.map(|(_, _, cargo)| (job, cargo.shown()))
        });
        let Some((job, shown)) = first else { continue };
        let message = format!(
            "`{shown}` makes debug information for debuggers, which takes time to write, link and cache: set `CARGO_PROFILE_DEV_DEBUG: 1` (panics keep their lines)"
        );
        let document = workflow.document();
        let finding = sink.at(workflow.source, job.line(), Some(job), message);
        let lines = ["CARGO_PROFILE_DEV_DEBUG: 1".to_owned()];
        let edit = match document.root.get("env") {
            Some(env) => add_entry(document, env, None, &lines),
            None => add_entry_before(
                document,
                &document.root,
                "jobs",
                &["env:".to_owned(), format!("  {}", lines[0]), String::new()],
            ),
        };
        finding.fix(Safety::Safe, "make line tables alone", [edit]);
    }
}

fn makes_debug(cargo: &CargoCall) -> bool {
    cargo.profile == "dev" && matches!(cargo.subcommand.as_str(), "build" | "test" | "nextest")
}
