//! A compile cache is installed, and no compile goes through it.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::caches::{CompileCache, compile_caches, compiles, wrapper, wraps_c};
use crate::model::{Job, Run, Workflow};
use crate::yaml::edit::Edit;

use super::support::job_env;

pub(super) const RULE: Rule = Rule {
    id: "compile-cache-unused",
    summary: "a compile cache is set up and no compile uses it",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs {
            for cache in compile_caches(run) {
                let calls: Vec<_> = run.done().flat_map(|did| &did.calls).collect();
                // What a script of the project's own does cannot be seen.
                let compiled = calls.iter().any(|call| compiles(call));
                let used = calls.iter().any(|call| {
                    reaches(context, call, cache.tool)
                        && wrapper(context.project, &call.env).is_some_and(|wrapper| {
                            wrapper.contains(cache.tool) || wrapper.contains(crate::shell::UNKNOWN)
                        })
                        || wraps_c(&call.env, cache.tool)
                        || call
                            .words
                            .first()
                            .is_some_and(|program| program == cache.tool)
                            && call
                                .words
                                .iter()
                                .any(|word| word == "cargo" || word == "cc" || word == "build")
                });
                // What else goes through it, as a tool that is installed, is not what it is there for.
                let contained = calls
                    .iter()
                    .filter(|call| compiles(call))
                    .all(|call| !reaches(context, call, cache.tool));
                if !compiled || (used && !contained) {
                    continue;
                }
                let message = if contained {
                    format!(
                        "`{}` is set up here, and all of the job's compiles run in `cross`'s container, which neither has it nor gets `RUSTC_WRAPPER`: \
                         leave it out, or bring both into the container with `Cross.toml`",
                        cache.tool
                    )
                } else {
                    format!(
                        "`{}` is set up here, and no compile of the job goes through it: set `RUSTC_WRAPPER: {}` for the job",
                        cache.tool, cache.tool
                    )
                };
                let edits = edits(workflow, job, run, &cache);
                let source = cache.did.step.source;
                let own = std::ptr::eq(source, workflow.source);
                let finding = sink.at(source, cache.line, Some(job), message);
                if let Some(edits) = edits.filter(|_| own && !contained) {
                    finding.fix(
                        Safety::Safe,
                        "let compiles go through it",
                        edits.into_iter().map(Some),
                    );
                }
            }
        }
    }
}

/// Whether a program of the machine's is there for a call: `cross` compiles in a container that has only what its
/// configuration brings.
fn reaches(context: &Context<'_>, call: &crate::model::Call, tool: &str) -> bool {
    let crossed = call
        .cargo
        .as_ref()
        .is_some_and(|cargo| cargo.program == "cross");
    !crossed
        || context
            .project
            .cross
            .as_ref()
            .is_some_and(|text| text.contains(tool) || text.contains("RUSTC_WRAPPER"))
        || call.env.keys().any(|name| name.starts_with("CROSS_"))
        || context
            .project
            .manifests
            .values()
            .any(|file| file.text.contains("metadata.cross"))
}

/// Variables for the job, where nothing before the cache's step starts a compiler.
fn edits(
    workflow: &Workflow<'_>,
    job: &Job<'_>,
    run: &Run<'_>,
    cache: &CompileCache<'_, '_>,
) -> Option<Vec<Edit>> {
    use crate::model::actions::Kind;
    let early = run
        .steps
        .iter()
        .take_while(|did| did.index < cache.did.index)
        .any(|did| {
            did.calls.iter().any(|call| call.cargo.is_some())
                || matches!(
                    did.kind,
                    Kind::RustCache | Kind::ToolchainAndCache | Kind::BuildAndShip
                )
        });
    let said = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"]
        .iter()
        .any(|name| cache.did.env.contains_key(*name));
    if early || said || job.matrix().is_some_and(|matrix| matrix.str().is_some()) {
        return None;
    }
    let mut lines = vec![format!("RUSTC_WRAPPER: {}", cache.tool)];
    if cache.did.kind == Kind::Sccache && !crate::model::caches::remote(&cache.did.env) {
        lines.insert(0, "SCCACHE_GHA_ENABLED: 'true'".to_owned());
    }
    Some(vec![job_env(workflow, job, &lines)?])
}
