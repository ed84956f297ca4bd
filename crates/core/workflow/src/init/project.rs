//! What a project is, as far as its workflows depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;

const SYSTEM: &str = include_str!("../../data/system.toml");

/// The texts that a project is known from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// What `cargo metadata --no-deps --format-version 1` prints.
    pub metadata: &'a str,
    /// `Cargo.lock`, where it is kept in the repository.
    pub lock: Option<&'a str>,
    /// The names of the packages that a build compiles, where cargo told; else all of the lock file may be.
    pub used: Option<&'a [String]>,
    /// `.cargo/config.toml`.
    pub config: Option<&'a str>,
    /// Whether there is a `rust-toolchain.toml` or `rust-toolchain`.
    pub has_toolchain_file: bool,
    /// The root's `Cargo.toml`.
    pub manifest: Option<&'a str>,
    /// Whether there is what `cargo sqlx prepare` writes: a directory `.sqlx`.
    pub has_prepared_queries: bool,
    /// For each library its package's name and the text of its first source file.
    pub libraries: &'a [(String, String)],
    /// The branch that pull requests go to.
    pub branch: &'a str,
}

/// Why a project cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// cargo said something else.
    #[error("what `cargo metadata` printed cannot be read: {0}")]
    Metadata(#[from] serde_json::Error),
    /// A file is no TOML.
    #[error("`{file}` cannot be read: {error}")]
    Toml {
        /// Which.
        file: &'static str,
        /// Why, and where.
        error: Box<toml::de::Error>,
    },
    /// There is nothing to build.
    #[error("the workspace has no package")]
    Empty,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its packages, in cargo's order.
    pub packages: Vec<Package>,
    /// Packages of the system that its dependencies need, without doubles, in order.
    pub apt: Vec<String>,
    /// Packages of the system with the linkers that `.cargo/config.toml` asks for.
    pub linkers: Vec<String>,
    /// Whether `--locked` can be asked for.
    pub is_locked: bool,
    /// The oldest compiler that all packages promise to build with.
    pub msrv: Option<String>,
    /// Whether a file says which toolchain it takes.
    pub has_toolchain_file: bool,
    /// A target without a system that the project is built for by default.
    pub bare_target: Option<String>,
    /// The branch that pull requests go to.
    pub branch: String,
    /// Whether queries are checked by what was prepared, as there is no database.
    pub has_prepared_queries: bool,
    /// Whether the manifest says how much debug information it wants.
    pub says_debug: bool,
    /// Markdown files that libraries' documentation is made from: tests read them as well.
    pub documents: Vec<String>,
}

/// A package of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its programs.
    pub programs: Vec<String>,
    /// Whether it has a library.
    pub has_library: bool,
    /// Whether the library does without the standard library.
    pub is_no_std: bool,
    /// Whether it may be published.
    pub is_published: bool,
    /// Whether cargo builds it where no package is named.
    pub is_default: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_members: Vec<String>,
    #[serde(default)]
    workspace_default_members: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    id: String,
    name: String,
    version: String,
    rust_version: Option<String>,
    publish: Option<Vec<String>>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    build: BuildConfig,
}

