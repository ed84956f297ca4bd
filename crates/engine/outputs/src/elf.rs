//! What programs and shared libraries say of what they need.

use std::path::Path;

use object::read::ReadCache;
use object::read::elf::{Dyn, ElfFile64};
use object::{Endianness, Object, ObjectSymbol, elf};

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
