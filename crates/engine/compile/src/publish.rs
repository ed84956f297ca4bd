//! Storing what a compile made, under everything that it was seen to read.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_events::{MissReason, UncacheableReason};
use rekindle_fsx::place::{self, Wish};
use rekindle_fsx::scan;
use rekindle_key::depinfo::DepInfo;
use rekindle_key::entry::{Entry, Line, Output};
use rekindle_key::explain;
use rekindle_key::pathset::{Name, PathSet};
use rekindle_key::{Item, Manifest, Root, Tag};
use rekindle_store::{Space, Store, StoreError};

use crate::debug;
use crate::execute::{self, Ran};
use crate::included;
use crate::inputs::{Inputs, Unit, unreadable};
use crate::link::Link;
use crate::natives;
use crate::observed;
use crate::restore::{self, RELATIVE};
use crate::scripts;
use crate::shim::LinkRun;

/// What was stored.
pub(crate) struct Published {
    pub(crate) key: Digest,
    pub(crate) bytes: u64,
    pub(crate) path_bound: bool,
    pub(crate) linker: Option<String>,
    /// What differs from the last time that this unit was built.
    pub(crate) reason: MissReason,
    /// What kept the store from taking it.
    pub(crate) store_error: Option<String>,
}

/// Linking, as the shim saw it.
pub(crate) struct Linked {
    pub(crate) runs: Vec<LinkRun>,
    pub(crate) list: Option<Vec<u8>>,
}

/// What a compile made and read, before anything is stored.
pub(crate) struct Made {
    pub(crate) outputs: Vec<PathBuf>,
    pub(crate) entry: Entry,
    pub(crate) set: PathSet,
}

/// Collects what a finished compile made and read.
pub(crate) fn collect(
    unit: &Unit<'_>,
    inputs: &Inputs,
    ran: &Ran,
    linked: Option<&Linked>,
) -> Result<Made, UncacheableReason> {
    if ran.exit_code != 0 {
        return Err(UncacheableReason::CompilerFailed {
            exit_code: ran.exit_code,
        });
    }
    if ran.printed_stdout {
        return Err(UncacheableReason::Other {
            detail: "the compiler printed to standard output".into(),
        });
    }
    unit.files.forget_sources();
    let dep_info = read_dep_info(unit)?;
    let (outputs, stderr) = outputs(unit, ran)?;
    let mut bound = BTreeSet::new();
    let mut linker = None;
    for path in &outputs {
        inspect(unit, path, &mut bound, &mut linker)?;
    }
    let mut names = source_names(unit, &dep_info)?;
    let variables = environment_names(unit, &dep_info, &bound);
    let path_bound = !bound.is_empty() || !unit.remap || holds_paths(unit, &dep_info, &variables);
    names.extend(variables);
    names.extend(native_names(unit, &outputs, &dep_info)?);
    names.extend(bound.into_iter().map(Name::Directory));
    let whole = ran
        .observation
        .as_ref()
        .filter(|seen| seen.blind.is_empty());
    if let Some(Link::Watched(why)) = &unit.link
        && whole.is_none()
    {
        return Err(observed::unseen_link(why, ran.observation.as_ref()));
    }
    if let (Some(plan), Some(linked)) = (unit.asked_link(), linked) {
        let list = linked.list.as_deref().unwrap_or_default();
        match linked.runs.last() {
            Some(run) => names.extend(plan.observed(unit, list, run)?),
            // A target that knows no shared libraries drops them: nothing was linked.
            None if outputs.iter().all(|path| is_compilers_own(path)) => {}
            None => {
                return Err(UncacheableReason::UnknownLinker {
                    detail: "no linker was started through the shim".into(),
                });
            }
        }
    }
    // Notifications are lines too; of them none is wrapped.
    if ran
        .stderr
        .iter()
        .any(|line| execute::artifact(line).is_none())
    {
        names.push(Name::DiagnosticWidth);
    }
    if let Some(observation) = whole {
        names.extend(observed::names(unit, observation, &names)?);
        if names.contains(&Name::Variables) {
            names.extend(observed::values(unit, observation, (&outputs, &names))?);
        }
    }
    let set = PathSet { names };
    let manifest = unit
        .observe_after(whole, &inputs.manifest, &set)
        .ok_or_else(|| UncacheableReason::UnreadableInput {
            file: "one of the inputs".into(),
            error: "gone after the compile".into(),
        })?;
    check_unchanged(unit, inputs, ran, &set)?;
    if let Some(observation) = whole {
        observed::check_unchanged(unit, observation, (&ran.watch, &manifest))?;
        observed::check_writes(unit, observation)?;
    }
    let entry = Entry {
        outputs: Vec::new(),
        dep_info: canonical_dep_info(unit, &dep_info),
        stderr,
        compile_us: micros(ran.time),
        codegen_us: ran
            .metadata_at
            .map_or(0, |at| micros(ran.time.saturating_sub(at))),
        link_us: linked.map_or(0, |linked| linked.runs.iter().map(|run| run.link_us).sum()),
        linker,
        path_bound,
        manifest,
    };
    Ok(Made {
        outputs,
        entry,
        set,
    })
}

