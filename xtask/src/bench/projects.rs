//! The projects that are built: published programs, by name and version, with the `Cargo.lock` that
//! their authors published.
//!
//! `cargo info` brings a package's source into `CARGO_HOME` and `cargo fetch` all that it is built
//! from, so that nothing is downloaded or unpacked while a clock runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::process::{self, capture, cargo};

/// A program that is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Project {
    /// The name of its package.
    pub(super) name: &'static str,
    /// The program that it builds.
    pub(super) program: &'static str,
    /// What makes that program succeed at once.
    pub(super) try_out: &'static [&'static str],
    pub(super) version: &'static str,
    /// The version published after that one: its own code differs, most dependencies do not.
    pub(super) next_version: &'static str,
    /// What it stands for.
    pub(super) kind: &'static str,
    /// Whether a build script among its dependencies compiles C.
    pub(super) builds_c: bool,
    /// Left out unless it is asked for by name.
    pub(super) only_by_name: bool,
}

const PROJECTS: &[Project] = &[
    Project {
        name: "du-dust",
        program: "dust",
        try_out: &["--version"],
        version: "1.2.2",
        next_version: "1.2.3",
        kind: "small, no C",
        builds_c: false,
        only_by_name: false,
    },
    Project {
        name: "git-delta",
        program: "delta",
        try_out: &["--version"],
        version: "0.19.2",
        next_version: "0.20.0",
        kind: "about 150 packages, C build scripts (libgit2, zlib, oniguruma)",
        builds_c: true,
        only_by_name: false,
    },
    Project {
        name: "zizmor",
        program: "zizmor",
        try_out: &["--version"],
        version: "1.11.0",
        next_version: "1.12.0",
        kind: "about 300 packages, split as a workspace, many proc-macros",
        builds_c: true,
        only_by_name: false,
    },
    Project {
        name: "cargo-hack",
        program: "cargo-hack",
        try_out: &["hack", "--version"],
        version: "0.6.38",
        next_version: "0.6.39",
        kind: "tiny: shows that the bench itself works",
        builds_c: false,
        only_by_name: true,
    },
];

/// The projects of that name, or all that stand for something.
pub(super) fn choose(names: Option<&str>, quick: bool) -> Result<Vec<Project>, Failure> {
    let Some(names) = names else {
        return Ok(PROJECTS
            .iter()
            .filter(|project| project.only_by_name == quick)
            .copied()
            .collect());
    };
    names
        .split(',')
        .map(|name| {
            PROJECTS
                .iter()
                .find(|project| project.name == name)
                .copied()
                .ok_or_else(|| {
                    let known: Vec<&str> = PROJECTS.iter().map(|project| project.name).collect();
                    format!(
                        "`{name}` is not measured here; choose from {}",
                        known.join(", ")
                    )
                })
        })
        .collect()
}

/// A `CARGO_HOME` into which packages are fetched from the registry.
pub(super) struct Registry {
    /// A place where no package's settings apply.
    dir: PathBuf,
    pub(super) home: PathBuf,
}

impl Registry {
    pub(super) fn open(scratch: &Path) -> Result<Self, Failure> {
        let registry = Self {
            dir: scratch.join("sources"),
            home: scratch.join("cargo-home"),
        };
        make_dir(&registry.dir)?;
        make_dir(&registry.home)?;
        Ok(registry)
    }

    /// Puts the source of a published package at `to`.
    pub(super) fn unpack(&self, name: &str, version: &str, to: &Path) -> Result<(), Failure> {
        eprintln!("fetching {name} {version}");
        let mut info = self.cargo(&self.dir);
        capture(info.args(["info", "--quiet", &format!("{name}@{version}")]))?;
        remove(to)?;
        make_dir(to.parent().unwrap_or(to))?;
        copy(&self.unpacked(name, version)?, to, false)?;
        // cargo's own marks of an unpacked package; a checkout has none.
        for mark in [".cargo-ok", ".cargo_vcs_info.json", "Cargo.toml.orig"] {
            remove(&to.join(mark))?;
        }
        Ok(())
    }

    /// Fetches all that a lock file names for the host.
    pub(super) fn fetch(&self, dir: &Path, more: &[&str]) -> Result<(), Failure> {
        let mut fetch = self.cargo(dir);
        fetch.args(["fetch", "--quiet", "--target", &host()?]);
        process::run(fetch.args(more))
    }

    /// A cargo that may ask the registry.
    pub(super) fn cargo(&self, dir: &Path) -> Command {
        let mut command = cargo();
        command.current_dir(dir).env("CARGO_HOME", &self.home);
        command
    }

    /// Where cargo unpacked a package.
    fn unpacked(&self, name: &str, version: &str) -> Result<PathBuf, Failure> {
        let registries = self.home.join("registry/src");
        let wanted = format!("{name}-{version}");
        entries(&registries)?
            .into_iter()
            .map(|registry| registry.join(&wanted))
            .find(|package| package.join("Cargo.toml").exists())
            .ok_or_else(|| {
                format!(
                    "`cargo info` did not unpack `{wanted}` below `{}`",
                    registries.display()
                )
            })
    }

