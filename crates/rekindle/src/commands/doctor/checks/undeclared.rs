//! What macros of the workspace were seen to read, and cargo does not watch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rekindle::runs;
use rekindle_events::{EventKind, UnitEvent, Vantage};
use rekindle_key::entry::Entry;
use rekindle_key::{Manifest, Tag};
use rekindle_store::{LocalStore, Space, Store};

use super::super::context::Context;
use super::super::kinds::UNDECLARED_READ;
use super::super::model::{Finding, Outcome};
use super::super::watched::Watched;

/// Logs of this many runs are looked through.
const RUNS_MAX: usize = 20;
const SHOWN_MAX: usize = 8;

/// What a unit read undeclared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reads {
    /// Below the package's directory, or another in the workspace.
    paths: BTreeSet<PathBuf>,
    variables: BTreeSet<String>,
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let Some(layout) = &context.layout else {
        return Outcome::skipped("this is no project of cargo's");
    };
    let root = rekindle_fsx::canonicalize(&layout.workspace_root);
    let root = root.unwrap_or_else(|_| layout.workspace_root.clone());
    let units = units(context, &root);
    if units.is_empty() {
        return Outcome::skipped("no run of this project is recorded that compiled anything");
    }
    let store = LocalStore::open(&context.resolved.settings.store_dir);
    let mut all: BTreeMap<PathBuf, (String, Reads)> = BTreeMap::new();
    for unit in units.values() {
        let Some(manifest) = manifest(&store, unit) else {
            continue;
        };
        let Some(package) = directory(&manifest, unit, &root) else {
            continue;
        };
        let Some(vantage) = &unit.vantage else {
            continue;
        };
        let reads = reads(&manifest, vantage, &root);
        let entry = all
            .entry(package)
            .or_insert_with(|| (unit.package.clone(), Reads::default()));
        entry.1.paths.extend(reads.paths);
        entry.1.variables.extend(reads.variables);
    }
    let findings = all.into_iter().filter_map(|(dir, (package, reads))| {
        let watched = Watched::of(&layout.build_dir, &package, &dir);
        finding(&package, &dir, &reads, &watched)
    });
    let findings: Vec<Finding> = findings.collect();
    let line = format!("{} units of this workspace, as recorded", units.len());
    Outcome::new(line, findings)
}

/// The newest event of each unit of the workspace that went through the unit cache.
fn units(context: &Context<'_>, root: &Path) -> BTreeMap<String, UnitEvent> {
    let store = &context.resolved.settings.store_dir;
    let mut found = BTreeMap::new();
    let names = runs::list(store).unwrap_or_default();
    for name in names.iter().rev().take(RUNS_MAX) {
        let Ok(log) = runs::read(&runs::runs_dir(store).join(name)) else {
            continue;
        };
        let here = log.events.iter().any(|event| match &event.kind {
            EventKind::RunStarted(started) => Path::new(&started.cwd).starts_with(root),
            _ => false,
        });
        if !here {
            continue;
        }
        for event in log.events {
            if let EventKind::Unit(unit) = event.kind {
                let id = format!("{} {} {}", unit.package, unit.crate_name, unit.kind);
                found.entry(id).or_insert(*unit);
            }
        }
    }
    found
}

fn manifest(store: &LocalStore, unit: &UnitEvent) -> Option<Manifest> {
    if !unit.undeclared {
        return None;
    }
    let record = store.get_record(Space::Entries, &unit.key?).ok()??;
    Some(Entry::decode(&record.payload)?.manifest)
}

/// The package's directory, where it is in the workspace: the nearest manifest above the root source.
fn directory(manifest: &Manifest, unit: &UnitEvent, root: &Path) -> Option<PathBuf> {
    let vantage = unit.vantage.as_ref()?;
    let item = manifest
        .items()
        .iter()
        .find(|item| item.tag == Tag::SourcePath)?;
    let source = resolved(&String::from_utf8_lossy(&item.value), vantage)?;
    let dir = source
        .ancestors()
        .skip(1)
        .find(|dir| rekindle_fsx::exists(&dir.join("Cargo.toml")))?;
    dir.starts_with(root).then(|| dir.to_owned())
}

/// `{workspace}/x`, or a name relative to the directory that was run in.
fn resolved(name: &str, vantage: &Vantage) -> Option<PathBuf> {
    if let Some(rest) = name.strip_prefix('{') {
        let (root, rest) = rest.split_once('}')?;
        let base = vantage
            .roots
            .iter()
            .find(|(name, _)| name.trim_matches(['{', '}']) == root)?;
        return Some(Path::new(base.1).join(rest.trim_start_matches('/')));
    }
    Some(Path::new(&vantage.directory).join(name))
}

