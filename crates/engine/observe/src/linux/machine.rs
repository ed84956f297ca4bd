//! `uname`: which of the names that it gives are inputs, under the paths at which the kernel shows each.

use std::os::unix::ffi::OsStrExt;

use rekindle_fsx::MACHINE_NAMES;

use super::listener::Call;
use super::peer;
use super::supervise::{Supervisor, Who};
use crate::Contact;

/// How far up a `configure` script is looked for.
const MOST_ANCESTORS: usize = 8;

impl Supervisor {
    /// Notes what a process that calls `uname` may learn.
    pub(super) fn asks_machine(&mut self, call: &Call, who: Who) {
        if self.is_for_start(call, who) {
            return;
        }
        let program = self.program(who);
        let name = program.file_name().map(OsStrExt::as_bytes);
        let arguments = peer::arguments(who.thread).unwrap_or_default();
        let wanted = match name {
            Some(b"uname") => fields(arguments.get(1..).unwrap_or_default()),
            Some(b"hostname") if arguments.len() == 1 => vec!["hostname"],
            _ => MACHINE_NAMES.to_vec(),
        };
        let is_programs = matches!(name, Some(b"uname" | b"hostname"));
        for field in wanted {
            let is_for_log = is_programs && field == "hostname" && is_below_configure(who.thread);
            self.record(who.scope).contact(if is_for_log {
                Contact::HostName
            } else {
                Contact::Kernel(format!("/proc/sys/kernel/{field}").into())
            });
        }
    }

    /// Whether it is the loader, or the start of a static program, that asks whether the kernel is new
    /// enough for the C library: a question that nothing else of the process learns of.
    fn is_for_start(&mut self, call: &Call, who: Who) -> bool {
        let Some(process) = self.processes.get(who.thread) else {
            return false;
        };
        let is_first = !std::mem::replace(&mut process.asked, true);
        let facts = process.facts.clone();
        let Some(loader) = &facts.loader else {
            return is_first && facts.asks_at_start;
        };
        let loader = self.walk.walk(loader, true).path;
        peer::object(who.thread, call.address)
            .is_some_and(|object| object.as_os_str().as_bytes() == loader)
    }
}

/// The names that the program `uname` is asked for; all where a word is not known.
fn fields(words: &[Vec<u8>]) -> Vec<&'static str> {
    let mut wanted = Vec::new();
    for word in words {
        let Some(letters) = word
            .strip_prefix(b"-")
            .filter(|letters| !letters.is_empty())
        else {
            return MACHINE_NAMES.to_vec();
        };
        for letter in letters {
            wanted.push(match letter {
                b's' => "ostype",
                b'n' => "hostname",
                b'r' => "osrelease",
                b'v' => "version",
                b'm' | b'p' | b'i' => "arch",
                // It always says the same.
                b'o' => continue,
                _ => return MACHINE_NAMES.to_vec(),
            });
        }
    }
    if words.is_empty() {
        wanted.push("ostype");
    }
    wanted
}

/// Whether a shell above runs a script of autoconf's.
fn is_below_configure(thread: i32) -> bool {
    let is_script = |word: &Vec<u8>| {
        let name = word.rsplit(|byte| *byte == b'/').next();
        matches!(name, Some(b"configure" | b"config.status"))
    };
    let mut at = thread;
    for _ in 0..MOST_ANCESTORS {
        let Some(family) = peer::family(at) else {
            return false;
        };
        if family.parent <= 1 {
            return false;
        }
        at = family.parent;
        let arguments = peer::arguments(at).unwrap_or_default();
        if arguments.get(1).is_some_and(is_script) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_uname_say_what_is_asked_for() {
        let check = |words: &[&str], expected: &[&str]| {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(fields(&words), expected, "{words:?}");
        };
        check(&[], &["ostype"]);
        check(&["-m"], &["arch"]);
        check(&["-srv"], &["ostype", "osrelease", "version"]);
        check(&["-o"], &[]);
        check(&["-a"], MACHINE_NAMES);
        check(&["--machine"], MACHINE_NAMES);
        check(&["-m", "x"], MACHINE_NAMES);
    }
}
