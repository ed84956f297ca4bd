//! Compiles of C, C++ and assembler, and runs of `ar`, that build scripts start: reused one by one.
//!
//! A run of a build script is observed with its compilers redirected to the wrapper, which calls [`run`]
//! with the real program and its words. Each is a step of its own: the command line is taken apart
//! ([`rekindle_key::cc`]), looked up, and either restored or run observed, in the observation around it or
//! alone. What cannot be reused runs as if nobody were there.
//!
//! [`around`] is the observation around it, [`family`] says which compiler it is, [`places`] how its paths are named, [`reads`] what no observation
//! of files can see, [`ar`] what is particular to archives.

mod ar;
pub(crate) mod around;
mod family;
mod places;
mod reads;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rekindle_base::{Digest, DigestHasher};
use rekindle_events::{EventKind, MissReason, Refusal, StepEvent, StepFate, UncacheableReason};
use rekindle_key::Roots;
use rekindle_key::cc::{Archive, Compile, NotACompile, Tool, response};
use rekindle_key::step::StepEntry;
use rekindle_observe::Redirect;
use rekindle_outputs::environment::{Environment, processor};
use rekindle_outputs::files::Files;
use rekindle_steps::{Engine, Found, LookedUp, Place, Policy, Step, Streams};
use rekindle_store::LocalStore;

use crate::journal::{self, Journal};
use crate::observed::LIBRARY_PATH;
use crate::publish::micros;
use crate::scripts;
use crate::settings::Settings;
use family::Identity;
pub(crate) use places::{library_path, without_links};

/// The first word of a call that was redirected; the real program and its words follow.
pub const REDIRECTED: &str = "--rekindle-cc";

/// Names of the programs that are redirected here; whatever else these catch runs unchanged.
const CAUGHT: &[&str] = &[
    "cc",
    "gcc",
    "clang",
    "c++",
    "g++",
    "clang++",
    "ar",
    "ranlib",
    "*-cc",
    "*-gcc",
    "*-clang",
    "*-c++",
    "*-g++",
    "*-clang++",
    "*-ar",
    "*-ranlib",
    "gcc-*",
    "g++-*",
    "clang-*",
    "clang++-*",
    "llvm-ar-*",
    "llvm-ranlib-*",
];

/// How the starts of compilers in an observed run come here.
pub(crate) fn redirect(environment: &Environment) -> Option<Redirect> {
    let redirector = rekindle_fsx::canonicalize(&environment.program).ok()?;
    Some(Redirect {
        redirector,
        first: REDIRECTED.into(),
        names: CAUGHT.iter().map(OsString::from).collect(),
    })
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealt {
    /// It was done, with this exit code.
    Done(i32),
    /// The real program is to be started, with its own words.
    Unchanged,
}

/// Variables by which gcc is told to write further files.
const WRITING: &[&str] = &["DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"];

/// Variables that lead compilers to programs, libraries and places of temporary files, all observed; and
/// `PWD`, which matters only as [`Call::alias`].
const LEADING: &[&str] = &["PATH", LIBRARY_PATH, "TMPDIR", "TMP", "TEMP", "HOME", "PWD"];

/// Deals with a call of a compiler or of `ar`: the program's path, then its words.
///
/// # Errors
/// As starting the program.
pub fn run(
    settings: &Settings,
    environment: &Environment,
    words: &[OsString],
    streams: &mut Streams<'_>,
) -> io::Result<Dealt> {
    let start = Instant::now();
    let Some((program, arguments)) = words.split_first() else {
        return Ok(Dealt::Unchanged);
    };
    let store = LocalStore::open(&settings.store_dir);
    let files = Files::new(&store);
    let shown = places::roots(environment, &settings.cargo_home);
    let call = Call {
        settings,
        environment,
        program,
        arguments,
        roots: places::without_links(&shown, &environment.cwd),
        shown,
        engine: Engine {
            store: &store,
            files: &files,
        },
        start,
    };
    match call.job() {
        Ok(job) => {
            files.take_shelf(call.shelf(&job), call.own(&job));
            let dealt = call.deal(&job, streams);
            files.keep_shelf();
            dealt
        }
        Err(NotACompile::Probe | NotACompile::Link) => Ok(Dealt::Unchanged),
        Err(NotACompile::Uncacheable(reason)) => Ok(call.refused(refusal(reason))),
    }
}

/// One call of a tool.
struct Call<'a> {
    settings: &'a Settings,
    environment: &'a Environment,
    program: &'a OsStr,
    arguments: &'a [OsString],
    /// The roots as the build script is told of them.
    shown: Roots,
    /// Without links.
    roots: Roots,
    engine: Engine<'a>,
    start: Instant,
}

