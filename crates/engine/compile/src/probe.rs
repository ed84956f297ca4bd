//! cargo's questions to the compiler, answered from a memo: `-vV` and target information are asked
//! before cargo takes its build lock, and each costs a compiler's start.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_base::{Digest, DigestHasher};
use rekindle_key::table::COMPILER_ENV_NAMES;
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::toolchain;
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_store::LocalStore;

#[derive(Serialize, Deserialize)]
struct Answer {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Answers a question; `None` where it is not one that may be remembered. The second part of the
/// answer says whether it came from a memo.
pub(crate) fn answer(
    environment: &Environment,
    files: &Files<'_>,
    (inner, chain): (Option<&Path>, &Chain),
    (stderr, stdout): (&mut dyn Write, &mut dyn Write),
) -> Option<(i32, bool)> {
    let key = question(environment, files, (inner, chain))?;
    if let Some(answer) = files.memo::<Answer>(&key) {
        stdout.write_all(&answer.stdout).ok()?;
        stderr.write_all(&answer.stderr).ok()?;
        return Some((0, true));
    }
    let (program, arguments) = chain.command(inner, &chain.arguments);
    let mut command = Command::new(program);
    environment.hand_down(&mut command);
    let output = command.args(arguments).stdin(Stdio::null()).output().ok()?;
    stdout.write_all(&output.stdout).ok()?;
    stderr.write_all(&output.stderr).ok()?;
    if output.status.success() {
        let answer = Answer {
            stdout: output.stdout,
            stderr: output.stderr,
        };
        files.remember(&key, &answer);
    }
    Some((crate::execute::exit_code(output.status), false))
}

/// Asks a compiler for its version, unless the answer is known: that is cargo's first question of all, for which it waits. Other
/// than cargo's own, the question goes through no wrapper but ours; where there is one, the answer is of no use.
pub fn ask_version(store: &LocalStore, environment: &Environment, sysroot: &Path) {
    let chain = Chain {
        workspace_wrapper: None,
        rustc: sysroot.join("bin/rustc").into_os_string(),
        arguments: vec!["-vV".into()],
    };
    let (mut stderr, mut stdout) = (io::sink(), io::sink());
    let streams: (&mut dyn Write, &mut dyn Write) = (&mut stderr, &mut stdout);
    // What fails here fails again where cargo asks, and is said there.
    let _ = answer(environment, &Files::new(store), (None, &chain), streams);
}

/// Everything that the answer depends on. The answer holds paths of the sysroot, so the sysroot's
/// place is part of it.
fn question(
    environment: &Environment,
    files: &Files<'_>,
    (inner, chain): (Option<&Path>, &Chain),
) -> Option<Digest> {
    let arguments = &chain.arguments;
    if !arguments.iter().all(is_plain) {
        return None;
    }
    let target = target_of(arguments);
    // A run that compiles nothing need not read a whole toolchain for this.
    let compiler = toolchain::signed(environment, &chain.rustc, target.as_deref()).ok()?;
    let mut hasher = DigestHasher::new();
    hasher
        .field(b"probe 2")
        .field(compiler.signature.as_bytes())
        .field(compiler.rustc.as_os_str().as_bytes());
    let wrappers = [
        inner.map(Path::as_os_str),
        chain.workspace_wrapper.as_deref(),
    ];
    for wrapper in wrappers.into_iter().flatten() {
        let path = environment.find_program(wrapper)?;
        hasher
            .field(path.as_os_str().as_bytes())
            .field(files.tool(&path).ok()?.as_bytes());
    }
    for name in COMPILER_ENV_NAMES {
        if let Some(value) = environment.get(name) {
            hasher.field(name.as_bytes()).field(value.as_bytes());
        }
    }
    hasher.field(b"arguments");
    for argument in arguments {
        hasher.field(argument.as_bytes());
        if argument.as_bytes().ends_with(b".json") {
            let digest = files.source(&environment.cwd.join(argument)).ok()?;
            hasher.field(digest.as_bytes());
        }
    }
    // The processor decides what `target-cpu=native` means.
    if arguments
        .iter()
        .any(|argument| argument.as_bytes().ends_with(b"=native"))
    {
        hasher.field(&rekindle_outputs::environment::processor());
    }
    Some(hasher.finish())
}

/// Whether an argument names no file that the answer could depend on.
fn is_plain(argument: &OsString) -> bool {
    let bytes = argument.as_bytes();
    !bytes.starts_with(b"@") && !bytes.starts_with(b"--sysroot") && !bytes.ends_with(b".rs")
}

fn target_of(arguments: &[OsString]) -> Option<String> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_str()?;
        if text == "--target" {
            return rest.next()?.to_str().map(str::to_owned);
        }
        if let Some(target) = text.strip_prefix("--target=") {
            return Some(target.to_owned());
        }
    }
    None
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the test asks the compiler that its environment has"
)]
mod tests {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_was_asked_ahead_is_what_cargo_is_told_unless_it_asks_through_a_wrapper() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path());
        let cwd = dir.path().to_owned();
        let environment = Environment::new(std::env::vars_os(), cwd, PathBuf::new());
        let (rustc, sysroot) = toolchain::locate(&environment, OsStr::new("rustc")).unwrap();
        let real = Command::new(&rustc).arg("-vV").output().unwrap().stdout;
        ask_version(&store, &environment, &sysroot);
        let ask = |inner: Option<&Path>, argument: &str| {
            let chain = Chain {
                workspace_wrapper: None,
                rustc: rustc.clone().into_os_string(),
                arguments: vec![argument.into()],
            };
            let (mut stderr, mut stdout) = (Vec::new(), Vec::new());
            let files = Files::new(&store);
            let streams: (&mut dyn Write, &mut dyn Write) = (&mut stderr, &mut stdout);
            let (code, from_memo) = answer(&environment, &files, (inner, &chain), streams).unwrap();
            assert_eq!((code, stderr), (0, Vec::new()));
            (from_memo, stdout)
        };
        assert_eq!(ask(None, "-vV"), (true, real.clone()));
        assert!(!ask(None, "--version").0);
        let wrapper = environment.find_program(OsStr::new("env")).unwrap();
        assert_eq!(ask(Some(&wrapper), "-vV"), (false, real));
    }
}
