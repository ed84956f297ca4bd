//! Acts by the C library's functions, and some that nobody should do.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::ptr::null_mut;

/// Where the ring's code is.
const CODE: usize = 0x2152_4500_0000;

fn text(word: &OsString) -> CString {
    CString::new(word.as_bytes()).expect("no zero in it")
}

/// Enough calls for the ring to be asked for.
pub(crate) fn warm() {
    for _ in 0..4 {
        // SAFETY: a string.
        unsafe { libc::access(c"/".as_ptr(), libc::F_OK) };
    }
}

/// Calls a function of the C library on a path.
pub(crate) fn call(name: &str, path: &OsString) {
    let path = text(path);
    let path = path.as_ptr();
    let mut room = [0_u8; 4096];
    let into = room.as_mut_ptr();
    // SAFETY: a string, and room for everything that these fill.
    unsafe {
        match name {
            "open" => drop(libc::open(path, libc::O_RDONLY)),
            "openat" => drop(libc::openat(libc::AT_FDCWD, path, libc::O_RDONLY)),
            "fopen" => drop(libc::fopen(path, c"rb".as_ptr())),
            "opendir" => drop(libc::opendir(path)),
            "stat" => drop(libc::stat(path, into.cast())),
            "lstat" => drop(libc::lstat(path, into.cast())),
            "fstatat" => drop(libc::fstatat(libc::AT_FDCWD, path, into.cast(), 0)),
            "statx" => drop(libc::statx(libc::AT_FDCWD, path, 0, 1, into.cast())),
            "access" => drop(libc::access(path, libc::R_OK)),
            "eaccess" => drop(libc::eaccess(path, libc::R_OK)),
            "faccessat" => drop(libc::faccessat(libc::AT_FDCWD, path, libc::R_OK, 0)),
            "readlink" => drop(libc::readlink(path, into.cast(), 4096)),
            "realpath" => drop(libc::realpath(path, into.cast())),
            other => panic!("unknown function {other}"),
        }
    }
}

/// Opens a file in a directory that is open.
pub(crate) fn open_in(directory: &OsString, name: &OsString) {
    // SAFETY: two strings.
    unsafe {
        let directory = libc::open(text(directory).as_ptr(), libc::O_RDONLY);
        libc::openat(directory, text(name).as_ptr(), libc::O_RDONLY);
    }
}

/// A child that reads in its parent's memory, then starts a program that reads.
pub(crate) fn vfork(first: &OsString, second: &OsString) {
    let (first, second) = (text(first), text(second));
    let words = [c"/bin/cat".as_ptr(), second.as_ptr(), std::ptr::null()];
    // SAFETY: the child makes system calls, and ends or becomes another program.
    #[allow(deprecated, reason = "what is played here")]
    unsafe {
        match libc::vfork() {
            0 => {
                libc::open(first.as_ptr(), libc::O_RDONLY);
                libc::execv(words[0], words.as_ptr());
                libc::_exit(1)
            }
            child => {
                libc::waitpid(child, null_mut(), 0);
            }
        }
    }
}

/// A child that reads and is killed at once.
pub(crate) fn killed(path: &OsString) {
    let path = text(path);
    // SAFETY: the child only makes system calls.
    unsafe {
        match libc::fork() {
            0 => {
                libc::open(path.as_ptr(), libc::O_RDONLY);
                libc::kill(libc::getpid(), libc::SIGKILL);
            }
            child => {
                libc::waitpid(child, null_mut(), 0);
            }
        }
    }
}

/// Processes of several threads that look for files, each for its own, while some calls are stopped.
pub(crate) fn crowd(directory: &OsString) {
    let look = |name: String| {
        let path = std::path::Path::new(directory).join(name);
        // SAFETY: a string.
        unsafe { libc::access(text(&path.into_os_string()).as_ptr(), libc::F_OK) };
    };
    let run = |process: usize| {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                scope
                    .spawn(move || (0..1000).for_each(|n| look(format!("{process}-{thread}-{n}"))));
            }
            for _ in 0..1000 {
                // SAFETY: a string.
                unsafe { libc::syscall(libc::SYS_chdir, c"/".as_ptr()) };
            }
        });
    };
    // SAFETY: the child of a process with one thread.
    let child = unsafe { libc::fork() };
    run(usize::from(child == 0));
    if child != 0 {
        // SAFETY: a child of this process.
        unsafe { libc::waitpid(child, null_mut(), 0) };
    }
}

/// Takes the address of the ring's code.
pub(crate) fn occupy() {
    // SAFETY: a new mapping, where none is.
    let at = unsafe {
        libc::mmap(
            CODE as *mut libc::c_void,
            4096,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    assert_eq!(at as usize, CODE);
}

/// Makes a file by the ring's code, which is meant for reading alone.
#[cfg(target_arch = "x86_64")]
pub(crate) fn misuse(path: &OsString) {
    let path = text(path);
    let flags = libc::O_WRONLY | libc::O_CREAT;
    // SAFETY: a call of the kernel's with a string and numbers.
    unsafe {
        std::arch::asm!(
            "call r11",
            inlateout("r11") CODE => _,
            inlateout("rax") libc::SYS_openat => _,
            in("rdi") libc::AT_FDCWD as isize,
            in("rsi") path.as_ptr(),
            in("rdx") flags as isize,
            in("r10") 0o600,
            lateout("rcx") _,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn misuse(path: &OsString) {
    drop(std::fs::write(path, b""));
}

/// Drops the superuser's rights, if there are any.
pub(crate) fn humble() {
    // SAFETY: a number.
    unsafe { libc::seteuid(65534) };
}

type RealPath = unsafe extern "C" fn(*const libc::c_char, *mut libc::c_char) -> *mut libc::c_char;

fn real_path(of: RealPath, path: &CStr, roomy: bool) -> (Option<CString>, i32) {
    let mut room = [1_u8; 4096];
    let into = if roomy {
        room.as_mut_ptr().cast()
    } else {
        null_mut()
    };
    // SAFETY: a string, and room for the longest path or none; what is allocated is freed.
    unsafe {
        *libc::__errno_location() = 0;
        let found = of(path.as_ptr(), into);
        let error = *libc::__errno_location();
        if found.is_null() {
            return (None, error);
        }
        let owned = CStr::from_ptr(found).to_owned();
        if !roomy {
            libc::free(found.cast());
        }
        (Some(owned), 0)
    }
}

/// `realpath` says what the C library's own says.
pub(crate) fn compare(path: &OsString) {
    let path = text(path);
    // SAFETY: strings; the function has that type.
    let own: RealPath = unsafe {
        let library = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOW);
        let own = libc::dlsym(library, c"realpath".as_ptr());
        assert!(!own.is_null() && !std::ptr::eq(own, libc::realpath as *const libc::c_void));
        std::mem::transmute::<*mut libc::c_void, RealPath>(own)
    };
    for roomy in [false, true] {
        let expected = real_path(own, &path, roomy);
        assert_eq!(
            real_path(libc::realpath, &path, roomy),
            expected,
            "{path:?}"
        );
    }
}
