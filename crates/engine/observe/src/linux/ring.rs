//! The supervisor's side of the ring: what the preload library has written down is taken before each
//! stopped call is looked into, so that all is seen in its order. See [`crate::ring`].

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};

use super::supervise::{Supervisor, Who, record_in};
use crate::kinds;
use crate::ring::{self as layout, SLOT_COUNT};

/// More processes than this are stopped for all that they read.
const MOST_WRITERS: usize = 1 << 20;

/// The memory, as the supervisor has it.
#[derive(Debug)]
pub(super) struct Ring {
    file: OwnedFd,
    at: *mut u8,
    done: u64,
}

/// What was written down.
#[derive(Debug, Default)]
struct Line {
    process: u32,
    kind: u16,
    path: Vec<u8>,
    /// The kernel said that nothing is there.
    missing: bool,
}

impl Ring {
    /// An empty ring.
    pub(super) fn new() -> io::Result<Self> {
        let file = memory()?;
        // SAFETY: a new mapping, anywhere; it ends with this value.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                layout::SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                layout::START as libc::off_t,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let ring = Self {
            file,
            at: at.cast(),
            done: 0,
        };
        for count in 0..SLOT_COUNT {
            ring.word(slot(count)).store(layout::free(count), SeqCst);
        }
        Ok(ring)
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: offsets are inside of the mapping and aligned, and all who share it use atomics.
        unsafe { AtomicU64::from_ptr(self.at.add(offset).cast()) }
    }

    /// Takes the next line; whether there was one.
    fn next(&mut self, line: &mut Line) -> bool {
        let taken = self.word(layout::TAKEN).load(SeqCst);
        while self.done < taken {
            let count = self.done;
            let state = self.word(slot(count));
            let cancelled = state.compare_exchange(
                layout::free(count),
                layout::cancelled(count),
                SeqCst,
                SeqCst,
            );
            let mut is_there = false;
            match cancelled {
                Err(there) if there == layout::written(count) => {
                    self.read(count, line);
                    is_there = true;
                    state.store(layout::free(count + SLOT_COUNT), SeqCst);
                }
                Err(layout::RELEASED) => state.store(layout::free(count + SLOT_COUNT), SeqCst),
                // Just cancelled, or not released since.
                _ => {}
            }
            self.done += 1;
            self.word(layout::DONE).store(self.done, SeqCst);
            if is_there {
                return true;
            }
        }
        false
    }

    fn read(&self, count: u64, line: &mut Line) {
        let slot = slot(count);
        // SAFETY: as in `word`.
        let (process, kind, length) = unsafe {
            let at = self.at.add(slot);
            (
                AtomicU32::from_ptr(at.add(layout::PROCESS).cast()).load(SeqCst),
                AtomicU16::from_ptr(at.add(layout::KIND).cast()).load(SeqCst),
                AtomicU16::from_ptr(at.add(layout::LENGTH).cast()).load(SeqCst),
            )
        };
        let length = usize::from(length);
        // Somebody has written over the ring.
        let (kind, length) = if length > layout::LONGEST {
            (0, 0)
        } else {
            (kind, length)
        };
        let words = length.div_ceil(8);
        line.path.clear();
        line.path.reserve(8 * words);
        for index in 0..words {
            let word = self.word(slot + layout::PATH + 8 * index);
            let word = word.load(std::sync::atomic::Ordering::Relaxed);
            line.path.extend_from_slice(&word.to_ne_bytes());
        }
        line.path.truncate(length);
        let outcome = self.word(slot + layout::OUTCOME).load(SeqCst);
        line.missing = outcome == layout::missing(count);
        line.process = process;
        line.kind = kind;
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; nobody has a reference into it.
        unsafe { libc::munmap(self.at.cast(), layout::SIZE) };
    }
}

fn slot(count: u64) -> usize {
    let index = (count % SLOT_COUNT) as usize;
    layout::SLOTS + index * layout::SLOT_SIZE
}

