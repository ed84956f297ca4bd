//! Where a compile that a build script starts happens: the roots that its paths are named by, and the names
//! that debug information gets in their place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rekindle_key::{Root, Roots, outdir};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::localise::mapped;

use crate::observed::LIBRARY_PATH;
use crate::scripts;

/// The roots of a compile, as the build script is told of them. They are those of the units that link its
/// objects, so that a program's debug information names C sources as it names Rust's.
pub(crate) fn roots(environment: &Environment, cargo_home: &Path) -> Roots {
    let cwd = &environment.cwd;
    let mut roots = vec![(Root::CargoHome, cargo_home.to_owned())];
    // cargo's `LD_LIBRARY_PATH` leads there: the loader looks for each library of the compiler's.
    roots.extend(scripts::sysroot(environment).map(|sysroot| (Root::Sysroot, sysroot)));
    if let Some(out_dir) = environment.get("OUT_DIR") {
        let target = environment.get("TARGET").and_then(|target| target.to_str());
        roots.push((Root::Target, target_of(Path::new(out_dir), target)));
    }
    let package = environment.get("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| cwd.clone());
    if !package.starts_with(cargo_home) {
        roots.push((Root::Workspace, scripts::workspace(&package)));
    }
    Roots::new(cwd, roots)
}

/// The same roots without links.
pub(crate) fn without_links(roots: &Roots, cwd: &Path) -> Roots {
    let real = |path: &Path| rekindle_fsx::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    Roots::new(
        &real(cwd),
        roots.iter().map(|(root, path)| (root, real(path))),
    )
}

/// cargo's target directory behind a build script's output directory, for both of its layouts.
fn target_of(out_dir: &Path, target: Option<&str>) -> PathBuf {
    let above = out_dir.parent().unwrap_or(out_dir);
    [above, out_dir]
        .into_iter()
        .map(|dir| (dir, outdir::target_root(dir, target)))
        .find(|(dir, root)| dir != root)
        .map_or_else(|| out_dir.to_owned(), |(_, root)| root)
}

/// Whether the names of files below a root are mapped in macros, too, as Rust's `file!()` is: where packages
/// and what was made of them lie is cargo's business. A user's own sources keep their names.
pub(crate) const fn maps_macros(root: Root) -> bool {
    matches!(root, Root::CargoHome | Root::Target)
}

/// An option that maps paths for each root, to go before the user's own words. The last map that matches
/// wins, so longer paths come last, and the user's own win over all.
pub(crate) fn maps((shown, real): (&Roots, &Roots), knows_macros: bool) -> Vec<OsString> {
    // The same path twice is mapped twice, to the same name.
    let mut all: Vec<(Root, &Path)> = shown.iter().chain(real.iter()).collect();
    all.sort_by_key(|(_, path)| path.as_os_str().len());
    all.dedup();
    all.into_iter()
        // No source of C is there.
        .filter(|(root, _)| *root != Root::Sysroot)
        .filter_map(|(root, real)| {
            let option = if knows_macros && maps_macros(root) {
                "-ffile-prefix-map="
            } else {
                "-fdebug-prefix-map="
            };
            let mut map = OsString::from(option);
            map.push(real);
            map.push("=");
            map.push(mapped(root)?);
            Some(map)
        })
        .collect()
}

/// Where a compiler's own libraries are searched by the loader, without the directories that cargo adds for Rust's; `None`
/// where it adds none.
///
/// The loader asks for each library of each program in each of them, some three hundred calls for one compile. What
/// rustc leaves there is `libNAME.so`, what a toolchain has there carries the toolchain's own name; a compiler of C is linked to
/// names that end in a version. What a build script has put into its own directory is left, and so is all that a user added.
pub(crate) fn library_path(environment: &Environment, roots: &Roots) -> Option<OsString> {
    let whole = environment.get(LIBRARY_PATH)?;
    let is_cargos = |dir: &Path| {
        let below = |root| dir.strip_prefix(roots.real(root)?).ok();
        let in_target =
            below(Root::Target).is_some_and(|dir| dir.iter().all(|name| name != "build"));
        dir.is_absolute() && (in_target || below(Root::Sysroot).is_some())
    };
    let all: Vec<PathBuf> = std::env::split_paths(whole).collect();
    let kept: Vec<&PathBuf> = all.iter().filter(|dir| !is_cargos(dir)).collect();
    if kept.len() == all.len() {
        return None;
    }
    std::env::join_paths(kept).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_spared_cargos_directories_alone() {
        let roots = Roots::new(
            Path::new("/w"),
            [
                (Root::Workspace, "/w".into()),
                (Root::Target, "/w/target".into()),
                (Root::Sysroot, "/rust".into()),
            ],
        );
        let check = |path: &str, expected: Option<&str>| {
            let variables = [("LD_LIBRARY_PATH".into(), path.into())];
            let environment = Environment::new(variables, "/w".into(), "rekindle".into());
            let kept = library_path(&environment, &roots);
            assert_eq!(
                kept.as_deref(),
                expected.map(std::ffi::OsStr::new),
                "{path}"
            );
        };
        let cargos = "/w/target/debug/deps:/w/target/debug:/rust/lib/rustlib/x/lib:/rust/lib";
        check(cargos, Some(""));
        check(&format!("/mine:{cargos}:/w/lib"), Some("/mine:/w/lib"));
        check(
            "/w/target/debug/build/z-0123/out/lib:/rust/lib",
            Some("/w/target/debug/build/z-0123/out/lib"),
        );
        check("/mine:target/debug:/w/targets:/rusty", None);
    }

    #[test]
    fn the_target_directory_is_behind_out_dir() {
        let check = |out_dir: &str, target: Option<&str>, expected: &str| {
            let found = target_of(Path::new(out_dir), target);
            assert_eq!(found, Path::new(expected), "{out_dir}");
        };
        let musl = Some("x86_64-unknown-linux-musl");
        check("/w/target/debug/build/ring-0123/out", musl, "/w/target");
        check(
            "/w/target/x86_64-unknown-linux-musl/debug/build/ring-0123/out",
            musl,
            "/w/target",
        );
        check("/w/target/debug/build/ring/0123/out", None, "/w/target");
        check("/odd", None, "/odd");
    }

    #[test]
    fn longer_paths_are_mapped_last() {
        let roots = Roots::new(
            Path::new("/w"),
            [
                (Root::Workspace, "/w/x".into()),
                (Root::Target, "/w/x/target".into()),
            ],
        );
        let maps = maps((&roots, &roots), true);
        assert_eq!(maps.len(), 2);
        let begins = |at: usize, text: &str| maps[at].to_string_lossy().starts_with(text);
        assert!(begins(0, "-fdebug-prefix-map=/w/x=/rekindle/workspace/"));
        assert!(begins(1, "-ffile-prefix-map=/w/x/target=/rekindle/target/"));
    }
}
