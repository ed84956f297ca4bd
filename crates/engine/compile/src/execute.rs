//! Running the compiler, passing on what it prints as it comes.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rekindle_fsx::time::Watch;
use rekindle_observe::{Observation, Observer, Options};
use rekindle_outputs::environment::Environment;

use crate::observed::Watched;

/// A compiler's run.
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) exit_code: i32,
    /// Lines of standard error, ends included.
    pub(crate) stderr: Vec<Vec<u8>>,
    /// Whether it printed anything to standard output, which is passed on but not kept.
    pub(crate) printed_stdout: bool,
    /// When it was started.
    pub(crate) began: Instant,
    /// How long it took.
    pub(crate) time: Duration,
    /// When metadata was ready.
    pub(crate) metadata_at: Option<Duration>,
    /// Tells whether inputs changed meanwhile.
    pub(crate) watch: Watch,
    /// What it did, where it was observed.
    pub(crate) observation: Option<Observation>,
}

/// What is done with each line before it is passed on.
pub(crate) trait Listener {
    /// Names to replace in what people read, and by what.
    fn replacements(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &[]
    }

    /// An output is announced: dependents may start as soon as the line is passed on.
    fn announced(&mut self, _artifact: &Artifact) {}
}

/// A listener that does nothing.
pub(crate) struct Deaf;

impl Listener for Deaf {}

/// Runs a compiler. What it prints goes on line by line, so that cargo starts dependents as soon as
/// metadata is announced.
pub(crate) fn run(
    (program, arguments): (&OsStr, &[OsString]),
    environment: &Environment,
    watched: Option<&Watched>,
    listener: &mut dyn Listener,
    stderr: &mut dyn Write,
    stdout: &mut (dyn Write + Send),
) -> io::Result<Ran> {
    let watch = Watch::start();
    let start = Instant::now();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    environment.hand_down(&mut command);
    let mut child = match watched {
        Some(watched) => watched.observer.spawn(&mut command, &watched.options)?,
        None => Observer::off().spawn(&mut command, &Options::default())?,
    };
    let child_stdout = child.stdout.take();
    let child_stderr = child.stderr.take();
    let (lines, metadata_at, printed_stdout) = std::thread::scope(|scope| {
        let printed = scope.spawn(move || child_stdout.is_some_and(|pipe| pass_on(pipe, stdout)));
        let mut lines = Vec::new();
        let mut metadata_at = None;
        let mut reader = BufReader::new(child_stderr.map_or_else(
            || Box::new(io::empty()) as Box<dyn Read>,
            |pipe| Box::new(pipe),
        ));
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            for (from, to) in listener.replacements() {
                line = replaced(line, from, to);
            }
            if let Some(artifact) = artifact(&line) {
                if artifact.emit == "metadata" {
                    metadata_at = metadata_at.or(Some(start.elapsed()));
                }
                listener.announced(&artifact);
            }
            // A reader that is gone is cargo's end; the compiler goes on to a consistent state.
            let _ = stderr.write_all(&line);
            let _ = stderr.flush();
            lines.push(std::mem::take(&mut line));
        }
        (lines, metadata_at, printed.join().unwrap_or(true))
    });
    let observed = child.wait()?;
    Ok(Ran {
        exit_code: exit_code(observed.status),
        stderr: lines,
        printed_stdout,
        began: start,
        time: start.elapsed(),
        metadata_at,
        watch,
        observation: watched.map(|_| observed.observation),
    })
}

fn pass_on(mut pipe: impl Read, out: &mut (dyn Write + Send)) -> bool {
    let mut piece = [0; 4096];
    let mut printed = false;
    while let Ok(read @ 1..) = pipe.read(&mut piece) {
        printed = true;
        let _ = out.write_all(&piece[..read]);
    }
    let _ = out.flush();
    printed
}

fn replaced(line: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    if memchr::memmem::find(&line, from).is_none() {
        return line;
    }
    let mut replaced = Vec::with_capacity(line.len());
    let mut done = 0;
    for at in memchr::memmem::find_iter(&line, from) {
        replaced.extend_from_slice(&line[done..at]);
        replaced.extend_from_slice(to);
        done = at + from.len();
    }
    replaced.extend_from_slice(&line[done..]);
    replaced
}

/// The notification of an output, if the line is one.
#[derive(serde::Deserialize)]
pub(crate) struct Artifact {
    /// Its path.
    pub(crate) artifact: String,
    /// What it is.
    pub(crate) emit: String,
}

/// Reads a notification.
pub(crate) fn artifact(line: &[u8]) -> Option<Artifact> {
    // Diagnostics are long; a notification says early what it is.
    let head = &line[..line.len().min(64)];
    memchr::memmem::find(head, b"\"artifact\"")?;
    serde_json::from_slice(line).ok()
}

/// The exit code as a shell gives it.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
