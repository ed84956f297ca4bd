//! Other compile caches: in the chain, or left in configuration and variables.

use std::path::{Path, PathBuf};

use rekindle::cargo_config::known_cache;
use toml::Value;

use super::super::context::Context;
use super::super::edit;
use super::super::kinds::{CACHE_LEFTOVER, SECOND_CACHE};
use super::super::model::{Finding, Outcome};

/// Variables in which people put a cache before a compiler.
const LAUNCHERS: &[&str] = &[
    "CC",
    "CXX",
    "CMAKE_C_COMPILER_LAUNCHER",
    "CMAKE_CXX_COMPILER_LAUNCHER",
    "RUSTC_WORKSPACE_WRAPPER",
];

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let mut findings = Vec::new();
    let active = context.config.rustc_wrapper();
    if let Some(user) = &active
        && let Some(name) = known_cache(&user.program)
        && context.find(&user.program).is_some()
    {
        let by_variable = context.surroundings.non_empty("RUSTC_WRAPPER").is_some();
        let file = context
            .file_with(&["build", "rustc-wrapper"])
            .filter(|_| !by_variable);
        let key = ["build", "rustc-wrapper"];
        findings.push(
            Finding::new(
                &SECOND_CACHE,
                format!("`{name}` is in the chain as well: what is compiled is stored twice"),
                format!("remove it from {}", user.set_in),
            )
            .seen(format!("set by {}", user.set_in))
            .fixed_by(file.and_then(|(file, _)| edit::without(file, &key))),
        );
    }
    findings.extend(hidden(context, active.is_some()));
    findings.extend(
        LAUNCHERS
            .iter()
            .filter_map(|name| by_variable(context, name)),
    );
    findings.extend(in_env_tables(context));
    let line = match findings.is_empty() {
        true => "none in the chain, none left in configuration",
        false => "",
    };
    Outcome::new(line, findings)
}

/// Lines that another source hides for now: they come back with the next shell.
fn hidden(context: &Context<'_>, is_active: bool) -> Vec<Finding> {
    let key = ["build", "rustc-wrapper"];
    let files: Vec<(PathBuf, String)> = context
        .config
        .files()
        .filter_map(|(file, table)| {
            let program = table.get("build")?.get("rustc-wrapper")?.as_str()?;
            Some((file.to_owned(), known_cache(Path::new(program))?))
        })
        .collect();
    let by_variable = context.surroundings.var("RUSTC_WRAPPER").is_some();
    // The first file is the one in the chain, unless a variable goes before it.
    let skipped = usize::from(is_active && !by_variable);
    let left = files.into_iter().skip(skipped);
    left.map(|(file, name)| {
        Finding::new(
            &CACHE_LEFTOVER,
            format!("`{name}` is still set in {}", file.display()),
            "remove the line: it counts again wherever nothing else is set",
        )
        .seen(format!("`build.rustc-wrapper` in {}", file.display()))
        .fixed_by(edit::without(&file, &key))
    })
    .collect()
}

/// The cache that a command line begins with, as in `sccache gcc`.
fn cache_of(command: &str) -> Option<String> {
    known_cache(Path::new(command.split_whitespace().next()?))
}

fn by_variable(context: &Context<'_>, name: &'static str) -> Option<Finding> {
    let value = context.var(name)?;
    let cache = cache_of(&value)?;
    let stored = "Rekindle keeps what build scripts compile, so it is stored twice";
    Some(
        Finding::new(
            &CACHE_LEFTOVER,
            format!("{name} hands compilers to `{cache}`: {stored}"),
            format!("unset {name}, or set it to the compiler alone"),
        )
        .seen(format!("{name} is `{value}`")),
    )
}

/// `[env]` in cargo's configuration.
fn in_env_tables(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, table) in context.config.files() {
        let env = table.get("env").and_then(Value::as_table);
        for (name, value) in env.into_iter().flatten() {
            let text = value.as_str().or_else(|| value.get("value")?.as_str());
            let known = LAUNCHERS.contains(&name.as_str()) || name == "RUSTC_WRAPPER";
            let Some(cache) = text.filter(|_| known).and_then(cache_of) else {
                continue;
            };
            findings.push(
                Finding::new(
                    &CACHE_LEFTOVER,
                    format!(
                        "`env.{name}` in {} hands compilers to `{cache}`",
                        file.display()
                    ),
                    "remove the line",
                )
                .fixed_by(edit::without(file, &["env", name])),
            );
        }
    }
    findings
}
