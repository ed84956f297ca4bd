//! The supervisor: takes stopped calls one by one, lets them happen, and notes what they say.
//!
//! A call that only reads is let go as soon as its arguments have been read, and looked into while
//! the process runs on: whatever the tree changes is itself stopped first, so it cannot overtake. What
//! changes something is looked into before.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::answers::Answers;
use super::calls::{self, Act, Rule};
use super::exec::Started;
use super::hands_on::Handing;
use super::listener::{self, Call, Listener, Next};
use super::maps::HashMap;
use super::places::Special;
use super::processes::{Process, Processes, Scope};
use super::record::{Record, is_under, to_path};
use super::ring::Ring;
use super::sys::Kind;
use super::walk::{Found, Walk};
use super::{message, net, peer};
use crate::options::Bytes;
use crate::{Blind, Contact, Effort, EnvDoubt, Observation, Options, Redirect, Seen};

/// How long processes that outlive the first one may take to end before they count as left behind.
const GRACE: Duration = Duration::from_millis(200);

/// How long the next lines may wait while lines are being written, so that they are looked at beside
/// the process instead of while it waits for a full ring.
const DRAIN_MS: i32 = 1;

/// The supervisor of one tree.
pub(super) struct Supervisor {
    pub(super) listener: Listener,
    pub(super) records: BTreeMap<Scope, Record>,
    pub(super) parents: BTreeMap<Scope, Scope>,
    /// Encoded observations of parts that have ended, to be fetched.
    pub(super) finished: HashMap<Scope, Vec<u8>>,
    pub(super) processes: Processes,
    pub(super) redirect: Option<Redirect>,
    /// How programs are to be started, as the preload library is told.
    pub(super) starts: Vec<u8>,
    /// The same of those that the redirector starts.
    pub(super) starts_of_redirected: Vec<u8>,
    /// Programs that are not recorded, nor what they start.
    pub(super) elsewhere: Vec<Vec<u8>>,
    /// The thread whose preload library has just told that it reads randomness.
    pub(super) told_random: Option<i32>,
    /// Where programs' own copies of Rust's library hand variables on.
    pub(super) handing: HashMap<Vec<u8>, Rc<Handing>>,
    pub(super) walk: Walk,
    /// Looks that would note what is noted.
    pub(super) answered: Answers,
    /// Libraries that a program is known to have opened, and whether they are foreign to it.
    pub(super) loaded: HashMap<Loaded, bool>,
    /// Programs that have been started, by the part and the path that was named.
    pub(super) started: HashMap<(Scope, Vec<u8>), (Kind, Started)>,
    pub(super) effort: Effort,
    /// Where processes write down what they read; `None` where there is no such memory.
    pub(super) ring: Option<Ring>,
    /// Who may, by the number that each was given.
    pub(super) writers: Vec<Who>,
}

/// A library, by the part in which it was opened, the program that did, and the path that it named.
type Loaded = (Scope, Option<Vec<u8>>, Vec<u8>);

/// Who makes a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) thread: i32,
    pub(super) scope: Scope,
    /// It tells in other ways what it read.
    pub(super) silent: bool,
    /// It was written down, and is looked into some time afterwards.
    pub(super) late: bool,
    /// Of what is written down: whether it makes nothing of [some variables](crate::kinds::is_of_surroundings).
    pub(super) compiles: bool,
}

impl Supervisor {
    /// A supervisor at a listener.
    pub(super) fn new(listener: OwnedFd, options: &Options) -> Self {
        let libraries = options.foreign_libraries.as_deref();
        let redirect = options.redirect.clone();
        let starts = message::starts(libraries, redirect.as_ref());
        let starts_of_redirected = message::starts(libraries, None);
        let options = Bytes::from(options);
        let whole = Record::new(options.skip.clone(), options.trusted.clone());
        Self {
            listener: Listener::new(listener),
            records: BTreeMap::from([(0, whole)]),
            parents: BTreeMap::new(),
            finished: HashMap::default(),
            processes: Processes::default(),
            redirect,
            starts,
            starts_of_redirected,
            elsewhere: options.elsewhere.clone(),
            told_random: None,
            handing: HashMap::default(),
            walk: Walk::default(),
            answered: Answers::default(),
            loaded: HashMap::default(),
            started: HashMap::default(),
            effort: Effort::default(),
            ring: Ring::new().ok(),
            writers: Vec::new(),
        }
    }

    /// Serves until the first process has ended, which `ended` tells, and the others have, or have
    /// been left to another.
    pub(super) fn run(mut self, ended: &OwnedFd) -> (Observation, Effort) {
        // A fault of ours must not stop the tree: it goes on, unobserved.
        let served = catch_unwind(AssertUnwindSafe(|| self.serve(ended)));
        if served.is_err() {
            self.record(0).blind(Blind::Failed("a panic".to_owned()));
            if let Err(error) = listener::leave_to_another(&self.listener) {
                self.record(0).blind(Blind::Failed(error.to_string()));
                while !matches!(self.pass(), Next::Over) {}
            }
        }
        self.finish()
    }

