//! A program that the tests observe: does what its arguments say, without a way to `environ`.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "it plays somebody else's program"
)]

use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

mod quiet;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    while let Some(act) = arguments.next() {
        let act = act.into_string().expect("a word");
        let mut next = || arguments.next().expect("an argument");
        play(&act, &mut next);
    }
}

fn play(act: &str, next: &mut dyn FnMut() -> OsString) {
    match act {
        "read" => drop(fs::read(next())),
        "open" => drop(File::open(next())),
        "look" => drop(fs::metadata(next())),
        "list" => drop(fs::read_dir(next()).map(Iterator::count)),
        "follow" => drop(fs::read_link(next())),
        "go" => drop(std::env::set_current_dir(next())),
        "write" => fs::write(next(), b"written").expect("written"),
        "append" => {
            let file = OpenOptions::new().append(true).open(next());
            file.and_then(|mut file| file.write_all(b"more"))
                .expect("appended");
        }
        "rename" => fs::rename(next(), next()).expect("renamed"),
        "remove" => fs::remove_file(next()).expect("removed"),
        "make" => drop(fs::create_dir(next())),
        "symlink" => std::os::unix::fs::symlink(next(), next()).expect("a link"),
        "map" => map(&next()),
        "thread" => {
            let path = PathBuf::from(next());
            std::thread::spawn(move || drop(fs::read(path)))
                .join()
                .expect("joined");
        }
        "threadenv" => {
            let name = next();
            std::thread::spawn(move || drop(std::env::var_os(name)))
                .join()
                .expect("joined");
        }
        "env" => println!("{:?}", std::env::var_os(next())),
        "now" => drop(std::time::SystemTime::now()),
        "instant" => drop(std::time::Instant::now()),
        "hash" => drop(std::collections::HashMap::from([(1, 2)])),
        "random" => random(),
        "lots" => {
            let mut bytes = [0_u8; 32];
            // SAFETY: a buffer of the length that is told.
            unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0) };
        }
        "connect" => drop(std::net::TcpStream::connect(
            next().to_str().expect("an address"),
        )),
        "unix" => drop(std::os::unix::net::UnixStream::connect(next())),
        "trace" => {
            // SAFETY: asks to be traced by a parent that does not care.
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        }
        "uname" => {
            // SAFETY: fills plain data.
            unsafe {
                let mut name = std::mem::zeroed();
                libc::uname(&raw mut name);
            }
        }
        "warm" => quiet::warm(),
        "call" => quiet::call(&next().into_string().expect("a name"), &next()),
        "in" => quiet::open_in(&next(), &next()),
        "vfork" => quiet::vfork(&next(), &next()),
        "killed" => quiet::killed(&next()),
        "crowd" => quiet::crowd(&next()),
        "occupy" => quiet::occupy(),
        "misuse" => quiet::misuse(&next()),
        "humble" => quiet::humble(),
        "compare" => quiet::compare(&next()),
        "many" => many(&next()),
        "fork" => fork(&next()),
        "daemon" => daemon(&next()),
        "answer" => answer(&next()),
        "exit" => std::process::exit(
            next()
                .to_str()
                .and_then(|code| code.parse().ok())
                .unwrap_or(99),
        ),
        "die" => std::process::abort(),
        other => panic!("unknown act {other}"),
    }
}

fn map(path: &OsString) {
    let file = File::open(path).expect("opened");
    // SAFETY: a private mapping of an open file, of which one byte is read.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            1,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        );
        assert_ne!(at, libc::MAP_FAILED);
        std::ptr::read_volatile(at.cast::<u8>());
    }
}

fn random() {
    let mut bytes = [0_u8; 32];
    // SAFETY: a buffer of the length that is told.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
}

fn many(directory: &OsString) {
    for index in 0..10_000 {
        let path = PathBuf::from(directory).join(index.to_string());
        drop(fs::read(path));
    }
}

/// A child that reads, without starting a program.
fn fork(path: &OsString) {
    let path = CString::new(path.as_bytes()).expect("a path");
    // SAFETY: the child only makes system calls.
    unsafe {
        match libc::fork() {
            0 => {
                libc::open(path.as_ptr(), libc::O_RDONLY);
                libc::_exit(0)
            }
            child => {
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// A child that outlives its parent: reads each line of a FIFO as a path, and answers on another
/// whether it could be opened.
fn daemon(directory: &OsString) {
    // SAFETY: this program has one thread.
    let child = unsafe { libc::fork() };
    if child != 0 {
        return;
    }
    // SAFETY: leaves the session.
    unsafe { libc::setsid() };
    answer(directory);
    std::process::exit(0);
}

fn answer(directory: &OsString) {
    let directory = PathBuf::from(directory);
    let path = fs::read_to_string(directory.join("ask")).expect("a path");
    let answer = fs::read(path).is_ok();
    fs::write(directory.join("answer"), answer.to_string()).expect("answered");
}
