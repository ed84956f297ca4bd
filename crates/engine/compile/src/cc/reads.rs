//! What no observation of files can see of a compile: the present that a source asks for, names of files
//! that it looks into at compile time, and whether the compiler itself was seen at all.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_events::Refusal;
use rekindle_key::cc::Compile;
use rekindle_key::cc::scan::{FILE_MACROS, TIME_MACROS, first_word, holds};
use rekindle_key::{Root, Roots};
use rekindle_observe::Seen;
use rekindle_outputs::present::{is_made_place, is_settled_place};
use rekindle_steps::Ran;

use super::Call;
use super::family::{Family, Identity};

/// Files above this are no sources.
const SOURCE_MAX_BYTES: u64 = 64 << 20;

/// Looks into what a compile read. The roots whose real paths it depends on, though no output need hold
/// them.
pub(super) fn judge(
    call: &Call<'_>,
    compile: &Compile,
    identity: Identity,
    ran: &Ran,
) -> Result<BTreeSet<Root>, Refusal> {
    if ran.exit_code != 0 || !ran.observation.blind.is_empty() {
        // Whoever publishes says so.
        return Ok(BTreeSet::new());
    }
    check_compiler(identity, ran)?;
    let mut asks_time = None;
    let mut bound = BTreeSet::new();
    let named = Named::of(call, compile, identity);
    for (path, seen) in ran.observation.files.iter() {
        if !seen.has(Seen::READ) || ran.observation.programs.contains(path) {
            continue;
        }
        let Some(words) = named.words(call, path) else {
            continue;
        };
        if asks_time.is_none()
            && let Some(name) = words.time
        {
            asks_time = Some((path.clone(), name));
        }
        bound.extend(named.held(path, &words));
    }
    if let Some((path, name)) = asks_time
        && uses_time(call, compile, identity)
    {
        return Err(Refusal::Present {
            name: name.to_owned(),
            path: path.display().to_string(),
        });
    }
    Ok(bound)
}

/// A driver that did not start its compiler had the object from elsewhere, and read nothing.
fn check_compiler(identity: Identity, ran: &Ran) -> Result<(), Refusal> {
    let is_part = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        name.starts_with(b"cc1") || name == b"as" || name.ends_with(b"-as")
    };
    let was_seen = match identity.family {
        Family::Gcc => ran.observation.programs.iter().any(is_part),
        Family::Clang => true,
    };
    if was_seen {
        return Ok(());
    }
    Err(Refusal::Command {
        detail: "the compiler behind the driver was not started".into(),
    })
}

/// The text of a source; `None` for libraries and other tables, and for what cannot be read.
fn source(path: &Path) -> Option<Vec<u8>> {
    let sig = rekindle_fsx::stat_follow(path).ok()?;
    if sig.size > SOURCE_MAX_BYTES {
        return None;
    }
    rekindle_fsx::read_unless_binary(path).ok()?
}

/// What stands in preprocessed text for the present, and for a file's own time.
const NOW: &str = "rekindle_now";
const FILE_TIME: &str = "rekindle_file_time";

/// Whether the preprocessor puts the present into what it makes; it is asked only where a source names it.
/// `SOURCE_DATE_EPOCH` is the present for all but a file's own time.
fn uses_time(call: &Call<'_>, compile: &Compile, identity: Identity) -> bool {
    let asked = Command::new(call.program)
        .args(compile.preprocessing())
        .arg("-w")
        .args(TIME_MACROS.map(|name| {
            let stands = if name == "__TIMESTAMP__" {
                FILE_TIME
            } else {
                NOW
            };
            format!("-D{name}={stands}")
        }))
        .stdin(Stdio::null())
        .output();
    let Ok(asked) = asked else { return true };
    let is_fixed = identity.fixes_time() && call.environment.get("SOURCE_DATE_EPOCH").is_some();
    let holds = |word: &str| memchr::memmem::find(&asked.stdout, word.as_bytes()).is_some();
    !asked.status.success() || holds(FILE_TIME) || (holds(NOW) && !is_fixed)
}

/// Names of definitions whose values hold the real path of a root.
pub(super) fn telling(roots: &Roots, compile: &Compile) -> Vec<(String, Root)> {
    let mut definitions = Vec::new();
    for definition in compile.definitions() {
        let text = definition.as_bytes();
        let name = text
            .split(|byte| b"=(".contains(byte))
            .next()
            .unwrap_or_default();
        for (root, real) in roots.iter() {
            if memchr::memmem::find(text, real.as_os_str().as_bytes()).is_some() {
                definitions.push((String::from_utf8_lossy(name).into_owned(), root));
            }
        }
    }
    definitions
}