/// The file: with the code, and of a size that nobody can change.
fn memory() -> io::Result<OwnedFd> {
    let check = |result: i64| {
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(result)
        }
    };
    // SAFETY: a string and numbers; the descriptor is owned by nobody else.
    let file = unsafe {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        let exec = flags | libc::MFD_EXEC;
        // Before Linux 6.3 that flag is not known, and needed by nobody.
        let fd = match libc::memfd_create(c"rekindle-ring".as_ptr(), exec) {
            -1 => libc::memfd_create(c"rekindle-ring".as_ptr(), flags),
            fd => fd,
        };
        check(fd.into())?;
        OwnedFd::from_raw_fd(fd)
    };
    let fd = file.as_raw_fd();
    let (code, _) = layout::CODE_BYTES;
    let size = (layout::START + layout::SIZE) as libc::off_t;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a buffer of the length that is told.
    unsafe {
        check(libc::ftruncate(fd, size).into())?;
        check(libc::pwrite(fd, code.as_ptr().cast(), code.len(), 0) as i64)?;
        check(libc::fcntl(fd, libc::F_ADD_SEALS, seals).into())?;
    }
    Ok(file)
}

impl Supervisor {
    /// A process wants to write down what it reads. Its number and a descriptor, or nothing.
    pub(super) fn lend_ring(&mut self, call: &super::listener::Call, who: Who) -> i64 {
        let Some(process) = self.processes.owner_of(who.thread) else {
            return -1;
        };
        let Some(ring) = &self.ring else { return -1 };
        let number = self.writers.len();
        if number >= MOST_WRITERS {
            return -1;
        }
        let Some(fd) = self.listener.give(call, ring.file.as_raw_fd()) else {
            return -1;
        };
        let program = self.program(who);
        // What it writes is looked at later, perhaps after the thread's end.
        self.writers.push(Who {
            thread: process,
            late: true,
            compiles: kinds::compiles(&program),
            ..who
        });
        // There it depends on the code that asks whether a variable is noted.
        let is_trusted = self.is_below_trusted(who, program.as_os_str().as_bytes());
        let aloud = if is_trusted { layout::ALOUD } else { 0 };
        u32::try_from(number).map_or(-1, |number| i64::from(number | aloud) << 32 | i64::from(fd))
    }

