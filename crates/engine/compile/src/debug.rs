//! Debuggers find sources by the paths in a program's debug information. Compiled in, those are names
//! that are the same everywhere; when a program is put in place, they become the real ones.
//!
//! The names are padded, so that a real path, filled up with slashes, takes their place byte for byte:
//! `/home/me/project////////`. Only debug information is touched, never code or data, and only in
//! programs that no other unit is compiled with, so no key sees the difference.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::elf;
use crate::inputs::{Unit, remapped};

/// Whether a unit's linked outputs are given real paths. What other units load is left alone: its
/// digest is in their keys.
fn applies(unit: &Unit<'_>) -> bool {
    let loaded = ["proc-macro", "dylib"];
    unit.remap
        && unit.invocation.is_linked()
        && !unit
            .invocation
            .crate_types
            .iter()
            .any(|kind| loaded.contains(&kind.as_str()))
}

/// Gives a program that was just put in place the real paths of this build.
pub(crate) fn localise(unit: &Unit<'_>, program: &Path) -> io::Result<()> {
    if !applies(unit) {
        return Ok(());
    }
    let ranges = elf::debug_ranges(program);
    if ranges.is_empty() {
        return Ok(());
    }
    let replacements: Vec<(Vec<u8>, Vec<u8>)> = unit
        .roots
        .iter()
        .filter_map(|(root, real)| {
            let name = remapped(root)?.as_bytes();
            Some((name.to_vec(), padded(real, name.len())?))
        })
        .collect();
    if !replacements.is_empty() {
        rekindle_fsx::scan::replace_in_place(program, &ranges, &replacements)?;
    }
    Ok(())
}

/// The path filled up with slashes; `None` where it is too long.
fn padded(path: &Path, len: usize) -> Option<Vec<u8>> {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    if bytes.len() > len {
        return None;
    }
    bytes.resize(len, b'/');
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_path_leads_to_the_same_place() {
        let padded = padded(Path::new("/home/me"), 12).unwrap();
        assert_eq!(padded, b"/home/me////");
        assert_eq!(super::padded(Path::new("/home/me"), 7), None);
    }
}
