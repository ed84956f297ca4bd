//! `cargo xtask ci`: all that must pass before a change is merged. `.ci/run` calls it.

use std::time::Instant;

use crate::Failure;
use crate::args::Args;
use crate::process::{self, cargo};
use crate::{cargo_test, docs, tidy};

/// For each step that builds, so that all build the same: state for a second build fills gigabytes.
const BUILT_ONCE: &str = "profile.dev.incremental=false";

type Step = (&'static str, fn() -> Result<(), Failure>);

/// Tests come last, so that their count ends the log.
const STEPS: &[Step] = &[
    ("fmt", || {
        process::run(cargo().args(["fmt", "--all", "--check"]))
    }),
    ("clippy", || {
        process::run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--config",
            BUILT_ONCE,
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("tidy", || tidy::run(&[])),
    ("docs", || {
        docs::run(&["--check", "--config", BUILT_ONCE].map(str::to_owned))
    }),
    ("test", || {
        cargo_test::run(&["--config", BUILT_ONCE].map(str::to_owned))
    }),
];

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    Args::new(arguments).finish()?;
    let mut failures = Vec::new();
    for (name, step) in STEPS {
        eprintln!("=== {name}");
        let start = Instant::now();
        if let Err(failure) = step() {
            // One log shows everything that is wrong, not the first thing.
            eprintln!("xtask: {name}: {failure}");
            failures.push(*name);
        }
        eprintln!("=== {name}: {:.1} s", start.elapsed().as_secs_f64());
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "failed: {}; `cargo xtask <name>` runs one of them alone",
            failures.join(", ")
        ))
    }
}
