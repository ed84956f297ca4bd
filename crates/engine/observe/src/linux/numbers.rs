//! Whose number it is: the kernel hands the numbers of processes that have ended out again.
//!
//! It does so in turn, so that a number is safe until the turn comes round to it. Then the time decides at which the
//! process began that has it now: another one began after the first was seen. To ask for that of each process when it is
//! seen would have the kernel make up a directory for each.

use std::ffi::CString;
use std::time::{Duration, Instant};

use super::sys::{self, Reader};

/// So many numbers may be handed out between two looks.
const MARGIN: u64 = 4096;
/// How long what was seen of the turn holds.
const FRESH: Duration = Duration::from_millis(20);
/// After so long without a look it may have come round any number of times.
const STALE: Duration = Duration::from_millis(100);
/// Where the turn goes on when all numbers have been handed out.
const LOWEST: u64 = 300;

/// Whose a number was when it was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    /// When it was seen first, in ticks of the kernel's clock.
    seen: u64,
    /// The turn at which the number may be another's.
    until: u64,
}

/// The kernel's turn.
#[derive(Debug)]
pub(super) struct Numbers {
    /// How many numbers there are; `None` where that or the turn is not told: then each look at a process is one at the kernel.
    most: Option<u64>,
    /// The number that was handed out last.
    last: u64,
    /// How many were handed out since the beginning.
    turn: u64,
    looked: Option<Instant>,
    /// What tells it, once it was looked at. Another file tells it too, which containers have of their own making.
    file: Option<Reader>,
}

impl Default for Numbers {
    fn default() -> Self {
        let most = Reader::open(c"/proc/sys/kernel/pid_max").ok();
        let most = most.as_ref().and_then(number);
        Self {
            most: most.filter(|most| *most > LOWEST),
            last: 0,
            turn: 0,
            looked: None,
            file: Reader::open(c"/proc/sys/kernel/ns_last_pid").ok(),
        }
    }
}

impl Numbers {
    /// Sees how far the turn has come. Called at each event.
    pub(super) fn look(&mut self) {
        if self.looked.is_none_or(|looked| looked.elapsed() >= FRESH) {
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        let since = self.looked.map(|looked| looked.elapsed());
        match self.file.as_ref().and_then(number) {
            Some(last) => self.saw(last, since),
            None => self.most = None,
        }
        self.looked = Some(Instant::now());
    }

    fn saw(&mut self, last: u64, since: Option<Duration>) {
        let Some(most) = self.most else { return };
        self.turn += match since {
            Some(since) if since < STALE => distance(self.last, last, most) % (most - LOWEST),
            _ => most,
        };
        self.last = last;
    }

    /// Who has a number now.
    pub(super) fn holder(&mut self, number: i32) -> Holder {
        // That of a process that has just begun lies ahead of the turn as it was last seen.
        if self.comes_soon(self.until(number)) {
            self.look_again();
        }
        Holder {
            seen: now(),
            until: self.until(number),
        }
    }

    fn until(&self, number: i32) -> u64 {
        let number = u64::try_from(number).unwrap_or(0);
        self.most
            .map_or(0, |most| self.turn + distance(self.last, number, most))
    }

    const fn comes_soon(&self, until: u64) -> bool {
        until <= self.turn + MARGIN
    }

    /// Whether a number is still his, or nobody's.
    pub(super) fn is_still(&self, number: i32, holder: &mut Holder) -> bool {
        if !self.comes_soon(holder.until) {
            return true;
        }
        if began(number).is_some_and(|began| began > holder.seen) {
            return false;
        }
        holder.until = self.until(number);
        true
    }

    /// Whether he still has it.
    pub(super) fn is_alive(number: i32, holder: Holder) -> bool {
        began(number).is_some_and(|began| began <= holder.seen)
    }
}

/// How many numbers are handed out after one until another is: at least one.
fn distance(from: u64, to: u64, most: u64) -> u64 {
    let round = most.saturating_sub(LOWEST).max(1);
    if to > from {
        to - from
    } else {
        round.saturating_sub(from - to).max(1)
    }
}

/// The number that a file holds.
fn number(file: &Reader) -> Option<u64> {
    let mut text = [0; 32];
    let read = file.once(0, &mut text).ok()?;
    std::str::from_utf8(&text[..read]).ok()?.trim().parse().ok()
}

/// In these, of nanoseconds, the kernel tells when a process began.
const TICK_NS: i64 = 10_000_000;

/// What its clock says now.
fn now() -> u64 {
    (rekindle_fsx::time::since_boot_ns() / TICK_NS).unsigned_abs()
}

/// When a process or a thread began, in ticks; `None` where there is none.
fn began(number: i32) -> Option<u64> {
    let path = CString::new(format!("/proc/{number}/stat")).ok()?;
    let mut text = [0; 1024];
    let read = sys::read_start(&path, &mut text).ok()?;
    // The name before it may hold anything.
    let end = text[..read].iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text[..read].get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_millis(21));

