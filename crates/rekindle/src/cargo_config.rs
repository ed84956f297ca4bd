//! The few things that matter in cargo's configuration: its compiler wrapper, target directories
//! and aliases.
//!
//! Reads what cargo reads, in its order: `--config` arguments, environment variables, then
//! `.cargo/config.toml` from the working directory up, then the one in cargo's home. A file that
//! cannot be read or parsed says nothing here: cargo itself reports it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::{Surroundings, WRAPPER};

/// Programs that keep compilers' outputs: one of them behind Rekindle stores everything twice.
const COMPILE_CACHES: &[&str] = &[
    "sccache",
    "ccache",
    "cachepot",
    "kache",
    "mbx",
    "fleche",
    "buildcache",
];

/// The file name of a program that is known to be a compile cache.
#[must_use]
pub fn known_cache(program: &Path) -> Option<String> {
    let name = program.file_name()?.to_str()?;
    COMPILE_CACHES.contains(&name).then(|| name.to_owned())
}

/// A compiler wrapper that the user has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserWrapper {
    /// The program: a path, or a name to be looked up.
    pub program: PathBuf,
    /// Where it is set, for people.
    pub set_in: String,
}

/// One source of configuration values.
#[derive(Debug)]
struct Layer {
    /// For people.
    name: String,
    /// The file, where it is one.
    file: Option<PathBuf>,
    /// Programs with a slash in their names are relative to this.
    base: PathBuf,
    values: toml::Table,
}

/// cargo's configuration, the first source first.
#[derive(Debug)]
pub struct CargoConfig<'a> {
    surroundings: &'a Surroundings,
    /// Where cargo runs: variables are relative to it.
    cwd: PathBuf,
    arguments: Vec<Layer>,
    files: Vec<Layer>,
}

/// A variable that cargo sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVariable {
    /// Its value.
    pub value: OsString,
    /// Whether it takes the place of one that is set already.
    pub force: bool,
}

/// Files include others to this depth.
const INCLUDE_MAX: usize = 8;

impl<'a> CargoConfig<'a> {
    /// Reads it for a cargo that is started in `cwd` with these values of `--config`.
    #[must_use]
    pub fn read(surroundings: &'a Surroundings, cwd: &Path, arguments: &[String]) -> Self {
        let mut layers = Vec::new();
        // Of several, cargo lets the last decide.
        for argument in arguments.iter().rev() {
            if let Ok(values) = argument.parse::<toml::Table>() {
                layers.push(Layer {
                    name: "--config".to_owned(),
                    file: None,
                    base: cwd.to_owned(),
                    values,
                });
            } else {
                read_file(&cwd.join(argument), cwd, 0, &mut layers);
            }
        }
        let mut files = Vec::new();
        let home = surroundings.cargo_home();
        let mut dirs: Vec<PathBuf> = cwd.ancestors().map(|dir| dir.join(".cargo")).collect();
        dirs.extend(home.filter(|home| !dirs.contains(home)));
        for dir in dirs {
            let base = dir.parent().unwrap_or(&dir).to_owned();
            // Where both are there, cargo reads the one with the old name.
            for name in ["config", "config.toml"] {
                if read_file(&dir.join(name), &base, 0, &mut files) {
                    break;
                }
            }
        }
        Self {
            surroundings,
            cwd: cwd.to_owned(),
            arguments: layers,
            files,
        }
    }

    /// The compiler wrapper that cargo would call without us, if there is one and it is not ours.
    #[must_use]
    pub fn rustc_wrapper(&self) -> Option<UserWrapper> {
        let user = self.any_wrapper()?;
        let ours = user.program.file_name() == Some(OsStr::new(WRAPPER));
        (!ours && !user.program.as_os_str().is_empty()).then_some(user)
    }

    fn any_wrapper(&self) -> Option<UserWrapper> {
        if let Some(program) = self.surroundings.var("RUSTC_WRAPPER") {
            return Some(UserWrapper {
                program: program.into(),
                set_in: "the environment variable RUSTC_WRAPPER".to_owned(),
            });
        }
        let (program, set_in) = self.program("rustc-wrapper")?;
        Some(UserWrapper { program, set_in })
    }

    /// The documentation generator that the user has set.
    #[must_use]
    pub fn rustdoc(&self) -> Option<PathBuf> {
        let variable = self.surroundings.non_empty("RUSTDOC").map(PathBuf::from);
        variable.or_else(|| Some(self.program("rustdoc")?.0))
    }

    /// A program of the `[build]` table, and where it is set: a name, or a path relative to the file.
    fn program(&self, key: &str) -> Option<(PathBuf, String)> {
        let (program, base, set_in) = self.text("build", key)?;
        let program = if program.contains('/') {
            base.join(program)
        } else {
            PathBuf::from(program)
        };
        Some((program, set_in))
    }

