//! Where the custom sections of a WebAssembly module are: debug information is in some of them.
//!
//! A module is a head of eight bytes and sections, each of them a number, a length and that many bytes; those of a custom
//! section begin with its name (WebAssembly Core Specification, "Binary Format", "Modules"). Nothing else is looked into.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// The magic number, and the version of all modules that are no components.
const HEAD: [u8; 8] = *b"\0asm\x01\0\0\0";

/// Longer names are none of those that are looked for.
const MAX_NAME: u64 = 64;

/// A custom section's name, and where its content is in the file.
pub(crate) type Section = (Vec<u8>, Range<u64>);

/// The custom sections of a module; `None` for what is no module.
///
/// # Errors
/// As reading it; a section that ends behind the file is invalid data.
pub(crate) fn custom_sections<F: Read + Seek>(file: &mut F) -> io::Result<Option<Vec<Section>>> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut head = [0; HEAD.len()];
    if end < head.len() as u64 {
        return Ok(None);
    }
    file.read_exact(&mut head)?;
    if head != HEAD {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut at = head.len() as u64;
    while at < end {
        let mut id = [0];
        file.read_exact(&mut id)?;
        let (length, width) = number(file)?;
        let start = at + 1 + width;
        let next = start + length;
        if next > end {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a section of the module ends behind the file",
            ));
        }
        if id == [0] {
            found.extend(custom(file, start..next)?);
        }
        file.seek(SeekFrom::Start(next))?;
        at = next;
    }
    Ok(Some(found))
}

/// A custom section; `None` where its name is too long for it, or for anybody.
fn custom<F: Read>(file: &mut F, range: Range<u64>) -> io::Result<Option<Section>> {
    let (length, width) = number(file)?;
    let content = range.start + width + length;
    if length > MAX_NAME || content > range.end {
        return Ok(None);
    }
    let mut name = Vec::new();
    file.take(length).read_to_end(&mut name)?;
    Ok(Some((name, content..range.end)))
}

/// An unsigned number of at most 32 bits in LEB128, and how many bytes it has.
fn number<F: Read>(file: &mut F) -> io::Result<(u64, u64)> {
    let mut value = 0;
    for width in 1..=5 {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << (7 * (width - 1));
        if byte[0] & 0x80 == 0 {
            return Ok((value, width));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "a length in the module is no number",
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn module(sections: &[(u8, &[u8])]) -> Cursor<Vec<u8>> {
        let mut bytes = HEAD.to_vec();
        for (id, content) in sections {
            // Two bytes for each length, as linkers leave room for larger ones.
            let length = u8::try_from(content.len()).unwrap();
            bytes.extend([*id, length & 0x7f | 0x80, length >> 7]);
            bytes.extend_from_slice(content);
        }
        Cursor::new(bytes)
    }

    #[test]
    fn custom_sections_are_found_by_name() {
        let long = [200_u8; 150];
        let mut module = module(&[
            (1, b"types"),
            (0, b"\x0a.debug_strtext"),
            (10, &long),
            (0, b"\x04name"),
            (0, b"\x7fcut"),
        ]);
        let found = custom_sections(&mut module).unwrap().unwrap();
        let bytes = module.into_inner();
        let of = |range: &Range<u64>| {
            &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
        };
        let found: Vec<(&[u8], &[u8])> = found
            .iter()
            .map(|(name, range)| (name.as_slice(), of(range)))
            .collect();
        assert_eq!(
            found,
            [
                (b".debug_str".as_slice(), b"text".as_slice()),
                (b"name", b"")
            ]
        );
    }

    #[test]
    fn what_is_cut_off_is_an_error_and_what_is_no_module_is_none() {
        for bytes in [
            b"".as_slice(),
            b"\0asm",
            b"\x7fELF and more",
            b"\0asm\x0d\0\x01\0",
        ] {
            assert_eq!(custom_sections(&mut Cursor::new(bytes)).unwrap(), None);
        }
        let whole = module(&[(1, b"types")]).into_inner();
        for length in HEAD.len() + 1..whole.len() {
            assert!(custom_sections(&mut Cursor::new(&whole[..length])).is_err());
        }
        let endless = [&HEAD[..], b"\x01\xff\xff\xff\xff\xff"].concat();
        assert!(custom_sections(&mut Cursor::new(endless)).is_err());
    }
}
