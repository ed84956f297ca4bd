//! What takes room on a disk, as far as it can be found cheaply, and what of it may go.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rekindle::{runs, selection};
use rekindle_base::ByteSize;
use rekindle_events::EventKind;
use rekindle_fsx::disk::{Taken, taken};
use rekindle_store::LocalStore;

use super::ask::ask;
use super::context::Context;
use super::fix::Step;

/// All looking together takes no longer than this.
const LOOK: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_secs(5);
/// What nothing has touched for so long is no longer worked with.
const STALE_NS: i64 = 30 * 24 * 3600 * 1_000_000_000;
/// Less than this is not worth a line.
const WORTH_BYTES: u64 = 1 << 20;
/// Logs of this many runs are looked through for directories.
const RUNS_MAX: usize = 100;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The target directory of this project.
    OwnTarget,
    /// That of another one, and whether nothing has touched it for long.
    OtherTarget {
        stale: bool,
    },
    /// Unpacked sources of packages, and whether a build that runs now may be reading them.
    Sources {
        used: bool,
    },
    /// Packages as they were downloaded, and indices.
    Registry,
    /// A toolchain, and whether this project uses it.
    Toolchain {
        used: bool,
    },
    Store,
    /// Images of containers; who keeps them says how much.
    Images(&'static str),
}

/// Something that takes room.
#[derive(Clone, Debug)]
pub(super) struct Taker {
    what: What,
    path: PathBuf,
    bytes: u64,
    /// Whether it is at least that much.
    at_least: bool,
}

impl Taker {
    /// A line of evidence.
    pub(super) fn shown(&self) -> String {
        let what = match self.what {
            What::OwnTarget => "target of this project",
            What::OtherTarget { stale: false } => "target of another project",
            What::OtherTarget { stale: true } => "target that nothing has touched for a month",
            What::Sources { .. } => "unpacked sources of packages",
            What::Registry => "cargo's registry",
            What::Toolchain { used: true } => "toolchain",
            What::Toolchain { used: false } => "toolchain that this project does not use",
            What::Store => "store of Rekindle",
            What::Images(by) => {
                return format!(
                    "{} in images that no container of {by} uses",
                    ByteSize(self.bytes)
                );
            }
        };
        let at_least = if self.at_least { "at least " } else { "" };
        format!(
            "{at_least}{} {what}: {}",
            ByteSize(self.bytes),
            self.path.display()
        )
    }

    /// What a person may do about it; for what `--fix` does, nothing.
    pub(super) fn advice(&self) -> Option<String> {
        match self.what {
            What::OwnTarget => Some("`cargo clean` removes the target of this project".to_owned()),
            What::Toolchain { used: false } => {
                let name = self.path.file_name()?.to_string_lossy();
                Some(format!("`rustup toolchain uninstall {name}`"))
            }
            What::Images(by) => Some(format!("`{by} image prune -a`")),
            What::Sources { used: true } => Some(
                "once no build runs, `rekindle doctor --fix` removes unpacked sources".to_owned(),
            ),
            _ => None,
        }
    }
}

/// What is found on a device, largest first.
pub(super) fn on(context: &Context<'_>, device: u64) -> Vec<Taker> {
    let until = Instant::now() + LOOK;
    let mut found = Vec::new();
    for (what, path) in candidates(context) {
        let is_here = rekindle_fsx::stat_follow(&path).is_ok_and(|sig| sig.dev == device);
        if !is_here {
            continue;
        }
        let taken = taken(&path, until);
        found.push(Taker {
            what: judged(context, what, &path, taken),
            path,
            bytes: taken.bytes,
            at_least: !taken.complete,
        });
    }
    found.extend(images(context, device));
    found.retain(|taker| taker.bytes >= WORTH_BYTES);
    found.sort_by_key(|taker| std::cmp::Reverse(taker.bytes));
    found
}

fn judged(context: &Context<'_>, what: What, path: &Path, taken: Taken) -> What {
    let old = taken.complete && taken.newest_ns < context.machine.now_ns - STALE_NS;
    match what {
        What::OtherTarget { .. } => What::OtherTarget {
            stale: old && is_cargos(path),
        },
        other => other,
    }
}

/// Whether cargo made the directory, and says so in it.
fn is_cargos(target: &Path) -> bool {
    let tag = rekindle_fsx::read_to_string(&target.join("CACHEDIR.TAG")).unwrap_or_default();
    tag.contains("created by cargo") && rekindle_fsx::exists(&target.join(".rustc_info.json"))
}

