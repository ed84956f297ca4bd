//! Build scripts: what stands in the place of one, and what happens when cargo starts it.
//!
//! In the place of a build script's program, whose bytes are in the store, stands a placeholder that
//! starts our launcher ([`stand_in`]). The launcher looks the run up ([`run`]): on a hit it replays what
//! the script had made and printed, and the program's bytes are not needed. Else the program is put beside
//! its placeholder for the time of the run, started as cargo would have started it, and removed: the
//! placeholder stays, so that a killed run leaves what works the next time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rekindle_base::{Digest, DigestHasher, env};
use rekindle_events::{EventKind, MissReason, Refusal, StepEvent, StepFate};
use rekindle_key::directives;
use rekindle_key::step::StepEntry;
use rekindle_key::{Root, Roots};
use rekindle_observe::{Observer, Options};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_outputs::layout;
use rekindle_outputs::placeholder::{self, Known, Placeholder};
use rekindle_steps::{Engine, Found, LookedUp, Place, Policy, Published, Step, Streams};
use rekindle_store::LocalStore;

use crate::cc;
use crate::debug;
use crate::inputs::Unit;
use crate::journal::{self, Journal};
use crate::observed::LIBRARY_PATH;
use crate::publish::micros;
use crate::readers::{self, unit_id};
use crate::settings::Settings;

/// What kind of step it is. The number is raised whenever runs are keyed in another way.
const KIND: &str = "build-script 1";

/// Whether an output of a unit is the program of a build script, whose runs are to be looked up.
pub(crate) fn stands_in(unit: &Unit<'_>, is_executable: bool) -> bool {
    is_executable && unit.context.settings.scripts && unit.invocation.is_build_script()
}

/// Puts a placeholder that starts the launcher in the place of a build script's program, with this
/// modification time, else the present's. Whether one is there now; else the place is as it was.
pub(crate) fn stand_in(
    unit: &Unit<'_>,
    path: &Path,
    (digest, size): (Digest, u64),
    (closure, mtime_ns): (Digest, Option<i64>),
) -> bool {
    let launcher = &unit.context.environment.program;
    if !placeholder::launcher_fits(launcher) || !unit.context.store.has_object(&digest, size) {
        return false;
    }
    let bytes = Placeholder {
        digest,
        size,
        mode: MODE,
        store: unit.context.settings.store_dir.clone(),
        known: Some(Known {
            closure,
            externs: unit.extern_paths(),
        }),
        replacements: debug::replacements(unit),
    }
    .to_bytes(path, Some(launcher));
    let temporary = rekindle_fsx::atomic::beside(path);
    let placed = rekindle_fsx::atomic::write(&temporary, &bytes)
        .and_then(|()| rekindle_fsx::set_mode(&temporary, MODE))
        .and_then(|()| mtime_ns.map_or(Ok(()), |time| rekindle_fsx::set_mtime(&temporary, time)))
        .and_then(|()| rekindle_fsx::rename(&temporary, path));
    if placed.is_err() {
        let _ = rekindle_fsx::remove_file(&temporary);
    }
    placed.is_ok()
}

/// A program's.
const MODE: u32 = 0o755;

/// A build script that cargo started.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    /// The placeholder, as cargo named it.
    pub program: &'a OsStr,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// What it was given.
    pub environment: &'a Environment,
    /// What was decided for the run; `None` where nothing is to be looked up or stored.
    pub settings: Option<&'a Settings>,
}

