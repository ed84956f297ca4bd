//! Counting fresh units in cargo's messages.
//!
//! Fresh units never reach a wrapper; only cargo's JSON messages tell them. With
//! `--message-format=json-render-diagnostics` cargo writes messages to standard output and everything
//! for people to standard error, as without it but for how often the progress bar is redrawn (tried
//! on a terminal and in a file, with warnings and errors, `-q`, `-v` and `--color`). So for commands that print nothing else on
//! standard output we ask for messages, keep them, and pass on what is not one.
//!
//! Not done where it would show: `run`, `test` and `bench` hand standard output to a program (and
//! `--no-run` prints fewer lines with messages); with `-vv` build scripts print there, and their
//! lines would change places with those on standard error; help goes through a pager.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ChildStdout;
use std::sync::atomic::{AtomicBool, Ordering};

use rekindle::cargo_config::CargoConfig;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use crate::invocation::CargoLine;

/// What is read of cargo's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing: cargo inherits ours.
    Nothing,
    /// Messages that we asked for: they stay here.
    Ours,
    /// Messages that the user asked for: every byte is passed on.
    Theirs,
}

const ASK: &str = "--message-format=json-render-diagnostics";

/// Decides what can be read without a visible difference.
pub(super) fn reading(line: &CargoLine, config: &CargoConfig<'_>) -> Reading {
    let Some(command) = line.command.as_deref() else {
        return Reading::Nothing;
    };
    let builds = match command {
        "build" | "check" | "clippy" | "rustc" => true,
        // The user may have given the short names a meaning of their own.
        "b" | "c" => !config.has_alias(command),
        _ => false,
    };
    let only_builds = line.no_run && matches!(command, "test" | "bench");
    if line.informs || line.prints {
        return Reading::Nothing;
    }
    match line.message_format.as_deref() {
        Some(format) if format.starts_with("json") && (builds || only_builds) => Reading::Theirs,
        None if builds && line.verbose < 2 => Reading::Ours,
        _ => Reading::Nothing,
    }
}

/// cargo's arguments, with ours among them where messages are asked for.
pub(super) fn arguments(line: &CargoLine, reading: Reading) -> Vec<OsString> {
    let mut arguments = line.arguments.clone();
    if reading == Reading::Ours {
        arguments.insert(line.insert_at, ASK.into());
    }
    arguments
}

/// How long a silent pipe is listened to once cargo has ended: a process that it left behind may
/// hold the other end for ever.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

const PIECE_BYTES: usize = 64 * 1024;

/// Reads to the end, passes on what is not ours to keep, and counts fresh units.
pub(super) fn pass_on(mut stdout: ChildStdout, reading: Reading, ended: &AtomicBool) -> u64 {
    let out = io::stdout();
    // cargo redraws its progress bar below a line that it prints; ours come later than that.
    let clear = out.is_terminal() && io::stderr().is_terminal();
    let mut sorter = Sorter::new(reading, clear);
    let mut piece = vec![0; PIECE_BYTES];
    while wait(&stdout, ended) {
        let read = match stdout.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let passed = sorter.take(&piece[..read]);
        if write(&out, &passed).is_err() && reading == Reading::Theirs {
            // Nobody reads any more: cargo gets to know it as it would without us.
            return sorter.fresh;
        }
    }
    let _ = write(&out, &sorter.rest());
    sorter.fresh
}

fn write(mut out: &io::Stdout, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    out.write_all(bytes)?;
    out.flush()
}

