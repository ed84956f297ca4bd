//! How large the store is, roughly, without a walk through it.
//!
//! Two files. `size` is what the last walk found: one line, `rekindle-size 1 BYTES UNITS MOMENT`,
//! where `UNITS` is how long `growth` was when the walk began and `MOMENT` when that was, in
//! milliseconds since 1970. `growth` counts what was stored since then by its length alone: a byte
//! is appended for each 64 KiB stored, and for the remainder with the probability that makes the
//! sum right on average. So any number of processes count without a lock, most small records cost
//! nothing, and ten gigabytes are a file of 160 KiB. What is removed is not counted: the estimate
//! errs on the large side until the next walk.
//!
//! Both are hints: a missing or damaged one leads to a walk.

use std::io;

use rekindle_base::{ByteSize, Digest, Moment};
use rekindle_fsx as fsx;

use crate::layout::Layout;

const UNIT_BYTES: u64 = 64 << 10;
/// A `growth` this long is started again at the next walk.
const MAX_UNITS: u64 = 16 << 20;
/// A walk is due after this long whatever the estimate says.
const MAX_AGE_MS: u64 = 24 * 60 * 60 * 1000;
/// Walks that could not make room (all is in use, or young) are not repeated at once.
const MIN_AGE_MS: u64 = 10 * 60 * 1000;
/// Clocks of machines that share a directory differ a little.
const SKEW_MS: u64 = 60 * 1000;

/// What the last walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) bytes: u64,
    pub(crate) growth_units: u64,
    pub(crate) at: Moment,
}

/// How many units `bytes` count as; `name` stands for chance.
fn units(bytes: u64, name: &Digest) -> u64 {
    let [a, b, ..] = *name.as_bytes();
    let draw = u64::from(u16::from_le_bytes([a, b])) * UNIT_BYTES / (1 << 16);
    bytes / UNIT_BYTES + u64::from(bytes % UNIT_BYTES > draw)
}

/// Counts bytes that were stored under a name. Failures only spoil the estimate.
pub(crate) fn note(layout: &Layout, bytes: u64, name: &Digest) {
    let units = usize::try_from(units(bytes, name)).unwrap_or(usize::MAX);
    if units > 0 {
        let zeros = vec![0; units.min(1 << 20)];
        let _ = fsx::append(&layout.growth(), &zeros);
    }
}

/// How long `growth` is.
pub(crate) fn growth_units(layout: &Layout) -> u64 {
    fsx::stat(&layout.growth()).map_or(0, |sig| sig.size)
}

/// Writes down what a walk found that began when `growth` was `growth_units` long.
pub(crate) fn store(layout: &Layout, mut walked: Walked) -> io::Result<()> {
    if walked.growth_units > MAX_UNITS {
        fsx::remove_file(&layout.growth())?;
        walked.growth_units = 0;
    }
    let line = format!(
        "rekindle-size 1 {} {} {}\n",
        walked.bytes, walked.growth_units, walked.at.0
    );
    fsx::with_dir(&layout.temporaries(), || {
        fsx::atomic::write_via(&layout.temporary(), &layout.size(), line.as_bytes())
    })
}

/// Says that there is nothing yet, where that is so: else the first build would end with a walk through what it
/// made. A failure only leads to that walk.
pub(crate) fn begin(layout: &Layout, now: Moment) {
    if fsx::exists(&layout.objects()) || fsx::exists(&layout.size()) {
        return;
    }
    let nothing = Walked {
        bytes: 0,
        growth_units: growth_units(layout),
        at: now,
    };
    let _ = store(layout, nothing);
}

fn parse(text: &[u8]) -> Option<Walked> {
    let text = std::str::from_utf8(text).ok()?;
    let numbers = text.strip_prefix("rekindle-size 1 ")?.strip_suffix('\n')?;
    let mut numbers = numbers.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let walked = Walked {
        bytes: next()?,
        growth_units: next()?,
        at: Moment(next()?),
    };
    numbers.next().is_none().then_some(walked)
}

/// Whether an eviction is due.
pub(crate) fn is_due(layout: &Layout, budget: ByteSize, now: Moment) -> bool {
    let walked = fsx::read_with_sig(&layout.size(), 200)
        .ok()
        .flatten()
        .and_then(|(text, _)| parse(&text));
    walked.is_none_or(|walked| walk_is_due(walked, growth_units(layout), budget, now))
}

