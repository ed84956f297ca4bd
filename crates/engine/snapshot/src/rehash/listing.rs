//! Which of a package's files cargo finds newest.
//!
//! cargo lists a package's files like `cargo package` does: with git where the package's manifest is tracked and
//! there is no `package.include`, else by a walk. Of several files with the newest time it takes the one that it
//! meets first, in the order in which the kernel lists directories. That matters: the kernel stamps files from a
//! clock that ticks a few hundred times a second, so that a checkout gives many files one time.
//!
//! cargo asks git by a library of its own; here it is the `git` command, since only its list is needed and
//! the order comes from a walk of ours.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rekindle_fsx as fsx;

use super::manifest::Rules;

/// A package's files, as cargo lists them where it compares times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The files, relative to the package's root, sorted. With git, those that it ignores are not among them.
    pub files: Vec<PathBuf>,
    /// What cargo writes into a fingerprint: the newest time and the file that has it, as in
    /// `1795380486.203029956s (src/lib.rs)`.
    pub newest: String,
}

/// What cargo is going to write into the fingerprint of a build script's run that declares nothing.
///
/// As [`list`], whose other half is for those that must know that the files are unchanged.
///
/// # Errors
/// As [`list`].
pub fn newest_file(package_root: &Path, rules: &Rules) -> io::Result<Option<String>> {
    Ok(list(package_root, rules)?.map(|listing| listing.newest))
}

/// Lists the files of the package at `package_root`, an absolute path without links; `None` where git has to be
/// asked and does not answer, or where a pattern is none.
///
/// # Errors
/// As listing directories and starting a process.
pub fn list(package_root: &Path, rules: &Rules) -> io::Result<Option<Listing>> {
    let mut tracked = None;
    if rules.include.is_empty()
        && let Some(repository) = repository_above(package_root)
    {
        let Some(entries) = git_files(package_root)? else {
            return Ok(None);
        };
        let is_manifest = |entry: &GitFile| entry.tracked && entry.path == Path::new("Cargo.toml");
        tracked = entries
            .iter()
            .any(is_manifest)
            .then_some((repository, entries));
    }
    let Some(filter) = Filter::new(package_root, rules, tracked.is_some()) else {
        return Ok(None);
    };
    let mut lister = Lister {
        package_root,
        filter,
        found: Vec::new(),
        complete: true,
    };
    let with_git = tracked.is_some();
    match tracked {
        Some((repository, entries)) => {
            lister.add_tracked(package_root, package_root == repository, entries)?;
        }
        None => lister.walk(package_root, true, &mut Vec::new())?,
    }
    if !lister.complete {
        return Ok(None);
    }
    let newest = newest_of(package_root, &lister.found, with_git)?;
    let mut files: Vec<PathBuf> = lister.found.into_iter().map(|file| file.path).collect();
    files.sort_unstable();
    files.dedup();
    Ok(Some(Listing { files, newest }))
}

/// A listed file: relative to the package's root, its time in nanoseconds since 1970, links followed; 0
/// where there is none.
struct Found {
    path: PathBuf,
    mtime_ns: i64,
}

/// The directory with the repository that `root` is in.
fn repository_above(root: &Path) -> Option<&Path> {
    root.ancestors().find(|dir| fsx::exists(&dir.join(".git")))
}

/// `package.include` and `package.exclude`, and the rule for dot files.
struct Filter {
    patterns: Gitignore,
    /// Whether the patterns say what belongs to the package, and not what does not.
    includes: bool,
}

impl Filter {
    fn new(root: &Path, rules: &Rules, with_git: bool) -> Option<Self> {
        let includes = !rules.include.is_empty();
        let mut builder = GitignoreBuilder::new(root);
        let without_dot_files = (!includes && !with_git).then_some(".*");
        let own = if includes {
            &rules.include
        } else {
            &rules.exclude
        };
        let lines = without_dot_files
            .into_iter()
            .chain(own.iter().map(String::as_str));
        for line in lines {
            builder.add_line(None, line).ok()?;
        }
        let patterns = builder.build().ok()?;
        Some(Self { patterns, includes })
    }

    /// Whether what is at `path`, relative to the package's root, belongs to the package, or may hold what does.
    fn admits(&self, path: &Path, is_dir: bool) -> bool {
        if path == Path::new("Cargo.toml") || path == Path::new("Cargo.lock") {
            return true;
        }
        if self.includes && is_dir {
            return true;
        }
        let matched = self.patterns.matched_path_or_any_parents(path, is_dir);
        matched.is_ignore() == self.includes
    }
}

/// Collects a package's files.
struct Lister<'a> {
    package_root: &'a Path,
    filter: Filter,
    found: Vec<Found>,
    /// Whether git answered each time.
    complete: bool,
}

