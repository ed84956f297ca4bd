//! What the GitHub action `Swatinem/rust-cache` does, with a local disk in the place of the service.
//!
//! A job's cache holds `CARGO_HOME`'s registry and git directories and the target directory, less
//! all that belongs to the workspace's own packages, incremental state and unpacked sources. It is
//! packed by tar and zstd as `@actions/cache` calls them, and only when the key (the packages in the
//! lock file) differs from that of the cache that was restored.
//!
//! Left out in its favour: its own runs of `cargo metadata`, the transfer, and the download of packages
//! that its cache lacks.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;

use super::record::Phase;
use crate::Failure;
use crate::bench::measure::{self, Taken};
use crate::bench::projects::{entries, host, make_dir, remove, write};
use crate::bench::tools::Tool;
use crate::process::{self, capture, cargo};

/// A job that uses the action.
pub(in crate::bench) struct RustCache<'a> {
    pub(in crate::bench) tool: &'a Tool,
    /// The `CARGO_HOME` that holds everything: packages are taken from it, not downloaded.
    pub(in crate::bench) registry: &'a Path,
}

/// What a build took, its parts in their order.
#[derive(Default)]
struct Clock {
    taken: Taken,
    phases: Vec<Phase>,
}

impl Clock {
    fn add(&mut self, name: &str, taken: Taken) {
        self.taken += taken;
        self.phases.push(Phase {
            name: name.to_owned(),
            wall_ms: taken.wall_ms,
        });
    }
}

impl RustCache<'_> {
    /// Restores, builds and saves. `job` names what the cache is for: jobs do not share.
    pub(in crate::bench) fn build(
        &self,
        checkout: &Path,
        job: &str,
        arguments: &[&str],
        log: &Path,
    ) -> Result<(Taken, Vec<Phase>), Failure> {
        let home = self.tool.empty_cargo_home()?;
        let cache = self.tool.store().join(job);
        make_dir(&cache)?;
        let packages = Packages::of(checkout, self.registry)?;
        let parts = [
            (
                "CARGO_HOME",
                cache.join("home.tzst"),
                home.as_path(),
                &["registry", "git"][..],
            ),
            (
                "target",
                cache.join("target.tzst"),
                checkout,
                &["target"][..],
            ),
        ];
        let mut clock = Clock::default();
        let tar_log = log.with_extension("tar.log");
        for (name, archive, dir, _) in &parts {
            if archive.exists() {
                let taken = measure::build(&mut unpack(archive, dir), checkout, &tar_log)?;
                clock.add(&format!("unpack {name}"), taken);
            }
        }
        packages.provide(self.registry, &home, &HashSet::new())?;
        let mut build = self.tool.build(checkout, &home, arguments);
        clock.add("build", measure::build(&mut build, checkout, log)?);

        let key_file = cache.join("key");
        if fs::read_to_string(&key_file).is_ok_and(|key| key == packages.key) {
            return Ok((clock.taken, clock.phases));
        }
        let began = Instant::now();
        packages.prune_target(&checkout.join("target"))?;
        packages.prune_home(&home)?;
        let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        clock.add(
            "prune",
            Taken {
                wall_ms,
                ..Taken::default()
            },
        );
        for (name, archive, dir, wanted) in &parts {
            remove(archive)?;
            let there: Vec<&str> = wanted
                .iter()
                .copied()
                .filter(|name| dir.join(name).exists())
                .collect();
            if there.is_empty() {
                continue;
            }
            let taken = measure::build(&mut pack(archive, dir, &there), checkout, &tar_log)?;
            clock.add(&format!("pack {name}"), taken);
        }
        write(&key_file, &packages.key)?;
        Ok((clock.taken, clock.phases))
    }
}

/// As `@actions/cache` calls tar.
fn unpack(archive: &Path, dir: &Path) -> Command {
    let mut tar = process::command("tar");
    tar.arg("-xf").arg(archive).arg("-P").arg("-C").arg(dir);
    tar.args(["--use-compress-program", "unzstd"]);
    tar
}

fn pack(archive: &Path, dir: &Path, names: &[&str]) -> Command {
    let mut tar = process::command("tar");
    tar.args(["--posix", "-cf"])
        .arg(archive)
        .arg("-P")
        .arg("-C")
        .arg(dir);
    tar.args(["--use-compress-program", "zstdmt"]).args(names);
    tar
}

/// What a workspace is built from.
pub(in crate::bench) struct Packages {
    /// Those for this host that are not the workspace's own.
    outside: Vec<Outside>,
    /// All in the lock file, other systems' too.
    locked: HashSet<Locked>,
    key: String,
}

/// A package's name and version.
pub(in crate::bench) type Locked = (String, String);

#[derive(Deserialize)]
struct Outside {
    name: String,
    version: String,
    source: Option<String>,
    targets: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Outside>,
}

