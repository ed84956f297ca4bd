//! The oracle: random sequences of edits on generated workspaces, each step checked out and built, and
//! the programs compared with what a clean build gives.
//!
//! [`world`] is what is in a repository, and what its programs must print; [`render`] makes files of
//! it; [`edits`] and [`steps`] say what may happen; [`play`] does it with real programs, in checkouts
//! that [`site`] makes, and [`judge`] compares. What is expected is computed from the world, and now and
//! then compared with a clean build by a plain cargo. [`named`] holds single failures of other tools.
//!
//! `REKINDLE_ORACLE_SEQUENCES`, `_SEED`, `_MINUTES` and `_SHRINK` (how many tries to make a failure
//! smaller) change what is run; with `_PROGRESS`, each sequence tells; with `_KEEP`, the directories of
//! failures stay. Sequence `i` of a run with the seed `s` is the first of a run with the seed `s + i`.
//! `cargo xtask soak` sets them.

mod edits;
mod judge;
mod named;
mod play;
mod render;
mod site;
mod steps;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use play::{Tally, play};

/// A number from the surroundings.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name} is `{text}`, not a number"))
    })
}

/// Where sequences are played: most in memory, where thousands of small files come and go faster than
/// on a disk, but some on whatever file system others use.
fn ground(seed: u64) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let space = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if seed.is_multiple_of(5) || space < 2 << 30 {
        return std::env::temp_dir();
    }
    memory.to_owned()
}

/// Plays the one sequence of this seed; a failure is made smaller, as far as `tries` allow.
fn sequence(seed: u64, tries: u64) -> Result<Tally, String> {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: u32::try_from(tries).unwrap(),
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tally = Mutex::new(Tally::default());
    let mut runner = TestRunner::new_with_rng(config, rng);
    // Long ones now and then: what is not used for many commits goes.
    let lengths = if seed % 10 == 7 { 12..=16 } else { 4..=7 };
    let strategy = (edits::genesis(), vec(steps::step(), lengths));
    let outcome = runner.run(&strategy, |(genesis, steps)| {
        match play(&ground(seed), &genesis, &steps) {
            Ok(played) => *tally.lock().unwrap() = played,
            Err(wrong) => return Err(TestCaseError::fail(wrong)),
        }
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(tally.into_inner().unwrap()),
        Err(TestError::Abort(why)) | Err(TestError::Fail(why, _)) => Err(format!(
            "{why}\nREKINDLE_ORACLE_SEED={seed} REKINDLE_ORACLE_SEQUENCES=1 plays it again"
        )),
    }
}

fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Tells a person, and the driver of the tests, how much was done.
fn note(line: &str) {
    let line = format!("NOTE: {line}\n");
    say(&line);
    if let Some(list) = std::env::var_os("REKINDLE_TEST_SKIPS") {
        let list = std::fs::File::options()
            .create(true)
            .append(true)
            .open(list);
        list.unwrap().write_all(line.as_bytes()).unwrap();
    }
}

#[test]
fn random_edits_behave_as_clean_builds_do() {
    let wanted = number("REKINDLE_ORACLE_SEQUENCES", 30);
    let seed = number("REKINDLE_ORACLE_SEED", 1);
    let tries = number("REKINDLE_ORACLE_SHRINK", 20);
    let limit = Duration::from_secs(60 * number("REKINDLE_ORACLE_MINUTES", 24 * 60));
    let shows_progress = std::env::var_os("REKINDLE_ORACLE_PROGRESS").is_some();
    let (begin, next) = (Instant::now(), AtomicU64::new(0));
    let (total, failures) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= wanted || begin.elapsed() > limit {
                return;
            }
            match sequence(seed + at, tries) {
                Ok(tally) => {
                    let mut total = total.lock().unwrap();
                    total.add(&tally);
                    if shows_progress {
                        say(&format!("{total}, {} s\n", begin.elapsed().as_secs()));
                    }
                }
                Err(failure) => {
                    if shows_progress {
                        say(&format!("{failure}\n\n"));
                    }
                    failures.lock().unwrap().push(failure);
                }
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let (total, failures) = (total.into_inner().unwrap(), failures.into_inner().unwrap());
    let seconds = begin.elapsed().as_secs();
    note(&format!(
        "oracle: seed {seed}: {total}, {} failed, {seconds} s",
        failures.len()
    ));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(
        total.steps >= total.sequences && total.judged > 0,
        "{total}"
    );
}
