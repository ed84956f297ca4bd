//! Programs that are known by their names.

use std::path::Path;

/// Whether a program is one of some, also as `x86_64-linux-gnu-gcc-12`, and `ld.bfd` as `ld`.
#[must_use]
pub fn is_of_kind(program: &Path, kinds: &[&str]) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let is_version = |word: &&str| {
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    // Names such as `pkg-config` have parts themselves.
    let last = name.rsplit('-').find(|word| !is_version(word));
    let kind = last.and_then(|word| word.split('.').next());
    kinds.contains(&&*name) || kind.is_some_and(|kind| kinds.contains(&kind))
}

/// Compilers of C, their parts and what they start. They ask what a terminal can show to colour what they say, where they say it to one,
/// and where temporary files go, which are gone afterwards. They make nothing else of it.
#[cfg(observable)]
const COMPILING: &[&str] = &[
    "cc", "c++", "gcc", "g++", "clang", "clang++", "cc1", "cc1plus", "lto1", "collect2", "as",
    "ld", "lld", "mold",
];

/// Whether a program makes nothing of [some variables](is_of_surroundings).
#[cfg(observable)]
pub(crate) fn compiles(program: &Path) -> bool {
    is_of_kind(program, COMPILING)
}

/// Whether a variable says what a terminal can show, or where temporary files go.
#[cfg(observable)]
pub(crate) fn is_of_surroundings(name: &[u8]) -> bool {
    matches!(name, b"TERM" | b"COLORTERM" | b"TMPDIR" | b"TMP" | b"TEMP")
}