    /// Takes all that has been written down. Whether there was something.
    pub(super) fn drain(&mut self) -> bool {
        let mut some = false;
        let mut line = Line::default();
        while self.ring.as_mut().is_some_and(|ring| ring.next(&mut line)) {
            some = true;
            self.effort.written += 1;
            let who = usize::try_from(line.process).ok();
            let Some(who) = who.and_then(|index| self.writers.get(index)).copied() else {
                let why = "a process that nobody knows".to_owned();
                self.record(0).blind(crate::Blind::Failed(why));
                continue;
            };
            if who.silent {
                continue;
            }
            if line.missing
                && line.kind != layout::REAL
                && let Some(path) = self.walk.still_missing(&line.path)
            {
                let record = record_in(&mut self.records, who.scope);
                record.note(path, crate::Seen::MISSING);
                continue;
            }
            match line.kind {
                layout::OPEN => self.read(who, &line.path, true),
                layout::OPEN_LINK => self.read(who, &line.path, false),
                layout::LOOK => self.look(who, &line.path, true),
                layout::LOOK_LINK => self.look(who, &line.path, false),
                layout::REAL => self.real(who, &line.path),
                layout::VARIABLE if who.compiles && kinds::is_of_surroundings(&line.path) => {}
                layout::VARIABLE => self.record(who.scope).name(&line.path),
                _ => {
                    let why = "a call that nobody knows".to_owned();
                    self.record(who.scope).blind(crate::Blind::Failed(why));
                }
            }
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next line.
    fn next(ring: &mut Ring) -> Option<Line> {
        let mut line = Line::default();
        ring.next(&mut line).then_some(line)
    }

    /// What a process does: takes a slot.
    fn take(ring: &Ring) -> u64 {
        ring.word(layout::TAKEN).fetch_add(1, SeqCst)
    }

    /// Writes to it and says so; whether it was not cancelled meanwhile.
    fn write(ring: &Ring, count: u64) -> bool {
        let state = ring.word(slot(count));
        if state.load(SeqCst) != layout::free(count) {
            return false;
        }
        // SAFETY: inside of the slot.
        unsafe {
            let at = ring.at.add(slot(count));
            AtomicU32::from_ptr(at.add(layout::PROCESS).cast()).store(7, SeqCst);
            AtomicU16::from_ptr(at.add(layout::KIND).cast()).store(layout::OPEN, SeqCst);
            AtomicU16::from_ptr(at.add(layout::LENGTH).cast()).store(2, SeqCst);
            at.add(layout::PATH).cast::<[u8; 2]>().write(*b"/a");
        }
        let (free, written) = (layout::free(count), layout::written(count));
        state
            .compare_exchange(free, written, SeqCst, SeqCst)
            .is_ok()
    }

    /// Says that nothing was there.
    fn end(ring: &Ring, count: u64) {
        let outcome = ring.word(slot(count) + layout::OUTCOME);
        outcome.store(layout::missing(count), SeqCst);
    }

    #[test]
    fn an_outcome_is_that_of_its_own_line() {
        let mut ring = Ring::new().expect("memory");
        let first = take(&ring);
        assert!(write(&ring, first));
        end(&ring, first);
        assert!(next(&mut ring).expect("a line").missing);
        for _ in 1..SLOT_COUNT {
            let count = take(&ring);
            assert!(write(&ring, count));
            assert!(!next(&mut ring).expect("a line").missing);
        }
        // The same slot: what is said late is said of the line before.
        let again = take(&ring);
        assert!(write(&ring, again));
        end(&ring, first);
        assert!(!next(&mut ring).expect("a line").missing);
    }

    fn release(ring: &Ring, count: u64) {
        let state = ring.word(slot(count));
        state
            .compare_exchange(layout::cancelled(count), layout::RELEASED, SeqCst, SeqCst)
            .expect("was cancelled");
    }

    fn lines(ring: &mut Ring) -> usize {
        let lines = std::iter::from_fn(|| next(ring));
        lines
            .inspect(|line| assert_eq!((line.process, line.path.as_slice()), (7, &b"/a"[..])))
            .count()
    }

    #[test]
    fn lines_are_read_once() {
        let mut ring = Ring::new().expect("memory");
        for _ in 0..3 * SLOT_COUNT {
            let count = take(&ring);
            assert!(write(&ring, count));
            assert_eq!(lines(&mut ring), 1);
            assert_eq!(lines(&mut ring), 0);
        }
    }

    #[test]
    fn who_is_late_is_cancelled_and_holds_nobody_up() {
        let mut ring = Ring::new().expect("memory");
        let late = take(&ring);
        let other = take(&ring);
        assert!(write(&ring, other));
        assert_eq!(lines(&mut ring), 1);
        assert!(!write(&ring, late), "its call must be stopped");
        // Nobody gets its slot while it may still write there.
        let round = |ring: &mut Ring| {
            let mut good = 0;
            for _ in 0..SLOT_COUNT {
                let count = take(ring);
                good += u64::from(write(ring, count));
                lines(ring);
            }
            good
        };
        assert_eq!(round(&mut ring), SLOT_COUNT - 1);
        release(&ring, late);
        round(&mut ring);
        assert_eq!(round(&mut ring), SLOT_COUNT);
    }

    #[test]
    fn a_length_that_is_too_long_is_of_no_known_call() {
        let mut ring = Ring::new().expect("memory");
        let count = take(&ring);
        // SAFETY: inside of the slot.
        unsafe {
            let at = ring.at.add(slot(count));
            AtomicU16::from_ptr(at.add(layout::LENGTH).cast()).store(u16::MAX, SeqCst);
        }
        let state = ring.word(slot(count));
        state.store(layout::written(count), SeqCst);
        let line = next(&mut ring).expect("a line");
        assert_eq!((line.kind, line.path.len()), (0, 0));
    }
}
