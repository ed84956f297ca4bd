//! What several rules need.

use crate::audit::{Context, Played};
use crate::model::workflow::steps;
use crate::model::{Call, Did, Job, Run, Source, Step, Uses};
use crate::yaml::Node;

/// Takes a use of an action: its file, its job, where it is a workflow's, its step.
pub(super) type UseVisitor<'v, 'p> =
    &'v mut dyn FnMut(&'p Source, Option<&Job<'p>>, &Step<'p>, &Uses<'p>);

/// Every use of an action, in workflows and in local actions.
pub(super) fn each_uses<'p>(context: &Context<'p>, visit: UseVisitor<'_, 'p>) {
    for (workflow, job, _) in context.jobs() {
        for step in &job.steps {
            if let Some(uses) = &step.uses {
                visit(workflow.source, Some(job), step, uses);
            }
        }
    }
    for source in context
        .project
        .sources
        .iter()
        .filter(|source| source.action)
    {
        for step in steps(source, source.document.root.at(&["runs", "steps"])) {
            if let Some(uses) = &step.uses {
                visit(source, None, &step, uses);
            }
        }
    }
}

/// The first compile that is sure to happen.
pub(super) fn first_compile<'r>(run: &'r Run<'_>) -> Option<(&'r Did<'r>, &'r Call)> {
    run.done()
        .flat_map(|did| did.calls.iter().map(move |call| (did, call)))
        .find(|(_, call)| crate::model::caches::compiles(call))
}

/// Whether a call compiles packages beside the project's own; taken to be so if no manifest was given.
pub(super) fn has_dependencies(context: &Context<'_>, cargo: &crate::model::CargoCall) -> bool {
    let manifests = &context.project.manifests;
    if manifests.is_empty() {
        return true;
    }
    let tests = matches!(
        cargo.subcommand.as_str(),
        "test" | "nextest" | "bench" | "llvm-cov" | "tarpaulin" | "miri"
    ) || cargo.rest.iter().any(|word| {
        matches!(
            word.as_str(),
            "--all-targets" | "--tests" | "--examples" | "--benches" | "test" | "nextest"
        )
    });
    let kinds: &[&str] = if tests {
        &["dependencies", "build-dependencies", "dev-dependencies"]
    } else {
        &["dependencies", "build-dependencies"]
    };
    let featured = cargo.all_features
        || !cargo.features.is_empty()
        || cargo.unknown
        || cargo.subcommand == "hack";
    let wanted = |value: &toml::Value| {
        featured || value.get("optional").and_then(toml::Value::as_bool) != Some(true)
    };
    let filled = |table: &toml::Table| {
        kinds.iter().any(|kind| {
            table
                .get(*kind)
                .and_then(toml::Value::as_table)
                .is_some_and(|table| table.values().any(wanted))
        })
    };
    manifests.values().any(|file| {
        filled(&file.table)
            || file
                .table
                .get("target")
                .and_then(toml::Value::as_table)
                .is_some_and(|targets| {
                    targets
                        .values()
                        .filter_map(toml::Value::as_table)
                        .any(filled)
                })
    })
}

/// Whether a step's action does what the files do not say: none that is known, and none of the project's own steps.
pub(super) fn unseen_action(context: &Context<'_>, did: &Did<'_>) -> bool {
    did.step.uses.as_ref().is_some_and(|uses| {
        crate::model::actions::find(&uses.name).is_none()
            && did.kind != crate::model::actions::Kind::Rekindle
            && !followed(context, uses)
    })
}

/// Whether an action is a local one whose steps are read as the job's own.
fn followed(context: &Context<'_>, uses: &Uses<'_>) -> bool {
    uses.local()
        && context
            .project
            .action(&uses.name)
            .is_some_and(|source| source.document.root.at(&["runs", "steps"]).is_some())
}

/// Whether an action, whose name is all that is known of it, may keep things between runs.
pub(super) fn may_cache(context: &Context<'_>, run: &Run<'_>) -> bool {
    use crate::model::actions;
    run.done().any(|did| {
        let Some(uses) = &did.step.uses else {
            return did.calls.iter().any(|call| {
                call.words.first().is_some_and(|word| {
                    matches!(
                        word.as_str(),
                        "nix" | "docker" | "earthly" | "bazel" | "rekindle" | "mbx"
                    )
                })
            });
        };
        let unknown = actions::find(&uses.name).is_none() && !followed(context, uses);
        unknown
            && (uses.local()
                || ["cache", "rust", "nix", "stickydisk", "rekindle"]
                    .iter()
                    .any(|part| uses.name.contains(part)))
    })
}

/// Whether a command does nothing that a rule would have to know: it prints, installs packages or toolchains.
pub(super) fn is_plain(call: &Call) -> bool {
    let first = call
        .words
        .iter()
        .find(|word| *word != "sudo" && !word.starts_with('-'))
        .map(String::as_str)
        .unwrap_or_default();
    let program = first.rsplit('/').next().unwrap_or_default();
    call.cargo.is_some()
        || matches!(
            program,
            "" | "apt-get"
                | "apt"
                | "rustup"
                | "echo"
                | "printf"
                | "mkdir"
                | "cd"
                | "set"
                | "["
                | "test"
                | "true"
                | "ls"
                | "cat"
                | "rustc"
                | "uname"
                | "which"
                | "pwd"
                | "env"
                | "df"
                | "free"
                | "nproc"
                | "brew"
                | "choco"
                | "sleep"
                | "sccache"
        ) && !first.starts_with("./")
}