    /// A path of the `[build]` table.
    #[must_use]
    pub fn build_path(&self, key: &str) -> Option<PathBuf> {
        let (path, base, _) = self.text("build", key)?;
        (!path.is_empty()).then(|| base.join(path))
    }

    /// A value of the `[build]` table as it is written, and the directory that it is relative to.
    #[must_use]
    pub fn build_template(&self, key: &str) -> Option<(String, PathBuf)> {
        let (text, base, _) = self.text("build", key)?;
        (!text.is_empty()).then_some((text, base))
    }

    /// The compiler that is not found as `rustc`: a path, or a name to be looked up.
    #[must_use]
    pub fn rustc(&self) -> Option<PathBuf> {
        if let Some(program) = self.surroundings.non_empty("RUSTC") {
            return Some(program.into());
        }
        let (program, base, _) = self.text("build", "rustc")?;
        Some(if program.contains('/') {
            base.join(program)
        } else {
            program.into()
        })
    }

    /// What `--config` says; this goes before variables.
    pub fn argument_values(&self) -> impl Iterator<Item = &toml::Table> {
        self.arguments.iter().map(|layer| &layer.values)
    }

    /// What files say, the first source first; this goes behind variables.
    pub fn file_values(&self) -> impl Iterator<Item = &toml::Table> {
        self.files.iter().map(|layer| &layer.values)
    }

    /// All files that were read, the first source first, with what they say.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &toml::Table)> {
        let files = self.arguments.iter().chain(&self.files);
        files.filter_map(|layer| Some((layer.file.as_deref()?, &layer.values)))
    }

    /// The `[env]` table: what cargo sets for the processes that it starts.
    #[must_use]
    pub fn env(&self) -> BTreeMap<OsString, SetVariable> {
        let mut set = BTreeMap::new();
        for layer in self.arguments.iter().chain(&self.files) {
            let table = layer.values.get("env").and_then(toml::Value::as_table);
            for (name, value) in table.into_iter().flatten() {
                let is = |key| value.get(key).and_then(toml::Value::as_bool) == Some(true);
                let text = value.as_str().or_else(|| value.get("value")?.as_str());
                let Some(text) = text else { continue };
                let value = if is("relative") {
                    layer.base.join(text).into()
                } else {
                    text.into()
                };
                let force = is("force");
                // Of several, the first decides.
                set.entry(name.into())
                    .or_insert(SetVariable { value, force });
            }
        }
        set
    }

    /// Whether the user has given a subcommand's name a meaning of their own.
    #[must_use]
    pub fn has_alias(&self, name: &str) -> bool {
        let variable = format!("CARGO_ALIAS_{}", name.to_uppercase().replace('-', "_"));
        let mut layers = self.arguments.iter().chain(&self.files);
        self.surroundings.var(&variable).is_some()
            || layers.any(|layer| {
                layer
                    .values
                    .get("alias")
                    .and_then(|t| t.get(name))
                    .is_some()
            })
    }

    /// A text value with the directory that it is relative to and where it is set.
    fn text(&self, table: &str, key: &str) -> Option<(String, PathBuf, String)> {
        if let Some(found) = find(&self.arguments, table, key) {
            return Some(found);
        }
        let variable = format!("CARGO_{table}_{key}")
            .to_uppercase()
            .replace('-', "_");
        if let Some(value) = self.surroundings.var(&variable) {
            return Some((
                value.to_str()?.to_owned(),
                self.cwd.clone(),
                format!("the environment variable {variable}"),
            ));
        }
        find(&self.files, table, key)
    }
}

fn find(layers: &[Layer], table: &str, key: &str) -> Option<(String, PathBuf, String)> {
    layers.iter().find_map(|layer| {
        let value = layer.values.get(table)?.get(key)?.as_str()?;
        let set_in = format!("`{table}.{key}` in {}", layer.name);
        Some((value.to_owned(), layer.base.clone(), set_in))
    })
}

/// Adds a file, then those that it includes: what it says itself goes before them. Whether it is
/// there.
fn read_file(file: &Path, base: &Path, depth: usize, layers: &mut Vec<Layer>) -> bool {
    let Ok(text) = rekindle_fsx::read_to_string(file) else {
        return false;
    };
    let Ok(values) = text.parse::<toml::Table>() else {
        return true;
    };
    let dir = file.parent().unwrap_or(Path::new("/"));
    let included = includes(&values);
    layers.push(Layer {
        name: format!("`{}`", file.display()),
        file: Some(file.to_owned()),
        base: base.to_owned(),
        values,
    });
    if depth < INCLUDE_MAX {
        for path in included.iter().rev() {
            let path = dir.join(path);
            // Relative programs in an included file are relative as in any other: to the
            // directory above its own.
            let base = path
                .parent()
                .and_then(Path::parent)
                .unwrap_or(base)
                .to_owned();
            read_file(&path, &base, depth + 1, layers);
        }
    }
    true
}

