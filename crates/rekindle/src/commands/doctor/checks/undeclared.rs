//! What macros and build scripts of the workspace were seen to read, and cargo does not watch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_events::{EventKind, Vantage};
use rekindle_key::entry::Entry;
use rekindle_key::step::StepEntry;
use rekindle_key::variables::NOT_SET;
use rekindle_key::{Manifest, Tag};
use rekindle_store::{LocalStore, Space, Store};

use super::super::context::Context;
use super::super::kinds::UNDECLARED_READ;
use super::super::model::{Finding, Outcome};
use super::super::watched::Watched;

const SHOWN_MAX: usize = 8;

/// A unit, or the run of a build script, as the log has it.
struct Recorded {
    package: String,
    is_script: bool,
    key: Option<Digest>,
    vantage: Option<Vantage>,
}

/// What a package's macros and script read undeclared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reads {
    /// In the workspace, with who read them.
    paths: BTreeMap<PathBuf, &'static str>,
    variables: BTreeMap<String, &'static str>,
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let (Some(layout), Some(log)) = (&context.layout, context.recorded()) else {
        return Outcome::skipped("this is no project of cargo's");
    };
    let root = log.root.as_path();
    let recorded: Vec<Recorded> = log.newest.values().filter_map(recorded).collect();
    if recorded.is_empty() {
        return Outcome::skipped("no run of this project is recorded that compiled anything");
    }
    let store = LocalStore::open(&context.resolved.settings.store_dir);
    let mut all: BTreeMap<PathBuf, (String, Reads)> = BTreeMap::new();
    let (mut units, mut scripts) = (0, 0);
    for one in &recorded {
        let count = if one.is_script {
            &mut scripts
        } else {
            &mut units
        };
        *count += 1;
        let (Some(manifest), Some(vantage)) = (manifest(&store, one), &one.vantage) else {
            continue;
        };
        let Some(package) = directory(&manifest, one, vantage, root) else {
            continue;
        };
        let (_, reads) = all
            .entry(package)
            .or_insert_with(|| (one.package.clone(), Reads::default()));
        add(reads, &manifest, (vantage, root), one.is_script);
    }
    let findings = all.into_iter().filter_map(|(dir, (package, mut reads))| {
        drop_listed(&mut reads);
        let watched = Watched::of(&layout.build_dir, &package, &dir);
        finding(&package, &dir, &reads, &watched)
    });
    let findings: Vec<Finding> = findings.collect();
    let line = format!("{units} units and {scripts} runs of build scripts, as recorded");
    Outcome::new(line, findings)
}

fn recorded(event: &EventKind) -> Option<Recorded> {
    Some(match event {
        EventKind::Unit(unit) => Recorded {
            package: unit.package.clone(),
            is_script: false,
            key: unit.key.filter(|_| unit.undeclared),
            vantage: unit.vantage.clone(),
        },
        EventKind::Step(step) => Recorded {
            package: step.package.clone(),
            is_script: true,
            key: step.key,
            vantage: step.vantage.clone(),
        },
        _ => return None,
    })
}

fn manifest(store: &LocalStore, one: &Recorded) -> Option<Manifest> {
    let record = store.get_record(Space::Entries, &one.key?).ok()??;
    if one.is_script {
        return Some(StepEntry::decode(&record.payload)?.manifest);
    }
    Some(Entry::decode(&record.payload)?.manifest)
}

/// The package's directory, where it is in the workspace.
fn directory(
    manifest: &Manifest,
    one: &Recorded,
    vantage: &Vantage,
    root: &Path,
) -> Option<PathBuf> {
    let dir = if one.is_script {
        // cargo starts scripts there.
        PathBuf::from(&vantage.directory)
    } else {
        let item = manifest
            .items()
            .iter()
            .find(|item| item.tag == Tag::SourcePath)?;
        let source = resolved(&String::from_utf8_lossy(&item.name), vantage)?;
        let has_manifest = |dir: &&Path| rekindle_fsx::exists(&dir.join("Cargo.toml"));
        source.ancestors().skip(1).find(has_manifest)?.to_owned()
    };
    dir.starts_with(root).then_some(dir)
}

/// `{workspace}/x`, or a name relative to the directory that was run in.
fn resolved(name: &str, vantage: &Vantage) -> Option<PathBuf> {
    let Some((root, rest)) = name.strip_prefix('{').and_then(|name| name.split_once('}')) else {
        return Some(Path::new(&vantage.directory).join(name));
    };
    let is_root = |known: &str| known.trim_matches(['{', '}']) == root;
    let (_, base) = vantage.roots.iter().find(|(known, _)| is_root(known))?;
    Some(Path::new(base).join(rest.trim_start_matches('/')))
}

/// Who reads in a compile: what was seen does not tell them apart.
const COMPILE: &str = "a macro or the linker";

fn add(
    reads: &mut Reads,
    manifest: &Manifest,
    (vantage, root): (&Vantage, &Path),
    is_script: bool,
) {
    let who = if is_script {
        "the build script"
    } else {
        COMPILE
    };
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let items = manifest.items();
    let declared: BTreeSet<PathBuf> = items
        .iter()
        .filter(|item| item.tag == Tag::Source)
        .filter_map(|item| resolved(&text(&item.name), vantage))
        .collect();
    let is_declared = |name: &[u8]| {
        let by_dep_info = |tag| matches!(tag, Tag::EnvDep | Tag::EnvDepPath);
        items
            .iter()
            .any(|item| by_dep_info(item.tag) && item.name == name)
    };
    for item in items {
        let name = text(&item.name);
        match item.tag {
            Tag::ReadFile | Tag::Listing => {
                let path = resolved(&name, vantage).filter(|path| path.starts_with(root));
                let Some(path) = path else { continue };
                if rekindle_fsx::exists(&path)
                    && !declared.contains(&path)
                    && !is_cargos(&path, root)
                {
                    reads.paths.entry(path).or_insert(who);
                }
            }
            // A script asks for many that nobody sets.
            Tag::Variable if is_script && item.value == NOT_SET.as_bytes() => {}
            Tag::Variable if is_of_the_project(&name) && !is_declared(&item.name) => {
                reads.variables.entry(name).or_insert(who);
            }
            _ => {}
        }
    }
}