/// Whether rustc writes such an output itself, without a linker.
fn is_compilers_own(output: &Path) -> bool {
    let extension = output.extension().and_then(OsStr::to_str);
    matches!(extension, Some("rlib" | "rmeta" | "a"))
}

/// Stores what was collected. A store that fails costs the entry, not the build.
pub(crate) fn publish(unit: &Unit<'_>, inputs: &Inputs, made: Made) -> Published {
    let key = made.entry.manifest.digest();
    let reason = reason(unit, &made.entry.manifest);
    let mut published = Published {
        key,
        bytes: 0,
        path_bound: made.entry.path_bound,
        linker: made.entry.linker.clone(),
        reason,
        store_error: None,
    };
    if let Err(error) = store(unit, inputs, made, &mut published) {
        published.store_error = Some(error.to_string());
    }
    published
}

fn store(
    unit: &Unit<'_>,
    inputs: &Inputs,
    mut made: Made,
    published: &mut Published,
) -> Result<(), StoreError> {
    let store = &unit.context.store;
    let externs = unit.extern_paths();
    let mut refs = Vec::new();
    for path in &made.outputs {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let executable = rekindle_fsx::stat(path)?.is_executable();
        let is_script = scripts::stands_in(unit, executable);
        let mut wish = restore::wish(&name, unit.invocation.emit.metadata, executable);
        // What takes its place leaves the bytes to the store alone.
        wish.hardlink |= is_script;
        let stored = store.put_object(path, wish)?;
        // The signature is taken after storing: a hardlink made by it sets the change time.
        let sig = rekindle_fsx::stat(path)?;
        unit.files
            .remember_output(path, sig, stored.digest, inputs.closure, &externs);
        let bytes = (stored.digest, stored.size);
        let stands_in =
            is_script && scripts::stand_in(unit, path, bytes, (inputs.closure, Some(sig.mtime_ns)));
        if !stands_in {
            if is_script {
                own(path)?;
            }
            debug::localise(unit, path)?;
        }
        published.bytes += stored.size;
        refs.push(stored.digest);
        made.entry.outputs.push(Output {
            name,
            digest: stored.digest,
            size: stored.size,
            executable,
        });
    }
    store.put_record(Space::Entries, &published.key, &refs, &made.entry.encode())?;
    promote(unit, inputs, made.set)?;
    remember_latest(unit, &published.key)
}

/// Parts a program from the store, with which it may share its bytes: it is about to be changed in place.
fn own(program: &Path) -> std::io::Result<()> {
    if rekindle_fsx::stat(program)?.nlink == 1 {
        return Ok(());
    }
    let wish = Wish {
        hardlink: false,
        executable: true,
    };
    let temporary = rekindle_fsx::atomic::beside(program);
    place::place(program, program, &temporary, None, wish)?;
    Ok(())
}

/// Makes an output known to the units that are compiled with it.
pub(crate) fn remember_output(unit: &Unit<'_>, closure: Digest, path: &Path) {
    let path = unit.roots.absolute(path);
    // An output that cannot be read has no record, and its dependents are not cached.
    if let Ok(sig) = rekindle_fsx::stat(&path)
        && let Ok((digest, _)) = rekindle_fsx::hash_file(&path)
    {
        unit.files
            .remember_output(&path, sig, digest, closure, &unit.extern_paths());
    }
}

/// Makes all outputs of a compile known that could not be stored.
pub(crate) fn remember_outputs(unit: &Unit<'_>, inputs: &Inputs, ran: &Ran) {
    for path in announced(unit, ran) {
        remember_output(unit, inputs.closure, &path);
    }
}

