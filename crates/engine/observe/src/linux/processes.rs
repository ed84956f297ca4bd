//! Which process runs what, and which part of an observation it belongs to.

use std::rc::Rc;

use super::elf::{self, Facts};
use super::maps::HashMap;
use super::peer;
use super::sys::{self, Kind};
use super::walk::text;

/// A part of an observation, which a nested observer asked for; 0 is the whole.
pub(super) type Scope = u32;

/// A process since it last started a program.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// What it runs.
    pub(super) program: Vec<u8>,
    pub(super) facts: Rc<Facts>,
    /// Whether it is to be told whether it reads its variables as a whole, and has not been yet.
    pub(super) unguarded: bool,
    /// Whether the preload library has said that it is there.
    pub(super) reported: bool,
    /// Whether it is the redirector or was started by it.
    pub(super) redirected: bool,
    /// What it does is not recorded.
    pub(super) silent: bool,
    /// Nor what its children do.
    pub(super) elsewhere: bool,
    pub(super) scope: Scope,
    /// Whether it has opened a library that is neither the system's nor trusted.
    pub(super) foreign: bool,
    /// Whether it has asked for the kernel's version.
    pub(super) asked: bool,
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: HashMap<i32, Process>,
    /// The process of other threads, and of children that have not started a program.
    threads: HashMap<i32, i32>,
    scopes: HashMap<i32, Scope>,
    facts: HashMap<Vec<u8>, (Kind, Rc<Facts>)>,
    libraries: HashMap<Vec<u8>, (Kind, Rc<Facts>)>,
}

impl Processes {
    /// What is known of a program; read once unless its file changes.
    pub(super) fn facts(&mut self, path: &[u8], kind: Kind) -> Rc<Facts> {
        known(&mut self.facts, path, kind, elf::inspect)
    }

    /// The same of a library.
    pub(super) fn library(&mut self, path: &[u8], kind: Kind) -> Rc<Facts> {
        known(&mut self.libraries, path, kind, elf::inspect_library)
    }

    /// Whether a program's file is still the one of which something is known.
    pub(super) fn is_as_known(&self, path: &[u8]) -> bool {
        let now = text(path).and_then(|path| sys::look(&path).ok());
        now.is_some() && now == self.facts.get(path).map(|(known, _)| *known)
    }

    /// The process that a thread belongs to. Asked before the thread goes on.
    pub(super) fn of_thread(thread: i32) -> i32 {
        if sys::is_first_thread(thread) {
            thread
        } else {
            peer::family(thread).map_or(thread, |family| family.process)
        }
    }

    /// A process starts a program: what is known of it from now on. Gives what was known before.
    pub(super) fn starts(&mut self, process: i32, now: Process) -> Option<Process> {
        self.threads.remove(&process);
        self.known.insert(process, now)
    }

    /// The process of a thread, if it has started a program under this observer.
    pub(super) fn get(&mut self, thread: i32) -> Option<&mut Process> {
        let process = self.owner_of(thread)?;
        self.known.get_mut(&process)
    }

    /// The process that [`Self::get`] gives, by its number.
    pub(super) fn owner_of(&mut self, thread: i32) -> Option<i32> {
        if self.known.contains_key(&thread) {
            return Some(thread);
        }
        self.owner(thread)
    }

    /// The nearest process that has started a program: its own or an ancestor's.
    fn owner(&mut self, thread: i32) -> Option<i32> {
        if let Some(process) = self.threads.get(&thread) {
            return Some(*process);
        }
        let mut at = peer::family(thread)?;
        for _ in 0..64 {
            if self.known.contains_key(&at.process) {
                self.threads.insert(thread, at.process);
                return Some(at.process);
            }
            if let Some(process) = self.threads.get(&at.process) {
                let process = *process;
                self.threads.insert(thread, process);
                return Some(process);
            }
            if at.parent <= 1 {
                return None;
            }
            at = if self.known.contains_key(&at.parent) {
                peer::Family {
                    process: at.parent,
                    parent: 0,
                }
            } else {
                peer::family(at.parent)?
            };
        }
        None
    }

    /// Puts a process that has not started a program yet into a part of the observation.
    pub(super) fn enter(&mut self, process: i32, scope: Scope) {
        self.scopes.insert(process, scope);
    }

    /// The part that a thread's doings belong to; `None` where its ancestors are unknown.
    pub(super) fn scope(&mut self, thread: i32) -> Option<Scope> {
        if let Some(scope) = self.scopes.get(&thread) {
            return Some(*scope);
        }
        let mut at = thread;
        for _ in 0..64 {
            let family = peer::family(at)?;
            for process in [family.process, family.parent] {
                let scope = self
                    .scopes
                    .get(&process)
                    .copied()
                    .or_else(|| self.known.get(&process).map(|known| known.scope));
                if let Some(scope) = scope {
                    self.scopes.insert(thread, scope);
                    return Some(scope);
                }
            }
            if family.parent <= 1 {
                return None;
            }
            at = family.parent;
        }
        None
    }

    /// Forgets the processes of a part, and gives them.
    pub(super) fn leave(&mut self, scope: Scope) -> Vec<(i32, Process)> {
        self.scopes.retain(|_, other| *other != scope);
        self.threads.clear();
        self.known
            .extract_if(|_, process| process.scope == scope)
            .collect()
    }
}

fn known(
    all: &mut HashMap<Vec<u8>, (Kind, Rc<Facts>)>,
    path: &[u8],
    kind: Kind,
    inspect: fn(&[u8]) -> Facts,
) -> Rc<Facts> {
    if let Some((known, facts)) = all.get(path)
        && *known == kind
    {
        return Rc::clone(facts);
    }
    let facts = Rc::new(inspect(path));
    all.insert(path.to_vec(), (kind, Rc::clone(&facts)));
    facts
}

/// Whether a process still runs something.
pub(super) fn is_alive(process: i32) -> bool {
    // A process that has ended and was not waited for has no executable.
    text(format!("/proc/{process}/exe").as_bytes())
        .is_some_and(|path| sys::read_link(&path).is_ok())
}
