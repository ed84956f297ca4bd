//! The programs whose published versions are played one after the other.
//!
//! A version becomes one commit of a [`Repository`]. Where packages of one project are published one
//! by one, each version's members are unpacked beside the program, in the versions that its lock
//! file names, as one workspace: what the authors' repository held at that release.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::repository::Repository;
use super::scenario::Edit;
use crate::Failure;
use crate::bench::projects::{Registry, remove, stand_alone, write};
use crate::process;

/// A published program and its versions.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct History {
    /// The name of its package.
    pub(in crate::bench) name: &'static str,
    pub(in crate::bench) program: &'static str,
    /// What makes that program succeed at once.
    pub(in crate::bench) try_out: &'static [&'static str],
    /// What it stands for.
    pub(in crate::bench) kind: &'static str,
    /// Successive, oldest first.
    versions: &'static [&'static str],
    /// Other packages of the same workspace; a version's lock file says which of them it has.
    members: &'static [&'static str],
    /// A member that most others are built from: its name.
    leaf: Option<&'static str>,
    /// A dependency, and another version of it that the newest version's manifest allows and that no
    /// version had: it would be in every store already.
    bump: (&'static str, &'static str),
    /// Left out unless it is asked for by name.
    only_by_name: bool,
}

const HISTORIES: &[History] = &[
    History {
        name: "du-dust",
        program: "dust",
        try_out: &["--version"],
        kind: "one package, no C",
        versions: &[
            "1.1.2", "1.2.0", "1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5", "1.2.6", "1.2.7",
        ],
        members: &[],
        leaf: None,
        bump: ("memchr", "2.8.1"),
        only_by_name: false,
    },
    History {
        name: "zizmor",
        program: "zizmor",
        try_out: &["--version"],
        kind: "a workspace, about 300 packages, C build scripts",
        versions: &[
            "1.11.0", "1.12.0", "1.12.1", "1.13.0", "1.14.0", "1.14.1", "1.14.2", "1.15.0",
            "1.15.1",
        ],
        members: &[
            "github-actions-expressions",
            "github-actions-models",
            "subfeature",
            "yamlpatch",
            "yamlpath",
        ],
        leaf: Some("subfeature"),
        bump: ("aho-corasick", "1.1.4"),
        only_by_name: false,
    },
    History {
        name: "cargo-hack",
        program: "cargo-hack",
        try_out: &["hack", "--version"],
        kind: "tiny: shows that the bench itself works",
        versions: &["0.6.36", "0.6.37", "0.6.38", "0.6.39"],
        members: &[],
        leaf: None,
        bump: ("anyhow", "1.0.97"),
        only_by_name: true,
    },
];

/// The numbers of second edits begin here.
const SECOND: u64 = 1000;

/// What stands for `version` in the repository.
fn tag(version: &str) -> String {
    format!("v{version}")
}

/// Those of the names, or all that stand for something.
pub(in crate::bench) fn choose(names: Option<&str>, quick: bool) -> Result<Vec<History>, Failure> {
    let Some(names) = names else {
        return Ok(HISTORIES
            .iter()
            .filter(|history| history.only_by_name == quick)
            .copied()
            .collect());
    };
    names
        .split(',')
        .map(|name| {
            let found = HISTORIES.iter().find(|history| history.name == name);
            found.copied().ok_or_else(|| {
                let known: Vec<&str> = HISTORIES.iter().map(|history| history.name).collect();
                format!(
                    "`{name}` is not played here; choose from {}",
                    known.join(", ")
                )
            })
        })
        .collect()
}

impl History {
    /// The last `count` versions and the one before them, as tags, oldest first.
    pub(in crate::bench) fn tags(&self, count: u64) -> Vec<String> {
        let wanted = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let left_out = self.versions.len().saturating_sub(wanted);
        self.versions[left_out..].iter().copied().map(tag).collect()
    }

