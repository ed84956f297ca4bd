//! Words that people mistype.

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

#[cfg(test)]
mod tests {
    use super::edits;

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
