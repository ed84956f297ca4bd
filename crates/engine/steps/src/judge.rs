//! What was seen of a run: whether it may be stored, and under which names its inputs are keyed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_events::Refusal;
use rekindle_fsx::scan;
use rekindle_key::Roots;
use rekindle_key::loader;
use rekindle_key::pathset::{Name, PathSet};
use rekindle_key::plain;
use rekindle_key::profile;
use rekindle_key::variables::{self, NEVER_KEYED, OF_MESSAGES, is_among};
use rekindle_key::words::Words;
use rekindle_observe::{Blind, EnvDoubt, EnvReads, Observation, Seen, SeenPaths, is_of_kind};

use crate::told::WORDS_STAND_WHOLE;
use crate::{Ran, Step};
use rekindle_outputs::elf;
use rekindle_outputs::listing;
use rekindle_outputs::present::{HOST_NAME, search_path};

mod contacts;

pub use contacts::contacted;
use contacts::{Contacted, contact_of};

/// What a step may do and still be stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// The user's word that what it talks to does not change what it makes.
    pub trusted: bool,
    /// Whether it is of a package that somebody else wrote: the time at which it runs may stand in what it makes, which is then the
    /// time at which that was made, and interpreters may be started. cargo keeps both with the target directory.
    pub of_dependency: bool,
    /// Whether its outputs are its inputs, too: what was there before is keyed by the caller, among the
    /// arguments.
    pub updates: bool,
    /// Whether it is known to remove nothing but what it made itself: compilers make their temporary
    /// files beside their outputs, under names that must be new.
    pub tidies: bool,
    /// Whether it looks at the directories above its outputs to write there, and for nothing else: compilers resolve the names of
    /// their outputs.
    pub resolves: bool,
    /// Whether it translates what it says, has no other use for a language, and has said nothing: compilers that have nothing to
    /// warn of.
    pub is_silent: bool,
    /// Variables whose values do nothing but lead to what is observed anyway.
    pub unkeyed: &'static [&'static str],
}

/// What was seen, judged.
pub(crate) struct Judged {
    /// The names of what was read.
    pub(crate) names: PathSet,
    /// Whether a clock was read by a program that may put the time into what it makes.
    pub(crate) may_be_dated: bool,
    /// Which variables were read beside those that were asked for.
    pub(crate) environment: EnvironmentRead,
    /// The name of the host, where it was asked for only to be written into a log.
    pub(crate) host_name: Option<Vec<u8>>,
    /// Where `PWD` leads, if that is not to stand in anything that was made.
    pub(crate) elsewhere: Option<PathBuf>,
    /// Paths of what cargo had put into directories that it listed, from the profile on: they do not count, unless they stand in
    /// something that was made.
    pub(crate) built: Vec<Vec<u8>>,
}

/// Which variables were read beside those that were asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvironmentRead {
    /// No others.
    Asked,
    /// All that a program speaks of, which looks for names in a copy of all.
    Spoken(Words),
    /// All.
    Whole,
}