fn walk_is_due(walked: Walked, growth_units: u64, budget: ByteSize, now: Moment) -> bool {
    let clock_was_set_back = walked.at.0 > now.0.saturating_add(SKEW_MS);
    let age_ms = now.0.saturating_sub(walked.at.0);
    if clock_was_set_back || age_ms >= MAX_AGE_MS {
        return true;
    }
    let grown = growth_units
        .saturating_sub(walked.growth_units)
        .saturating_mul(UNIT_BYTES);
    let over = walked.bytes.saturating_add(grown) > budget.0;
    over && (age_ms >= MIN_AGE_MS || grown > budget.0 / 10)
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "tests make files as others would"
)]
mod tests {
    use super::*;

    #[test]
    fn a_long_growth_is_started_again_by_a_walk() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(&layout.root).unwrap();
        for (growth_units, kept) in [(MAX_UNITS, MAX_UNITS), (MAX_UNITS + 1, 0)] {
            let growth = std::fs::File::create(layout.growth()).unwrap();
            growth.set_len(growth_units).unwrap();
            let walked = Walked {
                bytes: 1,
                growth_units,
                at: Moment(2),
            };
            store(&layout, walked).unwrap();
            let line = std::fs::read(layout.size()).unwrap();
            assert_eq!(parse(&line).unwrap().growth_units, kept);
            assert_eq!(super::growth_units(&layout), kept);
        }
    }

    #[test]
    fn what_is_begun_empty_needs_no_walk() {
        let budget = ByteSize(1 << 30);
        let now = Moment(MAX_AGE_MS);
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert!(is_due(&layout, budget, now), "nothing is known of it");
        begin(&layout, now);
        assert!(!is_due(&layout, budget, now));
        // What is there already was never counted.
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.objects()).unwrap();
        begin(&layout, now);
        assert!(is_due(&layout, budget, now));
    }

    #[test]
    fn units_are_right_on_average() {
        for bytes in [0, 500, 30_000, 65_536, 100_000, 1 << 20] {
            let count = 4000;
            let sum: u64 = (0..count)
                .map(|n: u64| units(bytes, &Digest::of(&n.to_le_bytes())))
                .sum();
            let (found, wanted) = (sum * UNIT_BYTES / count, bytes);
            assert!(
                found.abs_diff(wanted) < 4000,
                "{wanted} bytes count as {found}"
            );
        }
    }

    #[test]
    fn a_walk_is_due_when_it_is_large_or_long_ago() {
        let budget = ByteSize(100 * UNIT_BYTES);
        let now = Moment(10 * MAX_AGE_MS);
        let check = |units: u64, growth: u64, age_ms: i64, expected: bool| {
            let walked = Walked {
                bytes: units * UNIT_BYTES,
                growth_units: 7,
                at: Moment(now.0.saturating_add_signed(-age_ms)),
            };
            assert_eq!(
                walk_is_due(walked, 7 + growth, budget, now),
                expected,
                "{units} units, {growth} more, {age_ms} ms ago"
            );
        };
        let hour = 3_600_000;
        check(90, 0, hour, false);
        check(90, 10, hour, false);
        check(90, 11, hour, true);
        check(90, 0, 23 * hour, false);
        check(90, 0, 24 * hour, true);
        // The clock was set back.
        check(90, 0, -hour, true);
        check(90, 0, -1000, false);
        // Nothing could be removed a minute ago.
        check(110, 5, 60_000, false);
        check(110, 11, 60_000, true);
        check(110, 0, hour, true);
    }

    #[test]
    fn any_text_is_read_or_ignored() {
        let walked = Walked {
            bytes: 1,
            growth_units: 2,
            at: Moment(3),
        };
        assert_eq!(parse(b"rekindle-size 1 1 2 3\n"), Some(walked));
        for text in [
            &b""[..],
            b"rekindle-size 1 1 2 3",
            b"rekindle-size 1 1 2\n",
            b"rekindle-size 1 1 2 3 4\n",
            b"rekindle-size 2 1 2 3\n",
            b"rekindle-size 1 1 2 -3\n",
            b"\xff\xff",
        ] {
            assert_eq!(parse(text), None);
        }
    }
}