/// Gives programs that could not be stored the real paths of this build, as storing them does. Where that fails, a debugger
/// finds no sources; the program does what it does.
pub(crate) fn name_sources(unit: &Unit<'_>, ran: &Ran) {
    if !debug::applies(unit) {
        return;
    }
    for path in announced(unit, ran) {
        let _ = own(&path).and_then(|()| debug::localise(unit, &path));
    }
}

/// The outputs that a compiler announced, dep-info apart.
fn announced(unit: &Unit<'_>, ran: &Ran) -> impl Iterator<Item = PathBuf> {
    let artifacts = ran.stderr.iter().filter_map(|line| execute::artifact(line));
    let outputs = artifacts.filter(|artifact| artifact.emit != "dep-info");
    outputs.map(|artifact| unit.roots.absolute(Path::new(&artifact.artifact)))
}

/// Puts a path set first among those of its invocation. Two processes that do so at once may lose one of
/// two sets: that costs a miss.
pub(crate) fn promote(unit: &Unit<'_>, inputs: &Inputs, set: PathSet) -> Result<(), StoreError> {
    let store = &unit.context.store;
    let mut sets = crate::lookup::path_sets(store, inputs).unwrap_or_default();
    if sets.promote(set) {
        store.put_record(Space::PathSets, &inputs.invocation_key, &[], &sets.encode())?;
    }
    Ok(())
}

/// Names of a unit for `explain`: the very unit, and whatever unit of its package and kind.
fn latest_keys(unit: &Unit<'_>) -> [Digest; 2] {
    let environment = unit.context.environment;
    let mut hasher = DigestHasher::new();
    for part in [
        "latest 1",
        &unit.invocation.crate_name,
        &unit.invocation.kind(),
    ] {
        hasher.field(part.as_bytes());
    }
    for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        hasher.field(environment.get(name).unwrap_or_default().as_bytes());
    }
    hasher.field(&unit.roots.canonical(&unit.invocation.out_dir));
    let general = hasher.finish();
    hasher.field(unit.invocation.extra_filename.as_bytes());
    [hasher.finish(), general]
}

/// Remembers under which key a unit was built or found last.
pub(crate) fn remember_latest(unit: &Unit<'_>, key: &Digest) -> Result<(), StoreError> {
    let store = &unit.context.store;
    let [exact, general] = latest_keys(unit);
    let known = store.get_record(Space::Latest, &exact).ok().flatten();
    if known.is_some_and(|record| record.payload == key.as_bytes()) {
        return Ok(());
    }
    for latest in [exact, general] {
        store.put_record(Space::Latest, &latest, &[], key.as_bytes())?;
    }
    Ok(())
}

/// What differs from the last time that this unit was built.
pub(crate) fn reason(unit: &Unit<'_>, manifest: &Manifest) -> MissReason {
    let store = &unit.context.store;
    for latest in latest_keys(unit) {
        let Ok(Some(record)) = store.get_record(Space::Latest, &latest) else {
            continue;
        };
        let Ok(key) = <[u8; 32]>::try_from(record.payload.as_slice()) else {
            continue;
        };
        let key = Digest::from_bytes(key);
        let entry = store.get_record(Space::Entries, &key).ok().flatten();
        return match entry.and_then(|record| Entry::decode(&record.payload)) {
            Some(entry) if entry.manifest != *manifest => MissReason::Changed {
                changes: explain::changes(&entry.manifest, manifest),
            },
            _ => MissReason::Evicted,
        };
    }
    MissReason::NeverSeen
}

fn read_dep_info(unit: &Unit<'_>) -> Result<DepInfo, UncacheableReason> {
    let path = unit.roots.absolute(&unit.invocation.dep_info_path());
    let bytes = rekindle_fsx::read(&path).map_err(|error| unreadable(&path, &error))?;
    DepInfo::parse(&bytes).ok_or_else(|| UncacheableReason::UnreadableInput {
        file: path.display().to_string(),
        error: "the dep-info is not in a form that this version knows".into(),
    })
}

