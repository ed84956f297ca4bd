//! Programs of the system's are loaded without cargo's `LD_LIBRARY_PATH`.
//!
//! cargo gives it to build scripts, and so to all that they start: four directories with Rust's libraries. A loader asks
//! for each library of its program in each of them, in up to eleven places, and is stopped each time; a program that came with
//! the system needs nothing that is there, nor does the redirector. So the variable goes by another name while such a
//! program is loaded, and this library, loaded with it, gives it back its own before the program begins.
//!
//! Starts may happen between `vfork` and `exec`, in the memory of the parent: nothing here is kept.

use core::ffi::c_char;

use crate::{files, library_path, redirect, sys};

type Strings = *const *const c_char;

/// What the variable's name begins with while a program is loaded.
const ASIDE: &[u8] = b"REKINDLE_";
const NAME: &[u8] = b"LD_LIBRARY_PATH=";

/// With more variables, or a longer one, nothing is done.
const MOST: usize = 320;
const LONGEST: usize = 1024;

/// Where a distribution puts its programs, and nobody else does.
const OF_THE_SYSTEM: &[&[u8]] = &[
    b"/usr/bin/",
    b"/bin/",
    b"/usr/sbin/",
    b"/sbin/",
    b"/usr/lib/",
    b"/usr/libexec/",
];

/// Programs that load by name what others made, or are Rust's: how their names begin.
const LOADING: &[&[u8]] = &[
    b"python", b"pypy", b"ruby", b"node", b"java", b"julia", b"php", b"lua", b"guile", b"R",
    b"gdb", b"lldb", b"valgrind", b"qemu", b"wine", b"mono", b"dotnet", b"ld.so", b"ld-", b"ldd",
    b"rust", b"cargo", b"clippy", b"rekindle",
];

/// The variables of a start, changed.
struct Aside {
    list: [*const c_char; MOST],
    text: [u8; LONGEST],
}

/// Calls `then` with the variables that a program is to be started with.
pub(crate) fn spared<T>(
    program: *const c_char,
    variables: Strings,
    then: impl FnOnce(Strings) -> T,
) -> T {
    if program.is_null() || variables.is_null() || library_path().is_empty() {
        return then(variables);
    }
    let mut aside = Aside {
        list: [core::ptr::null(); MOST],
        text: [0; LONGEST],
    };
    if aside.fill(variables) && is_of_the_system(program) {
        then(aside.list.as_ptr())
    } else {
        then(variables)
    }
}

impl Aside {
    /// Whether it is just what cargo set, and this library will be there to give it back.
    fn fill(&mut self, variables: Strings) -> bool {
        const OURS: &[u8] = b"librekindle-observe-";
        let (mut is_there, mut comes_along) = (false, false);
        for index in 0..MOST {
            // SAFETY: the program's list, which ends with null.
            let variable = unsafe { *variables.add(index) };
            if variable.is_null() {
                return is_there && comes_along;
            }
            self.list[index] = variable;
            if sys::begins(variable, b"LD_PRELOAD=") {
                let value = sys::bytes(variable);
                comes_along |= value.windows(OURS.len()).any(|part| part == OURS);
            } else if sys::begins(variable, NAME) {
                let whole = sys::bytes(variable);
                let is_cargos = whole.get(NAME.len()..) == Some(library_path());
                // Twice: which of them counts is not decided here.
                if !is_cargos || is_there || ASIDE.len() + whole.len() >= LONGEST {
                    return false;
                }
                is_there = true;
                let text = ASIDE.iter().chain(whole);
                for (to, from) in self.text.iter_mut().zip(text) {
                    *to = *from;
                }
                self.list[index] = self.text.as_ptr().cast();
            }
        }
        false
    }
}

/// Gives the variable its own name back, before anything reads it.
///
/// # Safety
/// The list is the process's own, as its loader hands it on.
pub(crate) unsafe fn restore(variables: *mut *const c_char) {
    if variables.is_null() {
        return;
    }
    let mut at = variables;
    // SAFETY: a list of strings, which ends with null and is the program's to change.
    unsafe {
        while !(*at).is_null() {
            if sys::begins(*at, ASIDE) && sys::begins((*at).add(ASIDE.len()), NAME) {
                *at = (*at).add(ASIDE.len());
            }
            at = at.add(1);
        }
    }
}

