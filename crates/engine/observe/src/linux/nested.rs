//! An observer inside of an observed tree: the kernel allows one listener, so the outer one keeps a
//! part of its observation apart.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use super::start::{pair, say};
use crate::options::Bytes;
use crate::{Blind, Observation, Options, protocol};

pub(crate) use super::start::is_observed;

/// A part under way; its number, if the outer observer gave one.
#[derive(Debug)]
pub(crate) struct Part(Option<u64>);

/// Starts a program.
pub(crate) fn start(command: &mut Command, options: &Options) -> io::Result<(Child, Part)> {
    let (here, there) = pair()?;
    let encoded = postcard::to_stdvec(&Bytes::from(options)).unwrap_or_default();
    let end = there.as_raw_fd();
    // SAFETY: a name. The preload library has a function of it, which takes and gives nothing.
    let aloud: Option<extern "C" fn()> = unsafe {
        std::mem::transmute(libc::dlsym(
            libc::RTLD_DEFAULT,
            c"rekindle_observe_aloud".as_ptr(),
        ))
    };
    // SAFETY: between fork and exec, only system calls; all memory was allocated before.
    unsafe {
        command.pre_exec(move || {
            // What it writes down counts for this process, and not for the part that begins.
            if let Some(aloud) = aloud {
                aloud();
            }
            let number = say(
                protocol::BEGIN,
                encoded.as_ptr() as u64,
                encoded.len() as u64,
            );
            let number = number.to_ne_bytes();
            libc::send(
                end,
                number.as_ptr().cast(),
                number.len(),
                libc::MSG_NOSIGNAL,
            );
            Ok(())
        });
    }
    let child = command.spawn();
    drop(there);
    let child = child?;
    let mut number = [0; 8];
    // SAFETY: eight bytes.
    let read = unsafe { libc::recv(here.as_raw_fd(), number.as_mut_ptr().cast(), 8, 0) };
    let number = (read == 8).then(|| i64::from_ne_bytes(number));
    let number = number.and_then(|number| u64::try_from(number).ok());
    Ok((child, Part(number.filter(|number| *number > 0))))
}

impl Part {
    /// The program has ended and was waited for: gives what was seen.
    pub(crate) fn finish(self) -> Observation {
        self.fetch().unwrap_or_else(|| {
            let mut nothing = Observation::default();
            let why = "the outer observer did not answer".to_owned();
            nothing.blind.insert(Blind::Failed(why));
            nothing
        })
    }

    fn fetch(self) -> Option<Observation> {
        let number = self.0?;
        let length = usize::try_from(say(protocol::END, number, 0)).ok()?;
        let mut encoded = vec![0_u8; length];
        let got = say(protocol::FETCH, number, encoded.as_mut_ptr() as u64);
        (usize::try_from(got).ok()? == length)
            .then(|| postcard::from_bytes(&encoded).ok())
            .flatten()
    }
}

/// Adds to what the outer observer has seen of this process.
pub(crate) fn add(seen: &Observation) -> bool {
    let encoded = postcard::to_stdvec(seen).unwrap_or_default();
    say(protocol::ADD, encoded.as_ptr() as u64, encoded.len() as u64) > 0
}
