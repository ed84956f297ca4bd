//! Time, as a thing that can be handed in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of wall-clock time: milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment of a [`SystemTime`]; times before 1970 are 1970.
    #[must_use]
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Where the present comes from; tests hand in their own.
pub trait Clock {
    /// Wall-clock time.
    fn now(&self) -> Moment;
    /// Monotonic time since some fixed point.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::from_system(SystemTime::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
