//! Calls that name files: what is looked at, read, listed and changed.

use super::answers::Ask;
use super::calls::Act;
use super::listener::Call;
use super::record::{is_under, to_path};
use super::supervise::{Supervisor, Who};
use super::sys::{self, Kind};
use super::walk::text;
use crate::{EnvDoubt, Seen};

impl Supervisor {
    pub(super) fn look(&mut self, who: Who, place: &[u8], follow: bool) {
        let ask = if follow { Ask::Look } else { Ask::LookAtLink };
        if self.answered.has(who.scope, ask, place) {
            return;
        }
        let found = self.walk.glance(place, follow);
        self.note_links(who, &found);
        self.seen(who, &found, false);
        if found.kind.is_some() {
            self.answered.add(who.scope, ask, place);
        }
    }

    /// Every part of a path is asked whether it is a link, as `realpath` does.
    pub(super) fn real(&mut self, who: Who, place: &[u8]) {
        if self.answered.has(who.scope, Ask::Real, place) {
            return;
        }
        if let Some(above) = self.walk.real_directory(place)
            && self.answered.has(who.scope, Ask::RealDirectory, above)
        {
            let found = self.walk.glance(place, true);
            if found.links.is_empty() {
                self.seen(who, &found, false);
                if found.kind.is_some() {
                    self.answered.add(who.scope, Ask::Real, place);
                }
                return;
            }
        }
        let mut passed = Vec::new();
        let mut note = |path: &[u8], there| passed.push((path.to_vec(), there));
        let found = self.walk.walk_by(place, true, &mut note);
        let whole = passed.last().is_none_or(|(_, there)| *there);
        for (path, there) in &passed {
            let seen = if *there { Seen::THERE } else { Seen::MISSING };
            self.record(who.scope).note(path, seen);
        }
        self.note_links(who, &found);
        // It goes no further than to what is missing.
        if whole {
            self.seen(who, &found, false);
            // Now the walk knows whether its directory is real.
            self.walk.glance(place, true);
            if let Some(above) = self.walk.real_directory(place) {
                self.answered.add(who.scope, Ask::RealDirectory, above);
            }
        }
        if found.kind.is_some() {
            self.answered.add(who.scope, Ask::Real, place);
        }
    }

    pub(super) fn list(&mut self, who: Who, place: &[u8]) {
        if self.answered.has(who.scope, Ask::List, place) {
            return;
        }
        let found = self.follow(who, place, false);
        if found.special {
            self.special(who, &found.path, true);
        } else {
            self.record(who.scope).note(&found.path, Seen::LISTED);
        }
        self.answered.add(who.scope, Ask::List, place);
    }

