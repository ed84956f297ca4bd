//! What programs and shared libraries say of what they need.

use std::ops::Range;
use std::path::Path;

use object::read::ReadCache;
use object::read::elf::{Dyn, ElfFile64};
use object::{Endianness, Object, ObjectSegment, ObjectSymbol, elf};

/// Whether a shared library is a procedural macro, which compilers load and nothing links to. `false`
/// where it cannot be told.
#[must_use]
pub fn is_procedural_macro(library: &Path) -> bool {
    let ask = || -> Option<bool> {
        let cache = ReadCache::new(rekindle_fsx::open(library).ok()?);
        let file: ElfFile64<'_, Endianness, _> = ElfFile64::parse(&cache).ok()?;
        // `__rustc_proc_macro_decls_457948a390457f9a__`
        let declares =
            |name: &[u8]| memchr::memmem::find(name, b"rustc_proc_macro_decls").is_some();
        Some(
            file.dynamic_symbols()
                .any(|symbol| symbol.name_bytes().is_ok_and(declares)),
        )
    };
    ask().unwrap_or(false)
}

/// The names of the shared libraries that the loader looks for when it starts a program or loads a
/// library; `None` where it cannot be told.
#[must_use]
pub fn needed(program: &Path) -> Option<Vec<Vec<u8>>> {
    let cache = ReadCache::new(rekindle_fsx::open(program).ok()?);
    let file: ElfFile64<'_, Endianness, _> = ElfFile64::parse(&cache).ok()?;
    let (endian, data, sections) = (file.endian(), file.data(), file.elf_section_table());
    let Some((entries, link)) = sections.dynamic(endian, data).ok()? else {
        // Linked statically, if there are sections at all.
        return (!sections.is_empty()).then(Vec::new);
    };
    let strings = sections.strings(endian, data, link).ok()?;
    entries
        .iter()
        .filter(|entry| entry.tag32(endian) == Some(elf::DT_NEEDED))
        .map(|entry| {
            let name = strings.get(entry.val32(endian)?).ok()?;
            Some(name.to_vec())
        })
        .collect()
}

/// Where in its file a program's parts are that it has in memory; `None` where it cannot be told.
#[must_use]
pub fn loaded(program: &Path) -> Option<Vec<Range<u64>>> {
    let cache = ReadCache::new(rekindle_fsx::open(program).ok()?);
    let file: ElfFile64<'_, Endianness, _> = ElfFile64::parse(&cache).ok()?;
    let ranges: Vec<Range<u64>> = file
        .segments()
        .map(|segment| segment.file_range())
        .map(|(start, size)| start..start.saturating_add(size))
        .collect();
    (!ranges.is_empty()).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_the_c_library() {
        let own = std::env::current_exe().unwrap();
        let needed = needed(&own).unwrap();
        assert!(
            needed.iter().any(|name| name.starts_with(b"libc.so")),
            "{needed:?}"
        );
        assert!(!is_procedural_macro(&own));
        assert_eq!(super::needed(Path::new("/dev/null")), None);
        assert_eq!(loaded(Path::new("/dev/null")), None);
    }

    #[test]
    fn what_is_loaded_holds_constants_and_no_debug_information() {
        let own = std::env::current_exe().unwrap();
        let ranges = loaded(&own).unwrap();
        let bytes = rekindle_fsx::read(&own).unwrap();
        let holds = |needle: &[u8]| {
            let mut parts = ranges.iter().map(|range| {
                let at = |at: u64| usize::try_from(at).unwrap();
                &bytes[at(range.start)..at(range.end)]
            });
            parts.any(|part| memchr::memmem::find(part, needle).is_some())
        };
        assert!(holds(b"a constant of nobody else's"));
        let symbol = b"what_is_loaded_holds_constants_and_no_debug_information";
        assert!(memchr::memmem::find(&bytes, symbol).is_some());
        assert!(
            ranges
                .iter()
                .map(|range| range.end - range.start)
                .sum::<u64>()
                < bytes.len() as u64
        );
    }

    /// Those that this test was built with are beside it.
    #[test]
    fn a_procedural_macro_is_told_from_other_libraries() {
        let own = std::env::current_exe().unwrap();
        let macros: Vec<_> = rekindle_fsx::list_dir(own.parent().unwrap())
            .unwrap()
            .into_iter()
            .filter(|entry| {
                entry
                    .name
                    .to_string_lossy()
                    .starts_with("libthiserror_impl-")
            })
            .filter(|entry| entry.path.extension().is_some_and(|end| end == "so"))
            .collect();
        assert!(!macros.is_empty());
        assert!(macros.iter().all(|entry| is_procedural_macro(&entry.path)));
    }
}
