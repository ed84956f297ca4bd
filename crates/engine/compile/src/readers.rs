//! Programs that cargo starts without the wrapper, and that read outputs: rustdoc, and the placeholders
//! of build scripts, tests and examples. What they read is put in place, then the caller becomes the
//! program.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rekindle_events::{EventKind, MaterialisedEvent};
use rekindle_outputs::materialise::Materialised;
use rekindle_outputs::placeholder::Placeholder;
use rekindle_outputs::{launch, sparse};
use rekindle_store::LocalStore;

use crate::context::Environment;
use crate::files::Files;
use crate::journal::{Journal, LOST_EXIT_CODE};
use crate::publish::micros;
use crate::reads::Reads;

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
    let filled = Reads::of_rustdoc(words, environment).fill(&Files::new(&store));
    let filled = filled.map_err(|errors| journal.lost(&errors, stderr))?;
    note(journal, OsStr::new("rustdoc"), filled.done, start);
    Ok(())
}

/// Puts a placeholder's program in its place, with what it is about to read. `cargo_home` is where
/// packages are whose sources a build script may read.
///
/// # Errors
/// The exit code where that cannot be done; `stderr` says why.
pub fn before_launch(
    program: &Path,
    cargo_home: Option<&Path>,
    journal: &Journal,
    environment: &Environment,
    stderr: &mut dyn Write,
) -> Result<(), i32> {
    let start = Instant::now();
    let program = environment.cwd.join(program);
    let library_path: Vec<PathBuf> = environment
        .get("LD_LIBRARY_PATH")
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    let done =
        launch::prepare(&program, &library_path).map_err(|errors| journal.lost(&errors, stderr))?;
    fill_packages(&program, cargo_home, journal, environment);
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

/// Puts the sources of packages in place that a program may read: those that its variables name, and for a
/// build script those that another one may have told it of.
fn fill_packages(
    program: &Path,
    cargo_home: Option<&Path>,
    journal: &Journal,
    environment: &Environment,
) {
    let mut result = sparse::fill_mentioned(environment.iter().map(|(_, value)| value), None);
    if let Some(cargo_home) = cargo_home.filter(|_| launch::is_build_script(program)) {
        result = result.and(sparse::fill_linked(cargo_home, None));
    }
    if let Err(error) = result {
        // Where the program needs them it fails, and says less.
        journal.warn("sources-missing", error.to_string());
    }
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
