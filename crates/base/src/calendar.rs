//! Days of the calendar that is in use today, and times as APIs write them.

/// Year, month and day of a day since 1970, by the calendar that is in use today.
#[must_use]
pub fn civil(day: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the day that is added comes last.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// Days from 1970-01-01 to a date, after Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A time such as `2026-11-26T17:10:21Z`, also with a fraction or an offset, in milliseconds since 1970.
/// `None` for what is no such time, or before 1970.
#[must_use]
pub fn parse_utc(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = zone(time)?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = whole.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let ms = milliseconds(fraction)?;
    combine([year, month, day, hour, minute, second, ms], offset)
}

fn combine([year, month, day, hour, minute, second, ms]: [i64; 7], offset: i64) -> Option<u64> {
    let is_time = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_time {
        return None;
    }
    let minutes = days(year, month, day) * 1440 + hour * 60 + minute - offset;
    u64::try_from((minutes * 60 + second) * 1000 + ms).ok()
}

/// A clock and its offset from UTC in minutes.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (hours, minutes) = time.get(at + 1..)?.split_once(':')?;
    let offset = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    let sign = if time.as_bytes()[at] == b'-' { -1 } else { 1 };
    (offset < 1440).then_some((&time[..at], sign * offset))
}

fn milliseconds(fraction: &str) -> Option<i64> {
    let digits: String = fraction.chars().chain("00".chars()).take(3).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let check = |day: i64, expected: (i64, i64, i64)| {
            assert_eq!(civil(day), expected);
            assert_eq!(days(expected.0, expected.1, expected.2), day);
        };
        check(-1, (1969, 12, 31));
        check(0, (1970, 1, 1));
        check(11_016, (2000, 2, 29));
        check(11_017, (2000, 3, 1));
        check(19_722, (2023, 12, 31));
        check(19_723, (2024, 1, 1));
    }

    #[test]
    fn times_of_the_api_are_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T18:45:00Z", Some(1_795_373_100_000)),
            ("2026-11-22T18:45:00.123Z", Some(1_795_373_100_123)),
            ("2026-11-22T18:45:00.1Z", Some(1_795_373_100_100)),
            ("2026-11-22T20:45:00+02:00", Some(1_795_373_100_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2026-13-22T18:45:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_utc(text), ms, "{text}");
        }
    }
}
