//! The environment of a process, as the program that was started read it and hands it down.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The environment of the process, as the CLI read it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// Those that the process itself has otherwise.
    changed: Vec<OsString>,
    /// Current directory.
    pub cwd: PathBuf,
    /// This program's own file.
    pub program: PathBuf,
    /// See [`Environment::searched`].
    searched: OnceLock<Vec<PathBuf>>,
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
            changed: Vec::new(),
            cwd,
            program,
            searched: OnceLock::new(),
        }
    }

    /// Takes a variable to have another value, or none, than the process has it.
    pub fn set(&mut self, name: &str, value: Option<OsString>) {
        self.variables.retain(|(key, _)| key != name);
        if let Some(value) = value {
            let at = self
                .variables
                .partition_point(|(key, _)| key.as_os_str() < OsStr::new(name));
            self.variables.insert(at, (name.into(), value));
        }
        self.changed.push(name.into());
        self.searched = OnceLock::new();
    }

    /// Has a program see these variables, and not what the process has of them.
    pub fn hand_down(&self, command: &mut Command) {
        for name in &self.changed {
            match self.value(name) {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }

    /// A variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.value(OsStr::new(name))
    }

    /// A variable whose name may be no text.
    #[must_use]
    pub fn value(&self, name: &OsStr) -> Option<&OsStr> {
        let index = self
            .variables
            .binary_search_by(|(key, _)| key.as_os_str().cmp(name))
            .ok()?;
        Some(&self.variables[index].1)
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The directories of `PATH` as they really are, each once. Where it is not set, none is searched; an empty part of it
    /// is the process's own.
    #[must_use]
    pub fn searched(&self) -> &[PathBuf] {
        self.searched.get_or_init(|| {
            let path = self.get("PATH").into_iter();
            let named = path.flat_map(std::env::split_paths);
            let named = once_each(named.map(|dir| self.cwd.join(dir)));
            let real = |dir: PathBuf| rekindle_fsx::canonicalize(&dir).unwrap_or(dir);
            // As `/bin` and `/usr/bin`, and what a shell's start put before it twice.
            once_each(named.into_iter().map(real))
        })
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

/// Paths without those that came before.
fn once_each(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !all
            .iter()
            .any(|other| other.as_os_str() == path.as_os_str())
        {
            all.push(path);
        }
    }
    all
}

/// What tells this processor's model and features from others.
#[must_use]
pub fn processor() -> Vec<u8> {
    let info = rekindle_fsx::read(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let mut lines: Vec<&[u8]> = info
        .split(|byte| *byte == b'\n')
        .filter(|line| {
            [
                "vendor_id",
                "cpu family",
                "model",
                "stepping",
                "flags",
                "Features",
                "CPU ",
            ]
            .iter()
            .any(|name| line.starts_with(name.as_bytes()))
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_read_and_handed_down() {
        let variables = [("A", "1"), ("B", "2"), ("D", "4")].map(|(n, v)| (n.into(), v.into()));
        let mut environment = Environment::new(variables, PathBuf::new(), PathBuf::new());
        environment.set("B", None);
        environment.set("C", Some("3".into()));
        let names: Vec<_> = environment.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "C", "D"]);
        assert_eq!(environment.get("B"), None);
        assert_eq!(environment.get("C"), Some(OsStr::new("3")));
        assert_eq!(environment.get("D"), Some(OsStr::new("4")));
        let mut command = Command::new("true");
        environment.hand_down(&mut command);
        let handed: Vec<_> = command.get_envs().collect();
        let three = Some(OsStr::new("3"));
        assert_eq!(handed, [(OsStr::new("B"), None), (OsStr::new("C"), three)]);
    }
}
