//! A tiny program, built twice through the real chain: this `rekindle`, cargo, every wrapper, the compiler and the
//! linker, with the configuration of the directory that doctor runs in. Its store is one of its own, so that
//! nothing of it is left in the user's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rekindle::{runs, sibling};
use rekindle_base::{Digest, env};
use rekindle_events::{EventKind, Fate, UncacheableReason, UnitEvent};

use super::ask::{Answer, ask};
use super::context::Context;

/// A machine on which a program of one line takes longer has other sorrows.
const DEADLINE: Duration = Duration::from_secs(180);

const NAME: &str = "rekindle-probe";
const MANIFEST: &str = "[package]\nname = \"rekindle-probe\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                        publish = false\n[lib]\nname = \"rekindle_probe\"\n[workspace]\n";
const LIBRARY: &str = "//! Built by `rekindle doctor`.\n/// A word.\npub fn word() -> &'static str {\n    \"well\"\n}\n";
const PROGRAM: &str = "fn main() {\n    println!(\"{}\", rekindle_probe::word());\n}\n";

/// What two builds came to.
#[derive(Debug)]
pub(super) struct Probe {
    /// The first build.
    pub(super) first: Built,
    /// The second, of a target directory that was removed; `None` where the first failed.
    pub(super) second: Option<Built>,
    /// Outputs that the two gave other bytes of.
    pub(super) differing: Vec<String>,
    /// What the program printed when it was run, where it could be.
    pub(super) printed: Option<String>,
}

/// One build.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// Whether cargo was content.
    pub(super) ok: bool,
    /// What it said.
    pub(super) stderr: String,
    /// What became of the units.
    pub(super) units: Vec<UnitEvent>,
    /// Warnings in the log.
    pub(super) warnings: Vec<String>,
}

impl Built {
    /// Why units could not be stored, each reason once.
    pub(super) fn uncacheable(&self) -> Vec<&UncacheableReason> {
        let mut reasons: Vec<_> = self
            .units
            .iter()
            .filter_map(|unit| unit.uncacheable.as_ref())
            .collect();
        reasons.dedup();
        reasons
    }

    pub(super) fn hits(&self) -> usize {
        let hit = |unit: &&UnitEvent| unit.fate == Fate::Hit;
        self.units.iter().filter(hit).count()
    }

    /// The linker that the program names in itself.
    pub(super) fn linker(&self) -> Option<&str> {
        self.units.iter().find_map(|unit| unit.linker.as_deref())
    }

    /// The errors that cargo and the compiler printed, shortened.
    pub(super) fn errors(&self) -> Vec<String> {
        const LINES_MAX: usize = 4;
        const LENGTH_MAX: usize = 200;
        // Below these marks cargo shows what a program said that it started.
        const QUOTED: [&str; 2] = ["--- stdout", "--- stderr"];
        let mut lines: Vec<&str> = Vec::new();
        let mut is_quoted = false;
        for line in self.stderr.lines().map(str::trim) {
            let is_error = line.starts_with("error") || line.starts_with("sccache: ");
            if (is_error || is_quoted) && !line.is_empty() && !lines.contains(&line) {
                lines.push(line);
            }
            is_quoted = QUOTED.contains(&line);
        }
        let shortened = |line: &str| line.chars().take(LENGTH_MAX).collect();
        lines.into_iter().take(LINES_MAX).map(shortened).collect()
    }
}

/// Why nothing was built.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NotProbed {
    #[error("there is no toolchain that works (see toolchain)")]
    NoToolchain,
    #[error("a temporary directory cannot be written: {0}")]
    NoDirectory(String),
    #[error("`rekindle` itself cannot be started: {0}")]
    NotStarted(String),
}

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = rekindle_fsx::remove_dir_all(&self.0);
    }
}

