//! How to observe.

use std::ffi::OsString;
use std::path::PathBuf;

/// How to observe.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Nothing under these directories is recorded in [`crate::Observation::files`] or
    /// [`crate::Observation::writes`]; programs, contacts and links on the way are.
    /// For speed: what a caller would leave out anyway. Absolute and without links.
    pub skip: Vec<PathBuf>,
    /// Objects under these directories read variables and clocks as they like: it is known what
    /// they read (the compiler's own libraries). A program that is only such objects has no
    /// [`crate::EnvDoubt`].
    pub trusted: Vec<PathBuf>,
    /// Programs that tell in other ways what they read (a linker, by its dependency file): nothing
    /// that they or their descendants do is recorded. Real paths. Of an observer inside of an
    /// observed tree this has no effect: what the outer one leaves out is left out.
    pub elsewhere: Vec<PathBuf>,
    /// The preload library as [`crate::install_preload`] wrote it. Without it every program is
    /// [`crate::EnvDoubt::Unreported`].
    pub preload: Option<PathBuf>,
    /// `LD_PRELOAD` as this process has it, to be kept.
    pub ld_preload: Option<OsString>,
    /// Compilers to start through another program.
    pub redirect: Option<Redirect>,
    /// An `LD_LIBRARY_PATH` in which no program finds anything that came with the system: where it has just this value, such
    /// programs are loaded without it, and have it all the same once they run.
    pub foreign_libraries: Option<OsString>,
}

/// Starts of programs that go to another program instead: `PROGRAM args…` becomes
/// `redirector first REAL args…`, REAL being the path that `PROGRAM` has been found at, the
/// environment unchanged. `argv[0]` is the redirector's path.
///
/// Works where the starting process carries the preload library and uses `execve`, `execv`,
/// `execvp`, `execvpe`, `posix_spawn` or `posix_spawnp`. The redirector's own starts and those of
/// its descendants are not redirected.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// The program to start instead; absolute.
    pub redirector: PathBuf,
    /// Its first argument.
    pub first: OsString,
    /// File names to catch, exact (`cc`), or with a `*` at one end (`*-gcc`, `clang-*`).
    pub names: Vec<OsString>,
}

/// What of the options a supervisor needs, as bytes: nested observers send it in this form.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "nobody to send it to")
)]
pub(crate) struct Bytes {
    pub(crate) skip: Vec<Vec<u8>>,
    pub(crate) trusted: Vec<Vec<u8>>,
    pub(crate) elsewhere: Vec<Vec<u8>>,
}

impl From<&Options> for Bytes {
    fn from(options: &Options) -> Self {
        let bytes = |paths: &[PathBuf]| -> Vec<Vec<u8>> {
            paths
                .iter()
                .map(|path| path.as_os_str().as_encoded_bytes().to_vec())
                .collect()
        };
        let mut skip = bytes(&options.skip);
        skip.extend(
            options
                .preload
                .as_ref()
                .map(|path| path.as_os_str().as_encoded_bytes().to_vec()),
        );
        Self {
            skip,
            trusted: bytes(&options.trusted),
            elsewhere: bytes(&options.elsewhere),
        }
    }
}
