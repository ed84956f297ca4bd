//! What the compiler's macros read without saying so, and what a linker read that cannot be asked: found by
//! observing the compiler, judged here.
//!
//! A compiler that runs no foreign code reads what it declares, so only units with a procedural macro
//! among what is behind their externs are observed, and those with such a linker. Of what is seen, the compiler's private reads and
//! what is keyed otherwise are left out by rule (the rows "of observed compiles" in the key's table); the
//! rest joins the path set. Where the observer was blind, the unit is stored under what was declared, and
//! its event says so; what such a linker made is not stored then.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_events::{Refusal, UncacheableReason};
use rekindle_fsx::time::Watch;
use rekindle_fsx::{real_but_last, scan};
use rekindle_key::pathset::Name;
use rekindle_key::table::{self, COMPILER_ENV_NAMES};
use rekindle_key::variables::{NEVER_KEYED, SEARCHED, is_among, is_telling};
use rekindle_key::{Manifest, Roots, SearchKind, outdir, profile};
use rekindle_observe::{Contact, EnvDoubt, Observation, Observer, Options, Seen};
use rekindle_outputs::present::search_path;
use rekindle_steps::meanwhile::Meanwhile;
use rekindle_steps::{judge, told};

use crate::inputs::{Unit, unreadable};
use crate::link::{Link, LinkPlan};
use crate::natives;

/// How a compile is observed.
pub(crate) struct Watched {
    pub(crate) observer: Observer,
    pub(crate) options: Options,
}

/// Whether a compile of the unit is observed, where the system allows it.
pub(crate) fn can_watch(unit: &Unit<'_>) -> bool {
    unit.context.settings.can_observe() && (watches_link(unit) || runs_macros(unit))
}

/// Whether only this tells what the linker read.
pub(crate) fn watches_link(unit: &Unit<'_>) -> bool {
    matches!(unit.link, Some(Link::Watched(_)))
}

/// Why the output of a linker that cannot be asked is not stored.
pub(crate) fn unseen_link(why: &str, observation: Option<&Observation>) -> UncacheableReason {
    let blind = observation.and_then(|seen| seen.blind.first());
    let detail = match blind.map(judge::why) {
        Some(blind) => format!("{why}, and it could not be observed: {blind}"),
        None => why.to_owned(),
    };
    UncacheableReason::UnknownLinker { detail }
}

/// How a unit is to be observed; `None` where nothing undeclared can be read, or observing is off.
pub(crate) fn watched(unit: &Unit<'_>, link_dir: &Path) -> Option<Watched> {
    if !can_watch(unit) {
        return None;
    }
    let settings = unit.context.settings;
    let environment = unit.context.environment;
    let mut trusted = vec![real(&unit.toolchain.sysroot)];
    // rustup's stand-in for the compiler.
    let compiler = environment.find_program(&unit.chain.rustc);
    trusted.extend(compiler.map(|path| real(&path)));
    let mut skip = trusted.clone();
    skip.extend(rustup_home(&unit.toolchain.sysroot));
    let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
    skip.push(real(&out_dir));
    skip.push(real(link_dir));
    let incremental = unit.invocation.incremental.as_deref();
    skip.extend(incremental.map(|dir| real(&unit.roots.absolute(dir))));
    let crates = unit
        .invocation
        .searches
        .iter()
        .filter(|search| matches!(search.kind, SearchKind::Dependency | SearchKind::Crate));
    skip.extend(crates.map(|search| real(&unit.roots.absolute(&search.path))));
    skip.extend(unit.extern_paths());
    let tools = settings.store_dir.join("observe");
    let options = Options {
        skip,
        trusted,
        // A linker that can be asked is started through this program, which has it list what it reads.
        elsewhere: vec![real(&environment.program)],
        preload: rekindle_observe::install_preload(&tools).ok().flatten(),
        ld_preload: environment.get("LD_PRELOAD").map(OsStr::to_owned),
        redirect: None,
        foreign_libraries: None,
    };
    Some(Watched {
        observer: Observer::probe(),
        options,
    })
}

/// Whether a procedural macro is among all that is behind the externs, or may be.
fn runs_macros(unit: &Unit<'_>) -> bool {
    macros(unit).next().is_some()
}

/// The procedural macros, or shared libraries that may be some, among all that is behind the externs, as they are come
/// upon; `None` for what is not known.
fn macros(unit: &Unit<'_>) -> impl Iterator<Item = Option<PathBuf>> {
    let mut seen = BTreeSet::new();
    let mut pending = unit.extern_paths();
    std::iter::from_fn(move || {
        while let Some(path) = pending.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            if path.extension() == Some(OsStr::new("so")) {
                return Some(Some(path));
            }
            match unit.files.output(&path) {
                Some(record) => pending.extend(record.externs.iter().cloned()),
                None => return Some(None),
            }
        }
        None
    })
}