/// Names what a run read.
///
/// # Errors
/// Why it cannot be stored.
pub(crate) fn judge(step: &Step<'_>, ran: &Ran, policy: Policy) -> Result<Judged, Refusal> {
    if ran.exit_code != 0 {
        return Err(Refusal::Failed {
            exit_code: ran.exit_code,
        });
    }
    let observation = &ran.observation;
    if let Some(blind) = observation.blind.first() {
        return Err(Refusal::Blind { why: why(blind) });
    }
    let mut names = BTreeSet::new();
    let mut may_be_dated = false;
    let mut host_name = None;
    for contact in &observation.contacts {
        match contact_of(contact) {
            Contacted::Harmless => {}
            Contacted::Keyed(path) => {
                names.insert(Name::File(path.to_vec()));
            }
            Contacted::HostName => {
                let name = rekindle_fsx::host_name();
                if variables::is_telling(OsStr::from_bytes(&name)) {
                    host_name = Some(name);
                } else {
                    names.insert(Name::File(HOST_NAME.to_vec()));
                }
            }
            Contacted::Stamp => may_be_dated = true,
            Contacted::Drawn(_) | Contacted::Refused(_) if policy.trusted => {}
            Contacted::Drawn(_) if !contacts::draws(observation) => {}
            Contacted::Seeded(_) | Contacted::Timed(_)
                if policy.trusted || policy.of_dependency => {}
            Contacted::Timed(refusal)
            | Contacted::Drawn(refusal)
            | Contacted::Seeded(refusal)
            | Contacted::Refused(refusal) => return Err(refusal),
        }
    }
    check_writes(step, ran, policy)?;
    let search = search_path(step.environment);
    let elsewhere = elsewhere(step, &observation.env);
    let mut walked = walked(&step.roots, &observation.files);
    if policy.resolves {
        walked.extend(above_places(step));
    }
    let missing = missing_directories(&observation.files);
    // By their bytes; what of them is no output the run made and removed, or was about to make: see `check_writes`.
    let written: BTreeSet<&OsStr> = observation
        .writes
        .iter()
        .map(|path| path.as_os_str())
        .collect();
    for (path, seen) in observation.files.iter() {
        if step.places.iter().any(|place| place.holds(path)) {
            if !policy.updates {
                check_earlier(ran, path, seen)?;
            }
        } else if (seen == Seen::THERE && walked.contains(&**path))
            || (policy.is_silent && is_of_messages(path))
        {
            // See the table of exclusions.
        } else if !written.contains(path.as_os_str())
            && !step.own.iter().any(|own| plain::is_same(own, path))
            && !is_elsewhere(step, elsewhere.as_deref(), (path, policy))?
        {
            let directory = directory_in_vain(path, seen);
            match directory.filter(|directory| missing.contains(directory.as_os_str())) {
                Some(directory) => _ = names.insert(Name::Kind(step.roots.canonical(directory))),
                None => push_path(&step.roots, path, seen, &observation.programs, &mut names),
            }
            push_lookup(path, seen, search, &mut names);
        }
    }
    let environment = environment_read(&observation.env);
    let mut names: Vec<Name> = names.into_iter().collect();
    let is_listed =
        |(path, seen): (&PathBuf, Seen)| seen.has(Seen::LISTED) && search.contains(path);
    if observation.files.iter().any(is_listed) {
        names.push(Name::Variable(variables::SEARCHED.to_vec()));
    }
    names.extend(names_of_variables(&observation.env, policy));
    // After those that are asked for: what follows in a manifest is what it stands for.
    names.extend(match &environment {
        EnvironmentRead::Asked => None,
        EnvironmentRead::Spoken(words) => Some(Name::Spoken(words.encode())),
        EnvironmentRead::Whole => Some(Name::Variables),
    });
    Ok(Judged {
        names: PathSet { names },
        // Who vouches for a step vouches for this as well.
        may_be_dated: may_be_dated && !policy.trusted && !policy.of_dependency,
        environment,
        host_name,
        elsewhere,
        built: listed_of_cargos(step, &observation.files),
    })
}

/// What made an observer blind, in words.
#[must_use]
pub fn why(blind: &Blind) -> String {
    match blind {
        Blind::Off => "observing is switched off".to_owned(),
        Blind::Unsupported => "this system has no observer".to_owned(),
        Blind::Refused(error) => format!("the kernel refused (error {error})"),
        Blind::AnotherListener => "another program observes already".to_owned(),
        Blind::Unreadable(error) => format!("a call could not be read (error {error})"),
        Blind::TooMuch => "more happened than can be kept".to_owned(),
        Blind::OtherRoot => "a process changed what paths mean to it".to_owned(),
        Blind::Unseen(interface) => format!("a process used `{interface}`"),
        Blind::Failed(reason) => reason.clone(),
    }
}

/// Whether variables were read as a whole. A program below `trusted` is doubted for what it loaded, and for
/// nothing else; what is known of programs of its name does not hold for that.
#[must_use]
pub fn reads_environment(env: &EnvReads, trusted: &Path) -> bool {
    loaded_reads_environment(env, trusted)
        || doubts(env)
            .keys()
            .any(|program| !program.starts_with(trusted))
}

/// Whether what a program below `trusted` loaded read variables as a whole.
#[must_use]
pub fn loaded_reads_environment(env: &EnvReads, trusted: &Path) -> bool {
    let loaded = |doubt: &EnvDoubt| !matches!(doubt, EnvDoubt::Unreported);
    let of_trusted = env.doubts.iter();
    let mut of_trusted = of_trusted.filter(|(program, _)| program.starts_with(trusted));
    of_trusted.any(|(_, doubts)| doubts.iter().any(loaded))
}

/// What may speak of a variable that was read among all: programs that may have read them all, and every file that was
/// read and is no program.
pub fn speakers(observation: &Observation) -> impl Iterator<Item = &Path> {
    let is_read = |(path, seen): &(&PathBuf, Seen)| {
        seen.has(Seen::READ) && !observation.programs.contains(*path)
    };
    let files = observation.files.iter().filter(is_read);
    let files = files.map(|(path, _)| path.as_path());
    let programs = doubts(&observation.env).into_keys().map(PathBuf::as_path);
    programs.chain(files)
}

