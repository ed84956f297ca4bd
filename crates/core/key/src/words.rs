//! Of which variables a program speaks: who looks for a name holds at least its beginning.
//!
//! A name stands in a program as it is, is put together from parts (`CFLAGS`, `_`, the target), or was folded into
//! instructions that compare eight bytes at a time, four of fewer, or two of three.

use std::collections::BTreeSet;

/// What whoever speaks of a variable, or of all whose names have its first part, has at least.
#[must_use]
pub fn beginning(name: &[u8]) -> &[u8] {
    let part = first_part(name);
    &name[..if part < 4 { part.min(2) } else { 4 }]
}

/// How long a name's first part is.
fn first_part(name: &[u8]) -> usize {
    let first = name.iter().position(|byte| *byte == b'_');
    first.filter(|at| *at > 0).unwrap_or(name.len())
}

/// What stands in a program of names in capitals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    words: BTreeSet<Vec<u8>>,
    /// One that may go on in the next piece.
    open: Vec<u8>,
}

/// Between words in a path set.
const BETWEEN: u8 = b'\n';

fn is_of_a_name(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')
}

impl Words {
    /// The shortest that is kept.
    const LEAST: usize = 3;

    /// Adds those of a piece of what a program loads.
    pub fn add(&mut self, piece: &[u8]) {
        for byte in piece {
            if is_of_a_name(*byte) {
                self.open.push(*byte);
            } else {
                self.end();
            }
        }
    }

    /// What comes next does not follow what came before.
    pub fn end(&mut self) {
        if self.open.len() >= Self::LEAST && !self.words.contains(&self.open) {
            self.words.insert(self.open.clone());
        }
        self.open.clear();
    }

    /// Whether a variable may be asked for.
    #[must_use]
    pub fn speak_of(&self, name: &[u8]) -> bool {
        let part = first_part(name);
        // A name of three bytes is compared two at a time.
        if part < Self::LEAST || name.len() == Self::LEAST {
            return true;
        }
        let beginning = &name[..part.min(if name.len() < 8 { 4 } else { 8 })];
        // Of names that are not in capitals nothing is known.
        let is_known = beginning.iter().all(|byte| is_of_a_name(*byte));
        let mut words = self.words.iter();
        !is_known || words.any(|word| memchr::memmem::find(word, beginning).is_some())
    }

    /// As a name in a path set.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let words: Vec<&[u8]> = self.words.iter().map(Vec::as_slice).collect();
        words.join(&BETWEEN)
    }

    /// Reads a name.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut words = Self::default();
        words.add(bytes);
        words.end();
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Words {
        Words::decode(text.as_bytes())
    }

    #[test]
    fn a_name_begins_with_what_its_reader_holds() {
        let check = |name: &str, expected: &str| {
            assert_eq!(beginning(name.as_bytes()), expected.as_bytes(), "{name}");
        };
        check("GITHUB_REF_NAME", "GITH");
        check("USER", "USER");
        check("AWS_REGION", "AW");
        check("CI_JOB_NAME", "CI");
        check("PWD", "PW");
        check("_X", "_X");
    }

    #[test]
    fn a_program_speaks_of_what_it_can_ask_for() {
        let program = words("\0CFLAGSHOSTTARGET\0CXXx\0");
        let check = |name: &str, expected: bool| {
            assert_eq!(program.speak_of(name.as_bytes()), expected, "{name}");
        };
        check("CFLAGS", true);
        check("CFLAGS_x86_64_unknown_linux_gnu", true);
        check("HOST_CC", true);
        check("TARGET_AR", true);
        check("CXX_x86_64_unknown_linux_gnu", true);
        check("HOSTNAME", false);
        check("DATABASE_URL", false);
        check("FOO_BAR", false);
        // Too short, or not in capitals: not known.
        for name in ["CC", "CC_x86_64", "AR_PATH", "FOO", "http_proxy", "_X", ""] {
            check(name, true);
        }
    }

    #[test]
    fn what_instructions_compare_with_is_what_stands_in_them() {
        assert!(words("DATABASE").speak_of(b"DATABASE_URL"));
        assert!(!words("DATA").speak_of(b"DATABASE_URL"));
        assert!(words("SDKR OOT").speak_of(b"SDKROOT"));
        assert!(words("QSDKROOT_X").speak_of(b"SDKROOT"));
    }

    #[test]
    fn pieces_make_the_same_words() {
        let text = "the CFLAGS of a HOST_CC, and SDKROOT";
        for cut in 0..text.len() {
            let mut pieces = Words::default();
            pieces.add(&text.as_bytes()[..cut]);
            pieces.add(&text.as_bytes()[cut..]);
            pieces.end();
            assert_eq!(pieces, words(text), "{cut}");
        }
        let mut apart = Words::default();
        apart.add(b"ABC");
        apart.end();
        apart.add(b"DEF");
        apart.end();
        assert_eq!(apart.encode(), b"ABC\nDEF");
    }

    proptest! {
        #[test]
        fn any_program_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let words = Words::decode(&bytes);
            prop_assert_eq!(Words::decode(&words.encode()), words);
        }
    }
}
