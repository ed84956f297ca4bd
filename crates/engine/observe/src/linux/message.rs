//! What the preload library and nested observers say: see `protocol.rs`.

use std::ffi::OsStr;

use super::elf::Facts;
use super::hands_on::Copy;
use super::listener::Call;
use super::peer;
use super::record::{Record, to_path};
use super::supervise::{Supervisor, Who};
use crate::options::Bytes;
use crate::{Contact, EnvDoubt, Observation, Redirect, kinds, protocol};

/// More than this is no encoding of ours.
const LONGEST: u64 = 256 << 20;

/// Whether an `openat` is such a message.
pub(super) fn is_one(call: &Call) -> bool {
    (protocol::RING..=protocol::HELLO).contains(&call.int(0))
}

impl Supervisor {
    /// Takes a message, and answers it.
    pub(super) fn message(&mut self, call: &Call) {
        let who = self.who(call.thread);
        let answer = match call.int(0) {
            protocol::ASK => i64::from(protocol::VERSION),
            protocol::HELLO => self.hello(call, who),
            protocol::GETENV => self.getenv(call, who),
            protocol::CLOCK => self.clock(call, who, false),
            protocol::RANDOM => self.clock(call, who, true),
            protocol::GUARDED => self.guarded(who),
            protocol::VARIABLES => self.variables(call, who),
            protocol::BEGIN => self.begin(call, who),
            protocol::END => self.ends(call),
            protocol::FETCH => self.fetch(call),
            protocol::ADD => self.add(call, who),
            protocol::RING => self.lend_ring(call, who),
            _ => -1,
        };
        if answer < 0 {
            self.listener.fail(call, libc::EBADF);
        } else {
            self.listener.reply(call, answer);
        }
    }

    fn hello(&mut self, call: &Call, who: Who) -> i64 {
        let Some(process) = self.processes.get(who.thread) else {
            return -1;
        };
        process.reported = true;
        let silent = process.silent;
        let (program, facts, redirected) = (
            process.program.clone(),
            process.facts.clone(),
            process.redirected,
        );
        let is_trusted = self.is_below_trusted(who, &program);
        let count = facts.slots.len();
        let guards =
            !silent && !is_trusted && facts.rust && (1..=protocol::MOST_SLOTS).contains(&count);
        if let Some(process) = self.processes.get(who.thread) {
            process.unguarded = guards;
        }
        let record = self.record(who.scope);
        if !silent && !is_trusted {
            if !facts.rust {
                record.doubt(&program, EnvDoubt::Main);
            }
            if facts.environ && !guards {
                record.doubt(&program, EnvDoubt::Environ(to_path(&program)));
            }
            for name in &facts.names {
                record.name(name.as_bytes());
            }
        }
        // The loader's own: it decides which of the files that it looks for are found.
        if !silent {
            record.name(b"LD_LIBRARY_PATH");
        }
        let starts = if redirected {
            &self.starts_of_redirected
        } else {
            &self.starts
        };
        if starts.is_empty() && !guards {
            return 0;
        }
        let mut bytes = slots(&facts, guards);
        bytes.extend(starts);
        let room = usize::try_from(call.arguments[2]).unwrap_or(0);
        if bytes.len() > room || peer::write(who.thread, call.arguments[1], &bytes).is_err() {
            return 0;
        }
        i64::try_from(bytes.len()).unwrap_or(0)
    }

    fn guarded(&mut self, who: Who) -> i64 {
        if let Some(process) = self.processes.get(who.thread) {
            process.unguarded = false;
        }
        0
    }

    /// The list is gone through. Whether all stays guarded.
    fn variables(&mut self, call: &Call, who: Who) -> i64 {
        use std::os::unix::ffi::OsStrExt;
        let copy = self.copies(call, who);
        let program = self.program(who);
        let doubt = match copy {
            Some(Copy::HandedOn) => return 1,
            Some(Copy::Kept) => EnvDoubt::Copied,
            None => EnvDoubt::Environ(program.clone()),
        };
        if !who.silent {
            let program = program.as_os_str().as_bytes();
            self.record(who.scope).doubt(program, doubt);
        }
        i64::from(copy.is_some())
    }

    fn getenv(&mut self, call: &Call, who: Who) -> i64 {
        let name = peer::string(who.thread, call.arguments[1]);
        let Some(name) = self.checked(who, name) else {
            return 0;
        };
        if who.silent {
            return 0;
        }
        if let Some(by) = self.reader(who, call.arguments[2])
            && !(kinds::is_of_surroundings(&name) && kinds::compiles(&to_path(&by)))
        {
            self.record(who.scope).name(&name);
        }
        0
    }

