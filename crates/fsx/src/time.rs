//! The clocks that decide whether a file was changed during a compile.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// The time that cargo gives to the files that it makes when it packs, in seconds since 1970: old enough for whoever
/// compares times, and not zero, which some tools take for none.
pub const PACKED_S: u64 = 1_153_704_088;

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

/// Wall-clock time: nanoseconds since 1970.
#[must_use]
pub fn realtime_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// The clock that the kernel stamps files from: nanoseconds since 1970, a few milliseconds behind.
#[must_use]
pub fn coarse_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::RealtimeCoarse))
}

/// Waits until the clock that the kernel stamps files from has reached a time that is close at hand.
pub fn wait_until_coarse(time_ns: i64) {
    while let wait_ns @ 1.. = time_ns - coarse_ns() {
        std::thread::sleep(std::time::Duration::from_nanos(wait_ns.unsigned_abs()));
    }
}

/// When the machine was started: milliseconds since 1970.
#[must_use]
pub fn boot_ms() -> u64 {
    u64::try_from(offset_ns() / 1_000_000).unwrap_or(0)
}

/// A span during which files are watched by their change times. The kernel stamps files from a
/// coarse clock, so the start is read from the same one: a file changed after the start never has
/// an earlier stamp.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    start_ns: i64,
    offset_ns: i64,
}

/// More than a clock that is steered by NTP drifts during a compile, less than a person sets it by.
const CLOCK_STEP_NS: i64 = 500_000_000;

impl Watch {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start_ns: nanoseconds(clock_gettime(ClockId::RealtimeCoarse)),
            offset_ns: offset_ns(),
        }
    }

    /// Whether a file with this change time may have been changed since the start.
    #[must_use]
    pub fn may_have_changed(&self, ctime_ns: i64) -> bool {
        ctime_ns >= self.start_ns
    }

    /// Whether the wall clock was set since the start, so that change times prove nothing.
    #[must_use]
    pub fn clock_was_set(&self) -> bool {
        (offset_ns() - self.offset_ns).abs() > CLOCK_STEP_NS
    }
}

/// Returns once every file that was written before the call has an earlier stamp than any [`Watch`] that
/// starts. Some milliseconds at most.
pub fn await_next_stamp() {
    // Later kernels stamp from the fine clock where somebody looked meanwhile.
    let now = realtime_ns();
    // A clock that is set back meanwhile would take as long to come here again.
    while coarse_ns() <= now && realtime_ns() >= now {
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
}

/// Wall-clock time less the time since boot: constant unless somebody sets the clock.
fn offset_ns() -> i64 {
    realtime_ns() - since_boot_ns()
}

/// How long the machine has been up: nanoseconds.
#[must_use]
pub fn since_boot_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Boottime))
}

/// CPU time that this process has used itself, children apart, in microseconds.
#[must_use]
pub fn own_cpu_us() -> u64 {
    let used = nanoseconds(clock_gettime(ClockId::ProcessCPUTime));
    u64::try_from(used / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stamped_from_the_start_on_may_have_changed() {
        let watch = Watch::start();
        assert!(!watch.may_have_changed(watch.start_ns - 1));
        assert!(watch.may_have_changed(watch.start_ns));
        let file = tempfile::NamedTempFile::new().unwrap();
        let sig = crate::stat(file.path()).unwrap();
        assert!(watch.may_have_changed(sig.ctime_ns));
    }

    #[test]
    fn what_was_written_before_the_next_stamp_did_not_change_since() {
        let file = tempfile::NamedTempFile::new().unwrap();
        await_next_stamp();
        let sig = crate::stat(file.path()).unwrap();
        assert!(!Watch::start().may_have_changed(sig.ctime_ns));
    }

    #[test]
    fn a_clock_that_was_set_either_way_is_noticed() {
        assert!(!Watch::start().clock_was_set());
        for hours in [-1, 1] {
            let mut watch = Watch::start();
            watch.offset_ns += hours * 3_600_000_000_000;
            assert!(watch.clock_was_set());
        }
    }
}