/// Whether what is written there leaves nothing behind. In `/dev/shm` are files like any others.
#[must_use]
pub fn is_no_file(path: &Path) -> bool {
    let is_device = path.starts_with("/dev") && !path.starts_with("/dev/shm");
    is_device || path.starts_with("/proc/self")
}

/// A temporary file that the run made is gone at its end; whatever else it changed outside of its
/// directories cannot be replayed. What was removed may have been there before: it was not where it
/// was looked for in vain first, and does not matter where temporary files lie.
fn check_writes(step: &Step<'_>, ran: &Ran, policy: Policy) -> Result<(), Refusal> {
    let temporary = step.environment.get("TMPDIR").unwrap_or_default();
    let places = [
        Path::new(temporary),
        Path::new("/tmp"),
        Path::new("/var/tmp"),
    ];
    let is_for_temporary = |path: &Path| {
        let mut places = places.iter().filter(|place| place.is_absolute());
        let is_of_root = step.roots.canonical(path).first() == Some(&b'{');
        !is_of_root && places.any(|place| path.starts_with(place))
    };
    for path in &ran.observation.writes {
        let is_output = step.places.iter().any(|place| place.holds(path));
        if is_output || is_no_file(path) {
            continue;
        }
        let seen = ran.observation.files.get(path).unwrap_or_default();
        let was_there = [Seen::READ, Seen::THERE, Seen::LISTED, Seen::LINK]
            .into_iter()
            .any(|there| seen.has(there));
        let is_temporary = is_for_temporary(path) || is_compilers_temporary(path);
        let was_missing = seen.has(Seen::MISSING) || policy.tidies || is_temporary;
        if was_there || !was_missing || rekindle_fsx::exists(path) {
            return Err(Refusal::WroteOutside {
                path: path.display().to_string(),
            });
        }
    }
    Ok(())
}

/// Whether it lies in a directory that rustc makes beside its output for the time of a compile, under a name
/// that it draws: `rmetaX5DIhb/full.rmeta`. A directory that was there before would be another one.
fn is_compilers_temporary(path: &Path) -> bool {
    path.components()
        .any(|part| profile::is_temporary(part.as_os_str().as_bytes()))
}

/// A run that begins with nothing in its directories, as a replayed one does, finds nothing there.
fn check_earlier(ran: &Ran, path: &Path, seen: Seen) -> Result<(), Refusal> {
    let below_listed = || ran.earlier.iter().any(|earlier| earlier.starts_with(path));
    let found = ran.earlier.contains(path) && !seen.has(Seen::MISSING);
    if found || (seen.has(Seen::LISTED) && below_listed()) {
        return Err(Refusal::FoundEarlierOutput {
            path: path.display().to_string(),
        });
    }
    Ok(())
}

/// Where `PWD` leads, if it was asked for and that is neither here nor below a root.
fn elsewhere(step: &Step<'_>, env: &EnvReads) -> Option<PathBuf> {
    let name = OsStr::from_bytes(variables::SHELLS_DIRECTORY);
    let value = step.environment.value(name)?;
    let is_it = variables::shells_directory(Some(value), &step.shown) == variables::ELSEWHERE;
    (is_it && env.names.contains(name)).then(|| PathBuf::from(value))
}

/// Paths of what cargo puts into directories that were listed, each from the profile on. In `deps` they begin alike, in a profile's own there
/// is much else.
fn listed_of_cargos(step: &Step<'_>, files: &SeenPaths) -> Vec<Vec<u8>> {
    let listed = files.iter().filter(|(path, seen)| {
        seen.has(Seen::LISTED) && profile::is_filled(&step.roots.canonical(path))
    });
    let mut paths = Vec::new();
    for (path, _) in listed {
        let last = |path: &Path| path.file_name().unwrap_or_default().as_bytes().to_vec();
        if path.file_name() == Some(OsStr::new("deps")) {
            let profile = path.parent().map(last).unwrap_or_default();
            paths.push([&profile[..], b"/deps/"].concat());
        } else {
            let found = listing::found_by_people(path).into_iter();
            paths.extend(found.map(|name| [&last(path)[..], b"/", name.as_bytes()].concat()));
        }
    }
    paths
}