/// Deals with a build script that cargo started. The exit code.
///
/// # Errors
/// Where the program cannot be started.
pub fn run(launch: &Launch<'_>, streams: &mut Streams<'_>) -> io::Result<i32> {
    let start = Instant::now();
    let path = launch.environment.cwd.join(launch.program);
    let run_dir = launch
        .settings
        .and_then(|settings| settings.run_dir.as_deref());
    let journal = Journal::of_run(run_dir);
    let home = launch
        .settings
        .map(|settings| settings.cargo_home.as_path());
    if let Err(code) = readers::before_script(home, &journal, launch.environment, streams.stderr) {
        return Ok(code);
    }
    let placeholder = Placeholder::read(&path)?;
    let call = Call {
        launch,
        path: &path,
        journal: &journal,
        start,
    };
    let (Some(placeholder), Some(settings)) = (placeholder, launch.settings) else {
        return call.plain(streams);
    };
    let Some(out_dir) = launch.environment.get("OUT_DIR").map(PathBuf::from) else {
        return call.plain(streams);
    };
    call.cached(settings, &placeholder, &out_dir, streams)
}

struct Call<'a> {
    launch: &'a Launch<'a>,
    path: &'a Path,
    journal: &'a Journal,
    start: Instant,
}

impl Call<'_> {
    /// Runs the program as if nothing were known of it.
    fn plain(&self, streams: &mut Streams<'_>) -> io::Result<i32> {
        let beside = match self.prepare(streams) {
            Ok(beside) => beside,
            Err(code) => return Ok(code),
        };
        let status = self.command(&beside).status();
        let _ = rekindle_fsx::remove_file(&beside);
        status.map(crate::execute::exit_code)
    }

    /// Puts the program beside its placeholder, with what it may read. The exit code where that cannot be
    /// done.
    fn prepare(&self, streams: &mut Streams<'_>) -> Result<PathBuf, i32> {
        readers::beside(
            self.path,
            self.journal,
            self.launch.environment,
            streams.stderr,
        )
    }

    /// The program with the name and the arguments that cargo gave.
    fn command(&self, beside: &Path) -> Command {
        let mut command = Command::new(beside);
        self.launch.environment.hand_down(&mut command);
        command
            .arg0(self.launch.program)
            .args(self.launch.arguments)
            .env(env::REKINDLE_OBSERVED, "1");
        command
    }

    fn cached(
        &self,
        settings: &Settings,
        placeholder: &Placeholder,
        out_dir: &Path,
        streams: &mut Streams<'_>,
    ) -> io::Result<i32> {
        let store = LocalStore::open(&settings.store_dir);
        let files = Files::new(&store);
        let target = layout::profile_dir(self.path).map(|profile| layout::target_dir(&profile));
        if let Some(target) = &target {
            files.set_target(target);
        }
        let engine = Engine {
            store: &store,
            files: &files,
        };
        let step = self.step(settings, placeholder, out_dir, target.as_deref());
        let mut event = self.event(out_dir);
        event.vantage = Some(journal::vantage(&step.shown));
        let mut expected = None;
        let miss = if settings.recache {
            MissReason::Recache
        } else {
            match engine.look_up(&step) {
                LookedUp::Hit(found) if settings.verify => {
                    expected = Some(found.entry);
                    MissReason::Recache
                }
                LookedUp::Hit(found) => {
                    event.times.lookup_us = micros(self.start.elapsed());
                    match self.replay(&engine, &step, &found, &mut event, streams) {
                        Ok(()) => return Ok(0),
                        Err(reason) => reason,
                    }
                }
                LookedUp::Miss(reason) => reason,
            }
        };
        event.times.lookup_us = micros(self.start.elapsed());
        event.miss = Some(miss);
        self.observed(settings, &engine, (step, expected), event, streams)
    }

    fn replay(
        &self,
        engine: &Engine<'_>,
        step: &Step<'_>,
        found: &Found,
        event: &mut StepEvent,
        streams: &mut Streams<'_>,
    ) -> Result<(), MissReason> {
        let start = Instant::now();
        let restored = engine.restore(step, found)?;
        event.times.restore_us = micros(start.elapsed());
        event.fate = StepFate::Hit;
        event.key = Some(found.key);
        event.bytes = restored.bytes;
        event.path_bound = found.entry.path_bound;
        event.saved_us = found.entry.run_us;
        // A reader that is gone is cargo's end.
        let _ = streams.stderr.write_all(&restored.stderr);
        let _ = streams.stdout.write_all(&restored.stdout);
        let _ = streams.stdout.flush();
        self.finish(event.clone());
        Ok(())
    }

    fn observed(
        &self,
        settings: &Settings,
        engine: &Engine<'_>,
        miss: (Step<'_>, Option<StepEntry>),
        event: StepEvent,
        streams: &mut Streams<'_>,
    ) -> io::Result<i32> {
        let beside = match self.prepare(streams) {
            Ok(beside) => beside,
            Err(code) => return Ok(code),
        };
        // What is published is judged by the program that ran: it is there until then.
        let code = self.run(&beside, (settings, engine), miss, event, streams);
        let _ = rekindle_fsx::remove_file(&beside);
        code
    }

    fn run(
        &self,
        beside: &Path,
        (settings, engine): (&Settings, &Engine<'_>),
        (mut step, expected): (Step<'_>, Option<StepEntry>),
        mut event: StepEvent,
        streams: &mut Streams<'_>,
    ) -> io::Result<i32> {
        let observer = if settings.observe {
            Observer::probe()
        } else {
            Observer::off()
        };
        let options = options(settings, &step, self.launch.environment);
        step.own.extend(options.preload.clone());
        let trusted = settings.trusted_scripts.contains(&event.package);
        if !trusted && !step.places.iter().any(|place| goes_on(place.path())) {
            // Where that fails it finds what is left, and says so.
            let _ = engine.begin_anew(&step);
        }
        let mut command = self.command(beside);
        if let Ok(frozen) = serde_json::to_string(settings) {
            // For the compilers that it starts, whoever found the settings.
            command.env(env::REKINDLE_SETTINGS, frozen);
        }
        let ran = engine.run(&step, &mut command, (&observer, &options), streams)?;
        event.times.run_us = micros(ran.time);
        event.exit_code = ran.exit_code;
        let start = Instant::now();
        let published = match always_runs(&ran.stdout, &self.launch.environment.cwd) {
            Some(path) if !trusted && ran.exit_code == 0 => Err(Refusal::AlwaysRuns { path }),
            _ => engine.publish(
                &step,
                &ran,
                Policy {
                    trusted,
                    // A second run to compare with the first has another day.
                    of_dependency: expected.is_none()
                        && is_of_elsewhere(self.launch.environment, settings),
                    ..Policy::default()
                },
            ),
        };
        if published.as_ref().is_err_and(is_of_the_script) {
            engine.forget(&step);
        }
        verify(engine, expected.as_ref(), &published, &mut event);
        journal::stored(&mut event, published);
        event.times.publish_us = micros(start.elapsed());
        self.finish(event);
        Ok(ran.exit_code)
    }

    fn step(
        &self,
        settings: &Settings,
        placeholder: &Placeholder,
        out_dir: &Path,
        target: Option<&Path>,
    ) -> Step<'_> {
        let environment = self.launch.environment;
        let shown = roots(environment, settings, out_dir, target);
        let real = |path: &Path| rekindle_fsx::canonicalize(path).unwrap_or(path.to_owned());
        let roots = shown.iter().map(|(root, path)| (root, real(path)));
        let own = [
            self.path,
            &readers::name_beside(self.path, environment),
            &environment.program,
        ];
        Step {
            kind: KIND,
            program: placeholder.digest,
            arguments: self.launch.arguments.to_vec(),
            environment,
            roots: Roots::new(&real(&environment.cwd), roots),
            shown: shown.clone(),
            own: own.map(real).to_vec(),
            places: vec![Place::Directory(real(out_dir))],
            known_as: known_as(environment, &unit_id(out_dir)),
        }
    }

    fn event(&self, out_dir: &Path) -> StepEvent {
        let id = unit_id(out_dir);
        let mut event = journal::step(self.launch.environment, "build-script", id);
        event.program = Some(unit_id(self.path));
        event
    }

    fn finish(&self, mut event: StepEvent) {
        event.times.total_us = micros(self.start.elapsed());
        event.times.remote_us = rekindle_store::beyond::waited_us();
        self.journal.write(EventKind::Step(Box::new(event)));
    }
}

/// Notes where a run that was expected to make what an entry says has made something else.
pub(crate) fn verify(
    engine: &Engine<'_>,
    expected: Option<&StepEntry>,
    published: &Result<Published, Refusal>,
    event: &mut StepEvent,
) {
    if let (Some(expected), Ok(published)) = (expected, published) {
        let made = engine.entry(&published.key).ok().flatten();
        if !is_same(expected, made.as_ref()) {
            event.miss = Some(MissReason::VerifyMismatch);
        }
    }
}

/// Whether a run made again what another had made. What it said aside does not count.
fn is_same(expected: &StepEntry, made: Option<&StepEntry>) -> bool {
    let what = |entry: &StepEntry| (entry.outputs.clone(), entry.stdout.clone());
    made.map(what) == Some(what(expected))
}

/// Whether the script is of a package from a registry or from git, or vendored. What compilers and tools write of the day into such
/// a one's libraries (`__DATE__` in mimalloc's, "built on" in OpenSSL's) is the day of their build, which cargo keeps as long as it
/// keeps them; what people build may mean the day on which they do.
fn is_of_elsewhere(environment: &Environment, settings: &Settings) -> bool {
    let Some(package) = environment.get("CARGO_MANIFEST_DIR").map(Path::new) else {
        return false;
    };
    let places = ["registry", "git"].map(|place| settings.cargo_home.join(place));
    places.iter().any(|place| package.starts_with(place))
        || rekindle_fsx::exists(&package.join(VENDORED))
}

/// What `cargo vendor` puts into each package.
const VENDORED: &str = ".cargo-checksum.json";

/// The roots of a build script's run, as cargo tells it of them.
fn roots(
    environment: &Environment,
    settings: &Settings,
    out_dir: &Path,
    target: Option<&Path>,
) -> Roots {
    let cwd = &environment.cwd;
    let variable = |name| environment.get(name).map(PathBuf::from);
    let package = variable("CARGO_MANIFEST_DIR").unwrap_or_else(|| cwd.clone());
    let mut roots = vec![
        (Root::OutDir, out_dir.to_owned()),
        (Root::CargoHome, settings.cargo_home.clone()),
    ];
    roots.extend(target.map(|target| (Root::Target, target.to_owned())));
    if !package.starts_with(&settings.cargo_home) {
        roots.push((Root::Workspace, workspace(&package)));
    }
    roots.push((Root::Package, package));
    roots.extend(sysroot(environment).map(|sysroot| (Root::Sysroot, sysroot)));
    roots.extend(variable("HOME").map(|home| (Root::Home, home)));
    Roots::new(cwd, roots)
}

/// The toolchain that cargo told the script of: `SYSROOT/bin/rustc`. A cargo that no rustup started names the
/// compiler alone; what is found under that name is a compiler where its libraries lie beside it.
pub(crate) fn sysroot(environment: &Environment) -> Option<PathBuf> {
    let rustc = environment.get("RUSTC")?;
    let above = |path: &Path| path.parent().and_then(Path::parent).map(Path::to_owned);
    if Path::new(rustc).is_absolute() {
        return above(Path::new(rustc));
    }
    let found = environment.find_program(rustc)?;
    let found = rekindle_fsx::canonicalize(&found).ok()?;
    above(&found).filter(|root| rekindle_fsx::exists(&root.join("lib/rustlib")))
}

/// The directory with the lock file; the package's own where there is none above it.
pub(crate) fn workspace(package: &Path) -> PathBuf {
    let is_locked = |dir: &&Path| rekindle_fsx::exists(&dir.join("Cargo.lock"));
    package
        .ancestors()
        .find(is_locked)
        .unwrap_or(package)
        .to_owned()
}

/// The very run, and whatever run of the package's script.
fn known_as(environment: &Environment, id: &str) -> Vec<Digest> {
    let mut hasher = DigestHasher::new();
    hasher.field(b"latest build-script 1");
    for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        hasher.field(environment.get(name).unwrap_or_default().as_bytes());
    }
    let general = hasher.finish();
    hasher.field(id.as_bytes());
    vec![hasher.finish(), general]
}

