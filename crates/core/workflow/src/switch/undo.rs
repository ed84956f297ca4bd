//! What a switch changed, so that it can be taken back without losing anything that was edited since.
//!
//! A record is JSON: for each file its hunks, that is, the lines before and after, with two lines around them. Taking
//! back looks for the lines that the switch wrote: where they stood, or else at the one place where they stand now. If
//! they were changed since, nothing is taken back.

use serde::{Deserialize, Serialize};
use similar::{DiffTag, TextDiff};

/// The version of the records' format.
const VERSION: u32 = 1;
/// How many lines around a hunk tell it from others like it.
const CONTEXT_LINES: usize = 2;

/// One switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub version: u32,
    /// What it was switched to, as the user said it.
    pub to: String,
    /// Why self-hosted runners are safe for strangers' jobs, where somebody said so.
    pub allow_forks: Option<String>,
    /// What was changed.
    pub files: Vec<FileRecord>,
}

/// What a switch changed in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// As it was given.
    pub path: String,
    /// In the order of the file.
    pub hunks: Vec<Hunk>,
}

/// Lines that were replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// The first line after the change, from 0.
    pub line: usize,
    /// The lines above it, with their ends.
    pub above: Vec<String>,
    /// What was there.
    pub before: Vec<String>,
    /// What the switch wrote.
    pub after: Vec<String>,
    /// The lines below it.
    pub below: Vec<String>,
}

/// Why a switch is not taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// A newer Rekindle wrote the record.
    #[error("the record of the last switch has version {0}, which this rekindle does not know")]
    Version(u32),
    /// What the switch wrote is not there any more.
    #[error(
        "`{path}` was changed since: the lines that the switch wrote (`{line}`, …) are not there, or are there twice"
    )]
    Changed {
        /// The file.
        path: String,
        /// The first of the lines that were looked for.
        line: String,
    },
    /// A file is gone.
    #[error("`{0}` is not there any more")]
    Gone(String),
}

impl Record {
    /// Compares texts before and after: path, before, after.
    #[must_use]
    pub fn of(to: &str, allow_forks: Option<&str>, files: &[(&str, &str, &str)]) -> Self {
        let files = files.iter().map(|(path, before, after)| FileRecord {
            path: (*path).to_owned(),
            hunks: hunks(before, after),
        });
        Self {
            version: VERSION,
            to: to.to_owned(),
            allow_forks: allow_forks.map(str::to_owned),
            files: files.filter(|file| !file.hunks.is_empty()).collect(),
        }
    }

    /// Takes the switch back: path and text of each file as they are to be. `read` gives a file's text as it is now.
    ///
    /// # Errors
    /// Where any line that the switch wrote was changed since; then nothing is taken back.
    pub fn undo(
        &self,
        mut read: impl FnMut(&str) -> Option<String>,
    ) -> Result<Vec<(String, String)>, UndoError> {
        if self.version != VERSION {
            return Err(UndoError::Version(self.version));
        }
        let undone = self.files.iter().map(|file| {
            let now = read(&file.path).ok_or_else(|| UndoError::Gone(file.path.clone()))?;
            Ok((file.path.clone(), take_back(file, &now)?))
        });
        undone.collect()
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn hunks(before: &str, after: &str) -> Vec<Hunk> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let diff = TextDiff::from_slices(&old, &new);
    let changed = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal);
    let hunks = changed.map(|op| {
        let (from, to) = (op.old_range(), op.new_range());
        Hunk {
            line: to.start,
            above: owned(&new[to.start.saturating_sub(CONTEXT_LINES)..to.start]),
            before: owned(&old[from]),
            after: owned(&new[to.clone()]),
            below: owned(&new[to.end..(to.end + CONTEXT_LINES).min(new.len())]),
        }
    });
    hunks.collect()
}

