//! `rekindle materialise`: every tool can read what was restored.

use std::path::{Path, PathBuf};

use rekindle_base::ByteSize;
use rekindle_outputs::materialise::{self, MaterialiseError};
use rekindle_outputs::sparse::FillError;
use rekindle_outputs::{incremental, lost, placeholder, sparse};
use rekindle_snapshot::registry;
use serde::Serialize;

use super::bar::Work;
use super::snapshot::Project;
use super::{print, print_json};
use crate::cli::{Format, MaterialiseArgs};
use crate::error::CommandError;

/// Version of the JSON form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Json {
    version: u32,
    files: u64,
    bytes: u64,
    packages: u64,
    failed: Vec<String>,
    /// Packages that the store has lost and only other workspaces use: `NAME-VERSION`.
    lost_elsewhere: Vec<String>,
}

/// Puts the bytes in the place of every placeholder, and the sources of every package, so that any tool can
/// read them.
pub(crate) fn run(args: &MaterialiseArgs) -> Result<(), CommandError> {
    let project = Project::find(&args.site)?;
    let dirs = [&project.layout.build_dir, &project.layout.target_dir];
    let mut paths = Vec::new();
    for dir in dirs {
        paths.extend(placeholders(dir)?);
    }
    paths.sort_unstable();
    paths.dedup();
    let bar = project.bars(args.format).begin(Work::MATERIALISE);
    let cargo_home = &project.resolved.settings.cargo_home;
    let is_any_away = || -> std::io::Result<bool> {
        let is_away = paths.iter().any(|path| lost::is_lost(path));
        Ok(is_away || sparse::is_any_lost(cargo_home, &project.store)?)
    };
    let reached = match project.remote() {
        Some(remote) if is_any_away().map_err(unreadable)? => project.reach(remote),
        _ => Ok(()),
    };
    let mut outcome = materialise::materialise_all(&paths, None);
    if reached.is_ok() {
        forget(&outcome.failed);
    }
    let states = incremental::fill_all(&project.layout.build_dir);
    outcome.done.files += states.files;
    outcome.done.bytes += states.bytes;
    let packages = sparse::fill_all(cargo_home, Some(&project.store)).map_err(unreadable)?;
    drop(bar);
    let (unused, unfilled) = unused_apart(&project.layout.workspace_root, packages.errors);
    let failed = outcome.failed.iter().map(ToString::to_string);
    let json = Json {
        version: VERSION,
        files: outcome.done.files,
        bytes: outcome.done.bytes,
        packages: packages.filled.packages,
        failed: failed.chain(unfilled).collect(),
        lost_elsewhere: unused,
    };
    match args.format {
        Format::Json => print_json(&json)?,
        Format::Text => print(&format!(
            "materialised {} files, {}; {} packages\n",
            json.files,
            ByteSize(json.bytes),
            json.packages
        ))?,
    }
    if let Some(first) = json.lost_elsewhere.first() {
        eprintln!(
            "rekindle: warning: the store has lost the sources of packages that this workspace does not use \
             ({}, such as `{first}`); cargo downloads them when a build needs them",
            json.lost_elsewhere.len()
        );
    }
    let Some(first) = json.failed.first() else {
        return Ok(());
    };
    let error = format!("{} could not be put in place: {first}", json.failed.len());
    Err(CommandError::environment(error).hint(match reached {
        Ok(()) => "`rekindle build` builds what the store has lost, and so does cargo".to_owned(),
        Err(why) => format!("{why}; try again, or have `rekindle build` build what it needs"),
    }))
}

/// What nobody has is to be built anew, and cargo does not know: it would find it fresh.
fn forget(failed: &[MaterialiseError]) {
    for error in failed.iter().filter(|error| error.is_lost()) {
        // What cannot be removed is a placeholder as before.
        let _ = lost::forget(error.path());
    }
}

fn unreadable(error: std::io::Error) -> CommandError {
    CommandError::environment(format!("cargo's home cannot be read: {error}"))
}

/// Packages that the store has lost and a workspace's lock file does not name, and why the others are not in
/// place. cargo's home serves every workspace: what another one lost is nothing that this one fails for.
fn unused_apart(workspace: &Path, errors: Vec<FillError>) -> (Vec<String>, Vec<String>) {
    let (mut unused, mut others) = (Vec::new(), Vec::new());
    if errors.is_empty() {
        return (unused, others);
    }
    let used = registry::package_dirs(&workspace.join("Cargo.lock")).ok();
    for error in errors {
        match (error, &used) {
            (FillError::Lost { package, .. }, Some(used)) if !used.contains(&package) => {
                unused.push(package);
            }
            (error, _) => others.push(error.to_string()),
        }
    }
    (unused, others)
}

fn placeholders(dir: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let files = rekindle_fsx::walk_all(dir).map_err(|error| {
        CommandError::environment(format!("the target could not be read: {error}"))
    })?;
    let small = files
        .into_iter()
        .filter(|entry| entry.sig.size <= placeholder::MAX_BYTES);
    Ok(small.map(|entry| entry.path).collect())
}
