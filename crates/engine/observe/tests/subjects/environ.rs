//! A program that the tests observe, which can reach `environ`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it plays somebody else's program"
)]

use std::process::Command;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let act = arguments.next().unwrap_or_default();
    match act.to_str() {
        Some("vars") => println!("{}", std::env::vars_os().count()),
        Some("run") => {
            let program = arguments.next().expect("a program");
            let status = Command::new(program).args(arguments).status();
            std::process::exit(status.ok().and_then(|status| status.code()).unwrap_or(98));
        }
        // With another environment the child's program is looked for on another path.
        Some("runwith") => {
            let path = arguments.next().expect("a path");
            let program = arguments.next().expect("a program");
            let status = Command::new(program)
                .env("PATH", path)
                .args(arguments)
                .status();
            std::process::exit(status.ok().and_then(|status| status.code()).unwrap_or(98));
        }
        other => panic!("unknown act {other:?}"),
    }
}
