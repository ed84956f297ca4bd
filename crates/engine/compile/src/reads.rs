//! What a compiler reads of a target directory, put in place before it starts.
//!
//! A look-up needs digests alone; a compiler needs bytes. Before one starts, for whatever reason, the
//! placeholders that it will read become real: the crates on its command line and those behind them
//! (metadata, procedural macros, and libraries where it links), native libraries, what the package's
//! build script made, and the crate's incremental state.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rekindle_key::{Invocation, SearchKind, arguments};
use rekindle_outputs::materialise::{MaterialiseError, Materialised, Outcome};
use rekindle_outputs::placeholder::Placeholder;
use rekindle_outputs::{elf, incremental, layout, sparse};
use rekindle_store::LocalStore;

use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;

/// What a compiler is about to read and write.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Crates on the command line.
    externs: Vec<PathBuf>,
    /// Directories with the crates behind those.
    crate_dirs: Vec<PathBuf>,
    /// Directories with native libraries.
    native_dirs: Vec<PathBuf>,
    /// Files that arguments name.
    named: Vec<PathBuf>,
    /// What the package's build script made.
    out_dir: Option<PathBuf>,
    /// Where the incremental state of all crates is.
    incremental: Option<PathBuf>,
    /// Whether libraries are read, or metadata alone.
    libraries: bool,
    crate_name: String,
    /// Tells units of that name apart.
    id: String,
    /// Where it writes, and what the names begin with.
    writes: Option<(PathBuf, String)>,
}

/// What was put in place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) done: Materialised,
    pub(crate) time: Duration,
}

impl Reads {
    /// Of an invocation that was taken apart.
    pub(crate) fn of_invocation(invocation: &Invocation, environment: &Environment) -> Self {
        let absolute = |path: &Path| environment.cwd.join(path);
        let mut reads = Self {
            libraries: invocation.reads_closure(),
            crate_name: invocation.crate_name.clone(),
            id: id_of(&invocation.extra_filename),
            incremental: invocation.incremental.as_deref().map(absolute),
            writes: Some((absolute(&invocation.out_dir), invocation.file_stem())),
            ..Self::in_environment(environment)
        };
        let externs = invocation.externs.iter();
        reads.externs = externs
            .filter_map(|ext| Some(absolute(ext.path.as_deref()?)))
            .collect();
        for search in &invocation.searches {
            reads.push_search(search.kind, absolute(&search.path), invocation.emit.link);
        }
        for argument in &invocation.link.arguments {
            reads.push_named(argument, environment);
        }
        reads
    }

    /// Of a command line of which nothing is known: whatever in it may be a path is taken for one.
    pub(crate) fn of_words(words: &[OsString], environment: &Environment) -> Self {
        let words = expanded(words, environment);
        let mut reads = Self {
            libraries: true,
            ..Self::in_environment(environment)
        };
        let (mut out_dir, mut extra) = (None, String::new());
        let mut previous = OsStr::new("");
        for word in &words {
            let (option, value) = option_of(previous, word);
            match option {
                b"--extern" => reads.push_extern(value, environment),
                b"-L" => reads.push_search_word(value, environment),
                b"--crate-name" => reads.crate_name = value.to_string_lossy().into_owned(),
                b"--out-dir" => out_dir = Some(environment.cwd.join(value)),
                b"-C" => {
                    if let Some(path) = value.as_bytes().strip_prefix(b"incremental=") {
                        let path = environment.cwd.join(OsStr::from_bytes(path));
                        reads.incremental = Some(path);
                    } else if let Some(text) = value.as_bytes().strip_prefix(b"extra-filename=") {
                        extra = String::from_utf8_lossy(text).into_owned();
                    }
                }
                _ => {}
            }
            reads.push_named(word, environment);
            previous = word;
        }
        reads.id = id_of(&extra);
        reads.writes = out_dir.map(|dir| (dir, format!("{}{extra}", reads.crate_name)));
        reads
    }

    /// Of rustdoc: as a compiler's, which it is. It links only the programs that it makes of examples.
    pub(crate) fn of_rustdoc(words: &[OsString], environment: &Environment) -> Self {
        let mut reads = Self::of_words(words, environment);
        reads.libraries = expanded(words, environment)
            .iter()
            .any(|word| word == "--test");
        if !reads.libraries {
            reads.native_dirs.clear();
        }
        reads.writes = None;
        reads
    }

    fn in_environment(environment: &Environment) -> Self {
        Self {
            out_dir: environment.get("OUT_DIR").map(PathBuf::from),
            ..Self::default()
        }
    }

    /// `name=path`, `noprelude:name=path`, or a name.
    fn push_extern(&mut self, value: &OsStr, environment: &Environment) {
        if let Some(at) = memchr::memchr(b'=', value.as_bytes()) {
            let path = OsStr::from_bytes(&value.as_bytes()[at + 1..]);
            self.externs.push(environment.cwd.join(path));
        }
    }

