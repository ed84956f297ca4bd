//! How figures are written in evidence.

/// A time in milliseconds, as in `1.5 s` or `2 min 30 s`.
pub(super) fn seconds(ms: u64) -> String {
    if ms < 60_000 {
        return format!("{}.{} s", ms / 1000, ms % 1000 / 100);
    }
    let seconds = ms.saturating_add(500) / 1000;
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// As [`seconds`], of microseconds.
pub(super) fn of_us(us: u64) -> String {
    seconds(us / 1000)
}

/// A share in whole per cent.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}
