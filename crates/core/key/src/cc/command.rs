//! A compile, as the command line of a compiler driver says it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rekindle_events::UncacheableReason;

use super::driver::{self, Driver, Tool};
use super::options::{self, Effect, Value};

/// What a compile makes of each source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `-c`: an object.
    Object,
    /// `-S`: assembler text.
    Assembly,
}

/// `-MD`, `-MMD`: a file that lists what a compile read, for make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepFile {
    /// Where, as given or as the driver makes it of the output's name.
    pub path: PathBuf,
    /// Whether the command line names the targets of its rule; else it is the output.
    pub has_target: bool,
}

/// One word of a command line, or two that belong together, as its key holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Keyed as it stands: option and value.
    Text(String, OsString),
    /// A definition: `-D NAME=VALUE`.
    Definition(OsString),
    /// An option and a path.
    Path(String, PathBuf),
    /// An option and `OLD=NEW`.
    Map(String, OsString),
    /// A source.
    Source(PathBuf),
}

/// A compile of one or more sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compile {
    /// File name of the program, as it was called: drivers read targets and languages from it.
    pub program: OsString,
    /// What it takes its inputs for.
    pub driver: Driver,
    /// What is made.
    pub mode: Mode,
    /// Sources, as given.
    pub sources: Vec<PathBuf>,
    /// For each source what is made of it, as given or as the driver names it.
    pub outputs: Vec<PathBuf>,
    /// Dependency files, one for each source where there are any.
    pub deps: Vec<DepFile>,
    /// Whether debug information goes into files of its own, beside the outputs.
    pub split_dwarf: bool,
    /// Whether the processor of this machine decides about code.
    pub native_cpu: bool,
    words: Vec<Word>,
}

/// Why a command line is no compile that may be reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotACompile {
    /// A question to the compiler, or a run that makes no object.
    Probe,
    /// It links, only or as well.
    Link,
    /// A compile that no store can help with.
    Uncacheable(UncacheableReason),
}

fn odd(word: &OsStr) -> NotACompile {
    NotACompile::Uncacheable(UncacheableReason::Argument {
        argument: word.to_string_lossy().into_owned(),
    })
}

fn other(detail: &str) -> NotACompile {
    NotACompile::Uncacheable(UncacheableReason::Other {
        detail: detail.into(),
    })
}

/// What a command line says, before it is known to be a compile.
#[derive(Default)]
struct Said {
    words: Vec<Word>,
    inputs: Vec<(PathBuf, bool)>,
    language: Option<OsString>,
    mode: Option<Mode>,
    output: Option<PathBuf>,
    dep: bool,
    dep_file: Option<PathBuf>,
    dep_target: bool,
    split_dwarf: bool,
    native_cpu: bool,
    probe: bool,
    refused: Option<NotACompile>,
}

impl Compile {
    /// Takes a command line apart: the program, then its words with response files in their places.
    ///
    /// # Errors
    /// Why it is no compile that may be reused. A question or a link is told from an option whose effect is
    /// not known, wherever that stands.
    pub fn parse(program: &OsStr, words: &[OsString]) -> Result<Self, NotACompile> {
        let Some(Tool::Compiler(driver)) = Tool::of(program) else {
            return Err(other("the program is no compiler that is known"));
        };
        let said = read(words);
        if said.probe || said.inputs.is_empty() {
            return Err(NotACompile::Probe);
        }
        let Some(mode) = said.mode else {
            return Err(NotACompile::Link);
        };
        if let Some(refused) = said.refused {
            return Err(refused);
        }
        let sources = sources(&said)?;
        let (outputs, deps) = places(&said, mode, &sources)?;
        let mut compile = Self {
            program: OsStr::from_bytes(driver::file_name(program)).to_owned(),
            driver,
            mode,
            sources,
            outputs,
            deps,
            split_dwarf: said.split_dwarf,
            native_cpu: said.native_cpu,
            words: said.words,
        };
        compile.key_places();
        Ok(compile)
    }

    /// Adds the names of outputs to what is keyed where the outputs hold them: a dependency file holds
    /// its target, an object the name of the file with its debug information.
    fn key_places(&mut self) {
        let holds_target = self.deps.iter().any(|dep| !dep.has_target);
        if self.split_dwarf || holds_target {
            let outputs = self.outputs.iter();
            let words = outputs.map(|output| Word::Path("-o".into(), output.clone()));
            self.words.extend(words);
        }
    }

