//! `rekindle <cargo's command>`: runs cargo with Rekindle's wrapper and says what it came to.
//!
//! Here the command line and the settings are read; then [`wiring`] says what wrapper there is and which directory the
//! run has, and a [`run`] goes through its phases: cargo runs in [`child`], its standard output read by [`messages`]
//! where that changes nothing a person sees; [`build_scripts`] counts what cargo started itself.
//! Around that, [`snapshots`] restores what an earlier run built, and captures what this one did; around these,
//! [`remote`] brings what other machines saved, and saves. [`recording`] notes how long each phase took and what the
//! machine did.
//! A fault of ours costs a warning, and cargo runs as if Rekindle were not there.

mod beforehand;
mod build_scripts;
mod child;
mod ci_report;
mod compiler_info;
mod messages;
mod past;
mod recording;
mod remote;
mod run;
mod snapshots;
mod wiring;

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use rekindle::cargo_config::CargoConfig;
use rekindle::{Resolved, Surroundings, layout, settings};
use rekindle_base::ErrorKind;
use rekindle_store::LocalStore;

use self::messages::Reading;
use self::recording::Began;
use self::run::{Place, Run};
use self::wiring::Wiring;
use crate::error::CommandError;
use crate::invocation::CargoLine;

pub(crate) use self::wiring::located;

pub(crate) fn run(arguments: &[OsString]) -> Result<u8, CommandError> {
    let began = Began::now();
    let line = CargoLine::parse(arguments);
    let Ok(surroundings) = Surroundings::of_process() else {
        // cargo says better than we could that there is no working directory.
        return plain(&line, None);
    };
    if line.command.is_none() || line.informs || settings::is_disabled(&surroundings)? {
        return plain(&line, Some(&surroundings));
    }
    let resolved = match settings::resolve(&surroundings) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == ErrorKind::Environment => {
            warn(&format!("{error}: cargo runs without rekindle"));
            return plain(&line, Some(&surroundings));
        }
        Err(error) => return Err(error.into()),
    };
    with_wrapper(&line, &surroundings, resolved, began)
}

fn warn(message: &str) {
    eprintln!("rekindle: warning: {message}");
}

/// cargo, as the user would call it.
fn cargo(line: &CargoLine, surroundings: Option<&Surroundings>) -> Command {
    let named = surroundings.and_then(|surroundings| surroundings.non_empty("CARGO"));
    // `+nightly` means something to rustup's cargo alone, and `CARGO` names a toolchain's own.
    let mut command = match (&line.toolchain, named) {
        (None, Some(program)) => Command::new(program),
        _ => Command::new("cargo"),
    };
    command.args(&line.toolchain);
    command
}

/// Runs cargo without anything of ours.
fn plain(line: &CargoLine, surroundings: Option<&Surroundings>) -> Result<u8, CommandError> {
    let mut command = cargo(line, surroundings);
    command.args(&line.arguments);
    Ok(child::run(&mut command, Reading::Nothing)?.code)
}

fn with_wrapper(
    line: &CargoLine,
    surroundings: &Surroundings,
    resolved: Resolved,
    began: Began,
) -> Result<u8, CommandError> {
    let cwd = match &line.directory {
        Some(dir) => surroundings.cwd.join(dir),
        None => surroundings.cwd.clone(),
    };
    let config = CargoConfig::read(surroundings, &cwd, &line.config);
    let layout = layout::find(surroundings, &config, &cwd, line.asked());
    let asked_quiet = surroundings.var("CARGO_TERM_QUIET");
    let quiet = resolved.quiet || line.quiet || asked_quiet.is_some_and(|value| value == "true");
    let store = LocalStore::open(&resolved.settings.store_dir);
    let cargo_home = resolved.settings.cargo_home.clone();
    let wiring = match Wiring::prepare(line, surroundings, &config, resolved.settings) {
        Ok(wiring) => wiring,
        Err(reason) => {
            warn(&format!("{reason}: cargo runs without rekindle"));
            return plain(line, Some(surroundings));
        }
    };
    // What the build uses is not evicted meanwhile; where this fails, an eviction makes a miss.
    let active = store.register_active();
    let place = Place {
        line,
        surroundings,
        config: &config,
        layout: layout.as_ref().ok(),
        cwd: &cwd,
        store: &store,
        cargo_home: &cargo_home,
        quiet,
    };
    let mut run = Run::prepare(place, wiring, began, resolved.snapshot);
    run.restore(resolved.remote.as_ref());
    let mut built = run.build()?;
    let made = run.capture(&mut built);
    run.record(&built);
    run.share(&built.ended, made);
    drop(active);
    let pages = resolved.report.then_some(resolved.report_dir);
    run.report(pages);
    run.end(&built.ended, resolved.size);
    Ok(built.ended.code)
}

/// A flag that one thread sets for another.
type Flag = Arc<std::sync::atomic::AtomicBool>;
