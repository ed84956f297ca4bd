//! Calls of the loader that are the same in every process: it asks for `/etc/ld.so.preload` and opens
//! `/etc/ld.so.cache`. Which program starts is known, so these need no stop.
//!
//! The filter sees no text, but it sees where a call is made and where its text is. In the loader's
//! file the two have a fixed distance, and the call has a fixed place on its page. Both are read from
//! this process's own loader, whose file the tree's programs have too; those of another one differ, and
//! are stopped as ever. What they would have told is noted when a program starts, see [`Supervisor`].

use std::sync::OnceLock;

use super::supervise::{Supervisor, Who};

/// Asked for by each loader of glibc.
pub(super) const PRELOAD: &[u8] = b"/etc/ld.so.preload";
/// Read by each loader of glibc.
pub(super) const CACHE: &[u8] = b"/etc/ld.so.cache";

/// A call with a text of the loader's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Constant {
    pub(super) number: libc::c_long,
    /// Which argument is the text.
    pub(super) argument: usize,
    /// How far behind the place of the call the text is, modulo 2⁶⁴.
    pub(super) distance: u64,
    /// Where on its page the call is made, as the kernel sees it.
    pub(super) on_page: u32,
}

/// More places of a call than this are not looked at.
const MOST_PLACES: usize = 6;

/// All that this process's loader shows; none where it is static or another kind.
pub(super) fn constants() -> &'static [Constant] {
    static KNOWN: OnceLock<Vec<Constant>> = OnceLock::new();
    KNOWN.get_or_init(|| own().map(|own| find(&own)).unwrap_or_default())
}

/// The loader's file as it is mapped here.
struct Mapped {
    code: Vec<(u64, &'static [u8])>,
    data: Vec<(u64, &'static [u8])>,
}

/// As much as is mapped of any loader; what is larger is none.
const MOST_BYTES: u64 = 4 << 20;

fn own() -> Option<Mapped> {
    const READS: u32 = 4;
    const RUNS: u32 = 1;
    const WRITES: u32 = 2;
    // SAFETY: reads a number.
    let base = unsafe { libc::getauxval(libc::AT_BASE) };
    if base == 0 {
        return None;
    }
    // SAFETY: the kernel has mapped the loader's file there, and it begins with this header.
    let header: libc::Elf64_Ehdr = unsafe { std::ptr::read(base as *const libc::Elf64_Ehdr) };
    if header.e_ident[..4] != *b"\x7fELF" || header.e_phnum > 64 {
        return None;
    }
    let mut mapped = Mapped {
        code: Vec::new(),
        data: Vec::new(),
    };
    for index in 0..u64::from(header.e_phnum) {
        let at = base + header.e_phoff + index * size_of::<libc::Elf64_Phdr>() as u64;
        // SAFETY: the table lies in the first mapped part, as the loader itself demands.
        let part: libc::Elf64_Phdr = unsafe { std::ptr::read(at as *const libc::Elf64_Phdr) };
        let only_read = part.p_flags & READS != 0 && part.p_flags & WRITES == 0;
        if part.p_type != libc::PT_LOAD || !only_read || part.p_filesz > MOST_BYTES {
            continue;
        }
        let start = base + part.p_vaddr;
        let length = usize::try_from(part.p_filesz).ok()?;
        // SAFETY: mapped for reading as long as this process lives.
        let bytes = unsafe { std::slice::from_raw_parts(start as *const u8, length) };
        if part.p_flags & RUNS != 0 {
            mapped.code.push((start, bytes));
        }
        mapped.data.push((start, bytes));
    }
    Some(mapped)
}

fn find(own: &Mapped) -> Vec<Constant> {
    let mut constants = Vec::new();
    for (number, argument, text) in calls() {
        let texts = places(&own.data, &[b"\0", text, b"\0"].concat());
        for caller in callers(&own.code, number) {
            constants.extend(texts.iter().map(|text| Constant {
                number,
                argument,
                distance: (text + 1).wrapping_sub(caller),
                on_page: (caller & 0xfff) as u32,
            }));
        }
    }
    constants
}

/// Where a call is made, as the kernel sees it: behind the instruction that makes it, which follows
/// closely the one that names the call.
fn callers(code: &[(u64, &[u8])], number: libc::c_long) -> Vec<u64> {
    const CLOSELY: usize = 24;
    let mut found = Vec::new();
    for (start, bytes) in code {
        for at in places(&[(0, bytes)], &named(number)) {
            let Ok(at) = usize::try_from(at) else {
                continue;
            };
            let near = &bytes[at..bytes.len().min(at + CLOSELY)];
            if let Some(made) = position(near, MADE) {
                found.push(start + (at + made + MADE.len()) as u64);
            }
        }
    }
    found
}

fn places(parts: &[(u64, &[u8])], wanted: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    for (start, bytes) in parts {
        let mut from = 0;
        while let Some(at) = position(&bytes[from..], wanted) {
            found.push(start + (from + at) as u64);
            from += at + 1;
            if found.len() == MOST_PLACES {
                return found;
            }
        }
    }
    found
}

/// Where some bytes are first found in others.
pub(super) fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    // SAFETY: two buffers of these lengths; the place is inside of the first.
    unsafe {
        let at = libc::memmem(
            bytes.as_ptr().cast(),
            bytes.len(),
            wanted.as_ptr().cast(),
            wanted.len(),
        );
        (!at.is_null()).then(|| at as usize - bytes.as_ptr() as usize)
    }
}

/// Which calls with which texts, at which argument.
#[cfg(target_arch = "x86_64")]
fn calls() -> [(libc::c_long, usize, &'static [u8]); 2] {
    [(libc::SYS_access, 0, PRELOAD), (libc::SYS_openat, 1, CACHE)]
}

/// The instruction that names a call: `mov eax, number`.
#[cfg(target_arch = "x86_64")]
fn named(number: libc::c_long) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number"
    )]
    let number = (number as u32).to_le_bytes();
    [&[0xb8], number.as_slice()].concat()
}