    /// Lets a call happen unseen.
    fn pass(&self) -> Next {
        let next = self.listener.next(None, -1);
        if let Next::Call(call) = &next {
            self.listener.go_on(call);
        }
        next
    }

    fn serve(&mut self, ended: &OwnedFd) {
        loop {
            let wait_ms = if self.drain() { DRAIN_MS } else { -1 };
            match self.listener.next(Some(ended.as_raw_fd()), wait_ms) {
                Next::Call(call) => self.handle(&call),
                Next::Over => return,
                Next::Nothing if is_ready(ended) => break,
                Next::Nothing => {}
            }
        }
        let start = Instant::now();
        while let Some(left) = GRACE.checked_sub(start.elapsed()) {
            let left_ms = i32::try_from(left.as_millis()).unwrap_or(0);
            match self.listener.next(None, left_ms.max(1)) {
                Next::Call(call) => self.handle(&call),
                Next::Over => return,
                Next::Nothing => {}
            }
        }
        self.record(0).contact(Contact::LeftBehind);
        if let Err(error) = listener::leave_to_another(&self.listener) {
            // No process can be made: better a build that waits than children that fail.
            self.record(0).blind(Blind::Failed(error.to_string()));
            while !matches!(self.pass(), Next::Over) {}
        }
    }

    fn finish(mut self) -> (Observation, Effort) {
        self.drain();
        while let Some(scope) = self.parents.keys().next_back().copied() {
            self.end(scope);
        }
        for (process, _) in self.processes.leave(0) {
            self.settle(&process);
        }
        let seen = self.records.remove(&0).map(Record::into_observation);
        (seen.unwrap_or_default(), self.effort)
    }

    /// Ends a part: what was seen in it is also seen by the part around it.
    pub(super) fn end(&mut self, scope: Scope) -> Option<Observation> {
        let parent = self.parents.remove(&scope)?;
        let inner: Vec<Scope> = self
            .parents
            .iter()
            .filter(|(_, around)| **around == scope)
            .map(|(inner, _)| *inner)
            .collect();
        for inner in inner {
            self.end(inner);
        }
        for (process, is_alive) in self.processes.leave(scope) {
            self.settle(&process);
            if is_alive {
                self.record(scope).contact(Contact::LeftBehind);
            }
        }
        let seen = self.records.remove(&scope)?.into_observation();
        self.record(parent).add(&seen);
        self.forget_answers();
        Some(seen)
    }

    /// The record of a part; of the whole where that part has ended.
    pub(super) fn record(&mut self, scope: Scope) -> &mut Record {
        record_in(&mut self.records, scope)
    }

    /// A process ends, or starts another program, without having said that it can be watched.
    pub(super) fn settle(&mut self, process: &Process) {
        if process.unguarded && !process.silent {
            let program = process.program.clone();
            let doubt = EnvDoubt::Environ(to_path(&program));
            self.record(process.scope).doubt(&program, doubt);
        }
        if !process.reported && !process.silent {
            let program = process.program.clone();
            self.record(process.scope)
                .doubt(&program, EnvDoubt::Unreported);
        }
    }

    pub(super) fn who(&mut self, thread: i32) -> Who {
        let scope = if self.records.len() == 1 {
            0
        } else {
            self.processes.scope(thread).unwrap_or_else(|| {
                // It could belong to any part.
                for record in self.records.values_mut() {
                    record.blind(Blind::Failed("a process without a parent".to_owned()));
                }
                0
            })
        };
        let silent = self.follows_parents()
            && self
                .processes
                .get(thread)
                .is_some_and(|process| process.silent);
        Who {
            thread,
            scope,
            silent,
            late: false,
            compiles: false,
        }
    }

    /// Whether anything depends on who started whom, which costs a look at each new process.
    pub(super) fn follows_parents(&self) -> bool {
        self.redirect.is_some() || !self.elsewhere.is_empty()
    }

    fn handle(&mut self, call: &Call) {
        self.effort.stopped += 1;
        self.processes.look();
        self.drain();
        let Some(rule) = calls::rule(call) else {
            self.listener.go_on(call);
            return;
        };
        if rule.number == libc::SYS_openat && message::is_one(call) {
            self.message(call);
            return;
        }
        let who = self.who(call.thread);
        if matches!(rule.act, Act::Exec) {
            self.exec(call, rule, who);
        } else if who.silent {
            self.listener.go_on(call);
        } else {
            self.act(call, rule, who);
        }
    }