fn real(path: &Path) -> PathBuf {
    rekindle_fsx::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// `RUSTUP_HOME`, of a toolchain that is rustup's: it says which toolchain is taken, which is known.
fn rustup_home(sysroot: &Path) -> Option<PathBuf> {
    let toolchains = real(sysroot).parent()?.to_owned();
    (toolchains.file_name()? == "toolchains").then_some(toolchains.parent()?.to_owned())
}

/// Whether a compile was seen as a whole.
pub(crate) fn is_whole(observation: &Observation) -> bool {
    let unreported = EnvDoubt::Unreported;
    let doubts = observation.env.doubts.values();
    observation.blind.is_empty() && !doubts.flatten().any(|doubt| *doubt == unreported)
}

/// The names of what was read beyond what is declared.
///
/// # Errors
/// What cannot be keyed.
pub(crate) fn names(
    unit: &Unit<'_>,
    observation: &Observation,
    declared: &[Name],
) -> Result<Vec<Name>, UncacheableReason> {
    let refused = |refusal| UncacheableReason::Observed { refusal };
    let mut names = BTreeSet::new();
    for contact in &observation.contacts {
        if !is_jobserver(unit, contact) {
            names.extend(judge::contacted(contact).map_err(refused)?);
        }
    }
    let rules = Rules::new(unit, declared);
    let search = search_path(unit.context.environment);
    // A program that is the compiler's own was found along `PATH` as any other.
    for program in &observation.programs {
        judge::push_lookup(program, Seen::READ, search, &mut names);
    }
    for (path, seen) in observation.files.iter() {
        judge::push_lookup(path, seen, search, &mut names);
        if !rules.leave_out(path, seen) {
            // What a script made of such names is looked for in its outputs. Of a program's text nobody could say.
            if seen.has(Seen::LISTED) && profile::is_filled(&rules.roots.canonical(path)) {
                let path = path.display().to_string();
                return Err(refused(Refusal::ListedOutputs { path }));
            }
            judge::push_path(&rules.roots, path, seen, &observation.programs, &mut names);
        }
    }
    let known: BTreeSet<&Name> = declared.iter().collect();
    let mut names: Vec<Name> = names
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    names.extend(variables(unit, observation, &known));
    Ok(names)
}

/// Whether anything that was read without a word was changed meanwhile by others, once its values were taken.
///
/// # Errors
/// What was changed.
pub(crate) fn check_unchanged(
    unit: &Unit<'_>,
    observation: &Observation,
    (watch, manifest): (&Watch, &Manifest),
) -> Result<(), UncacheableReason> {
    let meanwhile = Meanwhile {
        present: unit.present(),
        watch,
        observation,
    };
    match meanwhile.changed(manifest) {
        Some(path) => Err(UncacheableReason::ChangedDuringCompile {
            file: path.display().to_string(),
        }),
        None => Ok(()),
    }
}

/// What was changed outside of where outputs go: it cannot be replayed. Below the target directory macros
/// keep what they can do without.
///
/// # Errors
/// What was changed.
pub(crate) fn check_writes(
    unit: &Unit<'_>,
    observation: &Observation,
) -> Result<(), UncacheableReason> {
    let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
    let target = real(&outdir::target_root(
        &out_dir,
        unit.invocation.target.as_deref(),
    ));
    for path in &observation.writes {
        if judge::is_no_file(path) {
            continue;
        }
        let was_read = observation.files.contains(path);
        if was_read || (!path.starts_with(&target) && rekindle_fsx::exists(path)) {
            let path = path.display().to_string();
            let refusal = Refusal::WroteOutside { path };
            return Err(UncacheableReason::Observed { refusal });
        }
    }
    Ok(())
}

/// A jobserver that is a FIFO bounds parallelism alone.
fn is_jobserver(unit: &Unit<'_>, contact: &Contact) -> bool {
    let Contact::Process { what } = contact else {
        return false;
    };
    ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"]
        .iter()
        .any(|name| {
            let flags = unit.context.environment.get(name).unwrap_or_default();
            memchr::memmem::find(flags.as_bytes(), what.as_os_str().as_bytes()).is_some()
        })
}

/// The variable that leads the loader.
pub(crate) const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Variables of which a macro's read means nothing.
const HARMLESS: &[&str] = &[
    LIBRARY_PATH,
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUST_MIN_STACK",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
];

fn variables(unit: &Unit<'_>, observation: &Observation, known: &BTreeSet<&Name>) -> Vec<Name> {
    let is_keyed = |name: &[u8]| {
        let Ok(text) = std::str::from_utf8(name) else {
            return false;
        };
        let declared = Name::Env(text.to_owned());
        table::is_package_variable(text)
            || COMPILER_ENV_NAMES.contains(&text)
            || HARMLESS.contains(&text)
            || known.contains(&declared)
    };
    let sysroot = real(&unit.toolchain.sysroot);
    let asked = observation.env.names.iter().map(|name| name.as_bytes());
    let mut asked: BTreeSet<&[u8]> = asked
        .filter(|name| !is_among(name, NEVER_KEYED) && !is_keyed(name))
        .collect();
    if judge::loaded_reads_environment(&observation.env, &sysroot) {
        // It is none of all, as it leads shells to what is seen anyway. A macro that goes through them may look at what it says.
        asked.insert(SEARCHED);
    }
    let asked = asked.into_iter().map(|name| Name::Variable(name.to_vec()));
    // After those that are asked for: what follows in a manifest is what it stands for.
    let all = judge::reads_environment(&observation.env, &sysroot).then_some(Name::Variables);
    asked.chain(all).collect()
}

/// Variables that do not count where all are read, and of which the compile made something all the same.
///
/// # Errors
/// Where an output cannot be read.
pub(crate) fn values(
    unit: &Unit<'_>,
    observation: &Observation,
    (outputs, declared): (&[PathBuf], &[Name]),
) -> Result<Vec<Name>, UncacheableReason> {
    let environment = unit.context.environment;
    let searched = environment.value(OsStr::from_bytes(SEARCHED));
    let searched = searched.filter(|value| is_telling(value));
    let searched = searched.map(|value| (SEARCHED, value.as_bytes()));
    let looked_for: Vec<told::Variable<'_>> = told::left_out(environment).chain(searched).collect();
    let needles: Vec<&[u8]> = looked_for.iter().map(|(_, value)| *value).collect();
    let mut held = BTreeSet::new();
    for path in outputs {
        let found = scan::find_any(path, &needles).map_err(|error| unreadable(path, &error))?;
        let found = looked_for.iter().zip(found).filter(|(_, found)| *found);
        held.extend(found.map(|((name, _), _)| name.to_vec()));
    }
    if held.is_empty() {
        return Ok(Vec::new());
    }
    // Of macros that are not known, each may speak of any.
    let Some(macros) = macros(unit).collect::<Option<Vec<PathBuf>>>() else {
        return Ok(held.into_iter().map(Name::Variable).collect());
    };
    let sources = declared.iter().filter_map(|name| match name {
        Name::Source(path) => unit.roots.resolve(path),
        _ => None,
    });
    let sysroot = real(&unit.toolchain.sysroot);
    let read = judge::speakers(observation).filter(|path| !path.starts_with(&sysroot));
    let speakers: Vec<PathBuf> = macros
        .into_iter()
        .chain(sources)
        .chain(read.map(Path::to_owned))
        .collect();
    let told = told::told(&looked_for, &held, speakers.iter().map(PathBuf::as_path));
    Ok(told.names.into_iter().map(Name::Variable).collect())
}

/// What is left out of a compile's reads.
struct Rules {
    /// The unit's, as paths really are.
    roots: Roots,
    /// What dep-info names, and the directories above.
    declared: BTreeSet<PathBuf>,
    above: BTreeSet<PathBuf>,
    /// Our own program, and the links by which the linker's driver is found, which is keyed as such.
    tools: BTreeSet<PathBuf>,
    /// Where roots are said to be, be it by a link, as a `target` that is on another disk: what is below has the root's name
    /// wherever that leads. Of a link further up this would not be so.
    shown: BTreeSet<PathBuf>,
    /// Where the loader looks for libraries.
    loader: Vec<PathBuf>,
    /// Where the compiler looks for native libraries.
    natives: Vec<PathBuf>,
    /// Whether a library that was read may have been linked, so that no rule about libraries holds.
    links: bool,
}

impl Rules {
    fn new(unit: &Unit<'_>, declared: &[Name]) -> Self {
        let cwd = real(&unit.context.environment.cwd);
        let mut files = BTreeSet::new();
        for name in declared {
            let (Name::Source(path)
            | Name::Absent(path)
            | Name::LinkerFile(path)
            | Name::Native(path)) = name
            else {
                continue;
            };
            if let Some(path) = unit.roots.resolve(path) {
                files.insert(real_but_last(&path));
                files.insert(real(&path));
            }
        }
        let out_dir = real(&unit.roots.absolute(&unit.invocation.out_dir));
        let sysroot = real(&unit.toolchain.sysroot);
        let cargo_home = real(&unit.context.settings.cargo_home);
        let program = real(&unit.context.environment.program);
        let above = files
            .iter()
            .chain([&cwd, &out_dir, &sysroot, &cargo_home, &program])
            .flat_map(|path| path.ancestors())
            .map(Path::to_owned)
            .collect();
        let library_path = unit.context.environment.get(LIBRARY_PATH);
        let loader = std::env::split_paths(library_path.unwrap_or_default())
            .map(|dir| real(&dir))
            .chain(
                ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from),
            )
            .collect();
        Self {
            roots: unit.real_roots(),
            declared: files,
            above,
            tools: tools(unit),
            shown: unit
                .roots
                .iter()
                .map(|(_, path)| real_but_last(path))
                .collect(),
            loader,
            natives: natives::searched(unit.invocation)
                .map(|dir| real(&unit.roots.absolute(dir)))
                .collect(),
            links: watches_link(unit),
        }
    }

    fn leave_out(&self, path: &Path, seen: Seen) -> bool {
        let name = path.file_name().unwrap_or_default().as_bytes();
        if self.declared.contains(path) && !seen.has(Seen::LISTED) {
            return true;
        }
        if self.tools.contains(path) {
            return true;
        }
        if is_link(seen) && self.shown.contains(path) {
            return true;
        }
        // The compiler looks at the directories of its sources and outputs.
        if seen == Seen::THERE && self.above.contains(path) {
            return true;
        }
        is_loaders_file(path)
            || (!self.links && (self.is_loaders(path, name, seen) || self.is_native(path, name)))
    }

    /// Libraries that the dynamic loader reads before a program begins, and where it looks for them.
    fn is_loaders(&self, path: &Path, name: &[u8], seen: Seen) -> bool {
        let is_library = memchr::memmem::find(name, b".so").is_some();
        let is_root_link = seen == Seen::LINK && path.parent() == Some(Path::new("/"));
        let looked = seen == Seen::THERE || seen == Seen::MISSING || seen == Seen::LINK;
        let in_place = self.loader.iter().any(|dir| path.starts_with(dir));
        is_root_link
            || (in_place && (is_library || (looked && is_loaders_directory(name))))
            || self.loader.iter().any(|dir| looked && path == dir)
    }

    /// Names in these directories are keyed, and the archives that matter by content.
    fn is_native(&self, path: &Path, name: &[u8]) -> bool {
        let is_library = [".a", ".so", ".lib", ".rlib", ".rmeta"]
            .iter()
            .any(|end| name.ends_with(end.as_bytes()));
        let mut natives = self.natives.iter();
        natives.any(|dir| path == dir || (is_library && path.parent() == Some(dir)))
    }
}

