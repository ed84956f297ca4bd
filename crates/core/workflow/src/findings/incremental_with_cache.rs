//! Incremental compilation with a compile cache that cannot keep such units.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::caches::{compiles, wrapper};
use crate::yaml::Node;
use crate::yaml::edit::{add_entry, add_entry_before, replace_scalar};

pub(super) const RULE: Rule = Rule {
    id: "incremental-with-cache",
    summary: "incremental compilation with a compile cache that keeps no such unit",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for (did, call) in runs.iter().flat_map(|run| {
            run.done()
                .flat_map(|did| did.calls.iter().map(move |call| (did, call)))
        }) {
            let through = compiles(call)
                && wrapper(context.project, &call.env)
                    .is_some_and(|wrapper| wrapper.rsplit('/').next() == Some("sccache"));
            let dev = call
                .cargo
                .as_ref()
                .is_some_and(|cargo| matches!(cargo.profile.as_str(), "dev" | "bench"));
            let set = call.env.get("CARGO_INCREMENTAL").map(String::as_str);
            let configured = ["build.incremental", "profile.dev.incremental"]
                .iter()
                .find_map(|key| context.project.config_value(key)?.as_bool());
            let on = match set {
                Some(value) => matches!(value, "1" | "true"),
                None => {
                    dev && configured
                        .or_else(|| {
                            context
                                .project
                                .manifest_value("profile.dev.incremental")?
                                .as_bool()
                        })
                        .unwrap_or(true)
                }
            };
            if !through || !on {
                continue;
            }
            let said = set.map_or(
                "nothing says `CARGO_INCREMENTAL: 0`",
                |_| "`CARGO_INCREMENTAL` is 1",
            );
            let message = format!(
                "{said}, so the workspace's own crates are compiled incrementally, and sccache keeps no such unit: set `CARGO_INCREMENTAL: 0`"
            );
            let places = [
                did.step.node.get("env"),
                job.node.get("env"),
                workflow.document().root.get("env"),
            ];
            let own = places
                .into_iter()
                .flatten()
                .find_map(|env| env.entry("CARGO_INCREMENTAL"));
            let document = workflow.document();
            let line = own.map_or(call.line, |(key, _)| key.place.line);
            let source = if own.is_some() {
                workflow.source
            } else {
                did.step.source
            };
            let finding = sink.at(source, line, Some(job), message);
            let edit = match own {
                Some((_, value)) => replace_scalar(document, value, "0"),
                None if set.is_some() => None,
                None => match (
                    job.node.get("env"),
                    workflow
                        .document()
                        .root
                        .get("env")
                        .filter(|env| env.get("RUSTC_WRAPPER").is_some()),
                ) {
                    (Some(env), _) | (None, Some(env)) => {
                        add_entry(document, env, None, &["CARGO_INCREMENTAL: 0".to_owned()])
                    }
                    (None, None) => add_entry_before(
                        document,
                        job.node,
                        "steps",
                        &["env:".to_owned(), "  CARGO_INCREMENTAL: 0".to_owned()],
                    ),
                },
            };
            if std::ptr::eq(source, workflow.source)
                || job.node.get("env").is_some_and(Node::is_mapping)
            {
                let path_is_own = finding.file == workflow.source.path;
                if path_is_own {
                    finding.fix(Safety::Safe, "compile whole units, which are kept", [edit]);
                }
            }
        }
    }
}