/// Waits for something to read; false where nothing will come.
fn wait(stdout: &ChildStdout, ended: &AtomicBool) -> bool {
    loop {
        let was_ended = ended.load(Ordering::SeqCst);
        let mut fds = [PollFd::new(stdout, PollFlags::IN)];
        match poll(&mut fds, Some(&PATIENCE)) {
            Ok(0) if was_ended => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// Cuts the stream into lines and sorts them.
struct Sorter {
    reading: Reading,
    clear: bool,
    /// A line whose end has not come yet.
    begun: Vec<u8>,
    fresh: u64,
}

/// To the line's begin, and erase to its end.
const CLEAR: &[u8] = b"\r\x1b[K";

impl Sorter {
    fn new(reading: Reading, clear: bool) -> Self {
        Self {
            reading,
            clear,
            begun: Vec::new(),
            fresh: 0,
        }
    }

    /// Takes some bytes; gives those to pass on.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        if self.reading == Reading::Theirs {
            passed.extend_from_slice(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                self.sort(&line, &mut passed);
            }
        }
        passed
    }

    /// What is left at the end.
    fn rest(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.begun);
        let mut passed = Vec::new();
        if !line.is_empty() {
            self.sort(&line, &mut passed);
        }
        passed
    }

    fn sort(&mut self, line: &[u8], passed: &mut Vec<u8>) {
        if let Some(message) = Message::parse(line) {
            let artifact = message.reason == "compiler-artifact";
            self.fresh += u64::from(artifact && message.fresh == Some(true));
        } else if self.reading == Reading::Ours {
            if self.clear {
                passed.extend_from_slice(CLEAR);
            }
            passed.extend_from_slice(line);
        }
    }
}

/// One of cargo's messages, as far as it matters.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    reason: std::borrow::Cow<'a, str>,
    fresh: Option<bool>,
}

impl<'a> Message<'a> {
    /// cargo writes the reason first; what a compiler plug-in prints hardly does.
    fn parse(line: &'a [u8]) -> Option<Self> {
        if !line.starts_with(b"{\"reason\":\"") {
            return None;
        }
        serde_json::from_slice(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use rekindle::Surroundings;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn decided(line: &str) -> Reading {
        let surroundings = Surroundings {
            cwd: "/nowhere".into(),
            ..Surroundings::default()
        };
        let config = CargoConfig::read(&surroundings, "/nowhere".as_ref(), &["alias.c='x'".into()]);
        reading(&CargoLine::parse(&words(line)), &config)
    }

    #[test]
    fn messages_are_asked_for_only_where_nobody_sees_it() {
        for (line, expected) in [
            ("build", Reading::Ours),
            ("b -v", Reading::Ours),
            ("c", Reading::Nothing),
            ("clippy -- -D warnings", Reading::Ours),
            ("rustc --lib -- --print cfg", Reading::Nothing),
            ("build -vv", Reading::Nothing),
            ("build --help", Reading::Nothing),
            ("build --unit-graph", Reading::Nothing),
            ("build --message-format short", Reading::Nothing),
            ("build --message-format=json -vv", Reading::Theirs),
            ("test", Reading::Nothing),
            ("test --no-run", Reading::Nothing),
            ("test --no-run --message-format json", Reading::Theirs),
            ("run --message-format json", Reading::Nothing),
            ("metadata", Reading::Nothing),
        ] {
            assert_eq!(decided(line), expected, "{line}");
        }
    }

    #[test]
    fn the_option_goes_before_what_is_not_cargos() {
        let line = CargoLine::parse(&words("clippy --all -- -D warnings"));
        let arguments = arguments(&line, Reading::Ours);
        assert_eq!(
            arguments,
            words(&format!("clippy --all {ASK} -- -D warnings"))
        );
    }

    const STREAM: &[u8] = b"{\"reason\":\"compiler-artifact\",\"fresh\":true,\"x\":[]}\n\
        hello\n{\"reason\":\"compiler-artifact\",\"fresh\":false}\n{\"reason\":1}\n\
        {\"reason\":\"build-finished\",\"success\":true}\nno end";

    #[test]
    fn messages_stay_and_the_rest_passes_however_it_is_cut() {
        for size in [1, 7, 4096] {
            let mut ours = Sorter::new(Reading::Ours, false);
            let mut theirs = Sorter::new(Reading::Theirs, false);
            let (mut kept, mut all) = (Vec::new(), Vec::new());
            for piece in STREAM.chunks(size) {
                kept.extend(ours.take(piece));
                all.extend(theirs.take(piece));
            }
            kept.extend(ours.rest());
            all.extend(theirs.rest());
            assert_eq!(kept, b"hello\n{\"reason\":1}\nno end");
            assert_eq!(all, STREAM);
            assert_eq!((ours.fresh, theirs.fresh), (1, 1));
        }
    }
}
