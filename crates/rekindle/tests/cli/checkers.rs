//! Other people's checkers of workflows, which `cargo xtask test` fetches.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::project::skip;

fn directory() -> PathBuf {
    let fetched = std::env::var_os("REKINDLE_TEST_CHECKERS").map(PathBuf::from);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/xtask/checkers");
    fetched.unwrap_or(target)
}

/// A checker, or a skip of the test, by name.
fn checker(test: &str, path: &str) -> Option<Command> {
    let program = directory().join(path);
    if program.exists() {
        return Some(Command::new(program));
    }
    skip(
        test,
        &format!("no {}; `cargo xtask test` fetches it", program.display()),
    );
    None
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn passes(mut command: Command, arguments: &[&str], file: &Path) {
    let output = command.args(arguments).arg(file).output().unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}",
        said(&output)
    );
}

/// zizmor finds nothing, at its strictest.
#[track_caller]
pub(crate) fn zizmor(test: &str, file: &Path) {
    if let Some(zizmor) = checker(test, "python/bin/zizmor") {
        passes(
            zizmor,
            &["--offline", "--no-progress", "--quiet", "--persona=auditor"],
            file,
        );
    }
}

/// A workflow is one by both schemas, and zizmor finds nothing.
#[track_caller]
pub(crate) fn workflow(test: &str, file: &Path) {
    if let Some(schema) = checker(test, "python/bin/check-jsonschema") {
        passes(
            schema,
            &["--builtin-schema", "vendor.github-workflows"],
            file,
        );
    }
    if let Some(validator) = checker(test, "node/node_modules/.bin/action-validator") {
        passes(validator, &[], file);
    }
    zizmor(test, file);
}

/// An action is one by the schema, and zizmor finds nothing. action-validator does not know Node 24.
#[track_caller]
pub(crate) fn action(test: &str, file: &Path) {
    if let Some(schema) = checker(test, "python/bin/check-jsonschema") {
        passes(schema, &["--builtin-schema", "vendor.github-actions"], file);
    }
    zizmor(test, file);
}
