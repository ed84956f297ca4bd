//! Words that people mistype, and numbers that programs write.

/// Levenshtein's distance: how many letters are put in, left out or changed, to find what was meant by a name that
/// is none.
#[must_use]
pub fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Whether a text is so many hexadecimal digits, as cargo, git and digests have them: none is a capital.
#[must_use]
pub fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::{edits, is_hex};

    #[test]
    fn hexadecimal_digits_are_counted_and_small() {
        assert!(is_hex("0189abcdef", 10) && is_hex("", 0));
        for (text, digits) in [("abc", 2), ("abc", 4), ("ABC", 3), ("abg", 3), ("-12", 3)] {
            assert!(!is_hex(text, digits), "{text}");
        }
    }

    #[test]
    fn counts_letters() {
        for (a, b, expected) in [
            ("", "", 0),
            ("s3", "", 2),
            ("regoin", "region", 2),
            ("gsc", "gcs", 2),
            ("s33", "s3", 1),
        ] {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }
}