    fn act(&mut self, call: &Call, rule: &Rule, who: Who) {
        let place = rule
            .path
            .and_then(|(directory, path)| self.place(call, who, directory, path));
        match rule.act {
            Act::Open(_) | Act::Open2(_) | Act::Create => {
                if let Some(place) = place {
                    self.open(call, who, &place, flags(call, rule.act));
                    return;
                }
            }
            Act::Look(_) | Act::LookAtLink | Act::ReadLink => {
                let follow = match rule.act {
                    Act::Look(Some(flags)) => call.int(flags) & libc::AT_SYMLINK_NOFOLLOW == 0,
                    Act::Look(None) => true,
                    _ => false,
                };
                if self.listener.go_on(call)
                    && let Some(place) = place
                {
                    self.look(who, &place, follow);
                }
                return;
            }
            Act::List => {
                let place = peer::directory(who.thread, call.int(0)).ok();
                if self.listener.go_on(call)
                    && let Some(place) = place
                {
                    use std::os::unix::ffi::OsStrExt;
                    self.list(who, place.as_os_str().as_bytes());
                }
                return;
            }
            Act::Make | Act::Remove | Act::Change | Act::Symlink => {
                if let Some(place) = place {
                    self.change(who, &place, rule.act);
                }
            }
            Act::Rename(directory, path) | Act::Link(directory, path) => {
                if let (Some(from), Some(to)) = (place, self.place(call, who, directory, path)) {
                    self.move_to(who, &from, &to, rule.act);
                }
            }
            other => self.touch(call, who, other),
        }
        self.listener.go_on(call);
    }

    /// What is not about files.
    fn touch(&mut self, call: &Call, who: Who, act: Act) {
        let contact = match act {
            Act::Socket => Contact::Network {
                family: u16::try_from(call.int(0)).unwrap_or(0),
                peer: None,
            },
            Act::Connect => {
                let mut address = [0; 128];
                let length = usize::try_from(call.int(2)).unwrap_or(0).min(address.len());
                let read = peer::memory(who.thread, call.arguments[1], &mut address[..length]);
                match read.ok().and_then(|read| net::contact(&address[..read])) {
                    Some(contact) => contact,
                    None => return,
                }
            }
            Act::Process(what) => Contact::Process { what: what.into() },
            Act::Machine => return self.asks_machine(call, who),
            Act::Random => {
                if self.told_random.take() == Some(who.thread) || self.is_trusted(who) {
                    return;
                }
                Contact::Random {
                    by: self.program(who),
                }
            }
            Act::Root => {
                self.walk.forget();
                self.record(who.scope).blind(Blind::OtherRoot);
                return;
            }
            Act::Unseen(what) => {
                self.record(who.scope).blind(Blind::Unseen(what.to_owned()));
                return;
            }
            _ => return,
        };
        self.record(who.scope).contact(contact);
    }

    /// Whether a process runs trusted code alone.
    fn is_trusted(&mut self, who: Who) -> bool {
        let Some(process) = self.processes.get(who.thread) else {
            return false;
        };
        let (program, foreign) = (process.program.clone(), process.foreign);
        !foreign && self.is_below_trusted(who, &program)
    }

    /// Whether a program or a library is one of those that may read variables.
    pub(super) fn is_below_trusted(&mut self, who: Who, path: &[u8]) -> bool {
        is_under(path, &self.record(who.scope).trusted)
    }

    /// The program of a thread.
    pub(super) fn program(&mut self, who: Who) -> std::path::PathBuf {
        match self.processes.get(who.thread) {
            Some(process) => to_path(&process.program),
            None => peer::program(who.thread).unwrap_or_default(),
        }
    }

    /// The absolute path that a call names, links not yet followed.
    pub(super) fn place(
        &mut self,
        call: &Call,
        who: Who,
        directory: Option<usize>,
        path: usize,
    ) -> Option<Vec<u8>> {
        let path = self.checked(who, peer::string(call.thread, call.arguments[path]))?;
        if path.is_empty() || path.starts_with(b"/") {
            return (!path.is_empty()).then_some(path);
        }
        use std::os::unix::ffi::OsStringExt;
        let directory = directory.map_or(libc::AT_FDCWD, |index| call.int(index));
        let mut base = peer::directory(call.thread, directory)
            .ok()?
            .into_os_string()
            .into_vec();
        base.push(b'/');
        base.extend(path);
        base.starts_with(b"/").then_some(base)
    }