/// Names through which a real path may be looked into at compile time, leaving no trace in the output:
/// its length, its last part, a number made of it.
struct Named {
    /// Roots below which files have absolute names in the compile that are not mapped.
    absolute: BTreeSet<Root>,
    /// As [`telling`] says.
    definitions: Vec<(String, Root)>,
}

impl Named {
    fn of(call: &Call<'_>, compile: &Compile, identity: Identity) -> Self {
        let is_mapped = |root: Root| {
            call.settings.remap && identity.maps_macros() && super::places::maps_macros(root)
        };
        let root_of = |path: &Path| {
            let mut roots = call.roots.iter();
            roots
                .find(|(_, real)| path.starts_with(real))
                .map(|(root, _)| root)
        };
        let absolute = compile
            .paths()
            .filter(|path| path.is_absolute())
            .filter_map(root_of);
        let absolute = absolute.filter(|root| !is_mapped(*root)).collect();
        Self {
            absolute,
            definitions: telling(&call.roots, compile),
        }
    }

    /// What a source says, if it is one. What the system and packages have, and what builds make, is looked into once for all
    /// compiles that share a shelf: it is one shelf for the same names of definitions.
    fn words(&self, call: &Call<'_>, path: &Path) -> Option<Words> {
        let name = call.roots.canonical(path);
        if !is_settled_place(&name) && !is_made_place(&name) {
            return Some(self.words_of(&source(path)?));
        }
        let look = || Some(source(path).map_or(NO_TEXT, |text| self.words_of(&text).marks()));
        let marks = call.engine.files.marks(path, look)?;
        if marks != NO_TEXT && marks & USES_DEFINITIONS != 0 {
            // Few do, and which of them are used is not marked.
            return Some(self.words_of(&source(path)?));
        }
        Words::marked(marks)
    }

    fn words_of(&self, text: &[u8]) -> Words {
        let defined = self.definitions.iter();
        let defined = defined.filter(|(name, _)| holds(text, name));
        Words {
            defined: defined.map(|(_, root)| *root).collect(),
            ..Words::of(text)
        }
    }

    /// The roots whose paths a source may look into.
    fn held(&self, path: &Path, words: &Words) -> BTreeSet<Root> {
        let mut held = words.defined.clone();
        // The system's own headers put such a name nowhere but into the output.
        let is_system = path.starts_with("/usr") || path.starts_with("/lib");
        if !is_system && words.names_file {
            held.extend(self.absolute.iter().copied());
        }
        held
    }
}

/// What stands in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Words {
    /// A macro that stands for the present.
    time: Option<&'static str>,
    /// Whether one stands for a file's name.
    names_file: bool,
    /// The roots of definitions that are used.
    defined: BTreeSet<Root>,
}

/// The mark of what is no source. Of a source: which of [`TIME_MACROS`] it holds, counted from one, [`NAMES_FILE`], and
/// [`USES_DEFINITIONS`].
const NO_TEXT: u8 = 0xff;
const NAMES_FILE: u8 = 0x10;
const USES_DEFINITIONS: u8 = 0x20;

impl Words {
    fn of(text: &[u8]) -> Self {
        Self {
            time: first_word(text, &TIME_MACROS),
            names_file: first_word(text, &FILE_MACROS).is_some(),
            defined: BTreeSet::new(),
        }
    }

    fn marks(&self) -> u8 {
        let is_it = |name: &&str| Some(*name) == self.time;
        let time = TIME_MACROS.iter().position(is_it).map_or(0, |at| at + 1);
        let file = if self.names_file { NAMES_FILE } else { 0 };
        let defined = if self.defined.is_empty() {
            0
        } else {
            USES_DEFINITIONS
        };
        u8::try_from(time).unwrap_or(NO_TEXT) | file | defined
    }

    /// `None` for what is no source. Which definitions are used is not marked.
    fn marked(marks: u8) -> Option<Self> {
        (marks != NO_TEXT).then(|| Self {
            time: usize::from(marks & !(NAMES_FILE | USES_DEFINITIONS))
                .checked_sub(1)
                .and_then(|at| TIME_MACROS.get(at).copied()),
            names_file: marks & NAMES_FILE != 0,
            defined: BTreeSet::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_say_what_stands_in_a_source() {
        for text in ["", "x __FILE__", "__DATE__", "__TIMESTAMP__ __BASE_FILE__"] {
            let words = Words::of(text.as_bytes());
            assert_eq!(Words::marked(words.marks()), Some(words), "{text}");
        }
        assert_eq!(Words::of(b"__TIME__").marks(), 2);
        assert_eq!(Words::marked(NO_TEXT), None);
    }
}