    /// How many packages a lock file names for the host.
    pub(super) fn packages(&self, dir: &Path) -> Result<u64, Failure> {
        let mut tree = self.cargo(dir);
        tree.args(["tree", "--offline", "--locked", "--workspace"]);
        let listed = capture(tree.args(["--prefix", "none", "--edges", "normal,build"]))?;
        let mut names: Vec<String> = listed
            .lines()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names.len() as u64)
    }
}

/// Sources and two `CARGO_HOME`s, ready to be built from offline.
pub(super) struct Sources {
    registry: Registry,
    dir: PathBuf,
    /// Where packages were fetched to.
    pub(super) home: PathBuf,
    /// A copy of [`Sources::home`], times included, at another path.
    pub(super) other_home: PathBuf,
}

impl Sources {
    /// Fetches both versions of every project; what is there already is not fetched again.
    pub(super) fn fetch(scratch: &Path, projects: &[Project]) -> Result<Self, Failure> {
        let registry = Registry::open(scratch)?;
        let sources = Self {
            dir: registry.dir.clone(),
            home: registry.home.clone(),
            other_home: scratch.join("another/cargo-home"),
            registry,
        };
        for project in projects {
            for version in [project.version, project.next_version] {
                sources.fetch_one(project, version)?;
            }
        }
        remove(&sources.other_home)?;
        make_dir(&scratch.join("another"))?;
        copy(&sources.home, &sources.other_home, true)?;
        Ok(sources)
    }

    fn fetch_one(&self, project: &Project, version: &str) -> Result<(), Failure> {
        let pristine = self.pristine(project, version);
        let done = self.dir.join(format!("{}-{version}.fetched", project.name));
        if done.exists() {
            return Ok(());
        }
        self.registry.unpack(project.name, version, &pristine)?;
        stand_alone(&pristine)?;
        self.registry.fetch(&pristine, &["--locked"])?;
        write(&done, "")
    }

    fn pristine(&self, project: &Project, version: &str) -> PathBuf {
        self.dir.join(format!("{}-{version}", project.name))
    }

    /// Puts a version at `checkout` as a fresh checkout would be: every file's time is now.
    pub(super) fn check_out(
        &self,
        project: &Project,
        version: &str,
        checkout: &Path,
    ) -> Result<(), Failure> {
        remove(checkout)?;
        make_dir(checkout.parent().unwrap_or(checkout))?;
        copy(&self.pristine(project, version), checkout, false)
    }

    /// How many packages its lock file names for the host.
    pub(super) fn packages(&self, project: &Project) -> Result<u64, Failure> {
        self.registry
            .packages(&self.pristine(project, project.version))
    }
}

/// Makes a package the root of its own workspace, so that it may lie inside another one.
pub(super) fn stand_alone(package: &Path) -> Result<(), Failure> {
    let manifest = package.join("Cargo.toml");
    let mut text = fs::read_to_string(&manifest)
        .map_err(|error| format!("cannot read `{}`: {error}", manifest.display()))?;
    if !text.lines().any(|line| line.trim_end() == "[workspace]") {
        text.push_str("\n[workspace]\n");
    }
    write(&manifest, &text)
}

/// The host's target triple.
pub(super) fn host() -> Result<String, Failure> {
    let said = capture(process::command("rustc").arg("-vV"))?;
    said.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

/// Copies a tree, by reflink where the file system can.
pub(super) fn copy(from: &Path, to: &Path, keep_times: bool) -> Result<(), Failure> {
    let mut command = process::command("cp");
    command.arg("--recursive").arg("--reflink=auto");
    if keep_times {
        command.arg("--preserve=all");
    }
    process::run(command.arg(from).arg(to))
}

/// Removes whatever is at a path; nothing there is fine.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let removed = if found.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|error| format!("cannot remove `{}`: {error}", path.display()))
}

pub(super) fn make_dir(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| format!("cannot make `{}`: {error}", path.display()))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

/// The paths in a directory; a missing one has none.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let Ok(listed) = fs::read_dir(dir) else {
        return Ok(Vec::new());
    };
    let mut paths = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|error| format!("cannot list `{}`: {error}", dir.display()))?;
        paths.push(entry.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_chosen_by_name_or_by_purpose() {
        let names = |chosen: Vec<Project>| chosen.iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(
            names(choose(None, false).unwrap()),
            ["du-dust", "git-delta", "zizmor"]
        );
        assert_eq!(names(choose(None, true).unwrap()), ["cargo-hack"]);
        assert_eq!(names(choose(Some("zizmor"), true).unwrap()), ["zizmor"]);
        assert!(choose(Some("nothing"), false).is_err());
    }

    #[test]
    fn a_package_becomes_its_own_workspace_once() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("Cargo.toml");
        fs::write(&manifest, "[package]\nname = \"a\"\n").unwrap();
        stand_alone(dir.path()).unwrap();
        let once = fs::read_to_string(&manifest).unwrap();
        stand_alone(dir.path()).unwrap();
        assert!(once.ends_with("\n[workspace]\n"));
        assert_eq!(fs::read_to_string(&manifest).unwrap(), once);
    }
}
