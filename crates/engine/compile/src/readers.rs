//! Programs that cargo starts without the wrapper, and that read outputs: rustdoc, and the placeholders
//! of build scripts, tests and examples. What they read is put in place, then the caller becomes the
//! program.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rekindle_events::{EventKind, MaterialisedEvent};
use rekindle_outputs::launch;
use rekindle_outputs::materialise::Materialised;
use rekindle_outputs::placeholder::Placeholder;
use rekindle_outputs::sparse::{self, FillError};
use rekindle_store::LocalStore;

use crate::journal::{Journal, LOST_EXIT_CODE, PLACEHOLDER_LOST};
use crate::observed::LIBRARY_PATH;
use crate::publish::micros;
use crate::reads::Reads;
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;

/// Puts in place what rustdoc is about to read. Records are looked up in the store in `store_dir`.
///
/// # Errors
/// The exit code where that cannot be done; `stderr` says why.
pub fn before_rustdoc(
    store_dir: &Path,
    journal: &Journal,
    environment: &Environment,
    words: &[OsString],
    stderr: &mut dyn Write,
) -> Result<(), i32> {
    let start = Instant::now();
    let store = LocalStore::open(store_dir);
    fill_packages(words, None, (journal, Some(&store)), environment)
        .map_err(|error| cannot_fill(&error, stderr))?;
    let filled = Reads::of_rustdoc(words, environment).fill(&Files::new(&store));
    let filled = filled.map_err(|errors| journal.lost(&errors, stderr))?;
    note(journal, OsStr::new("rustdoc"), filled.done, start);
    Ok(())
}

/// Puts the sources in place that a build script may read: `cargo_home` is where packages are.
///
/// # Errors
/// The exit code where that cannot be done; `stderr` says why.
pub(crate) fn before_script(
    cargo_home: Option<&Path>,
    journal: &Journal,
    environment: &Environment,
    stderr: &mut dyn Write,
) -> Result<(), i32> {
    fill_packages(&[], cargo_home, (journal, None), environment)
        .map_err(|error| cannot_fill(&error, stderr))
}

/// Where [`beside`] puts a program. A package that is built for the host as well as for the target has one
/// program, which cargo runs for both at once, each with a directory of its own.
pub(crate) fn name_beside(program: &Path, environment: &Environment) -> PathBuf {
    let out_dir = environment.get("OUT_DIR").map(Path::new);
    let run = out_dir.map_or_else(|| std::process::id().to_string(), unit_id);
    launch::name_beside(program, &run)
}

/// What tells the runs of a package's script apart: `HASH` of `build/PACKAGE-HASH/out`, and of
/// `build/PACKAGE/HASH/out`.
pub(crate) fn unit_id(out_dir: &Path) -> String {
    let unit = out_dir
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    let unit = unit.to_string_lossy();
    unit.rsplit('-').next().unwrap_or(&unit).to_owned()
}

/// Puts the program of a build script's placeholder beside it, with what it may read, for one run. What a
/// killed run left there is replaced. Where it stands.
///
/// # Errors
/// The exit code where that cannot be done; `stderr` says why.
pub(crate) fn beside(
    program: &Path,
    journal: &Journal,
    environment: &Environment,
    stderr: &mut dyn Write,
) -> Result<PathBuf, i32> {
    let start = Instant::now();
    let beside = name_beside(program, environment);
    let done = launch::prepare_beside(program, &beside, &library_path(environment))
        .map_err(|errors| journal.lost(&errors, stderr))?;
    note(
        journal,
        program.file_name().unwrap_or_default(),
        done,
        start,
    );
    Ok(beside)
}

fn library_path(environment: &Environment) -> Vec<PathBuf> {
    environment
        .get(LIBRARY_PATH)
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default()
}

/// Puts a placeholder's program in its place, with what it is about to read: that of a test or an example.
///
/// # Errors
/// The exit code where that cannot be done; `stderr` says why.
pub fn before_launch(
    program: &Path,
    journal: &Journal,
    environment: &Environment,
    stderr: &mut dyn Write,
) -> Result<(), i32> {
    let start = Instant::now();
    let program = environment.cwd.join(program);
    fill_packages(&[], None, (journal, None), environment)
        .map_err(|error| cannot_fill(&error, stderr))?;
    let done = launch::prepare(&program, &library_path(environment))
        .map_err(|errors| journal.lost(&errors, stderr))?;
    // What begins like a placeholder and is none would start the launcher for ever.
    let head = rekindle_fsx::read_with_sig(&program, 2);
    let is_script = head.is_ok_and(|read| read.is_none_or(|(head, _)| head == b"#!"));
    if is_script || matches!(Placeholder::read(&program), Ok(Some(_))) {
        let _ = writeln!(
            stderr,
            "error: `{}` is not what it stood for, and cannot be started; remove it and build again",
            program.display()
        );
        return Err(LOST_EXIT_CODE);
    }
    note(
        journal,
        program.file_name().unwrap_or_default(),
        done,
        start,
    );
    Ok(())
}

/// Puts the sources of packages in place that are about to be read: those that `words` and variables name,
/// and with cargo's home, for a build script, those that another one may tell it of.
pub(crate) fn fill_packages(
    words: &[OsString],
    cargo_home: Option<&Path>,
    (journal, store): (&Journal, Option<&LocalStore>),
    environment: &Environment,
) -> Result<(), FillError> {
    let values = environment.iter().map(|(_, value)| value);
    let mentioned = values.chain(words.iter().map(OsString::as_os_str));
    let mut result = sparse::fill_mentioned(mentioned, store);
    if let Some(cargo_home) = cargo_home {
        result = result.and(sparse::fill_linked(cargo_home, store));
    }
    let error = match result {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let id = if let FillError::Lost { home, .. } = &error {
        // cargo downloads what is lost when it is started once more, which happens once: so let it come
        // to light what else is.
        let _ = sparse::fill_all(home, store);
        PLACEHOLDER_LOST
    } else {
        "sources-missing"
    };
    journal.warn(id, error.to_string());
    Err(error)
}

fn cannot_fill(error: &FillError, stderr: &mut dyn Write) -> i32 {
    let _ = writeln!(stderr, "error: {error}");
    LOST_EXIT_CODE
}

fn note(journal: &Journal, reader: &OsStr, done: Materialised, start: Instant) {
    if done.files > 0 {
        journal.write(EventKind::Materialised(MaterialisedEvent {
            reader: String::from_utf8_lossy(reader.as_bytes()).into_owned(),
            files: done.files,
            bytes: done.bytes,
            time_us: micros(start.elapsed()),
        }));
    }
}
