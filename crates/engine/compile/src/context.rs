//! What every phase of one wrapper process shares.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rekindle_store::LocalStore;

use crate::settings::Settings;

/// The environment of the process, as the CLI read it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// Current directory.
    pub cwd: PathBuf,
    /// This program's own file.
    pub program: PathBuf,
}

impl Environment {
    /// From the variables of the process, its directory and its own file.
    #[must_use]
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        cwd: PathBuf,
        program: PathBuf,
    ) -> Self {
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.sort_unstable();
        Self {
            variables,
            cwd,
            program,
        }
    }

    /// A variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let index = self
            .variables
            .binary_search_by(|(key, _)| key.as_os_str().cmp(OsStr::new(name)))
            .ok()?;
        Some(&self.variables[index].1)
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The file that `program` starts: itself where it is a path, else the first executable of that
    /// name on `PATH`.
    #[must_use]
    pub fn find_program(&self, program: &OsStr) -> Option<PathBuf> {
        let path = Path::new(program);
        if path.components().count() > 1 {
            return Some(self.cwd.join(path));
        }
        let directories = self.get("PATH")?;
        std::env::split_paths(directories)
            .map(|dir| self.cwd.join(dir).join(program))
            .find(|file| {
                rekindle_fsx::stat_follow(file).is_ok_and(|sig| {
                    sig.kind() == rekindle_fsx::FileKind::File && sig.is_executable()
                })
            })
    }
}

/// What every phase shares.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) environment: &'a Environment,
    pub(crate) store: LocalStore,
}