impl Lister<'_> {
    /// Adds what git listed in `dir`.
    fn add_tracked(&mut self, dir: &Path, is_top: bool, entries: Vec<GitFile>) -> io::Result<()> {
        let entries: Vec<GitFile> = entries
            .into_iter()
            .filter(|entry| entry.tracked || !entry.path.starts_with("target"))
            .filter(|entry| entry.tracked || !is_top || entry.path != Path::new("Cargo.lock"))
            .filter(|entry| fsx::exists(&dir.join(&entry.path)))
            .collect();
        let packages: HashSet<PathBuf> = entries
            .iter()
            .filter(|entry| entry.path.file_name() == Some(OsStr::new("Cargo.toml")))
            .filter_map(|entry| Some(dir.join(entry.path.parent()?)))
            .filter(|package| package != self.package_root)
            .collect();
        for entry in entries {
            let path = dir.join(entry.path);
            if path.ancestors().any(|above| packages.contains(above)) {
                continue;
            }
            // Submodules, other repositories, and links to directories.
            if !fsx::is_dir(&path) {
                self.add(&path);
            } else if fsx::exists(&path.join(".git")) {
                match git_files(&path)? {
                    Some(entries) => self.add_tracked(&path, true, entries)?,
                    None => self.complete = false,
                }
            } else {
                self.walk(&path, false, &mut Vec::new())?;
            }
        }
        Ok(())
    }

    /// Adds what is in `dir`, links followed.
    fn walk(&mut self, dir: &Path, is_root: bool, above: &mut Vec<(u64, u64)>) -> io::Result<()> {
        if !is_root && (!self.admits(dir, true) || fsx::exists(&dir.join("Cargo.toml"))) {
            return Ok(());
        }
        let Ok(sig) = fsx::stat_follow(dir) else {
            return Ok(());
        };
        let id = (sig.dev, sig.ino);
        if above.contains(&id) {
            return Ok(());
        }
        above.push(id);
        for (name, kind) in fsx::list_in_order(dir)? {
            let path = dir.join(&name);
            let target = kind
                .is_symlink()
                .then(|| fsx::stat_follow(&path).ok())
                .flatten();
            let is_dir = target.map_or(kind.is_dir(), |sig| sig.kind() == fsx::FileKind::Dir);
            if is_dir {
                let is_target = is_root && name == "target";
                if !is_target {
                    self.walk(&path, false, above)?;
                }
            } else if kind.is_file() || kind.is_symlink() {
                self.add(&path);
            }
        }
        above.pop();
        Ok(())
    }

    fn admits(&self, path: &Path, is_dir: bool) -> bool {
        let relative = path.strip_prefix(self.package_root);
        relative.is_ok_and(|relative| self.filter.admits(relative, is_dir))
    }

    fn add(&mut self, path: &Path) {
        if let Ok(relative) = path.strip_prefix(self.package_root)
            && self.filter.admits(relative, false)
        {
            self.found.push(Found {
                path: relative.to_owned(),
                mtime_ns: fsx::stat_follow(path).map_or(0, |sig| sig.mtime_ns),
            });
        }
    }
}

/// The newest of the files, as cargo writes it.
fn newest_of(root: &Path, found: &[Found], with_git: bool) -> io::Result<String> {
    let newest_ns = found.iter().map(|file| file.mtime_ns).fold(0, i64::max);
    let newest = found
        .iter()
        .filter(|file| newest_ns > 0 && file.mtime_ns == newest_ns)
        .map(|file| file.path.as_path());
    let path = if with_git {
        let tied: BTreeSet<&Path> = newest.collect();
        first_met(root, &tied)?
    } else {
        newest.map(Path::to_owned).next()
    };
    let path = path.unwrap_or_default();
    let (seconds, nanoseconds) = (newest_ns / 1_000_000_000, newest_ns % 1_000_000_000);
    Ok(format!("{seconds}.{nanoseconds:09}s ({})", path.display()))
}

/// That of these files, relative to `root`, that a walk meets first. `target` comes last, where it is tracked.
fn first_met(root: &Path, files: &BTreeSet<&Path>) -> io::Result<Option<PathBuf>> {
    if files.len() < 2 {
        return Ok(files.first().map(|only| (*only).to_owned()));
    }
    let (late, early): (BTreeSet<&Path>, _) = files
        .iter()
        .copied()
        .partition(|file| file.starts_with("target"));
    let dirs: HashSet<&Path> = early
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .collect();
    let met = descend(root, Path::new(""), &early, &dirs)?;
    Ok(met.or_else(|| late.first().map(|file| (*file).to_owned())))
}

/// The first of `files` in `dir`; `dirs` are those that hold any.
fn descend(
    root: &Path,
    dir: &Path,
    files: &BTreeSet<&Path>,
    dirs: &HashSet<&Path>,
) -> io::Result<Option<PathBuf>> {
    if !dirs.contains(dir) {
        return Ok(None);
    }
    for (name, _) in fsx::list_in_order(&root.join(dir))? {
        let path = dir.join(name);
        if files.contains(path.as_path()) {
            return Ok(Some(path));
        }
        if let Some(met) = descend(root, &path, files, dirs)? {
            return Ok(Some(met));
        }
    }
    Ok(None)
}

/// A file that git knows of or does not ignore, relative to the directory that was asked for.
struct GitFile {
    path: PathBuf,
    tracked: bool,
}

/// Variables that would send git to another repository than the one around the directory.
const GIT_PLACES: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
];

/// The files below `dir` that are tracked, or neither tracked nor ignored; `None` where git does not say.
fn git_files(dir: &Path) -> io::Result<Option<Vec<GitFile>>> {
    let mut command = Command::new("git");
    for variable in GIT_PLACES {
        command.env_remove(variable);
    }
    // In containers the checkout is often another user's. Nothing of its configuration that starts a
    // program is used here, and cargo is about to run what is in it anyway.
    let output = command
        .arg("-C")
        .arg(dir)
        .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
        .args([
            "ls-files",
            "-z",
            "-t",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Some(output) = fsx::found(output)? else {
        return Ok(None);
    };
    if !output.status.success() {
        return Ok(None);
    }
    let lines = output.stdout.split(|byte| *byte == 0);
    let file = |line: &[u8]| {
        let (tag, path) = (line.first()?, line.get(2..)?);
        Some(GitFile {
            path: Path::new(OsStr::from_bytes(path)).components().collect(),
            tracked: *tag != b'?',
        })
    };
    Ok(Some(lines.filter_map(file).collect()))
}
