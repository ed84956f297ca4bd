//! cargo's cache of a sparse registry's index: one file for every name.
//!
//! ```text
//! 1 byte     3: the cache's version
//! 4 bytes    2: the version of what it holds, little-endian
//! text, 0    what to ask the registry with whether it is current; `Unknown` for "ask for all of it"
//! and for every version of the package:
//! text, 0    the version
//! JSON, 0    the registry's line about it
//! ```
//!
//! Of the versions only those in the lock file are stored and restored, a hundredth of the whole, and the
//! file says `Unknown`, so that a cargo that looks for newer ones downloads the whole. Another version of
//! the cache is left to cargo.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::lockfile::Locked;

const HEAD: &[u8] = &[3, 2, 0, 0, 0];
const UNKNOWN: &[u8] = b"Unknown\0";

/// The file about a package, below the registry's directory.
pub(super) fn file_of(name: &str) -> PathBuf {
    let name = name.to_ascii_lowercase();
    // Names are ASCII, see `is_plain`.
    let shards = match name.len() {
        1 => "1".to_owned(),
        2 => "2".to_owned(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    };
    Path::new(".cache").join(shards).join(name)
}

#[derive(Deserialize)]
struct Line {
    name: String,
    vers: String,
    cksum: String,
}

/// The registry's line about a package, out of a file; `None` where it has none with this checksum, or is
/// of another version of the cache.
pub(super) fn line_of<'a>(file: &'a [u8], package: &Locked) -> Option<&'a [u8]> {
    let rest = file.strip_prefix(HEAD)?;
    let mut parts = rest.split(|byte| *byte == 0).skip(1);
    while let (Some(version), Some(line)) = (parts.next(), parts.next()) {
        if version == package.version.as_bytes() {
            return is_about(line, package).then_some(line);
        }
    }
    None
}

/// Whether a line is about this package.
pub(super) fn is_about(line: &[u8], package: &Locked) -> bool {
    serde_json::from_slice::<Line>(line).is_ok_and(|line| {
        line.name == package.name && line.vers == package.version && line.cksum == package.checksum
    }) && !line.contains(&0)
}

/// A file with these versions and lines.
pub(super) fn file_with<'a>(lines: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut file = [HEAD, UNKNOWN].concat();
    for (version, line) in lines {
        file.extend_from_slice(version.as_bytes());
        file.push(0);
        file.extend_from_slice(line);
        file.push(0);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: &str) -> Locked {
        Locked {
            name: "Abc".to_owned(),
            version: version.to_owned(),
            source: String::new(),
            checksum: "00".to_owned(),
        }
    }

    #[test]
    fn lines_are_found_by_version_and_checksum() {
        let line = |version: &str, sum: &str| {
            format!("{{\"name\":\"Abc\",\"vers\":\"{version}\",\"cksum\":\"{sum}\",\"deps\":[]}}")
        };
        let (one, two) = (line("1.0.0", "00"), line("2.0.0", "01"));
        let file = file_with([("1.0.0", one.as_bytes()), ("2.0.0", two.as_bytes())]);
        assert_eq!(line_of(&file, &package("1.0.0")), Some(one.as_bytes()));
        assert_eq!(line_of(&file, &package("2.0.0")), None);
        assert_eq!(line_of(&file, &package("3.0.0")), None);
        let mut other = file.clone();
        other[0] = 4;
        assert_eq!(line_of(&other, &package("1.0.0")), None);
        for length in 0..file.len() {
            let _ = line_of(&file[..length], &package("1.0.0"));
        }
    }

    #[test]
    fn files_are_where_cargo_looks() {
        for (name, file) in [
            ("a", ".cache/1/a"),
            ("ab", ".cache/2/ab"),
            ("Abc", ".cache/3/a/abc"),
            ("serde", ".cache/se/rd/serde"),
        ] {
            assert_eq!(file_of(name), Path::new(file));
        }
    }
}
