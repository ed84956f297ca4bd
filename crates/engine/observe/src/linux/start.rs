//! Starting a program under the filter.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread::JoinHandle;

use super::filter;
use super::supervise::Supervisor;
use crate::{Blind, Effort, Observation, Options, protocol};

/// An observation under way.
#[derive(Debug)]
pub(crate) struct Session {
    supervisor: JoinHandle<(Observation, Effort)>,
    ended: OwnedFd,
}

impl Session {
    /// The program has ended and was waited for: gives what was seen.
    pub(crate) fn finish(self) -> (Observation, Effort) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight bytes.
        unsafe { libc::write(self.ended.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        self.supervisor.join().unwrap_or_else(|_| {
            let mut nothing = Observation::default();
            nothing.blind.insert(Blind::Failed("a panic".to_owned()));
            (nothing, Effort::default())
        })
    }
}

/// Whether this process may have a listener, as far as it can be told without making one.
pub(crate) fn available() -> Result<(), Blind> {
    const ACTION_AVAILABLE: libc::c_uint = 2;
    let action = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: reads a number.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, ACTION_AVAILABLE, 0, &raw const action) };
    if done == 0 {
        Ok(())
    } else {
        Err(Blind::Refused(
            io::Error::last_os_error().raw_os_error().unwrap_or(0),
        ))
    }
}

/// Starts a program.
pub(crate) fn start(command: &mut Command, options: &Options) -> io::Result<(Child, Session)> {
    let (here, there) = pair()?;
    // SAFETY: two numbers; the result is owned by nobody else.
    let ended = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if ended < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made.
    let ended = unsafe { OwnedFd::from_raw_fd(ended) };
    let program = filter::program();
    let end = there.as_raw_fd();
    // SAFETY: between fork and exec, only system calls; all memory was allocated before.
    unsafe {
        command.pre_exec(move || {
            match filter::install(&program) {
                Ok(listener) => {
                    send(end, 0, Some(listener));
                    libc::close(listener);
                }
                Err(error) => send(end, error.raw_os_error().unwrap_or(0), None),
            }
            Ok(())
        });
    }
    let options = options.clone();
    let told = ended.try_clone()?;
    // It must serve before the child's exec, for which `spawn` waits.
    let supervisor = std::thread::Builder::new()
        .name("observer".to_owned())
        .spawn(move || match receive(&here) {
            Ok(listener) => Supervisor::new(listener, &options).run(&told),
            Err(blind) => {
                let mut nothing = Observation::default();
                nothing.blind.insert(blind);
                (nothing, Effort::default())
            }
        })?;
    let child = command.spawn();
    drop(there);
    let child = child?;
    Ok((child, Session { supervisor, ended }))
}

/// Whether an observer of ours observes this process.
pub(crate) fn is_observed() -> bool {
    say(protocol::ASK, 0, 0) == i64::from(protocol::VERSION)
}

/// Says something to the observer of this process.
pub(super) fn say(what: i32, first: u64, second: u64) -> i64 {
    // SAFETY: where nobody listens the call fails, as no directory has this number; the pointers in
    // it are valid where there are some.
    unsafe { libc::syscall(libc::SYS_openat, what, first, second, 0) }
}

pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: two numbers, as told.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Room for a message with one file descriptor, aligned as the kernel wants it.
#[repr(align(8))]
struct Room([u8; 64]);

fn send(socket: i32, word: i32, fd: Option<i32>) {
    let mut word = word.to_ne_bytes();
    let mut room = Room([0; 64]);
    let mut part = libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: word.len(),
    };
    // SAFETY: plain data; the pointers live until the call is done, and the room holds one descriptor.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if let Some(fd) = fd {
            message.msg_control = room.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(4) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(fd);
        }
        libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL);
    }
}

fn receive(socket: &OwnedFd) -> Result<OwnedFd, Blind> {
    let mut word = [0; 4];
    let mut room = Room([0; 64]);
    let mut part = libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: word.len(),
    };
    // SAFETY: as in `send`; a descriptor that comes is owned by nobody else.
    let (read, fd) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.0.as_mut_ptr().cast();
        message.msg_controllen = room.0.len() as _;
        let read = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let fd = (read > 0 && !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS)
            .then(|| libc::CMSG_DATA(header).cast::<i32>().read_unaligned());
        (read, fd)
    };
    match (fd, i32::from_ne_bytes(word)) {
        // SAFETY: as above.
        (Some(fd), _) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        (None, libc::EBUSY) => Err(Blind::AnotherListener),
        (None, errno) if read > 0 => Err(Blind::Refused(errno)),
        (None, _) => Err(Blind::Failed("the program did not start".to_owned())),
    }
}
