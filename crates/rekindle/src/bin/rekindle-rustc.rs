//! The wrapper that cargo starts in front of rustc, once for every unit. It goes by other names too:
//! rustc starts it in place of the linker's driver, cargo in place of rustdoc, and the kernel in place
//! of a program that is a placeholder. On any fault of its own it runs the real tool unchanged.
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program's edge reads arguments and prints"
)]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use rekindle::{RUSTDOC, Surroundings, runs, settings};
use rekindle_base::{ByteSize, Clock, SystemClock};
use rekindle_compile::{
    Environment, Journal, Settings, StepStreams, cc, readers, scripts, shim, wrapper,
};
use rekindle_outputs::launch::is_build_script;
use rekindle_outputs::placeholder::LAUNCH;
use rekindle_store::LocalStore;
use rekindle_store::beyond::{self, Asker};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let own_name = words.next().unwrap_or_default();
    let words: Vec<OsString> = words.collect();
    if let Some(directory) = shim::directory_of(&own_name) {
        return code(shim::run(&directory, &words, &mut io::stderr()));
    }
    if Path::new(&own_name).file_name() == Some(OsStr::new(RUSTDOC)) {
        return rustdoc(&words);
    }
    if let Some((first, words)) = words.split_first()
        && first == LAUNCH
    {
        return launch(words);
    }
    if let Some((first, words)) = words.split_first()
        && first == cc::REDIRECTED
    {
        return redirected(words);
    }
    match std::panic::catch_unwind(|| deal(&words)) {
        Ok(Ok(Some(exit))) => code(exit),
        Ok(Ok(None)) => run_unchanged(&words),
        Ok(Err(fault)) => {
            eprintln!("rekindle-rustc: {fault}; the compiler runs without the cache");
            run_unchanged(&words)
        }
        // The panic was printed, with its place.
        Err(_) => {
            eprintln!("rekindle-rustc: this is a bug of ours; the compiler runs without the cache");
            run_unchanged(&words)
        }
    }
}

/// The exit code; `None` where Rekindle is switched off.
fn deal(words: &[OsString]) -> Result<Option<i32>, Box<dyn std::error::Error>> {
    let surroundings = Surroundings::of_process()?;
    if settings::is_disabled(&surroundings)? {
        return Ok(None);
    }
    let (settings, evict_to) = settings_of(&surroundings)?;
    let program = std::env::current_exe()?;
    let mut environment = Environment::new(surroundings.vars, surroundings.cwd, program);
    rekindle_compile::rustdoc::hide_from_compiler(&settings, &mut environment);
    let mut stderr = io::stderr();
    let mut stdout = io::stdout();
    let mut streams = wrapper::Streams {
        stderr: &mut stderr,
        stdout: &mut stdout,
    };
    // The compiler could not be started: starting it again says so in cargo's way.
    let exit = wrapper::run(&settings, &environment, words, &mut streams)?;
    if let Some(size) = evict_to {
        // What goes wrong here is no fault of the build's; `rekindle cache gc` shows it.
        let store = LocalStore::open(&settings.store_dir);
        let _ = store.maybe_gc(size, SystemClock::default().now());
    }
    Ok(Some(exit))
}

/// The settings that the `rekindle` command froze, or those of these surroundings under a plain cargo. Then
/// the first wrapper that cargo starts also sees to the store's budget, since nobody else will.
fn settings_of(
    surroundings: &Surroundings,
) -> Result<(Settings, Option<ByteSize>), Box<dyn std::error::Error>> {
    if let Some(settings) = settings::frozen(surroundings) {
        look_beyond(&settings);
        return Ok((settings, None));
    }
    let resolved = settings::resolve(surroundings)?;
    let mut settings = resolved.settings;
    let run = runs::of_caller(&settings.store_dir);
    let is_first = run.as_ref().is_some_and(|(_, made)| *made);
    settings.run_dir = run.map(|(directory, _)| directory);
    Ok((settings, is_first.then_some(resolved.size)))
}

/// Becomes the program that a placeholder stands for, or deals with a build script.
fn launch(words: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = words.split_first() else {
        eprintln!("rekindle-rustc: {LAUNCH} is for the first line of placeholders");
        return ExitCode::from(2);
    };
    let path = Path::new(program);
    if is_build_script(path) {
        return build_script(program, arguments);
    }
    let (environment, settings) = match around() {
        Ok(around) => around,
        Err(error) => return fail(&format!("no working directory: {error}")),
    };
    // A placeholder names its store; without settings the run's log does not show what was read.
    let journal = Journal::of_run(settings.and_then(|settings| settings.run_dir).as_deref());
    if let Err(exit) = readers::before_launch(path, &journal, &environment, &mut io::stderr()) {
        return code(exit);
    }
    // A bare name would be looked for on `PATH`.
    let file = environment.cwd.join(path);
    let error = Command::new(file).arg0(program).args(arguments).exec();
    fail(&format!("cannot start `{}`: {error}", program.display()))
}