    /// The repository with all versions, fetched; what is there already is not made again.
    pub(in crate::bench) fn repository(
        &self,
        registry: &Registry,
        scratch: &Path,
    ) -> Result<Repository, Failure> {
        let dir = scratch.join("histories").join(self.name);
        let mark = scratch
            .join("histories")
            .join(format!("{}.made", self.name));
        let made = format!("{self:?}\n");
        if fs::read_to_string(&mark).is_ok_and(|text| text == made) {
            return Ok(Repository::open(&dir));
        }
        remove(&mark)?;
        let repository = Repository::create(&dir)?;
        for (number, version) in self.versions.iter().enumerate() {
            repository.clear()?;
            self.lay_out(registry, version, repository.tree())?;
            repository.commit(&tag(version), number)?;
        }
        write(&mark, &made)?;
        Ok(repository)
    }

    /// Puts one version into a directory, with all that it is built from in `CARGO_HOME`.
    fn lay_out(&self, registry: &Registry, version: &str, dir: &Path) -> Result<(), Failure> {
        let main = self.package(dir, self.name);
        // The repository's own directory stays, so the files go in one by one.
        let unpacked = dir.with_extension("unpacked");
        registry.unpack(self.name, version, &unpacked)?;
        if self.members.is_empty() {
            stand_alone(&unpacked)?;
        }
        move_files(&unpacked, &main)?;
        if self.members.is_empty() {
            ignore_target(dir)?;
            return registry.fetch(dir, &["--locked"]);
        }
        let lock_file = main.join("Cargo.lock");
        let lock = read(&lock_file)?;
        write(&dir.join("Cargo.lock"), &lock)?;
        remove(&lock_file)?;
        let mut members = vec![self.name];
        for name in self.members {
            let Some(version) = locked_version(&lock, name) else {
                continue;
            };
            let member = self.package(dir, name);
            registry.unpack(name, version, &member)?;
            remove(&member.join("Cargo.lock"))?;
            members.push(name);
        }
        write(&dir.join("Cargo.toml"), &workspace_manifest(&members))?;
        ignore_target(dir)?;
        // Not `--locked`: members leave the registry, and the tests of some bring packages.
        registry.fetch(dir, &[])
    }

    fn package(&self, dir: &Path, name: &str) -> PathBuf {
        if self.members.is_empty() {
            dir.to_owned()
        } else {
            dir.join("crates").join(name)
        }
    }

    pub(in crate::bench) fn edits(&self) -> Vec<Edit> {
        let all = [Edit::Readme, Edit::Leaf, Edit::Root, Edit::Lock];
        all.into_iter()
            .filter(|edit| *edit != Edit::Leaf || self.leaf.is_some())
            .collect()
    }

    /// Makes states that differ from the newest version in one small thing, each in its own way.
    pub(in crate::bench) fn make_edits(
        &self,
        registry: &Registry,
        repository: &Repository,
        count: u64,
    ) -> Result<(), Failure> {
        let newest = self.versions.last().copied().map(tag).unwrap_or_default();
        for edit in self.edits() {
            for number in 0..edit.variants(count) {
                let name = edit.tag(number);
                if repository.has(&name) {
                    continue;
                }
                repository.detach(&newest)?;
                self.edit(registry, repository, edit, number)?;
                repository.commit(&name, self.versions.len())?;
            }
        }
        repository.settle()
    }

    /// Makes states that come after such edits, with one more of the same kind.
    pub(in crate::bench) fn make_second_edits(
        &self,
        registry: &Registry,
        repository: &Repository,
        (edit, count): (Edit, u64),
    ) -> Result<(), Failure> {
        for number in 0..count {
            let name = edit.second_tag(number);
            if !repository.has(&name) {
                repository.detach(&edit.tag(number))?;
                self.edit(registry, repository, edit, SECOND + number)?;
                repository.commit(&name, self.versions.len() + 1)?;
            }
        }
        repository.settle()
    }

    fn edit(
        &self,
        registry: &Registry,
        repository: &Repository,
        edit: Edit,
        number: u64,
    ) -> Result<(), Failure> {
        let dir = repository.tree();
        let function = format!(
            "\n#[doc(hidden)]\n#[allow(dead_code, missing_docs)]\npub fn edited_by_the_bench_{number}() -> u64 {{\n    {number}\n}}\n"
        );
        let main = self.package(dir, self.name);
        match edit {
            Edit::Readme => append(&main.join("README.md"), &format!("\nEdit {number}.\n")),
            Edit::Leaf => {
                let leaf = self.package(dir, self.leaf.unwrap_or(self.name));
                append(&leaf.join("src/lib.rs"), &function)
            }
            Edit::Root => append(&main.join("src/main.rs"), &function),
            Edit::Lock => {
                let (name, version) = self.bump;
                self.check_unknown(repository, name, version)?;
                let mut update = registry.cargo(dir);
                update.args(["update", "--quiet", "--package", name, "--precise", version]);
                process::run(&mut update)?;
                registry.fetch(dir, &["--locked"])
            }
        }
    }
}

