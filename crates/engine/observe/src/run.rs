//! Starting a program and looking at it.

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};

#[cfg(observable)]
use crate::preload;
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
    session: Session,
}

#[derive(Debug)]
enum Session {
    #[cfg(observable)]
    Own(crate::linux::Session),
    #[cfg(observable)]
    Outer(crate::linux::nested::Part),
    None(Blind),
}

/// A program that has ended.
#[derive(Debug)]
pub struct Observed {
    /// How it ended.
    pub status: ExitStatus,
    /// What it and its children did.
    pub observation: Observation,
    /// What looking took; nothing where an outer observer looked.
    pub effort: Effort,
}

/// How often a program tree was stopped to look at it, and how often that was not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Calls that were stopped.
    pub stopped: u64,
    /// Calls that the preload library wrote down and made without a stop.
    pub written: u64,
}

impl Observer {
    /// Finds out what this process may observe, without starting anything.
    #[must_use]
    pub fn probe() -> Self {
        Self {
            capability: capability(),
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
        let (mut child, session) = match &self.capability {
            #[cfg(observable)]
            Capability::Own => {
                preload::prepare(command, options);
                let (child, session) = crate::linux::start(command, options)?;
                (child, Session::Own(session))
            }
            #[cfg(observable)]
            Capability::Outer => {
                preload::prepare(command, options);
                let (child, part) = crate::linux::nested::start(command, options)?;
                (child, Session::Outer(part))
            }
            #[cfg(not(observable))]
            Capability::Own | Capability::Outer => {
                let _ = options;
                (command.spawn()?, Session::None(Blind::Unsupported))
            }
            Capability::None(blind) => (command.spawn()?, Session::None(blind.clone())),
        };
        Ok(Running {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            session,
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
        let (observation, effort) = match self.session {
            #[cfg(observable)]
            Session::Own(session) => session.finish(),
            #[cfg(observable)]
            Session::Outer(part) => (part.finish(), Effort::default()),
            Session::None(blind) => {
                let mut nothing = Observation::default();
                nothing.blind.insert(blind);
                (nothing, Effort::default())
            }
        };
        Ok(Observed {
            status,
            observation,
            effort,
        })
    }

    /// The program's process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

#[cfg(observable)]
fn capability() -> Capability {
    if crate::linux::nested::is_observed() {
        return Capability::Outer;
    }
    match crate::linux::available() {
        Ok(()) => Capability::Own,
        Err(blind) => Capability::None(blind),
    }
}

#[cfg(not(observable))]
fn capability() -> Capability {
    Capability::None(Blind::Unsupported)
}

/// Tells the observer of this process, if there is one, what this process knows that it depends on
/// without having looked itself: what a cached result was made from. Whether it was told.
#[must_use]
pub fn announce(seen: &Observation) -> bool {
    #[cfg(observable)]
    {
        crate::linux::nested::add(seen)
    }
    #[cfg(not(observable))]
    {
        let _ = seen;
        false
    }
}
