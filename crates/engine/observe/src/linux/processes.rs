//! Which process runs what, and which part of an observation it belongs to.

use std::rc::Rc;

use super::elf::{self, Facts};
use super::maps::HashMap;
use super::numbers::{Holder, Numbers};
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
    /// Which object reads variables or clocks at an address; none where it may.
    pub(super) readers: HashMap<u64, Option<Vec<u8>>>,
}

/// All that are known, by number.
#[derive(Debug, Default)]
pub(super) struct Processes {
    entries: HashMap<i32, Entry>,
    numbers: Numbers,
    /// Whose numbers are others' now, and had been seen last when they ran this.
    gone: Vec<Process>,
    facts: HashMap<Vec<u8>, (Kind, Rc<Facts>)>,
    libraries: HashMap<Vec<u8>, (Kind, Rc<Facts>)>,
}

/// What is known of a process or a thread.
#[derive(Debug)]
struct Entry {
    holder: Holder,
    /// What it runs, where it has started a program.
    process: Option<Process>,
    /// Of other threads, and of children that have not started a program: whose program they run.
    owner: Option<i32>,
    scope: Option<Scope>,
}

impl Processes {
    /// Called at each event.
    pub(super) fn look(&mut self) {
        self.numbers.look();
    }

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

    /// What is known of who has a number now.
    fn entry(&mut self, number: i32) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&number)?;
        if !self.numbers.is_still(number, &mut entry.holder) {
            let entry = self.entries.remove(&number)?;
            self.gone.extend(entry.process);
            return None;
        }
        self.entries.get_mut(&number)
    }

    fn entry_or_new(&mut self, number: i32) -> &mut Entry {
        // Not what is known of another one.
        let _ = self.entry(number);
        let numbers = &mut self.numbers;
        self.entries.entry(number).or_insert_with(|| Entry {
            holder: numbers.holder(number),
            process: None,
            owner: None,
            scope: None,
        })
    }

    fn runs(&mut self, number: i32) -> bool {
        self.entry(number)
            .is_some_and(|entry| entry.process.is_some())
    }

    /// A process starts a program: what is known of it from now on. Gives what was known before.
    pub(super) fn starts(&mut self, process: i32, now: Process) -> Option<Process> {
        let entry = self.entry_or_new(process);
        entry.owner = None;
        entry.process.replace(now)
    }

    /// The process of a thread, if it has started a program under this observer.
    pub(super) fn get(&mut self, thread: i32) -> Option<&mut Process> {
        let process = self.owner_of(thread)?;
        self.entry(process)?.process.as_mut()
    }

    /// The process that [`Self::get`] gives, by its number.
    pub(super) fn owner_of(&mut self, thread: i32) -> Option<i32> {
        if self.runs(thread) {
            return Some(thread);
        }
        if let Some(owner) = self.entry(thread).and_then(|entry| entry.owner) {
            return Some(owner);
        }
        let owner = self.find_owner(thread)?;
        self.entry_or_new(thread).owner = Some(owner);
        Some(owner)
    }

    /// The nearest process that has started a program: its own or an ancestor's.
    fn find_owner(&mut self, thread: i32) -> Option<i32> {
        let mut at = peer::family(thread)?;
        for _ in 0..64 {
            if self.runs(at.process) {
                return Some(at.process);
            }
            if let Some(owner) = self.entry(at.process).and_then(|entry| entry.owner) {
                return Some(owner);
            }
            if at.parent <= 1 {
                return None;
            }
            at = if self.runs(at.parent) {
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
        self.entry_or_new(process).scope = Some(scope);
    }

    /// The part that a thread's doings belong to; `None` where its ancestors are unknown.
    pub(super) fn scope(&mut self, thread: i32) -> Option<Scope> {
        if let Some(scope) = self.entry(thread).and_then(|entry| entry.scope) {
            return Some(scope);
        }
        let mut at = thread;
        for _ in 0..64 {
            let family = peer::family(at)?;
            for process in [family.process, family.parent] {
                let scope = self.entry(process).and_then(|entry| {
                    let of_program = || entry.process.as_ref().map(|process| process.scope);
                    entry.scope.or_else(of_program)
                });
                if let Some(scope) = scope {
                    self.entry_or_new(thread).scope = Some(scope);
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

    /// Forgets the processes of a part. Gives what they ran, and whether they still do.
    pub(super) fn leave(&mut self, scope: Scope) -> Vec<(Process, bool)> {
        let mut left: Vec<(Process, bool)> = self
            .gone
            .extract_if(.., |process| process.scope == scope)
            .map(|process| (process, false))
            .collect();
        self.entries.retain(|number, entry| {
            entry.owner = None;
            entry.scope.take_if(|other| *other == scope);
            if let Some(process) = entry.process.take_if(|process| process.scope == scope) {
                let is_alive = is_running(*number) && Numbers::is_alive(*number, entry.holder);
                left.push((process, is_alive));
            }
            entry.process.is_some() || entry.scope.is_some()
        });
        left
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
fn is_running(process: i32) -> bool {
    // A process that has ended and was not waited for has no executable.
    text(format!("/proc/{process}/exe").as_bytes())
        .is_some_and(|path| sys::read_link(&path).is_ok())
}