impl Packages {
    pub(in crate::bench) fn of(checkout: &Path, cargo_home: &Path) -> Result<Self, Failure> {
        let mut metadata = cargo();
        metadata.current_dir(checkout).env("CARGO_HOME", cargo_home);
        metadata.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
        let said = capture(metadata.args(["--filter-platform", &host()?]))?;
        let Metadata { packages } = serde_json::from_str(&said)
            .map_err(|error| format!("cannot read what `cargo metadata` printed: {error}"))?;
        let file = checkout.join("Cargo.lock");
        let lock = fs::read_to_string(&file)
            .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        Ok(Self {
            outside: packages
                .into_iter()
                .filter(|one| one.source.is_some())
                .collect(),
            locked: locked(&lock),
            key: key(&lock),
        })
    }

    /// Brings what a build needs and is not in its home yet, as a download would, but for what is `known`: a cache has that.
    pub(in crate::bench) fn provide(
        &self,
        from: &Path,
        to: &Path,
        known: &HashSet<Locked>,
    ) -> Result<(), Failure> {
        let wanted = || self.locked.difference(known);
        for registry in entries(&from.join("registry/index"))? {
            let own = to
                .join("registry/index")
                .join(registry.file_name().unwrap_or_default());
            for file in entries(&registry)?.iter().filter(|path| path.is_file()) {
                copy_missing(file, &own.join(file.file_name().unwrap_or_default()))?;
            }
            for (name, _) in wanted() {
                let place = index_place(name);
                copy_missing(&registry.join(&place), &own.join(&place))?;
            }
        }
        for registry in entries(&from.join("registry/cache"))? {
            let own = to
                .join("registry/cache")
                .join(registry.file_name().unwrap_or_default());
            // Those of other systems were not downloaded: there is nothing to copy.
            for (name, version) in wanted() {
                let file = format!("{name}-{version}.crate");
                copy_missing(&registry.join(&file), &own.join(&file))?;
            }
        }
        Ok(())
    }

    pub(in crate::bench) fn into_locked(self) -> HashSet<Locked> {
        self.locked
    }

    /// Leaves the outputs of the packages outside the workspace.
    fn prune_target(&self, target: &Path) -> Result<(), Failure> {
        let packages: HashSet<String> = self.outside.iter().map(|one| one.name.clone()).collect();
        let files: HashSet<String> = self
            .outside
            .iter()
            .flat_map(|one| {
                one.targets
                    .iter()
                    .map(|target| &target.name)
                    .chain([&one.name])
            })
            .map(|name| name.replace('-', "_"))
            .flat_map(|name| [format!("lib{name}"), name])
            .collect();
        for path in entries(target)? {
            if !path.is_dir() {
                if path.file_name().is_some_and(|name| name != "CACHEDIR.TAG") {
                    remove(&path)?;
                }
                continue;
            }
            let kept = ["build", ".fingerprint", "deps"].map(str::to_owned).into();
            remove_others(&path, &kept)?;
            remove_others(&path.join("build"), &packages)?;
            remove_others(&path.join(".fingerprint"), &packages)?;
            remove_others(&path.join("deps"), &files)?;
        }
        Ok(())
    }

    /// Leaves index entries, packed packages, and the sources of those that bind to C libraries.
    fn prune_home(&self, home: &Path) -> Result<(), Failure> {
        let full = |one: &Outside| format!("{}-{}", one.name, one.version);
        let sources: HashSet<String> = self
            .outside
            .iter()
            .filter(|one| one.name.ends_with("-sys"))
            .map(full)
            .collect();
        for package in entries_of_each(&home.join("registry/src"))? {
            remove_unless(&package, &sources)?;
        }
        let packed: HashSet<String> = self
            .outside
            .iter()
            .map(|one| full(one) + ".crate")
            .collect();
        for package in entries_of_each(&home.join("registry/cache"))? {
            remove_unless(&package, &packed)?;
        }
        Ok(())
    }
}

/// The packages in a lock file.
fn locked(lock: &str) -> HashSet<Locked> {
    let value = |package: &str, name: &str| {
        let mut lines = package.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_suffix('"'));
        found.map(str::to_owned)
    };
    lock.split("[[package]]\n")
        .filter_map(|package| {
            Some((
                value(package, "name = \"")?,
                value(package, "version = \"")?,
            ))
        })
        .collect()
}

/// The lock file without the workspace's own packages, whose versions change with each release.
fn key(lock: &str) -> String {
    lock.split("[[package]]\n")
        .filter(|package| package.contains("\nsource = "))
        .collect()
}

