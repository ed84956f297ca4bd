//! What no observation of files can see: words in sources that make each compile another one, or that bring
//! names of files into the output.

/// Macros that stand for the present, or for a file's time.
pub const TIME_MACROS: [&str; 3] = ["__DATE__", "__TIME__", "__TIMESTAMP__"];

/// Macros and functions that stand for the name of a file.
pub const FILE_MACROS: [&str; 5] = [
    "__FILE__",
    "__BASE_FILE__",
    "__FILE_NAME__",
    "__builtin_FILE",
    "source_location",
];

/// The first of `words` that stands in a source as a whole word.
#[must_use]
pub fn first_word<'a>(source: &[u8], words: &[&'a str]) -> Option<&'a str> {
    words.iter().copied().find(|word| holds(source, word))
}

/// Whether a source holds a word, whole. Comments and strings count: no preprocessor is at hand to tell.
#[must_use]
pub fn holds(source: &[u8], word: &str) -> bool {
    let part_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    memchr::memmem::find_iter(source, word.as_bytes()).any(|at| {
        let before = at.checked_sub(1).and_then(|at| source.get(at));
        let after = source.get(at + word.len());
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert_eq!(first_word(b"x = __TIME__;", &TIME_MACROS), Some("__TIME__"));
        assert_eq!(
            first_word(b"__TIMESTAMP__", &TIME_MACROS),
            Some("__TIMESTAMP__")
        );
        assert_eq!(first_word(b"MY__TIME__ __TIME__X", &TIME_MACROS), None);
        assert_eq!(
            first_word(b"MY__TIME__ __TIME__", &TIME_MACROS),
            Some("__TIME__")
        );
        assert!(!holds(b"", "x"));
    }
}
