//! Command lines of `ar` and `ranlib`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rekindle_events::UncacheableReason;

use super::command::NotACompile;
use super::driver::{self, Tool};

/// A run that makes or changes an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// File name of the program, as it was called.
    pub program: OsString,
    /// Operation and modifiers, as in `cqD`; the digits `s` alone for `ranlib`.
    pub keys: String,
    /// The archive, as given. It is an input as well, where it is there.
    pub archive: PathBuf,
    /// Its new members' files, as given.
    pub members: Vec<PathBuf>,
}

fn odd(word: &OsStr) -> NotACompile {
    NotACompile::Uncacheable(UncacheableReason::Argument {
        argument: word.to_string_lossy().into_owned(),
    })
}

impl Archive {
    /// Takes a command line apart: the program, then its words with response files in their places.
    ///
    /// # Errors
    /// Why it makes no archive that may be reused.
    pub fn parse(program: &OsStr, words: &[OsString]) -> Result<Self, NotACompile> {
        let name = OsStr::from_bytes(driver::file_name(program)).to_owned();
        match Tool::of(program) {
            Some(Tool::Ar) => Self::of_ar(name, words),
            Some(Tool::Ranlib) => Self::of_ranlib(name, words),
            _ => Err(odd(program)),
        }
    }

    fn of_ar(program: OsString, words: &[OsString]) -> Result<Self, NotACompile> {
        let Some((keys, rest)) = words.split_first() else {
            return Err(NotACompile::Probe);
        };
        let text = keys.to_str().ok_or_else(|| odd(keys))?;
        if text.starts_with("--") {
            let is_question = ["--version", "--help"].contains(&text);
            return Err(if is_question {
                NotACompile::Probe
            } else {
                odd(keys)
            });
        }
        let text = text.strip_prefix('-').unwrap_or(text);
        let Some(operation) = text.chars().find(|key| "dmpqrtxs".contains(*key)) else {
            return Err(odd(keys));
        };
        match operation {
            'q' | 'r' | 's' => {}
            // They print, or write files named by the archive.
            'p' | 't' | 'x' => return Err(NotACompile::Probe),
            _ => return Err(odd(keys)),
        }
        // `T` and `P` make thin archives or keep whole paths, `u` looks at times, `a`, `b`, `i` and `N` take
        // a further word, `v` prints in an order of its own, `M` reads a script.
        if let Some(key) = text.chars().find(|key| !"qrscDUS".contains(*key)) {
            return Err(NotACompile::Uncacheable(UncacheableReason::Argument {
                argument: format!("{key} of ar"),
            }));
        }
        let Some((archive, members)) = rest.split_first() else {
            return Err(NotACompile::Probe);
        };
        if let Some(option) = rest.iter().find(|word| word.as_bytes().starts_with(b"-")) {
            return Err(odd(option));
        }
        Ok(Self {
            program,
            keys: text.to_owned(),
            archive: archive.into(),
            members: members.iter().map(PathBuf::from).collect(),
        })
    }

    fn of_ranlib(program: OsString, words: &[OsString]) -> Result<Self, NotACompile> {
        let mut archives = Vec::new();
        let mut keys = String::from("s");
        for word in words {
            match word.to_str() {
                Some("-D" | "-U") => keys.push_str(&word.to_string_lossy()[1..]),
                Some("--version" | "-V" | "-v" | "--help" | "-h" | "-H") => {
                    return Err(NotACompile::Probe);
                }
                _ if word.as_bytes().starts_with(b"-") => return Err(odd(word)),
                _ => archives.push(PathBuf::from(word)),
            }
        }
        match <[PathBuf; 1]>::try_from(archives) {
            Ok([archive]) => Ok(Self {
                program,
                keys,
                archive,
                members: Vec::new(),
            }),
            Err(_) => Err(NotACompile::Probe),
        }
    }

    /// Whether times, owners and modes of members' files stay out of the archive by the command line's own
    /// word. GNU ar may be built either way, so where neither is said `D` must be added.
    #[must_use]
    pub fn determinism(&self) -> Option<bool> {
        self.keys.chars().rev().find_map(|key| match key {
            'D' => Some(true),
            'U' => Some(false),
            _ => None,
        })
    }

    /// What of the command line decides about what is made. An archive holds the file names of its members;
    /// what is in them is read.
    #[must_use]
    pub fn keyed(&self) -> Vec<OsString> {
        let mut keyed = vec![self.program.clone(), OsString::from(&self.keys)];
        keyed.extend(self.members.iter().map(OsString::from));
        keyed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Archive, NotACompile> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Archive::parse(&words[0], &words[1..])
    }

    #[test]
    fn archives_are_made() {
        let made = parse("/usr/bin/ar cqD out/libx.a a.o b.o").unwrap();
        assert_eq!(made.archive, PathBuf::from("out/libx.a"));
        assert_eq!(made.members.len(), 2);
        assert_eq!(made.determinism(), Some(true));
        assert_eq!(parse("ar -crs x.a a.o").unwrap().determinism(), None);
        assert_eq!(parse("ar s x.a").unwrap().members.len(), 0);
        assert_eq!(parse("ar rcU x.a a.o").unwrap().determinism(), Some(false));
        let ranlib = parse("x86_64-linux-gnu-ranlib -D x.a").unwrap();
        assert_eq!(
            (ranlib.keys.as_str(), ranlib.determinism()),
            ("sD", Some(true))
        );
    }

    #[test]
    fn other_uses_of_ar() {
        for line in [
            "ar",
            "ar t x.a",
            "ar x x.a",
            "ar p x.a a.o",
            "ar --version",
            "ranlib -V",
            "ranlib",
        ] {
            assert_eq!(parse(line), Err(NotACompile::Probe), "{line}");
        }
        for line in [
            "ar rcT x.a a.o",
            "ar rcv x.a a.o",
            "ar d x.a a.o",
            "ar ru x.a a.o",
            "ar ra b.o x.a a.o",
            "ar --thin rc x.a",
            "ar rc --plugin=y x.a a.o",
            "ar rcN 1 x.a a.o",
            "ar -M",
            "ranlib -t x.a",
        ] {
            assert!(
                matches!(parse(line), Err(NotACompile::Uncacheable(_))),
                "{line}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_words_are_read(words in proptest::collection::vec("[-@a-zA-Z./ ]{0,12}", 0..8)) {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            for program in ["ar", "ranlib", "cc"] {
                if let Ok(archive) = Archive::parse(OsStr::new(program), &words) {
                    prop_assert!(archive.keyed().len() >= 2);
                }
            }
        }
    }
}
