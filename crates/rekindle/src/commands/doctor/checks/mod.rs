//! The checks, one file each.

mod clock;
mod disk;
mod github;
mod incremental;
mod linker;
mod other_caches;
mod parallel;
mod remote;
mod runner;
mod sccache;
mod scripts;
mod store;
pub(super) mod toolchain;
mod undeclared;
mod wrapper;

use super::context::Context;
use super::model::Outcome;
use crate::error::CommandError;

/// One check.
pub(super) struct Check {
    /// Its name, for people and for `--check`.
    pub(super) id: &'static str,
    /// What it looks at.
    pub(super) about: &'static str,
    pub(super) run: fn(&Context<'_>) -> Outcome,
}

/// All of them, in the order in which they are made: what others need comes first.
pub(super) static ALL: &[Check] = &[
    Check {
        id: "toolchain",
        about: "the toolchain: cargo, rustc, and what the project asks of them",
        run: toolchain::check,
    },
    Check {
        id: "wrapper",
        about: "whether Rekindle is in effect: a tiny program is built, stored, removed and restored through the real chain",
        run: wrapper::check,
    },
    Check {
        id: "other-caches",
        about: "other compile caches in the chain, or left in configuration",
        run: other_caches::check,
    },
    Check {
        id: "incremental",
        about: "who says what of incremental compilation",
        run: incremental::check,
    },
    Check {
        id: "linker",
        about: "which linker made the tiny program, and whether that is the one that was asked for",
        run: linker::check,
    },
    Check {
        id: "store",
        about: "whether the store can be reached, written, and is fast enough",
        run: store::check,
    },
    Check {
        id: "disk",
        about: "room on the disks that builds write to, and what takes it",
        run: disk::check,
    },
    Check {
        id: "parallel",
        about: "jobs against processors, and memory against links, control groups included",
        run: parallel::check,
    },
    Check {
        id: "clock",
        about: "the system's clock against the file system's, and files from the future",
        run: clock::check,
    },
    Check {
        id: "remote",
        about: "remote caches that are configured: whether they answer, credentials, region",
        run: remote::check,
    },
    Check {
        id: "github",
        about: "GitHub's cache service and its tokens, in a job of GitHub's",
        run: github::check,
    },
    Check {
        id: "runner",
        about: "runners of GitHub's on this machine: service, version, last errors",
        run: runner::check,
    },
    Check {
        id: "sccache",
        about: "sccache's own figures, where it is in use",
        run: sccache::check,
    },
    Check {
        id: "undeclared",
        about: "what macros and build scripts of the workspace read without telling cargo",
        run: undeclared::check,
    },
    Check {
        id: "scripts",
        about: "build scripts that take their time and are not used again",
        run: scripts::check,
    },
];

/// Those with these names; all where there are none.
pub(super) fn named(names: &[String]) -> Result<Vec<&'static Check>, CommandError> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|c| c.id != **name)) {
        let all: Vec<&str> = ALL.iter().map(|check| check.id).collect();
        let message = format!("there is no check `{unknown}`");
        return Err(CommandError::user(message).hint(format!("there are {}", all.join(", "))));
    }
    let wanted = |check: &&Check| names.is_empty() || names.iter().any(|name| name == check.id);
    Ok(ALL.iter().filter(wanted).collect())
}
