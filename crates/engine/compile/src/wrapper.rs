//! One wrapper process, from cargo's words to an exit code.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use rekindle_base::Digest;
use rekindle_events::{
    EventKind, Fate, MissReason, ProbeEvent, UncacheableReason, UnitEvent, UnitOptions,
};
use rekindle_key::entry::Entry;
use rekindle_key::pathset::PathSet;
use rekindle_key::roots::json_escaped;
use rekindle_key::{Invocation, Manifest, NotAUnit, arguments, outdir, step};
use rekindle_outputs::launch;
use rekindle_outputs::placeholder::Placeholder;
use rekindle_store::{LocalStore, Space, Store};

use crate::chain::{self, Chain};
use crate::context::Context;
use crate::execute::{self, Artifact, Listener};
use crate::inputs::{Inputs, Unit};
use crate::journal::{self, Journal};
use crate::link::LinkPlan;
use crate::lookup::{self, Found};
use crate::publish::{self, Linked, micros};
use crate::reads::{Filled, Reads};
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::{observed, probe, readers, restore, shim, toolchain, verify};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;

/// Where a wrapper's output goes.
pub struct Streams<'a> {
    /// Standard error: diagnostics and notifications.
    pub stderr: &'a mut dyn Write,
    /// Standard output: answers to questions.
    pub stdout: &'a mut (dyn Write + Send),
}

/// Deals with one call by cargo. `words` are those behind the wrapper's own name.
///
/// # Errors
/// The compiler could not be started.
pub fn run(
    settings: &Settings,
    environment: &Environment,
    words: &[OsString],
    streams: &mut Streams<'_>,
) -> io::Result<i32> {
    let start = Instant::now();
    let Some(chain) = Chain::parse(words) else {
        let _ = writeln!(
            streams.stderr,
            "rekindle-rustc: cargo starts this program in front of rustc; run `rekindle build` instead"
        );
        return Ok(2);
    };
    let context = Context {
        settings,
        environment,
        store: LocalStore::open(&settings.store_dir),
    };
    let files = Files::new(&context.store);
    let call = Call {
        context: &context,
        files: &files,
        chain: &chain,
        start,
    };
    call.deal(streams)
}

/// One call by cargo.
struct Call<'a> {
    context: &'a Context<'a>,
    files: &'a Files<'a>,
    chain: &'a Chain,
    start: Instant,
}