/// The directories above a root, where each of them was looked at: who resolves a path asks whether one is a
/// link. Above the real path of a root none is, here and elsewhere. Who looks at one of them alone may want to
/// know whether it is there.
fn walked<'a>(roots: &'a Roots, files: &SeenPaths) -> BTreeSet<&'a Path> {
    let above = |root: &'a Path| {
        let above = root.ancestors().skip(1);
        above.filter(|path| path.parent().is_some())
    };
    roots
        .iter()
        .filter(|(_, root)| above(root).all(|path| files.contains(path)))
        .flat_map(|(_, root)| above(root))
        .collect()
}

/// Whether it is of a language: its letters, or messages in it.
fn is_of_messages(path: &Path) -> bool {
    const PLACES: [&str; 3] = [
        "/usr/lib/locale",
        "/usr/share/locale",
        "/usr/share/locale-langpack",
    ];
    PLACES.iter().any(|place| path.starts_with(place))
        || path.ends_with("gconv/gconv-modules.cache")
}

/// The directories below roots that are above where outputs go: without them there would be none.
fn above_places<'a>(step: &'a Step<'_>) -> impl Iterator<Item = &'a Path> {
    let is_of_root = |path: &&Path| step.roots.canonical(path).first() == Some(&b'{');
    let places = step.places.iter();
    places.flat_map(move |place| place.path().ancestors().skip(1).take_while(is_of_root))
}

/// Whether a path is the directory that `PWD` names. Compilers compare it with their own and then forget
/// it. Whoever looks below it makes use of it.
fn is_elsewhere(
    step: &Step<'_>,
    elsewhere: Option<&Path>,
    (path, policy): (&Path, Policy),
) -> Result<bool, Refusal> {
    let Some(elsewhere) = elsewhere.filter(|elsewhere| plain::below(path, elsewhere).is_some())
    else {
        return Ok(false);
    };
    if path == elsewhere {
        return Ok(true);
    }
    let is_known = policy.unkeyed.contains(&"PWD");
    if is_known || step.roots.canonical(path).first() == Some(&b'{') {
        return Ok(false);
    }
    Err(Refusal::ShellsDirectory {
        path: path.display().to_string(),
    })
}

/// So many things that were looked for in one missing directory have one name between them. Fewer keep their own:
/// elsewhere the directory may be there without them.
const MANY: usize = 8;

