//! What test runners say of how many tests passed, and the skips that tests report themselves.

use std::collections::BTreeMap;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// What one runner says while it runs.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// libtest's results, one for each of its programs.
    results: Counts,
    /// nextest's last summary. nextest repeats what failing tests print, libtest's results among it,
    /// so where there is a summary nothing else counts.
    summary: Option<Counts>,
}

impl Heard {
    /// Reads one line of the runner's output.
    pub(crate) fn read_line(&mut self, line: &str) {
        let plain = strip_colours(line);
        let text = plain.trim();
        if let Some(result) = text.strip_prefix("test result: ") {
            self.results.add(
                result.split_once(". ").map_or("", |(_, numbers)| numbers),
                ';',
            );
        } else if text.starts_with("Summary [") {
            // nextest: `Summary [ 0.003s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`
            let mut summary = Counts::default();
            summary.add(
                text.split_once(" run: ").map_or("", |(_, numbers)| numbers),
                ',',
            );
            self.summary = Some(summary);
        }
    }

    /// How many tests the runner ran.
    pub(crate) fn counts(&self) -> Counts {
        self.summary.unwrap_or(self.results)
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Counts {
    fn add(&mut self, numbers: &str, separator: char) {
        for part in numbers.split(separator) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" | "timed" | "exec" => self.failed += count,
                _ => {}
            }
        }
    }
}

/// The skips that tests wrote, by test, so that one that skips twice counts once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Skips(BTreeMap<String, String>);

impl Skips {
    /// Reads lines of the form `SKIPPED: <test>: <why>`; others are not skips.
    pub(crate) fn parse(text: &str) -> Self {
        let mut skips = BTreeMap::new();
        for line in text.lines() {
            let Some(skip) = line.trim().strip_prefix("SKIPPED: ") else {
                continue;
            };
            let (test, why) = skip.split_once(": ").unwrap_or((skip, "no reason given"));
            skips.insert(test.to_owned(), why.to_owned());
        }
        Self(skips)
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// One line per skip, as tests write them.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|(test, why)| format!("SKIPPED: {test}: {why}"))
    }
}

/// What tests have to say of what they did, as in `NOTE: 30 sequences`; runners swallow the output of
/// tests that pass.
pub(crate) fn notes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("NOTE: "))
}

/// The closing line. A test that skipped itself ended well, so runners count it as passed; here it
/// is not.
pub(crate) fn closing_line(counts: Counts, skips: &Skips) -> String {
    let passed = counts.passed.saturating_sub(skips.len());
    format!(
        "{passed} passed, {} failed, {} skipped",
        counts.failed,
        skips.len()
    )
}

/// A line without terminal escapes.
fn strip_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            let _ = rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], passed: u64, failed: u64) {
        let mut heard = Heard::default();
        for line in lines {
            heard.read_line(line);
        }
        assert_eq!(heard.counts(), Counts { passed, failed });
    }

    #[test]
    fn libtest_results_add_up() {
        check(
            &[
                "running 3 tests",
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            ],
            4,
            2,
        );
    }

    #[test]
    fn nextest_summaries_are_read_through_colours() {
        check(
            &[
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.003s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 7 skipped",
            ],
            3,
            2,
        );
    }

    #[test]
    fn what_nextest_repeats_of_a_failed_test_does_not_count() {
        check(
            &[
                "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 86 filtered out; finished in 0.09s",
                "     Summary [1012.541s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped",
            ],
            2,
            1,
        );
    }

    #[test]
    fn a_test_that_skips_itself_does_not_count_as_passed() {
        let skips = Skips::parse(
            "SKIPPED: store::full_disk: needs root\nnoise\nSKIPPED: store::full_disk: needs root\n",
        );
        assert_eq!(notes("NOTE: 3 of 4\nSKIPPED: x: y\n").count(), 1);
        let line = closing_line(
            Counts {
                passed: 3,
                failed: 0,
            },
            &skips,
        );
        assert_eq!(line, "2 passed, 0 failed, 1 skipped");
        assert_eq!(
            skips.lines().collect::<Vec<_>>(),
            ["SKIPPED: store::full_disk: needs root"]
        );
    }
}
