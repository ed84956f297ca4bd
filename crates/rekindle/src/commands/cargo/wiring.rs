//! What cargo is given so that its compilers go through the wrapper, and where the run is recorded.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rekindle::cargo_config::{self, CargoConfig, UserWrapper};
use rekindle::{RUSTDOC, Surroundings, VERSION, WRAPPER, runs, settings, sibling};
use rekindle_base::{Clock, SystemClock, env};
use rekindle_compile::Settings;
use rekindle_events::{Event, EventKind, RunStarted, WarningEvent};

use crate::invocation::CargoLine;

/// Everything that is decided before cargo starts.
pub(super) struct Wiring {
    /// Name of the run.
    pub(super) run: String,
    /// Its directory; `None` where it cannot be made.
    pub(super) run_dir: Option<PathBuf>,
    /// The store's directory.
    pub(super) store_dir: PathBuf,
    /// Path of the wrapper.
    pub(super) wrapper: PathBuf,
    /// What stands in for rustdoc, where it may be started.
    rustdoc: Option<PathBuf>,
    /// The settings, frozen.
    settings_json: String,
    /// What could not be written into the run's log.
    unlogged: Vec<Event>,
}

impl Wiring {
    /// Prepares a run. An error says why cargo must run without the wrapper.
    pub(super) fn prepare(
        line: &CargoLine,
        surroundings: &Surroundings,
        config: &CargoConfig<'_>,
        mut settings: Settings,
    ) -> Result<Self, String> {
        let wrapper = sibling(WRAPPER)
            .map_err(|error| format!("the wrapper beside `rekindle` cannot be used: {error}"))?;
        let user = user_wrapper(surroundings, config, &mut settings);
        let run = runs::run_id(SystemClock::default().now(), std::process::id());
        let mut unlogged = Vec::new();
        let mut log = |event: Event, dir: Option<&Path>| {
            if dir.is_none_or(|dir| runs::append(dir, &event).is_err()) {
                unlogged.push(event);
            }
        };
        let run_dir = match start(line, surroundings, &settings.store_dir, &run) {
            Ok(dir) => Some(dir),
            Err(error) => {
                log(store_unwritable(&settings.store_dir, &error), None);
                None
            }
        };
        if let Some(event) = user.as_ref().and_then(second_cache) {
            log(event, run_dir.as_deref());
        }
        settings.run_dir.clone_from(&run_dir);
        (settings.rustdoc, settings.rustdoc_variable) =
            user_rustdoc(surroundings, config, &wrapper);
        let rustdoc = run_dir
            .as_deref()
            .filter(|_| line.may_document())
            .and_then(|dir| stand_in_for_rustdoc(dir, &wrapper));
        let settings_json = serde_json::to_string(&settings)
            .map_err(|error| format!("the settings cannot be handed on: {error}"))?;
        Ok(Self {
            run,
            run_dir,
            store_dir: settings.store_dir,
            wrapper,
            rustdoc,
            settings_json,
            unlogged,
        })
    }

    /// The variables that cargo gets. Wrappers of the workspace stay as they are: cargo passes them
    /// to ours as an argument.
    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("RUSTC_WRAPPER", self.wrapper.clone().into()),
            (env::REKINDLE_SETTINGS, self.settings_json.clone().into()),
        ];
        // Nothing that cargo compares holds its path, and what our programs start does not see it. Set
        // only where rustdoc may be started: tests do see it.
        let rustdoc = self.rustdoc.iter();
        variables.extend(rustdoc.map(|path| ("RUSTDOC", path.clone().into())));
        variables
    }

    /// Adds to the run's log.
    pub(super) fn log(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let dir = self.run_dir.as_deref();
            if dir.is_none_or(|dir| runs::append(dir, &event).is_err()) {
                self.unlogged.push(event);
            }
        }
    }

    /// What happened so far.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(dir) = &self.run_dir {
            match runs::read(dir) {
                Ok(log) => events = log.events,
                Err(error) => events.push(log_unreadable(&error)),
            }
        }
        events.extend(self.unlogged.iter().cloned());
        events
    }

    /// Whether a wrapper found that the store has lost what a placeholder stands for. It has seen to it
    /// that the next cargo builds that unit.
    pub(super) fn has_lost_a_placeholder(&self) -> bool {
        self.events().iter().any(|event| match &event.kind {
            EventKind::Warning(warning) => warning.id == "placeholder-lost",
            _ => false,
        })
    }
}