#[derive(Default, Deserialize)]
struct BuildConfig {
    target: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The kinds of targets that are libraries; proc-macros are built for the host alone and are none here.
const LIBRARIES: &[&str] = &["lib", "rlib", "dylib", "cdylib", "staticlib"];
/// Packages whose programs only serve the project itself.
const OWN_TOOLS: &[&str] = &["xtask", "xtasks", "fuzz"];

impl Project {
    /// Understands a project.
    ///
    /// # Errors
    /// Where one of the texts is not what it should be, or there is no package.
    pub fn read(inputs: &Inputs<'_>) -> Result<Self, ProjectError> {
        let metadata: Metadata = serde_json::from_str(inputs.metadata)?;
        let lock: Lock = toml_of("Cargo.lock", inputs.lock)?;
        let config: Config = toml_of(".cargo/config.toml", inputs.config)?;
        let members: BTreeSet<&str> = metadata
            .workspace_members
            .iter()
            .map(String::as_str)
            .collect();
        let defaults = metadata.workspace_default_members.as_ref();
        let mut packages = Vec::new();
        let mut msrv: Option<&str> = None;
        for package in metadata
            .packages
            .iter()
            .filter(|package| members.contains(&*package.id))
        {
            if let Some(version) = &package.rust_version
                && msrv.is_none_or(|known| is_older(known, version))
            {
                msrv = Some(version);
            }
            let is_default = defaults.is_none_or(|defaults| defaults.contains(&package.id));
            packages.push(self::package(package, inputs.libraries, is_default));
        }
        if packages.is_empty() {
            return Err(ProjectError::Empty);
        }
        let manifest: toml::Table = toml_of("Cargo.toml", inputs.manifest)?;
        Ok(Self {
            apt: system_packages(&lock, inputs.used),
            linkers: inputs.config.map(linkers).unwrap_or_default(),
            has_prepared_queries: inputs.has_prepared_queries,
            says_debug: ["dev", "test"].iter().any(|profile| {
                let said = manifest.get("profile").and_then(|all| all.get(profile));
                said.is_some_and(|said| said.get("debug").is_some())
            }),
            is_locked: inputs.lock.is_some(),
            msrv: msrv.map(str::to_owned),
            has_toolchain_file: inputs.has_toolchain_file,
            bare_target: bare_target(config),
            branch: inputs.branch.to_owned(),
            documents: inputs
                .libraries
                .iter()
                .flat_map(|(_, text)| documents(text))
                .collect(),
            packages,
        })
    }

    /// Packages with programs that people get: of those that cargo builds by default, but for the project's own tools.
    #[must_use]
    pub fn released(&self) -> Vec<&Package> {
        let packages = self.packages.iter();
        packages
            .filter(|package| {
                !package.programs.is_empty() && package.is_default && !package.is_own_tool()
            })
            .collect()
    }

    /// Libraries that people get as sources.
    #[must_use]
    pub fn published(&self) -> Vec<&Package> {
        self.packages
            .iter()
            .filter(|package| package.is_published && !package.is_own_tool())
            .collect()
    }
}

impl Package {
    fn is_own_tool(&self) -> bool {
        OWN_TOOLS.contains(&&*self.name)
    }
}

fn package(package: &MetadataPackage, libraries: &[(String, String)], is_default: bool) -> Package {
    let of_kind = |kinds: &[&str]| -> Vec<String> {
        let targets = package
            .targets
            .iter()
            .filter(|target| target.kind.iter().any(|kind| kinds.contains(&&**kind)));
        targets.map(|target| target.name.clone()).collect()
    };
    let source = libraries.iter().find(|(name, _)| *name == package.name);
    Package {
        name: package.name.clone(),
        version: package.version.clone(),
        programs: of_kind(&["bin"]),
        has_library: !of_kind(LIBRARIES).is_empty(),
        is_no_std: source.is_some_and(|(_, text)| is_no_std(text)),
        is_published: package
            .publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty()),
        is_default,
    }
}

fn toml_of<T: Default + for<'de> Deserialize<'de>>(
    file: &'static str,
    text: Option<&str>,
) -> Result<T, ProjectError> {
    let Some(text) = text else {
        return Ok(T::default());
    };
    toml::from_str(text).map_err(|error| ProjectError::Toml {
        file,
        error: Box::new(error),
    })
}

/// `#![no_std]`, or under a condition, as a line of its own.
fn is_no_std(source: &str) -> bool {
    source.lines().map(str::trim).any(|line| {
        line.starts_with("#![no_std]")
            || (line.starts_with("#![cfg_attr(") && line.contains("no_std)"))
    })
}

/// The Markdown files of `include_str!("…")`.
fn documents(source: &str) -> Vec<String> {
    let included = source.split("include_str!(\"").skip(1);
    let paths = included.filter_map(|rest| rest.split('"').next());
    paths
        .filter(|path| path.ends_with(".md"))
        .map(str::to_owned)
        .collect()
}

fn is_older(known: &str, other: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        version
            .split('.')
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    numbers(known) < numbers(other)
}

