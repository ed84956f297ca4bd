//! Starts of programs.

use std::rc::Rc;

use super::calls::Rule;
use super::elf::Facts;
use super::listener::Call;
use super::maps::HashMap;
use super::peer;
use super::processes::{Process, Processes};
use super::supervise::{Supervisor, Who};
use super::sys;
use super::walk::text;
use crate::Blind;

/// How deep scripts may be run by scripts; the kernel's own bound.
const MOST_SCRIPTS: usize = 4;

/// A program that has been started.
#[derive(Clone)]
pub(super) struct Started {
    /// What was asked for; a script perhaps.
    asked: Vec<u8>,
    /// What runs.
    program: Vec<u8>,
    facts: Rc<Facts>,
}

impl Supervisor {
    pub(super) fn exec(&mut self, call: &Call, rule: &Rule, who: Who) {
        let place = rule
            .path
            .and_then(|(directory, path)| self.place(call, who, directory, path))
            .or_else(|| self.open_program(call));
        // Afterwards the thread that asked is the only one, under the process's number.
        let process = Processes::of_thread(call.thread);
        let (elsewhere, was_redirected) = self
            .follows_parents()
            .then(|| self.processes.get(call.thread))
            .flatten()
            .map(|process| (process.elsewhere, process.redirected))
            .unwrap_or_default();
        if !self.listener.go_on(call) {
            return;
        }
        let Some(place) = place else { return };
        let known = if elsewhere {
            None
        } else {
            self.known_start(who, &place)
        };
        let Some(started) = known.or_else(|| self.start(who, &place, elsewhere)) else {
            return;
        };
        let is_redirector = self.is_redirector(Some(&started.asked));
        let elsewhere = elsewhere || self.elsewhere.contains(&started.asked);
        let silent = is_redirector || elsewhere;
        let loads = started.facts.loads || started.facts.loader.is_some();
        let now = Process {
            program: started.program,
            facts: started.facts,
            unguarded: false,
            reported: false,
            redirected: is_redirector || was_redirected,
            silent,
            elsewhere,
            scope: who.scope,
            foreign: false,
            asked: false,
            readers: HashMap::default(),
        };
        if let Some(before) = self.processes.starts(process, now) {
            self.settle(&before);
        }
        // Not before: whose process it is would have to be asked of the kernel.
        if loads && !silent {
            self.loader_reads(who);
        }
    }

    fn is_redirector(&self, path: Option<&[u8]>) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let redirector = self.redirect.as_ref().map(|redirect| &redirect.redirector);
        redirector.is_some_and(|redirector| Some(redirector.as_os_str().as_bytes()) == path)
    }

    /// `fexecve`: the path is empty, and the program open.
    fn open_program(&self, call: &Call) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        if libc::c_long::from(call.number) != libc::SYS_execveat {
            return None;
        }
        let path = peer::directory(call.thread, call.int(0)).ok()?;
        Some(path.into_os_string().into_vec())
    }

    /// What was started at a path before and has not changed since: all of it is noted.
    fn known_start(&self, who: Who, place: &[u8]) -> Option<Started> {
        let (kind, started) = self.started.get(&(who.scope, place.to_vec()))?;
        let now = text(&started.program).and_then(|path| sys::look(&path).ok());
        (now == Some(*kind)).then(|| started.clone())
    }

    /// A program is started, perhaps by way of the programs that its scripts name. Gives the one
    /// that runs, if there is one.
    fn start(&mut self, who: Who, place: &[u8], silent: bool) -> Option<Started> {
        let key = (who.scope, place.to_vec());
        let mut place = place.to_vec();
        let mut asked = None;
        for _ in 0..=MOST_SCRIPTS {
            let found = self.follow(who, &place, true);
            let runs = found.kind.is_some_and(|kind| kind.is(libc::S_IFREG))
                && text(&found.path).is_some_and(|path| sys::may(&path, libc::X_OK));
            if !runs {
                if !silent {
                    self.seen(who, &found, false);
                }
                return None;
            }
            asked.get_or_insert_with(|| found.path.clone());
            let silent = silent || self.is_redirector(asked.as_deref());
            let kind = found.kind?;
            let facts = self.processes.facts(&found.path, kind);
            if !silent {
                self.seen(who, &found, true);
                self.record(who.scope).program(&found.path);
            }
            if facts.foreign && !silent {
                let what = "a program of another architecture".to_owned();
                self.record(who.scope).blind(Blind::Unseen(what));
            }
            if let Some(loader) = facts.loader.as_ref().filter(|_| !silent) {
                let loader = self.follow(who, &loader.clone(), true);
                self.seen(who, &loader, true);
            }
            match &facts.script_of {
                Some(interpreter) => place.clone_from(interpreter),
                None => {
                    let started = Started {
                        asked: asked?,
                        program: found.path,
                        facts,
                    };
                    // Not of a script, which may come to name another program.
                    if !silent && started.asked == started.program {
                        self.started.insert(key, (kind, started.clone()));
                    }
                    return Some(started);
                }
            }
        }
        None
    }
}
