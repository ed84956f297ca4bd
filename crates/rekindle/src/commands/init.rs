//! `rekindle init`: workflows for this project.
//!
//! A workflow that exists is never written: what it lacks is printed as a diff, which `git apply` takes, and the exit code
//! is [`PROPOSED`].

use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle::Surroundings;
use rekindle_fsx as fsx;
use rekindle_workflow::diff::unified;
use rekindle_workflow::init::{Inputs, Pin, Project, ci, merged, release};
use serde::Deserialize;

use super::checkout::{Checkout, WORKFLOWS};
use super::print;
use crate::cli::InitArgs;
use crate::error::CommandError;

/// A workflow exists and lacks something: the exit code.
pub(crate) const PROPOSED: u8 = 1;

/// The Action of this release, as `OWNER/REPOSITORY@COMMIT # VERSION`: whoever builds a release sets it.
const ACTION: Option<&str> = option_env!("REKINDLE_ACTION_PIN");

pub(crate) fn run(args: &InitArgs) -> Result<u8, CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
    let checkout = Checkout::around(&surroundings.cwd);
    let action = action(args)?;
    let project = project(&surroundings, &checkout)?;
    let mut code = 0;
    let wanted = [
        ("ci", Some(ci(&project, action.as_ref())), true),
        ("release", release(&project, action.as_ref()), false),
    ];
    for (name, text, cancels) in wanted {
        match text {
            Some(text) => {
                // A release that somebody wrote builds as they want it.
                let action = action.as_ref().filter(|_| cancels);
                let new = New {
                    name,
                    text: &text,
                    cancels,
                    action,
                };
                code = code.max(one(&checkout, &new, args.dry_run)?);
            }
            None => eprintln!("rekindle: there is nothing to release, so no {name}.yml"),
        }
    }
    Ok(code)
}

fn action(args: &InitArgs) -> Result<Option<Pin>, CommandError> {
    let given = args.action.as_deref().or(ACTION);
    let Some(text) = given else {
        eprintln!(
            "rekindle: warning: this build does not know which commit of Rekindle's Action to pin, so the \
             workflows do without it; give `--action OWNER/REPOSITORY@COMMIT`"
        );
        return Ok(None);
    };
    text.parse().map(Some).map_err(CommandError::user)
}

/// A workflow as it would be written where there is none.
struct New<'a> {
    name: &'a str,
    text: &'a str,
    cancels: bool,
    action: Option<&'a Pin>,
}

fn one(checkout: &Checkout, new: &New<'_>, is_dry: bool) -> Result<u8, CommandError> {
    for ending in ["yml", "yaml"] {
        let path = format!("{WORKFLOWS}/{}.{ending}", new.name);
        let Some(before) = checkout.read(&path)? else {
            continue;
        };
        let after = merged(&before, new.action, new.cancels)
            .map_err(|error| CommandError::user(format!("`{path}` cannot be read: {error}")))?;
        if after == before {
            eprintln!("rekindle: {path} is there and lacks nothing that init adds");
            return Ok(0);
        }
        print(&unified(&path, Some(&before), &after))?;
        eprintln!(
            "rekindle: {path} is there and stays as it is; the diff is a proposal, for `git apply`"
        );
        return Ok(PROPOSED);
    }
    let path = format!("{WORKFLOWS}/{}.yml", new.name);
    if is_dry {
        print(&unified(&path, None, new.text))?;
    } else {
        checkout.write(&path, new.text)?;
        eprintln!("rekindle: wrote {path}");
    }
    Ok(0)
}

/// As much of `cargo metadata` as says where sources are.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    targets: Vec<MetadataTarget>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    kind: Vec<String>,
    src_path: PathBuf,
}

fn project(surroundings: &Surroundings, checkout: &Checkout) -> Result<Project, CommandError> {
    let text = metadata(surroundings)?;
    let found: Metadata = serde_json::from_str(&text).map_err(|error| {
        CommandError::environment(format!(
            "`cargo metadata` printed what cannot be read: {error}"
        ))
    })?;
    let root = &found.workspace_root;
    if fsx::canonicalize(root).ok() != fsx::canonicalize(&checkout.root).ok() {
        eprintln!(
            "rekindle: warning: the workspace is in `{}`, below the repository's root: set \
             `defaults.run.working-directory` in what is written",
            root.display()
        );
    }
    let libraries = found.packages.iter().filter_map(|package| {
        let library = package
            .targets
            .iter()
            .find(|target| target.kind.iter().any(|kind| kind.contains("lib")))?;
        Some((
            package.name.clone(),
            fsx::read_to_string(&library.src_path).ok()?,
        ))
    });
    let libraries: Vec<(String, String)> = libraries.collect();
    let lock = kept_lock(root);
    let config =
        read(&root.join(".cargo/config.toml")).or_else(|| read(&root.join(".cargo/config")));
    let manifest = read(&root.join("Cargo.toml"));
    let used = used(surroundings, root);
    let branch = checkout.branch();
    let has = |file: &str| fsx::exists(&root.join(file));
    let inputs = Inputs {
        metadata: &text,
        lock: lock.as_deref(),
        used: used.as_deref(),
        config: config.as_deref(),
        has_toolchain_file: has("rust-toolchain.toml") || has("rust-toolchain"),
        manifest: manifest.as_deref(),
        has_prepared_queries: has(".sqlx"),
        libraries: &libraries,
        branch: &branch,
    };
    Project::read(&inputs).map_err(CommandError::user)
}

/// `Cargo.lock`, unless `.gitignore` keeps it out of the repository.
fn kept_lock(root: &Path) -> Option<String> {
    let ignored = read(&root.join(".gitignore")).unwrap_or_default();
    let is_lock = |line: &str| matches!(line.trim(), "Cargo.lock" | "/Cargo.lock");
    if ignored.lines().any(is_lock) {
        return None;
    }
    read(&root.join("Cargo.lock"))
}

fn read(path: &Path) -> Option<String> {
    fsx::read_to_string(path).ok()
}

/// The packages that a build compiles, by `cargo tree`: a lock file also has those of features that nobody asks for.
/// `None` where cargo would have to fetch something first.
fn used(surroundings: &Surroundings, root: &Path) -> Option<Vec<String>> {
    let cargo = surroundings.non_empty("CARGO").unwrap_or("cargo".as_ref());
    let arguments = [
        "tree",
        "--workspace",
        "--locked",
        "--offline",
        "--target",
        "x86_64-unknown-linux-gnu",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let names = text.lines().filter_map(|line| line.split(' ').next());
    Some(names.map(str::to_owned).collect())
}

fn metadata(surroundings: &Surroundings) -> Result<String, CommandError> {
    let cargo = surroundings.non_empty("CARGO").unwrap_or("cargo".as_ref());
    let arguments = [
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .output()
        .map_err(|error| {
            CommandError::environment(format!("`cargo` cannot be started: {error}"))
                .hint("install Rust, as https://rustup.rs says")
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("error: ").to_owned();
        return Err(CommandError::user(format!(
            "cargo does not know this project: {said}"
        )));
    }
    String::from_utf8(output.stdout).map_err(CommandError::bug)
}