fn candidates(context: &Context<'_>) -> Vec<(What, PathBuf)> {
    let mut found = Vec::new();
    let own = context
        .build_dir()
        .and_then(|dir| rekindle_fsx::canonicalize(dir).ok());
    found.extend(own.clone().map(|dir| (What::OwnTarget, dir)));
    for dir in other_targets(context) {
        if Some(&dir) != own.as_ref() {
            found.push((What::OtherTarget { stale: false }, dir));
        }
    }
    if let Some(home) = context.surroundings.cargo_home() {
        let used = rekindle_fsx::canonicalize(&home).is_ok_and(|home| is_used(context, &home));
        found.push((What::Sources { used }, home.join("registry/src")));
        found.push((What::Registry, home.join("registry/cache")));
        found.push((What::Registry, home.join("registry/index")));
        found.push((What::Registry, home.join("git")));
    }
    let used = selection::toolchain::of_rustup(context.surroundings, context.config);
    let used = used.and_then(|(_, dir)| dir);
    let toolchains = selection::toolchain::rustup_toolchains(context.surroundings);
    for entry in toolchains
        .and_then(|dir| rekindle_fsx::list_dir(&dir).ok())
        .into_iter()
        .flatten()
    {
        let used = used.as_ref() == Some(&entry.path);
        found.push((What::Toolchain { used }, entry.path));
    }
    found.push((What::Store, context.resolved.settings.store_dir.clone()));
    found.retain(|(_, path)| rekindle_fsx::exists(path));
    found
}

/// Target directories of projects that runs in the store's logs were of, and of those beside this project.
fn other_targets(context: &Context<'_>) -> BTreeSet<PathBuf> {
    let store = &context.resolved.settings.store_dir;
    let mut projects = BTreeSet::new();
    let names = runs::list(store).unwrap_or_default();
    for name in names.iter().rev().take(RUNS_MAX) {
        let log = runs::read(&runs::runs_dir(store).join(name)).ok();
        for event in log.into_iter().flat_map(|log| log.events) {
            if let EventKind::RunStarted(started) = event.kind {
                projects.extend(Path::new(&started.cwd).ancestors().map(Path::to_owned));
            }
        }
    }
    let beside = context
        .layout
        .as_ref()
        .and_then(|layout| layout.workspace_root.parent());
    for entry in beside
        .and_then(|dir| rekindle_fsx::list_dir(dir).ok())
        .into_iter()
        .flatten()
    {
        projects.insert(entry.path);
    }
    let targets = projects.into_iter().filter_map(|project| {
        let target = rekindle_fsx::canonicalize(&project.join("target")).ok()?;
        let is_one = rekindle_fsx::exists(&project.join("Cargo.toml")) && is_cargos(&target);
        is_one.then_some(target)
    });
    targets.collect()
}

/// What podman and docker say that pruning would give back, where their files are on the device.
fn images(context: &Context<'_>, device: u64) -> Vec<Taker> {
    let mut found = Vec::new();
    for by in ["podman", "docker"] {
        if context.find(by).is_none() {
            continue;
        }
        let rootless = context
            .surroundings
            .home
            .as_ref()
            .map(|home| home.join(".local/share/containers"));
        let places = [
            Some(PathBuf::from(format!(
                "/var/lib/{}",
                if by == "podman" { "containers" } else { by }
            ))),
            rootless,
        ];
        let Some(path) = places
            .into_iter()
            .flatten()
            .find(|path| rekindle_fsx::stat_follow(path).is_ok_and(|sig| sig.dev == device))
        else {
            continue;
        };
        let mut command = Command::new(by);
        command.args(["system", "df", "--format", "{{.Type}}\t{{.Reclaimable}}"]);
        let Ok(answer) = ask(&mut command, ASK) else {
            continue;
        };
        let bytes = answer.stdout.lines().find_map(|line| {
            let (kind, size) = line.split_once('\t')?;
            (kind == "Images").then(|| decimal_size(size))?
        });
        found.extend(bytes.map(|bytes| Taker {
            what: What::Images(by),
            path,
            bytes,
            at_least: false,
        }));
    }
    found
}

