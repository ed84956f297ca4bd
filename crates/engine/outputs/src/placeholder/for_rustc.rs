//! What rustc is shown of a crate's placeholder: metadata of a compiler that says what to do.
//!
//! rustc looks for a crate's metadata first, and of metadata first at which compiler made it; where that is
//! another one it names both (E0514). So a placeholder's text has metadata before it that ends with the name of
//! a compiler, and that name is advice. Read by rustc (`rmeta/decoder.rs`, `locator.rs` of `rustc_metadata`):
//!
//! ```text
//! .rmeta   "rust\0\0\0" VERSION, 8 bytes root, LENGTH name 0xC1 … "rust-end-file"
//! .rlib    an archive of `lib.rmeta`: the same
//! .so      "rust\0\0\0" VERSION, 8 bytes length: the same
//! ```
//!
//! Linkers and the loader refuse all three. Not mold, which passes over what it does not know in an archive; so there is an
//! object for no machine in it as well.

use std::ffi::OsStr;
use std::path::Path;

/// Begins the metadata of rustc 1.95. A rustc with another version says that the compiler is unknown.
const HEADER: &[u8] = b"rust\0\0\0\x0a";
/// Without the version.
const HEADER_NAME: usize = 7;
/// Metadata of a real crate has its root somewhere behind its header.
const NO_ROOT: [u8; 8] = [0; 8];
const STRING_END: u8 = 0xc1;
const END: &[u8] = b"rust-end-file";

/// The compiler, as rustc puts it into "crate `x` compiled by …: path".
const COMPILER: &[u8] = b"nobody here: this is Rekindle's placeholder; run `rekindle materialise`, or build with `rekindle`";

const ARCHIVE: &[u8] = b"!<arch>\n";
/// How long the head of an archive's member is.
const MEMBER_HEAD: usize = 60;

/// Where the text begins at the latest.
const TEXT_AT_MOST: usize = 1024;

/// How much of a file [`begins`] looks at.
pub(super) const BEGIN_BYTES: u64 = (ARCHIVE.len() + MEMBER_HEAD + 2 * HEADER.len()) as u64;

/// The text of a placeholder at this path, for a reader that is a compiler.
pub(super) fn dressed(path: &Path, text: Vec<u8>) -> Vec<u8> {
    match path.extension().and_then(OsStr::to_str) {
        Some("rmeta") => [&metadata(), &text[..], END].concat(),
        Some("rlib") => [archive(), text].concat(),
        Some("so") => {
            let metadata = whole_metadata();
            let length = (metadata.len() as u64).to_le_bytes();
            [HEADER, &length, &metadata, &text].concat()
        }
        _ => text,
    }
}

/// The text of what may be a crate's placeholder; other bytes as they are. Whatever the compiler is called.
pub(super) fn undressed<'a>(bytes: &'a [u8], begin: &[u8]) -> &'a [u8] {
    if !begins(bytes) {
        return bytes;
    }
    let head = &bytes[..bytes.len().min(TEXT_AT_MOST)];
    let Some(at) = memchr::memmem::find(head, begin) else {
        return bytes;
    };
    let text = &bytes[at..];
    text.strip_suffix(END).unwrap_or(text)
}

/// Whether a file that begins so may be a crate's placeholder, by metadata that has no root.
pub(super) fn begins(head: &[u8]) -> bool {
    let behind = |bytes: usize| head.get(bytes..).is_some_and(is_rootless);
    if head.starts_with(ARCHIVE) {
        return behind(ARCHIVE.len() + MEMBER_HEAD);
    }
    let length = size_of::<u64>();
    behind(0) || (head.starts_with(&HEADER[..HEADER_NAME]) && behind(HEADER.len() + length))
}

fn is_rootless(metadata: &[u8]) -> bool {
    let root = metadata.get(HEADER.len()..);
    metadata.starts_with(&HEADER[..HEADER_NAME])
        && root.is_some_and(|root| root.starts_with(&NO_ROOT))
}

/// All but its end.
fn metadata() -> Vec<u8> {
    let length = u8::try_from(COMPILER.len()).unwrap_or(0);
    [HEADER, &NO_ROOT, &[length], COMPILER, &[STRING_END, b'\n']].concat()
}

fn whole_metadata() -> Vec<u8> {
    [&metadata(), END].concat()
}

fn archive() -> Vec<u8> {
    let mut archive = ARCHIVE.to_vec();
    member(&mut archive, "lib.rmeta/", &whole_metadata());
    member(&mut archive, "none.o/", &object());
    archive
}

fn member(archive: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let head = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        0,
        644,
        bytes.len()
    );
    archive.extend_from_slice(head.as_bytes());
    archive.extend_from_slice(bytes);
    if !bytes.len().is_multiple_of(2) {
        archive.push(b'\n');
    }
}

/// An object of 64 bits for a machine that there is none of.
fn object() -> Vec<u8> {
    const NO_MACHINE: u16 = 0xfeed;
    let mut object = b"\x7fELF\x02\x01\x01".to_vec();
    object.resize(16, 0);
    object.extend_from_slice(&1u16.to_le_bytes());
    object.extend_from_slice(&NO_MACHINE.to_le_bytes());
    object.extend_from_slice(&1u32.to_le_bytes());
    object.resize(64, 0);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"text\nend\n";

    #[test]
    fn what_is_put_on_is_taken_off_again() {
        for name in ["liba.rmeta", "liba.rlib", "liba.so", "a", "a.o"] {
            let dressed = dressed(Path::new(name), TEXT.to_vec());
            assert_eq!(undressed(&dressed, b"text\n"), TEXT, "{name}");
            let head = &dressed[..dressed.len().min(BEGIN_BYTES as usize)];
            assert_eq!(begins(head), name.starts_with("lib"), "{name}");
        }
    }

    #[test]
    fn a_name_fits_into_its_length() {
        assert!(
            COMPILER.len() < 0x80,
            "longer ones have two bytes of length"
        );
        assert!(archive().len() < TEXT_AT_MOST);
    }

    #[test]
    fn real_metadata_has_a_root() {
        let real = [HEADER, &77u64.to_le_bytes(), b"\x05rustc\xc1text\n"].concat();
        assert!(!begins(&real));
        assert_eq!(undressed(&real, b"text\n"), real);
        let mut archive = ARCHIVE.to_vec();
        member(&mut archive, "lib.rmeta/", &real);
        assert!(!begins(&archive));
        let placeholder = dressed(Path::new("liba.rlib"), TEXT.to_vec());
        for (bytes, begin) in [(archive, usize::MAX), (placeholder, BEGIN_BYTES as usize)] {
            for length in 0..bytes.len() {
                assert_eq!(begins(&bytes[..length]), length >= begin, "{length}");
            }
        }
    }
}
