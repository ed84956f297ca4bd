//! Where cargo builds, found without starting it: the workspace's root, the directories for outputs.
//!
//! As cargo does it (its `core/workspace.rs` and `GlobalContext::{target_dir, build_dir}`). Where that
//! cannot be told, there is no [`Layout`], and a reason.

use std::path::{Component, Path, PathBuf};

use crate::Surroundings;
use crate::cargo_config::CargoConfig;

/// Where cargo builds. Absolute; the last two may hold `..`, which a link before it gives a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The directory of the workspace's manifest, and of `Cargo.lock`.
    pub workspace_root: PathBuf,
    /// Where a person finds what was built.
    pub target_dir: PathBuf,
    /// Where units are: the same, unless `build.build-dir` is set.
    pub build_dir: PathBuf,
}

/// What a command line says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `--manifest-path`.
    pub manifest_path: Option<&'a Path>,
    /// `--target-dir`.
    pub target_dir: Option<&'a Path>,
}

/// Why it cannot be told where cargo builds.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoLayout {
    /// cargo will say the same.
    #[error("there is no Cargo.toml in `{}` or above", .0.display())]
    NoManifest(PathBuf),
    /// A single-file package: its target directory has a name of cargo's making.
    #[error("`{}` is not a Cargo.toml", .0.display())]
    Script(PathBuf),
    /// cargo will say more.
    #[error("`{}` cannot be read", .0.display())]
    Unreadable(PathBuf),
    /// A name in `build.build-dir` that stands for something that only cargo can make.
    #[error("`build.build-dir` uses `{0}`, whose value only cargo knows")]
    Template(String),
    /// There is no home directory.
    #[error("`build.build-dir` uses `{{cargo-cache-home}}`, and there is no home directory")]
    NoHome,
}

/// Finds out where a cargo that runs in `cwd` builds.
///
/// # Errors
/// [`NoLayout`].
pub fn find(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    cwd: &Path,
    asked: Asked<'_>,
) -> Result<Layout, NoLayout> {
    let manifest = manifest(cwd, asked.manifest_path)?;
    let root = root_manifest(surroundings, &manifest)?;
    let workspace_root = root.parent().unwrap_or(Path::new("/")).to_owned();
    let target_dir = asked
        .target_dir
        .map(|dir| cwd.join(dir))
        .or_else(|| Some(cwd.join(surroundings.non_empty("CARGO_TARGET_DIR")?)))
        .or_else(|| config.build_path("target-dir"))
        .unwrap_or_else(|| workspace_root.join("target"));
    let build_dir = match config.build_template("build-dir") {
        Some((template, base)) => base.join(filled(surroundings, template, &workspace_root)?),
        None => target_dir.clone(),
    };
    Ok(Layout {
        workspace_root,
        target_dir,
        build_dir,
    })
}

/// The manifest that cargo begins with.
fn manifest(cwd: &Path, given: Option<&Path>) -> Result<PathBuf, NoLayout> {
    if let Some(given) = given {
        let path = normalised(&cwd.join(given));
        return if path.ends_with(MANIFEST) {
            Ok(path)
        } else {
            Err(NoLayout::Script(path))
        };
    }
    cwd.ancestors()
        .map(|dir| dir.join(MANIFEST))
        .find(|path| rekindle_fsx::exists(path))
        .ok_or_else(|| NoLayout::NoManifest(cwd.to_owned()))
}

const MANIFEST: &str = "Cargo.toml";

/// The manifest of the workspace that `manifest` is in: its own, or the first above it that says so.
fn root_manifest(surroundings: &Surroundings, manifest: &Path) -> Result<PathBuf, NoLayout> {
    if let Some(root) = root_by(manifest, manifest)? {
        return Ok(root);
    }
    let home = surroundings.cargo_home();
    let dir = manifest.parent().unwrap_or(Path::new("/"));
    // Packages below cargo's home are no members of a workspace above it, nor is what
    // `cargo package` unpacks a member of what it was packed from.
    let mut below = dir;
    for above in dir.ancestors().skip(1) {
        if above.ends_with("target/package") || home.as_deref() == Some(below) {
            break;
        }
        below = above;
        let candidate = above.join(MANIFEST);
        if rekindle_fsx::exists(&candidate)
            && let Some(root) = root_by(&candidate, manifest)?
        {
            return Ok(root);
        }
    }
    Ok(manifest.to_owned())
}