    /// What was read of a process. Where it has gone, or gave a bad address, there is nothing to
    /// see; where it may not be read, that is told.
    pub(super) fn checked<T>(&mut self, who: Who, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                if !matches!(errno, libc::EFAULT | libc::ESRCH | libc::ENAMETOOLONG) {
                    self.record(who.scope).blind(Blind::Unreadable(errno));
                }
                None
            }
        }
    }

    /// Follows a path and notes the links on the way.
    pub(super) fn follow(&mut self, who: Who, place: &[u8], follow: bool) -> Found {
        let found = self.walk.walk(place, follow);
        self.note_links(who, &found);
        found
    }

    /// Notes the links that led somewhere.
    pub(super) fn note_links(&mut self, who: Who, found: &Found) {
        for link in &found.links {
            self.record(who.scope).note(link, Seen::LINK);
        }
    }

    /// Notes what a path was seen as. `opened` where its content is read.
    pub(super) fn seen(&mut self, who: Who, found: &Found, opened: bool) {
        if found.special {
            self.special(who, &found.path, opened);
            return;
        }
        let seen = match found.kind {
            None => Seen::MISSING,
            Some(kind) if kind.is(libc::S_IFLNK) => Seen::LINK,
            Some(kind) if opened && kind.is(libc::S_IFREG) => Seen::READ,
            Some(kind) if opened && (kind.is(libc::S_IFCHR) || kind.is(libc::S_IFBLK)) => {
                return self.device(who, &found.path);
            }
            Some(kind) if opened && kind.is(libc::S_IFIFO) => {
                let what = to_path(&found.path);
                return self.record(who.scope).contact(Contact::Process { what });
            }
            Some(_) => Seen::THERE,
        };
        self.record(who.scope).note(&found.path, seen);
    }

    fn device(&mut self, who: Who, path: &[u8]) {
        match super::places::device(path) {
            super::places::Device::Nothing => {}
            super::places::Device::Random if self.is_trusted(who) => {}
            super::places::Device::Random => {
                let by = self.program(who);
                self.record(who.scope).contact(Contact::Random { by });
            }
            super::places::Device::Other => {
                let path = to_path(path);
                self.record(who.scope).contact(Contact::Device(path));
            }
        }
    }

    pub(super) fn special(&mut self, who: Who, path: &[u8], opened: bool) {
        // Who wrote it down may be a child of that process, and its number somebody else's by now.
        let own = |number: i32| {
            !who.late
                && (number == who.thread
                    || peer::family(who.thread).is_some_and(|family| family.process == number))
        };
        match super::places::special(path, own) {
            Special::Nothing => {}
            Special::Environ => {
                use std::os::unix::ffi::OsStrExt;
                let program = self.program(who);
                self.record(who.scope)
                    .doubt(program.as_os_str().as_bytes(), EnvDoubt::Proc);
            }
            Special::Program if opened => {
                use std::os::unix::ffi::OsStrExt;
                let program = self.program(who);
                let found = self.follow(who, program.as_os_str().as_bytes(), true);
                self.seen(who, &found, true);
            }
            Special::Program => {}
            // Its directory may be another one by now.
            Special::Through(_) if who.late => {
                let what = "a link to the current directory".to_owned();
                self.record(who.scope).blind(Blind::Unseen(what));
            }
            Special::Through(rest) => {
                use std::os::unix::ffi::OsStrExt;
                if let Ok(base) = peer::directory(who.thread, libc::AT_FDCWD) {
                    let path = [base.as_os_str().as_bytes(), b"/", &rest].concat();
                    self.again(who, &path, opened);
                }
            }
            Special::FromRoot(rest) => self.again(who, &[b"/", rest.as_slice()].concat(), opened),
            Special::Kernel(path) => {
                let contact = Contact::Kernel(to_path(&path));
                self.record(who.scope).contact(contact);
            }
            Special::Process(path) => {
                let what = to_path(&path);
                self.record(who.scope).contact(Contact::Process { what });
            }
        }
    }

    fn again(&mut self, who: Who, path: &[u8], opened: bool) {
        let found = self.follow(who, path, true);
        if !found.special {
            self.seen(who, &found, opened);
        }
    }
}

/// See [`Supervisor::record`].
pub(super) fn record_in(records: &mut BTreeMap<Scope, Record>, scope: Scope) -> &mut Record {
    let scope = if records.contains_key(&scope) {
        scope
    } else {
        0
    };
    records.entry(scope).or_default()
}

fn flags(call: &Call, act: Act) -> i32 {
    match act {
        Act::Open(index) => call.int(index),
        Act::Open2(index) => {
            let mut how = [0; 8];
            match peer::memory(call.thread, call.arguments[index], &mut how) {
                #[expect(clippy::cast_possible_truncation, reason = "flags are in the low half")]
                Ok(8) => u64::from_ne_bytes(how) as i32,
                _ => libc::O_RDWR,
            }
        }
        _ => libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC,
    }
}

fn is_ready(ended: &OwnedFd) -> bool {
    let mut polled = libc::pollfd {
        fd: ended.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, as told.
    unsafe { libc::poll(&raw mut polled, 1, 0) == 1 }
}
