//! What a command line of cargo's builds.

use std::collections::BTreeSet;

use crate::shell::UNKNOWN;

/// A command that builds with cargo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CargoCall {
    /// `cargo`, `cross`, `rekindle` …
    pub program: String,
    /// `+nightly`, without the plus.
    pub toolchain: Option<String>,
    /// Without aliases: `b` is `build`. Of `nextest run` it is `nextest`.
    pub subcommand: String,
    /// `dev`, `release` or a name; [`UNKNOWN`] if only a run knows.
    pub profile: String,
    /// Of `--target`.
    pub targets: Vec<String>,
    /// Of `-p`.
    pub packages: BTreeSet<String>,
    /// `--workspace` or `--all`
    pub workspace: bool,
    /// Of `--features`.
    pub features: BTreeSet<String>,
    /// `--all-features`
    pub all_features: bool,
    /// `--no-default-features`
    pub no_default_features: bool,
    /// `--manifest-path` and `--target-dir`
    pub paths: Vec<String>,
    /// The directory that it runs in, as far as the workflow says.
    pub directory: String,
    /// Words that are none of these, in their order.
    pub rest: Vec<String>,
    /// A word is not known before a run.
    pub unknown: bool,
}

/// Whether a subcommand runs the compiler on the project.
const COMPILING: &[&str] = &[
    "build",
    "check",
    "test",
    "run",
    "bench",
    "clippy",
    "doc",
    "rustc",
    "rustdoc",
    "nextest",
    "llvm-cov",
    "hack",
    "tarpaulin",
    "miri",
    "zigbuild",
    "ndk",
    "fix",
    "careful",
    "mutants",
    "semver-checks",
    "udeps",
    "c",
    "expand",
    "bloat",
    "xwin",
    "publish",
    "package",
    "msrv",
    "criterion",
    "component",
    "leptos",
    "dist",
    "cinstall",
    "cbuild",
    "ctest",
];

/// Options of cargo's and its plugins' that take a value.
const WITH_VALUE: &[&str] = &[
    "--jobs",
    "-j",
    "--color",
    "--config",
    "-Z",
    "--message-format",
    "--bin",
    "--example",
    "--test",
    "--bench",
    "--exclude",
    "-F",
    "--features",
    "-p",
    "--package",
    "--target",
    "--profile",
    "--manifest-path",
    "--target-dir",
    "--out-dir",
    "--artifact-dir",
    "--cargo-profile",
    "-E",
    "--partition",
    "--retries",
    "--lockfile-path",
    "-C",
    "--output-path",
    "--version",
    "--git",
    "--rev",
    "--tag",
    "--branch",
    "--root",
    "--path",
];

impl CargoCall {
    /// Reads a command's words. `None` if it is no call of cargo's.
    #[must_use]
    pub fn parse(words: &[String]) -> Option<Self> {
        let words = without_prefixes(words);
        let program = words
            .first()?
            .rsplit(['/', '\\'])
            .next()?
            .trim_end_matches(".exe");
        if !matches!(program, "cargo" | "cross" | "rekindle" | "cargo-zigbuild") {
            return None;
        }
        let mut call = Self {
            program: program.to_owned(),
            profile: "dev".to_owned(),
            ..Self::default()
        };
        let mut words = words[1..].iter().peekable();
        while let Some(word) = words.peek() {
            if let Some(toolchain) = word.strip_prefix('+') {
                call.toolchain = Some(toolchain.to_owned());
            } else if WITH_VALUE.contains(&word.as_str()) {
                words.next();
            } else if !word.starts_with('-') {
                break;
            }
            words.next();
        }
        let mut subcommand = words.next()?.as_str();
        if subcommand == "rekindle" || (program == "rekindle" && subcommand == "cargo") {
            subcommand = words.next()?;
        }
        call.subcommand = canonical(subcommand).to_owned();
        if matches!(subcommand, "bench") {
            call.profile = "bench".to_owned();
        }
        let arguments: Vec<String> = words.cloned().collect();
        call.options(&arguments);
        call.unknown |= call.subcommand.contains(UNKNOWN);
        Some(call)
    }

