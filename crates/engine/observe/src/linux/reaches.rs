//! Whether a Rust library that can reach `environ` does nothing but hand the list on to a child.
//!
//! A procedural macro that starts programs reaches it, as `std::process::Command` does. Unlike a program's, its slots for
//! `environ` are not guarded: it runs in the compiler. But its code says who refers to the slots, and who to
//! `std::env::vars_os`, which goes through the list for others: every instruction that names a place does so by its distance, in four bytes. Where all
//! that could be such a distance lie in functions of `Command`, nothing else reads the list. What refers to a place in
//! any other way, a file without symbols, and other processors: not known.

use super::elf::{self, Section, number};
use super::hands_on::{function, is_copier, is_reader, is_starter};
use super::sys::Reader;
use super::walk::text;

/// Of a section that is in memory, and of one whose bytes are code.
const IN_MEMORY: u64 = 2;
const CODE: u64 = 4;
/// The kind of a section that is what the file says, and of one with relocations.
const BYTES: u64 = 1;
const RELOCATIONS: u64 = 4;

const PIECE: usize = 1 << 20;

/// Whether it is known that a library, whose slots for `environ` these are, only hands the list on.
pub(super) fn only_hands_on(path: &[u8], slots: &[u64]) -> bool {
    cfg!(target_arch = "x86_64") && !slots.is_empty() && ask(path, slots).unwrap_or(false)
}

fn ask(path: &[u8], slots: &[u64]) -> Option<bool> {
    let [readers, starters, copiers] = elf::functions(path, [is_reader, is_starter, is_copier])?;
    let file = Reader::open(&text(path)?).ok()?;
    let sections = elf::named_sections(&file, &elf::head(&file)?)?;
    let starts: Vec<u64> = readers.iter().map(|(start, _)| *start).collect();
    let pointers = pointers(&file, &sections, &starts)?;
    let is_kept_elsewhere = |at: &u64| {
        let mut tables = sections.iter().filter(|(name, _)| name == b".got");
        !tables.any(|(_, table)| within(table, *at))
    };
    if pointers.iter().any(is_kept_elsewhere) {
        return Some(false);
    }
    let to_readers = [starts.as_slice(), &pointers].concat();
    let wanted = [slots, &to_readers].concat();
    let is_code = |place: u64| starts.contains(&place);
    let mut only = true;
    for (_, section) in &sections {
        if section.flags & CODE == 0 {
            continue;
        }
        referrers(&file, section, (&wanted, is_code), |at, place| {
            let may = |functions: &[(u64, u64)]| function(functions, at).is_some();
            only &= if to_readers.contains(&place) {
                may(&copiers)
            } else {
                may(&readers) || may(&starters)
            };
        })?;
    }
    Some(only)
}

fn within(section: &Section, address: u64) -> bool {
    (section.address..section.address.saturating_add(section.size)).contains(&address)
}

/// Where pointers to one of `wanted` are when the library is loaded.
fn pointers(file: &Reader, sections: &[(Vec<u8>, Section)], wanted: &[u64]) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for (_, section) in sections {
        let is_data = section.kind == BYTES && section.flags & (IN_MEMORY | CODE) == IN_MEMORY;
        let is_table = section.kind == RELOCATIONS;
        // A relocation: where, of what kind, and what is put there.
        let step = if is_table { 24 } else { 8 };
        if !is_data && !is_table {
            continue;
        }
        pieces(file, section, (step, 0), |address, piece| {
            for (index, item) in piece.chunks_exact(step).enumerate() {
                let value = number(item, step - 8, 8).unwrap_or_default();
                if wanted.contains(&value) {
                    found.push(if is_table {
                        number(item, 0, 8).unwrap_or_default()
                    } else {
                        address + (index * step) as u64
                    });
                }
            }
        })?;
    }
    Some(found)
}

/// Tells of all places in a section of code that may refer to one of `wanted`, of which some are code: where, and to which.
/// The distance is from the end of the instruction, in which a number of up to four bytes may follow it.
fn referrers(
    file: &Reader,
    section: &Section,
    (wanted, is_code): (&[u64], impl Fn(u64) -> bool),
    mut tell: impl FnMut(u64, u64),
) -> Option<()> {
    const BEHIND: [u64; 4] = [0, 1, 2, 4];
    let least = wanted.iter().min()?.wrapping_sub(4);
    let most = wanted.iter().max()?;
    pieces(file, section, (1, BEFORE + 3), |address, piece| {
        for (at, window) in piece.windows(BEFORE + 4).enumerate() {
            let Some((before, distance)) = window.split_first_chunk() else {
                continue;
            };
            let Some(distance) = distance.first_chunk() else {
                continue;
            };
            let at = address.wrapping_add((at + BEFORE) as u64);
            let distance = i32::from_le_bytes(*distance);
            let end = at.wrapping_add(4).wrapping_add_signed(distance.into());
            if end < least || end > *most {
                continue;
            }
            for behind in BEHIND {
                let place = end.wrapping_add(behind);
                if wanted.contains(&place) && may_refer(*before, behind, is_code(place)) {
                    tell(at, place);
                }
            }
        }
    })
}

/// So many bytes before a distance tell whether it is one.
const BEFORE: usize = 2;

