//! Fills a history with made-up runs, to measure how long reading them takes:
//! `cargo run --release -p rekindle-history --example generate -- STORE PROJECT RUNS`, then
//! `REKINDLE_DIR=STORE rekindle history` in that project. `PROJECT` is the digest in a row of that history.

#![allow(clippy::print_stdout, reason = "a measurement, run by hand")]

use std::path::Path;
use std::time::Instant;

use rekindle_history::{Filter, History, Overview, Run, page, text};

/// Runs on five branches with two commands and three jobs, around ten minutes with noise, and a step up on
/// `main` after nine tenths.
fn run(project: &str, number: u64, of: u64) -> Run {
    let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let is_slower = number * 10 > of * 9 && number.is_multiple_of(5);
    let mut run = Run {
        project: project.to_owned(),
        began_ms: 1_700_000_000_000 + number * 600_000,
        branch: Some(
            ["main", "12/merge", "topic/a", "topic/b", "release"][(number % 5) as usize].into(),
        ),
        commit: Some(format!("{number:040x}")),
        command: ["build", "test"][(number / 5 % 2) as usize].into(),
        wall_ms: 600_000 + noise % 60_000 + if is_slower { 200_000 } else { 0 },
        exit_code: if noise.is_multiple_of(17) { 101 } else { 0 },
        fresh: Some(noise % 300),
        hits: 300 - noise % 100,
        misses: noise % 100,
        compile_ms: 900_000,
        link_ms: 100_000 + noise % 9_000,
        saved_ms: 1_200_000,
        restored_bytes: 900_000_000,
        published_bytes: 90_000_000,
        cores: 4,
        ci: Some("github".into()),
        workflow: Some("CI".into()),
        job: Some(["test", "lint", "msrv"][(number / 10 % 3) as usize].into()),
        runner: Some("ubuntu24 X64".into()),
        rekindle: "0.1.0".into(),
        ..Run::default()
    };
    run.name(&number.to_string(), b"machine");
    run
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, project, number] = arguments.as_slice() else {
        return Err("give STORE, PROJECT and RUNS".into());
    };
    let number: u64 = number.parse()?;
    let mut history = History::open(Path::new(store))?;
    let runs = (0..number).map(|at| run(project, at, number)).collect();
    let began = Instant::now();
    let (new, _) = history.record_all(runs, Vec::new())?;
    println!("{new} runs kept in {:?}", began.elapsed());
    let began = Instant::now();
    history.record(run(project, number, number))?;
    println!("one more in {:?}", began.elapsed());
    let began = Instant::now();
    let rows = History::open_to_read(Path::new(store))?.runs(project, u64::MAX)?;
    println!("{} runs read in {:?}", rows.len(), began.elapsed());
    let overview = Overview::of(rows, &[], &Filter::default());
    let (lines, bytes) = (
        text::text(&overview),
        page::page(&overview, "History").len(),
    );
    println!(
        "folded and written in {:?}; a page of {bytes} bytes",
        began.elapsed()
    );
    println!("{lines}");
    Ok(())
}