/// What is to be made, when it is known that it may be reused.
struct Job {
    what: What,
    /// The tool's file, without links.
    tool: PathBuf,
    /// All that is keyed of the command line.
    keyed: Vec<OsString>,
    /// Every file that it writes.
    outputs: Vec<PathBuf>,
    /// What is put before the words of the command line.
    added: Vec<OsString>,
}

enum What {
    Compile(Box<Compile>, Identity),
    Archive(Archive),
}

impl Job {
    fn kind(&self) -> &'static str {
        match self.what {
            What::Compile(..) => "cc 1",
            What::Archive(_) => "ar 1",
        }
    }

    /// Files and directories that the command line names, with all that may be read there first.
    fn inputs(&self) -> Vec<&Path> {
        match &self.what {
            What::Compile(compile, _) => {
                // The directory of objects changes all the time, by the compiles beside this one.
                let written = compile.files();
                let is_read = |path: &&Path| !written.iter().any(|file| file == path);
                compile.paths().filter(is_read).collect()
            }
            What::Archive(archive) => archive.members.iter().map(PathBuf::as_path).collect(),
        }
    }

    /// What people know it by: the source, or the archive.
    fn name(&self) -> String {
        let path = match &self.what {
            What::Compile(compile, _) => compile.sources.first(),
            What::Archive(archive) => Some(&archive.archive),
        };
        path.map_or_else(String::new, |path| path.display().to_string())
    }
}

