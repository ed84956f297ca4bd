//! The environment, the home directory and the working directory, read once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// What the process finds around it. Tests make up their own.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The user's home directory, where there is one.
    pub home: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// Where the working directory is gone.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self {
            vars: std::env::vars_os().collect(),
            cwd: std::env::current_dir()?,
            home: std::env::home_dir().filter(|home| home.is_absolute()),
        })
    }

    /// A variable, also an empty one.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable that is set to something.
    #[must_use]
    pub fn non_empty(&self, name: &str) -> Option<&OsStr> {
        self.var(name).filter(|value| !value.is_empty())
    }

    /// A variable that holds a path, made absolute against the working directory.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.non_empty(name).map(|value| self.cwd.join(value))
    }

    /// A directory as the XDG base directories say: an absolute path in a variable, else one below
    /// home.
    #[must_use]
    pub fn xdg(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let set = self.non_empty(name).map(Path::new);
        set.filter(|path| path.is_absolute())
            .map(Path::to_owned)
            .or_else(|| Some(self.home.as_ref()?.join(below_home)))
    }

    /// cargo's home.
    #[must_use]
    pub fn cargo_home(&self) -> Option<PathBuf> {
        self.path("CARGO_HOME")
            .or_else(|| Some(self.home.as_ref()?.join(".cargo")))
    }
}