/// The outputs that the compiler announced, dep-info apart, and its lines in canonical form.
fn outputs(unit: &Unit<'_>, ran: &Ran) -> Result<(Vec<PathBuf>, Vec<Line>), UncacheableReason> {
    let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
    let mut outputs: Vec<PathBuf> = Vec::new();
    let mut lines = Vec::new();
    for line in &ran.stderr {
        let text = unit
            .roots
            .canonical_text(line)
            .ok_or_else(|| UncacheableReason::Other {
                detail: "the compiler printed control characters".into(),
            })?;
        let Some(artifact) = execute::artifact(line).filter(|artifact| artifact.emit != "dep-info")
        else {
            // The notification of dep-info stands for a file that is written anew.
            lines.push(Line::Other(text));
            continue;
        };
        let path = unit.roots.absolute(Path::new(&artifact.artifact));
        if path.parent() != Some(&out_dir) || !rekindle_fsx::exists(&path) {
            return Err(UncacheableReason::MissingOutput {
                file: path.display().to_string(),
            });
        }
        let index = outputs
            .iter()
            .position(|other| *other == path)
            .unwrap_or_else(|| {
                outputs.push(path);
                outputs.len() - 1
            });
        lines.push(Line::Artifact(
            u32::try_from(index).unwrap_or(u32::MAX),
            text,
        ));
    }
    if outputs.is_empty() {
        return Err(UncacheableReason::MissingOutput {
            file: unit.invocation.file_stem(),
        });
    }
    Ok((outputs, lines))
}

/// Looks into an output: which real paths it holds, who linked it, what it bundles.
fn inspect(
    unit: &Unit<'_>,
    path: &Path,
    bound: &mut BTreeSet<Root>,
    linker: &mut Option<String>,
) -> Result<(), UncacheableReason> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    let roots: Vec<(Root, &[u8])> = unit
        .roots
        .iter()
        .map(|(root, real)| (root, real.as_os_str().as_bytes()))
        .collect();
    let needles: Vec<&[u8]> = roots.iter().map(|(_, real)| *real).collect();
    let found = scan::find_any(path, &needles).map_err(failed)?;
    for ((root, _), found) in roots.iter().zip(found) {
        if found {
            bound.insert(*root);
        }
    }
    if unit.link.is_some() {
        *linker = crate::elf::linker_of(path).or(linker.take());
    }
    Ok(())
}

/// Native archives that an output may have bundled, or that a source asks for.
fn native_names(
    unit: &Unit<'_>,
    outputs: &[PathBuf],
    dep_info: &DepInfo,
) -> Result<Vec<Name>, UncacheableReason> {
    let mut names = BTreeSet::new();
    let archive = |path: &&PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "rlib" || extension == "a")
    };
    for path in outputs.iter().filter(archive) {
        names.extend(natives::bundled(unit, path)?);
    }
    let searches = natives::searched(unit.invocation).next().is_some();
    if searches && unit.invocation.emit.link && names.is_empty() {
        for input in &dep_info.inputs {
            let path = unit.roots.absolute(Path::new(OsStr::from_bytes(input)));
            let source = rekindle_fsx::read(&path).map_err(|error| unreadable(&path, &error))?;
            if natives::asks_for_static(&source) {
                names.extend(natives::archives(unit));
                break;
            }
        }
    }
    Ok(names.into_iter().collect())
}

