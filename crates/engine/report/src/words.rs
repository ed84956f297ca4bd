//! How numbers and times are written for people.

use rekindle_base::{Moment, Utc};

/// A duration in milliseconds, as in `2m 14s`, `1.4s` or `310ms`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// A time in microseconds as reports write it, as in `2 min 14 s`, `1.4 s` or `310 ms`.
#[must_use]
pub fn time(us: u64) -> String {
    let (ms, tenths) = ((us + 500) / 1000, (us + 50_000) / 100_000);
    let seconds = (us + 500_000) / 1_000_000;
    match (us, ms, tenths) {
        (0, ..) => "0".to_owned(),
        (1..1000, ..) => "<1 ms".to_owned(),
        (_, ..1000, _) => format!("{ms} ms"),
        (_, _, ..600) => format!("{}.{} s", tenths / 10, tenths % 10),
        _ if seconds < 3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A share in per cent, whole numbers above one.
#[must_use]
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 1.0 {
        "<1 %".to_owned()
    } else {
        format!("{share:.0} %")
    }
}

/// A moment, as in `2026-11-26 17:21 UTC`.
#[must_use]
pub fn moment(ms: u64) -> String {
    let Utc {
        year,
        month,
        day,
        hour,
        minute,
        ..
    } = Moment(ms).utc();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// A number with its noun, as in `1 miss` or `2 misses`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}

/// Columns that text for a terminal keeps to.
pub const COLUMNS: usize = 80;

/// Adds words as lines of at most [`COLUMNS`], each after so many spaces. A word that is longer has a line of its own.
pub fn add_wrapped(text: &mut String, indent: usize, words: &str) {
    let mut column = 0;
    for word in words.split(' ') {
        let length = word.chars().count();
        if column == 0 {
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if column + 1 + length > COLUMNS {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

/// Cut to so many letters, the last of which says so.
#[must_use]
pub fn shortened(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.to_owned();
    }
    let kept = name.chars().take(letters.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_longer_than_a_terminal_is_wide() {
        let mut text = String::new();
        let words = "see that the store is restored before the build and saved after it, also when the build fails";
        add_wrapped(&mut text, 2, words);
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= COLUMNS && line.starts_with("  ")),
            "{text}"
        );
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), words);
        assert!(text.ends_with("fails\n"), "{text}");
        let mut long = String::new();
        add_wrapped(&mut long, 2, &format!("a {} b", "x".repeat(90)));
        assert_eq!(long.lines().count(), 3, "{long}");
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("äbcdefg", 6), "äbcde…");
    }

    #[test]
    fn durations_read_well() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_450, "1.4s"),
            (59_999, "59.9s"),
            (134_000, "2m 14s"),
            (3_720_000, "1h 02m"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn times_read_well() {
        for (us, text) in [
            (0, "0"),
            (999, "<1 ms"),
            (1_000, "1 ms"),
            (999_400, "999 ms"),
            (999_600, "1.0 s"),
            (41_230_000, "41.2 s"),
            (59_949_999, "59.9 s"),
            (59_950_000, "1 min 00 s"),
            (3_720_000_000, "1 h 02 min"),
        ] {
            assert_eq!(time(us), text, "{us}");
        }
        assert_eq!(percent(0.4), "<1 %");
        assert_eq!(percent(17.6), "18 %");
        assert_eq!(moment(1_795_373_100_123), "2026-11-22 18:45 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00 UTC");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "miss", "misses"), "1 miss");
        assert_eq!(count(0, "miss", "misses"), "0 misses");
    }
}