/// See [`Rules`]. `/dev/fd` is a link of the system's to `/proc/self/fd`, of any process.
fn tools(unit: &Unit<'_>) -> BTreeSet<PathBuf> {
    let environment = unit.context.environment;
    let mut tools = BTreeSet::from([PathBuf::from("/dev/fd"), real(&environment.program)]);
    let driver = unit.asked_link().map(LinkPlan::driver);
    let mut next = driver.and_then(|driver| environment.find_program(driver));
    while let Some(path) = next {
        let path = real_but_last(&path);
        let to = rekindle_fsx::read_link(&path).ok();
        next = to.and_then(|to| Some(path.parent()?.join(to)));
        // A chain that comes back to itself leads nowhere.
        if !tools.insert(path) {
            break;
        }
    }
    tools
}

/// Whether a path was followed as a link and nothing else.
fn is_link(seen: Seen) -> bool {
    seen == Seen::LINK || seen == Seen::LINK.with(Seen::THERE)
}

/// What the dynamic loader and the C library read before a program begins.
fn is_loaders_file(path: &Path) -> bool {
    const FILES: [&str; 3] = ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/malloc.conf"];
    FILES.iter().any(|file| path == Path::new(file))
}

/// Directories of libraries for better processors.
fn is_loaders_directory(name: &[u8]) -> bool {
    name.starts_with(b"x86-64-v")
        || [
            b"glibc-hwcaps".as_slice(),
            b"tls",
            b"x86_64",
            b"haswell",
            b"avx512_1",
            b"aarch64",
            b"atomics",
        ]
        .contains(&name)
}
