//! What an executable or a library may do with its environment, by what it imports.

use super::reaches;
use super::sys::Reader;
use super::walk::text;

/// What is known of an executable or a library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Of a script: the program that runs it.
    pub(super) script_of: Option<Vec<u8>>,
    /// The loader that the kernel opens for it.
    pub(super) loader: Option<Vec<u8>>,
    /// For another kind of processor, or for this one's old instructions.
    pub(super) foreign: bool,
    /// It is a program or a library at all.
    pub(super) elf: bool,
    /// `rustc` made it, so `main` gets no environment.
    pub(super) rust: bool,
    /// It is a loader, or static and can load libraries nevertheless.
    pub(super) loads: bool,
    /// It is static, and its C library's start asks for the kernel's version.
    pub(super) asks_at_start: bool,
    /// It can reach `environ`.
    pub(super) environ: bool,
    /// Slots of its global offset table that lead to `environ`: addresses before it is loaded.
    pub(super) slots: Vec<u64>,
    /// Where it begins, in the same way.
    pub(super) entry: u64,
    /// Variables that functions of the C library read on its behalf.
    pub(super) names: Vec<&'static str>,
}

/// Functions by which the C library itself reads variables, without a call that could be seen. Those that start programs are
/// none of them: what is looked for along `PATH` is seen.
const READERS: &[(&[&[u8]], &[&str])] = &[
    (
        &[b"setlocale", b"newlocale"],
        &[
            "LANG",
            "LC_ALL",
            "LC_CTYPE",
            "LC_NUMERIC",
            "LC_TIME",
            "LC_COLLATE",
            "LC_MONETARY",
            "LC_MESSAGES",
            "LOCPATH",
            "LANGUAGE",
        ],
    ),
    (
        &[
            b"localtime",
            b"localtime_r",
            b"mktime",
            b"tzset",
            b"strftime",
        ],
        &["TZ", "TZDIR"],
    ),
    (&[b"tempnam", b"tmpfile", b"tmpfile64"], &["TMPDIR"]),
    (
        &[b"getaddrinfo", b"gethostbyname", b"gethostbyname_r"],
        &[
            "RES_OPTIONS",
            "LOCALDOMAIN",
            "HOSTALIASES",
            "RESOLV_HOST_CONF",
        ],
    ),
];

const ENVIRON: &[&[u8]] = &[b"environ", b"__environ", b"_environ"];

/// Bounds: an honest file is far below them.
const MOST_SECTIONS: usize = 4096;
const MOST_BYTES: u64 = 64 << 20;

/// Reads what is known of a program. A file that is not understood is not Rust, and reaches all.
pub(super) fn inspect(path: &[u8]) -> Facts {
    read(path, true)
}

/// Reads what is known of a library: what only counts at a start is not looked for, as that is in the
/// largest part of the file.
///
/// One of Rust's that only hands its variables on to children cannot read them.
pub(super) fn inspect_library(path: &[u8]) -> Facts {
    let facts = read(path, false);
    let hands_on = facts.environ && facts.rust && reaches::only_hands_on(path, &facts.slots);
    Facts {
        environ: facts.environ && !hands_on,
        ..facts
    }
}

fn read(path: &[u8], starts: bool) -> Facts {
    let unknown = Facts {
        environ: true,
        loads: true,
        ..Facts::default()
    };
    let Some(file) = text(path).and_then(|path| Reader::open(&path).ok()) else {
        return unknown;
    };
    let mut head = [0; 256];
    let Ok(read) = file.at(0, &mut head) else {
        return unknown;
    };
    let head = &head[..read];
    if let Some(line) = head.strip_prefix(b"#!") {
        return Facts {
            script_of: interpreter(line),
            ..unknown
        };
    }
    if !head.starts_with(b"\x7fELF") {
        return unknown;
    }
    let own = head.get(4) == Some(&2) && number(head, 18, 2) == Some(MACHINE);
    if !own {
        return Facts {
            foreign: true,
            ..unknown
        };
    }
    read_elf(&file, head, starts).unwrap_or(Facts {
        elf: true,
        ..unknown
    })
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u64 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u64 = 183;

fn interpreter(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    line.split(|byte| matches!(byte, b' ' | b'\t'))
        .find(|word| !word.is_empty())
        .map(<[u8]>::to_vec)
}

pub(super) fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let field = bytes.get(at..at + size)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

fn index(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, size)?).ok()
}