/// Directories that are not there, and in which many things were looked for in vain: that a directory is missing says it of all
/// in it, and a compiler looks for each of its headers in each directory that it is given.
fn missing_directories(files: &SeenPaths) -> HashSet<&OsStr> {
    let mut counts: HashMap<&OsStr, usize> = HashMap::new();
    let in_vain = files
        .iter()
        .filter_map(|(path, seen)| directory_in_vain(path, seen));
    let mut in_vain = in_vain.map(Path::as_os_str).peekable();
    // In their order those of one directory mostly follow each other.
    while let Some(directory) = in_vain.next() {
        let mut count = 1;
        while in_vain.next_if_eq(&directory).is_some() {
            count += 1;
        }
        *counts.entry(directory).or_default() += count;
    }
    let is_missing = |path: &OsStr| {
        let sig = rekindle_fsx::stat(Path::new(path));
        sig.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    let many = counts.into_iter().filter(|(_, count)| *count >= MANY);
    many.map(|(directory, _)| directory)
        .filter(|directory| is_missing(directory))
        .collect()
}

/// The directory of what was looked for in vain, and for nothing else. The names of libraries count besides.
fn directory_in_vain(path: &Path, seen: Seen) -> Option<&Path> {
    if seen != Seen::MISSING {
        return None;
    }
    let (directory, name) = split(path)?;
    (!loader::is_library(name)).then_some(directory)
}

/// The directory of an observed path, and its name in there. [`Path`] itself would look at each of its parts, of which one of
/// these has none that is empty or `.`.
fn split(path: &Path) -> Option<(&Path, &[u8])> {
    let bytes = path.as_os_str().as_bytes();
    let at = memchr::memrchr(b'/', bytes)?;
    let name = &bytes[at + 1..];
    let directory = Path::new(OsStr::from_bytes(&bytes[..at.max(1)]));
    (!name.is_empty()).then_some((directory, name))
}

/// Adds the names of what was done with a path.
pub fn push_path(
    roots: &Roots,
    path: &Path,
    seen: Seen,
    programs: &BTreeSet<PathBuf>,
    names: &mut BTreeSet<Name>,
) {
    let name = || roots.canonical(path);
    // What is in the loader's index counts name by name.
    if path.as_os_str().as_bytes() == loader::INDEX {
        return;
    }
    let file_name = split(path).map_or(b"".as_slice(), |(_, name)| name);
    if loader::is_library(file_name) && (seen.has(Seen::READ) || seen.has(Seen::MISSING)) {
        names.insert(Name::Library(file_name.to_vec()));
    }
    if seen.has(Seen::READ) && programs.contains(path) {
        names.insert(Name::Program(name()));
    } else if seen.has(Seen::READ) {
        names.insert(Name::File(name()));
    }
    if seen.has(Seen::LISTED) {
        names.insert(Name::Listing(name()));
    }
    if seen.has(Seen::LINK) {
        names.insert(Name::Link(name()));
    }
    let is_known = [Seen::READ, Seen::LISTED, Seen::LINK]
        .into_iter()
        .any(|known| seen.has(known));
    if seen.has(Seen::MISSING) || (seen.has(Seen::THERE) && !is_known) {
        names.insert(Name::Kind(name()));
    }
}

/// A name that was looked for in a directory of `PATH`: what it leads to under another `PATH` counts.
pub fn push_lookup(path: &Path, seen: Seen, search: &[PathBuf], names: &mut BTreeSet<Name>) {
    let Some((directory, name)) = split(path) else {
        return;
    };
    let is_asked =
        !seen.has(Seen::LISTED) && search.iter().any(|dir| plain::is_same(dir, directory));
    if is_asked {
        names.insert(Name::Lookup(name.to_vec()));
    }
}

/// Programs whose reads of variables are known from their documentation: C compilers, their parts, and
/// what is commonly started beside them. They ask for each by name, and have no other use for `main`'s
/// third argument than to hand it on.
const ASKS_BY_NAME: &[&str] = &[
    "cc1",
    "cc1plus",
    "lto1",
    "collect2",
    "as",
    "ld",
    "ar",
    "ranlib",
    "nm",
    "objcopy",
    "strip",
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "uname",
    "cat",
    "cp",
    "mv",
    "rm",
    "ls",
    "mkdir",
    "chmod",
    "touch",
    "ln",
    "sed",
    "grep",
    "sort",
    "tr",
    "cut",
    "head",
    "tail",
    "wc",
    "dirname",
    "basename",
    "expr",
    "date",
    "pkg-config",
    "pkgconf",
    "llvm-config",
    "git",
    "protoc",
    "rustc",
    "gawk",
    "mawk",
    "nasm",
    "yasm",
    "sleep",
    "true",
    "false",
    "echo",
    "install",
    "lld",
    "mold",
];

/// The programs that may have read any variable.
fn doubts(env: &EnvReads) -> BTreeMap<&PathBuf, &BTreeSet<EnvDoubt>> {
    let known = |program: &Path, doubts: &BTreeSet<EnvDoubt>| {
        let hands_on = |doubt: &EnvDoubt| matches!(doubt, EnvDoubt::Main | EnvDoubt::Environ(_));
        is_of_kind(program, ASKS_BY_NAME) && doubts.iter().all(hands_on)
    };
    env.doubts
        .iter()
        .filter(|(program, doubts)| !known(program, doubts))
        .collect()
}

fn environment_read(env: &EnvReads) -> EnvironmentRead {
    let doubts = doubts(env);
    if doubts.is_empty() {
        return EnvironmentRead::Asked;
    }
    let mut words = Words::default();
    for (program, doubts) in doubts {
        let is_copy = doubts.iter().all(|doubt| *doubt == EnvDoubt::Copied);
        if !is_copy || !WORDS_STAND_WHOLE || !add_words(program, &mut words) {
            return EnvironmentRead::Whole;
        }
    }
    EnvironmentRead::Spoken(words)
}

/// Whether all words of a program could be added.
fn add_words(program: &Path, words: &mut Words) -> bool {
    let Some(ranges) = elf::loaded(program) else {
        return false;
    };
    ranges.into_iter().all(|range| {
        let done = scan::pieces(program, range, |piece| words.add(piece));
        words.end();
        done.is_ok()
    })
}

/// The variables that were asked for and are keyed.
fn names_of_variables(env: &EnvReads, policy: Policy) -> Vec<Name> {
    let asked = env.names.iter().map(|name| name.as_bytes());
    let keyed = asked.filter(|name| {
        let leads = |other: &&str| other.as_bytes() == *name;
        let is_of_messages = policy.is_silent && is_among(name, OF_MESSAGES);
        *name != variables::SEARCHED
            && !is_among(name, NEVER_KEYED)
            && !is_of_messages
            && !policy.unkeyed.iter().any(leads)
    });
    keyed.map(|name| Name::Variable(name.to_vec())).collect()
}

#[cfg(test)]
mod tests;
