//! What a program that is about to start reads, besides itself.
//!
//! cargo starts build scripts, tests and examples directly. A placeholder of one starts our launcher
//! instead (its first line says so), which calls [`prepare`] and then becomes the program.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_fsx::FileKind;
use rekindle_fsx::atomic::TEMPORARY_PREFIX;

use crate::materialise::{self, MaterialiseError, Materialised, Outcome};
use crate::placeholder::Placeholder;
use crate::{elf, layout};

/// Puts the bytes of a program in its place, and of what it may read or load: for a test or example the
/// programs that it may read, and the shared libraries that they are linked to, looked for where cargo
/// has them and in `library_path`.
///
/// # Errors
/// All that could not be put in its place.
pub fn prepare(
    program: &Path,
    library_path: &[PathBuf],
) -> Result<Materialised, Vec<MaterialiseError>> {
    let names = materialise::names(program);
    let mut outcome = materialise::materialise_all(&names, None);
    let profile = layout::profile_dir(program);
    if let Some(profile) = &profile
        && program.parent() != Some(profile)
    {
        outcome.add(fill_profile(profile));
    }
    outcome.add(fill_libraries(program, profile.as_deref(), library_path));
    done(outcome)
}

/// Before what tells runs apart, in the names of programs that stand beside their placeholder.
const RUN: &str = "run-";

/// Where the program of a placeholder stands for one run, for [`prepare_beside`].
#[must_use]
pub fn name_beside(program: &Path, run: &str) -> PathBuf {
    let mut name = OsString::from(TEMPORARY_PREFIX);
    name.push(format!("{RUN}{run}-"));
    name.push(program.file_name().unwrap_or_default());
    program.with_file_name(name)
}

/// The program as people know it: of one that stands beside its placeholder, the placeholder.
#[must_use]
pub fn known_as(program: &Path) -> PathBuf {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let rest = name.strip_prefix(TEMPORARY_PREFIX);
    let rest = rest.and_then(|rest| rest.strip_prefix(RUN)?.split_once('-'));
    rest.map_or_else(
        || program.to_owned(),
        |(_, name)| program.with_file_name(name),
    )
}

/// Puts the bytes of a build script's program at `beside`, in the same directory, and in their places
/// those of what it may read or load: what the scripts of other packages made, and shared libraries. Its
/// own placeholder stays.
///
/// # Errors
/// All that could not be put in its place.
pub fn prepare_beside(
    program: &Path,
    beside: &Path,
    library_path: &[PathBuf],
) -> Result<Materialised, Vec<MaterialiseError>> {
    let mut outcome = Outcome::default();
    match materialise::materialise_beside(program, beside) {
        Ok(done) => outcome.done = done,
        Err(error) => outcome.failed.push(error),
    }
    let profile = layout::profile_dir(program);
    if let Some(profile) = &profile {
        outcome.add(fill_out_dirs(&layout::target_dir(profile)));
    }
    if outcome.failed.is_empty() {
        outcome.add(fill_libraries(beside, profile.as_deref(), library_path));
    }
    done(outcome)
}

fn done(outcome: Outcome) -> Result<Materialised, Vec<MaterialiseError>> {
    if outcome.failed.is_empty() {
        Ok(outcome.done)
    } else {
        Err(outcome.failed)
    }
}

/// Whether it is one, as in `build/PACKAGE-HASH/build-script-build` or
/// `build/PACKAGE/HASH/out/build_script_build`.
#[must_use]
pub fn is_build_script(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b"build-script-") || name.starts_with(b"build_script_")
}

/// Fills the directories of all build scripts of a target directory, which they may read of each
/// other.
#[must_use]
pub fn fill_out_dirs(target: &Path) -> Outcome {
    let profiles = layout::profile_dirs(target);
    let links: Vec<PathBuf> = profiles
        .iter()
        .flat_map(|profile| layout::out_dirs(profile))
        .flat_map(|dir| rekindle_fsx::walk_links(&dir).unwrap_or_default())
        .collect();
    materialise::materialise_all(&links, None)
}

/// Tests read `target/debug/app` and load `target/debug/libapp.so`. Libraries for compilers stay as
/// they are: those that read them say so, and few do.
fn fill_profile(profile: &Path) -> Outcome {
    let mut paths = Vec::new();
    for entry in rekindle_fsx::list_dir(profile).unwrap_or_default() {
        let end = entry.path.extension().unwrap_or_default();
        let for_compilers = end == "rlib" || end == "rmeta" || end == "d";
        let is_ours = !for_compilers && entry.sig.kind() == FileKind::File;
        if is_ours && matches!(Placeholder::read(&entry.path), Ok(Some(_))) {
            paths.extend(materialise::names(&entry.path));
        }
    }
    materialise::materialise_all(&paths, None)
}

/// Fills the shared libraries that a program is linked to, and those that they are.
fn fill_libraries(program: &Path, profile: Option<&Path>, library_path: &[PathBuf]) -> Outcome {
    let mut dirs = library_path.to_vec();
    if let Some(profile) = profile {
        dirs.extend([profile.join("deps"), profile.to_owned()]);
        dirs.extend(layout::out_dirs(profile));
    }
    let mut outcome = Outcome::default();
    let mut seen = BTreeSet::new();
    let mut pending = vec![program.to_owned()];
    while let Some(file) = pending.pop() {
        let mut paths: Vec<PathBuf> = match elf::needed(&file) {
            Some(names) => dirs
                .iter()
                .flat_map(|dir| names.iter().map(|name| dir.join(OsStr::from_bytes(name))))
                .collect(),
            None => shared_libraries(profile),
        };
        paths.retain(|path| rekindle_fsx::exists(path) && seen.insert(path.clone()));
        let stand_in = |path: &PathBuf| Some(Placeholder::find(path).ok()??.0);
        let placeholders: Vec<PathBuf> = paths.iter().filter_map(stand_in).collect();
        outcome.add(materialise::materialise_all(&placeholders, None));
        pending.extend(paths);
    }
    outcome
}

/// All that a program of a form that we cannot read may load.
fn shared_libraries(profile: Option<&Path>) -> Vec<PathBuf> {
    let Some(deps) = profile.map(|profile| profile.join("deps")) else {
        return Vec::new();
    };
    let names = rekindle_fsx::list_names(&deps).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| name.as_bytes().ends_with(b".so"))
        .map(|name| deps.join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_one_run_is_known_by_its_placeholder() {
        let script = Path::new("/t/debug/build/a-b-0123/build-script-build");
        let beside = name_beside(script, "4567");
        assert_ne!(beside, script);
        assert_eq!(beside.parent(), script.parent());
        assert_eq!(known_as(&beside), script);
        for other in [
            script,
            Path::new("/usr/bin/perl"),
            Path::new("/t/.rekindle-1"),
        ] {
            assert_eq!(known_as(other), other);
        }
    }
}
