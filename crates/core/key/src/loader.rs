//! The dynamic loader's index of libraries, `/etc/ld.so.cache`: which files a library's name leads to.
//!
//! The file is written anew whenever any package with a library is installed, so its bytes differ between
//! machines on which every program loads the same libraries. What counts is what a name leads to.
//!
//! The form is glibc's: a magic, the number of entries, the size of their strings, then entries of 24 bytes
//! with offsets of two strings from the beginning. Bytes from outside: anything else is no index.

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;

/// Where it lies.
pub const INDEX: &[u8] = b"/etc/ld.so.cache";

/// Whether a file's name is one that the loader would ask for.
#[must_use]
pub fn is_library(file_name: &[u8]) -> bool {
    let at = memchr::memmem::find(file_name, b".so");
    at.is_some_and(|at| matches!(file_name.get(at + 3), None | Some(b'.')))
}

/// What stands for a name: its entries in their order, each with its flags, hardware and path. `None` where
/// the bytes are no index of a known form.
#[must_use]
pub fn entries<'a>(index: &'a [u8], name: &[u8]) -> Option<Vec<&'a [u8]>> {
    if !index.starts_with(MAGIC) {
        return None;
    }
    let count = usize::try_from(number(index, MAGIC.len())?).ok()?;
    let mut found = Vec::new();
    for at in (0..count).map(|entry| HEADER_BYTES + entry * ENTRY_BYTES) {
        let entry = index.get(at..at.checked_add(ENTRY_BYTES)?)?;
        if text(index, number(entry, 4)?)? == name {
            // Flags; then the system's version and the hardware.
            found.extend([&entry[..4], &entry[12..]]);
            found.push(text(index, number(entry, 8)?)?);
        }
    }
    Some(found)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn text(bytes: &[u8], at: u32) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let end = memchr::memchr(0, rest)?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An index of names and paths.
    fn index(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut table = Vec::new();
        let start = HEADER_BYTES + entries.len() * ENTRY_BYTES;
        let mut push = |text: &str| {
            let at = u32::try_from(start + strings.len()).unwrap();
            strings.extend(text.bytes().chain([0]));
            at.to_ne_bytes()
        };
        for (name, path) in entries {
            table.extend(3u32.to_ne_bytes());
            table.extend(push(name));
            table.extend(push(path));
            table.extend([0; 12]);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::try_from(entries.len()).unwrap().to_ne_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend(table);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn a_name_leads_to_its_own_paths_whatever_else_is_installed() {
        let few = index(&[("libz.so.1", "/lib/libz.so.1")]);
        let many = index(&[("liba.so", "/lib/liba.so"), ("libz.so.1", "/lib/libz.so.1")]);
        let moved = index(&[("libz.so.1", "/opt/libz.so.1")]);
        let of = |index: &[u8]| entries(index, b"libz.so.1").map(|found| found.concat());
        assert!(of(&few).is_some_and(|found| found.ends_with(b"/lib/libz.so.1")));
        assert_eq!(of(&few), of(&many));
        assert_ne!(of(&few), of(&moved));
        assert_eq!(entries(&few, b"libx.so"), Some(Vec::new()));
    }

    #[test]
    fn other_bytes_are_no_index() {
        let whole = index(&[("libz.so.1", "/lib/libz.so.1")]);
        assert_eq!(entries(b"ld.so-1.7.0", b"libz.so.1"), None);
        assert_eq!(entries(&whole[..whole.len() - 1], b"libz.so.1"), None);
    }

    #[test]
    fn libraries_are_known_by_their_names() {
        let check = |name: &str, expected| assert_eq!(is_library(name.as_bytes()), expected);
        check("libz.so", true);
        check("libz.so.1.2", true);
        check("ld-linux-x86-64.so.2", true);
        check("libz.a", false);
        check("x.sort", false);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = entries(&[MAGIC, &tail].concat(), b"x");
        }
    }
}
