//! What a snapshot is wanted for, found before cargo starts and without starting a compiler.
//!
//! [`toolchain`] and [`flags`] are guesses: cargo decides what is fresh, and a wrong guess costs time.
//! Values of variables and configuration go into digests alone.

mod flags;
#[cfg(test)]
mod tests;
pub mod toolchain;

pub use flags::targets;

pub(crate) use toolchain::is_rustups;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_snapshot::base::{Git, Wanted};

use crate::Surroundings;
use crate::cargo_config::CargoConfig;
use crate::git::{self, NoGit};
use crate::layout::Layout;

/// What a command line of cargo's says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// `+nightly`.
    pub toolchain: Option<&'a OsStr>,
    /// The subcommand.
    pub command: Option<&'a str>,
    /// Values of `--target`.
    pub targets: &'a [String],
    /// `--profile`, or what `--release` stands for.
    pub profile: Option<&'a str>,
}

/// What is wanted.
#[derive(Debug)]
pub struct Selection {
    /// For [`rekindle_snapshot::base::choose`].
    pub wanted: Wanted,
    /// Where the toolchain is, where that can be told.
    pub sysroot: Option<PathBuf>,
    /// Why git says nothing, where it does not.
    pub no_git: Option<NoGit>,
}

/// Gathers what a base is chosen by. Asks `git`, and reads some small files.
#[must_use]
pub fn gather(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    layout: &Layout,
    call: Call<'_>,
) -> Selection {
    let root = &layout.workspace_root;
    let workspace = rekindle_fsx::canonicalize(root).unwrap_or_else(|_| root.clone());
    let targets = flags::targets(surroundings, config, call);
    let (facts, toolchain, lock) = std::thread::scope(|scope| {
        // git answers meanwhile.
        let facts = scope.spawn(|| git::facts(surroundings, &workspace));
        let toolchain = toolchain::identify(surroundings, config, call);
        (facts.join(), toolchain, lock(&workspace))
    });
    let (git, no_git) = match facts {
        Ok(Ok(git)) => (Some(git), None),
        Ok(Err(reason)) => (None, Some(reason)),
        Err(_) => (None, Some(NoGit::Unreadable)),
    };
    let wanted = Wanted {
        toolchain: toolchain.identity,
        flags: flags::digest(surroundings, config, &targets),
        project: project(git.as_ref(), &workspace),
        lock,
        dirs: dirs(call, &targets).unwrap_or_default(),
        git,
        workspace,
    };
    Selection {
        wanted,
        sysroot: toolchain.sysroot,
        no_git,
    }
}

/// The digest of `Cargo.lock` as it is now, where there is one.
#[must_use]
pub fn lock(workspace: &Path) -> Option<Digest> {
    let bytes = rekindle_fsx::read_if_exists(&workspace.join("Cargo.lock")).ok()??;
    Some(Digest::of(&bytes))
}

/// The project that a workspace is, and what git says of it.
#[must_use]
pub fn project_of(surroundings: &Surroundings, root: &Path) -> (Digest, Option<Git>) {
    let workspace = rekindle_fsx::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let git = git::facts(surroundings, &workspace).ok();
    (project(git.as_ref(), &workspace), git)
}

/// A project is where its repository comes from and where it is in that; without git, a directory.
fn project(git: Option<&Git>, workspace: &Path) -> Digest {
    let mut hasher = DigestHasher::new();
    match git {
        Some(git) => hasher
            .field(b"repository")
            .field(&git.origin)
            .field(git.relative.as_os_str().as_bytes()),
        None => hasher
            .field(b"directory")
            .field(workspace.as_os_str().as_bytes()),
    };
    hasher.finish()
}

/// The profile directories that a command builds in: those of its targets, then the host's, where
/// build scripts are. `None` where the command is not one whose options are known.
fn dirs(call: Call<'_>, targets: &[String]) -> Option<Vec<String>> {
    let by_default = match call.command? {
        "build" | "b" | "check" | "c" | "clippy" | "rustc" | "test" | "t" | "run" | "r" | "doc"
        | "d" | "rustdoc" | "fix" => "dev",
        "bench" => "bench",
        _ => return None,
    };
    let profile = match call.profile.unwrap_or(by_default) {
        // The last is for `cargo rustc`.
        "dev" | "test" | "check" => "debug",
        "release" | "bench" => "release",
        other => other,
    };
    let mut dirs = Vec::new();
    for target in targets {
        let name = match target.strip_suffix(".json") {
            Some(path) => Path::new(path).file_name()?.to_str()?,
            // cargo's word for the host.
            None if target == "host-tuple" => return None,
            None => target,
        };
        dirs.push(format!("{name}/{profile}"));
    }
    dirs.push(profile.to_owned());
    Some(dirs)
}