fn source_names(unit: &Unit<'_>, dep_info: &DepInfo) -> Result<Vec<Name>, UncacheableReason> {
    let mut names = Vec::with_capacity(dep_info.inputs.len());
    for input in &dep_info.inputs {
        let path = unit.roots.absolute(Path::new(OsStr::from_bytes(input)));
        unit.files
            .source(&path)
            .map_err(|error| unreadable(&path, &error))?;
        names.push(Name::Source(unit.roots.canonical(&path)));
        if let Some(other) = other_module_file(&path).filter(|other| !rekindle_fsx::exists(other)) {
            names.push(Name::Absent(unit.roots.canonical(&other)));
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The other place where the source of a module may lie: the compiler refuses a module with both, so
/// that the other one is not there is an input.
fn other_module_file(path: &Path) -> Option<PathBuf> {
    if path.extension() != Some(OsStr::new("rs")) {
        return None;
    }
    if path.file_name() == Some(OsStr::new("mod.rs")) {
        return Some(path.parent()?.with_extension("rs"));
    }
    Some(path.with_extension("").join("mod.rs"))
}

fn environment_names(unit: &Unit<'_>, dep_info: &DepInfo, bound: &BTreeSet<Root>) -> Vec<Name> {
    let mut names = Vec::new();
    for (variable, value) in &dep_info.env {
        let name = String::from_utf8_lossy(variable).into_owned();
        let root = value.as_deref().and_then(|value| root_of(unit, value));
        // Macros of other crates are fond of cargo's own; those that a script sets are this crate's.
        let only_included = !variable.starts_with(b"CARGO")
            && root.is_some_and(|root| !bound.contains(&root))
            && included::is_only_included(unit, dep_info, variable);
        names.push(if only_included {
            Name::EnvPath(name)
        } else {
            Name::Env(name)
        });
    }
    names.sort();
    names
}

/// The root that a value is a path below.
fn root_of(unit: &Unit<'_>, value: &[u8]) -> Option<Root> {
    let path = Path::new(OsStr::from_bytes(value));
    let mut roots = unit.roots.iter();
    roots.find_map(|(root, real)| path.starts_with(real).then_some(root))
}

/// Whether a variable whose value counts holds the real path of a root: what is made of it need not hold the path.
fn holds_paths(unit: &Unit<'_>, dep_info: &DepInfo, names: &[Name]) -> bool {
    let counts = |variable: &[u8]| {
        let is_it = |name: &Name| matches!(name, Name::Env(name) if name.as_bytes() == variable);
        names.iter().any(is_it)
    };
    let values = dep_info.env.iter().filter(|(name, _)| counts(name));
    let mut values = values.filter_map(|(_, value)| value.as_deref());
    values.any(|value| roots_in(unit, value).next().is_some())
}

/// The roots whose real paths a value holds.
fn roots_in<'a>(unit: &'a Unit<'_>, value: &'a [u8]) -> impl Iterator<Item = Root> + 'a {
    let holds = |path: &Path| memchr::memmem::find(value, path.as_os_str().as_bytes()).is_some();
    let roots = unit.roots.iter().filter(move |(_, path)| holds(path));
    roots.map(|(root, _)| root)
}

/// Whether a unit is path-bound, and each directory that it is bound to cargo's home: then it is of use in every directory
/// beside that home.
pub(crate) fn is_bound_to_home(unit: &Unit<'_>, entry: &Entry) -> bool {
    let is_home = |item: &Item| match item.tag {
        Tag::Directory => item.name == Root::CargoHome.name().as_bytes(),
        Tag::EnvDep => {
            let value = unit
                .context
                .environment
                .value(OsStr::from_bytes(&item.name));
            let value = value.map(OsStr::as_bytes).unwrap_or_default();
            roots_in(unit, value).all(|root| root == Root::CargoHome)
        }
        _ => true,
    };
    entry.path_bound && entry.manifest.items().iter().all(is_home)
}

/// Whether anything that is declared was written meanwhile: what the compiler named since it started, what
/// was hashed before it started since then. After values were taken: what was changed since is changed.
fn check_unchanged(
    unit: &Unit<'_>,
    inputs: &Inputs,
    ran: &Ran,
    set: &PathSet,
) -> Result<(), UncacheableReason> {
    let named = set.names.iter().filter_map(|name| match name {
        Name::Source(path) | Name::LinkerFile(path) | Name::Native(path) => Some(path),
        _ => None,
    });
    let hashed_before =
        |item: &&Item| matches!(item.tag, Tag::TargetSpec | Tag::ProfileData | Tag::Native);
    let before = inputs.manifest.items().iter().filter(hashed_before);
    let all = named
        .map(|path| (path, &ran.watch))
        .chain(before.map(|item| (&item.name, &unit.watch)));
    for (path, watch) in all {
        let Some(path) = unit.roots.resolve(path) else {
            continue;
        };
        let sig = rekindle_fsx::stat_follow(&path).map_err(|error| unreadable(&path, &error))?;
        if watch.may_have_changed(sig.ctime_ns) && !unit.files.is_settled(&sig) {
            return Err(UncacheableReason::ChangedDuringCompile {
                file: path.display().to_string(),
            });
        }
    }
    if unit.watch.clock_was_set() {
        return Err(UncacheableReason::ClockWasSet);
    }
    Ok(())
}

fn canonical_dep_info(unit: &Unit<'_>, dep_info: &DepInfo) -> DepInfo {
    let canonical = |paths: &[Vec<u8>]| {
        paths
            .iter()
            .map(|path| {
                if path.first() == Some(&b'/') {
                    unit.roots.canonical(Path::new(OsStr::from_bytes(path)))
                } else {
                    [RELATIVE, path].concat()
                }
            })
            .collect()
    };
    DepInfo {
        outputs: canonical(&dep_info.outputs),
        inputs: canonical(&dep_info.inputs),
        // Values are those of the present when they are written again; here they may be secrets.
        env: dep_info
            .env
            .iter()
            .map(|(name, _)| (name.clone(), None))
            .collect(),
    }
}

pub(crate) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
