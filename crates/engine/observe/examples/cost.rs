//! What observing a command costs: `cost ROUNDS COMMAND [ARGUMENT…]`.
//!
//! Runs it in turns unobserved (A), observed (B) and observed with the preload library (C), and tells
//! the medians in milliseconds, the ratios to A, and how many calls were stopped and written down,
//! which no other work on the machine changes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measurement, run by hand"
)]

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use rekindle_observe::{Observed, Observer, Options, install_preload};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let rounds: usize = arguments
        .next()
        .and_then(|rounds| rounds.to_str()?.parse().ok())
        .expect("the number of rounds");
    let words: Vec<OsString> = arguments.collect();
    let directory = std::env::temp_dir().join(format!("rekindle-cost-{}", std::process::id()));
    let preload = install_preload(&directory).expect("the preload library");
    let plain = Options::default();
    let with = Options {
        preload,
        ..Options::default()
    };
    let ways = [
        ("not observed", Observer::off(), &plain),
        ("observed", Observer::probe(), &plain),
        ("with the preload library", Observer::probe(), &with),
    ];
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut last: [Option<Observed>; 3] = Default::default();
    for _ in 0..rounds {
        for (index, (_, observer, options)) in ways.iter().enumerate() {
            let mut command = Command::new(words.first().expect("a command"));
            command.args(&words[1..]).stdin(Stdio::null());
            let start = Instant::now();
            let observed = observer.run(&mut command, options).expect("started");
            times[index].push(start.elapsed().as_secs_f64() * 1000.0);
            last[index] = Some(observed);
        }
    }
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    for (index, (name, ..)) in ways.iter().enumerate() {
        let observed = last[index].as_ref().expect("run");
        println!(
            "{name:26} {:9.2} ms  {:5.2}  stopped {:6}  written {:6}  files {:6}  blind {:?}",
            medians[index],
            medians[index] / medians[0],
            observed.effort.stopped,
            observed.effort.written,
            observed.observation.files.len(),
            observed.observation.blind,
        );
    }
    drop(std::fs::remove_dir_all(&directory));
}
