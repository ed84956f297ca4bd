//! What processes are given that cargo starts, as far as it is known before cargo starts: this process's
//! variables, what configuration adds, and what rustup changes.
//!
//! Snapshots look with it at what units were seen to read. A capture compares what this says with what
//! was seen, so what is missing here costs a unit, never a wrong one.

use std::ffi::OsString;
use std::path::Path;

use rekindle_outputs::environment::Environment;
use toml::{Table, Value};

use crate::Surroundings;
use crate::cargo_config::CargoConfig;
use crate::selection;

/// Variables that processes are given which cargo starts for this workspace.
#[must_use]
pub fn environment(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    (workspace, cargo_home): (&Path, &Path),
) -> Environment {
    let mut vars = surroundings.vars.clone();
    for (name, set) in config.env() {
        if set.force || !vars.contains_key(&name) {
            vars.insert(name, set.value);
        }
    }
    if let Some(linkers) = linkers(surroundings, config) {
        vars.insert("RUSTC_LINKER".into(), linkers);
    }
    // rustup's cargo finds the programs in cargo's home, be there any or not, whoever started it.
    let bin = cargo_home.join("bin");
    let cargo = surroundings.non_empty("CARGO").unwrap_or("cargo".as_ref());
    let by_rustup = rekindle_fsx::exists(&bin.join("cargo"))
        || selection::is_rustups(surroundings, Path::new(cargo));
    if let Some(path) = vars.get_mut(&OsString::from("PATH"))
        && by_rustup
        && !std::env::split_paths(&path).any(|dir| dir == bin)
        && let Ok(joined) =
            std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)))
    {
        *path = joined;
    }
    Environment::new(vars, workspace.to_owned(), Path::new("").to_owned())
}

/// Something that tells the linkers of configuration from others, where there are some: which of them a script
/// is told is cargo's affair.
fn linkers(surroundings: &Surroundings, config: &CargoConfig<'_>) -> Option<OsString> {
    let mut all = OsString::new();
    for (name, value) in &surroundings.vars {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_TARGET_") && text.ends_with("_LINKER") {
            all.push(value);
            all.push("\n");
        }
    }
    for table in config.argument_values().chain(config.file_values()) {
        let targets = table.get("target").and_then(Value::as_table);
        for linker in targets.into_iter().flat_map(Table::values) {
            if let Some(linker) = linker.get("linker").and_then(Value::as_str) {
                all.push(linker);
                all.push("\n");
            }
        }
    }
    (!all.is_empty()).then_some(all)
}