/// Finds the wrapper that cargo would call without us, and keeps it working behind ours.
fn user_wrapper(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    target: &mut Settings,
) -> Option<UserWrapper> {
    if let Some(user) = config.rustc_wrapper() {
        settings::set_inner_wrapper(target, Some(located(surroundings, &user.program)));
        return Some(user);
    }
    // Inside another run, or after `rekindle env`, cargo's wrapper is ours already.
    if target.inner_wrapper.is_none()
        && let Some(outer) = settings::frozen(surroundings)
    {
        settings::set_inner_wrapper(target, outer.inner_wrapper);
    }
    None
}

/// The rustdoc that cargo would start without us, where that is not the one on `PATH`, and what the variable
/// for it is.
fn user_rustdoc(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    wrapper: &Path,
) -> (Option<PathBuf>, Option<String>) {
    let variable = surroundings.var("RUSTDOC");
    let variable = variable.map(|value| value.to_string_lossy().into_owned());
    let Some(program) = config.rustdoc() else {
        return (None, variable);
    };
    let program = located(surroundings, &program);
    let is_ours = || {
        let real = |path: &Path| rekindle_fsx::canonicalize(path).ok();
        real(&program).is_some_and(|program| Some(program) == real(wrapper))
    };
    if is_ours() {
        // Inside another run.
        let outer = settings::frozen(surroundings);
        return outer.map_or((None, None), |outer| {
            (outer.rustdoc, outer.rustdoc_variable)
        });
    }
    (Some(program), variable)
}

/// rustdoc is started by cargo itself, not through the wrapper, and reads crates all the same. Where
/// nothing can stand in for it, it fails on placeholders, and says so.
fn stand_in_for_rustdoc(run_dir: &Path, wrapper: &Path) -> Option<PathBuf> {
    let link = run_dir.join(RUSTDOC);
    rekindle_fsx::symlink(wrapper, &link).ok()?;
    Some(link)
}

/// A program as every process of the build finds it, whatever its working directory.
pub(crate) fn located(surroundings: &Surroundings, program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        surroundings.cwd.join(program)
    } else {
        program.to_owned()
    }
}

fn start(
    line: &CargoLine,
    surroundings: &Surroundings,
    store_dir: &Path,
    run: &str,
) -> io::Result<PathBuf> {
    let dir = runs::create(store_dir, run)?;
    let started = RunStarted {
        run: run.to_owned(),
        command: line.command.clone().unwrap_or_default(),
        cwd: surroundings.cwd.display().to_string(),
        rekindle: VERSION.to_owned(),
    };
    runs::append(&dir, &event(EventKind::RunStarted(started)))?;
    Ok(dir)
}

fn event(kind: EventKind) -> Event {
    Event::new(SystemClock::default().now(), kind)
}

fn warning(id: &str, message: String) -> Event {
    event(EventKind::Warning(WarningEvent {
        id: id.to_owned(),
        message,
    }))
}

fn store_unwritable(dir: &Path, error: &io::Error) -> Event {
    warning(
        "store-unwritable",
        format!(
            "the store in `{}` cannot be written ({error}), so nothing is recorded; set {} to \
             another directory",
            dir.display(),
            env::REKINDLE_DIR
        ),
    )
}

pub(super) fn log_unreadable(error: &io::Error) -> Event {
    let message = format!("the log of this run could not be read: {error}");
    warning("log-unreadable", message)
}

fn second_cache(user: &UserWrapper) -> Option<Event> {
    cargo_config::known_cache(&user.program).map(|name| {
        warning(
            "second-compile-cache",
            format!(
                "`{name}` is set as compiler wrapper by {}, so what is compiled is stored twice; \
                 remove it there",
                user.set_in
            ),
        )
    })
}
