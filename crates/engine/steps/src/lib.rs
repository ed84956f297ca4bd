//! Steps: programs that turn files into files, reused wherever everything that they read is the same.
//!
//! One engine for build scripts, C compilers and commands of the user's. A caller says what the step is
//! ([`Step`]: program, arguments, environment, roots, where outputs go) and what it may do ([`Policy`]);
//! the engine does the rest, in phases that each borrow what the one before it made:
//!
//! 1. [`Engine::look_up`]: what the step says finds path sets, whose names' present values ([`rekindle_outputs::present`])
//!    find an entry.
//! 2. [`Engine::restore`]: a hit's outputs are placed; the caller prints what the run had printed. No
//!    program starts.
//! 3. [`Engine::run`]: a miss runs observed, its output passed on as it comes.
//! 4. [`Engine::publish`]: what was seen is judged ([`judge`]), and refused where others changed it ([`meanwhile`]); then
//!    outputs are stored, the entry, and the path set. Or a typed [`rekindle_events::Refusal`] says why not.
//!
//! Callers are in `rekindle-compile`. Nothing here decides what a build does: a fault is a miss.

mod autoconf;
pub mod judge;
mod lookup;
pub mod meanwhile;
mod outputs;
mod publish;
mod restore;
mod run;
pub mod told;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_key::{Manifest, Roots, Tag, plain};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_store::LocalStore;

pub use judge::Policy;
pub use lookup::{Found, LookedUp};
pub use publish::Published;
pub use restore::Restored;
pub use run::{Ran, Streams};

/// Where a step's outputs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory: all that is in it afterwards.
    Directory(PathBuf),
    /// One file, which need not be there afterwards.
    File(PathBuf),
}

impl Place {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::File(path) => path,
        }
    }

    /// Whether `path` is in it.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        match self {
            Self::Directory(directory) => plain::below(path, directory).is_some(),
            Self::File(file) => plain::is_same(path, file),
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// What kind of step, with the version of how such steps are keyed: `build-script 1`.
    pub kind: &'static str,
    /// The program, by content.
    pub program: Digest,
    /// Its arguments, in order; paths that are below a root are keyed relative to it.
    pub arguments: Vec<OsString>,
    /// What the program is given: variables, and the directory that it runs in.
    pub environment: &'a Environment,
    /// Names for paths that are the same everywhere. These are real paths, without links, as they are
    /// observed.
    pub roots: Roots,
    /// The same roots as the program is told of them, and writes them.
    pub shown: Roots,
    /// Files that are keyed otherwise: the program itself.
    pub own: Vec<PathBuf>,
    /// Where its outputs go.
    pub places: Vec<Place>,
    /// Names that the same step has from run to run, the most exact first: `explain` compares with what
    /// was stored under them last.
    pub known_as: Vec<Digest>,
}

impl Step<'_> {
    /// What the step says: the first items of its manifest.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::new();
        manifest.push(Tag::Step, "kind", self.kind);
        manifest.push_digest(Tag::StepProgram, "program", &self.program);
        let cwd = self.shown.canonical(&self.environment.cwd);
        manifest.push(Tag::StepArgument, "directory", cwd);
        for (index, argument) in self.arguments.iter().enumerate() {
            let name = format!("{index}");
            let argument = rekindle_key::variables::canonical_list(argument, &self.shown);
            manifest.push(Tag::StepArgument, name, argument);
        }
        manifest
    }
}

/// What looks steps up and publishes them.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// Where entries are.
    pub store: &'a LocalStore,
    /// Digests of files.
    pub files: &'a Files<'a>,
}

#[cfg(test)]
mod tests;
