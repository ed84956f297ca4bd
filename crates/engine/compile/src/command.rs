//! Commands of the user's that turn files into files, looked up before they are started.
//!
//! `rekindle step` calls [`run`]. The command is a step of its own kind: keyed by its program, its words,
//! the directory it runs in, and all that it was seen to read. It is not stored where it does what
//! cannot be replayed; then it runs each time, as it would have.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rekindle_base::{Digest, DigestHasher, env};
use rekindle_events::{EventKind, MissReason, Refusal, StepEvent, StepFate};
use rekindle_key::{Root, Roots};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_steps::{Engine, LookedUp, Place, Policy, Step, Streams};
use rekindle_store::LocalStore;

use crate::cc::around;
use crate::journal::{self, Journal};
use crate::publish::micros;
use crate::scripts;
use crate::settings::Settings;

/// What kind of step it is. The number is raised whenever commands are keyed in another way.
const KIND: &str = "command 1";

/// A command, as the user gives it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The program, then its arguments.
    pub words: &'a [OsString],
    /// What it makes: files, and directories whose names end in a slash or that are there.
    pub outputs: &'a [PathBuf],
    /// Files that are keyed by content whether they are read or not.
    pub inputs: &'a [PathBuf],
    /// Whether outputs are removed before it starts.
    pub clear: bool,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// Its exit code.
    pub exit_code: i32,
    /// Why it was not stored.
    pub refused: Option<Refusal>,
}

/// Replays a command, or runs it observed.
///
/// # Errors
/// Where the command cannot be started, a declared input not be read, or an output not be removed.
pub fn run(
    settings: &Settings,
    environment: &Environment,
    asked: Asked<'_>,
    streams: &mut Streams<'_>,
) -> io::Result<Dealt> {
    let start = Instant::now();
    let store = LocalStore::open(&settings.store_dir);
    let files = Files::new(&store);
    let engine = Engine {
        store: &store,
        files: &files,
    };
    let mut step = step(settings, environment, asked, &files)?;
    let mut event = event(&step, asked.words);
    let is_full = |place: &Place| match place {
        Place::Directory(path) => {
            rekindle_fsx::list_names(path).is_ok_and(|names| !names.is_empty())
        }
        Place::File(_) => false,
    };
    let full = step.places.iter().find(|place| is_full(place));
    let full = full
        .filter(|_| !asked.clear)
        .map(|place| place.path().to_owned());
    event.miss = Some(MissReason::Recache);
    // Replaying begins with an empty directory, and nobody allowed that.
    if full.is_none() && !settings.recache {
        match engine.look_up(&step) {
            LookedUp::Hit(found) => {
                event.times.lookup_us = micros(start.elapsed());
                match engine.restore(&step, &found) {
                    Ok(restored) => {
                        let outputs: Vec<PathBuf> = step
                            .places
                            .iter()
                            .map(|place| place.path().to_owned())
                            .collect();
                        let _ = around::announce(&found.entry, &step.roots, &outputs);
                        let _ = streams.stdout.write_all(&restored.stdout);
                        let _ = streams.stderr.write_all(&restored.stderr);
                        event.fate = StepFate::Hit;
                        event.miss = None;
                        event.key = Some(found.key);
                        event.bytes = restored.bytes;
                        event.saved_us = found.entry.run_us;
                        return Ok(finish(settings, event, start));
                    }
                    Err(reason) => event.miss = Some(reason),
                }
            }
            LookedUp::Miss(reason) => event.miss = Some(reason),
        }
    }
    if asked.clear {
        clear(&step.places)?;
    }
    for place in &step.places {
        // As where a run is replayed.
        if let Place::Directory(path) = place {
            rekindle_fsx::create_dir_all(path)?;
        }
    }
    let ran = observed(settings, &engine, &mut step, asked, streams)?;
    event.exit_code = ran.exit_code;
    event.times.run_us = micros(ran.time);
    let odd = |place: &Place| match place {
        Place::File(path) => rekindle_fsx::stat(path)
            .is_ok_and(|sig| sig.kind() == rekindle_fsx::FileKind::Dir)
            .then(|| path.display().to_string()),
        Place::Directory(_) => None,
    };
    let published = match (full, step.places.iter().find_map(odd)) {
        (Some(path), _) if ran.exit_code == 0 => Err(Refusal::FoundEarlierOutput {
            path: path.display().to_string(),
        }),
        (None, Some(path)) => Err(Refusal::OddOutput {
            path,
            detail: "it is a directory, whose name has to end in a slash".into(),
        }),
        _ => engine.publish(&step, &ran, Policy::default()),
    };
    journal::stored(&mut event, published);
    Ok(finish(settings, event, start))
}

