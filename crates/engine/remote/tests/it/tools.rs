//! Programs that tests use and that are no part of the repository: fetched once, into a directory that is kept, by the
//! installers that people have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rekindle_testkit::servers::installed;

/// A directory with what `install` puts there, made once for this and all later runs; or why there is none.
///
/// It appears by renaming, so that two tests at once do not see half of it.
pub(crate) fn kept(
    name: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let tools = installed();
    let there = tools.join(name);
    if there.is_dir() {
        return Ok(there);
    }
    let made = tools.join(format!("{name}.{}", std::process::id()));
    let _ = fs::remove_dir_all(&made);
    fs::create_dir_all(&made).map_err(|error| error.to_string())?;
    let installed = install(&made);
    if installed.is_ok() && fs::rename(&made, &there).is_err() && !there.is_dir() {
        return Err(format!("cannot make `{}`", there.display()));
    }
    let _ = fs::remove_dir_all(&made);
    installed.map(|()| there)
}

/// Runs a command; what it says where it fails.
pub(crate) fn ran(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        Err(format!("{shown}: {}: {said}", output.status))
    }
}

/// npm packages, at fixed versions, below `node_modules`.
pub(crate) fn npm(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    ran(Command::new("node").arg("--version")).map_err(|_| "needs node".to_owned())?;
    kept(name, |dir| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--fetch-retries=0",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ]);
        ran(npm.arg(dir).args(packages))
            .map(drop)
            .map_err(|error| format!("npm cannot install {packages:?}: {error}"))
    })
}