fn options(settings: &Settings, step: &Step<'_>, environment: &Environment) -> Options {
    let libraries = environment.get(LIBRARY_PATH);
    let is_cargos = cc::library_path(environment, &step.shown).is_some_and(|kept| kept.is_empty());
    let tools = settings.store_dir.join("observe");
    let sysroot = step.roots.real(Root::Sysroot).map(Path::to_owned);
    Options {
        trusted: sysroot.into_iter().collect(),
        preload: rekindle_observe::install_preload(&tools).ok().flatten(),
        ld_preload: environment.get("LD_PRELOAD").map(OsStr::to_owned),
        redirect: cc::redirect(environment),
        foreign_libraries: libraries.filter(|_| is_cargos).map(OsStr::to_owned),
        ..Options::default()
    }
}

/// Whether a run was refused for what the script does, and not for what befell it.
fn is_of_the_script(refusal: &Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::Failed { .. }
            | Refusal::ChangedDuringRun { .. }
            | Refusal::ClockWasSet
            | Refusal::StoreUnavailable { .. }
    )
}

/// Whether a build system left its state there, and goes on from it: from nothing it would begin all anew.
fn goes_on(directory: &Path) -> bool {
    const STATES: [&str; 3] = ["CMakeCache.txt", "build.ninja", "CACHEDIR.TAG"];
    const DEPTH: usize = 3;
    let mut pending = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = pending.pop() {
        for entry in rekindle_fsx::list_dir(&directory).unwrap_or_default() {
            if STATES.iter().any(|state| entry.name == *state) {
                return true;
            }
            if entry.sig.kind() == rekindle_fsx::FileKind::Dir && depth < DEPTH {
                pending.push((entry.path, depth + 1));
            }
        }
    }
    false
}

