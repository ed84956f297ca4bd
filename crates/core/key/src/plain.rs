//! Where a path lies, by its bytes.
//!
//! [`Path`] compares part by part, as `a//b` and `a/./b` are `a/b`. A compile of C looks for many hundred files, each of which is
//! held against each root, and the paths that an observer saw have neither: so theirs are compared as bytes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether a path is absolute and has no part that is empty or `.`: then one that is the same has the same bytes.
#[must_use]
pub fn is_plain(path: &[u8]) -> bool {
    let Some((b'/', mut rest)) = path.split_first() else {
        return false;
    };
    while let Some(end) = memchr::memchr(b'/', rest) {
        if matches!(rest[..end], [] | [b'.']) {
            return false;
        }
        rest = &rest[end + 1..];
    }
    !matches!(rest, [] | [b'.'])
}

/// What is left of a path below a directory, without a slash before it: empty for the directory itself, `None` for what is
/// elsewhere. As [`Path::strip_prefix`].
#[must_use]
pub fn below<'a>(path: &'a Path, directory: &Path) -> Option<&'a [u8]> {
    let (whole, above) = (
        path.as_os_str().as_bytes(),
        directory.as_os_str().as_bytes(),
    );
    if is_plain(whole) && is_plain(above) {
        return below_plain(whole, above);
    }
    let rest = path.strip_prefix(directory).ok()?;
    Some(rest.as_os_str().as_bytes())
}

/// [`below`], where both are known to be plain.
pub(crate) fn below_plain<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    match path.strip_prefix(directory)? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Whether two paths are the same, as [`Path`] has it.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    let (bytes, others) = (one.as_os_str().as_bytes(), other.as_os_str().as_bytes());
    // Mostly the last bytes differ, which tells, unless a path ends with what does not count.
    let last = |path: &[u8]| path.last().copied();
    let may_be = |path: &[u8]| matches!(last(path), Some(b'/' | b'.'));
    bytes == others
        || ((last(bytes) == last(others) || may_be(bytes) || may_be(others))
            && !(is_plain(bytes) && is_plain(others))
            && one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: &[&str] = &[
        "/", "/a", "/a/", "/a/.", "/a/b", "/a//b", "/a/./b", "/a/bc", "/a/b/c", "/a/b/..", "/a/b.",
        "/a/.b", "//a", "/./a", "a", "a/b", "./a", "", ".", "/a/b/.", "/a/b/./", "/a/...",
        "/.../b",
    ];

    #[test]
    fn paths_are_compared_as_the_standard_library_does() {
        for (one, other) in PATHS
            .iter()
            .flat_map(|one| PATHS.iter().map(move |other| (one, other)))
        {
            let (path, directory) = (Path::new(one), Path::new(other));
            let rest = path.strip_prefix(directory).ok();
            let rest = rest.map(|rest| rest.as_os_str().as_bytes());
            assert_eq!(below(path, directory), rest, "{one:?} below {other:?}");
            assert_eq!(
                is_same(path, directory),
                path == directory,
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn a_plain_path_is_spelled_in_one_way() {
        let plain: Vec<&str> = PATHS
            .iter()
            .copied()
            .filter(|path| is_plain(path.as_bytes()))
            .collect();
        let expected = [
            "/a", "/a/b", "/a/bc", "/a/b/c", "/a/b/..", "/a/b.", "/a/.b", "/a/...", "/.../b",
        ];
        assert_eq!(plain, expected);
    }
}
