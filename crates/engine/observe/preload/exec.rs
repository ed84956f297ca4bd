//! Starts of programs: compilers go to the redirector.
//!
//! May run between `vfork` and `exec`, in the memory of the parent: nothing here is kept.

use core::ffi::{c_char, c_int, c_void};

use crate::{Real, files, guard, quiet, redirect, spare, sys, variable};

type Strings = *const *const c_char;

const LONGEST_PATH: usize = 4096;

/// A start as the redirector gets it.
struct Detour {
    path: [u8; LONGEST_PATH],
    words: *mut u8,
    size: usize,
}

impl Detour {
    /// The redirector.
    fn program(&self) -> *const c_char {
        redirect().as_ptr().cast()
    }

    fn argv(&self) -> Strings {
        self.words.cast::<*const c_char>().cast_const()
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        sys::free(self.words, self.size);
    }
}

/// Calls `then` with what shall be started.
fn detoured<T>(
    program: *const c_char,
    argv: Strings,
    searches: bool,
    then: impl FnOnce(*const c_char, Strings, bool) -> T,
) -> T {
    if redirect().is_empty() || program.is_null() || argv.is_null() || !is_wanted(program) {
        return then(program, argv, searches);
    }
    let mut detour = Detour {
        path: [0; LONGEST_PATH],
        words: core::ptr::null_mut(),
        size: 0,
    };
    if !find(program, searches, &mut detour.path) {
        return then(program, argv, searches);
    }
    let mut count = 0;
    // SAFETY: the program's list, which ends with null.
    while unsafe { !(*argv.add(count)).is_null() } {
        count += 1;
    }
    let size = (count + 4) * size_of::<*const c_char>();
    let words = sys::pages(size);
    if words.is_null() {
        return then(program, argv, searches);
    }
    detour.words = words;
    detour.size = size;
    let first = redirect().as_ptr();
    // SAFETY: the mapping holds this many words and is zero beyond them; the text of the redirector
    // ends with a zero, after which its first argument follows.
    unsafe {
        let words = words.cast::<*const c_char>();
        *words = first.cast();
        *words.add(1) = first.add(sys::length(first.cast()) + 1).cast();
        *words.add(2) = detour.path.as_ptr().cast();
        for index in 1..count.max(1) {
            *words.add(index + 2) = *argv.add(index);
        }
    }
    then(detour.program(), detour.argv(), false)
}

/// Whether the program's file name is one to catch.
fn is_wanted(program: *const c_char) -> bool {
    let text = sys::bytes(program);
    let name = text.rsplit(|byte| *byte == b'/').next().unwrap_or(text);
    let mut patterns = redirect().split(|byte| *byte == 0).skip(2);
    patterns.any(|pattern| matches(pattern, name))
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], _) | (_, []) => false,
        ([b'*', end @ ..], _) if !end.is_empty() => name.ends_with(end),
        ([start @ .., b'*'], _) if !start.is_empty() => name.starts_with(start),
        _ => pattern == name,
    }
}

/// Finds the program as the C library would, where it is there.
fn find(program: *const c_char, searches: bool, into: &mut [u8; LONGEST_PATH]) -> bool {
    let name = sys::bytes(program);
    if !searches || name.contains(&b'/') {
        return join(into, b"", name) && files::is_executable(into.as_ptr().cast());
    }
    search_path()
        .split(|byte| *byte == b':')
        .any(|directory| join(into, directory, name) && files::is_executable(into.as_ptr().cast()))
}

fn search_path() -> &'static [u8] {
    let path = variable(c"PATH".as_ptr());
    if path.is_null() {
        b"/bin:/usr/bin"
    } else {
        sys::bytes(path)
    }
}

/// Calls `then` with the path at which the C library would find a program, found without the stops that its own search
/// makes: one for each directory, in which it tries to start the program. `None` where that may end otherwise.
fn found_quietly<T>(program: *const c_char, then: impl FnOnce(*const c_char) -> T) -> Option<T> {
    if program.is_null() || !quiet::can_write() {
        return None;
    }
    let name = sys::bytes(program);
    // Elsewhere than from the root it depends on where the child will be.
    let is_plain = search_path()
        .split(|byte| *byte == b':')
        .all(|directory| directory.first() == Some(&b'/'));
    if name.is_empty() || name.contains(&b'/') || !is_plain {
        return None;
    }
    let mut path = [0; LONGEST_PATH];
    find(program, true, &mut path).then(|| then(path.as_ptr().cast()))
}

