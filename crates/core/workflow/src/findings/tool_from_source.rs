//! A tool is compiled from its sources in each run.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::caches::{kept, remote, wrapper};
use crate::model::{Call, CargoCall, Did, Run};
use crate::pins;
use crate::shell::UNKNOWN;
use crate::yaml::edit::{Edit, newline};

pub(super) const RULE: Rule = Rule {
    id: "tool-from-source",
    summary: "a tool is compiled from its sources in each run",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: Some(Safety::Unsafe),
    check,
};

/// The action that brings ready-made programs.
const INSTALL: &str = "taiki-e/install-action";

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs.iter().filter(|run| run.runner.ephemeral()) {
            let all = kept(run);
            if all.iter().any(|kept| kept.programs && kept.restores) {
                continue;
            }
            let units = all.iter().any(|kept| kept.compile_cache);
            for (did, call, cargo) in run.cargo() {
                if cargo.subcommand != "install" || (call.conditional && !if_missing(run, call)) {
                    continue;
                }
                let names = names(cargo);
                let through =
                    wrapper(context.project, &call.env).is_some() && (units || remote(&call.env));
                if names.is_empty() || through {
                    continue;
                }
                let message = message(&names, cargo);
                let finding = sink.at(did.step.source, call.line, Some(job), message);
                if finding.file == did.step.source.path {
                    finding.fix(
                        Safety::Unsafe,
                        "install ready-made programs",
                        [ready_made(did, call, cargo)],
                    );
                }
            }
        }
    }
}

/// The tools that a call compiles; none for the project's own programs and where a word is not known.
fn names(cargo: &CargoCall) -> Vec<&str> {
    let said = |option: &str| cargo.rest.iter().any(|word| word.starts_with(option));
    if said("--path") || said("--list") {
        return Vec::new();
    }
    let names = cargo
        .rest
        .iter()
        .filter(|word| !word.starts_with('-') && !word.contains(UNKNOWN))
        .map(|word| word.split('@').next().unwrap_or(word));
    // What is taken from a repository may be the project's own, or what is not released; this one is a habit.
    names
        .filter(|name| !said("--git") || *name == "cross")
        .collect()
}

fn message(names: &[&str], cargo: &CargoCall) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let (are, programs) = if names.len() == 1 {
        ("is compiled from its sources", "a ready-made program")
    } else {
        ("are compiled from their sources", "ready-made programs")
    };
    let git = cargo.rest.iter().any(|word| word.starts_with("--git"));
    let unreleased = if git {
        ", if the released version will do"
    } else {
        ""
    };
    format!(
        "{} {are} in each run: take {programs} (`{INSTALL}` with `tool: {}` finds most){unreleased}, or keep `~/.cargo/bin`",
        quoted.join(", "),
        names.join(",")
    )
}

/// Whether a command runs only where a program is missing, which it is on a new machine: the script asks for one before.
fn if_missing(run: &Run<'_>, install: &Call) -> bool {
    let script = run
        .done()
        .find(|did| did.calls.iter().any(|call| std::ptr::eq(call, install)));
    script.is_some_and(|did| {
        did.calls
            .iter()
            .take_while(|call| !std::ptr::eq(*call, install))
            .any(asks_for_program)
    })
}

fn asks_for_program(call: &Call) -> bool {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["command", "-v" | "-V", ..] | ["which" | "type" | "hash", ..] => true,
        ["cargo", "install", rest @ ..] => rest.contains(&"--list"),
        [_, .., "--version" | "-V"] => true,
        _ => false,
    }
}

/// The action in the place of a script that does nothing but install.
fn ready_made(did: &Did<'_>, call: &Call, cargo: &CargoCall) -> Option<Edit> {
    let pin = pins::of_action(INSTALL)?;
    let step = &did.step;
    // Another key may be for scripts alone, and a comment in the script would go.
    let plain = step.node.entries().iter().all(|(key, _)| {
        matches!(
            key.str(),
            Some("name" | "run" | "if" | "id" | "continue-on-error" | "timeout-minutes")
        )
    });
    let (key, value) = step.node.entry("run")?;
    let document = &step.source.document;
    let written = document.text.get(key.place.start..value.place.end)?;
    if !plain || did.calls.len() != 1 || call.conditional || written.contains('#') || value.aliased
    {
        return None;
    }
    let tools = tools(cargo)?;
    let line = document.line(key.place.line);
    let indent = " ".repeat(key.place.column as usize - 1);
    if line.contains('{') {
        return None;
    }
    let end = newline(&document.text);
    let kept = written.trim_end().len();
    Some(Edit {
        start: key.place.start,
        end: key.place.start + kept,
        text: format!("uses: {pin}{end}{indent}with:{end}{indent}  tool: {tools}"),
    })
}

/// What the action is to be given; `None` where a word asks for what it cannot do.
fn tools(cargo: &CargoCall) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    let mut version = None;
    if !cargo.features.is_empty()
        || cargo.all_features
        || cargo.no_default_features
        || !cargo.targets.is_empty()
        || cargo.toolchain.is_some()
        || cargo.unknown
    {
        return None;
    }
    for word in &cargo.rest {
        match word.split_once('=') {
            Some(("--version" | "--vers", number)) => version = Some(number),
            _ if matches!(word.as_str(), "--force" | "-f" | "--no-track") => {}
            _ if word.starts_with('-') => return None,
            _ => found.push(word.clone()),
        }
    }
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c))
    };
    match (version, found.as_mut_slice()) {
        (None, []) => return None,
        (Some(version), [only]) if !only.contains('@') => *only = format!("{only}@{version}"),
        (Some(_), _) => return None,
        (None, _) => {}
    }
    let tools = found.join(",");
    plain(&tools.replace(',', "")).then_some(tools)
}
