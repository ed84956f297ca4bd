//! Days and times of the calendar, as people read them.

use rekindle_base::Moment;

/// The day of a time, as in `2026-11-26`, in UTC.
#[must_use]
pub fn day(ms: u64) -> String {
    let utc = Moment(ms).utc();
    format!("{:04}-{:02}-{:02}", utc.year, utc.month, utc.day)
}

/// A time to the second, as in `2026-11-26T17:10:21Z`.
pub(crate) fn stamp(ms: u64) -> String {
    let utc = Moment(ms).utc();
    format!(
        "{}T{:02}:{:02}:{:02}Z",
        day(ms),
        utc.hour,
        utc.minute,
        utc.second
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use rekindle_base::parse_utc;

    use super::*;

    proptest! {
        #[test]
        fn stamps_read_back(second in 0u64..4_000_000_000) {
            prop_assert_eq!(parse_utc(&stamp(second * 1000)), Some(second * 1000));
        }

        #[test]
        fn any_text_is_taken(text in "\\PC*") {
            let _ = parse_utc(&text);
        }
    }
}
