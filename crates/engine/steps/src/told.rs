//! Variables that do not count where all are read: of which of them something was made all the same.
//!
//! Nobody asked for them by name, so their values are looked for in what was made. A commit's digest is found where
//! it was put; `main` and `true` are found in most programs, whoever wrote them. A short value therefore counts only
//! where it can have come from the variable: who picks one out of all speaks of it, and who takes all as they are takes
//! the long ones as well.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_fsx::scan;
use rekindle_key::variables::{NEVER_KEYED, NOT_KEYED_AS_A_WHOLE, is_among, is_telling};
use rekindle_key::words::{self, Words};
use rekindle_outputs::environment::Environment;

/// A value of so many bytes is nowhere by chance.
const LONG_BYTES: usize = 16;

/// A variable and its value.
pub type Variable<'a> = (&'a [u8], &'a [u8]);

/// The variables that do not count among all, and whose values are looked for.
pub fn left_out(environment: &Environment) -> impl Iterator<Item = Variable<'_>> {
    telling(environment).filter(|(name, _)| is_among(name, NOT_KEYED_AS_A_WHOLE))
}

/// The variables of which a program does not speak, and whose values are looked for: somebody may have got them by
/// another way than by a name.
pub(crate) fn unspoken<'a>(
    environment: &'a Environment,
    words: &Words,
) -> impl Iterator<Item = Variable<'a>> {
    telling(environment).filter(|(name, _)| {
        !is_among(name, NEVER_KEYED)
            && (is_among(name, NOT_KEYED_AS_A_WHOLE) || !words.speak_of(name))
    })
}

fn telling(environment: &Environment) -> impl Iterator<Item = Variable<'_>> {
    let telling = environment.iter().filter(|(_, value)| is_telling(value));
    telling.map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

/// What of some variables counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// These.
    pub names: BTreeSet<Vec<u8>>,
    /// It is as if all had been taken as they are.
    pub is_all: bool,
}

/// Those of `found`, of the variables that were looked for the ones whose values stand in what was made, that count.
/// `speakers` are the programs, libraries and files that may speak of one.
#[must_use]
pub fn told<'p>(
    looked_for: &[Variable<'_>],
    found: &BTreeSet<Vec<u8>>,
    speakers: impl IntoIterator<Item = &'p Path>,
) -> Told {
    let long = looked_for
        .iter()
        .filter(|(name, value)| value.len() >= LONG_BYTES && found.contains(*name));
    let mut told: BTreeSet<Vec<u8>> = long.map(|(name, _)| name.to_vec()).collect();
    // Paths are there for reasons of their own: debug information names directories.
    let signs = looked_for
        .iter()
        .filter(|(_, value)| value.len() >= LONG_BYTES && !value.starts_with(b"/"));
    let taken = signs.clone().filter(|(name, _)| told.contains(*name));
    let (taken, signs) = (taken.count(), signs.count());
    let every = |is_all| Told {
        names: found.clone(),
        is_all,
    };
    if taken > 0 && 2 * taken >= signs {
        return every(true);
    }
    if !WORDS_STAND_WHOLE {
        return every(false);
    }
    for speaker in speakers {
        let open: Vec<&Vec<u8>> = found.difference(&told).collect();
        if open.is_empty() {
            break;
        }
        if is_made_up(speaker) {
            continue;
        }
        let words: Vec<&[u8]> = open.iter().map(|name| words::beginning(name)).collect();
        let spoken = match scan::find_any(speaker, &words) {
            Ok(spoken) => spoken,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => continue,
            // What cannot be read may speak of each.
            Err(_) => return every(false),
        };
        let spoken = open.iter().zip(spoken).filter(|(_, spoken)| *spoken);
        let spoken: Vec<Vec<u8>> = spoken.map(|(name, _)| (*name).clone()).collect();
        told.extend(spoken);
    }
    Told {
        names: told,
        is_all: false,
    }
}

/// Whether a word that a program compares with stands in it as it is: an optimised program has it in its
/// instructions, and other processors than these know no constants of four bytes.
pub(crate) const WORDS_STAND_WHOLE: bool = cfg!(any(target_arch = "x86_64", target_arch = "x86"));

/// Whether it is no file that anybody wrote.
fn is_made_up(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|top| path.starts_with(top))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every variable is found but those whose value begins with `-`.
    fn check(variables: &[(&str, &str)], speaker: &str, expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("speaker");
        rekindle_fsx::atomic::write(&file, speaker.as_bytes()).unwrap();
        let looked_for: Vec<Variable<'_>> = variables
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let found = looked_for
            .iter()
            .filter(|(_, value)| !value.starts_with(b"-"))
            .map(|(name, _)| name.to_vec())
            .collect();
        let told = told(&looked_for, &found, [&*file]);
        let expected: BTreeSet<Vec<u8>> = expected
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        assert_eq!(told.names, expected, "{variables:?} {speaker}");
    }

    #[test]
    fn a_short_value_counts_where_somebody_speaks_of_its_variable() {
        const BRANCH: (&str, &str) = ("GITHUB_REF_NAME", "main");
        const USER: (&str, &str) = ("USER", "root");
        check(&[BRANCH, USER], "fn main() { root() }", &[]);
        check(&[BRANCH], "starts_with(\"GITHUB_\")", &["GITHUB_REF_NAME"]);
        check(&[BRANCH, USER], "\0GITH\0", &["GITHUB_REF_NAME"]);
        check(&[USER], "$USER", &["USER"]);
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
        // So is a directory.
        const HERE: (&str, &str) = ("PWD", "/home/somebody/project");
        check(&[HERE, BRANCH], "", &["PWD"]);
    }

    #[test]
    fn what_cannot_be_read_may_speak_of_each() {
        let found = BTreeSet::from([b"USER".to_vec()]);
        let looked_for: [Variable<'_>; 1] = [(b"USER", b"root")];
        let told = told(&looked_for, &found, [Path::new("/nowhere/at/all")]);
        assert_eq!(told.names, found);
        // A directory says nothing.
        let told = super::told(&looked_for, &found, [Path::new("/")]);
        assert_eq!(told.names, BTreeSet::new());
    }

    #[test]
    fn what_a_program_does_not_speak_of_is_looked_for() {
        let variables = [
            ("CFLAGS", "-O2 -g"),
            ("GREETING", "hello"),
            ("GITHUB_REF_NAME", "main"),
            ("NUM_JOBS", "1000"),
            ("X_SHORT", "yes"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::new(variables, "/".into(), "/".into());
        let mut words = Words::default();
        words.add(b"CFLAGS GITHUB_ ");
        let names: Vec<&[u8]> = unspoken(&environment, &words)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, [b"GITHUB_REF_NAME".as_slice(), b"GREETING"]);
    }
}
