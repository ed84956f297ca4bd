//! What checks look at.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rekindle::cargo_config::CargoConfig;
use rekindle::layout::Layout;
use rekindle::selection::toolchain::located;
use rekindle::{Resolved, Surroundings};
use rekindle_base::env;

use super::checks::toolchain::Rustc;
use super::logs::Recorded;
use super::machine::Machine;
use super::probe::{self, NotProbed, Probe};

/// This process's surroundings, what they come to, and the machine.
pub(super) struct Context<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) config: &'a CargoConfig<'a>,
    /// Where cargo builds; `None` outside of a project.
    pub(super) layout: Option<Layout>,
    pub(super) resolved: &'a Resolved,
    pub(super) machine: Machine,
    rustc: OnceCell<Result<Rustc, String>>,
    probe: OnceCell<Result<Probe, NotProbed>>,
    recorded: OnceCell<Option<Recorded>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        surroundings: &'a Surroundings,
        config: &'a CargoConfig<'a>,
        layout: Option<Layout>,
        resolved: &'a Resolved,
    ) -> Self {
        Self {
            surroundings,
            config,
            layout,
            resolved,
            machine: Machine::real(surroundings),
            rustc: OnceCell::new(),
            probe: OnceCell::new(),
            recorded: OnceCell::new(),
        }
    }

    /// What the compiler says of itself, asked when first wanted.
    pub(super) fn rustc(
        &self,
        ask: impl FnOnce(&Self) -> Result<Rustc, String>,
    ) -> Result<&Rustc, &String> {
        self.rustc.get_or_init(|| ask(self)).as_ref()
    }

    /// The tiny program, built when first asked for.
    pub(super) fn probe(&self) -> Result<&Probe, &NotProbed> {
        self.probe.get_or_init(|| probe::build(self)).as_ref()
    }

    /// What earlier runs recorded of the project, read when first asked for; `None` outside of one.
    pub(super) fn recorded(&self) -> Option<&Recorded> {
        let store = &self.resolved.settings.store_dir;
        let read = |layout: &Layout| Recorded::read(store, &layout.workspace_root);
        let recorded = self.recorded.get_or_init(|| self.layout.as_ref().map(read));
        recorded.as_ref()
    }

    /// A program as a shell finds it.
    pub(super) fn find(&self, program: impl AsRef<OsStr>) -> Option<PathBuf> {
        let file = located(self.surroundings, Path::new(program.as_ref()))?;
        rekindle_fsx::stat_follow(&file)
            .is_ok_and(|sig| sig.is_executable() && sig.kind() == rekindle_fsx::FileKind::File)
            .then_some(file)
    }

    /// A variable that is set to something, as text.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        let value = self.surroundings.non_empty(name)?;
        Some(value.to_string_lossy().into_owned())
    }

    /// Rekindle's remotes, as a build here would use them, and what says so; `None` where it would use none, or goes by
    /// sccache's variables.
    pub(super) fn remote(&self) -> Option<(&str, &'static str)> {
        let url = self.resolved.remote.as_ref()?.url.as_deref()?;
        let is_variable = self.surroundings.non_empty(env::REKINDLE_REMOTE).is_some();
        let set_in = if is_variable {
            env::REKINDLE_REMOTE
        } else {
            "`remote` in the configuration file"
        };
        Some((url, set_in))
    }

    /// The file that says something of `key` in cargo's configuration, the first that cargo obeys.
    pub(super) fn file_with(&self, key: &[&str]) -> Option<(&Path, &toml::Value)> {
        self.config.files().find_map(|(file, table)| {
            let (first, rest) = key.split_first()?;
            let value = rest
                .iter()
                .try_fold(table.get(*first)?, |value, name| value.get(*name))?;
            Some((file, value))
        })
    }

    /// The targets that the project builds for, the host left out where it is not named.
    pub(super) fn targets(&self) -> Vec<String> {
        let call = rekindle::selection::Call::default();
        rekindle::selection::targets(self.surroundings, self.config, call)
    }

    /// Where cargo builds, or would.
    pub(super) fn build_dir(&self) -> Option<&Path> {
        Some(self.layout.as_ref()?.build_dir.as_path())
    }
}