/// Where cargo keeps a package of a registry's index.
fn index_place(name: &str) -> PathBuf {
    let name = name.to_lowercase();
    let directory = match name.len() {
        0..=2 => name.len().to_string(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    };
    Path::new(".cache").join(directory).join(name)
}

/// Removes each entry whose name, up to its hash, is not to be kept.
fn remove_others(dir: &Path, kept: &HashSet<String>) -> Result<(), Failure> {
    for path in entries(dir)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let stem = name
            .rsplit_once('-')
            .map_or(name.as_str(), |(stem, _)| stem);
        if !kept.contains(stem) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove_unless(path: &Path, kept: &HashSet<String>) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if kept.contains(name.as_ref()) {
        return Ok(());
    }
    remove(path)
}

fn entries_of_each(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for inner in entries(dir)? {
        all.extend(entries(&inner)?);
    }
    Ok(all)
}

fn copy_missing(from: &Path, to: &Path) -> Result<(), Failure> {
    if to.exists() || !from.exists() {
        return Ok(());
    }
    make_dir(to.parent().unwrap_or(to))?;
    fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| format!("cannot copy `{}`: {error}", from.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> Packages {
        let outside = |name: &str, version: &str| Outside {
            name: name.to_owned(),
            version: version.to_owned(),
            source: Some("registry".to_owned()),
            targets: vec![Named {
                name: name.to_owned(),
            }],
        };
        Packages {
            outside: vec![outside("one-two", "1.0.0"), outside("z-sys", "2.0.0")],
            locked: HashSet::new(),
            key: String::new(),
        }
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn dependencies_stay_and_the_workspaces_own_goes() {
        let dir = tempfile::tempdir().unwrap();
        let kept = [
            "CACHEDIR.TAG",
            "debug/deps/libone_two-12.rlib",
            "debug/deps/one_two-12.d",
            "debug/build/one-two-12/out/x",
            "debug/.fingerprint/one-two-12/lib-one_two",
        ];
        let gone = [
            ".rustc_info.json",
            "debug/app",
            "debug/.cargo-lock",
            "debug/deps/app-34",
            "debug/.fingerprint/app-34/bin-app",
            "debug/incremental/app-1/x",
        ];
        for name in kept.iter().chain(&gone) {
            touch(&dir.path().join(name));
        }
        packages().prune_target(dir.path()).unwrap();
        for name in kept {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        for name in gone {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn sources_are_unpacked_anew_but_for_those_that_bind_to_c() {
        let dir = tempfile::tempdir().unwrap();
        let kept = [
            "registry/src/r/z-sys-2.0.0/a",
            "registry/cache/r/one-two-1.0.0.crate",
        ];
        let gone = [
            "registry/src/r/one-two-1.0.0/a",
            "registry/cache/r/one-two-0.9.0.crate",
        ];
        for name in kept.iter().chain(&gone) {
            touch(&dir.path().join(name));
        }
        packages().prune_home(dir.path()).unwrap();
        assert!(kept.iter().all(|name| dir.path().join(name).exists()));
        assert!(!gone.iter().any(|name| dir.path().join(name).exists()));
    }

    #[test]
    fn the_key_ignores_the_workspaces_own_version() {
        let lock = |own: &str, other: &str| {
            format!(
                "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"{own}\"\n\n\
                 [[package]]\nname = \"b\"\nversion = \"{other}\"\nsource = \"r\"\n"
            )
        };
        assert_eq!(key(&lock("1", "1")), key(&lock("2", "1")));
        assert_ne!(key(&lock("1", "1")), key(&lock("1", "2")));
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let expected = [pair("app", "1"), pair("b", "2")].into();
        assert_eq!(locked(&lock("1", "2")), expected);
    }

    #[test]
    fn what_a_cache_has_is_not_provided() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for name in ["known-1.0.0", "known-2.0.0", "new-1.0.0", "other-1.0.0"] {
            touch(&from.join(format!("registry/cache/r/{name}.crate")));
        }
        touch(&from.join("registry/index/r/config.json"));
        for name in ["known", "new", "other"] {
            touch(&from.join("registry/index/r").join(index_place(name)));
        }
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let wanted = Packages {
            locked: [pair("known", "1.0.0"), pair("new", "1.0.0")].into(),
            ..packages()
        };
        let known = [pair("known", "1.0.0")].into();
        wanted.provide(&from, &to, &known).unwrap();
        let there = |name: &str| to.join("registry").join(name).exists();
        assert!(there("cache/r/new-1.0.0.crate") && there("index/r/.cache/3/n/new"));
        assert!(!there("cache/r/known-1.0.0.crate") && !there("index/r/.cache/kn/ow/known"));
        assert!(!there("cache/r/other-1.0.0.crate"));
        assert!(there("index/r/config.json"));
    }

    #[test]
    fn the_index_has_places_by_length() {
        let place = |name| index_place(name).to_string_lossy().into_owned();
        assert_eq!(place("cc"), ".cache/2/cc");
        assert_eq!(place("syn"), ".cache/3/s/syn");
        assert_eq!(place("Inflector"), ".cache/in/fl/inflector");
    }
}