/// Whether four bytes with these before them, and so many behind, may be a distance to a place. By chance others look like one to a
/// function that is near, in one of eleven small libraries.
///
/// What asks for a place has a byte just before the distance whose parts are `mod` 00 and `rm` 101, whatever the instruction. Code is
/// called, jumped to, always or in a case, is where a transaction fails, or its address is taken (`lea`).
fn may_refer(before: [u8; BEFORE], behind: u64, is_code: bool) -> bool {
    let is_place = before[1] & 0b1100_0111 == 0b0000_0101;
    if !is_code {
        return is_place;
    }
    let goes_there = matches!(
        before,
        [_, 0xe8 | 0xe9] | [0x0f, 0x80..=0x8f] | [0xc7, 0xf8]
    );
    behind == 0 && (goes_there || (is_place && before[0] == 0x8d))
}

/// Shows a section's bytes with their address, piece by piece: so many that `step` divides them, and before them the last
/// `overlap` of the piece before, zeros before the first.
fn pieces(
    file: &Reader,
    section: &Section,
    (step, overlap): (usize, usize),
    mut look: impl FnMut(u64, &[u8]),
) -> Option<()> {
    let size = PIECE / step * step;
    let mut buffer = vec![0; size + overlap];
    let (mut done, mut kept) = (0, overlap);
    while done < section.size {
        let left = usize::try_from(section.size - done).unwrap_or(usize::MAX);
        let filled = kept + left.min(size);
        let read = file
            .at(section.offset + done, &mut buffer[kept..filled])
            .ok()?;
        (read == filled - kept).then_some(())?;
        let address = (section.address + done).wrapping_sub(kept as u64);
        look(address, &buffer[..filled]);
        done += read as u64;
        kept = overlap.min(filled);
        buffer.copy_within(filled - kept..filled, 0);
    }
    Some(())
}

#[cfg(all(test, target_arch = "x86_64", target_env = "gnu"))]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;
    use std::process::Command;

    use super::super::elf::inspect_library;

    /// Whether a library of which `one` does this is doubted for its variables.
    fn doubted(body: &str, flags: &[&str]) -> bool {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("lib.rs");
        let library: PathBuf = dir.path().join("libsubject.so");
        let text = format!(
            "#![allow(unused)] use std::{{env, process::Command}};\n\
             #[unsafe(no_mangle)] pub extern \"C\" fn one(more: usize) -> usize {{ {body} }}"
        );
        rekindle_fsx::atomic::write(&source, text.as_bytes()).expect("a source");
        let made = Command::new("rustc")
            .args(["--edition=2024", "--crate-type=cdylib", "-o"])
            .args([&library, &source])
            .args(flags)
            .output()
            .expect("a compiler");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let facts = inspect_library(library.as_os_str().as_bytes());
        assert!(facts.rust, "{facts:?}");
        facts.environ
    }

    const STARTS: &str = "Command::new(\"x\").env(\"A\", \"B\").status().is_ok() as usize + Command::new(\"y\").spawn().is_ok() as usize";

    #[test]
    fn who_only_starts_others_hands_its_variables_on() {
        for flags in [
            &[][..],
            &["-O"],
            &["-O", "-Cpanic=abort", "-Ccodegen-units=1"],
        ] {
            assert!(!doubted(STARTS, flags), "{flags:?}");
        }
        // What else of the library is there decides which distances there are between it all.
        for more in [
            "Command::new(\"z\").output().is_ok() as usize",
            "std::fs::read(\"z\").is_ok() as usize",
            "std::net::TcpStream::connect(\"127.0.0.1:9\").is_ok() as usize",
            "std::thread::spawn(|| 1).join().is_ok() as usize",
            "\"1.5\".parse::<f64>().is_ok() as usize",
            "std::env::current_dir().is_ok() as usize",
            "std::env::var(\"Z\").is_ok() as usize",
            "std::collections::HashMap::from([(1, 2)]).len()",
            "std::io::read_to_string(std::io::stdin()).is_ok() as usize",
            "std::fs::read_dir(\"z\").unwrap().count()",
        ] {
            assert!(!doubted(&format!("{STARTS} + {more}"), &[]), "{more}");
        }
        // It says nothing of itself.
        assert!(doubted(STARTS, &["-Cstrip=symbols"]));
    }

    #[test]
    fn who_goes_through_them_is_doubted() {
        for body in [
            "env::vars().count()",
            "env::vars_os().count()",
            "static HOW: fn() -> env::VarsOs = env::vars_os; std::hint::black_box(HOW)().count()",
            "let how: fn() -> env::VarsOs = if more > 7 { env::vars_os } else { panic!() }; std::hint::black_box(how)().count()",
            "fn none() -> env::VarsOs { panic!() } static HOWS: [fn() -> env::VarsOs; 2] = [none, env::vars_os]; HOWS[std::hint::black_box(more)]().count()",
            "{ let at: usize; unsafe { std::arch::asm!(\"lea {}, [rip + {}]\", out(reg) at, sym env::vars_os) }; at }",
            "{ unsafe { std::arch::asm!(\"jz {}\", sym env::vars_os) }; 1 }",
            "{ unsafe { std::arch::asm!(\"jmp {}\", sym env::vars_os) }; 1 }",
            "{ unsafe { std::arch::asm!(\"xbegin {}\", sym env::vars_os) }; 1 }",
            "unsafe extern \"C\" { static environ: *const *const u8; } unsafe { environ as usize }",
        ] {
            let packed = "-Clink-arg=-Wl,-z,pack-relative-relocs";
            for flags in [&[][..], &["-O", "-Clto=fat"], &["-O", packed]] {
                let both = format!("{STARTS} + {{ {body} }}");
                assert!(doubted(&both, flags), "{body} {flags:?}");
            }
        }
    }
}
