//! The project's own chores: `cargo xtask test|servers|soak|tidy|docs|ci|bench`.
//!
//! One module per command. [`process`] starts programs, [`cargo_test`] counts what they report,
//! [`tidy`] holds one function per rule of the tree.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore reads the tree, starts programs and talks to a person; it is never shipped"
)]

mod args;
mod bench;
mod cargo_test;
mod checkers;
mod ci;
mod counts;
mod docs;
mod process;
mod servers;
mod soak;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
The project's own chores.

Usage: cargo xtask <command>

Commands:
  test [--config KEY=VALUE] [-- FILTER...]
                        every test of the workspace; names what was skipped, and why
  servers               install what tests of remotes start; `test` does so too
  soak [--sequences N] [--seed S] [--minutes M] [--keep]
                        random edits against the cache, by the thousand; --keep leaves what failed
  tidy                  the rules of the tree: layers, file sizes, dead files, links
  docs [--check] [--config KEY=VALUE]
                        write the generated reference pages, or compare them
  ci                    all that must pass before a change is merged
  bench ...             compare with plain cargo and other caches (--help lists the benches)
";

/// What went wrong: the thing, the reason and the next step, in one line or a few.
type Failure = String;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "bench" => bench::run(&rest),
        "test" => cargo_test::run(&rest),
        "servers" => servers::run(&rest),
        "soak" => soak::run(&rest),
        "tidy" => tidy::run(&rest),
        "docs" => docs::run(&rest),
        "ci" => ci::run(&rest),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!(
            "`{other}` is no chore; `cargo xtask help` lists them"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