/// Which toolchain a run takes: two runs that take the same say the same. The project's file goes before what
/// `dtolnay/rust-toolchain` installs, which is only rustup's default.
pub(super) fn toolchain(context: &Context<'_>, run: &Run<'_>) -> Vec<String> {
    use crate::model::actions::Kind;
    let defaults = run.done().all(|did| {
        let other = matches!(did.kind, Kind::Toolchain | Kind::ToolchainAndCache)
            && did.step.action() != "dtolnay/rust-toolchain";
        let rustup = did
            .calls
            .iter()
            .any(|call| call.words.first().is_some_and(|word| word == "rustup"));
        !other && !rustup
    });
    match &context.project.toolchain {
        Some(file) if defaults => vec![file.clone()],
        _ => said_toolchain(run),
    }
}

/// Which toolchain a run's steps name, in whatever words.
fn said_toolchain(run: &Run<'_>) -> Vec<String> {
    use crate::model::actions::Kind;
    let mut said = Vec::new();
    for did in run.done() {
        if matches!(did.kind, Kind::Toolchain | Kind::ToolchainAndCache) {
            let input = did.step.with("toolchain").map(|text| resolve(run, text));
            let reference = did
                .step
                .uses
                .as_ref()
                .filter(|uses| !uses.pinned())
                .map_or("", |uses| uses.reference);
            said.push(input.unwrap_or_else(|| reference.to_owned()));
        }
        for call in &did.calls {
            if call.words.first().is_some_and(|word| word == "rustup") {
                let kind = call.words.get(1).map(String::as_str).unwrap_or_default();
                if matches!(
                    kind,
                    "default" | "override" | "toolchain" | "install" | "update"
                ) {
                    said.extend(
                        call.words
                            .iter()
                            .skip(2)
                            .filter(|word| !word.starts_with('-'))
                            .cloned(),
                    );
                }
            }
        }
    }
    said
}

/// A text with this combination's values of the matrix.
pub(super) fn resolve(run: &Run<'_>, text: &str) -> String {
    use crate::expr::{Template, Val};
    let lookup = |path: &str| {
        path.strip_prefix("matrix.")
            .and_then(|name| run.matrix(name))
            .cloned()
            .unwrap_or(Val::Unknown)
    };
    Template::parse(text)
        .eval(&lookup)
        .text()
        .unwrap_or_else(|| text.to_owned())
}

/// The flags that a call gives to rustc, from its environment or, without, from the configuration.
pub(super) fn link_flags(
    project: &crate::model::Project,
    env: &crate::model::run::Env,
) -> Option<String> {
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
        if let Some(flags) = env.get(name) {
            return Some(flags.clone());
        }
    }
    let target = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS";
    if let Some(flags) = env.get(target) {
        return Some(flags.clone());
    }
    let said = project
        .config_value("target.x86_64-unknown-linux-gnu.rustflags")
        .or_else(|| project.config_value("build.rustflags"))?;
    match said {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Array(items) => Some(
            items
                .iter()
                .filter_map(toml::Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        ),
        _ => None,
    }
}

/// Whether a run takes the newest stable, beta or nightly toolchain, as far as the files say.
pub(super) fn floating_stable(
    project: &crate::model::Project,
    run: &Run<'_>,
    cargo: &crate::model::CargoCall,
) -> bool {
    let floating =
        |name: &str| matches!(name, "stable" | "beta" | "nightly" | "master" | "v1" | "");
    if let Some(toolchain) = &cargo.toolchain {
        return floating(toolchain);
    }
    if let Some(channel) = &project.toolchain {
        return floating(channel) || newer_than(channel, 90);
    }
    said_toolchain(run)
        .iter()
        .all(|said| floating(said) || newer_than(said, 90))
}

/// Whether `1.N` or `1.N.M` is not older than a minor.
fn newer_than(version: &str, minor: u32) -> bool {
    version
        .strip_prefix("1.")
        .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok())
        .is_some_and(|found| found >= minor)
}

/// Adds variables to a job's environment.
pub(super) fn job_env(
    workflow: &crate::model::Workflow<'_>,
    job: &Job<'_>,
    lines: &[String],
) -> Option<crate::yaml::edit::Edit> {
    use crate::yaml::edit::{add_entry, add_entry_before};
    let document = workflow.document();
    match job.node.get("env") {
        Some(env) => add_entry(document, env, None, lines),
        None => {
            let mut block = vec!["env:".to_owned()];
            block.extend(lines.iter().map(|line| format!("  {line}")));
            add_entry_before(document, job.node, "steps", &block)
        }
    }
}

/// Whether any job of a workflow compiles.
pub(super) fn compiles(played: &crate::audit::Played<'_>) -> bool {
    played
        .runs
        .iter()
        .flatten()
        .any(|run| first_compile(run).is_some())
}

/// Visits every scalar below a node; keys are not visited.
pub(super) fn scalars<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node)) {
    match &node.value {
        crate::yaml::Value::Scalar(..) => visit(node),
        crate::yaml::Value::Sequence(items, _) => {
            items.iter().for_each(|item| scalars(item, visit))
        }
        crate::yaml::Value::Mapping(entries, _) => {
            entries.iter().for_each(|(_, value)| scalars(value, visit))
        }
    }
}

/// Flags less those that only choose a linker, which change nothing of what a check says.
pub(super) fn without_linker(flags: Option<&String>) -> Vec<&str> {
    let words = flags.map(String::as_str).unwrap_or_default();
    words
        .split_whitespace()
        .filter(|word| !word.contains("link-arg") && !word.contains("linker") && *word != "-C")
        .collect()
}

/// Jobs and their workflow, as messages name them.
pub(super) fn jobs_of(ids: &[&str], played: &Played<'_>) -> String {
    let noun = if ids.len() == 1 { "job" } else { "jobs" };
    let path = &played.workflow.source.path;
    format!("{noun} `{}` of `{path}`", ids.join("`, `"))
}
