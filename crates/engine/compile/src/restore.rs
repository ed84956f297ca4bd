//! Placing the outputs of an entry and replaying what the compiler printed.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_base::Digest;
use rekindle_events::MissReason;
use rekindle_fsx::place::Wish;
use rekindle_key::Roots;
use rekindle_key::depinfo::DepInfo;
use rekindle_key::entry::{Entry, Line, Output};
use rekindle_store::{Store, StoreError};

use crate::debug;
use crate::inputs::Unit;
use crate::scripts;

/// Places everything, then replays what the compiler printed, notifications included. Metadata is not
/// announced before all is in place: were an object damaged after that, the compile that follows would
/// announce it a second time, which cargo does not expect.
pub(crate) fn restore(
    unit: &Unit<'_>,
    entry: &Entry,
    closure: Digest,
    stderr: &mut dyn Write,
) -> Result<u64, MissReason> {
    let failed = |error: String| MissReason::RestoreFailed { error };
    let lines = real_lines(&unit.roots, entry)
        .ok_or_else(|| failed("it names a directory that this build does not have".into()))?;
    let dep_info = dep_info(unit, &entry.dep_info).ok_or_else(|| {
        failed("its dep-info names a directory that this build does not have".into())
    })?;
    let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
    let externs = unit.extern_paths();
    let placed = entry.outputs.iter();
    let placed = placed.filter(|output| !scripts::stands_in(unit, output.executable));
    let placed: Vec<_> = placed.map(|output| (output.digest, output.size)).collect();
    unit.context.store.bring_objects(&placed);
    let mut bytes = 0;
    let mut damaged = None;
    for output in &entry.outputs {
        match place(unit, output, &out_dir, closure, &externs) {
            Ok(()) => bytes += output.size,
            // The others are looked at all the same: one that is damaged, too, would be kept when the
            // compile that follows stores the same bytes, and be the next miss.
            Err(reason @ MissReason::ObjectCorrupt { .. }) => damaged = damaged.or(Some(reason)),
            Err(reason) => return Err(damaged.unwrap_or(reason)),
        }
    }
    if let Some(reason) = damaged {
        return Err(reason);
    }
    let path = unit.roots.absolute(&unit.invocation.dep_info_path());
    rekindle_fsx::atomic::write_via(&rekindle_fsx::atomic::beside(&path), &path, &dep_info)
        .map_err(|error| failed(format!("{}: {error}", path.display())))?;
    for line in &lines {
        let _ = stderr.write_all(line);
    }
    Ok(bytes)
}

/// How an output is placed, and published. Only libraries share their inode with the store: nobody
/// changes them in place, while cargo hardlinks programs and shared libraries to where people find
/// them. The metadata beside a library is always a copy with the present as its time, and the newest
/// output of a unit is what cargo compares.
pub(crate) fn wish(name: &str, has_metadata: bool, executable: bool) -> Wish {
    Wish {
        hardlink: name.ends_with(".rlib") && has_metadata,
        executable,
    }
}

fn place(
    unit: &Unit<'_>,
    output: &Output,
    out_dir: &Path,
    closure: Digest,
    externs: &[std::path::PathBuf],
) -> Result<(), MissReason> {
    let dest = out_dir.join(&output.name);
    let store = &unit.context.store;
    if scripts::stands_in(unit, output.executable) {
        // The program may be wanted by a plain cargo, which would not be started once more. One that is beyond
        // this disk is mostly not wanted at all: its run is replayed.
        let is_far = !store.holds_object(&output.digest, output.size)
            && store.has_object(&output.digest, output.size);
        if !is_far {
            store
                .check_object(&output.digest)
                .map_err(|error| reason(error, &output.name, &dest))?;
        }
        if scripts::stand_in(unit, &dest, (output.digest, output.size), (closure, None)) {
            return Ok(());
        }
    }
    let wish = wish(
        &output.name,
        unit.invocation.emit.metadata,
        output.executable,
    );
    let placed = store
        .place_object(&output.digest, &dest, wish)
        .map_err(|error| reason(error, &output.name, &dest))?;
    unit.files
        .remember_output(&dest, placed.sig, placed.digest, closure, externs);
    debug::localise(unit, &dest).map_err(|error| MissReason::RestoreFailed {
        error: format!("{}: {error}", dest.display()),
    })
}

fn reason(error: StoreError, output: &str, dest: &Path) -> MissReason {
    let output = output.to_owned();
    match error {
        StoreError::Missing => MissReason::ObjectMissing { output },
        StoreError::Corrupt => MissReason::ObjectCorrupt { output },
        StoreError::Io(error) => MissReason::RestoreFailed {
            error: format!("{}: {error}", dest.display()),
        },
    }
}

fn real_lines(roots: &Roots, entry: &Entry) -> Option<Vec<Vec<u8>>> {
    entry
        .stderr
        .iter()
        .map(|line| match line {
            Line::Artifact(_, text) | Line::Other(text) => roots.real_text(text),
        })
        .collect()
}

/// The dep-info file as the compiler would have written it here.
fn dep_info(unit: &Unit<'_>, canonical: &DepInfo) -> Option<Vec<u8>> {
    let real = |names: &[Vec<u8>]| -> Option<Vec<Vec<u8>>> {
        names.iter().map(|name| real_path(unit, name)).collect()
    };
    let environment = unit.context.environment;
    let env = canonical
        .env
        .iter()
        .map(|(name, _)| {
            let value = environment.get(OsStr::from_bytes(name).to_str()?);
            Some((name.clone(), value.map(|value| value.as_bytes().to_vec())))
        })
        .collect::<Option<_>>()?;
    let info = DepInfo {
        outputs: real(&canonical.outputs)?,
        inputs: real(&canonical.inputs)?,
        env,
    };
    let written = info.write();
    // Like the compiler, which has no other way to write a path that is not UTF-8; cargo would not read it.
    Some(match String::from_utf8_lossy(&written) {
        std::borrow::Cow::Borrowed(_) => written,
        std::borrow::Cow::Owned(text) => text.into_bytes(),
    })
}

/// Marks a path that was given relative to the compiler's directory, and is written so again.
pub(crate) const RELATIVE: &[u8] = b"./";

fn real_path(unit: &Unit<'_>, name: &[u8]) -> Option<Vec<u8>> {
    if let Some(relative) = name.strip_prefix(RELATIVE) {
        return Some(relative.to_vec());
    }
    let path = unit.roots.resolve(name)?;
    Some(path.into_os_string().as_bytes().to_vec())
}