fn join(into: &mut [u8; LONGEST_PATH], directory: &[u8], name: &[u8]) -> bool {
    let between: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    if directory.len() + name.len() + 2 > into.len() {
        return false;
    }
    let parts = directory.iter().chain(between).chain(name).chain(&[0]);
    for (to, from) in into.iter_mut().zip(parts) {
        *to = *from;
    }
    true
}

fn environment() -> Strings {
    static NOTHING: [usize; 1] = [0];
    guard::environ().unwrap_or(NOTHING.as_ptr().cast())
}

static EXECVE: Real = Real::new();
static EXECVPE: Real = Real::new();
static SPAWN: Real = Real::new();
static SPAWNP: Real = Real::new();

fn exec(program: *const c_char, argv: Strings, envp: Strings, searches: bool) -> c_int {
    let envp = guard::meant(envp);
    detoured(program, argv, searches, |program, argv, searches| {
        let next = if searches {
            EXECVPE.get(b"execvpe\0")
        } else {
            EXECVE.get(b"execve\0")
        };
        if next.is_null() {
            return sys::execve(program, argv, envp);
        }
        // SAFETY: both functions have this type.
        let next: extern "C" fn(*const c_char, Strings, Strings) -> c_int =
            unsafe { core::mem::transmute(next) };
        guard::with_own(|| {
            let start = |program| spare::spared(program, envp, |envp| next(program, argv, envp));
            if searches {
                // Comes back where what was found does not start: there may be another one further on.
                found_quietly(program, start);
            }
            start(program)
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn execve(program: *const c_char, argv: Strings, envp: Strings) -> c_int {
    exec(program, argv, envp, false)
}

#[unsafe(no_mangle)]
extern "C" fn execv(program: *const c_char, argv: Strings) -> c_int {
    exec(program, argv, environment(), false)
}

#[unsafe(no_mangle)]
extern "C" fn execvp(program: *const c_char, argv: Strings) -> c_int {
    exec(program, argv, environment(), true)
}

#[unsafe(no_mangle)]
extern "C" fn execvpe(program: *const c_char, argv: Strings, envp: Strings) -> c_int {
    exec(program, argv, envp, true)
}

type Spawn = extern "C" fn(
    *mut c_int,
    *const c_char,
    *const c_void,
    *const c_void,
    Strings,
    Strings,
) -> c_int;

#[unsafe(no_mangle)]
extern "C" fn posix_spawn(
    child: *mut c_int,
    program: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    argv: Strings,
    envp: Strings,
) -> c_int {
    detoured(program, argv, false, |program, argv, _| {
        spawned(child, program, actions, attributes, argv, envp, false)
    })
}

#[unsafe(no_mangle)]
extern "C" fn posix_spawnp(
    child: *mut c_int,
    program: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    argv: Strings,
    envp: Strings,
) -> c_int {
    if !program.is_null() && !sys::bytes(program).contains(&b'/') {
        // A search is many calls.
        quiet::is_ready(true);
    }
    detoured(program, argv, true, |program, argv, searches| {
        let spawn = |program, searches| {
            spawned(child, program, actions, attributes, argv, envp, searches)
        };
        let found = || found_quietly(program, |found| spawn(found, false));
        let done = searches.then(found).flatten();
        done.filter(|done| *done == 0)
            .unwrap_or_else(|| spawn(program, searches))
    })
}

fn spawned(
    child: *mut c_int,
    program: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    argv: Strings,
    envp: Strings,
    searches: bool,
) -> c_int {
    const ABSENT: c_int = 38;
    let envp = guard::meant(envp);
    let next = if searches { SPAWNP.get(b"posix_spawnp\0") } else { SPAWN.get(b"posix_spawn\0") };
    if next.is_null() {
        return ABSENT;
    }
    // SAFETY: both functions have this type.
    let next: Spawn = unsafe { core::mem::transmute(next) };
    spare::spared(program, envp, |envp| {
        next(child, program, actions, attributes, argv, envp)
    })
}
