//! `REKINDLE_VERIFY=1`: a hit is compiled again beside the target directory and compared bit by bit.
//!
//! The one thing that may differ are member names of libraries under `-C incremental`, which the compiler
//! draws at random: they reach nothing that is linked. A compile that wrote no incremental state where cargo
//! asked for it (see [`rekindle_outputs::incremental`]) is compared with one that writes none.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_fsx::place::Wish;
use rekindle_key::entry::{Entry, Output};
use rekindle_store::Store;

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
    let arguments = &unit.chain.arguments;
    let mut result = compile(unit, entry, arguments, &directory);
    if result.as_ref().is_ok_and(|verified| !verified.same) && is_incremental(arguments) {
        rekindle_fsx::remove_dir_all(&directory)?;
        rekindle_fsx::create_dir_all(&directory)?;
        result = compile(unit, entry, &without_state(arguments), &directory);
    }
    rekindle_fsx::remove_dir_all(&directory)?;
    result
}

fn compile(
    unit: &Unit<'_>,
    entry: &Entry,
    arguments: &[OsString],
    directory: &Path,
) -> io::Result<Verified> {
    let mut arguments = redirected(arguments, directory);
    arguments.extend(unit.remap_arguments());
    let link_dir = directory.join("link");
    if let Some(plan) = unit.asked_link() {
        arguments.extend(shim_argument(unit, plan, &link_dir)?);
    }
    let inner = unit.context.settings.inner_wrapper.as_deref();
    let (program, arguments) = unit.chain.command(inner, &arguments);
    let ran = execute::run(
        (&program, &arguments),
        unit.context.environment,
        None,
        &mut execute::Deaf,
        &mut io::sink(),
        &mut io::sink(),
    )?;
    let mut same = ran.exit_code == 0;
    for output in &entry.outputs {
        same &= is_same(unit, output, directory).unwrap_or(false);
    }
    let linkers = shim::runs(&link_dir).iter().map(|run| run.started).sum();
    Ok(Verified { same, linkers })
}

/// Whether a fresh output has the bits of the stored one. With incremental state the compiler gives the
/// members of a library names that are partly random at every run, so those are compared without.
fn is_same(unit: &Unit<'_>, output: &Output, directory: &Path) -> io::Result<bool> {
    let fresh = directory.join(&output.name);
    if rekindle_fsx::hash_file(&fresh)?.0 == output.digest {
        return Ok(true);
    }
    let is_archive = output.name.ends_with(".rlib") || output.name.ends_with(".a");
    if !is_archive || !is_incremental(&unit.chain.arguments) {
        return Ok(false);
    }
    let stored = directory.join("stored");
    let wish = Wish {
        hardlink: false,
        executable: false,
    };
    let store = &unit.context.store;
    store
        .place_object(&output.digest, &stored, wish)
        .map_err(io::Error::other)?;
    let bytes = |path: &Path| rekindle_fsx::read(path).map(without_random_names);
    Ok(bytes(&stored)? == bytes(&fresh)?)
}

/// An archive with the random part of its members' names, `….RANDOM.rcgu.o`, blotted out.
fn without_random_names(mut archive: Vec<u8>) -> Vec<u8> {
    const RANDOM_LENGTH: usize = 7;
    let ends: Vec<usize> = memchr::memmem::find_iter(&archive, b".rcgu.o").collect();
    for end in ends {
        let Some(start) = end.checked_sub(RANDOM_LENGTH) else {
            continue;
        };
        let follows_a_dot = start > 0 && archive[start - 1] == b'.';
        let random = &mut archive[start..end];
        if follows_a_dot && random.iter().all(u8::is_ascii_alphanumeric) {
            random.fill(b'-');
        }
    }
    archive
}

fn is_incremental(arguments: &[OsString]) -> bool {
    let incremental = |argument: &OsString| {
        let bytes = argument.as_bytes();
        bytes.starts_with(b"incremental=") || bytes.starts_with(b"-Cincremental=")
    };
    arguments.iter().any(incremental)
}

/// The arguments of a compile that neither reads nor writes incremental state. cargo's form alone is known.
pub(crate) fn without_state(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept: Vec<OsString> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let follows = kept.last().is_some_and(|last| last == "-C");
        if follows && argument.as_bytes().starts_with(b"incremental=") {
            kept.pop();
        } else {
            kept.push(argument.clone());
        }
    }
    kept
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_random_part_of_a_members_name_is_left_out() {
        let same = |one: &str, other: &str| {
            without_random_names(one.as_bytes().to_vec())
                == without_random_names(other.as_bytes().to_vec())
        };
        assert!(same(
            "x.cgu1.08j06bm.rcgu.o/\nbody",
            "x.cgu1.1bsdddr.rcgu.o/\nbody"
        ));
        assert!(!same(
            "x.cgu1.08j06bm.rcgu.o/\nbody",
            "x.cgu1.08j06bm.rcgu.o/\nbodY"
        ));
        assert!(!same("x.cgu1.08j06bm.rcgu.o", "x.cgu2.08j06bm.rcgu.o"));
        assert!(!same("x.cgu1-08j06bm.rcgu.o", "x.cgu1-1bsdddr.rcgu.o"));
        assert!(!same("08j06bm.rcgu.o", "1bsdddr.rcgu.o"));
        assert!(same(".rcgu.o", ".rcgu.o"));
    }
}
