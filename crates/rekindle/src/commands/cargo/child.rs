//! cargo's process: signals, exit code, standard output.
//!
//! cargo runs in our process group, so a terminal's Ctrl-C reaches it and us alike; we note it and
//! wait for cargo's end. What is sent to us alone (`kill`, `docker stop`) is handed on.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::Flag;
use super::messages::{self, Reading};
use crate::error::CommandError;

/// How cargo ended.
pub(super) struct Ended {
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub(super) code: u8,
    /// How long it ran.
    pub(super) wall_ms: u64,
    /// Units that it found fresh, where its output was read.
    pub(super) fresh: Option<u64>,
    /// Whether a signal asked for an end.
    pub(super) interrupted: bool,
}

/// Runs cargo to its end.
pub(super) fn run(command: &mut Command, reading: Reading) -> Result<Ended, CommandError> {
    let watched = Watched::start();
    if reading != Reading::Nothing {
        command.stdout(Stdio::piped());
    }
    let began = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        let program = command.get_program().display();
        CommandError::environment(format!("`{program}` could not be run: {error}"))
            .hint("install cargo, or set CARGO to its path")
    })?;
    let forwarding = watched.forward_to(child.id());
    let ended = Flag::default();
    let reader = child.stdout.take().map(|stdout| {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || messages::pass_on(stdout, reading, &ended))
    });
    let status = child.wait();
    ended.store(true, Ordering::SeqCst);
    let wall = began.elapsed();
    let fresh = reader.and_then(|reader| reader.join().ok());
    let interrupted = forwarding.stop();
    let status = status.map_err(|error| {
        CommandError::environment(format!("the end of cargo could not be awaited: {error}"))
    })?;
    Ok(Ended {
        code: exit_code(status),
        wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        fresh,
        interrupted,
    })
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    // The kernel keeps no more than these bits.
    u8::try_from(code & 0xff).unwrap_or(1)
}

/// Signals that would end us before cargo's end is known.
struct Watched {
    signals: Option<Signals>,
    /// Once set, signals end the process again as they do by default.
    over: Flag,
}

impl Watched {
    /// Begins to catch signals; before cargo starts, so that none is missed. Those that are ignored
    /// stay ignored: `nohup` is meant for cargo too, and a caught signal would end it.
    fn start() -> Self {
        let ignored = ignored_signals();
        let caught = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
            .into_iter()
            .filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let over = Flag::default();
        for signal in caught.clone() {
            let over = Arc::clone(&over);
            // It fails for signals that cannot be caught, and these can.
            let _ = signal_hook::flag::register_conditional_default(signal, over);
        }
        Self {
            signals: Signals::new(caught).ok(),
            over,
        }
    }

    fn forward_to(self, pid: u32) -> Forwarding {
        let received = Arc::new(AtomicBool::new(false));
        let handle = self.signals.map(|mut signals| {
            let handle = signals.handle();
            let received = Arc::clone(&received);
            std::thread::spawn(move || {
                for signal in signals.forever() {
                    received.store(true, Ordering::SeqCst);
                    forward(pid, signal);
                }
            });
            handle
        });
        Forwarding {
            handle,
            received,
            over: self.over,
        }
    }
}

/// Hands on what is usually sent to one process. The terminal's own signals have reached cargo, and
/// a second one would look like a person who insists.
fn forward(pid: u32, signal: i32) {
    let signal = match signal {
        SIGTERM => Signal::TERM,
        SIGHUP => Signal::HUP,
        _ => return,
    };
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

struct Forwarding {
    handle: Option<Handle>,
    received: Flag,
    over: Flag,
}

impl Forwarding {
    /// Ends it; says whether any signal came.
    fn stop(self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        if let Some(handle) = self.handle {
            handle.close();
        }
        self.received.load(Ordering::SeqCst)
    }
}

/// The signals that this process ignores, as a mask; nothing else tells without `unsafe`.
fn ignored_signals() -> u64 {
    ignored_in(rekindle_fsx::read_to_string("/proc/self/status".as_ref()))
}

fn ignored_in(status: io::Result<String>) -> u64 {
    let status = status.unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n".to_owned();
        assert_eq!(ignored_in(Ok(status)), 0x1001);
        assert_eq!(ignored_in(Err(io::Error::other("gone"))), 0);
    }

    #[test]
    fn exit_codes_pass_and_signals_are_above_128() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(2)), 130);
    }
}