impl Call<'_> {
    fn deal(&self, streams: &mut Streams<'_>) -> io::Result<i32> {
        let parsed = self.expand().and_then(|words| {
            let parsed = Invocation::parse(&words);
            self.fill_packages(&words, &parsed);
            parsed
        });
        let invocation = match parsed {
            Ok(invocation) => invocation,
            Err(NotAUnit::Probe) => return self.probe(streams),
            Err(NotAUnit::Uncacheable(UncacheableReason::NotCargo { .. })) => {
                // A build script that tries the compiler out.
                self.probed(false);
                return self.plain(streams);
            }
            Err(NotAUnit::Uncacheable(reason)) => {
                return self.uncacheable(None, reason, streams);
            }
        };
        match self.cached(&invocation, streams) {
            Ok(code) => code,
            Err(reason) => self.uncacheable(Some(&invocation), reason, streams),
        }
    }

    /// Puts the sources of packages in place that the compiler may read: this unit's, those that are
    /// searched for libraries, and those that a build script may be told of.
    fn fill_packages(&self, words: &[OsString], parsed: &Result<Invocation, NotAUnit>) {
        if matches!(parsed, Err(NotAUnit::Probe)) {
            return;
        }
        let is_script = parsed.as_ref().is_ok_and(Invocation::is_build_script);
        let cargo_home = &self.context.settings.cargo_home;
        // Where the compiler needs what could not be filled it fails, and says less than the journal.
        let _ = readers::fill_packages(
            words,
            is_script.then_some(cargo_home.as_path()),
            (&Journal::open(self.context), Some(&self.context.store)),
            self.context.environment,
        );
    }

    /// The arguments with response files expanded.
    fn expand(&self) -> Result<Vec<OsString>, NotAUnit> {
        let mut expanded = Vec::with_capacity(self.chain.arguments.len());
        for argument in &self.chain.arguments {
            let Some(path) = argument.as_bytes().strip_prefix(b"@") else {
                expanded.push(argument.clone());
                continue;
            };
            let path = self.context.environment.cwd.join(OsStr::from_bytes(path));
            let bytes = rekindle_fsx::read(&path)
                .map_err(|error| crate::inputs::unreadable(&path, &error))?;
            expanded.extend(arguments::response_file(&bytes));
        }
        Ok(expanded)
    }

    fn probe(&self, streams: &mut Streams<'_>) -> io::Result<i32> {
        let inner = self.context.settings.inner_wrapper.as_deref();
        let answer = probe::answer(
            self.context.environment,
            self.files,
            (inner, self.chain),
            (streams.stderr, streams.stdout),
        );
        match answer {
            Some((code, from_memo)) => {
                self.probed(from_memo);
                Ok(code)
            }
            None => {
                self.probed(false);
                self.plain(streams)
            }
        }
    }

    fn probed(&self, from_memo: bool) {
        Journal::open(self.context).write(EventKind::Probe(ProbeEvent { from_memo }));
    }

    /// What a command line may read of which nothing is known.
    fn words(&self) -> Reads {
        Reads::of_words(&self.chain.arguments, self.context.environment)
    }

    /// Runs the compiler as if this program were not there.
    fn plain(&self, streams: &mut Streams<'_>) -> io::Result<i32> {
        match self.fill(&self.words(), streams) {
            Ok(_) => self.start_compiler(streams),
            Err(code) => Ok(code),
        }
    }

    fn start_compiler(&self, streams: &mut Streams<'_>) -> io::Result<i32> {
        let inner = self.context.settings.inner_wrapper.as_deref();
        let (program, arguments) = self.chain.command(inner, &self.chain.arguments);
        let mut command = std::process::Command::new(&program);
        self.context.environment.hand_down(&mut command);
        match command.args(arguments).status() {
            Ok(status) => Ok(execute::exit_code(status)),
            Err(error) => {
                let _ = writeln!(
                    streams.stderr,
                    "rekindle-rustc: cannot start `{}`: {error}",
                    program.to_string_lossy()
                );
                Err(error)
            }
        }
    }

    /// Puts sources in place that a compiler may look into for macros of other crates.
    fn fill_sources(&self, reads: &Reads) {
        reads.fill_packages(&self.context.settings.cargo_home, &self.context.store);
    }

    /// Puts in place what a compiler is about to read; the exit code where that cannot be done.
    fn fill(&self, reads: &Reads, streams: &mut Streams<'_>) -> Result<Filled, i32> {
        reads.make_room();
        let filled = reads.fill(self.files);
        filled.map_err(|errors| Journal::open(self.context).lost(&errors, streams.stderr))
    }

    /// A build script that was compiled or restored is started by cargo next, and may read what those
    /// of other packages made. Where a placeholder is in its place, the launcher sees to that. The exit
    /// code where that cannot be put in place.
    fn before_script(
        &self,
        invocation: &Invocation,
        event: &mut UnitEvent,
        streams: &mut Streams<'_>,
    ) -> Result<(), i32> {
        if invocation.kind() != "build-script" || !invocation.emit.link {
            return Ok(());
        }
        let start = Instant::now();
        let out_dir = self.context.environment.cwd.join(&invocation.out_dir);
        let program = out_dir.join(invocation.file_stem());
        if matches!(Placeholder::read(&program), Ok(Some(_))) {
            return Ok(());
        }
        let target = outdir::target_root(&out_dir, invocation.target.as_deref());
        let outcome = launch::fill_out_dirs(&target);
        if !outcome.failed.is_empty() {
            return Err(Journal::open(self.context).lost(&outcome.failed, streams.stderr));
        }
        let filled = Filled {
            done: outcome.done,
            time: start.elapsed(),
        };
        add_filled(event, filled);
        Ok(())
    }

    fn uncacheable(
        &self,
        invocation: Option<&Invocation>,
        reason: UncacheableReason,
        streams: &mut Streams<'_>,
    ) -> io::Result<i32> {
        let environment = self.context.environment;
        let reads = invocation.map_or_else(
            || self.words(),
            |invocation| Reads::of_invocation(invocation, environment),
        );
        self.fill_sources(&reads);
        let filled = match self.fill(&reads, streams) {
            Ok(filled) => filled,
            Err(code) => return Ok(code),
        };
        let cwd = &self.context.environment.cwd;
        if let Some(invocation) = invocation {
            remove_shared_outputs(invocation, &cwd.join(&invocation.out_dir));
        }
        let sessions = invocation.and_then(|invocation| Sessions::look(invocation, cwd));
        let compile_start = Instant::now();
        let mut code = self.start_compiler(streams)?;
        let mut event = self.event(invocation, Fate::Uncacheable);
        event.incremental = sessions.and_then(|sessions| sessions.written());
        event.times.compile_at_us = micros(compile_start.duration_since(self.start));
        event.times.compile_us = micros(compile_start.elapsed());
        event.uncacheable = Some(reason);
        event.rustc = 1;
        event.linkers = u32::from(invocation.is_some_and(Invocation::is_linked));
        add_filled(&mut event, filled);
        if let Some(invocation) = invocation.filter(|_| code == 0)
            && let Err(lost) = self.before_script(invocation, &mut event, streams)
        {
            code = lost;
        }
        event.exit_code = code;
        self.finish(event);
        Ok(code)
    }

    /// Through the cache. An error is found before anything was printed or run.
    fn cached(
        &self,
        invocation: &Invocation,
        streams: &mut Streams<'_>,
    ) -> Result<io::Result<i32>, UncacheableReason> {
        let settings = self.context.settings;
        let out_dir = self.context.environment.cwd.join(&invocation.out_dir);
        let target = invocation.target.as_deref();
        self.files
            .set_target(&outdir::target_root(&out_dir, target));
        let inner = settings.inner_wrapper.as_deref();
        if let Some(path) = chain::unknown_wrapper(self.chain, inner, &settings.trusted_wrappers) {
            return Err(UncacheableReason::UnknownWrapper {
                path: path.to_string_lossy().into_owned(),
            });
        }
        let toolchain = toolchain::identify(
            self.files,
            self.context.environment,
            &self.chain.rustc,
            invocation.sysroot.as_deref(),
            invocation.target.as_deref(),
        )
        .map_err(|detail| UncacheableReason::UnknownCompiler { detail })?;
        let unit = Unit::new(self.context, self.files, self.chain, invocation, &toolchain)?;
        let inputs = unit.inputs()?;
        let mut event = self.event(Some(invocation), Fate::Miss);
        let mut reason = Some(MissReason::Recache);
        if !settings.recache {
            reason = match lookup::find(&unit, &inputs) {
                Found::Entry(entry, manifest, set) => {
                    event.times.lookup_us = micros(self.start.elapsed());
                    match self.hit(
                        &unit,
                        &inputs,
                        &entry,
                        (&manifest, set),
                        &mut event,
                        streams,
                    ) {
                        Ok(code) => return Ok(Ok(code)),
                        Err(reason) => Some(reason),
                    }
                }
                Found::Nothing(reason) => reason,
            };
        }
        if event.times.lookup_us == 0 {
            event.times.lookup_us = micros(self.start.elapsed());
        }
        Ok(self.miss(&unit, &inputs, reason, event, streams))
    }

    fn hit(
        &self,
        unit: &Unit<'_>,
        inputs: &Inputs,
        entry: &Entry,
        (manifest, set): (&Manifest, Option<PathSet>),
        event: &mut UnitEvent,
        streams: &mut Streams<'_>,
    ) -> Result<i32, MissReason> {
        let key = manifest.digest();
        event.key = Some(key);
        if self.context.settings.verify {
            match self.fill_for(unit, event, streams) {
                Ok(()) => {}
                Err(code) => return Ok(code),
            }
            event.rustc += 1;
            let verified = verify::verify(unit, entry);
            event.linkers += verified.as_ref().map_or(0, |verified| verified.linkers);
            let same = verified.is_ok_and(|verified| verified.same);
            event.verified = Some(same);
            if !same {
                let _ = self.context.store.remove_record(Space::Entries, &key);
                return Err(MissReason::VerifyMismatch);
            }
        }
        let restore_start = Instant::now();
        event.bytes =
            restore::restore(unit, entry, inputs.closure, streams.stderr).inspect_err(|_| {
                // An entry whose objects are gone is of no use to anyone.
                let _ = self.context.store.remove_record(Space::Entries, &key);
            })?;
        // What failed here costs the order of path sets, or what `explain` knows.
        if let Some(set) = set {
            let _ = publish::promote(unit, inputs, set);
        }
        let _ = publish::remember_latest(unit, &key);
        event.times.restore_us = micros(restore_start.elapsed());
        event.fate = Fate::Hit;
        event.outputs = entry
            .outputs
            .iter()
            .map(|output| output.name.clone())
            .collect();
        event.path_bound = entry.path_bound;
        event.bound_to_home = publish::is_bound_to_home(unit, entry);
        note_undeclared(event, unit, manifest);
        event.linker.clone_from(&entry.linker);
        event.saved_us = entry.compile_us;
        let ready = self.before_script(unit.invocation, event, streams);
        event.exit_code = ready.err().unwrap_or(0);
        self.finish(event.clone());
        Ok(event.exit_code)
    }

    fn fill_for(
        &self,
        unit: &Unit<'_>,
        event: &mut UnitEvent,
        streams: &mut Streams<'_>,
    ) -> Result<(), i32> {
        let reads = Reads::of_invocation(unit.invocation, self.context.environment);
        self.fill_sources(&reads);
        add_filled(event, self.fill(&reads, streams)?);
        Ok(())
    }

    fn miss(
        &self,
        unit: &Unit<'_>,
        inputs: &Inputs,
        reason: Option<MissReason>,
        mut event: UnitEvent,
        streams: &mut Streams<'_>,
    ) -> io::Result<i32> {
        let reads = Reads::of_invocation(unit.invocation, self.context.environment);
        event.without_state = reads.state_is_wasted();
        // Otherwise the look-up put in place what such a compile was seen to read.
        let sets = || lookup::path_sets(&self.context.store, inputs).unwrap_or_default();
        let was_seen = observed::can_watch(unit) && sets().iter().next().is_some();
        if !was_seen {
            self.fill_sources(&reads);
        }
        match self.fill(&reads, streams) {
            Ok(filled) => add_filled(&mut event, filled),
            Err(code) => return Ok(code),
        }
        if event.without_state {
            reads.mark_wasted(&self.context.store);
        }
        let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
        let link_dir = out_dir.join(format!(".rekindle-link-{}", unit.invocation.file_stem()));
        let sessions = Sessions::look(unit.invocation, &self.context.environment.cwd);
        let (ran, linked) =
            self.compile(unit, inputs.closure, (&out_dir, &link_dir), &event, streams)?;
        event.times.compile_at_us = micros(ran.began.duration_since(self.start));
        let _ = rekindle_fsx::remove_dir_all(&link_dir);
        event.incremental = sessions.and_then(|sessions| sessions.written());
        event.rustc += 1;
        event.exit_code = ran.exit_code;
        event.times.compile_us = micros(ran.time);
        event.times.codegen_us = ran
            .metadata_at
            .map_or(0, |at| micros(ran.time.saturating_sub(at)));
        if let Some(linked) = &linked {
            event.linkers += linked.runs.iter().map(|run| run.started).sum::<u32>();
            event.times.link_us = linked.runs.iter().map(|run| run.link_us).sum();
            self.warn_of_fallback(unit, linked);
        }
        event.linkers += u32::from(observed::watches_link(unit));
        event.observed = ran.observation.as_ref().map(observed::is_whole);
        let publish_start = Instant::now();
        match publish::collect(unit, inputs, &ran, linked.as_ref()) {
            Ok(made) => {
                event.outputs = made.outputs.iter().map(|path| file_name(path)).collect();
                note_undeclared(&mut event, unit, &made.entry.manifest);
                event.bound_to_home = publish::is_bound_to_home(unit, &made.entry);
                let published = publish::publish(unit, inputs, made);
                if let Some(error) = &published.store_error {
                    self.warn_of_store(error);
                    publish::name_sources(unit, &ran);
                }
                event.miss = Some(reason.unwrap_or(published.reason));
                event.key = Some(published.key);
                event.bytes = published.bytes;
                event.path_bound = published.path_bound;
                event.linker = published.linker;
            }
            Err(reason) => {
                if ran.exit_code == 0 {
                    publish::name_sources(unit, &ran);
                    // Dependents are keyed by what was made, however it came to be.
                    publish::remember_outputs(unit, inputs, &ran);
                }
                event.fate = Fate::Uncacheable;
                event.uncacheable = Some(reason);
            }
        }
        event.times.publish_us = micros(publish_start.elapsed());
        let mut code = ran.exit_code;
        if code == 0
            && let Err(lost) = self.before_script(unit.invocation, &mut event, streams)
        {
            code = lost;
            event.exit_code = code;
        }
        self.finish(event);
        Ok(code)
    }

    fn compile(
        &self,
        unit: &Unit<'_>,
        closure: Digest,
        (out_dir, link_dir): (&Path, &Path),
        event: &UnitEvent,
        streams: &mut Streams<'_>,
    ) -> io::Result<(execute::Ran, Option<Linked>)> {
        remove_shared_outputs(unit.invocation, out_dir);
        let mut arguments = unit.remap_arguments();
        if event.without_state {
            arguments.extend(verify::without_state(&self.chain.arguments));
        } else {
            arguments.extend_from_slice(&self.chain.arguments);
        }
        let mut listener = Announcements {
            unit,
            closure,
            replacements: unit.shown_paths(),
        };
        if let Some(plan) = unit.asked_link() {
            rekindle_fsx::remove_dir_all(link_dir)?;
            arguments.extend(verify::shim_argument(unit, plan, link_dir)?);
            // Errors of the compiler name the linker's driver: the one that the user knows.
            let shim = json_escaped(&link_dir.join(shim::DRIVER));
            listener
                .replacements
                .insert(0, (shim, plan.driver().as_bytes().to_vec()));
        }
        let inner = self.context.settings.inner_wrapper.as_deref();
        let (program, arguments) = self.chain.command(inner, &arguments);
        let watched = observed::watched(unit, link_dir);
        let ran = execute::run(
            (&program, &arguments),
            self.context.environment,
            watched.as_ref(),
            &mut listener,
            streams.stderr,
            streams.stdout,
        )?;
        let linked = unit.asked_link().map(|_| Linked {
            runs: shim::runs(link_dir),
            list: rekindle_fsx::read(&shim::dependency_file(link_dir)).ok(),
        });
        Ok((ran, linked))
    }

    fn warn_of_fallback(&self, unit: &Unit<'_>, linked: &Linked) {
        if linked.runs.iter().any(|run| run.fell_back) {
            let choice = unit.asked_link().map_or("", LinkPlan::choice);
            Journal::open(self.context).warn(
                "linker-failed",
                format!(
                    "linking `{}` with {choice} failed, so the system's linker was used; set `build.linker = \"system\"` to stop trying",
                    unit.invocation.crate_name
                ),
            );
        }
    }

    fn warn_of_store(&self, error: &str) {
        let directory = self.context.settings.store_dir.display();
        Journal::open(self.context).warn(
            "store-unwritable",
            format!("nothing can be stored in {directory}: {error}; the build goes on without"),
        );
    }

    fn event(&self, invocation: Option<&Invocation>, fate: Fate) -> UnitEvent {
        let variable = |name| {
            let value = self.context.environment.get(name).unwrap_or_default();
            value.to_string_lossy().into_owned()
        };
        let id = invocation.map_or("", |invocation| &invocation.extra_filename);
        UnitEvent {
            package: variable("CARGO_PKG_NAME"),
            version: variable("CARGO_PKG_VERSION"),
            crate_name: invocation.map_or_else(
                || variable("CARGO_CRATE_NAME"),
                |invocation| invocation.crate_name.clone(),
            ),
            kind: invocation.map_or_else(String::new, Invocation::kind),
            id: id.trim_start_matches('-').to_owned(),
            externs: invocation.map_or_else(Vec::new, extern_names),
            script: self.script_run(),
            options: invocation.map_or_else(UnitOptions::default, Invocation::options),
            links: invocation.is_some_and(Invocation::reads_closure),
            ..UnitEvent::new(fate)
        }
    }

    /// The run of the package's build script: cargo gives its directory to the package's units, but not
    /// to the script itself.
    fn script_run(&self) -> Option<String> {
        let out_dir = self.context.environment.get("OUT_DIR")?;
        Some(readers::unit_id(Path::new(out_dir)))
    }

    fn finish(&self, mut event: UnitEvent) {
        event.times.total_us = micros(self.start.elapsed());
        event.times.remote_us = rekindle_store::beyond::waited_us();
        event.times.wrapper_cpu_us = rekindle_fsx::time::own_cpu_us();
        Journal::open(self.context).write(EventKind::Unit(Box::new(event)));
    }
}

