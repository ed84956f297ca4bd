//! Files of autoconf's scripts that are not what they seem to be when outputs are looked through.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use memchr::memmem;

/// What autoconf's scripts write for people, the host's name among it. Nothing reads it.
pub(crate) const LOG: &str = "config.log";

/// What makes the files that a `configure` script is for. It holds the value of each name as a string of awk's, and since old
/// ones know no long lines, strings are broken after 148 bytes, in the middle of paths as well.
const STATUS: &str = "config.status";

/// Where a string is broken: its end, a line that goes on, another string.
const BREAK: &[u8] = b"\"\\\n\"";

/// The text of a file in which each of some paths stands in one piece: strings are joined where one was broken. To awk they are the same.
/// A path of another length breaks them elsewhere, so no text could be right for two directories and keep its lines.
pub(crate) fn in_one_piece<'a>(
    file: &Path,
    text: Vec<u8>,
    paths: impl Iterator<Item = &'a Path>,
) -> Vec<u8> {
    if file.file_name() != Some(OsStr::new(STATUS)) {
        return text;
    }
    let breaks: Vec<usize> = memmem::find_iter(&text, BREAK).collect();
    if breaks.is_empty() {
        return text;
    }
    let joined = without(&text, &breaks);
    // Where each break was, in the joined text.
    let places: Vec<usize> = breaks
        .iter()
        .enumerate()
        .map(|(earlier, at)| at - earlier * BREAK.len())
        .collect();
    let mut inside = vec![false; breaks.len()];
    for path in paths {
        let path = path.as_os_str().as_bytes();
        for start in memmem::find_iter(&joined, path) {
            let first = places.partition_point(|place| *place <= start);
            let last = places.partition_point(|place| *place < start + path.len());
            inside[first..last].fill(true);
        }
    }
    let inside: Vec<usize> = std::iter::zip(breaks, inside)
        .filter_map(|(at, is_inside)| is_inside.then_some(at))
        .collect();
    without(&text, &inside)
}

/// A text less the [`BREAK`]s at these places.
fn without(text: &[u8], breaks: &[usize]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in breaks {
        kept.extend_from_slice(&text[from..*at]);
        from = at + BREAK.len();
    }
    kept.extend_from_slice(&text[from..]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(file: &str, text: &str) -> String {
        let paths = [Path::new("/w/target"), Path::new("/home")];
        let text = text.replace('|', "\"\\\n\"").into_bytes();
        let text = in_one_piece(Path::new(file), text, paths.into_iter());
        String::from_utf8(text).unwrap().replace("\"\\\n\"", "|")
    }

    #[test]
    fn strings_are_joined_where_a_path_was_broken() {
        for (text, expected) in [
            ("S=\"/w/tar|get/x\"", "S=\"/w/target/x\""),
            ("S=\"/|w/tar|get/x\"", "S=\"/w/target/x\""),
            (
                "S=\"a|b /w/targ|et/x|y\" /ho|me",
                "S=\"a|b /w/target/x|y\" /home",
            ),
            ("S=\"|/w/target|/x\"", "S=\"|/w/target|/x\""),
            ("S=\"/w/tar|x\"", "S=\"/w/tar|x\""),
        ] {
            assert_eq!(joined("/o/config.status", text), expected);
            assert_eq!(joined("/o/other", text), text);
        }
    }
}