/// What a manifest says of the root of the workspace that `member` is in.
fn root_by(manifest: &Path, member: &Path) -> Result<Option<PathBuf>, NoLayout> {
    let unreadable = || NoLayout::Unreadable(manifest.to_owned());
    let text = rekindle_fsx::read_to_string(manifest).map_err(|_| unreadable())?;
    let values: toml::Table = text.parse().map_err(|_| unreadable())?;
    let dir = manifest.parent().unwrap_or(Path::new("/"));
    if let Some(workspace) = values.get("workspace") {
        let lists = |key: &str| {
            let list = workspace.get(key).and_then(toml::Value::as_array);
            let mut paths = list.into_iter().flatten().filter_map(toml::Value::as_str);
            paths.any(|path| member.starts_with(normalised(&dir.join(path))))
        };
        let excluded = lists("exclude") && !lists("members");
        return Ok((!excluded).then(|| manifest.to_owned()));
    }
    let named = ["package", "project"].iter().find_map(|table| {
        let root = values.get(*table)?.get("workspace")?.as_str()?;
        Some(normalised(&dir.join(root).join(MANIFEST)))
    });
    Ok(named)
}

/// Fills in what a template of `build.build-dir` names.
fn filled(
    surroundings: &Surroundings,
    template: String,
    workspace_root: &Path,
) -> Result<String, NoLayout> {
    let mut filled = template;
    let root = "{workspace-root}";
    if filled.contains(root) {
        let path = workspace_root.to_str();
        let path = path.ok_or_else(|| NoLayout::Template(root.to_owned()))?;
        filled = filled.replace(root, path);
    }
    let cache = "{cargo-cache-home}";
    if filled.contains(cache) {
        let home = surroundings.cargo_home().ok_or(NoLayout::NoHome)?;
        let path = home.to_str().ok_or(NoLayout::NoHome)?;
        filled = filled.replace(cache, path);
    }
    match filled.split_once('{') {
        Some((_, rest)) => {
            let name = rest.split_once('}').map_or(rest, |(name, _)| name);
            Err(NoLayout::Template(format!("{{{name}}}")))
        }
        None => Ok(filled),
    }
}

