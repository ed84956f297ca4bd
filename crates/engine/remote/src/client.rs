//! Asking a remote, with everything that can go wrong bounded: deadlines, retries, a breaker, and a count of all of it.
//!
//! Every operation has a deadline. What may help is tried again, a few times, after a time with some chance in it, while the
//! run's budget lasts. A run spends no more than its *patience* on operations that came to nothing; after that, or
//! after a few of them one after the other, or when the remote refuses to know us, it is left alone for the rest of the run.

use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rekindle_base::progress;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};
use crate::tiered::Tiered;

/// How much a run puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that one operation takes, less what its bytes need.
    pub operation: Duration,
    /// The longest that a run spends on operations that come to nothing.
    pub patience: Duration,
    /// How many operations run at once.
    pub at_once: usize,
}

/// A link that is slower than this is no help: a deadline grows by a second for each such piece.
const SLOWEST_BYTES_PER_S: u64 = 1 << 20;
/// Tries of one operation.
const TRIES: u32 = 3;
/// Retries of a whole run.
const RETRIES_MAX: u64 = 32;
/// Failed operations one after the other that open the breaker.
const FAILURES_MAX: u32 = 3;
/// The first pause; each further one is twice as long, and a random part of it is waited.
const PAUSE: Duration = Duration::from_millis(100);

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The remote said so.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It did not answer in time.
    #[error("it did not answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It failed before, and is left alone for the rest of the run.
    #[error("it is left alone for the rest of this run")]
    Off,
}

impl ClientError {
    /// Whether there is no such blob, and nothing is wrong.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Blob(BlobError::Missing))
    }
}

/// What was asked, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations that were sent, each try for itself.
    pub requests: u64,
    /// Of these, those that came to nothing.
    pub failed: u64,
    /// Bytes read.
    pub bytes_down: u64,
    /// Bytes written.
    pub bytes_up: u64,
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            requests: sum.requests + one.requests,
            failed: sum.failed + one.failed,
            bytes_down: sum.bytes_down + one.bytes_down,
            bytes_up: sum.bytes_up + one.bytes_up,
        })
    }
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
    bytes_down: AtomicU64,
    bytes_up: AtomicU64,
}

#[derive(Debug, Default)]
struct Health {
    /// Failed operations since the last that did not.
    failures: u32,
    /// Time spent on what failed.
    lost: Duration,
    /// Why it is left alone: for all, and for writing.
    off: Option<String>,
    no_writes: Option<String>,
}

/// A remote that is asked carefully. Clones share everything.
#[derive(Clone)]
pub struct Client {
    blobs: Arc<dyn Blobs>,
    limits: Limits,
    handle: Handle,
    permits: Arc<Semaphore>,
    counters: Arc<Counters>,
    health: Arc<Mutex<Health>>,
    /// Tries of one operation.
    tries: u32,
    /// The remotes behind it, where it stands for several.
    tiers: Arc<[Client]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

impl Client {
    /// A client that runs its operations on a runtime which another thread drives.
    #[must_use]
    pub fn new(blobs: Arc<dyn Blobs>, limits: Limits, handle: Handle) -> Self {
        Self {
            blobs,
            limits,
            handle,
            permits: Arc::new(Semaphore::new(limits.at_once.max(1))),
            counters: Arc::default(),
            health: Arc::default(),
            tries: TRIES,
            tiers: Arc::default(),
        }
    }

    /// A client that stands for several remotes, the nearest first, each asked with its own deadlines, retries and breaker:
    /// see [`crate::tiered`]. `fills` says whether what comes from a farther one is written to the nearer ones.
    #[must_use]
    pub fn tiered(tiers: Vec<Self>, fills: bool, limits: Limits, handle: Handle) -> Self {
        let tiers: Arc<[Self]> = tiers.into();
        // Each of them may spend its patience before the next is asked, and has tried again already.
        let count = u32::try_from(tiers.len()).unwrap_or(1) + 1;
        let limits = Limits {
            operation: (limits.operation + limits.patience) * count,
            patience: limits.patience * count,
            ..limits
        };
        let blobs = Tiered::new(Arc::clone(&tiers), fills, handle.clone());
        Self {
            tries: 1,
            tiers,
            ..Self::new(Arc::new(blobs), limits, handle)
        }
    }