/// The linkers that a configuration names and GitHub's images do not have, as packages.
fn linkers(config: &str) -> Vec<String> {
    let lines = config
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    ["mold", "lld"]
        .iter()
        .filter(|name| {
            text.contains(&format!("-fuse-ld={name}")) || text.contains(&format!("ld-path={name}"))
        })
        .map(|name| (*name).to_owned())
        .collect()
}

fn bare_target(config: Config) -> Option<String> {
    let targets = match config.build.target? {
        OneOrMore::One(target) => vec![target],
        OneOrMore::More(targets) => targets,
    };
    targets.into_iter().find(|target| target.contains("-none"))
}

fn system_packages(lock: &Lock, used: Option<&[String]>) -> Vec<String> {
    #[derive(Deserialize)]
    struct System {
        crates: BTreeMap<String, Vec<String>>,
    }
    static PARSED: OnceLock<BTreeMap<String, Vec<String>>> = OnceLock::new();
    let known = PARSED.get_or_init(|| {
        let system: System =
            toml::from_str(SYSTEM).unwrap_or_else(|error| panic!("data/system.toml: {error}"));
        system.crates
    });
    let needed = lock
        .package
        .iter()
        .filter(|package| used.is_none_or(|used| used.contains(&package.name)))
        .filter_map(|package| known.get(&package.name))
        .flatten();
    let needed: BTreeSet<&String> = needed.collect();
    needed.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_std_is_seen_as_rustc_sees_it() {
        for (source, expected) in [
            ("#![no_std]\nfn a() {}", true),
            (
                "//! docs\n#![cfg_attr(not(feature = \"std\"), no_std)]",
                true,
            ),
            ("// #![no_std]\n", false),
            ("let text = \"#![no_std]\";", false),
            ("#![cfg_attr(docsrs, feature(doc_cfg))]", false),
        ] {
            assert_eq!(is_no_std(source), expected, "{source}");
        }
    }

    #[test]
    fn documents_are_seen_where_they_are_included() {
        let source =
            "#![doc = include_str!(\"../README.md\")]\nconst A: &str = include_str!(\"a.txt\");\n";
        assert_eq!(documents(source), ["../README.md"]);
    }

    #[test]
    fn the_newest_promise_counts() {
        assert!(is_older("1.9", "1.80") && is_older("1.80", "1.80.1") && !is_older("1.80", "1.80"));
    }

    #[test]
    fn what_crates_need_is_found_by_the_lock_file() {
        let lock = "[[package]]\nname = \"openssl-sys\"\n[[package]]\nname = \"zstd-sys\"\n[[package]]\nname = \"alsa-sys\"\n";
        let lock: Lock = toml::from_str(lock).unwrap();
        assert_eq!(
            system_packages(&lock, Some(&["alsa-sys".to_owned()])),
            ["libasound2-dev", "pkg-config"]
        );
        assert_eq!(
            system_packages(&lock, None),
            ["libasound2-dev", "libssl-dev", "pkg-config"]
        );
    }

    #[test]
    fn linkers_are_seen_in_the_configuration() {
        let check =
            |config: &str, expected: &[&str]| assert_eq!(linkers(config), expected, "{config}");
        check(
            "rustflags = [\"-C\", \"link-arg=-fuse-ld=mold\"]",
            &["mold"],
        );
        check("rustflags = [\"-Clink-arg=-fuse-ld=lld\"]", &["lld"]);
        check("# -fuse-ld=mold\nlinker = \"clang\"", &[]);
    }

    #[test]
    fn what_is_no_text_of_its_kind_is_said() {
        let inputs = Inputs {
            metadata: "{",
            ..Inputs::default()
        };
        assert!(matches!(
            Project::read(&inputs),
            Err(ProjectError::Metadata(_))
        ));
        let empty = "{\"packages\": [], \"workspace_members\": []}";
        let inputs = Inputs {
            metadata: empty,
            ..Inputs::default()
        };
        assert!(matches!(Project::read(&inputs), Err(ProjectError::Empty)));
        let inputs = Inputs {
            metadata: empty,
            lock: Some("="),
            ..Inputs::default()
        };
        assert!(
            Project::read(&inputs)
                .unwrap_err()
                .to_string()
                .starts_with("`Cargo.lock` cannot be read")
        );
    }
}