/// A directory that was listed stands for what is in it.
fn drop_listed(reads: &mut Reads) {
    let is_dir = |path: &&PathBuf| rekindle_fsx::is_dir(path);
    let listed: Vec<PathBuf> = reads.paths.keys().filter(is_dir).cloned().collect();
    let stands_for = |path: &PathBuf| {
        listed
            .iter()
            .any(|dir| path != dir && path.starts_with(dir))
    };
    reads.paths.retain(|path, _| !stands_for(path));
}

/// What cargo watches by itself, or makes: manifests, the lock file, whatever is in a target directory.
fn is_cargos(path: &Path, root: &Path) -> bool {
    let is_manifest = path.ends_with("Cargo.toml") || path == root.join("Cargo.lock");
    let in_target = path
        .ancestors()
        .take_while(|dir| dir.starts_with(root))
        .any(|dir| rekindle_fsx::exists(&dir.join("CACHEDIR.TAG")));
    let is_place = path == root || rekindle_fsx::exists(&path.join("Cargo.toml"));
    is_manifest || in_target || is_place
}

/// Variables that a project gives a meaning. Those of cargo, rustc, the system and a shell are the same for all.
fn is_of_the_project(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "CARGO", "RUST", "LC_", "XDG_", "LD_", "MALLOC", "GLIBC", "REKINDLE", "SSL_", "MAKE",
        "DEP_",
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
        "FORCE_COLOR",
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
    // What to say, the name for people, and who read it.
    let mut unwatched: Vec<(String, String, &str)> = Vec::new();
    for (path, who) in reads.paths.iter().filter(|(path, _)| !watched.has(path)) {
        let name = upwards(path, dir).display().to_string();
        let shown = if rekindle_fsx::is_dir(path) {
            format!("{name}/")
        } else {
            name.clone()
        };
        unwatched.push((format!("changed={name}"), shown, who));
    }
    for (name, who) in &reads.variables {
        if !watched.has_variable(name) {
            unwatched.push((format!("env-changed={name}"), format!("${name}"), who));
        }
    }
    let (_, first, who) = unwatched.first()?;
    let more = match unwatched.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let script = dir.join("build.rs");
    let mut next = if rekindle_fsx::exists(&script) {
        format!("add to `main` of {}:", script.display())
    } else {
        format!("make {} whose `main` is:", script.display())
    };
    if *who == COMPILE && watched.has_whole(dir) {
        // With a first line a script that had none watches no more than it says.
        next.push_str(" (and `build.rs`, and what else the script reads)");
    }
    for (line, ..) in unwatched.iter().take(SHOWN_MAX) {
        next.push_str(&format!("\n  println!(\"cargo::rerun-if-{line}\");"));
    }
    let title = format!("`{package}` reads `{first}`{more}, which cargo does not watch");
    let mut finding = Finding::new(&UNDECLARED_READ, title, next);
    for (_, name, who) in unwatched.iter().take(SHOWN_MAX) {
        finding = finding.seen(format!("{who} read {name}"));
    }
    Some(finding.seen(format!(
        "`rekindle observe {package}` lists all that was read"
    )))
}

/// A path in the workspace, as seen from a package's directory.
fn upwards(path: &Path, dir: &Path) -> PathBuf {
    let common = dir.ancestors().find(|dir| path.starts_with(dir));
    let common = common.unwrap_or(Path::new("/"));
    let up = dir
        .strip_prefix(common)
        .map_or(0, |rest| rest.components().count());
    let mut name: PathBuf = std::iter::repeat_n("..", up).collect();
    name.push(path.strip_prefix(common).unwrap_or(path));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_seen_from_the_package() {
        let check = |path: &str, expected: &str| {
            assert_eq!(
                upwards(Path::new(path), Path::new("/ws/app")),
                Path::new(expected)
            );
        };
        check("/ws/app/migrations", "migrations");
        check("/ws/shared/x", "../shared/x");
    }

    #[test]
    fn names_are_resolved_against_their_roots() {
        let vantage = Vantage {
            directory: "/ws".into(),
            roots: [("{workspace}".to_owned(), "/ws".to_owned())].into(),
        };
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(resolved(name, &vantage).as_deref(), expected.map(Path::new));
        };
        check("{workspace}/a/b", Some("/ws/a/b"));
        check("{cargo-home}/x", None);
        check("/usr/x", Some("/usr/x"));
        check("src/x", Some("/ws/src/x"));
    }

    #[test]
    fn variables_of_the_system_are_not_the_projects() {
        assert!(is_of_the_project("DATABASE_URL") && is_of_the_project("SQLX_OFFLINE"));
        for name in [
            "PATH",
            "CARGO_MANIFEST_DIR",
            "RUST_BACKTRACE",
            "OUT_DIR",
            "",
            "LC_ALL",
        ] {
            assert!(!is_of_the_project(name), "{name}");
        }
    }
}
