//! A toolchain is installed, and the project's own file asks for another.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::actions::Kind;
use crate::model::{Did, Run};
use crate::shell::UNKNOWN;

use super::support::{resolve, unseen_action};

pub(super) const RULE: Rule = Rule {
    id: "toolchain-not-used",
    summary: "a toolchain is installed, and `rust-toolchain.toml` asks for another",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

/// The action that makes its toolchain rustup's default, which the file overrides. Others override the file.
const DEFAULTS: &str = "dtolnay/rust-toolchain";

fn check(context: &Context<'_>, sink: &mut Sink) {
    let Some(asked) = context
        .project
        .toolchain
        .as_deref()
        .filter(|asked| !asked.is_empty())
    else {
        return;
    };
    for (_, job, runs) in context.jobs() {
        for run in runs.iter().filter(|run| takes_file(context, run)) {
            for did in run.done().filter(|did| did.step.action() == DEFAULTS) {
                let Some(installed) = installed(run, did) else {
                    continue;
                };
                if same(&installed, asked)
                    || run.cargo().any(|(_, call, cargo)| {
                        cargo.toolchain.is_some() || call.env.contains_key("RUSTUP_TOOLCHAIN")
                    })
                {
                    continue;
                }
                let message = format!(
                    "`{installed}` is installed here and not used: `rust-toolchain.toml` asks for `{asked}`, which cargo downloads when it is first called. \
                     Install that one, or, where another is meant, set `RUSTUP_TOOLCHAIN: {installed}` for the job"
                );
                sink.at(did.step.source, did.step.line(), Some(job), message);
            }
        }
    }
}

/// Whether cargo runs where the file is, and nothing changes what rustup takes.
fn takes_file(context: &Context<'_>, run: &Run<'_>) -> bool {
    let plain = run.done().any(|did| {
        did.kind == Kind::Checkout
            && did.step.with("path").is_none()
            && did.step.with("repository").is_none()
    });
    let meddles = run.done().any(|did| {
        unseen_action(context, did)
            || did.calls.iter().any(|call| {
                let words = &call.words;
                words.iter().any(|word| word.contains("rust-toolchain"))
                    || words.first().is_some_and(|word| word == "rustup")
                        && words.iter().any(|word| word == "override")
            })
    });
    plain && !meddles && run.cargo().any(|(_, call, _)| !call.conditional)
}

/// What a step installs, if the files say it.
fn installed(run: &Run<'_>, did: &Did<'_>) -> Option<String> {
    let uses = did.step.uses.as_ref()?;
    let given = did.step.with("toolchain").map(|text| resolve(run, text));
    let name = match given {
        Some(name) => name,
        None if uses.pinned() || matches!(uses.reference, "master" | "v1") => return None,
        None => uses.reference.to_owned(),
    };
    let known = !name.is_empty() && !name.contains("${{") && !name.contains(UNKNOWN);
    known.then_some(name)
}

/// Whether two names may be of one toolchain: `1.90` is the newest `1.90.z`, which rustup installs beside `1.90.1`.
fn same(installed: &str, asked: &str) -> bool {
    let host = |name: &str| {
        name.split_once("-x86_64")
            .or_else(|| name.split_once("-aarch64"))
            .map_or(name, |(channel, _)| channel)
            .to_owned()
    };
    host(installed) == host(asked)
}
