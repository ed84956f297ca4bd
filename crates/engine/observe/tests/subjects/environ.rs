//! A program that the tests observe, which can reach `environ`.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it plays somebody else's program"
)]

use std::process::Command;

#[allow(dead_code, reason = "most is of the other program")]
mod quiet;

#[allow(unconditional_recursion, reason = "it is to overflow")]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 100]);
    overflow(depth + 1) + room[7]
}

/// Runs a child and ends with its code.
fn end_as(command: &mut Command) -> ! {
    let status = command.status();
    std::process::exit(status.ok().and_then(|status| status.code()).unwrap_or(98));
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let act = arguments.next().unwrap_or_default();
    match act.to_str() {
        Some("vars") => println!("{}", std::env::vars_os().count()),
        Some("run") => {
            let program = arguments.next().expect("a program");
            end_as(Command::new(program).args(arguments));
        }
        // The child begins in another directory.
        Some("runin") => {
            let directory = arguments.next().expect("a directory");
            let program = arguments.next().expect("a program");
            end_as(Command::new(program).current_dir(directory));
        }
        Some("again") => {
            // SAFETY: this program has one thread.
            unsafe { std::env::set_var("ADDED", "1") };
            let all = std::env::vars_os().collect::<Vec<_>>();
            // SAFETY: as above.
            unsafe { std::env::set_var("ADDED", "2") };
            let more = std::env::vars_os().collect::<Vec<_>>();
            println!("{} {:?}", all.len() == more.len(), std::env::var("ADDED"));
            let value = more.iter().find(|(name, _)| name == "ADDED");
            println!("{value:?}");
        }
        Some("overflow") => println!("{}", overflow(1)),
        Some("null") => {
            // SAFETY: none: it is to be killed.
            unsafe { std::ptr::null::<u8>().read_volatile() };
        }
        // With another environment the child's program is looked for on another path.
        Some(act @ ("runwith" | "warm-runwith")) => {
            if act == "warm-runwith" {
                quiet::warm();
            }
            let path = arguments.next().expect("a path");
            let program = arguments.next().expect("a program");
            end_as(Command::new(program).env("PATH", path).args(arguments));
        }
        // A child with a changed environment, then perhaps all.
        Some(act @ ("changed" | "changed-all" | "copied")) => {
            let program = arguments.next().expect("a program");
            let mut command = Command::new(program);
            command
                .args(arguments)
                .env("CHANGED", "1")
                .env_remove("GONE");
            if act == "copied" {
                command.envs(std::env::vars_os());
            }
            let status = command.status();
            if act == "changed-all" {
                println!("{}", std::env::vars_os().count());
            }
            std::process::exit(status.ok().and_then(|status| status.code()).unwrap_or(98));
        }
        // Variables that are handed on while another thread goes through them.
        Some("beside") => {
            let program = arguments.next().expect("a program");
            let other = std::thread::spawn(|| std::env::vars_os().count());
            let status = Command::new(program).env("CHANGED", "1").status();
            println!("{:?} {:?}", other.join().is_ok(), status.is_ok());
        }
        other => panic!("unknown act {other:?}"),
    }
}
