//! Starting a program and looking at it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};

use crate::{Blind, Observation, Options};

/// What this process may observe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// By a listener of its own.
    Own,
    /// By an observer of ours that observes this process already.
    Outer,
    /// Not at all.
    None(Blind),
}

/// Starts programs and observes them.
#[derive(Clone, Debug)]
pub struct Observer {
    capability: Capability,
}

/// A program that is being observed. It must be waited for: dropping it ends the observation, not
/// the program.
#[derive(Debug)]
pub struct Running {
    /// Its standard input, where the command asked for a pipe.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, where the command asked for a pipe.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, where the command asked for a pipe.
    pub stderr: Option<ChildStderr>,
    child: Child,
    blind: Option<Blind>,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Observed {
    /// How it ended.
    pub status: ExitStatus,
    /// What it and its children did.
    pub observation: Observation,
}

impl Observer {
    /// Finds out what this process may observe, without starting anything.
    #[must_use]
    pub fn probe() -> Self {
        Self {
            capability: Capability::None(Blind::Unsupported),
        }
    }

    /// An observer that runs programs without looking.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            capability: Capability::None(Blind::Off),
        }
    }

    /// What it may observe.
    #[must_use]
    pub const fn capability(&self) -> &Capability {
        &self.capability
    }

    /// Starts a program. Streams are as the command says; exit code, signals and inherited file
    /// descriptors are as without an observer.
    ///
    /// # Errors
    /// As [`Command::spawn`]; never because observing failed, which
    /// [`Observation::blind`] tells.
    pub fn spawn(&self, command: &mut Command, options: &Options) -> io::Result<Running> {
        let _ = options;
        let mut child = command.spawn()?;
        let blind = match &self.capability {
            Capability::None(blind) => Some(blind.clone()),
            Capability::Own | Capability::Outer => None,
        };
        Ok(Running {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            blind,
        })
    }

    /// Starts a program whose streams are not pipes, and waits for it.
    ///
    /// # Errors
    /// As [`Command::status`].
    pub fn run(&self, command: &mut Command, options: &Options) -> io::Result<Observed> {
        self.spawn(command, options)?.wait()
    }
}

impl Running {
    /// Waits for the program's end, and gives what was seen until then.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn wait(mut self) -> io::Result<Observed> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        let mut observation = Observation::default();
        observation.blind.extend(self.blind);
        Ok(Observed {
            status,
            observation,
        })
    }
}

/// Writes the preload library into a directory, under its digest, unless it is there. `None` where
/// this build has none.
///
/// # Errors
/// As writing a file.
pub fn install_preload(directory: &Path) -> io::Result<Option<PathBuf>> {
    let _ = directory;
    Ok(None)
}