/// `1.303GB (83%)`, as both write it.
fn decimal_size(text: &str) -> Option<u64> {
    let size = text.split_whitespace().next()?;
    let at = size.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = size[..at].parse().ok()?;
    let unit = match &size[at..] {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    Some((number * unit) as u64)
}

/// Steps that free what is made again by itself: from the store what is lacking, else everything. Sources stay
/// while a build may be reading them.
pub(super) fn steps(found: &[Taker], lacking: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for taker in found.iter().filter(|taker| taker.what == What::Store) {
        let held = LocalStore::open(&taker.path)
            .usage()
            .map_or(0, |usage| usage.total_bytes());
        if held > 0 {
            steps.push(Step::Evict {
                store: taker.path.clone(),
                budget: ByteSize(held.saturating_sub(lacking)),
                urgent: true,
            });
        }
    }
    for taker in found {
        match taker.what {
            What::OtherTarget { stale: true } => steps.push(Step::Remove {
                what: taker.path.display().to_string(),
                paths: vec![taker.path.clone()],
                bytes: taker.bytes,
                again: "nothing has touched it for a month; a build there makes it again",
            }),
            What::Sources { used: false } => steps.extend(sources(taker)),
            _ => {}
        }
    }
    steps
}

/// Whether a cargo, or who reads sources as it does, runs with this home of cargo's.
fn is_used(context: &Context<'_>, home: &Path) -> bool {
    let processes = rekindle_fsx::list_names(&context.machine.proc).unwrap_or_default();
    processes.iter().any(|name| {
        let is_number = name
            .to_str()
            .is_some_and(|name| name.parse::<u32>().is_ok());
        let process = context.machine.proc.join(name);
        let comm = rekindle_fsx::read_to_string(&process.join("comm")).unwrap_or_default();
        let reads = matches!(
            comm.trim(),
            "cargo" | "rustc" | "clippy-driver" | "rustdoc" | "rust-analyzer"
        );
        // What cannot be looked into may be using it.
        is_number && reads && home_of(&process).is_none_or(|other| other == home)
    })
}

/// cargo's home as a process's environment says, links resolved.
fn home_of(process: &Path) -> Option<PathBuf> {
    let environment = rekindle_fsx::read(&process.join("environ")).ok()?;
    let variable = |name: &[u8]| {
        let set = environment.split(|byte| *byte == 0);
        let value = set.filter_map(|pair| pair.strip_prefix(name)).next()?;
        (!value.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(value)))
    };
    let home = variable(b"CARGO_HOME=").or_else(|| Some(variable(b"HOME=")?.join(".cargo")))?;
    rekindle_fsx::canonicalize(&home).ok()
}

/// Unpacked sources whose package is there whole, so that cargo unpacks it again without a network.
fn sources(taker: &Taker) -> Option<Step> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let cache = taker.path.parent()?.join("cache");
    let mut paths = Vec::new();
    for index in rekindle_fsx::list_dir(&taker.path).ok()? {
        for package in rekindle_fsx::list_dir(&index.path).ok()? {
            let mut name = package.name.clone();
            name.push(".crate");
            let file = cache.join(&index.name).join(name);
            // Rekindle puts stand-ins where only freshness is asked about.
            let head = rekindle_fsx::read_with_sig(&file, 2).ok().flatten();
            if head.is_some_and(|(head, _)| head == GZIP) {
                paths.push(package.path);
            }
        }
    }
    let until = Instant::now() + LOOK;
    let bytes = paths.iter().map(|path| taken(path, until).bytes).sum();
    let what = format!(
        "{} unpacked packages in {}",
        paths.len(),
        taker.path.display()
    );
    (!paths.is_empty()).then_some(Step::Remove {
        what,
        paths,
        bytes,
        again: "cargo unpacks them again from what it downloaded",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_images_are_read() {
        assert_eq!(decimal_size("1.5GB (83%)"), Some(1_500_000_000));
        assert_eq!(decimal_size("0B (0%)"), Some(0));
        assert_eq!(decimal_size("12.5kB"), Some(12_500));
        assert_eq!(decimal_size("much"), None);
    }

    #[test]
    fn only_sources_of_whole_packages_go() {
        let dir = tempfile::tempdir().unwrap();
        for (package, bytes) in [
            ("whole-1.0.0", [0x1f, 0x8b, 8]),
            ("stand-in-1.0.0", *b"..."),
        ] {
            let src = dir.path().join("registry/src/index").join(package);
            rekindle_fsx::create_dir_all(&src).unwrap();
            let cache = dir.path().join("registry/cache/index");
            rekindle_fsx::create_dir_all(&cache).unwrap();
            let file = cache.join(format!("{package}.crate"));
            rekindle_fsx::atomic::write(&file, &bytes).unwrap();
        }
        let taker = Taker {
            what: What::Sources { used: false },
            path: dir.path().join("registry/src"),
            bytes: 1,
            at_least: false,
        };
        let Some(Step::Remove { paths, .. }) = sources(&taker) else {
            panic!("nothing to remove");
        };
        assert_eq!(paths, [dir.path().join("registry/src/index/whole-1.0.0")]);
    }
}