fn includes(values: &toml::Table) -> Vec<String> {
    let one = |value: &toml::Value| {
        let path = value.as_str().or_else(|| value.get("path")?.as_str())?;
        Some(path.to_owned())
    };
    match values.get("include") {
        Some(toml::Value::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        surroundings: Surroundings,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let surroundings = Surroundings {
                cwd: dir.path().join("ws/member"),
                home: Some(dir.path().join("home")),
                ..Surroundings::default()
            };
            Self { dir, surroundings }
        }

        fn put(&self, name: &str, text: &str) {
            let file = self.dir.path().join(name);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&file, text.as_bytes()).unwrap();
        }

        fn var(&mut self, name: &str, value: &str) {
            self.surroundings.vars.insert(name.into(), value.into());
        }

        fn wrapper(&self, arguments: &[&str]) -> Option<PathBuf> {
            let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
            let config = CargoConfig::read(&self.surroundings, &self.surroundings.cwd, &arguments);
            config.rustc_wrapper().map(|wrapper| wrapper.program)
        }
    }

    #[test]
    fn the_closest_source_decides() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.wrapper(&[]), None);
        fixture.put("home/.cargo/config.toml", "build.rustc-wrapper = 'sccache'");
        assert_eq!(fixture.wrapper(&[]), Some("sccache".into()));
        fixture.put(
            "ws/.cargo/config.toml",
            "[build]\nrustc-wrapper = 'tools/wrap'",
        );
        let tool = fixture.dir.path().join("ws/tools/wrap");
        assert_eq!(fixture.wrapper(&[]), Some(tool));
        fixture.var("CARGO_BUILD_RUSTC_WRAPPER", "fromvar");
        assert_eq!(fixture.wrapper(&[]), Some("fromvar".into()));
        assert_eq!(
            fixture.wrapper(&["build.rustc-wrapper='arg'"]),
            Some("arg".into())
        );
        fixture.var("RUSTC_WRAPPER", "first");
        assert_eq!(
            fixture.wrapper(&["build.rustc-wrapper='arg'"]),
            Some("first".into())
        );
        fixture.var("RUSTC_WRAPPER", "");
        assert_eq!(fixture.wrapper(&[]), None);
        fixture.var("RUSTC_WRAPPER", "/x/rekindle-rustc");
        assert_eq!(fixture.wrapper(&[]), None);
    }

    #[test]
    fn the_variable_of_rustdoc_comes_before_all_configuration() {
        let mut fixture = Fixture::new();
        fixture.put(
            "ws/.cargo/config.toml",
            "[build]\nrustdoc = 'tools/rustdoc'\n",
        );
        let rustdoc = |fixture: &Fixture, arguments: &[String]| {
            let cwd = &fixture.surroundings.cwd;
            CargoConfig::read(&fixture.surroundings, cwd, arguments).rustdoc()
        };
        let tool = fixture.dir.path().join("ws/tools/rustdoc");
        assert_eq!(rustdoc(&fixture, &[]), Some(tool));
        let argument = ["build.rustdoc = 'mydoc'".to_owned()];
        assert_eq!(rustdoc(&fixture, &argument), Some("mydoc".into()));
        fixture.var("RUSTDOC", "/x/rustdoc");
        assert_eq!(rustdoc(&fixture, &argument), Some("/x/rustdoc".into()));
    }

    #[test]
    fn includes_come_after_the_file_itself() {
        let fixture = Fixture::new();
        fixture.put(
            "ws/.cargo/config.toml",
            "include = ['more.toml']\n[alias]\nb = 'x'",
        );
        fixture.put("ws/.cargo/more.toml", "build.rustc-wrapper = 'included'");
        assert_eq!(fixture.wrapper(&[]), Some("included".into()));
        let config = CargoConfig::read(&fixture.surroundings, &fixture.surroundings.cwd, &[]);
        assert!(config.has_alias("b") && !config.has_alias("c"));
    }

    #[test]
    fn an_include_of_itself_ends() {
        let fixture = Fixture::new();
        fixture.put("ws/.cargo/config.toml", "include = 'config.toml'");
        assert_eq!(fixture.wrapper(&[]), None);
    }

    #[test]
    fn caches_are_known_by_name() {
        assert_eq!(
            known_cache(Path::new("/usr/bin/sccache")),
            Some("sccache".into())
        );
        assert_eq!(known_cache(Path::new("my-wrapper")), None);
    }
}
