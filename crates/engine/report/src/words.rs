//! How numbers and times are written for people.

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

/// A number with its noun, as in `1 miss` or `2 misses`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn one_is_singular() {
        assert_eq!(count(1, "miss", "misses"), "1 miss");
        assert_eq!(count(0, "miss", "misses"), "0 misses");
    }
}