/// The instruction that makes a call: `syscall`.
#[cfg(target_arch = "x86_64")]
const MADE: &[u8] = &[0x0f, 0x05];

/// Not known elsewhere: there all is stopped.
#[cfg(not(target_arch = "x86_64"))]
fn calls() -> [(libc::c_long, usize, &'static [u8]); 0] {
    []
}

#[cfg(not(target_arch = "x86_64"))]
fn named(_: libc::c_long) -> Vec<u8> {
    vec![0; 8]
}

#[cfg(not(target_arch = "x86_64"))]
const MADE: &[u8] = &[0; 4];

impl Supervisor {
    /// What the loader of a program that starts asks for without being stopped.
    pub(super) fn loader_reads(&mut self, who: Who) {
        self.look(who, PRELOAD, true);
        self.read(who, CACHE, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_call_and_its_text_are_found() {
        let code = [&[0x90; 5][..], &named(7), &[0x89, 0xfe], MADE, &[0xc3]].concat();
        assert_eq!(callers(&[(0x1000, &code)], 7), [0x1000 + 5 + 5 + 2 + 2]);
        assert_eq!(callers(&[(0x1000, &code)], 8), []);
        let far = [&named(7)[..], &[0x90; 30], MADE].concat();
        assert_eq!(callers(&[(0x1000, &far)], 7), []);
        let data = b"x\0/a\0/etc/ld.so.cache\0";
        let text = [b"\0", CACHE, b"\0"].concat();
        assert_eq!(places(&[(0x2000, data)], &text), [0x2004]);
        // A text that only ends so is another one.
        assert_eq!(places(&[(0x2000, data)], b"\0ld.so.cache\0"), []);
    }

    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    #[test]
    fn this_processs_loader_makes_both_calls() {
        let has = |number| constants().iter().any(|constant| constant.number == number);
        assert!(
            has(libc::SYS_access) && has(libc::SYS_openat),
            "{:?}",
            constants()
        );
    }
}
