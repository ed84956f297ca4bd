//! What an ELF file says of itself.

use std::io::Read;
use std::path::Path;

use object::read::ReadCache;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};

/// Whether the file is an executable of the system rather than a script.
pub(crate) fn is_elf(path: &Path) -> std::io::Result<bool> {
    let mut head = [0; 4];
    let read = rekindle_fsx::open(path)?.read(&mut head)?;
    Ok(head[..read] == *b"\x7fELF")
}

/// The linker that made a file, from its `.comment` section. GNU ld leaves no mark.
pub(crate) fn linker_of(path: &Path) -> Option<String> {
    let cache = ReadCache::new(rekindle_fsx::open(path).ok()?);
    let file: ElfFile64<'_, Endianness, _> = ElfFile64::parse(&cache).ok()?;
    let comment = match file.section_by_name(".comment") {
        Some(section) => section.data().ok()?,
        None => &[],
    };
    let mark = comment.split(|byte| *byte == 0).find_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let text = text.strip_prefix("Linker: ").unwrap_or(text);
        let known = ["LLD", "mold", "Wild", "wild"];
        known
            .iter()
            .any(|name| text.starts_with(name))
            .then(|| text.to_owned())
    });
    Some(mark.map_or_else(
        || rekindle_events::GNU_LD.to_owned(),
        // `LLD 22.1.2 (/checkout/…)`: name and version are what people know.
        |mark| mark.split(" (").next().unwrap_or(&mark).to_owned(),
    ))
}