impl History {
    /// No version's lock file names that version of a package.
    fn check_unknown(
        &self,
        repository: &Repository,
        name: &str,
        version: &str,
    ) -> Result<(), Failure> {
        for known in self.versions {
            let lock = repository.file(&tag(known), "Cargo.lock")?;
            if names_version(&lock, name, version) {
                return Err(format!(
                    "{name} {version} is in the lock file of {} {known}, so every store would have it; \
                     choose another version in xtask/src/bench/replay/history.rs",
                    self.name
                ));
            }
        }
        Ok(())
    }
}

fn names_version(lock: &str, name: &str, version: &str) -> bool {
    lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"))
}

/// A virtual workspace whose members stand in the place of their published selves.
fn workspace_manifest(members: &[&str]) -> String {
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [\n");
    for member in members {
        let _ = writeln!(text, "    \"crates/{member}\",");
    }
    text.push_str("]\n\n[patch.crates-io]\n");
    for member in members.iter().skip(1) {
        let _ = writeln!(text, "{member} = {{ path = \"crates/{member}\" }}");
    }
    text
}

/// The version of a package in a lock file; the newest where there are several.
fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line == wanted {
            let version = lines.next()?.strip_prefix("version = \"")?;
            found = version.strip_suffix('"');
        }
    }
    found
}

fn move_files(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(|error| format!("cannot make `{}`: {error}", to.display()))?;
    for path in crate::bench::projects::entries(from)? {
        let name = path.file_name().unwrap_or_default();
        fs::rename(&path, to.join(name))
            .map_err(|error| format!("cannot move `{}`: {error}", path.display()))?;
    }
    remove(from)
}

/// What every checkout of a Rust program ignores.
fn ignore_target(dir: &Path) -> Result<(), Failure> {
    let file = dir.join(".gitignore");
    let mut text = fs::read_to_string(&file).unwrap_or_default();
    if !text.lines().any(|line| line.trim_matches('/') == "target") {
        text.push_str("\n/target\n");
    }
    write(&file, &text)
}

fn append(file: &Path, more: &str) -> Result<(), Failure> {
    write(file, &(read(file)? + more))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_history_has_eight_successors_unless_it_is_a_trial() {
        for history in HISTORIES {
            assert!(
                history.only_by_name || history.versions.len() >= 9,
                "{}",
                history.name
            );
        }
        let chosen = choose(Some("du-dust"), false).unwrap();
        assert_eq!(chosen[0].tags(2), ["v1.2.5", "v1.2.6", "v1.2.7"]);
        assert_eq!(chosen[0].tags(99).len(), chosen[0].versions.len());
        assert!(choose(Some("nothing"), false).is_err());
    }

    #[test]
    fn members_are_found_in_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.0\"\nsource = \"r\"\n\n\
                    [[package]]\nname = \"ab\"\nversion = \"3.0.0\"\n";
        assert_eq!(locked_version(lock, "a"), Some("1.2.0"));
        assert_eq!(locked_version(lock, "b"), None);
        assert!(names_version(lock, "a", "1.2.0") && !names_version(lock, "a", "3.0.0"));
        let manifest = workspace_manifest(&["app", "a"]);
        assert!(manifest.contains("\"crates/app\",\n    \"crates/a\",\n"));
        assert!(manifest.ends_with("[patch.crates-io]\na = { path = \"crates/a\" }\n"));
    }

    #[test]
    fn a_target_directory_is_ignored_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".gitignore"), "/target\n*.swp\n").unwrap();
        ignore_target(dir.path()).unwrap();
        let text = fs::read_to_string(dir.path().join(".gitignore")).unwrap();
        assert_eq!(text, "/target\n*.swp\n");
    }
}
