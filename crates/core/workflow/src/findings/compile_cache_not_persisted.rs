//! A compile cache writes to a disk that is thrown away after the job.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::caches::{compile_caches, compiles, kept, remote, wrapper};
use crate::model::{Did, Run};

use super::support::job_env;

pub(super) const RULE: Rule = Rule {
    id: "compile-cache-not-persisted",
    summary: "a compile cache is on a disk that is thrown away, and nothing keeps it",
    severity: Severity::High,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (workflow, job, runs) in context.jobs() {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let Some(line) = wasted(context, run) else {
                continue;
            };
            let sccache = compile_caches(run)
                .into_iter()
                .find(|cache| cache.did.kind == Kind::Sccache);
            let line = sccache.as_ref().map_or(line, |cache| cache.line);
            let source = sccache
                .as_ref()
                .map_or(workflow.source, |cache| cache.did.step.source);
            let message = "sccache keeps what it compiles on this machine's disk, which is thrown away after the job: \
                 set `SCCACHE_GHA_ENABLED: 'true'`, name a bucket, or keep its directory"
                .to_owned();
            let finding = sink.at(source, line, Some(job), message);
            if sccache.is_some() {
                let lines = ["SCCACHE_GHA_ENABLED: 'true'".to_owned()];
                finding.fix(
                    Safety::Safe,
                    "keep compilations in GitHub's cache",
                    [job_env(workflow, job, &lines)],
                );
            }
        }
    }
}

/// The line of the first compile through sccache that nothing keeps.
fn wasted(context: &Context<'_>, run: &Run<'_>) -> Option<u32> {
    let kept = kept(run).iter().any(|kept| kept.compile_cache);
    let mounted = run.steps.iter().any(|did: &Did<'_>| {
        did.step.action().contains("stickydisk")
            || did.step.action().contains("nscloud-cache")
            || did.step.action().contains("runs-on/action")
    });
    if kept || mounted {
        return None;
    }
    let mut calls = run
        .done()
        .flat_map(|did| &did.calls)
        .filter(|call| compiles(call));
    calls
        .find(|call| {
            wrapper(context.project, &call.env)
                .is_some_and(|wrapper| wrapper.rsplit('/').next() == Some("sccache"))
                && !remote(&call.env)
                && !call.env.contains_key("SCCACHE_CONF")
                && !call.env.contains_key("SCCACHE_SERVER_UDS")
        })
        .map(|call| call.line)
}
