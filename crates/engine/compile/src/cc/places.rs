//! Where a compile that a build script starts happens: the roots that its paths are named by, and the names
//! that debug information gets in their place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rekindle_key::{Root, Roots, outdir};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::localise::mapped;

/// The roots of a compile. They are those of the units that link its objects, so that a program's debug
/// information names C sources as it names Rust's.
pub(crate) fn roots(environment: &Environment, cargo_home: &Path) -> Roots {
    let cwd = &environment.cwd;
    let mut roots = vec![(Root::CargoHome, real(cargo_home))];
    if let Some(out_dir) = environment.get("OUT_DIR") {
        let target = environment.get("TARGET").and_then(|target| target.to_str());
        roots.push((Root::Target, target_of(&real(Path::new(out_dir)), target)));
    }
    let package = environment.get("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.map_or_else(|| cwd.clone(), |package| real(&package));
    if !roots.iter().any(|(_, root)| package.starts_with(root)) {
        roots.push((Root::Workspace, workspace_of(&package)));
    }
    Roots::new(cwd, roots)
}

fn real(path: &Path) -> PathBuf {
    rekindle_fsx::canonicalize(path).unwrap_or_else(|_| path.to_owned())
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

/// The workspace of a package: the nearest directory above with a manifest that has one, as cargo looks
/// for it; else the package itself.
fn workspace_of(package: &Path) -> PathBuf {
    let has_workspace = |dir: &&Path| {
        let manifest = rekindle_fsx::read(&dir.join("Cargo.toml")).unwrap_or_default();
        manifest.starts_with(b"[workspace") || memchr::memmem::find(&manifest, b"\n[workspace").is_some()
    };
    let found = package.ancestors().find(has_workspace);
    found.unwrap_or(package).to_owned()
}

/// Whether the names of files below a root are mapped in macros, too, as Rust's `file!()` is: where packages
/// and what was made of them lie is cargo's business. A user's own sources keep their names.
pub(crate) const fn maps_macros(root: Root) -> bool {
    matches!(root, Root::CargoHome | Root::Target)
}

/// An option that maps paths for each root, to go before the user's own words. The last map that matches
/// wins, so longer paths come last, and the user's own win over all.
pub(crate) fn maps(roots: &Roots, knows_macros: bool) -> Vec<OsString> {
    let mut maps: Vec<OsString> = roots
        .iter()
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
        .collect();
    maps.reverse();
    maps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_directory_is_behind_out_dir() {
        let check = |out_dir: &str, target: Option<&str>, expected: &str| {
            let found = target_of(Path::new(out_dir), target);
            assert_eq!(found, Path::new(expected), "{out_dir}");
        };
        let musl = Some("x86_64-unknown-linux-musl");
        check("/w/target/debug/build/ring-0123/out", musl, "/w/target");
        check("/w/target/x86_64-unknown-linux-musl/debug/build/ring-0123/out", musl, "/w/target");
        check("/w/target/debug/build/ring/0123/out", None, "/w/target");
        check("/odd", None, "/odd");
    }

    #[test]
    fn a_member_is_named_by_its_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let top = rekindle_fsx::canonicalize(dir.path()).unwrap();
        let put = |name: &str, text: &str| {
            let file = top.join(name);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&file, text.as_bytes()).unwrap();
        };
        put("w/Cargo.toml", "[workspace]\nmembers = [\"a\"]\n");
        put("w/a/Cargo.toml", "[package]\nname = \"a\"\n");
        put("alone/Cargo.toml", "[package]\nname = \"b\"\n");
        let of = |package: &str, home: &str| {
            let out_dir = top.join("t/debug/build/a-1/out");
            let variables = [
                ("CARGO_MANIFEST_DIR", top.join(package)),
                ("OUT_DIR", out_dir),
            ];
            let variables = variables.map(|(name, value)| (name.into(), value.into_os_string()));
            let environment = Environment::new(variables, top.join(package), PathBuf::new());
            roots(&environment, &top.join(home))
        };
        let member = of("w/a", "home");
        assert_eq!(member.real(Root::Workspace), Some(&*top.join("w")));
        assert_eq!(member.real(Root::Target), Some(&*top.join("t")));
        let alone = of("alone", "home");
        assert_eq!(alone.real(Root::Workspace), Some(&*top.join("alone")));
        assert_eq!(of("alone", "alone").real(Root::Workspace), None);
    }

    #[test]
    fn longer_paths_are_mapped_last() {
        let roots = Roots::new(
            Path::new("/w"),
            [(Root::Workspace, "/w/x".into()), (Root::Target, "/w/x/target".into())],
        );
        let maps = maps(&roots, true);
        let begins = |at: usize, text: &str| maps[at].to_string_lossy().starts_with(text);
        assert!(begins(0, "-fdebug-prefix-map=/w/x=/rekindle/workspace/"));
        assert!(begins(1, "-ffile-prefix-map=/w/x/target=/rekindle/target/"));
    }
}
