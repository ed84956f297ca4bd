//! The listener: stopped calls are taken from it and answered.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A stopped call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    id: u64,
    /// The thread, as this process numbers it.
    pub(super) thread: i32,
    pub(super) number: i32,
    /// Where the code is that makes it.
    pub(super) address: u64,
    pub(super) arguments: [u64; 6],
}

impl Call {
    /// An argument that is a C `int`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel reads the low half too"
    )]
    pub(super) const fn int(&self, index: usize) -> i32 {
        self.arguments[index] as i32
    }
}

/// What there is to do.
pub(super) enum Next {
    Call(Call),
    /// No process is left.
    Over,
    /// The time is over, or the other descriptor is ready.
    Nothing,
}

/// The listener.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

const SYNC_WAKE_UP: u64 = 1;

impl Listener {
    /// Takes over a listener.
    pub(super) fn new(fd: OwnedFd) -> Self {
        // From Linux 6.6: the stopped thread and this one take turns on one processor, which is what
        // they do anyway. Where it is not known nothing is lost.
        // SAFETY: the argument is a number.
        unsafe {
            libc::ioctl(
                fd.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                SYNC_WAKE_UP,
            )
        };
        Self(fd)
    }

    /// Its number.
    pub(super) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Waits for the next call, for `wait_ms` at most (for ever where it is negative), or until
    /// `also` is ready.
    pub(super) fn next(&self, also: Option<i32>, wait_ms: i32) -> Next {
        next(self.raw(), also, wait_ms)
    }

    /// Lets the call happen. Whether the thread still waited: only then was what has been read of
    /// its process its own.
    pub(super) fn go_on(&self, call: &Call) -> bool {
        answer(self.raw(), call, Answer::GoOn)
    }

    /// Answers in the place of the kernel.
    pub(super) fn reply(&self, call: &Call, value: i64) {
        answer(self.raw(), call, Answer::Value(value));
    }

    /// Gives the process a descriptor of its own of a file; it ends with the program that runs.
    /// Its number.
    pub(super) fn give(&self, call: &Call, file: i32) -> Option<i32> {
        #[expect(clippy::cast_sign_loss, reason = "descriptors and flags are positive")]
        let mut given = libc::seccomp_notif_addfd {
            id: call.id,
            flags: 0,
            srcfd: file as u32,
            newfd: 0,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        // SAFETY: the structure is the one that this call reads.
        let fd =
            unsafe { libc::ioctl(self.raw(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut given) };
        (fd >= 0).then_some(fd)
    }

    /// Fails the call.
    pub(super) fn fail(&self, call: &Call, errno: i32) {
        answer(self.raw(), call, Answer::Error(errno));
    }
}

enum Answer {
    GoOn,
    Value(i64),
    Error(i32),
}

fn next(listener: i32, also: Option<i32>, wait_ms: i32) -> Next {
    let mut polled = [
        libc::pollfd {
            fd: listener,
            events: libc::POLLIN,
            revents: 0,
        },
        libc::pollfd {
            fd: also.unwrap_or(-1),
            events: libc::POLLIN,
            revents: 0,
        },
    ];
    // SAFETY: two structures, as told.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), 2, wait_ms) };
    if ready <= 0 {
        return Next::Nothing;
    }
    if polled[0].revents & libc::POLLIN == 0 {
        return if polled[0].revents != 0 {
            Next::Over
        } else {
            Next::Nothing
        };
    }
    // SAFETY: plain data, which the kernel demands to be zero.
    let mut taken: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is the one that this call fills.
    let done = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut taken) };
    if done != 0 {
        // The thread was killed between the two calls.
        return Next::Nothing;
    }
    #[expect(clippy::cast_possible_wrap, reason = "a process number")]
    Next::Call(Call {
        id: taken.id,
        thread: taken.pid as i32,
        number: taken.data.nr,
        address: taken.data.instruction_pointer,
        arguments: taken.data.args,
    })
}

fn answer(listener: i32, call: &Call, answer: Answer) -> bool {
    let (val, error, flags) = match answer {
        Answer::GoOn => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
        Answer::Value(value) => (value, 0, 0),
        Answer::Error(errno) => (0, -errno, 0),
    };
    #[expect(clippy::cast_possible_truncation, reason = "one bit")]
    let mut response = libc::seccomp_notif_resp {
        id: call.id,
        val,
        error,
        flags: flags as u32,
    };
    // SAFETY: the structure is the one that this call reads.
    let sent = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    sent == 0
}

/// Goes on letting processes do what they do, after the observation is over, in a process of its
/// own: without anybody at the listener every stopped call of theirs would fail. It ends with the
/// last of them.
pub(super) fn leave_to_another(listener: &Listener) -> io::Result<()> {
    // SAFETY: the child only makes system calls until it ends; it allocates nothing.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: as above; a second fork leaves the grandchild to init, which reaps it.
            unsafe {
                libc::setsid();
                if libc::fork() == 0 {
                    serve(listener.raw());
                }
                libc::_exit(0)
            }
        }
        child => {
            // SAFETY: waits for the child, which ends at once.
            while unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) } == -1
                && io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
            {}
            Ok(())
        }
    }
}

fn serve(listener: i32) -> ! {
    const KEPT: i32 = 0;
    // SAFETY: only system calls. Nothing of the starting process may be held open: whoever reads its
    // streams waits for their end.
    unsafe {
        libc::dup2(listener, KEPT);
        libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0);
        libc::prctl(libc::PR_SET_NAME, c"rekindle-serve".as_ptr());
    }
    loop {
        match next(KEPT, None, -1) {
            Next::Call(call) => {
                answer(KEPT, &call, Answer::GoOn);
            }
            Next::Over => {
                // SAFETY: ends this process, without the destructors of the one it was forked from.
                unsafe { libc::_exit(0) }
            }
            Next::Nothing => {}
        }
    }
}
