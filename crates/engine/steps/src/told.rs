//! Variables that do not count where all are read: of which of them something was made all the same.
//!
//! Nobody asked for them by name, so their values are looked for in what was made. A commit's digest is found where
//! it was put; `main` and `true` are found in most programs, whoever wrote them. A short value therefore counts only
//! where it can have come from the variable: who picks one out of all speaks of it, and who takes all as they are takes
//! the long ones as well.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_fsx::scan;
use rekindle_key::variables::{NOT_KEYED_AS_A_WHOLE, is_among, is_telling};
use rekindle_outputs::environment::Environment;

/// A value of so many bytes is nowhere by chance.
const LONG_BYTES: usize = 16;

/// The variables whose values are looked for, with these.
pub fn left_out(environment: &Environment) -> impl Iterator<Item = (&[u8], &[u8])> {
    environment
        .iter()
        .filter(|(name, value)| {
            is_among(name.as_bytes(), NOT_KEYED_AS_A_WHOLE) && is_telling(value)
        })
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

/// Those of `found`, variables whose values stand in what was made, that count. `speakers` are the programs, libraries
/// and files that may speak of one.
#[must_use]
pub fn told<'p>(
    environment: &Environment,
    found: &BTreeSet<Vec<u8>>,
    speakers: impl IntoIterator<Item = &'p Path>,
) -> BTreeSet<Vec<u8>> {
    let is_long = |value: &[u8]| value.len() >= LONG_BYTES;
    let long: Vec<&[u8]> = left_out(environment)
        .filter(|(_, value)| is_long(value))
        .map(|(name, _)| name)
        .collect();
    let (mut told, short): (BTreeSet<_>, BTreeSet<_>) = found
        .iter()
        .cloned()
        .partition(|name| long.contains(&name.as_slice()));
    let is_all = !told.is_empty() && 2 * told.len() >= long.len();
    if !WORDS_STAND_WHOLE || is_all {
        return found.clone();
    }
    for speaker in speakers {
        let open: Vec<&Vec<u8>> = short.difference(&told).collect();
        if open.is_empty() {
            break;
        }
        if is_made_up(speaker) {
            continue;
        }
        let words: Vec<&[u8]> = open.iter().map(|name| word(name)).collect();
        let Ok(spoken) = scan::find_any(speaker, &words) else {
            // What cannot be read may speak of each.
            return found.clone();
        };
        let spoken = open.iter().zip(spoken).filter(|(_, spoken)| *spoken);
        let spoken: Vec<Vec<u8>> = spoken.map(|(name, _)| (*name).clone()).collect();
        told.extend(spoken);
    }
    told
}

/// Whether a word that a program compares with stands in it as it is: an optimised program has it in its
/// instructions, and other processors than these know no constants of four bytes.
const WORDS_STAND_WHOLE: bool = cfg!(any(target_arch = "x86_64", target_arch = "x86"));

/// What whoever speaks of a variable, or of all whose names have its first part, has at least: the bytes that one
/// instruction compares with, four of them or two.
fn word(name: &[u8]) -> &[u8] {
    let first = name.iter().position(|byte| *byte == b'_');
    let part = first.map_or(name.len(), |at| at + 1);
    &name[..if part < 4 { part.min(2) } else { 4 }]
}

/// Whether it is no file that anybody wrote.
fn is_made_up(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|top| path.starts_with(top))
        || rekindle_fsx::stat_follow(path)
            .is_ok_and(|sig| sig.kind() == rekindle_fsx::FileKind::Dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment::new(variables, "/".into(), "/".into())
    }

    /// Every variable is found but those whose value begins with `-`.
    fn check(variables: &[(&str, &str)], speaker: &str, expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("speaker");
        rekindle_fsx::atomic::write(&file, speaker.as_bytes()).unwrap();
        let found = variables
            .iter()
            .filter(|(_, value)| !value.starts_with('-'))
            .map(|(name, _)| name.as_bytes().to_vec())
            .collect();
        let told = told(&environment(variables), &found, [&*file]);
        let expected: BTreeSet<Vec<u8>> = expected
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        assert_eq!(told, expected, "{variables:?} {speaker}");
    }

    #[test]
    fn a_short_value_counts_where_somebody_speaks_of_its_variable() {
        const BRANCH: (&str, &str) = ("GITHUB_REF_NAME", "main");
        const USER: (&str, &str) = ("USER", "root");
        check(&[BRANCH, USER], "fn main() { root() }", &[]);
        check(&[BRANCH], "starts_with(\"GITHUB_\")", &["GITHUB_REF_NAME"]);
        check(&[BRANCH, USER], "\0GITH\0", &["GITHUB_REF_NAME"]);
        check(&[USER], "$USER", &["USER"]);
        check(&[("CI_JOB_NAME", "test")], "C_I", &[]);
        check(&[("CI_JOB_NAME", "test")], "CI", &["CI_JOB_NAME"]);
        check(&[("PWD", "/tmp")], "PWD", &["PWD"]);
    }

    #[test]
    fn most_of_the_long_values_say_that_all_were_taken() {
        const BRANCH: (&str, &str) = ("GITHUB_REF_NAME", "main");
        const SERVER: (&str, &str) = ("GITHUB_SERVER_URL", "https://somewhere.test");
        const ABSENT: (&str, &str) = ("GITHUB_SHA", "-123456789abcdef");
        const ABSENT_2: (&str, &str) = ("GITHUB_REF", "-refs/heads/main");
        check(
            &[SERVER, BRANCH],
            "",
            &["GITHUB_SERVER_URL", "GITHUB_REF_NAME"],
        );
        check(
            &[SERVER, ABSENT, BRANCH],
            "",
            &["GITHUB_SERVER_URL", "GITHUB_REF_NAME"],
        );
        // An address is in many programs.
        check(
            &[SERVER, ABSENT, ABSENT_2, BRANCH],
            "",
            &["GITHUB_SERVER_URL"],
        );
        check(&[ABSENT, BRANCH], "", &[]);
    }

    #[test]
    fn what_cannot_be_read_may_speak_of_each() {
        let found = BTreeSet::from([b"USER".to_vec()]);
        let told = told(
            &environment(&[("USER", "root")]),
            &found,
            [Path::new("/nowhere/at/all")],
        );
        assert_eq!(told, found);
    }
}