fn piece(file: &Reader, offset: u64, size: u64) -> Option<Vec<u8>> {
    if size > MOST_BYTES {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    (file.at(offset, &mut bytes).ok()? == bytes.len()).then_some(bytes)
}

/// A section of a file.
pub(super) struct Section {
    name: usize,
    pub(super) kind: u64,
    pub(super) flags: u64,
    /// Before the file is loaded.
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Of symbols: the section of their names.
    link: usize,
}

/// What a file begins with.
pub(super) fn head(file: &Reader) -> Option<[u8; 64]> {
    let mut head = [0; 64];
    (file.at(0, &mut head).ok()? == head.len()).then_some(head)
}

/// The sections of a file with their names.
pub(super) fn named_sections(file: &Reader, head: &[u8]) -> Option<Vec<(Vec<u8>, Section)>> {
    let sections = sections(file, head)?;
    let names = sections.get(index(head, 62, 2)?)?;
    let names = piece(file, names.offset, names.size)?;
    let named = |section: Section| (string(&names, section.name).to_vec(), section);
    Some(sections.into_iter().map(named).collect())
}

fn read_elf(file: &Reader, head: &[u8], starts: bool) -> Option<Facts> {
    const DYNAMIC_SYMBOLS: u64 = 11;
    let mut facts = Facts {
        elf: true,
        loader: loader(file, head),
        ..Facts::default()
    };
    let sections = named_sections(file, head)?;
    let named = |name: &[u8]| {
        let mut sections = sections.iter();
        let found = sections.find(|(other, _)| other == name);
        found.map(|(_, section)| section)
    };
    if let Some(comment) = named(b".comment") {
        let comment = piece(file, comment.offset, comment.size)?;
        facts.rust = memmem(&comment, b"rustc version");
    }
    let symbols = sections
        .iter()
        .map(|(_, section)| section)
        .find(|section| section.kind == DYNAMIC_SYMBOLS);
    if let (Some(symbols), Some(strings)) = (symbols, named(b".dynstr")) {
        let symbols = piece(file, symbols.offset, symbols.size)?;
        let strings = piece(file, strings.offset, strings.size)?;
        for symbol in symbols.as_chunks::<24>().0 {
            let name = string(&strings, index(symbol, 0, 4)?);
            // Also where it is defined: a program has its own copy of the C library's variable.
            facts.environ |= ENVIRON.contains(&name);
            for (functions, variables) in READERS {
                if functions.contains(&name) {
                    facts.names.extend_from_slice(variables);
                }
            }
        }
    }
    if facts.environ
        && let Some(relocations) = named(b".rela.dyn")
        && let (Some(symbols), Some(strings)) = (symbols, named(b".dynstr"))
    {
        let relocations = piece(file, relocations.offset, relocations.size)?;
        let symbols = piece(file, symbols.offset, symbols.size)?;
        let strings = piece(file, strings.offset, strings.size)?;
        facts.entry = number(head, 24, 8)?;
        facts.slots = slots(&relocations, &symbols, &strings).unwrap_or_default();
    }
    if starts
        && facts.loader.is_none()
        && let Some(data) = named(b".rodata")
    {
        let data = piece(file, data.offset, data.size)?;
        facts.asks_at_start = memmem(&data, b"FATAL: kernel too old\n\0");
        facts.loads = memmem(&data, &[super::loader::CACHE, b"\0"].concat());
    }
    facts.names.sort_unstable();
    facts.names.dedup();
    Some(facts)
}

/// The starts and sizes of functions, before their file is loaded.
pub(super) type Functions = Vec<(u64, u64)>;

/// Where the functions of some kinds are, kind by kind, by their names. Of a file without names nothing is known.
pub(super) fn functions<const KINDS: usize>(
    path: &[u8],
    kinds: [fn(&[u8]) -> bool; KINDS],
) -> Option<[Functions; KINDS]> {
    const SYMBOLS: u64 = 2;
    const FUNCTION: u64 = 2;
    let file = Reader::open(&text(path)?).ok()?;
    let sections = sections(&file, &head(&file)?)?;
    let symbols = sections.iter().find(|section| section.kind == SYMBOLS)?;
    let strings = sections.get(symbols.link)?;
    let symbols = piece(&file, symbols.offset, symbols.size)?;
    let strings = piece(&file, strings.offset, strings.size)?;
    let mut found = [const { Functions::new() }; KINDS];
    for symbol in symbols.as_chunks::<24>().0 {
        if u64::from(symbol[4] & 0xf) != FUNCTION {
            continue;
        }
        let name = string(&strings, index(symbol, 0, 4)?);
        for (is_of_kind, found) in kinds.iter().zip(&mut found) {
            if is_of_kind(name) {
                found.push((number(symbol, 8, 8)?, number(symbol, 16, 8)?));
            }
        }
    }
    Some(found)
}

/// The slots that lead to `environ`; `None` where it is reached in other ways as well.
fn slots(relocations: &[u8], symbols: &[u8], strings: &[u8]) -> Option<Vec<u64>> {
    #[cfg(target_arch = "x86_64")]
    const SLOT: u64 = 6;
    #[cfg(target_arch = "aarch64")]
    const SLOT: u64 = 1025;
    let mut slots = Vec::new();
    for relocation in relocations.as_chunks::<24>().0 {
        let symbol = index(relocation, 12, 4)?;
        let name = index(symbols, symbol * 24, 4)?;
        if ENVIRON.contains(&string(strings, name)) {
            if number(relocation, 8, 4)? != SLOT {
                return None;
            }
            slots.push(number(relocation, 0, 8)?);
        }
    }
    Some(slots)
}

fn sections(file: &Reader, head: &[u8]) -> Option<Vec<Section>> {
    let (offset, size, count) = (
        number(head, 40, 8)?,
        index(head, 58, 2)?,
        index(head, 60, 2)?,
    );
    if size < 64 || count == 0 || count > MOST_SECTIONS {
        return None;
    }
    let table = piece(file, offset, (size * count) as u64)?;
    table
        .chunks_exact(size)
        .map(|entry| {
            Some(Section {
                name: index(entry, 0, 4)?,
                kind: number(entry, 4, 4)?,
                flags: number(entry, 8, 8)?,
                address: number(entry, 16, 8)?,
                offset: number(entry, 24, 8)?,
                size: number(entry, 32, 8)?,
                link: index(entry, 40, 4)?,
            })
        })
        .collect()
}

fn loader(file: &Reader, head: &[u8]) -> Option<Vec<u8>> {
    const INTERPRETER: u64 = 3;
    let (offset, size, count) = (
        number(head, 32, 8)?,
        index(head, 54, 2)?,
        index(head, 56, 2)?,
    );
    if size < 56 {
        return None;
    }
    let table = piece(file, offset, (size * count) as u64)?;
    let entry = table
        .chunks_exact(size)
        .find(|entry| number(entry, 0, 4) == Some(INTERPRETER))?;
    let path = piece(file, number(entry, 8, 8)?, number(entry, 32, 8)?.min(4096))?;
    Some(string(&path, 0).to_vec())
}

fn string(table: &[u8], at: usize) -> &[u8] {
    let rest = table.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == 0);
    &rest[..end.unwrap_or(rest.len())]
}

