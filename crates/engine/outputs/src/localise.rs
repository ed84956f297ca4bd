//! Real paths in the debug information of programs.
//!
//! Debuggers find sources by the paths in a program's debug information. Compiled in, those are names
//! that are the same everywhere; when a program is put in place, they become the real ones. The names
//! are padded, so that a real path, filled up with slashes, takes their place byte for byte:
//! `/home/me/project////////`. Only debug information is touched, never code or data, and only in
//! programs that no other unit is compiled with, so no key sees the difference.
//!
//! The unit cache localises what it publishes and restores, [`crate::materialise`] what a placeholder
//! stands for; a snapshot undoes it, so that a program that it captures is the object that the unit
//! cache published.

use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use object::read::{File, ReadCache, ReadRef};
use object::{CompressionFormat, Object, ObjectSection};
use rekindle_base::Digest;
use rekindle_fsx::place::{self, Wish};
use rekindle_fsx::scan;
use rekindle_key::{Root, Roots};

use crate::wasm;

/// Byte strings, and those of the same length that take their place.
pub type Replacements = Vec<(Vec<u8>, Vec<u8>)>;

/// The name that a root has in outputs; `None` for the toolchain, which maps its own paths. The names
/// are as long as real paths may be that take their place.
#[must_use]
pub const fn mapped(root: Root) -> Option<&'static str> {
    match root {
        Root::Target => Some(
            "/rekindle/target/______________________________________________________________________________",
        ),
        Root::CargoHome => Some("/rekindle/cargo/________________________"),
        Root::Workspace => Some(
            "/rekindle/workspace/___________________________________________________________________________",
        ),
        Root::Package => Some(
            "/rekindle/package/_____________________________________________________________________________",
        ),
        // The toolchain maps its own; the others are no roots of compilers.
        Root::Sysroot | Root::OutDir | Root::Home => None,
    }
}

/// What takes the place of mapped names in programs of an invocation with these roots. A root whose
/// path is longer than its name keeps the name.
#[must_use]
pub fn replacements(roots: &Roots) -> Replacements {
    roots
        .iter()
        .filter_map(|(root, real)| {
            let name = mapped(root)?.as_bytes();
            Some((name.to_vec(), padded(real, name.len())?))
        })
        .collect()
}

/// The roots of units that cargo compiles in `directory` (the workspace's root for its members, the
/// package's for others): what [`replacements`] takes where no invocation is at hand.
#[must_use]
pub fn roots(directory: &Path, target: &Path, cargo_home: &Path) -> Roots {
    let mut roots = vec![
        (Root::Target, target.to_owned()),
        (Root::CargoHome, cargo_home.to_owned()),
    ];
    if !directory.starts_with(cargo_home) {
        roots.push((Root::Workspace, directory.to_owned()));
    }
    Roots::new(directory, roots)
}

/// Gives a program that was just put in place real paths. How many were.
///
/// # Errors
/// As reading and writing it.
pub fn localise(program: &Path, replacements: &Replacements) -> io::Result<u64> {
    if replacements.is_empty() {
        return Ok(0);
    }
    let ranges = debug_ranges(program);
    if ranges.is_empty() {
        return Ok(0);
    }
    scan::replace_in_place(program, &ranges, replacements)
}

/// The digest of a program as it was before [`localise`], and whether it was another one then. It is the published one's if a
/// unit with these replacements made the program and nothing else changed it; to be compared, never trusted.
///
/// # Errors
/// As reading it.
pub fn canonical_digest(program: &Path, replacements: &Replacements) -> io::Result<(Digest, bool)> {
    scan::hash_replaced(program, &debug_ranges(program), &undone(replacements))
}

