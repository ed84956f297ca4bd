//! Running a step's program observed, passing on what it prints as it comes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rekindle_fsx::time::Watch;
use rekindle_key::Root;
use rekindle_observe::{Observation, Observer, Options};

use crate::{Engine, Place, Step};

/// Where a program's output goes.
pub struct Streams<'a> {
    /// Standard output.
    pub stdout: &'a mut (dyn Write + Send),
    /// Standard error.
    pub stderr: &'a mut (dyn Write + Send),
}

/// A program's run.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code, as a shell gives it.
    pub exit_code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: Vec<u8>,
    /// How long it took.
    pub time: Duration,
    /// What it did.
    pub observation: Observation,
    /// Roots whose real paths decided about what was made, though no output need hold them: for the
    /// caller to say.
    pub bound: BTreeSet<Root>,
    /// Paths in its output directories that were there before.
    pub(crate) earlier: BTreeSet<PathBuf>,
    pub(crate) watch: Watch,
    /// The days and minutes that it saw: seconds since 1970 at begin and end.
    pub(crate) seconds: (i64, i64),
}

impl Engine<'_> {
    /// Runs a step's program. The command is as it is to be started, but for its streams.
    ///
    /// # Errors
    /// As starting it and waiting for it.
    pub fn run(
        &self,
        step: &Step<'_>,
        command: &mut Command,
        (observer, options): (&Observer, &Options),
        streams: &mut Streams<'_>,
    ) -> io::Result<Ran> {
        let earlier = earlier(&step.places);
        let watch = Watch::start();
        let began_s = seconds();
        let start = Instant::now();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = observer.spawn(command, options)?;
        let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
        let (observed, stdout, stderr) = std::thread::scope(|scope| {
            let out = streams.stdout as &mut (dyn Write + Send);
            let err = streams.stderr as &mut (dyn Write + Send);
            let stdout = scope.spawn(move || stdout.map(|pipe| passed_on(pipe, out)));
            let stderr = scope.spawn(move || stderr.map(|pipe| passed_on(pipe, err)));
            let observed = running.wait();
            let text = |thread: std::thread::ScopedJoinHandle<'_, Option<Vec<u8>>>| {
                thread.join().ok().flatten().unwrap_or_default()
            };
            (observed, text(stdout), text(stderr))
        });
        let observed = observed?;
        self.files.forget_sources();
        let code = observed.status.code();
        let signal = || observed.status.signal().unwrap_or(0);
        Ok(Ran {
            exit_code: code.unwrap_or_else(|| 128 + signal()),
            stdout,
            stderr,
            time: start.elapsed(),
            observation: observed.observation,
            bound: BTreeSet::new(),
            earlier,
            watch,
            seconds: (began_s, seconds()),
        })
    }
}

fn seconds() -> i64 {
    rekindle_fsx::time::realtime_ns() / 1_000_000_000
}

fn earlier(places: &[Place]) -> BTreeSet<PathBuf> {
    let mut earlier = BTreeSet::new();
    for place in places {
        match place {
            Place::Directory(directory) => {
                let entries = rekindle_fsx::walk_all(directory).unwrap_or_default();
                earlier.extend(entries.into_iter().map(|entry| entry.path));
            }
            Place::File(file) if rekindle_fsx::exists(file) => {
                earlier.insert(file.clone());
            }
            Place::File(_) => {}
        }
    }
    earlier
}

/// A reader that is gone is the caller's end; the program goes on.
fn passed_on(mut pipe: impl Read, out: &mut (dyn Write + Send)) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; 8192];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                let _ = out.write_all(&piece[..read]);
                let _ = out.flush();
                all.extend_from_slice(&piece[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    all
}
