//! cargo's questions to the compiler, answered from a memo: `-vV` and target information are asked
//! before cargo takes its build lock, and each costs a compiler's start.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_base::{Digest, DigestHasher};
use rekindle_key::table::COMPILER_ENV_NAMES;
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::context::Context;
use crate::toolchain;
use rekindle_outputs::files::Files;

#[derive(Serialize, Deserialize)]
struct Answer {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Answers a question; `None` where it is not one that may be remembered. The second part of the
/// answer says whether it came from a memo.
pub(crate) fn answer(
    context: &Context<'_>,
    files: &Files<'_>,
    chain: &Chain,
    stderr: &mut dyn Write,
    stdout: &mut dyn Write,
) -> Option<(i32, bool)> {
    let key = question(context, files, chain)?;
    if let Some(answer) = files.memo::<Answer>(&key) {
        stdout.write_all(&answer.stdout).ok()?;
        stderr.write_all(&answer.stderr).ok()?;
        return Some((0, true));
    }
    let inner = context.settings.inner_wrapper.as_deref();
    let (program, arguments) = chain.command(inner, &chain.arguments);
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
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

/// Everything that the answer depends on. The answer holds paths of the sysroot, so the sysroot's
/// place is part of it.
fn question(context: &Context<'_>, files: &Files<'_>, chain: &Chain) -> Option<Digest> {
    let environment = context.environment;
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
    let wrappers = context
        .settings
        .inner_wrapper
        .as_deref()
        .map(Path::as_os_str);
    for wrapper in wrappers
        .into_iter()
        .chain(chain.workspace_wrapper.as_deref())
    {
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