    /// How much it puts up with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What was asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        if !self.tiers.is_empty() {
            return self.tiers.iter().map(Self::counts).sum();
        }
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: of(&self.counters.requests),
            failed: of(&self.counters.failed),
            bytes_down: of(&self.counters.bytes_down),
            bytes_up: of(&self.counters.bytes_up),
        }
    }

    /// As [`Client::counts`], of each remote behind it, the nearest first.
    #[must_use]
    pub fn counts_of_each(&self) -> Vec<Counts> {
        if self.tiers.is_empty() {
            return vec![self.counts()];
        }
        self.tiers.iter().map(Self::counts).collect()
    }

    /// Why the remote is left alone, if it is: first for all purposes, then for writing.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        if !self.tiers.is_empty() {
            let of = |(at, tier): (usize, &Self)| {
                let troubles = tier.troubles().into_iter();
                troubles.map(move |trouble| format!("remote {} of several: {trouble}", at + 1))
            };
            return self.tiers.iter().enumerate().flat_map(of).collect();
        }
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health
            .off
            .iter()
            .chain(&health.no_writes)
            .cloned()
            .collect()
    }

    /// How many copies of a blob there may be: see [`Blobs::copies`].
    #[must_use]
    pub fn copies(&self) -> usize {
        self.blobs.copies()
    }

    /// Whether the remote forgets what nobody asks for: see [`Blobs::forgets`].
    #[must_use]
    pub fn forgets(&self) -> bool {
        self.blobs.forgets()
    }

    /// [`Blobs::read`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, ClientError> {
        self.read_copy(name, range, 0)
    }

    /// [`Blobs::read_copy`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn read_copy(
        &self,
        name: &Name,
        range: Option<Range<u64>>,
        copy: usize,
    ) -> Result<Bytes, ClientError> {
        self.handle.block_on(self.reading(name, range, copy))
    }

    pub(crate) async fn reading(
        &self,
        name: &Name,
        range: Option<Range<u64>>,
        copy: usize,
    ) -> Result<Bytes, ClientError> {
        let expected = range
            .as_ref()
            .map(|range| range.end.saturating_sub(range.start));
        let deadline = self.deadline(expected.unwrap_or(0));
        let attempt = || {
            let range = range.clone();
            async move {
                let bytes = self.blobs.read_copy(name, range, copy).await?;
                match expected {
                    Some(expected) if bytes.len() as u64 != expected => Err(BlobError::Nonsense(
                        "not as long as was asked for".to_owned(),
                    )),
                    _ => Ok(bytes),
                }
            }
        };
        let bytes = self.run(Purpose::Read, deadline, attempt).await?;
        self.came(&bytes);
        Ok(bytes)
    }

    fn came(&self, bytes: &Bytes) {
        let bytes = bytes.len() as u64;
        self.counters.bytes_down.fetch_add(bytes, Ordering::Relaxed);
        self.show(bytes);
    }

    fn went(&self, bytes: &Bytes) {
        let bytes = bytes.len() as u64;
        self.counters.bytes_up.fetch_add(bytes, Ordering::Relaxed);
        self.show(bytes);
    }

    /// Of several remotes each shows its own.
    fn show(&self, bytes: u64) {
        if self.tiers.is_empty() {
            progress().moved(bytes);
        }
    }

    /// [`Blobs::find`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, ClientError> {
        self.handle.block_on(self.finding(names))
    }

    pub(crate) async fn finding(
        &self,
        names: &[Name],
    ) -> Result<Option<(usize, Bytes)>, ClientError> {
        let attempt = || self.blobs.find(names);
        let found = self.run(Purpose::Read, self.deadline(0), attempt).await?;
        if let Some((at, bytes)) = &found {
            if *at >= names.len() {
                let nonsense = BlobError::Nonsense("it found what was not asked for".to_owned());
                return Err(nonsense.into());
            }
            self.came(bytes);
        }
        Ok(found)
    }

    /// [`Blobs::write`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn write(&self, name: &Name, bytes: &Bytes, kind: Kind) -> Result<Written, ClientError> {
        self.handle.block_on(self.writing(name, bytes, kind))
    }

    pub(crate) async fn writing(
        &self,
        name: &Name,
        bytes: &Bytes,
        kind: Kind,
    ) -> Result<Written, ClientError> {
        let deadline = self.deadline(bytes.len() as u64);
        let attempt = || self.blobs.write(name, bytes.clone(), kind);
        let written = self.run(Purpose::Write, deadline, attempt).await?;
        if written == Written::New {
            self.went(bytes);
        }
        Ok(written)
    }

    /// [`Blobs::touch`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn touch(&self, name: &Name) -> Result<(), ClientError> {
        self.handle.block_on(self.touching(name))
    }

    pub(crate) async fn touching(&self, name: &Name) -> Result<(), ClientError> {
        let attempt = || self.blobs.touch(name);
        self.run(Purpose::Read, self.deadline(0), attempt).await
    }

    /// [`Blobs::list`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn list(&self, prefix: &str) -> Result<Vec<Listed>, ClientError> {
        self.handle.block_on(self.listing(prefix))
    }

    pub(crate) async fn listing(&self, prefix: &str) -> Result<Vec<Listed>, ClientError> {
        let attempt = || self.blobs.list(prefix);
        self.run(Purpose::Read, self.deadline(0), attempt).await
    }

    /// [`Blobs::remove`], waited for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remove(&self, name: &Name) -> Result<(), ClientError> {
        self.handle.block_on(self.removing(name))
    }

    pub(crate) async fn removing(&self, name: &Name) -> Result<(), ClientError> {
        let attempt = || self.blobs.remove(name);
        self.run(Purpose::Write, self.deadline(0), attempt).await
    }

    fn deadline(&self, bytes: u64) -> Duration {
        self.limits.operation + Duration::from_secs(bytes / SLOWEST_BYTES_PER_S)
    }

    /// The time that may be spent on an operation of this purpose; an error where the remote is left alone.
    fn allowed(&self, purpose: Purpose, deadline: Duration) -> Result<Duration, ClientError> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let is_off =
            health.off.is_some() || (purpose == Purpose::Write && health.no_writes.is_some());
        let left = self.limits.patience.saturating_sub(health.lost);
        if is_off || left.is_zero() {
            return Err(ClientError::Off);
        }
        Ok(deadline.min(left))
    }

    async fn run<T, F: Future<Output = Result<T, BlobError>>>(
        &self,
        purpose: Purpose,
        deadline: Duration,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClientError> {
        let mut tries = 0;
        loop {
            let allowed = self.allowed(purpose, deadline)?;
            let began = Instant::now();
            let result = {
                // What waits for others waits for what has a deadline itself.
                let _permit = self.permits.acquire().await;
                self.counters.requests.fetch_add(1, Ordering::Relaxed);
                tokio::time::timeout(allowed, attempt()).await
            };
            let error = match result {
                Ok(Ok(value)) => {
                    self.note_success();
                    return Ok(value);
                }
                // It is well, and this is its answer.
                Ok(Err(error @ (BlobError::Missing | BlobError::Unsupported(_)))) => {
                    self.note_success();
                    return Err(error.into());
                }
                Ok(Err(error)) => ClientError::Blob(error),
                Err(_) => ClientError::Late(allowed),
            };
            tries += 1;
            let pause = self.pause(&error, tries);
            self.note_failure(purpose, &error, (began.elapsed(), pause.is_some()));
            let Some(pause) = pause else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
            let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.lost += pause;
        }
    }

    /// How long to wait before another try; `None` where there is none.
    fn pause(&self, error: &ClientError, tries: u32) -> Option<Duration> {
        let asked = match error {
            ClientError::Blob(BlobError::Throttled { after }) => *after,
            ClientError::Blob(error) if error.is_transient() => None,
            // What was late once is late again; that costs a whole deadline each time.
            ClientError::Late(_) if tries == 1 => None,
            _ => return None,
        };
        let is_spent = self.counters.retries.fetch_add(1, Ordering::Relaxed) >= RETRIES_MAX;
        if tries >= self.tries || is_spent {
            return None;
        }
        let pause = asked.unwrap_or_else(|| jittered(PAUSE * 2_u32.pow(tries)));
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        // A pause that patience does not cover is as good as no answer.
        (health.lost + pause < self.limits.patience).then_some(pause)
    }

    fn note_success(&self) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.failures = 0;
    }

    fn note_failure(&self, purpose: Purpose, error: &ClientError, (took, again): (Duration, bool)) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.lost += took;
        if again {
            return;
        }
        health.failures += 1;
        let is_denied = matches!(error, ClientError::Blob(BlobError::Denied(_)));
        if is_denied && purpose == Purpose::Write {
            health.no_writes.get_or_insert_with(|| error.to_string());
        } else if is_denied
            || health.failures >= FAILURES_MAX
            || health.lost >= self.limits.patience
        {
            health.off.get_or_insert_with(|| error.to_string());
        }
    }
}

/// Between a half and the whole of a time, so that machines that failed together do not come back together.
fn jittered(time: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    const STEPS: u64 = 1024;
    let draw = RandomState::new().hash_one(std::process::id()) % STEPS;
    let part = u32::try_from(draw).unwrap_or(0);
    time / 2 + time / 2 * part / u32::try_from(STEPS).unwrap_or(1)
}