pub(super) fn memmem(bytes: &[u8], wanted: &[u8]) -> bool {
    super::loader::position(bytes, wanted).is_some()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn this_program_is_rust_and_can_start_others() {
        let own = std::env::current_exe().expect("a path");
        let facts = inspect(own.as_os_str().as_bytes());
        assert!(facts.rust && facts.environ && !facts.foreign, "{facts:?}");
        assert!(facts.loader.is_some());
    }

    #[test]
    fn of_a_library_nothing_is_looked_for_that_counts_at_a_start() {
        // The loader itself: it is both.
        let own = std::env::current_exe().expect("a path");
        let loader = inspect(own.as_os_str().as_bytes())
            .loader
            .expect("a loader");
        let program = inspect(&loader);
        let library = inspect_library(&loader);
        assert_eq!(program.loads, cfg!(target_env = "gnu"));
        assert!(!library.loads && library.elf);
        let loads = false;
        let asks_at_start = false;
        assert_eq!(
            library,
            Facts {
                loads,
                asks_at_start,
                ..program
            }
        );
    }

    #[test]
    fn the_shell_is_not_rust() {
        let facts = inspect(b"/bin/sh");
        assert!(!facts.rust && facts.environ, "{facts:?}");
    }

    #[test]
    fn a_script_names_its_interpreter() {
        assert_eq!(
            interpreter(b" /usr/bin/env  python3\nx"),
            Some(b"/usr/bin/env".to_vec())
        );
        assert_eq!(interpreter(b"\n"), None);
    }

    #[test]
    fn what_is_no_program_may_read_all() {
        assert!(inspect(b"/etc/passwd").environ);
        assert!(inspect(b"/no/such").environ);
    }
}
