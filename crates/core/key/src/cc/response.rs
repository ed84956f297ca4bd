//! `@file` on command lines of gcc, clang and binutils: words of a file in the place of its name.
//!
//! The rules are those of libiberty's `expandargv` and `buildargv`, which LLVM's GNU style shares: words are
//! apart by white space; single and double quotes hold it; a backslash takes the next byte as it is,
//! inside quotes too; a file that cannot be read leaves the word as it stands; files may name files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// libiberty stops at this many files, too: a file may name itself.
pub const MAX_FILES: usize = 2000;

/// Words that a command line may grow to; far more than any real one.
const MAX_WORDS: usize = 1 << 20;

/// A command line that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its response files name each other without end")]
pub struct Endless;

/// The command line without response files. `read` gives the bytes of a file by its name as it stands in
/// the command line, `None` where it cannot be read.
///
/// # Errors
/// [`Endless`].
pub fn expand(
    words: &[OsString],
    mut read: impl FnMut(&OsStr) -> Option<Vec<u8>>,
) -> Result<Vec<OsString>, Endless> {
    let mut expanded = Vec::with_capacity(words.len());
    let mut pending: Vec<OsString> = words.iter().rev().cloned().collect();
    let mut files = 0;
    while let Some(word) = pending.pop() {
        if let Some(name) = word.as_bytes().strip_prefix(b"@")
            && let Some(bytes) = read(OsStr::from_bytes(name))
        {
            files += 1;
            pending.extend(split(&bytes).into_iter().rev());
            if files > MAX_FILES || pending.len() > MAX_WORDS {
                return Err(Endless);
            }
            continue;
        }
        expanded.push(word);
    }
    Ok(expanded)
}

/// The words of a response file.
#[must_use]
pub fn split(bytes: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        match (byte, quote) {
            // libiberty stops at a NUL, as C strings do.
            (0, _) => break,
            (b'\\', _) => {
                let escaped = rest.next();
                word.get_or_insert_default().extend(escaped);
            }
            (byte, Some(open)) if byte == open => quote = None,
            (byte, Some(_)) => word.get_or_insert_default().push(byte),
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (byte, None) if byte.is_ascii_whitespace() || byte == 0x0b => words.extend(word.take()),
            (byte, None) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_gcc_does() {
        let check = |text: &str, expected: &[&str]| {
            let expected: Vec<OsString> = expected.iter().map(OsString::from).collect();
            assert_eq!(split(text.as_bytes()), expected, "{text:?}");
        };
        check(" -c\ta.c\n-o  b.o\r\n", &["-c", "a.c", "-o", "b.o"]);
        check("'a b' \"c d\" e\\ f", &["a b", "c d", "e f"]);
        check("-DX=\\\"y\\\" '' \"a\\\"b\"", &["-DX=\"y\"", "", "a\"b"]);
        check("'it\\'s' ab\"cd\"ef", &["it's", "abcdef"]);
        check("a\\", &["a"]);
        check("", &[]);
    }

    #[test]
    fn files_name_files_and_what_is_none_stays() {
        let read = |name: &OsStr| match name.to_str() {
            Some("one") => Some(b"-a @two @three".to_vec()),
            Some("two") => Some(b"-b".to_vec()),
            Some("self") => Some(b"@self x".to_vec()),
            _ => None,
        };
        let words = |list: &[&str]| -> Vec<OsString> { list.iter().map(OsString::from).collect() };
        let expanded = expand(&words(&["-c", "@one", "z", "@"]), read).unwrap();
        assert_eq!(expanded, words(&["-c", "-a", "-b", "@three", "z", "@"]));
        assert_eq!(expand(&words(&["@self"]), read), Err(Endless));
    }

    proptest! {
        #[test]
        fn any_bytes_are_split(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&bytes);
        }
    }
}