/// The path without `.` and `..`, as cargo makes it: by its text alone.
fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        surroundings: Surroundings,
    }

    impl Fixture {
        fn new(files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let surroundings = Surroundings {
                cwd: dir.path().to_owned(),
                home: Some(dir.path().join("home")),
                ..Surroundings::default()
            };
            let fixture = Self { dir, surroundings };
            for (name, text) in files {
                let file = fixture.path(name);
                rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
                rekindle_fsx::append(&file, text.as_bytes()).unwrap();
            }
            fixture
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn find(&self, cwd: &str, asked: Asked<'_>) -> Result<Layout, NoLayout> {
            let cwd = self.path(cwd);
            let config = CargoConfig::read(&self.surroundings, &cwd, &[]);
            find(&self.surroundings, &config, &cwd, asked)
        }

        fn check_root(&self, cwd: &str, root: &str) {
            let found = self.find(cwd, Asked::default()).unwrap();
            assert_eq!(found.workspace_root, self.path(root), "{cwd}");
            // And cargo says so.
            let output = std::process::Command::new("cargo")
                .args(["locate-project", "--workspace", "--message-format=plain"])
                .current_dir(self.path(cwd))
                .env("CARGO_HOME", self.path("home/.cargo"))
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let real = rekindle_fsx::canonicalize(&self.path(root)).unwrap();
            assert_eq!(Path::new(said.trim()), real.join(MANIFEST), "{cwd}");
        }
    }

    const PACKAGE: &str = "[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

    fn package(more: &str) -> String {
        format!("{PACKAGE}{more}\n")
    }

    #[test]
    fn the_root_is_the_one_that_cargo_finds() {
        let root = "[workspace]\nresolver = '2'\nmembers = ['a', 'x/in', 'c/*', '../outside']\nexclude = ['x']\n";
        let outside = package("workspace = '../ws'");
        let fixture = Fixture::new(&[
            ("ws/Cargo.toml", root),
            ("ws/a/Cargo.toml", PACKAGE),
            ("ws/a/src/lib.rs", ""),
            ("ws/c/d/Cargo.toml", PACKAGE),
            ("ws/c/d/src/lib.rs", ""),
            ("ws/x/out/Cargo.toml", PACKAGE),
            ("ws/x/out/src/lib.rs", ""),
            ("ws/x/in/Cargo.toml", PACKAGE),
            ("ws/x/in/src/lib.rs", ""),
            ("ws/own/Cargo.toml", &package("[workspace]")),
            ("ws/own/src/lib.rs", ""),
            ("outside/Cargo.toml", &outside),
            ("outside/src/lib.rs", ""),
            ("alone/Cargo.toml", PACKAGE),
            ("alone/src/lib.rs", ""),
        ]);
        for (cwd, root) in [
            ("ws", "ws"),
            ("ws/a", "ws"),
            ("ws/a/src", "ws"),
            ("ws/c/d", "ws"),
            ("ws/x/out", "ws/x/out"),
            ("ws/x/in", "ws"),
            ("ws/own", "ws/own"),
            ("outside", "ws"),
            ("alone/src", "alone"),
        ] {
            fixture.check_root(cwd, root);
        }
    }

    #[test]
    fn what_was_packed_or_downloaded_is_in_no_workspace() {
        let fixture = Fixture::new(&[
            ("Cargo.toml", "[workspace]\n"),
            ("target/package/p/Cargo.toml", PACKAGE),
            ("home/.cargo/src/p/Cargo.toml", PACKAGE),
            ("home/.cargo/src/p/src/lib.rs", ""),
            ("target/package/p/src/lib.rs", ""),
        ]);
        fixture.check_root("target/package/p", "target/package/p");
        fixture.check_root("home/.cargo/src/p", "home/.cargo/src/p");
    }

    #[test]
    fn directories_are_found_in_cargos_order() {
        let mut fixture = Fixture::new(&[
            ("ws/Cargo.toml", "[workspace]\nmembers = ['a']"),
            ("ws/a/Cargo.toml", PACKAGE),
        ]);
        let check = |fixture: &Fixture, asked, target: &str, build: &str| {
            let found = fixture.find("ws/a", asked).unwrap();
            assert_eq!(found.target_dir, fixture.path(target));
            assert_eq!(found.build_dir, fixture.path(build));
        };
        let none = Asked::default();
        check(&fixture, none, "ws/target", "ws/target");
        let put = |text: &str| {
            let file = fixture.path("ws/.cargo/config.toml");
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&file, text.as_bytes()).unwrap();
        };
        put("build.target-dir = 'out'");
        check(&fixture, none, "ws/out", "ws/out");
        put("build.build-dir = 'units'");
        check(&fixture, none, "ws/target", "ws/units");
        put("build.build-dir = '{workspace-root}/../units'");
        check(&fixture, none, "ws/target", "ws/../units");
        put("build.build-dir = '{cargo-cache-home}/units'");
        check(&fixture, none, "ws/target", "home/.cargo/units");
        put("build = { target-dir = 'out', build-dir = 'units' }");
        fixture
            .surroundings
            .vars
            .insert("CARGO_BUILD_TARGET_DIR".into(), "var".into());
        check(&fixture, none, "ws/a/var", "ws/units");
        fixture
            .surroundings
            .vars
            .insert("CARGO_TARGET_DIR".into(), "first".into());
        check(&fixture, none, "ws/a/first", "ws/units");
        let asked = Asked {
            target_dir: Some(Path::new("../asked")),
            ..none
        };
        check(&fixture, asked, "ws/a/../asked", "ws/units");
        fixture
            .surroundings
            .vars
            .insert("CARGO_BUILD_BUILD_DIR".into(), "b".into());
        check(&fixture, asked, "ws/a/../asked", "ws/a/b");
    }

    #[test]
    fn a_manifest_may_be_named() {
        let fixture = Fixture::new(&[("p/Cargo.toml", PACKAGE), ("x.rs", "")]);
        let find = |path: &str| {
            let asked = Asked {
                manifest_path: Some(Path::new(path)),
                ..Asked::default()
            };
            fixture.find(".", asked)
        };
        let root = find("q/../p/Cargo.toml").unwrap().workspace_root;
        assert_eq!(root, fixture.path("p"));
        assert!(matches!(find("x.rs"), Err(NoLayout::Script(_))));
        assert!(matches!(find("q/Cargo.toml"), Err(NoLayout::Unreadable(_))));
    }

    #[test]
    fn what_cannot_be_told_has_a_reason() {
        let config = "build.build-dir = '/cache/{workspace-path-hash}'";
        let fixture = Fixture::new(&[
            ("p/Cargo.toml", PACKAGE),
            ("p/.cargo/config.toml", config),
            ("bad/Cargo.toml", "["),
            ("none/x", ""),
        ]);
        let reason = |cwd: &str| fixture.find(cwd, Asked::default()).unwrap_err();
        assert_eq!(
            reason("p").to_string(),
            "`build.build-dir` uses `{workspace-path-hash}`, whose value only cargo knows"
        );
        assert!(matches!(reason("bad"), NoLayout::Unreadable(_)));
        assert!(matches!(reason("none"), NoLayout::NoManifest(_)));
    }
}
