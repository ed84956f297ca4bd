//! A directory, a program in it, and what was seen.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rekindle_observe::{Observation, Observed, Observer, Options, Seen, install_preload};

/// A program that cannot reach `environ`.
pub(crate) const PLAIN: &str = env!("CARGO_BIN_EXE_observe-subject");
/// A program that can.
pub(crate) const ENVIRON: &str = env!("CARGO_BIN_EXE_observe-subject-environ");

/// A directory of a test's own.
pub(crate) struct Lab {
    pub(crate) options: Options,
    directory: tempfile::TempDir,
    root: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("a path").join("lab");
        fs::create_dir(&root).expect("a directory");
        let preload = install_preload(directory.path()).expect("written");
        Self {
            options: Options {
                preload,
                ..Options::default()
            },
            directory,
            root,
        }
    }

    /// A path below.
    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.root.join(name.as_ref())
    }

    /// A path beside, where nothing is compared.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, b"content").expect("written");
        path
    }

    pub(crate) fn link(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("a link");
    }

    /// Runs and observes.
    pub(crate) fn observed(&self, command: &mut Command) -> Observed {
        let observer = Observer::probe();
        command.stdin(Stdio::null());
        observer.run(command, &self.options).expect("started")
    }

    /// Runs the plain program, whose words that begin with `./` are paths below; it must succeed,
    /// and everything must be seen.
    pub(crate) fn play(&self, words: &[&str]) -> Observation {
        let observed = self.observed(&mut self.command(words));
        assert!(
            observed.status.success(),
            "{words:?}: {:?}",
            observed.status
        );
        assert!(
            observed.observation.blind.is_empty(),
            "{:?}",
            observed.observation.blind
        );
        observed.observation
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PLAIN);
        command.args(words.iter().map(|word| self.word(word)));
        command
    }

    pub(crate) fn word(&self, word: &str) -> OsString {
        match word.strip_prefix("./") {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        }
    }

    /// All that was seen below, by name.
    pub(crate) fn below(&self, seen: &Observation) -> Vec<(String, Seen)> {
        let name = |path: &Path| {
            let rest = path.strip_prefix(&self.root).ok()?;
            Some(String::from_utf8_lossy(rest.as_os_str().as_bytes()).into_owned())
        };
        seen.files
            .iter()
            .filter_map(|(path, seen)| Some((name(path)?, seen)))
            .collect()
    }

    /// Plays, and compares what was seen below with what is expected, sorted.
    pub(crate) fn check(&self, words: &[&str], expected: &[(&str, Seen)]) -> Observation {
        let seen = self.play(words);
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, seen)| ((*name).to_owned(), *seen))
            .collect();
        assert_eq!(self.below(&seen), expected, "{words:?}");
        seen
    }

    /// What was written below, by name.
    pub(crate) fn written(&self, seen: &Observation) -> Vec<String> {
        seen.writes
            .iter()
            .filter_map(|path| Some(path.strip_prefix(&self.root).ok()?.to_str()?.to_owned()))
            .collect()
    }
}

/// Writes a script that can be run.
pub(crate) fn executable(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

/// Compiles a C program; `None`, with the reason told, where that cannot be done here.
pub(crate) fn compiled(lab: &Lab, test: &str, text: &str, flags: &[&str]) -> Option<PathBuf> {
    let source = lab.beside("subject.c");
    let program = lab.beside("subject");
    fs::write(&source, text).expect("written");
    let done = Command::new("cc")
        .args(flags)
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .output();
    if done.is_ok_and(|output| output.status.success()) {
        return Some(program);
    }
    skip(test, "no C compiler that can do this");
    None
}

/// Says that a test was skipped.
#[allow(
    clippy::print_stderr,
    reason = "the form that the test runner collects"
)]
pub(crate) fn skip(test: &str, why: &str) {
    use std::io::Write;
    eprintln!("SKIPPED: {test}: {why}");
    if let Some(list) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let list = fs::File::options().append(true).create(true).open(list);
        let _ = list.and_then(|mut list| writeln!(list, "SKIPPED: {test}: {why}"));
    }
}