    fn push_search_word(&mut self, value: &OsStr, environment: &Environment) {
        let bytes = value.as_bytes();
        let (kind, path) = match memchr::memchr(b'=', bytes).map(|at| bytes.split_at(at)) {
            Some((b"dependency" | b"crate", path)) => (SearchKind::Dependency, &path[1..]),
            Some((b"native", path)) => (SearchKind::Native, &path[1..]),
            Some((b"all", path)) => (SearchKind::All, &path[1..]),
            _ => (SearchKind::All, bytes),
        };
        self.push_search(kind, environment.cwd.join(OsStr::from_bytes(path)), true);
    }

    fn push_search(&mut self, kind: SearchKind, path: PathBuf, makes_libraries: bool) {
        if matches!(
            kind,
            SearchKind::Dependency | SearchKind::Crate | SearchKind::All
        ) {
            self.crate_dirs.push(path.clone());
        }
        if matches!(kind, SearchKind::Native | SearchKind::All) && makes_libraries {
            self.native_dirs.push(path);
        }
    }

    /// The paths of `-Wl,--whole-archive,/x/libz.a` and the like.
    fn push_named(&mut self, word: &OsStr, environment: &Environment) {
        for piece in word
            .as_bytes()
            .split(|byte| matches!(byte, b'=' | b',' | b' '))
        {
            if memchr::memchr(b'/', piece).is_some() {
                self.named
                    .push(environment.cwd.join(OsStr::from_bytes(piece)));
            }
        }
    }

    /// Puts the sources of the packages in place that crates on the command line are made from.
    pub(crate) fn fill_packages(&self, cargo_home: &Path, store: &LocalStore) {
        for path in &self.externs {
            let name = path.file_stem().unwrap_or_default().as_bytes();
            let name = OsStr::from_bytes(name.strip_prefix(b"lib").unwrap_or(name));
            let dep_info = path.with_file_name(name).with_extension("d");
            // Without, the compile is as good, and its crate's hash another one.
            let _ = sparse::fill_behind(&dep_info, cargo_home, Some(store));
        }
    }

    /// Removes placeholders where the compiler or a linker writes, so that none is written in place: it
    /// may have other names.
    pub(crate) fn make_room(&self) {
        let Some((dir, stem)) = &self.writes else {
            return;
        };
        let library = |end: &str| dir.join(format!("lib{stem}.{end}"));
        let libraries = ["rmeta", "rlib", "so", "a"].map(library);
        for path in libraries.into_iter().chain([dir.join(stem)]) {
            if is_placeholder(&path) {
                let _ = rekindle_fsx::remove_file(&path);
            }
        }
    }

    /// Puts all of it in place.
    ///
    /// # Errors
    /// What could not be.
    pub(crate) fn fill(&self, files: &Files<'_>) -> Result<Filled, Vec<MaterialiseError>> {
        let start = Instant::now();
        let (mut outcome, state) = std::thread::scope(|scope| {
            let state = scope.spawn(|| self.fill_incremental());
            let outcome = self.fill_others(files);
            (outcome, state.join().unwrap_or_default())
        });
        outcome.done.files += state.files;
        outcome.done.bytes += state.bytes;
        if !outcome.failed.is_empty() {
            return Err(outcome.failed);
        }
        Ok(Filled {
            done: outcome.done,
            time: start.elapsed(),
        })
    }

    /// Everything but incremental state.
    fn fill_others(&self, files: &Files<'_>) -> Outcome {
        let mut closure = Closure {
            files,
            libraries: self.libraries,
            seen: BTreeSet::new(),
            found: self.others(),
            shared: Vec::new(),
            known: true,
        };
        closure.follow(&self.externs);
        let mut outcome = Outcome::default();
        loop {
            outcome.add(files.materialise(&std::mem::take(&mut closure.found)));
            // Only now can a procedural macro be told from a library that is linked to.
            let linked = std::mem::take(&mut closure.shared).into_iter();
            let linked: Vec<PathBuf> = linked
                .filter(|(library, _)| !elf::is_procedural_macro(library))
                .flat_map(|(_, externs)| externs)
                .collect();
            if linked.is_empty() {
                break;
            }
            closure.follow(&linked);
        }
        if !closure.known {
            let all = self
                .crate_dirs
                .iter()
                .flat_map(|dir| placeholders_in(dir, is_crate));
            outcome.add(files.materialise(&all.collect::<Vec<_>>()));
        }
        outcome
    }

    /// Everything but crates.
    fn others(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        let in_target = |dir: &&PathBuf| layout::profile_dir(&dir.join("x")).is_some();
        for dir in self.native_dirs.iter().filter(in_target) {
            found.extend(placeholders_in(dir, |_| true));
        }
        if let Some(dir) = self.out_dir.as_ref().filter(in_target) {
            let links = rekindle_fsx::walk_links(dir).unwrap_or_default();
            found.extend(links.into_iter().filter(|link| is_placeholder(link)));
        }
        let named = self.named.iter();
        found.extend(named.filter_map(|path| Some(Placeholder::find(path).ok()??.0)));
        found
    }