    fn at(last: u64) -> Numbers {
        Numbers {
            most: Some(32_768),
            last,
            turn: 0,
            looked: None,
            file: None,
        }
    }

    #[test]
    fn a_number_is_safe_until_its_turn_comes() {
        let mut numbers = at(10_000);
        let until = |numbers: &Numbers, number| numbers.until(number) - numbers.turn;
        assert_eq!(until(&numbers, 10_001), 1);
        assert_eq!(until(&numbers, 10_000), 32_468);
        assert_eq!(until(&numbers, 9_999), 32_467);
        let young = numbers.until(10_000);
        numbers.saw(32_000, SOON);
        numbers.saw(400, SOON);
        assert_eq!(numbers.turn, 22_868);
        assert_eq!(until(&numbers, 10_000), young - numbers.turn);
        // Nobody looked for long: all may have been handed out.
        numbers.saw(401, Some(Duration::from_millis(101)));
        assert!(numbers.turn > young);
    }

    /// A process that does nothing, until it is dropped.
    struct Idle(std::process::Child);

    impl Idle {
        fn new() -> Self {
            let child = std::process::Command::new("sleep").arg("1000").spawn();
            Self(child.expect("started"))
        }

        fn number(&self) -> i32 {
            i32::try_from(self.0.id()).expect("a number")
        }
    }

    impl Drop for Idle {
        fn drop(&mut self) {
            self.0.kill().expect("killed");
            self.0.wait().expect("waited");
        }
    }

    #[test]
    fn the_number_of_a_process_that_has_just_begun_is_safe() {
        let mut numbers = Numbers::default();
        numbers.look();
        let child = Idle::new();
        let holder = numbers.holder(child.number());
        // Where the kernel does not tell its turn, none is.
        assert_ne!(numbers.comes_soon(holder.until), numbers.most.is_some());
    }

    #[test]
    fn who_began_after_another_was_seen_is_another() {
        let before = now();
        let child = Idle::new();
        let number = child.number();
        let mut numbers = at(1);
        numbers.look();
        let holder = numbers.holder(number);
        let mut same = Holder { until: 0, ..holder };
        assert!(numbers.is_still(number, &mut same));
        assert!(Numbers::is_alive(number, holder));
        let mut another = Holder {
            seen: before - 1,
            until: 0,
        };
        assert!(!numbers.is_still(number, &mut another));
        assert!(!Numbers::is_alive(number, another));
        drop(child);
        // Nobody's.
        assert!(numbers.is_still(number, &mut same));
        assert!(!Numbers::is_alive(number, holder));
    }

    /// What two clocks say, of which the kernel's own files have the one.
    #[test]
    fn a_process_begins_when_it_is_started() {
        let (before, child, after) = (now(), Idle::new(), now());
        let began = began(child.number()).expect("it runs");
        assert!(
            (before..=after).contains(&began),
            "{before} {began} {after}"
        );
    }
}