/// Deals with a build script that cargo started. Without settings, or where the user wants it so, it runs.
fn build_script(program: &OsStr, arguments: &[OsString]) -> ExitCode {
    let surroundings = match Surroundings::of_process() {
        Ok(surroundings) => surroundings,
        Err(error) => return fail(&format!("no working directory: {error}")),
    };
    let is_off = settings::is_disabled(&surroundings).unwrap_or(false);
    let settings = (!is_off)
        .then(|| settings_of(&surroundings))
        .and_then(Result::ok);
    let settings = settings
        .map(|(settings, _)| settings)
        .filter(|settings| settings.scripts);
    let own = std::env::current_exe().unwrap_or_default();
    let mut environment = Environment::new(surroundings.vars, surroundings.cwd, own);
    if let Some(settings) = &settings {
        rekindle_compile::rustdoc::hide_from_script(settings, &mut environment);
    }
    let launch = scripts::Launch {
        program,
        arguments,
        environment: &environment,
        settings: settings.as_ref(),
    };
    let mut streams = StepStreams {
        stdout: &mut io::stdout(),
        stderr: &mut io::stderr(),
    };
    match scripts::run(&launch, &mut streams) {
        Ok(exit) => code(exit),
        Err(error) => fail(&format!("cannot start `{}`: {error}", program.display())),
    }
}

/// Deals with a C compiler or an archiver that a build script started. On any fault of ours the real one
/// runs, as it would have.
fn redirected(words: &[OsString]) -> ExitCode {
    let dealt = std::panic::catch_unwind(|| -> Result<cc::Dealt, Box<dyn std::error::Error>> {
        let surroundings = Surroundings::of_process()?;
        if settings::is_switched_off(&surroundings)? {
            return Ok(cc::Dealt::Unchanged);
        }
        let (settings, _) = settings_of(&surroundings)?;
        let program = std::env::current_exe()?;
        let environment = Environment::new(surroundings.vars, surroundings.cwd, program);
        let mut streams = StepStreams {
            stdout: &mut io::stdout(),
            stderr: &mut io::stderr(),
        };
        Ok(cc::run(&settings, &environment, words, &mut streams)?)
    });
    match dealt {
        Ok(Ok(cc::Dealt::Done(exit))) => code(exit),
        _ => run_unchanged(words),
    }
}

/// Becomes rustdoc, when what it reads is in place.
fn rustdoc(words: &[OsString]) -> ExitCode {
    let mut program = PathBuf::from(RUSTDOC);
    if let Ok((environment, Some(settings))) = around() {
        let journal = Journal::of_run(settings.run_dir.as_deref());
        let store = &settings.store_dir;
        let stderr = &mut io::stderr();
        if let Err(exit) = readers::before_rustdoc(store, &journal, &environment, words, stderr) {
            return code(exit);
        }
        program = settings.rustdoc.unwrap_or(program);
    }
    let error = Command::new(&program).args(words).exec();
    fail(&format!("cannot start `{}`: {error}", program.display()))
}

/// The environment, and the settings that a `rekindle` command froze.
fn around() -> io::Result<(Environment, Option<Settings>)> {
    let surroundings = Surroundings::of_process()?;
    let settings = settings::frozen(&surroundings);
    settings.iter().for_each(look_beyond);
    let program = std::env::current_exe()?;
    let environment = Environment::new(surroundings.vars, surroundings.cwd, program);
    Ok((environment, settings))
}

/// What the store does not have, the command around this process may bring.
fn look_beyond(settings: &Settings) {
    if let (Some(wait_ms), Some(run_dir)) = (settings.beyond_wait_ms, &settings.run_dir)
        && let Some(asker) = Asker::of_run(run_dir, Duration::from_millis(wait_ms))
    {
        beyond::set(&settings.store_dir, Arc::new(asker));
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("rekindle-rustc: {message}");
    ExitCode::from(127)
}

fn run_unchanged(words: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = words.split_first() else {
        return ExitCode::from(2);
    };
    let error = Command::new(program).args(arguments).exec();
    eprintln!(
        "rekindle-rustc: cannot start `{}`: {error}",
        program.display()
    );
    ExitCode::from(127)
}

/// What a process can end with: the low eight bits.
fn code(exit: i32) -> ExitCode {
    ExitCode::from(u8::try_from(exit & 0xff).unwrap_or(1))
}
