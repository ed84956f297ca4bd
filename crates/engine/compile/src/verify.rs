//! `REKINDLE_VERIFY=1`: a hit is compiled again beside the target directory and compared bit by bit.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_key::entry::Entry;

use crate::execute;
use crate::inputs::Unit;
use crate::link::LinkPlan;
use crate::shim;

/// What a check found.
pub(crate) struct Verified {
    /// Whether every output has the bits of the stored one.
    pub(crate) same: bool,
    /// Linkers that were started.
    pub(crate) linkers: u32,
}

/// Compiles again into a directory of its own and compares.
pub(crate) fn verify(unit: &Unit<'_>, entry: &Entry) -> io::Result<Verified> {
    let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
    let directory = out_dir.join(format!(".rekindle-verify-{}", unit.invocation.file_stem()));
    rekindle_fsx::remove_dir_all(&directory)?;
    rekindle_fsx::create_dir_all(&directory)?;
    let result = compile(unit, entry, &directory);
    rekindle_fsx::remove_dir_all(&directory)?;
    result
}

fn compile(unit: &Unit<'_>, entry: &Entry, directory: &Path) -> io::Result<Verified> {
    let mut arguments = redirected(&unit.chain.arguments, directory);
    arguments.extend(unit.remap_arguments());
    let link_dir = directory.join("link");
    if let Some(plan) = &unit.link {
        arguments.extend(shim_argument(unit, plan, &link_dir)?);
    }
    let inner = unit.context.settings.inner_wrapper.as_deref();
    let (program, arguments) = unit.chain.command(inner, &arguments);
    let ran = execute::run(&program, &arguments, &mut execute::Deaf, &mut io::sink(), &mut io::sink())?;
    let mut same = ran.exit_code == 0;
    for output in &entry.outputs {
        let fresh = rekindle_fsx::hash_file(&directory.join(&output.name));
        same &= fresh.is_ok_and(|(digest, _)| digest == output.digest);
    }
    let linkers = shim::runs(&link_dir).iter().map(|run| run.started).sum();
    Ok(Verified { same, linkers })
}

/// Prepares a shim for one compile and gives the argument that makes the compiler use it.
pub(crate) fn shim_argument(
    unit: &Unit<'_>,
    plan: &LinkPlan,
    directory: &Path,
) -> io::Result<[OsString; 2]> {
    let program = &unit.context.environment.program;
    shim::prepare(directory, program, &plan.plan())?;
    let mut linker = OsString::from("linker=");
    linker.push(directory.join(shim::DRIVER));
    Ok(["-C".into(), linker])
}

/// The arguments with outputs and incremental state elsewhere: state from earlier compiles would make
/// this one prove less.
fn redirected(arguments: &[OsString], directory: &Path) -> Vec<OsString> {
    let mut redirected: Vec<OsString> = Vec::with_capacity(arguments.len());
    let mut previous: Option<&[u8]> = None;
    for argument in arguments {
        let bytes = argument.as_bytes();
        let is_state = previous == Some(b"-C") && bytes.starts_with(b"incremental=");
        redirected.push(if previous == Some(b"--out-dir") {
            directory.as_os_str().to_owned()
        } else if is_state {
            with_path("incremental=", directory.join("incremental"))
        } else if bytes.starts_with(b"--out-dir=") {
            with_path("--out-dir=", directory.to_owned())
        } else {
            argument.clone()
        });
        previous = Some(bytes);
    }
    redirected
}

fn with_path(prefix: &str, path: PathBuf) -> OsString {
    let mut argument = OsString::from(prefix);
    argument.push(path);
    argument
}