impl Call<'_> {
    /// What the words ask for.
    fn job(&self) -> Result<Job, NotACompile> {
        let cwd = &self.environment.cwd;
        let read = |name: &OsStr| rekindle_fsx::read(&cwd.join(name)).ok();
        let words = response::expand(self.arguments, read)
            .map_err(|endless| other(&endless.to_string()))?;
        let found = self.environment.find_program(self.program);
        let tool = found.and_then(|path| rekindle_fsx::canonicalize(&path).ok());
        let tool = tool.ok_or(NotACompile::Probe)?;
        if matches!(Tool::of(self.program), Some(Tool::Compiler(_))) {
            self.compile(Compile::parse(self.program, &words)?, tool)
        } else {
            let archive = Archive::parse(self.program, &words)?;
            ar::job(archive, tool, self.environment)
        }
    }

    fn compile(&self, compile: Compile, tool: PathBuf) -> Result<Job, NotACompile> {
        if let Some(name) = WRITING
            .iter()
            .find(|name| self.environment.get(name).is_some())
        {
            return Err(other(&format!("`{name}` asks for a further file")));
        }
        let identity = family::of(self.engine.files, &tool).map_err(|detail| {
            NotACompile::Uncacheable(UncacheableReason::UnknownCompiler { detail })
        })?;
        let mut keyed: Vec<OsString> = compile.keyed();
        for word in &mut keyed {
            if word.as_bytes().starts_with(b"-D ") {
                *word = self.anywhere(word);
            }
        }
        let added = if self.settings.remap {
            places::maps((&self.shown, &self.roots), identity.maps_macros())
        } else {
            Vec::new()
        };
        // Their roots have other paths elsewhere; their names are the same.
        keyed.push(OsString::from(format!("mapped {}", self.settings.remap)));
        if let Some(alias) = self.alias() {
            // As it stands: no other directory has it.
            let alias = Digest::of(alias.as_bytes()).to_hex();
            keyed.push(OsString::from(format!("called {alias}")));
        }
        if compile.native_cpu {
            let cpu = Digest::of(&processor()).to_hex();
            keyed.push(OsString::from(format!("cpu {cpu}")));
        }
        let outputs = self.absolute(compile.files());
        Ok(Job {
            what: What::Compile(Box::new(compile), identity),
            tool,
            keyed,
            outputs,
            added,
        })
    }

    /// A definition with the paths of roots named: that a source looks into such a path is found in the
    /// source, see [`reads`].
    fn anywhere(&self, word: &OsStr) -> OsString {
        let mut text = word.as_bytes().to_vec();
        for roots in [&self.shown, &self.roots] {
            text = roots.canonical_plain(&text);
        }
        OsString::from_vec(text)
    }

    fn absolute(&self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let of = |path: PathBuf| self.environment.cwd.join(path);
        paths
            .into_iter()
            .map(of)
            .map(|path| rekindle_fsx::real_but_last(&path))
            .collect()
    }

    fn step<'s>(&'s self, job: &Job, program: Digest) -> Step<'s> {
        Step {
            kind: job.kind(),
            program,
            arguments: job.keyed.clone(),
            environment: self.environment,
            roots: self.roots.clone(),
            shown: self.shown.clone(),
            own: vec![job.tool.clone()],
            places: job.outputs.iter().cloned().map(Place::File).collect(),
            known_as: self.known_as(job),
        }
    }

    /// What such a call reads and no other.
    fn own(&self, job: &Job) -> Vec<PathBuf> {
        let paths: Vec<&Path> = match &job.what {
            What::Compile(compile, _) => compile.sources.iter().map(PathBuf::as_path).collect(),
            What::Archive(_) => job.inputs(),
        };
        let of = |path: &Path| self.environment.cwd.join(path);
        paths.into_iter().map(of).collect()
    }

    /// Where what was found of the files is kept that such calls read: headers, and the compiler's own.
    fn shelf(&self, job: &Job) -> Digest {
        let package = self.environment.get("CARGO_PKG_NAME").unwrap_or_default();
        let mut hasher = DigestHasher::new();
        hasher.field(b"cc shelf 1").field(job.kind().as_bytes());
        hasher.field(package.as_bytes());
        hasher.field(job.tool.as_os_str().as_bytes());
        if let What::Compile(compile, _) = &job.what {
            // Marks say whether a source uses one of them.
            for (name, _) in reads::telling(&self.roots, compile) {
                hasher.field(name.as_bytes());
            }
        }
        hasher.finish()
    }

    /// Names of what is made, for `explain`: the very output, and whatever is made of this source.
    fn known_as(&self, job: &Job) -> Vec<Digest> {
        let mut hasher = DigestHasher::new();
        hasher.field(b"latest cc 1").field(job.kind().as_bytes());
        for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            let value = self.environment.get(name).unwrap_or_default();
            hasher.field(value.as_bytes());
        }
        hasher.field(self.program.as_bytes());
        if let What::Archive(archive) = &job.what {
            // It is made in one step and given its index in another.
            hasher.field(archive.keys.as_bytes());
        }
        let source = self.roots.canonical(Path::new(&job.name()));
        let general = hasher.field(&source).finish();
        let output = job.outputs.first().map(|path| self.roots.canonical(path));
        let exact = hasher.field(&output.unwrap_or_default()).finish();
        vec![exact, general]
    }

    fn deal(&self, job: &Job, streams: &mut Streams<'_>) -> io::Result<Dealt> {
        if let Some(odd) = job.outputs.iter().find(|path| !is_replaceable(path)) {
            return Ok(self.refused(Refusal::OddOutput {
                path: odd.display().to_string(),
                detail: "something that is no file is in its place".into(),
            }));
        }
        if !job.outputs.iter().all(|path| has_directory(path)) {
            // The program says so.
            return Ok(Dealt::Unchanged);
        }
        let program = match self.engine.files.tool(&job.tool) {
            Ok(digest) => digest,
            Err(_) => return Ok(Dealt::Unchanged),
        };
        let step = self.step(job, program);
        let mut event = self.event(job);
        let mut reason = MissReason::Recache;
        let mut expected = None;
        if !self.settings.recache {
            let looked_up = self.engine.look_up(&step);
            event.times.lookup_us = micros(self.start.elapsed());
            reason = match looked_up {
                LookedUp::Hit(found) if self.settings.verify => {
                    expected = Some(found.entry);
                    MissReason::Recache
                }
                LookedUp::Hit(found) => match self.hit(job, (&step, &found), &mut event, streams) {
                    Ok(dealt) => return Ok(dealt),
                    Err(reason) => reason,
                },
                LookedUp::Miss(reason) => reason,
            };
        }
        event.miss = Some(reason);
        self.miss(job, (&step, expected.as_ref()), event, streams)
    }

    fn hit(
        &self,
        job: &Job,
        (step, found): (&Step<'_>, &Found),
        event: &mut StepEvent,
        streams: &mut Streams<'_>,
    ) -> Result<Dealt, MissReason> {
        let restore_start = Instant::now();
        let restored = self.engine.restore(step, found)?;
        // Where nobody listens there is nobody to be told.
        let _ = around::announce(&found.entry, &step.roots, &job.outputs);
        // A reader that is gone is the caller's end.
        let _ = streams.stdout.write_all(&restored.stdout);
        let _ = streams.stderr.write_all(&restored.stderr);
        event.times.restore_us = micros(restore_start.elapsed());
        event.fate = StepFate::Hit;
        event.key = Some(found.key);
        event.path_bound = found.entry.path_bound;
        event.bytes = restored.bytes;
        event.saved_us = found.entry.run_us;
        self.finish(event.clone());
        Ok(Dealt::Done(0))
    }

    fn miss(
        &self,
        job: &Job,
        (step, expected): (&Step<'_>, Option<&StepEntry>),
        mut event: StepEvent,
        streams: &mut Streams<'_>,
    ) -> io::Result<Dealt> {
        if matches!(job.what, What::Compile(..)) {
            // As the compiler would: what was there is none of its inputs.
            for output in &job.outputs {
                rekindle_fsx::remove_file(output)?;
            }
        }
        self.settle(job);
        let mut command = Command::new(self.program);
        command.args(&job.added).args(self.arguments);
        match places::library_path(self.environment, &self.shown) {
            Some(kept) if kept.is_empty() => _ = command.env_remove(LIBRARY_PATH),
            Some(kept) => _ = command.env(LIBRARY_PATH, kept),
            None => {}
        }
        let (observer, options) = around::observing(self.settings, self.environment);
        let observing = (&observer, &options);
        let mut ran = self.engine.run(step, &mut command, observing, streams)?;
        event.exit_code = ran.exit_code;
        event.times.run_us = micros(ran.time);
        let publish_start = Instant::now();
        let judged = match &job.what {
            What::Compile(compile, identity) => {
                reads::judge(self, compile, *identity, &ran).map(|bound| ran.bound.extend(bound))
            }
            What::Archive(_) => Ok(()),
        };
        let policy = Policy {
            updates: matches!(job.what, What::Archive(_)),
            tidies: true,
            resolves: true,
            is_silent: ran.stdout.is_empty() && ran.stderr.is_empty(),
            unkeyed: LEADING,
            ..Policy::default()
        };
        let published = judged.and_then(|()| self.engine.publish(step, &ran, policy));
        scripts::verify(&self.engine, expected, &published, &mut event);
        journal::stored(&mut event, published);
        event.times.publish_us = micros(publish_start.elapsed());
        let code = ran.exit_code;
        self.finish(event);
        Ok(Dealt::Done(code))
    }

    /// Build scripts write a source, or have an object made, and at once compile or collect it. What was
    /// written in the very tick of the clock in which a run begins cannot be told from what is written
    /// while it runs: then the next tick is awaited.
    fn settle(&self, job: &Job) {
        let now_ns = rekindle_fsx::time::coarse_ns();
        let is_new = |path: PathBuf| {
            let sig = rekindle_fsx::stat_follow(&path);
            sig.is_ok_and(|sig| sig.ctime_ns >= now_ns)
        };
        let mut inputs = job.inputs().into_iter().flat_map(|path| {
            let path = self.environment.cwd.join(path);
            path.parent().map(Path::to_owned).into_iter().chain([path])
        });
        if inputs.any(is_new) {
            rekindle_fsx::time::await_next_stamp();
        }
    }

    /// `PWD`, where it is another name of the directory that a compiler runs in: then that name is what
    /// debug information gets.
    fn alias(&self) -> Option<&OsStr> {
        let name = self.environment.get("PWD")?;
        let said = Path::new(name);
        let is_here = || {
            let (there, here) = (
                rekindle_fsx::stat_follow(said),
                rekindle_fsx::stat_follow(&self.environment.cwd),
            );
            matches!((there, here), (Ok(there), Ok(here)) if (there.dev, there.ino) == (here.dev, here.ino))
        };
        (said != self.environment.cwd && is_here()).then_some(name)
    }

    /// The real program is to run, and nobody may learn anything of it.
    fn refused(&self, refusal: Refusal) -> Dealt {
        let mut event = journal::step(self.environment, "cc", String::new());
        event.fate = StepFate::Refused;
        event.refused = Some(refusal);
        self.finish(event);
        Dealt::Unchanged
    }

    fn event(&self, job: &Job) -> StepEvent {
        let kind = job.kind().split(' ').next().unwrap_or_default();
        journal::step(self.environment, kind, job.name())
    }

    fn finish(&self, mut event: StepEvent) {
        event.times.total_us = micros(self.start.elapsed());
        let journal = Journal::of_run(self.settings.run_dir.as_deref());
        journal.write(EventKind::Step(Box::new(event)));
    }
}

/// Whether nothing is there, or a file. Writing through a link writes elsewhere.
fn is_replaceable(path: &Path) -> bool {
    rekindle_fsx::stat(path).map_or(true, |sig| sig.kind() == rekindle_fsx::FileKind::File)
}

/// Whether a file can be made there.
fn has_directory(path: &Path) -> bool {
    path.parent().is_some_and(rekindle_fsx::is_dir)
}

fn other(detail: &str) -> NotACompile {
    NotACompile::Uncacheable(UncacheableReason::Other {
        detail: detail.into(),
    })
}

/// The same reason, said of a step.
fn refusal(reason: UncacheableReason) -> Refusal {
    match reason {
        UncacheableReason::Argument { argument } => Refusal::Argument { argument },
        other => Refusal::Command {
            detail: other.to_string(),
        },
    }
}
