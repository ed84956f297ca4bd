//! `cargo xtask soak`: the oracle of `crates/rekindle/tests/cli/oracle`, for as long as one likes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Failure;
use crate::args::Args;
use crate::process::{self, cargo};

const TEST: &str = "oracle::random_edits_behave_as_clean_builds_do";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = Args::new(arguments);
    let sequences = number(&mut arguments, "--sequences")?.unwrap_or(1000);
    let seed = number(&mut arguments, "--seed")?;
    let minutes = number(&mut arguments, "--minutes")?;
    let keeps = arguments.switch("--keep");
    arguments.finish()?;
    // Another one each time, so that soaking twice plays twice as many.
    let seed = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs()) * 1000
    });
    let mut test = cargo();
    test.args(["test", "--package", "rekindle", "--all-features"]);
    test.args(["--test", "cli", "--", "--exact", "--nocapture", TEST]);
    test.env("REKINDLE_ORACLE_SEQUENCES", sequences.to_string());
    test.env("REKINDLE_ORACLE_SEED", seed.to_string());
    test.env("REKINDLE_ORACLE_PROGRESS", "1");
    if let Some(minutes) = minutes {
        test.env("REKINDLE_ORACLE_MINUTES", minutes.to_string());
    }
    if keeps {
        test.env("REKINDLE_ORACLE_KEEP", "1");
    }
    eprintln!("soak: up to {sequences} sequences from seed {seed}");
    process::run(&mut test)
}

fn number(arguments: &mut Args, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = arguments.value(name)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!("`{name} {text}` is no number")),
    }
}