/// Whether what is started there is a program of the system's, or the redirector, that loads this library. Not a part of
/// its caller, whose stack may be small.
#[inline(never)]
fn is_of_the_system(program: *const c_char) -> bool {
    let mut head = Head([0; HEAD]);
    if !head.read(program) {
        return false;
    }
    if !head.0.starts_with(b"#!") {
        let path = sys::bytes(program);
        return (is_in_place(path) || is_redirector(path)) && head.is_program();
    }
    let line = &head.0[2..];
    let begin = line.iter().position(|byte| !b" \t".contains(byte));
    let line = &line[begin.unwrap_or(0)..];
    let end = line.iter().position(|byte| b" \t\n\0".contains(byte));
    let mut path = [0; HEAD];
    let name = &line[..end.unwrap_or(0)];
    path[..name.len()].copy_from_slice(name);
    is_in_place(name) && head.read(path.as_ptr().cast()) && head.is_program()
}

/// It is needed for each compile, and linked to the C library and its like alone.
fn is_redirector(path: &[u8]) -> bool {
    redirect().split(|byte| *byte == 0).next() == Some(path)
}

fn is_in_place(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    OF_THE_SYSTEM.iter().any(|place| path.starts_with(place))
        && !path.windows(4).any(|part| part == b"/../")
        && !LOADING.iter().any(|begin| name.starts_with(begin))
}

/// Enough for what a linker puts first: headers and the loader's name.
const HEAD: usize = 1024;

/// The first bytes of a file.
#[repr(align(8))]
struct Head([u8; HEAD]);

impl Head {
    /// Whether there is such a file. A link to one elsewhere is none.
    #[inline(never)]
    fn read(&mut self, path: *const c_char) -> bool {
        let mut sibling = [0_u8; HEAD];
        let mut file = files::open_itself(path);
        if file == files::A_LINK {
            // `sh` is one to `dash`.
            let whole = sys::bytes(path);
            let name = whole.iter().rposition(|byte| *byte == b'/').unwrap_or(0) + 1;
            if name + 256 >= HEAD {
                return false;
            }
            sibling[..name].copy_from_slice(&whole[..name]);
            let length = files::link_itself(path, &mut sibling[name..name + 255]);
            if length <= 0 || sibling[name..].contains(&b'/') {
                return false;
            }
            file = files::open_itself(sibling.as_ptr().cast());
        }
        let Ok(file) = usize::try_from(file) else {
            return false;
        };
        self.0 = [0; HEAD];
        let read = sys::read(file, &mut self.0);
        sys::close(file);
        read > 4
    }

    fn number(&self, at: usize, size: usize) -> usize {
        let bytes = self.0.get(at..at + size).unwrap_or_default();
        let mut number = 0;
        for byte in bytes.iter().rev() {
            number = number << 8 | usize::from(*byte);
        }
        number
    }

    /// Whether it is a program of this machine's that the C library's own loader loads.
    fn is_program(&self) -> bool {
        const MACHINE: usize = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        const INTERPRETER: usize = 3;
        if !self.0.starts_with(b"\x7fELF\x02\x01") || self.number(18, 2) != MACHINE {
            return false;
        }
        let (table, size, count) = (self.number(32, 8), self.number(54, 2), self.number(56, 2));
        let headers = (0..count.min(32)).map(|index| table.saturating_add(index * size));
        let mut loaders = headers.filter(|at| self.number(*at, 4) == INTERPRETER);
        loaders.any(|at| {
            let (from, length) = (self.number(at.saturating_add(8), 8), self.number(at.saturating_add(32), 8));
            let path = self.0.get(from..from.saturating_add(length)).unwrap_or_default();
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            name.starts_with(b"ld-linux")
        })
    }
}
