//! A linker or compiler is installed, and nothing uses it.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::Run;

use super::apt_already_there::packages;

pub(super) const RULE: Rule = Rule {
    id: "apt-unused",
    summary: "a linker or compiler is installed, and nothing uses it",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    fix: None,
    check,
};

/// A package and what must be named somewhere for it to be used.
const USED_BY: &[(&str, &[&str])] = &[
    ("mold", &["mold"]),
    ("lld", &["lld", "xwin", "clang-cl"]),
    ("musl-tools", &["musl"]),
    ("gcc-aarch64-linux-gnu", &["aarch64"]),
    (
        "gcc-arm-linux-gnueabihf",
        &["arm-linux-gnueabihf", "armv7", "gnueabihf"],
    ),
    ("gcc-mingw-w64-x86-64", &["windows-gnu"]),
    ("mingw-w64", &["windows-gnu"]),
    ("valgrind", &["valgrind", "iai"]),
    ("ccache", &["ccache"]),
    ("llvm-mingw", &["gnullvm"]),
];

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            for did in run.done() {
                for call in &did.calls {
                    for package in packages(call) {
                        let Some((_, words)) = USED_BY.iter().find(|(name, _)| *name == package)
                        else {
                            continue;
                        };
                        // One combination of a matrix may use what another does not.
                        if runs.iter().any(|run| uses(context, run, words)) {
                            continue;
                        }
                        let message = format!(
                            "`{package}` is installed here, and nothing in the job or in `.cargo/config.toml` uses it: leave it out"
                        );
                        sink.at(did.step.source, call.line, Some(job), message);
                    }
                }
            }
        }
    }
}

fn uses(context: &Context<'_>, run: &Run<'_>, words: &[&str]) -> bool {
    let project = context.project;
    let names = |text: &str| {
        let text = text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    let unknown = |text: &str| text.contains(crate::shell::UNKNOWN);
    // Of variables these name linkers and compilers.
    let may_name = |(name, value): (&String, &String)| {
        let tool = ["FLAGS", "LINKER", "CC", "CXX", "TARGET", "CARGO_", "RUST"]
            .iter()
            .any(|part| name.contains(part));
        names(value) || tool && !name.starts_with("SCCACHE_") && unknown(value)
    };
    let unseen = run
        .done()
        .any(|did| super::support::unseen_action(context, did));
    let config = project
        .cargo_config
        .as_ref()
        .is_some_and(|file| names(&file.text))
        || project.manifests.values().any(|file| names(&file.text));
    unseen
        || config
        || run.done().any(|did| {
            did.env.iter().any(may_name)
                || did.calls.iter().any(|call| {
                    packages(call).is_empty()
                        && super::apt_already_there::apt(call).is_none()
                        && (call
                            .words
                            .iter()
                            .any(|word| names(word) || unknown(word) && !prints(call))
                            || call.env.iter().any(may_name)
                            || !super::support::is_plain(call))
                })
        })
}

/// Whether a command only says something.
fn prints(call: &crate::model::Call) -> bool {
    call.words
        .first()
        .is_some_and(|word| matches!(word.as_str(), "echo" | "printf" | "mkdir"))
}