    /// The words that are keyed, in order.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Every file that it declares to write: outputs, dependency files, debug information.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = self.outputs.clone();
        files.extend(self.deps.iter().map(|dep| dep.path.clone()));
        if self.split_dwarf && self.mode == Mode::Object {
            let debug = self.outputs.iter();
            files.extend(debug.map(|output| output.with_extension("dwo")));
        }
        files
    }

    /// What of the command line decides about what is made, in one order whatever way it was written: an
    /// option and its value are one word, apart by a space. Relative paths have a mark before them, since
    /// outputs hold them as given; absolute ones are still real.
    #[must_use]
    pub fn keyed(&self) -> Vec<OsString> {
        let mode = match self.mode {
            Mode::Object => "-c",
            Mode::Assembly => "-S",
        };
        let mut keyed = vec![self.program.clone(), OsString::from(mode)];
        keyed.extend(self.words.iter().map(Word::keyed));
        keyed
    }

    /// The values of its definitions, `NAME=VALUE` each.
    pub fn definitions(&self) -> impl Iterator<Item = &OsStr> {
        self.words.iter().filter_map(|word| match word {
            Word::Definition(value) => Some(value.as_os_str()),
            _ => None,
        })
    }

    /// The paths on the command line, as given. What is found through an absolute one has an absolute name
    /// in the output, too.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.words.iter().filter_map(|word| match word {
            Word::Path(_, path) | Word::Source(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// The command line of the same compile that only preprocesses; nothing is written but what `-o` names.
    #[must_use]
    pub fn preprocessing(&self) -> Vec<OsString> {
        let mut words = vec![OsString::from("-E")];
        for word in &self.words {
            match word {
                Word::Text(option, _) if option.starts_with("-M") => {}
                Word::Text(option, value) => written(option, value, &mut words),
                Word::Definition(value) => written("-D", value, &mut words),
                Word::Path(option, _) if option == "-o" => {}
                Word::Path(option, path) => written(option, path.as_os_str(), &mut words),
                Word::Map(option, map) => written(option, map, &mut words),
                Word::Source(path) => words.push(path.into()),
            }
        }
        words
    }
}

/// An option as a driver takes it: in one word with its value where its name says so, else in two.
fn written(option: &str, value: &OsStr, words: &mut Vec<OsString>) {
    if value.is_empty() {
        words.push(option.into());
    } else if option.ends_with(['=', ',']) {
        let mut word = OsString::from(option);
        word.push(value);
        words.push(word);
    } else {
        words.extend([OsString::from(option), value.to_owned()]);
    }
}

impl Word {
    fn keyed(&self) -> OsString {
        let (option, value) = match self {
            Self::Text(option, value) | Self::Map(option, value) => {
                (option.as_str(), value.clone())
            }
            Self::Definition(value) => ("-D", value.clone()),
            Self::Path(option, path) => (option.as_str(), given(path)),
            Self::Source(path) => ("source", given(path)),
        };
        let mut keyed = OsString::from(option);
        keyed.push(" ");
        keyed.push(value);
        keyed
    }
}

/// A path as the command line gives it, behind a mark where it is relative.
fn given(path: &Path) -> OsString {
    if path.is_absolute() {
        return path.into();
    }
    let mut marked = OsString::from("./");
    marked.push(path);
    marked
}

fn read(words: &[OsString]) -> Said {
    let mut said = Said::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        if bytes == b"-" {
            said.refuse(other("its source comes through a pipe"));
            said.inputs.push((PathBuf::from(word), true));
            continue;
        }
        if !bytes.starts_with(b"-") {
            said.input(word);
            continue;
        }
        let (name_len, place, effect) = options::find(bytes);
        let name = String::from_utf8_lossy(&bytes[..name_len]).into_owned();
        let value = match place {
            Value::None => OsString::new(),
            Value::Joined => OsString::from_vec(bytes[name_len..].to_vec()),
            Value::Next => match rest.next() {
                Some(value) => value.clone(),
                None => {
                    said.refuse(odd(word));
                    break;
                }
            },
        };
        said.option(word, name, value, effect);
    }
    said
}

impl Said {
    fn refuse(&mut self, reason: NotACompile) {
        self.refused.get_or_insert(reason);
    }

    fn input(&mut self, word: &OsStr) {
        let path = PathBuf::from(word);
        let explicit = self.language.as_ref().is_some_and(|name| name != "none");
        if path.starts_with("/dev") || path.starts_with("/proc") {
            // Build scripts ask for predefined macros this way.
            self.probe = true;
        }
        let is_source = explicit || is_source(&path);
        self.inputs.push((path.clone(), is_source));
        self.words.push(Word::Source(path));
    }

