//! `rekindle step`: a command that turns files into files, replayed where all that it read is the same.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle::{Surroundings, VERSION, WRAPPER, runs, settings, sibling};
use rekindle_base::{Clock, SystemClock, env};
use rekindle_compile::{Environment, StepStreams, command};
use rekindle_events::{Event, EventKind, Refusal, RunStarted};

use crate::cli::StepArgs;
use crate::error::CommandError;

pub(crate) fn run(args: &StepArgs) -> Result<u8, CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
    check_outputs(args, &surroundings)?;
    if settings::is_switched_off(&surroundings)? {
        return plain(&args.command);
    }
    let frozen = settings::frozen(&surroundings);
    let settings = match frozen {
        Some(settings) => settings,
        None => {
            let mut settings = settings::resolve(&surroundings)?.settings;
            // A log that cannot be made costs what `explain` would say.
            settings.run_dir = begin(&settings.store_dir, &surroundings.cwd).ok();
            settings
        }
    };
    let is_quiet = surroundings
        .non_empty(env::REKINDLE_QUIET)
        .is_some_and(|value| value != "0");
    let program = sibling(WRAPPER).unwrap_or_default();
    let environment = Environment::new(surroundings.vars, surroundings.cwd, program);
    let asked = command::Asked {
        words: &args.command,
        outputs: &args.output,
        inputs: &args.input,
        clear: args.clear,
    };
    let mut streams = StepStreams {
        stdout: &mut io::stdout(),
        stderr: &mut io::stderr(),
    };
    let dealt = command::run(&settings, &environment, asked, &mut streams)
        .map_err(|error| not_run(&args.command, &error))?;
    match dealt.refused {
        None | Some(Refusal::Failed { .. }) => {}
        // A reader that is gone is no error.
        Some(refusal) if !is_quiet => {
            let _ = writeln!(io::stderr(), "rekindle: not stored: {refusal}");
        }
        Some(_) => {}
    }
    Ok(low_bits(dealt.exit_code))
}

/// Begins the log of a run.
fn begin(store_dir: &Path, cwd: &Path) -> io::Result<PathBuf> {
    let now = SystemClock::default().now();
    let run = runs::run_id(now, std::process::id());
    let directory = runs::create(store_dir, &run)?;
    let started = EventKind::RunStarted(RunStarted {
        run,
        command: "step".to_owned(),
        cwd: cwd.display().to_string(),
        rekindle: VERSION.to_owned(),
    });
    runs::append(&directory, &Event::new(now, started))?;
    Ok(directory)
}

/// An output that is removed, or replaced as a whole, must not be where the user is.
fn check_outputs(args: &StepArgs, surroundings: &Surroundings) -> Result<(), CommandError> {
    let real = |path: &Path| rekindle_fsx::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let cwd = real(&surroundings.cwd);
    for output in &args.output {
        let path = real(&surroundings.cwd.join(output));
        let home = surroundings.home.as_deref().map(real);
        if cwd.starts_with(&path) || home.is_some_and(|home| home.starts_with(&path)) {
            let message = format!("`{}` cannot be an output: more is in it", output.display());
            let hint = "name a directory that holds nothing but what the command makes";
            return Err(CommandError::user(message).hint(hint));
        }
    }
    Ok(())
}

fn plain(words: &[OsString]) -> Result<u8, CommandError> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| CommandError::user("there is no command"))?;
    let status = Command::new(program).args(arguments).status();
    let status = status.map_err(|error| not_run(words, &error))?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
    Ok(low_bits(status.code().unwrap_or(128 + signal)))
}

fn not_run(words: &[OsString], error: &io::Error) -> CommandError {
    let program = words
        .first()
        .map(|word| word.to_string_lossy().into_owned());
    let program = program.unwrap_or_default();
    CommandError::environment(format!("`{program}` could not be run: {error}"))
}

/// What a process can end with.
fn low_bits(exit_code: i32) -> u8 {
    u8::try_from(exit_code & 0xff).unwrap_or(1)
}