    fn clock(&mut self, call: &Call, who: Who, random: bool) -> i64 {
        if random {
            self.told_random = Some(who.thread);
        }
        if who.silent {
            return 0;
        }
        if let Some(by) = self.reader(who, call.arguments[2]) {
            let by = to_path(&by);
            self.record(who.scope).contact(if random {
                Contact::Random { by }
            } else {
                Contact::Clock { by }
            });
        }
        0
    }

    /// Who reads a variable or a clock at an address of its code; `None` where it may do so.
    fn reader(&mut self, who: Who, address: u64) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        let program = self.program(who).into_os_string().into_vec();
        if !self.is_below_trusted(who, &program) {
            return Some(program);
        }
        // Of a trusted program, only what foreign code in it does is of interest.
        let known = self.processes.get(who.thread);
        if let Some(known) = known.and_then(|process| process.readers.get(&address)) {
            return known.clone();
        }
        let object = peer::object(who.thread, address).map(|path| path.into_os_string().into_vec());
        let trusted = object
            .as_ref()
            .is_some_and(|object| self.is_below_trusted(who, object));
        let reader = if trusted {
            None
        } else {
            object.or(Some(program))
        };
        if let Some(process) = self.processes.get(who.thread) {
            process.readers.insert(address, reader.clone());
        }
        reader
    }

    fn bytes(&self, call: &Call, address: u64, length: u64) -> Option<Vec<u8>> {
        if length > LONGEST {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done as u64;
            done += peer::memory(call.thread, at, &mut bytes[done..]).ok()?;
        }
        Some(bytes)
    }

    fn begin(&mut self, call: &Call, who: Who) -> i64 {
        let options = self.bytes(call, call.arguments[1], call.arguments[2]);
        let Some(options) = options.and_then(|bytes| postcard::from_bytes::<Bytes>(&bytes).ok())
        else {
            return -1;
        };
        let scope = self
            .parents
            .keys()
            .chain(self.finished.keys())
            .max()
            .map_or(1, |last| last + 1);
        self.records
            .insert(scope, Record::new(options.skip, options.trusted));
        self.parents.insert(scope, who.scope);
        self.processes.enter(call.thread, scope);
        i64::from(scope)
    }

    fn ends(&mut self, call: &Call) -> i64 {
        let Ok(scope) = u32::try_from(call.arguments[1]) else {
            return -1;
        };
        let encoded = self
            .end(scope)
            .and_then(|seen| postcard::to_stdvec(&seen).ok());
        let Some(encoded) = encoded else { return -1 };
        let length = encoded.len();
        self.finished.insert(scope, encoded);
        i64::try_from(length).unwrap_or(-1)
    }

    fn fetch(&mut self, call: &Call) -> i64 {
        let scope = u32::try_from(call.arguments[1]).unwrap_or(0);
        let Some(encoded) = self.finished.remove(&scope) else {
            return -1;
        };
        match peer::write(call.thread, call.arguments[2], &encoded) {
            Ok(()) => i64::try_from(encoded.len()).unwrap_or(-1),
            Err(_) => -1,
        }
    }

    fn add(&mut self, call: &Call, who: Who) -> i64 {
        let seen = self
            .bytes(call, call.arguments[1], call.arguments[2])
            .and_then(|bytes| postcard::from_bytes::<Observation>(&bytes).ok());
        let Some(seen) = seen else { return -1 };
        self.record(who.scope).add(&seen);
        1
    }
}

/// The first part of a reply: what the preload library is to guard.
fn slots(facts: &Facts, guards: bool) -> Vec<u8> {
    let guarded = if guards { facts.slots.as_slice() } else { &[] };
    let words = [facts.entry, guarded.len() as u64];
    let words = words.iter().chain(guarded);
    let mut bytes: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
    bytes.resize(protocol::SLOTS_SIZE, 0);
    bytes
}

/// How programs are to be started, as the preload library reads it; empty where they are started as ever.
pub(super) fn starts(libraries: Option<&OsStr>, redirect: Option<&Redirect>) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    if libraries.is_none() && redirect.is_none() {
        return Vec::new();
    }
    let redirected = redirect.into_iter().flat_map(|redirect| {
        let names = redirect.names.iter().map(std::ffi::OsString::as_os_str);
        let redirector = [redirect.redirector.as_os_str(), &redirect.first];
        redirector.into_iter().chain(names)
    });
    let mut text = Vec::new();
    for word in [libraries.unwrap_or_default()]
        .into_iter()
        .chain(redirected)
    {
        text.extend_from_slice(word.as_bytes());
        text.push(0);
    }
    text.push(0);
    if text.len() > protocol::STARTS_SIZE {
        text.clear();
    }
    text
}
