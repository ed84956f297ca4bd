//! Fat LTO or one codegen unit in a job that ships nothing.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::run::Env;
use crate::model::{Project, Run};

use super::support::{job_env, unseen_action};

pub(super) const RULE: Rule = Rule {
    id: "release-in-ci",
    summary: "fat LTO or one codegen unit in a job that ships nothing",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    fix: Some(Safety::Unsafe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs().filter(|(workflow, ..)| workflow.is_ci()) {
        for run in runs.iter().filter(|run| !ships(context, run)) {
            for (did, call, cargo) in run.cargo().filter(|(_, call, _)| !call.conditional) {
                let slow = slow(context.project, &call.env);
                if cargo.profile != "release"
                    || !matches!(cargo.subcommand.as_str(), "build" | "test" | "nextest")
                    || slow.is_empty()
                {
                    continue;
                }
                let message = format!(
                    "this job ships nothing, and `{}` optimises as for a release ({}): use the dev profile, or turn that off for the job",
                    cargo.shown(),
                    slow.join(", ")
                );
                let own = std::ptr::eq(did.step.source, workflow.source);
                let finding = sink.at(did.step.source, call.line, Some(job), message);
                if own {
                    let lines = [
                        "CARGO_PROFILE_RELEASE_LTO: 'off'".to_owned(),
                        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS: 16".to_owned(),
                    ];
                    finding.fix(
                        Safety::Unsafe,
                        "turn both off for the job",
                        [job_env(workflow, job, &lines)],
                    );
                }
            }
        }
    }
}

/// What is slow in the release profile that a call uses.
fn slow(project: &Project, env: &Env) -> Vec<&'static str> {
    let mut found = Vec::new();
    let value = |variable: &str, key: &str| {
        let said = env.get(variable).cloned();
        said.or_else(|| {
            project
                .config_value(&format!("profile.release.{key}"))
                .or_else(|| project.manifest_value(&format!("profile.release.{key}")))
                .map(plain)
        })
    };
    if value("CARGO_PROFILE_RELEASE_LTO", "lto")
        .is_some_and(|lto| matches!(lto.as_str(), "true" | "fat"))
    {
        found.push("fat LTO");
    }
    if value("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "codegen-units")
        .is_some_and(|units| units == "1")
    {
        found.push("one codegen unit");
    }
    found
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(value) => value.to_string(),
        _ => String::new(),
    }
}

/// What is built is kept, published, measured or run.
fn ships(context: &Context<'_>, run: &Run<'_>) -> bool {
    run.done().any(|did| {
        let action = matches!(did.kind, Kind::Upload | Kind::Ship | Kind::BuildAndShip)
            || unseen_action(context, did);
        action
            || did.calls.iter().any(|call| {
                let program = call.words.first().map(String::as_str).unwrap_or_default();
                call.words
                    .iter()
                    .any(|word| word.contains("release/") || word.contains(crate::shell::UNKNOWN))
                    || call.cargo.as_ref().is_some_and(|cargo| {
                        matches!(
                            cargo.subcommand.as_str(),
                            "bench" | "run" | "publish" | "deb" | "dist"
                        )
                    })
                    || (call.cargo.is_none()
                        && !super::support::is_plain(call)
                        && !program.is_empty())
            })
    })
}
