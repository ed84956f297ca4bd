//! Which linkers flags and configuration ask for.

use std::path::{Path, PathBuf};

use rekindle_compile::LinkerChoice;
use toml::Value;

use super::context::Context;

/// A linker, or the program that drives it, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// `mold` of `-fuse-ld=mold`, or the value of `linker`.
    pub(super) name: String,
    /// Whether it is the driver (`clang`) rather than the linker proper.
    pub(super) driver: bool,
    /// Where, for people.
    pub(super) set_in: String,
    /// The file and the key, where one line says it.
    pub(super) at: Option<(PathBuf, Vec<String>)>,
    /// Whether Rekindle itself was asked, which falls back where it fails.
    pub(super) ours: bool,
}

/// What is asked for on this host, drivers first.
pub(super) fn of(context: &Context<'_>, host: &str) -> Vec<Request> {
    let mut requests = Vec::new();
    let upper = host.to_uppercase().replace(['-', '.'], "_");
    let variable = format!("CARGO_TARGET_{upper}_LINKER");
    if let Some(name) = context.var(&variable) {
        requests.push(by_variable(&variable, name, true));
    } else if let Some((file, value)) = context.file_with(&["target", host, "linker"]) {
        let name = value.as_str().unwrap_or_default().to_owned();
        let key = ["target", host, "linker"];
        requests.push(by_file(file, &key, name, true));
    }
    for variable in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
        // Even an empty one hides all others.
        if let Some(flags) = context.surroundings.var(variable) {
            let text = flags.to_string_lossy();
            let words: Vec<&str> = text.split(['\u{1f}', ' ']).collect();
            requests.extend(
                in_flags(&words)
                    .into_iter()
                    .map(|(name, driver)| by_variable(variable, name, driver)),
            );
            return with_ours(context, requests);
        }
    }
    requests.extend(in_files(context, host));
    requests.sort_by_key(|request| !request.driver);
    with_ours(context, requests)
}

fn in_files(context: &Context<'_>, host: &str) -> Vec<Request> {
    let mut requests = Vec::new();
    for (file, table) in context.config.files() {
        let targets = table.get("target").and_then(Value::as_table);
        let mut lists: Vec<(Vec<&str>, &Value)> = targets
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name == host || is_of_linux(name))
            .filter_map(|(name, target)| {
                Some((vec!["target", name, "rustflags"], target.get("rustflags")?))
            })
            .collect();
        let of_build = table.get("build").and_then(|build| build.get("rustflags"));
        lists.extend(of_build.map(|flags| (vec!["build", "rustflags"], flags)));
        for (key, flags) in lists {
            let words: Vec<&str> = match flags {
                Value::String(text) => text.split(' ').collect(),
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            // A line that says more is not ours to take out.
            let alone = words.len() == 1 || (words.len() == 2 && words[0] == "-C");
            for (name, driver) in in_flags(&words) {
                let mut request = by_file(file, &key, name, driver);
                request.at = request.at.filter(|_| alone);
                requests.push(request);
            }
        }
    }
    requests
}

/// As far as it can be told without evaluating: conditions on another system leave this one alone.
fn is_of_linux(condition: &str) -> bool {
    let text = condition.replace(' ', "");
    let elsewhere = [
        "windows",
        "macos",
        "apple",
        "wasm",
        "not(unix)",
        "not(target_os=\"linux\")",
    ];
    text.starts_with("cfg(")
        && (text.contains("linux") || text.contains("unix") || text.contains("all()"))
        && !elsewhere.iter().any(|word| text.contains(word))
}

/// `-Clink-arg=-fuse-ld=mold`, `-C link-args=…`, `-Clinker=clang`: names, and whether each is a driver.
fn in_flags(words: &[&str]) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let after_c = at > 0 && matches!(words[at - 1], "-C" | "--codegen");
        let option = word
            .strip_prefix("-C")
            .or_else(|| word.strip_prefix("--codegen="))
            .or(after_c.then_some(word));
        if let Some(name) = option.and_then(|option| option.strip_prefix("linker=")) {
            found.push((name.to_owned(), true));
        }
        if let Some((_, name)) = word.split_once("-fuse-ld=") {
            let name = name.split([' ', ',']).next().unwrap_or_default();
            found.push((name.to_owned(), false));
        }
    }
    found
}

fn with_ours(context: &Context<'_>, mut requests: Vec<Request>) -> Vec<Request> {
    if let LinkerChoice::Named(name) = &context.resolved.settings.linker {
        // The user's own choice wins over it.
        if requests.iter().all(|request| request.driver) {
            requests.push(Request {
                name: name.clone(),
                driver: false,
                set_in: "`build.linker` or REKINDLE_LINKER".to_owned(),
                at: None,
                ours: true,
            });
        }
    }
    requests
}

fn by_variable(variable: &str, name: String, driver: bool) -> Request {
    Request {
        name,
        driver,
        set_in: format!("the environment variable {variable}"),
        at: None,
        ours: false,
    }
}

fn by_file(file: &Path, key: &[&str], name: String, driver: bool) -> Request {
    Request {
        name,
        driver,
        set_in: format!("`{}` in {}", key.join("."), file.display()),
        at: Some((
            file.to_owned(),
            key.iter().map(|name| (*name).to_owned()).collect(),
        )),
        ours: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_ask_is_read() {
        let check = |flags: &str, expected: &[(&str, bool)]| {
            let words: Vec<&str> = flags.split(' ').collect();
            let found = in_flags(&words);
            let found: Vec<(&str, bool)> = found.iter().map(|(n, d)| (n.as_str(), *d)).collect();
            assert_eq!(found, expected, "{flags}");
        };
        check("-Clink-arg=-fuse-ld=mold", &[("mold", false)]);
        check("-C link-arg=-fuse-ld=lld -g", &[("lld", false)]);
        check(
            "-Clinker=clang -C linker=gcc",
            &[("clang", true), ("gcc", true)],
        );
        check("--codegen=linker=x", &[("x", true)]);
        check(
            "-Clink-args=-O1,-fuse-ld=/opt/wild,-s",
            &[("/opt/wild", false)],
        );
        check("-Clinker-features=-lld -Copt-level=3", &[]);
    }

    #[test]
    fn conditions_on_other_systems_are_left_out() {
        for (condition, expected) in [
            ("cfg(target_os = \"linux\")", true),
            (
                "cfg(all(target_os = \"linux\", target_env = \"gnu\"))",
                true,
            ),
            ("cfg(unix)", true),
            ("cfg(windows)", false),
            ("cfg(not(target_os = \"linux\"))", false),
            ("x86_64-apple-darwin", false),
        ] {
            assert_eq!(is_of_linux(condition), expected, "{condition}");
        }
    }
}