fn reads(manifest: &Manifest, vantage: &Vantage, root: &Path) -> Reads {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let items = manifest.items();
    let declared: BTreeSet<PathBuf> = items
        .iter()
        .filter(|item| item.tag == Tag::Source)
        .filter_map(|item| resolved(&text(&item.name), vantage))
        .collect();
    let declared_variables: BTreeSet<String> = items
        .iter()
        .filter(|item| matches!(item.tag, Tag::EnvDep | Tag::EnvDepPath))
        .map(|item| text(&item.name))
        .collect();
    let mut reads = Reads::default();
    for item in items {
        let name = text(&item.name);
        match item.tag {
            Tag::ReadFile | Tag::Listing | Tag::Link => {
                let path = resolved(&name, vantage).filter(|path| path.starts_with(root));
                reads.paths.extend(path.filter(|path| {
                    rekindle_fsx::exists(path) && !declared.contains(path) && !is_cargos(path, root)
                }));
            }
            Tag::Variable if is_of_the_project(&name) && !declared_variables.contains(&name) => {
                reads.variables.insert(name);
            }
            _ => {}
        }
    }
    // A directory that was listed stands for what is in it.
    let listed: Vec<PathBuf> = reads
        .paths
        .iter()
        .filter(|path| {
            rekindle_fsx::stat_follow(path)
                .is_ok_and(|sig| sig.kind() == rekindle_fsx::FileKind::Dir)
        })
        .cloned()
        .collect();
    reads.paths.retain(|path| {
        !listed
            .iter()
            .any(|dir| path != dir && path.starts_with(dir))
    });
    reads
}

/// What cargo watches by itself, or whose change it makes itself.
fn is_cargos(path: &Path, root: &Path) -> bool {
    let is_manifest = path.ends_with("Cargo.toml") || path == root.join("Cargo.lock");
    let in_target = path
        .ancestors()
        .take_while(|dir| dir.starts_with(root))
        .any(|dir| rekindle_fsx::exists(&dir.join("CACHEDIR.TAG")));
    is_manifest || in_target || path == root || path.starts_with(root.join(".git"))
}

/// Variables that a project gives a meaning. Those of cargo, rustc, the system and a shell are the same for all.
fn is_of_the_project(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "CARGO",
        "RUST",
        "LC_",
        "XDG_",
        "LD_",
        "MALLOC",
        "GLIBC",
        "REKINDLE",
        "SSL_",
        "GIT_",
        "JOBSERVER",
        "MAKE",
    ];
    const NAMES: &[&str] = &[
        "",
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "TMPDIR",
        "TEMP",
        "TMP",
        "LANG",
        "LANGUAGE",
        "TZ",
        "PWD",
        "OUT_DIR",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLORTERM",
        "CI",
        "DEBUG",
        "HOST",
        "TARGET",
        "NUM_JOBS",
        "OPT_LEVEL",
        "PROFILE",
        "SOURCE_DATE_EPOCH",
        "TERMINFO",
        "COLUMNS",
        "HOSTNAME",
    ];
    !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !NAMES.contains(&name)
}

fn finding(package: &str, dir: &Path, reads: &Reads, watched: &Watched) -> Option<Finding> {
    let shown = |path: &Path| match path.strip_prefix(dir) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_owned(),
        _ => upwards(path, dir),
    };
    let mut lines = Vec::new();
    let mut names = Vec::new();
    for path in reads.paths.iter().filter(|path| !watched.has(path)) {
        let name = shown(path).display().to_string();
        lines.push(format!("println!(\"cargo::rerun-if-changed={name}\");"));
        names.push(name);
    }
    for name in reads
        .variables
        .iter()
        .filter(|name| !watched.has_variable(name))
    {
        lines.push(format!("println!(\"cargo::rerun-if-env-changed={name}\");"));
        names.push(format!("${name}"));
    }
    let first = names.first()?;
    let more = match names.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let script = dir.join("build.rs");
    let next = if rekindle_fsx::exists(&script) {
        format!("add to `main` of {}:", script.display())
    } else {
        format!("make {} with `fn main()` of:", script.display())
    };
    let mut finding = Finding::new(
        &UNDECLARED_READ,
        format!("`{package}` reads `{first}`{more}, which cargo does not watch"),
        format!(
            "{next} {}",
            lines
                .iter()
                .take(SHOWN_MAX)
                .cloned()
                .collect::<Vec<_>>()
                .join(" ")
        ),
    );
    for name in names.iter().take(SHOWN_MAX) {
        finding = finding.seen(format!(
            "a macro read {name}; `rekindle observe {package}` lists all"
        ));
    }
    Some(finding)
}

/// A path in another directory of the workspace, as seen from the package's.
fn upwards(path: &Path, dir: &Path) -> PathBuf {
    let common = dir
        .ancestors()
        .find(|dir| path.starts_with(dir))
        .unwrap_or(Path::new("/"));
    let up = dir
        .strip_prefix(common)
        .map_or(0, |rest| rest.components().count());
    let mut name: PathBuf = std::iter::repeat_n("..", up).collect();
    name.push(path.strip_prefix(common).unwrap_or(path));
    name
}
