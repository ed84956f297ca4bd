//! Checkers of workflows that tests run: fetched once into the target directory, each at a fixed version.
//!
//! Where Python, npm or a network is missing, the tests that need them skip, by name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::process::{self, command};

/// Where tests look for the checkers.
pub(crate) const VARIABLE: &str = "REKINDLE_TEST_CHECKERS";

const PYTHON: &[&str] = &["zizmor==1.32.0", "check-jsonschema==0.39.0"];
const NODE: &[&str] = &[
    "@action-validator/cli@0.6.0",
    "@action-validator/core@0.6.0",
];

/// `PATH` with the checkers behind all that is there already.
pub(crate) fn path(checkers: &Path) -> Option<(&'static str, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let behind = checkers.join("python/bin");
    let all = std::env::split_paths(&path).chain(std::iter::once(behind));
    Some(("PATH", std::env::join_paths(all).ok()?))
}

/// The directory, with what could be fetched.
pub(crate) fn fetch() -> Option<PathBuf> {
    let dir = process::target_dir().ok()?.join("xtask/checkers");
    let say = |failure| eprintln!("note: {failure}; tests that need it will skip");
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    if !dir.join("python/bin/zizmor").exists() {
        let venv = text(dir.join("python"));
        let pip = text(dir.join("python/bin/pip"));
        let made = process::run(command("python3").args(["-m", "venv", &venv]))
            .and_then(|()| process::run(command(&pip).args(["install", "--quiet"]).args(PYTHON)));
        made.unwrap_or_else(say);
    }
    if !dir.join("node/node_modules/.bin/action-validator").exists() {
        let prefix = text(dir.join("node"));
        let mut npm = command("npm");
        npm.args([
            "install",
            "--silent",
            "--no-fund",
            "--no-audit",
            "--prefix",
            &prefix,
        ]);
        process::run(npm.args(NODE)).unwrap_or_else(say);
    }
    Some(dir)
}