/// Says of a unit that it was made from something that nobody declared, and how that is named.
fn note_undeclared(event: &mut UnitEvent, unit: &Unit<'_>, manifest: &Manifest) {
    event.undeclared = step::has_undeclared(manifest);
    event.vantage = event.undeclared.then(|| journal::vantage(&unit.roots));
}

fn add_filled(event: &mut UnitEvent, filled: Filled) {
    event.materialised += filled.done.files;
    event.materialised_bytes += filled.done.bytes;
    event.times.materialise_us += micros(filled.time);
}

/// Removes libraries that share their inode with the store, before a compiler could write into them. Cargo removes the `.rlib`.
fn remove_shared_outputs(invocation: &Invocation, out_dir: &Path) {
    for ending in ["rlib", "rmeta"] {
        let library = out_dir.join(format!("lib{}.{ending}", invocation.file_stem()));
        if rekindle_fsx::stat(&library).is_ok_and(|sig| sig.nlink > 1) {
            let _ = rekindle_fsx::remove_file(&library);
        }
    }
}

/// The crates that an invocation is given.
fn extern_names(invocation: &Invocation) -> Vec<String> {
    let paths = invocation.externs.iter();
    paths
        .filter_map(|given| given.path.as_deref())
        .map(file_name)
        .collect()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Makes metadata known before cargo starts dependents: their keys need its digest.
struct Announcements<'a> {
    unit: &'a Unit<'a>,
    closure: Digest,
    replacements: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Listener for Announcements<'_> {
    fn replacements(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.replacements
    }

    fn announced(&mut self, artifact: &Artifact) {
        if artifact.emit == "metadata" {
            publish::remember_output(self.unit, self.closure, Path::new(&artifact.artifact));
        }
    }
}
