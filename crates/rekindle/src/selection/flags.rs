//! Flags, targets and profiles from outside the manifests: units of other ones have other names, so a
//! snapshot of them would be of no use.

use std::os::unix::ffi::OsStrExt;

use rekindle_base::{Digest, DigestHasher};
use toml::Value;

use super::Call;
use crate::Surroundings;
use crate::cargo_config::CargoConfig;

/// The targets that are asked for: arguments, `--config`, a variable, files. None is the host.
#[must_use]
pub fn targets(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    call: Call<'_>,
) -> Vec<String> {
    if !call.targets.is_empty() {
        return call.targets.to_vec();
    }
    let in_table = |table: &toml::Table| -> Option<Vec<String>> {
        match table.get("build")?.get("target")? {
            Value::String(target) => Some(vec![target.clone()]),
            Value::Array(targets) => {
                let texts = targets.iter().filter_map(Value::as_str);
                Some(texts.map(str::to_owned).collect())
            }
            _ => None,
        }
    };
    let variable = || {
        let target = surroundings.non_empty("CARGO_BUILD_TARGET")?;
        Some(vec![target.to_str()?.to_owned()])
    };
    let from_argument = config.argument_values().find_map(in_table);
    from_argument
        .or_else(variable)
        .or_else(|| config.file_values().find_map(in_table))
        .unwrap_or_default()
}

/// The digest of targets, flags for rustc, linkers, and profile settings.
pub(super) fn digest(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    targets: &[String],
) -> Digest {
    let mut hasher = DigestHasher::new();
    hasher.field(b"rekindle flags 1");
    list(&mut hasher, targets.iter().map(String::as_bytes).collect());
    rustflags(&mut hasher, surroundings, config);
    variables(&mut hasher, surroundings, |name| {
        name.starts_with(b"CARGO_PROFILE_")
            || is_of_target(name, b"_LINKER")
            || matches!(name, b"CARGO_INCREMENTAL" | b"CARGO_BUILD_INCREMENTAL")
    });
    for table in config.argument_values().chain(config.file_values()) {
        entry(&mut hasher, &["profile"], table.get("profile"));
        let incremental = table
            .get("build")
            .and_then(|build| build.get("incremental"));
        entry(&mut hasher, &["build", "incremental"], incremental);
        // Build scripts are told of it.
        of_targets(&mut hasher, table, "linker");
    }
    hasher.finish()
}

/// Whether a variable is a setting of some target's.
fn is_of_target(name: &[u8], setting: &[u8]) -> bool {
    name.starts_with(b"CARGO_TARGET_") && name.ends_with(setting)
}

/// A setting of all targets that a configuration has it of.
fn of_targets(hasher: &mut DigestHasher, table: &toml::Table, setting: &str) {
    let targets = table.get("target").and_then(Value::as_table);
    for (name, target) in targets.into_iter().flatten() {
        entry(hasher, &["target", name, setting], target.get(setting));
    }
}

/// As cargo: the first of two variables that is there, even empty, else configuration.
fn rustflags(hasher: &mut DigestHasher, surroundings: &Surroundings, config: &CargoConfig<'_>) {
    let words = |name: &str, separator: u8| -> Option<Vec<Vec<u8>>> {
        let value = surroundings.var(name)?.as_bytes();
        let words = value.split(|byte| *byte == separator);
        let words = words.map(|word| word.trim_ascii().to_vec());
        Some(words.filter(|word| !word.is_empty()).collect())
    };
    let set = words("CARGO_ENCODED_RUSTFLAGS", 0x1f).or_else(|| words("RUSTFLAGS", b' '));
    if let Some(words) = set {
        list(hasher, words.iter().map(Vec::as_slice).collect());
        return;
    }
    variables(hasher, surroundings, |name| {
        name == b"CARGO_BUILD_RUSTFLAGS" || is_of_target(name, b"_RUSTFLAGS")
    });
    for table in config.argument_values().chain(config.file_values()) {
        let of_build = table.get("build").and_then(|build| build.get("rustflags"));
        entry(hasher, &["build", "rustflags"], of_build);
        of_targets(hasher, table, "rustflags");
    }
}

fn list(hasher: &mut DigestHasher, items: Vec<&[u8]>) {
    hasher.field(&(items.len() as u64).to_le_bytes());
    for item in items {
        hasher.field(item);
    }
}

fn variables(
    hasher: &mut DigestHasher,
    surroundings: &Surroundings,
    counts: impl Fn(&[u8]) -> bool,
) {
    for (name, value) in &surroundings.vars {
        if counts(name.as_bytes()) {
            list(hasher, vec![b"variable", name.as_bytes(), value.as_bytes()]);
        }
    }
}

/// A value of a configuration file, where there is one.
fn entry(hasher: &mut DigestHasher, path: &[&str], value: Option<&Value>) {
    if let Some(value) = value {
        list(hasher, path.iter().map(|part| part.as_bytes()).collect());
        feed(hasher, value);
    }
}

fn feed(hasher: &mut DigestHasher, value: &Value) {
    match value {
        Value::Array(items) => {
            hasher
                .field(b"array")
                .field(&(items.len() as u64).to_le_bytes());
            for item in items {
                feed(hasher, item);
            }
        }
        Value::Table(table) => {
            hasher
                .field(b"table")
                .field(&(table.len() as u64).to_le_bytes());
            for (name, item) in table {
                hasher.field(name.as_bytes());
                feed(hasher, item);
            }
        }
        Value::String(text) => {
            hasher.field(b"text").field(text.as_bytes());
        }
        Value::Integer(number) => {
            hasher.field(b"integer").field(&number.to_le_bytes());
        }
        Value::Float(number) => {
            hasher.field(b"float").field(&number.to_le_bytes());
        }
        Value::Boolean(truth) => {
            hasher.field(b"boolean").field(&[u8::from(*truth)]);
        }
        Value::Datetime(moment) => {
            hasher
                .field(b"datetime")
                .field(moment.to_string().as_bytes());
        }
    }
}