/// Writes a program as it was before [`localise`] to `dest`, which is replaced.
///
/// # Errors
/// As reading and writing.
pub fn write_canonical(program: &Path, dest: &Path, replacements: &Replacements) -> io::Result<()> {
    let wish = Wish {
        hardlink: false,
        executable: rekindle_fsx::stat(program)?.is_executable(),
    };
    let temporary = rekindle_fsx::atomic::beside(dest);
    place::place(program, dest, &temporary, None, wish)?;
    localise(dest, &undone(replacements)).map(|_| ())
}

fn undone(replacements: &Replacements) -> Replacements {
    let back = |(from, to): &(Vec<u8>, Vec<u8>)| (to.clone(), from.clone());
    replacements.iter().rev().map(back).collect()
}

/// The parts of debug information that name sources.
const NAMING: [&str; 4] = [
    ".debug_str",
    ".debug_line_str",
    ".debug_line",
    ".debug_info",
];

/// Where in the file debug information lies that names sources and is not compressed.
fn debug_ranges(path: &Path) -> Vec<Range<u64>> {
    let ranges = || {
        let mut file = rekindle_fsx::open(path).ok()?;
        match wasm::custom_sections(&mut file) {
            Ok(Some(sections)) => Some(ranges_of_module(sections)),
            _ => ranges_of_object(&ReadCache::new(file)),
        }
    };
    ranges().unwrap_or_default()
}

fn ranges_of_module(sections: Vec<wasm::Section>) -> Vec<Range<u64>> {
    let names = |name: &[u8]| NAMING.iter().any(|naming| naming.as_bytes() == name);
    let naming = sections.into_iter().filter(|(name, _)| names(name));
    naming.map(|(_, range)| range).collect()
}

fn ranges_of_object<'data>(data: impl ReadRef<'data>) -> Option<Vec<Range<u64>>> {
    let file = File::parse(data).ok()?;
    let of = |name: &&str| {
        let section = file.section_by_name(name)?;
        let range = section.compressed_file_range().ok()?;
        let is_plain = range.format == CompressionFormat::None;
        is_plain.then(|| range.offset..range.offset + range.compressed_size)
    };
    Some(NAMING.iter().filter_map(of).collect())
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

    /// This test's own program has debug information.
    #[test]
    fn what_was_localised_can_be_undone() {
        let dir = tempfile::tempdir().unwrap();
        let (own, localised) = (
            std::env::current_exe().unwrap(),
            dir.path().join("localised"),
        );
        let wish = Wish {
            hardlink: false,
            executable: true,
        };
        let temporary = rekindle_fsx::atomic::beside(&localised);
        let placed = place::place(&own, &localised, &temporary, None, wish).unwrap();
        let pairs: Replacements = vec![
            (b"outputs/src/".to_vec(), b"OUTPUTS/SRC/".to_vec()),
            (b"localise.rs".to_vec(), b"////////.rs".to_vec()),
        ];
        assert!(localise(&localised, &pairs).unwrap() > 1);
        let (digest, _) = rekindle_fsx::hash_file(&localised).unwrap();
        assert_ne!(digest, placed.digest);
        assert_eq!(
            canonical_digest(&localised, &pairs).unwrap(),
            (placed.digest, true)
        );
        let undone = dir.path().join("undone");
        write_canonical(&localised, &undone, &pairs).unwrap();
        assert_eq!(rekindle_fsx::hash_file(&undone).unwrap().0, placed.digest);
        assert!(rekindle_fsx::stat(&undone).unwrap().is_executable());
    }

    #[test]
    fn registry_packages_have_no_workspace() {
        let (target, home) = (Path::new("/w/target"), Path::new("/home/me/.cargo"));
        let names = |directory: &str| -> Vec<Root> {
            let roots = roots(Path::new(directory), target, home);
            roots.iter().map(|(root, _)| root).collect()
        };
        assert_eq!(
            names("/w"),
            [Root::CargoHome, Root::Target, Root::Workspace]
        );
        assert_eq!(
            names("/home/me/.cargo/registry/src/x"),
            [Root::CargoHome, Root::Target]
        );
    }
}