fn observed(
    settings: &Settings,
    engine: &Engine<'_>,
    step: &mut Step<'_>,
    asked: Asked<'_>,
    streams: &mut Streams<'_>,
) -> io::Result<rekindle_steps::Ran> {
    let (observer, options) = around::observing(settings, step.environment);
    step.own.extend(options.preload.clone());
    let (program, arguments) = split(asked.words)?;
    // What a step before this one has just written is not written while it runs.
    rekindle_fsx::time::await_next_stamp();
    let mut command = Command::new(program);
    // What comes through a pipe cannot be keyed.
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env(env::REKINDLE_OBSERVED, "1");
    engine.run(step, &mut command, (&observer, &options), streams)
}

fn split(words: &[OsString]) -> io::Result<(&OsString, &[OsString])> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "there is no command");
    words.split_first().ok_or_else(none)
}

fn step<'a>(
    settings: &Settings,
    environment: &'a Environment,
    asked: Asked<'_>,
    files: &Files<'_>,
) -> io::Result<Step<'a>> {
    let (program, _) = split(asked.words)?;
    let missing = || {
        let message = format!("`{}` is not there", program.display());
        io::Error::new(io::ErrorKind::NotFound, message)
    };
    let found = environment.find_program(program).ok_or_else(missing)?;
    let program = files.tool(&rekindle_fsx::canonicalize(&found)?)?;
    let cwd = &environment.cwd;
    let mut shown = vec![
        (Root::Workspace, scripts::workspace(cwd)),
        (Root::CargoHome, settings.cargo_home.clone()),
    ];
    shown.extend(
        environment
            .get("HOME")
            .map(|home| (Root::Home, home.into())),
    );
    let shown = Roots::new(cwd, shown);
    let real = |path: &Path| rekindle_fsx::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let roots = Roots::new(
        &real(cwd),
        shown.iter().map(|(root, path)| (root, real(path))),
    );
    let mut arguments = asked.words.to_vec();
    for input in asked.inputs {
        let digest = files.source(&cwd.join(input))?.to_hex();
        arguments.push(OsString::from(format!("input {digest}")));
    }
    let mut places = Vec::with_capacity(asked.outputs.len());
    for output in asked.outputs {
        let place = place(cwd, output);
        let what = match place {
            Place::Directory(_) => "directory",
            Place::File(_) => "file",
        };
        let mut keyed = OsString::from(what);
        keyed.push("=");
        keyed.push(place.path());
        arguments.push(keyed);
        places.push(place);
    }
    Ok(Step {
        kind: KIND,
        program,
        known_as: vec![known_as(&arguments, &shown)],
        arguments,
        environment,
        roots,
        shown,
        own: Vec::new(),
        places,
    })
}

fn place(cwd: &Path, output: &Path) -> Place {
    let path = rekindle_fsx::real_but_last(&cwd.join(output));
    let is_directory = output.as_os_str().as_bytes().ends_with(b"/") || rekindle_fsx::is_dir(&path);
    if is_directory {
        Place::Directory(path)
    } else {
        Place::File(path)
    }
}

/// A name that the same command has from run to run, for `explain`.
fn known_as(arguments: &[OsString], roots: &Roots) -> Digest {
    let mut hasher = DigestHasher::new();
    hasher
        .field(b"latest command 1")
        .field(&roots.canonical(Path::new("")));
    for argument in arguments
        .iter()
        .filter(|word| !word.as_bytes().starts_with(b"input "))
    {
        hasher.field(argument.as_bytes());
    }
    hasher.finish()
}

fn clear(places: &[Place]) -> io::Result<()> {
    for place in places {
        match place {
            Place::Directory(path) => rekindle_fsx::remove_dir_all(path)?,
            Place::File(path) => rekindle_fsx::remove_file(path)?,
        }
    }
    Ok(())
}

fn event(step: &Step<'_>, words: &[OsString]) -> StepEvent {
    let name = |path: &OsStr| {
        let name = Path::new(path).file_name().unwrap_or(path);
        name.to_string_lossy().into_owned()
    };
    let output = step.places.first();
    let package = words.first().map_or_else(String::new, |word| name(word));
    let id = output.map_or_else(String::new, |place| name(place.path().as_os_str()));
    StepEvent::new("command", (package, String::new()), id)
}

fn finish(settings: &Settings, mut event: StepEvent, start: Instant) -> Dealt {
    event.times.total_us = micros(start.elapsed());
    let dealt = Dealt {
        exit_code: event.exit_code,
        refused: event.refused.clone(),
    };
    Journal::of_run(settings.run_dir.as_deref()).write(EventKind::Step(Box::new(event)));
    dealt
}