    fn option(&mut self, word: &OsStr, name: String, value: OsString, effect: Effect) {
        match effect {
            Effect::Text if name == "-D" => self.words.push(Word::Definition(value)),
            Effect::Text | Effect::Link => self.words.push(Word::Text(name, value)),
            Effect::Path => self.words.push(Word::Path(name, value.into())),
            Effect::Map => self.words.push(Word::Map(name, value)),
            Effect::Probe => self.probe = true,
            Effect::Compile => self.mode = self.mode.or(Some(Mode::Object)),
            // `-S` is the earlier end of the two, wherever it stands.
            Effect::Assembly => self.mode = Some(Mode::Assembly),
            Effect::Output => self.output = Some(value.into()),
            Effect::Language => {
                self.words.push(Word::Text(name, value.clone()));
                self.language = Some(value);
            }
            Effect::Dep => {
                self.dep = true;
                self.words.push(Word::Text(name, value));
            }
            Effect::DepFile => self.dep_file = Some(value.into()),
            Effect::DepTarget => {
                self.dep_target = true;
                self.words.push(Word::Text(name, value));
            }
            Effect::SplitDwarf => {
                self.split_dwarf = true;
                self.words.push(Word::Text(name, value));
            }
            Effect::NativeCpu => {
                self.native_cpu = true;
                self.words.push(Word::Text(name, value));
            }
            Effect::Assembler => self.inner(word, name, value, options::assembler_word_is_known),
            Effect::Preprocessor => {
                self.inner(word, name, value, options::preprocessor_word_is_known);
            }
            Effect::Inner => self.inner(word, name, value, options::inner_word_is_known),
            Effect::Refused => self.refuse(odd(word)),
        }
    }

    /// Words for an inner program, apart by commas where they share one word.
    fn inner(&mut self, word: &OsStr, name: String, value: OsString, known: fn(&[u8]) -> bool) {
        let is_list = name.ends_with(',');
        let mut parts = value.as_bytes().split(|byte| is_list && *byte == b',');
        if !parts.all(known) {
            let shown = [word.as_bytes(), b" ", value.as_bytes()].concat();
            let shown = if is_list {
                word.as_bytes().to_vec()
            } else {
                shown
            };
            self.refuse(odd(OsStr::from_bytes(&shown)));
        }
        self.words.push(Word::Text(name, value));
    }
}

/// The sources among the inputs; all must be.
fn sources(said: &Said) -> Result<Vec<PathBuf>, NotACompile> {
    let language = said.language.as_ref().map(|name| name.as_bytes());
    if language.is_some_and(|name| name.ends_with(b"-header")) {
        return Err(other("it makes a precompiled header"));
    }
    for (path, is_source) in &said.inputs {
        if !is_source {
            return Err(match path.extension() {
                Some(extension) if is_header(extension) => other("it makes a precompiled header"),
                _ => odd(path.as_os_str()),
            });
        }
    }
    Ok(said.inputs.iter().map(|(path, _)| path.clone()).collect())
}

/// Where outputs and dependency files go.
fn places(
    said: &Said,
    mode: Mode,
    sources: &[PathBuf],
) -> Result<(Vec<PathBuf>, Vec<DepFile>), NotACompile> {
    let extension = match mode {
        Mode::Object => "o",
        Mode::Assembly => "s",
    };
    let outputs: Vec<PathBuf> = match (&said.output, sources) {
        (Some(output), [_]) => vec![output.clone()],
        // The driver refuses it, in its own words.
        (Some(_), _) => return Err(NotACompile::Probe),
        (None, sources) => {
            let named = |source: &PathBuf| {
                let name = source.file_name().unwrap_or_default();
                PathBuf::from(name).with_extension(extension)
            };
            sources.iter().map(named).collect()
        }
    };
    if outputs.iter().any(|output| !is_file(output)) {
        return Err(NotACompile::Probe);
    }
    let names: std::collections::BTreeSet<&PathBuf> = outputs.iter().collect();
    if names.len() < outputs.len() {
        return Err(other("two of its sources make one output"));
    }
    if !said.dep {
        // `-MF` and the like without `-MD` do nothing, or are refused by the driver.
        return if said.dep_file.is_some() || said.dep_target {
            Err(other("a dependency file is named but not asked for"))
        } else {
            Ok((outputs, Vec::new()))
        };
    }
    let dep = |path: PathBuf| DepFile {
        path,
        has_target: said.dep_target,
    };
    let deps = match &said.dep_file {
        Some(path) if path == Path::new("/dev/null") => Vec::new(),
        Some(path) if outputs.len() > 1 || !is_file(path) => {
            return Err(odd(path.as_os_str()));
        }
        Some(path) => vec![dep(path.clone())],
        None => outputs
            .iter()
            .map(|output| dep(output.with_extension("d")))
            .collect(),
    };
    Ok((outputs, deps))
}

/// Whether a name of an output is one of a file that is made.
fn is_file(path: &Path) -> bool {
    path.file_name().is_some() && path != Path::new("-") && !path.starts_with("/dev")
}

fn is_header(extension: &OsStr) -> bool {
    let headers = [
        "h", "H", "hh", "hp", "hpp", "hxx", "HPP", "h++", "tcc", "ads", "adb",
    ];
    headers.iter().any(|header| extension == *header)
}

fn is_source(path: &Path) -> bool {
    let sources = [
        "c", "i", "ii", "cc", "cp", "cxx", "cpp", "CPP", "c++", "C", "s", "S", "sx", "m", "mi",
        "mm", "M", "ll",
    ];
    path.extension()
        .is_some_and(|extension| sources.iter().any(|source| extension == *source))
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