    /// Whether the compile had better write no incremental state. To be asked before [`Self::fill`].
    pub(crate) fn state_is_wasted(&self) -> bool {
        let dir = self.incremental.as_deref();
        dir.is_some_and(|dir| incremental::is_wasted(dir, &self.crate_name, &self.id))
    }

    /// Says so to the next compile of the unit, which then writes it. To be said after [`Self::fill`], which takes what waits away.
    pub(crate) fn mark_wasted(&self, store: &LocalStore) {
        if let Some(dir) = self.incremental.as_deref() {
            // Without it that one writes none either.
            let _ = incremental::mark(store, dir, &self.crate_name, &self.id);
        }
    }

    /// This crate's state alone: others of its name may be as large.
    fn fill_incremental(&self) -> Materialised {
        let dir = self.incremental.as_deref();
        dir.map_or_else(Materialised::default, |dir| {
            incremental::fill(dir, &self.crate_name, &self.id)
        })
    }
}

/// What `-C extra-filename` tells units apart by.
fn id_of(extra_filename: &str) -> String {
    extra_filename.trim_start_matches('-').to_owned()
}

/// The crates behind those on a command line.
struct Closure<'a> {
    files: &'a Files<'a>,
    libraries: bool,
    /// Files without their endings.
    seen: BTreeSet<PathBuf>,
    /// Placeholders among them.
    found: Vec<PathBuf>,
    /// Shared libraries, with the crates that they were made from.
    shared: Vec<(PathBuf, Vec<PathBuf>)>,
    /// Whether it is known of all of them what is behind them.
    known: bool,
}

impl Closure<'_> {
    fn follow(&mut self, externs: &[PathBuf]) {
        let mut pending: Vec<(PathBuf, bool)> =
            externs.iter().map(|path| (path.clone(), true)).collect();
        while let Some((path, direct)) = pending.pop() {
            if !self.seen.insert(path.with_extension("")) {
                continue;
            }
            let [metadata, shared, library] =
                ["rmeta", "so", "rlib"].map(|end| path.with_extension(end));
            let in_place = |path: &PathBuf| rekindle_fsx::exists(path);
            // The shared library beside an `.rlib` may be C's: it says nothing of the crate.
            let has_metadata = in_place(&metadata) || (in_place(&shared) && !in_place(&library));
            let wants_library = self.libraries || !has_metadata || (direct && path == library);
            let library = Some(library).filter(|_| wants_library);
            let read = [Some(metadata), Some(shared.clone()), library];
            let read = read
                .into_iter()
                .flatten()
                .filter(|path| is_placeholder(path));
            self.found.extend(read);
            let Some(record) = self.files.output(&path) else {
                self.known = false;
                continue;
            };
            if in_place(&shared) {
                self.shared.push((shared, record.externs));
            } else {
                pending.extend(record.externs.into_iter().map(|path| (path, false)));
            }
        }
    }
}

fn is_placeholder(path: &Path) -> bool {
    matches!(Placeholder::read(path), Ok(Some(_)))
}

fn is_crate(name: &[u8]) -> bool {
    [&b".rmeta"[..], b".rlib", b".so"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn placeholders_in(dir: &Path, wanted: fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let names = rekindle_fsx::list_names(dir).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| wanted(name.as_bytes()))
        .map(|name| dir.join(name))
        .filter(|path| is_placeholder(path))
        .collect()
}

/// The words with argument files in their places, as far as these can be read.
fn expanded(words: &[OsString], environment: &Environment) -> Vec<OsString> {
    let mut expanded = Vec::with_capacity(words.len());
    for word in words {
        let file = word.as_bytes().strip_prefix(b"@").and_then(|path| {
            rekindle_fsx::read(&environment.cwd.join(OsStr::from_bytes(path))).ok()
        });
        match file {
            Some(bytes) => expanded.extend(arguments::response_file(&bytes)),
            None => expanded.push(word.clone()),
        }
    }
    expanded
}

/// A word's option and value: `--extern x`, `--extern=x`, `-Cx`, `-C x`.
fn option_of<'a>(previous: &'a OsStr, word: &'a OsStr) -> (&'a [u8], &'a OsStr) {
    const OPTIONS: [&[u8]; 6] = [
        b"--extern",
        b"--crate-name",
        b"--out-dir",
        b"--codegen",
        b"-L",
        b"-C",
    ];
    let short = |option: &'a [u8]| {
        if option == b"--codegen" {
            b"-C"
        } else {
            option
        }
    };
    let bytes = word.as_bytes();
    for option in OPTIONS {
        if previous.as_bytes() == option {
            return (short(option), word);
        }
        let Some(rest) = bytes.strip_prefix(option) else {
            continue;
        };
        match rest.strip_prefix(b"=") {
            Some(value) => return (short(option), OsStr::from_bytes(value)),
            None if !option.starts_with(b"--") && !rest.is_empty() => {
                return (option, OsStr::from_bytes(rest));
            }
            None => {}
        }
    }
    (b"", word)
}