    fn options(&mut self, arguments: &[String]) {
        let mut at = 0;
        while at < arguments.len() {
            let word = arguments[at].as_str();
            at += 1;
            if word == "--" {
                self.rest.extend(arguments[at - 1..].iter().cloned());
                break;
            }
            self.unknown |= word.contains(UNKNOWN);
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with('-') => (name, Some(value.to_owned())),
                _ => (word, None),
            };
            if value.is_none() && WITH_VALUE.contains(&name) {
                value = arguments.get(at).cloned();
                at += 1;
            }
            self.option(name, value);
        }
    }

    fn option(&mut self, name: &str, value: Option<String>) {
        let value = value.unwrap_or_default();
        match name {
            "--release" | "-r" => self.profile = "release".to_owned(),
            "--profile" if self.subcommand != "nextest" => {
                self.profile = if value == "test" {
                    "dev".to_owned()
                } else {
                    value
                }
            }
            "--cargo-profile" => self.profile = value,
            "--target" => self.targets.push(value),
            "-p" | "--package" => {
                self.packages.insert(value);
            }
            "--workspace" | "--all" => self.workspace = true,
            "--features" | "-F" => self.features.extend(
                value
                    .split([',', ' '])
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            ),
            "--all-features" => self.all_features = true,
            "--no-default-features" => self.no_default_features = true,
            "--manifest-path" | "--target-dir" => self.paths.push(format!("{name}={value}")),
            "--locked" | "--frozen" | "--offline" | "--verbose" | "-v" | "-vv" | "--quiet"
            | "-q" | "--color" | "--jobs" | "-j" | "--message-format" => {}
            "run" if self.subcommand == "nextest" => {}
            _ if value.is_empty() => self.rest.push(name.to_owned()),
            _ => self.rest.push(format!("{name}={value}")),
        }
    }

    /// Whether the compiler runs on the project, as far as the subcommand says.
    #[must_use]
    pub fn compiles(&self) -> bool {
        COMPILING.contains(&self.subcommand.as_str())
    }

    /// Whether it makes code, not only metadata.
    #[must_use]
    pub fn makes_code(&self) -> bool {
        matches!(
            self.subcommand.as_str(),
            "build"
                | "test"
                | "run"
                | "bench"
                | "rustc"
                | "nextest"
                | "llvm-cov"
                | "zigbuild"
                | "tarpaulin"
        )
    }

    /// The features and targets: calls that agree in this share dependencies' units.
    #[must_use]
    pub fn graph(&self) -> (BTreeSet<String>, bool, bool, Vec<String>, Vec<String>) {
        (
            self.features.clone(),
            self.all_features,
            self.no_default_features,
            self.targets.clone(),
            self.paths.clone(),
        )
    }

    /// Whether a call makes of the same packages what another one makes.
    #[must_use]
    pub fn builds_like(&self, other: &Self) -> bool {
        self.profile == other.profile
            && self.graph() == other.graph()
            && self.rest == other.rest
            && self.directory == other.directory
            && self.toolchain == other.toolchain
    }

    /// The command, as short as it can be told.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = format!("{} {}", self.program, self.subcommand);
        match self.profile.as_str() {
            "dev" | "bench" => {}
            "release" => text += " --release",
            profile => text += &format!(" --profile {profile}"),
        }
        for target in &self.targets {
            text += &format!(" --target {target}");
        }
        text.replace(UNKNOWN, "…")
    }
}

fn canonical(subcommand: &str) -> &str {
    match subcommand {
        "b" => "build",
        "c" => "check",
        "t" => "test",
        "r" => "run",
        "d" => "doc",
        other => other,
    }
}

/// The words behind programs that run another: `env A=1 time xvfb-run -a cargo test`.
fn without_prefixes(mut words: &[String]) -> &[String] {
    while let Some(first) = words.first() {
        let skip = match first.as_str() {
            "env" | "time" | "sudo" | "command" | "nice" | "exec" | "xvfb-run" | "stdbuf"
            | "retry" | "ionice" => 1,
            "timeout" => 2,
            _ => break,
        };
        let rest = words.get(skip..).unwrap_or_default();
        let options = rest
            .iter()
            .take_while(|word| word.starts_with('-') || (first != "timeout" && word.contains('=')))
            .count();
        words = &rest[options..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn call(line: &str) -> CargoCall {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        CargoCall::parse(&words).unwrap()
    }

    #[test]
    fn command_lines_are_read() {
        let found = call(
            "sudo -E env A=1 cargo +nightly t --release -p a --package=b --features x,y -- --nocapture",
        );
        assert_eq!(
            (
                found.subcommand.as_str(),
                found.profile.as_str(),
                found.toolchain.as_deref()
            ),
            ("test", "release", Some("nightly"))
        );
        assert_eq!(found.packages.len() + found.features.len(), 4);
        assert_eq!(
            call("cargo nextest run --profile ci --cargo-profile fast").profile,
            "fast"
        );
        assert_eq!(
            call("cross build --target x86_64-unknown-linux-musl").targets,
            ["x86_64-unknown-linux-musl"]
        );
        assert_eq!(
            call("cargo --config a=b --locked build").subcommand,
            "build"
        );
        assert!(!call("cargo fmt --all").compiles());
        assert!(CargoCall::parse(&["echo".to_owned(), "cargo".to_owned()]).is_none());
    }
}