fn take_back(file: &FileRecord, now: &str) -> Result<String, UndoError> {
    let lines: Vec<&str> = now.split_inclusive('\n').collect();
    let mut result = String::new();
    let mut at = 0;
    for hunk in &file.hunks {
        let found = place(hunk, &lines).filter(|found| *found >= at);
        let Some(found) = found else {
            let line = hunk.after.first().or(hunk.above.last());
            return Err(UndoError::Changed {
                path: file.path.clone(),
                line: line.map_or("", |line| line.trim()).to_owned(),
            });
        };
        result.extend(lines[at..found].iter().copied());
        result.extend(hunk.before.iter().map(String::as_str));
        at = found + hunk.after.len();
    }
    result.extend(lines[at..].iter().copied());
    Ok(result)
}

/// Where a hunk's lines stand now.
fn place(hunk: &Hunk, lines: &[&str]) -> Option<usize> {
    let stands = |at: usize, part: &[String]| {
        // The record is from a file: its numbers may be any.
        let end = at.checked_add(part.len());
        let here = end.and_then(|end| lines.get(at..end));
        here.is_some_and(|here| here.iter().zip(part).all(|(one, other)| one == other))
    };
    let with_context = |at: usize| {
        stands(at, &hunk.after)
            && at
                .checked_sub(hunk.above.len())
                .is_some_and(|above| stands(above, &hunk.above))
            && at
                .checked_add(hunk.after.len())
                .is_some_and(|below| stands(below, &hunk.below))
    };
    if with_context(hunk.line) {
        return Some(hunk.line);
    }
    let only = |all: Vec<usize>| match all[..] {
        [one] => Some(one),
        _ => None,
    };
    let near: Vec<usize> = (0..lines.len()).filter(|at| with_context(*at)).collect();
    if !near.is_empty() {
        return only(near);
    }
    if hunk.after.is_empty() {
        return None;
    }
    only(
        (0..lines.len())
            .filter(|at| stands(*at, &hunk.after))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "a:\n  runs-on: old\n  x: 1\nb:\n  runs-on:\n    - one\n    - two\n  y: 2\n";
    const AFTER: &str = "a:\n  runs-on: new\n  x: 1\nb:\n  runs-on:\n    - three\n  y: 2\n";

    fn undo(now: &str) -> Result<String, UndoError> {
        let record = Record::of("new", None, &[("f", BEFORE, AFTER)]);
        // As it is read back from disk.
        let record: Record =
            serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        let mut undone = record.undo(|_| Some(now.to_owned()))?;
        Ok(undone.remove(0).1)
    }

    #[test]
    fn a_switch_is_taken_back() {
        assert_eq!(undo(AFTER).unwrap(), BEFORE);
    }

    #[test]
    fn later_edits_elsewhere_stay() {
        let now = AFTER
            .replace("a:\n", "# new\n# lines\na:\n")
            .replace("y: 2", "y: 3");
        let expected = BEFORE
            .replace("a:\n", "# new\n# lines\na:\n")
            .replace("y: 2", "y: 3");
        assert_eq!(undo(&now).unwrap(), expected);
    }

    #[test]
    fn later_edits_of_the_same_lines_are_not_lost() {
        let changed = |now: &str| {
            let error = undo(now).unwrap_err();
            assert!(matches!(error, UndoError::Changed { .. }), "{error}");
        };
        changed(&AFTER.replace("runs-on: new", "runs-on: newer"));
        changed(&AFTER.replace("    - three\n", ""));
        changed(
            &AFTER
                .replace("    - three\n", "    - three\n    - four\n")
                .replace("three", "3"),
        );
        // The same lines twice, neither where it was: which is meant is not known.
        let twice = format!(
            "# up\n{}c:\n  runs-on: new\n",
            AFTER.replace("  x: 1", "  z: 0").replace("a:", "d:")
        );
        changed(&twice);
    }

    #[test]
    fn what_is_gone_or_newer_is_said() {
        let record = Record::of("new", None, &[("f", BEFORE, AFTER)]);
        assert_eq!(record.undo(|_| None), Err(UndoError::Gone("f".to_owned())));
        let newer = Record {
            version: 2,
            ..record
        };
        assert_eq!(newer.undo(|_| None), Err(UndoError::Version(2)));
    }
}
