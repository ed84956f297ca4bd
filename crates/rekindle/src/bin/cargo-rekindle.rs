//! `cargo rekindle …`: cargo runs `cargo-rekindle rekindle …`, which is `rekindle …`.
//!
//! A program of its own only because cargo looks for one by this name; it becomes the `rekindle`
//! beside it.
#![allow(clippy::print_stderr, reason = "a program's edge")]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rekindle_base::ErrorKind;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    args.next_if(|arg| arg == "rekindle");
    let program = match rekindle::sibling("rekindle") {
        Ok(program) => program,
        Err(error) => return fail(&error),
    };
    fail(&Command::new(program).args(args).exec())
}

fn fail(error: &std::io::Error) -> ExitCode {
    eprintln!("error: the `rekindle` beside cargo-rekindle could not be run: {error}");
    eprintln!("hint: install both programs into one directory");
    ExitCode::from(ErrorKind::Environment.exit_code())
}