pub(super) fn build(context: &Context<'_>) -> Result<Probe, NotProbed> {
    if !super::checks::toolchain::is_whole(context) {
        return Err(NotProbed::NoToolchain);
    }
    let no_directory = |error: std::io::Error| NotProbed::NoDirectory(error.to_string());
    let temporary = context.surroundings.path("TMPDIR");
    let dir = rekindle_fsx::atomic::unique_in(&temporary.unwrap_or_else(|| "/tmp".into()));
    let scratch = Scratch(dir);
    let dir = &scratch.0;
    for (name, text) in [
        ("Cargo.toml", MANIFEST),
        ("src/lib.rs", LIBRARY),
        ("src/main.rs", PROGRAM),
    ] {
        let file = dir.join(name);
        let parent = file.parent().unwrap_or(dir);
        rekindle_fsx::create_dir_all(parent).map_err(no_directory)?;
        rekindle_fsx::atomic::write(&file, text.as_bytes()).map_err(no_directory)?;
    }
    let first = run(context, dir)?;
    if !first.ok {
        return Ok(Probe {
            first,
            second: None,
            differing: Vec::new(),
            printed: None,
        });
    }
    let before = outputs(dir);
    let printed = printed(&before);
    rekindle_fsx::remove_dir_all(&dir.join("target")).map_err(no_directory)?;
    let second = run(context, dir)?;
    let after = outputs(dir);
    let differs = |(name, _, digest): &&(String, PathBuf, Digest)| {
        let same = |other: &(String, PathBuf, Digest)| other.0 == *name && other.2 == *digest;
        !after.iter().any(same)
    };
    let differing = before.iter().filter(differs);
    let differing = differing.map(|(name, ..)| name.clone()).collect();
    Ok(Probe {
        first,
        second: Some(second),
        differing,
        printed,
    })
}

fn run(context: &Context<'_>, dir: &Path) -> Result<Built, NotProbed> {
    let not_started = |error: &dyn std::fmt::Display| NotProbed::NotStarted(error.to_string());
    let program = sibling("rekindle").map_err(|error| not_started(&error))?;
    let (store, target) = (dir.join("store"), dir.join("target"));
    let mut command = Command::new(program);
    command
        .args(["build", "--offline", "--manifest-path"])
        .arg(dir.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    // A target without a standard library links no program.
    if !context.targets().is_empty()
        && let Some(host) = super::checks::toolchain::host(context)
    {
        command.args(["--target", &host]);
    }
    command
        .env("CARGO_BUILD_BUILD_DIR", &target)
        .env("CARGO_TERM_COLOR", "never")
        .env("RUSTUP_AUTO_INSTALL", "0")
        .env(env::REKINDLE_DIR, &store)
        // A tiny program is nothing to share.
        .env("REKINDLE_REMOTE_MODE", "off")
        .env(env::REKINDLE_SNAPSHOT, "0")
        .env(env::REKINDLE_VERIFY, "0")
        .env(env::REKINDLE_RECACHE, "0");
    for name in [env::REKINDLE_DISABLE, env::REKINDLE_SETTINGS] {
        command.env_remove(name);
    }
    let answer = ask(&mut command, DEADLINE).map_err(|error| not_started(&error))?;
    Ok(built(&store, answer))
}

/// Reads the log of the newest run.
fn built(store: &Path, answer: Answer) -> Built {
    let mut built = Built {
        ok: answer.ok,
        stderr: answer.stderr,
        ..Built::default()
    };
    let newest = runs::list(store).ok().and_then(|mut names| names.pop());
    let log = newest.and_then(|name| runs::read(&runs::runs_dir(store).join(name)).ok());
    for event in log.map(|log| log.events).unwrap_or_default() {
        match event.kind {
            EventKind::Unit(unit) => built.units.push(*unit),
            EventKind::Warning(warning) => built.warnings.push(warning.message),
            _ => {}
        }
    }
    built
}

/// The library and the program, wherever the target puts them.
fn outputs(dir: &Path) -> Vec<(String, PathBuf, Digest)> {
    let files = rekindle_fsx::walk_files(&dir.join("target")).unwrap_or_default();
    let mut outputs = Vec::new();
    for file in files {
        let name = file.name.to_string_lossy().into_owned();
        let wanted = name == NAME || name == "librekindle_probe.rlib";
        if wanted && let Ok((digest, _)) = rekindle_fsx::hash_file(&file.path) {
            outputs.push((name, file.path, digest));
        }
    }
    outputs
}

fn printed(outputs: &[(String, PathBuf, Digest)]) -> Option<String> {
    let (_, program, _) = outputs.iter().find(|(name, ..)| name == NAME)?;
    let answer = ask(&mut Command::new(program), DEADLINE).ok()?;
    Some(answer.stdout.trim().to_owned()).filter(|_| answer.ok)
}