    pub(super) fn open(&mut self, call: &Call, who: Who, place: &[u8], flags: i32) {
        let follow = flags & libc::O_NOFOLLOW == 0;
        if flags & libc::O_PATH != 0 {
            if self.listener.go_on(call) {
                self.look(who, place, follow);
            }
        } else if flags & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) == libc::O_RDONLY {
            if self.listener.go_on(call) {
                self.read(who, place, follow);
            }
        } else {
            self.open_to_write(who, place, flags);
            self.listener.go_on(call);
        }
    }

    pub(super) fn read(&mut self, who: Who, place: &[u8], follow: bool) {
        let ask = if follow { Ask::Read } else { Ask::ReadLink };
        let is_library = place.windows(3).any(|part| part == b".so");
        let is_answered = self.answered.has(who.scope, ask, place);
        if is_answered && !is_library {
            return;
        }
        // A library is asked about for each program that opens it.
        let loaded = is_library.then(|| {
            let program = self.processes.get(who.thread);
            let program = program.map(|process| process.program.clone());
            (who.scope, program, place.to_vec())
        });
        if is_answered
            && let Some(loaded) = &loaded
            && let Some(foreign) = self.loaded.get(loaded).copied()
        {
            return self.has_loaded(who, foreign);
        }
        let found = if is_library {
            // What is known of its content goes by its size and time.
            self.walk.walk(place, follow)
        } else {
            self.walk.glance(place, follow)
        };
        self.note_links(who, &found);
        self.seen(who, &found, true);
        if let Some(loaded) = loaded
            && let Some(kind) = found.kind
            && kind.is(libc::S_IFREG)
        {
            let foreign = self.library(who, &found.path, kind);
            self.has_loaded(who, foreign);
            self.loaded.insert(loaded, foreign);
        }
        if found.kind.is_some() {
            self.answered.add(who.scope, ask, place);
        }
    }

    fn has_loaded(&mut self, who: Who, foreign: bool) {
        if foreign && let Some(process) = self.processes.get(who.thread) {
            process.foreign = true;
        }
    }

    /// A library was opened: perhaps loaded, and then what it can read the process can read. Whether it
    /// is code of neither the system nor the trusted.
    fn library(&mut self, who: Who, path: &[u8], kind: Kind) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        // The C library has `environ` for others.
        if name.starts_with(b"libc.so") || name.starts_with(b"libc-") || name.starts_with(b"ld-") {
            return false;
        }
        let ours = name.starts_with(crate::preload::NAME.as_bytes());
        if ours || is_under(path, &self.record(who.scope).trusted) {
            return false;
        }
        let Some(program) = self
            .processes
            .get(who.thread)
            .map(|process| process.program.clone())
        else {
            return false;
        };
        let facts = self.processes.library(path, kind);
        if !facts.elf {
            return false;
        }
        let record = self.record(who.scope);
        if facts.environ {
            record.doubt(&program, EnvDoubt::Environ(to_path(path)));
        }
        for name in &facts.names {
            record.name(name.as_bytes());
        }
        let system: [&[u8]; 3] = [b"/lib/", b"/usr/lib/", b"/usr/lib64/"];
        !system.iter().any(|place| path.starts_with(place))
    }

    fn open_to_write(&mut self, who: Who, place: &[u8], flags: i32) {
        // What is written over may be another library now.
        self.loaded.clear();
        let creates = flags & libc::O_CREAT != 0;
        let exclusive = creates && flags & libc::O_EXCL != 0;
        let truncates = flags & libc::O_TRUNC != 0;
        let reads = flags & libc::O_ACCMODE != libc::O_WRONLY;
        let follow = flags & libc::O_NOFOLLOW == 0 && !exclusive;
        let found = self.follow(who, place, follow);
        let regular = found.kind.is_some_and(|kind| kind.is(libc::S_IFREG));
        if found.special || (found.kind.is_some() && (!regular || exclusive)) {
            return self.seen(who, &found, !exclusive);
        }
        if regular {
            if !truncates {
                self.record(who.scope).note(&found.path, Seen::READ);
            }
            if may_write(&found.path) {
                self.record(who.scope).wrote(&found.path, true);
            }
            return;
        }
        // A name that must be new says nothing of what was there: names of temporary files.
        if !creates || (reads && !truncates && !exclusive) {
            self.record(who.scope).note(&found.path, Seen::MISSING);
        }
        if creates && may_write(above(&found.path)) {
            self.record(who.scope).wrote(&found.path, true);
        }
    }

    pub(super) fn change(&mut self, who: Who, place: &[u8], act: Act) {
        let found = self.follow(who, place, act == Act::Change);
        if found.special {
            return self.special(who, &found.path, true);
        }
        let there = found.kind.is_some();
        let may = may_write(above(&found.path));
        match act {
            Act::Make | Act::Symlink if there => {
                self.record(who.scope).note(&found.path, Seen::THERE);
            }
            Act::Make if may => {
                self.record(who.scope).wrote(&found.path, true);
                self.record(who.scope).made(&found.path);
                self.forget();
            }
            Act::Symlink if may => {
                self.record(who.scope).wrote(&found.path, true);
                self.forget();
            }
            Act::Remove if there && may => {
                self.record(who.scope).wrote(&found.path, true);
                if found.kind.is_some_and(|kind| kind.is(libc::S_IFDIR)) {
                    self.record(who.scope).made(&found.path);
                }
                self.forget_for(found.kind);
            }
            Act::Change if there => self.record(who.scope).wrote(&found.path, false),
            Act::Change => self.record(who.scope).note(&found.path, Seen::MISSING),
            _ => {}
        }
    }

    pub(super) fn move_to(&mut self, who: Who, from: &[u8], to: &[u8], act: Act) {
        let from = self.follow(who, from, false);
        let to = self.follow(who, to, false);
        let Some(kind) = from.kind else {
            return self.record(who.scope).note(&from.path, Seen::MISSING);
        };
        self.seen(who, &from, true);
        let renames = matches!(act, Act::Rename(..));
        if !may_write(above(&to.path)) || (to.kind.is_some() && !renames) {
            return;
        }
        let record = self.record(who.scope);
        record.wrote(&to.path, true);
        if renames {
            record.wrote(&from.path, true);
        }
        if renames && kind.is(libc::S_IFDIR) {
            record.made(&to.path);
            record.made(&from.path);
        }
        self.forget_for([kind].into_iter().chain(to.kind));
    }

    /// What was of these kinds has changed. Where they were files, paths lead where they led: compilers
    /// remove a temporary one at each run.
    fn forget_for(&mut self, kinds: impl IntoIterator<Item = Kind>) {
        if kinds.into_iter().all(|kind| kind.is(libc::S_IFREG)) {
            self.forget_answers();
        } else {
            self.forget();
        }
    }

    /// Directories or links have changed.
    fn forget(&mut self) {
        self.walk.forget();
        self.forget_answers();
    }

    pub(super) fn forget_answers(&mut self) {
        self.answered.clear();
        self.walk.forget_glances();
        self.loaded.clear();
        self.started.clear();
    }
}

fn may_write(path: &[u8]) -> bool {
    text(path).is_some_and(|path| sys::may(&path, libc::W_OK))
}

fn above(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        None | Some(0) => b"/",
        Some(cut) => &path[..cut],
    }
}