/// The path that a script declares and that is not there: cargo then runs it each time, and some ask for
/// just that.
fn always_runs(stdout: &[u8], package: &Path) -> Option<String> {
    let mut declared = directives::of(stdout)
        .filter(|(key, _)| *key == b"rerun-if-changed")
        .map(|(_, path)| Path::new(OsStr::from_bytes(path)));
    let missing = declared.find(|path| {
        let path = package.join(path);
        rekindle_fsx::stat_follow(&path).is_err()
    })?;
    Some(missing.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_in_both_layouts() {
        let check = |out_dir: &str, id: &str| assert_eq!(unit_id(Path::new(out_dir)), id);
        check(
            "/t/debug/build/zstd-sys-0123456789abcdef/out",
            "0123456789abcdef",
        );
        check(
            "/t/debug/build/zstd-sys/0123456789abcdef/out",
            "0123456789abcdef",
        );
    }

    #[test]
    fn a_declared_path_that_is_missing_means_always() {
        let dir = tempfile::tempdir().unwrap();
        rekindle_fsx::atomic::write(&dir.path().join("build.rs"), b"").unwrap();
        let check = |stdout: &str, expected: Option<&str>| {
            let found = always_runs(stdout.as_bytes(), dir.path());
            assert_eq!(found.as_deref(), expected, "{stdout}");
        };
        check("cargo:rerun-if-changed=build.rs\n", None);
        check("cargo::rerun-if-changed=build.rs\ncargo:warning=x\n", None);
        check("cargo::rerun-if-changed=never\n", Some("never"));
        check("cargo:rerun-if-changed=\n", None);
        check("note: cargo:rerun-if-changed=never\n", None);
    }
}
