//! What observing a command costs: `cost [--lines] ROUNDS COMMAND [ARGUMENT…]`. With `--lines` it prints
//! for each way the wall, the processors' time, and calls stopped and written down, between tabs.
//!
//! Runs it in turns unobserved (A), observed (B) and observed with the preload library (C), and tells
//! the medians of the wall's and of the processors' time in milliseconds (the observer's included), the
//! ratios to A, and how many calls were stopped and written down, which no other work on the machine
//! changes.
#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    clippy::cast_precision_loss,
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
    let mut arguments = std::env::args_os().skip(1).peekable();
    let lines = arguments.next_if(|word| word == "--lines").is_some();
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
        foreign_libraries: std::env::var_os("LD_LIBRARY_PATH"),
        ..Options::default()
    };
    let ways = [
        ("not observed", Observer::off(), &plain),
        ("observed", Observer::probe(), &plain),
        ("with the preload library", Observer::probe(), &with),
    ];
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut busy: [Vec<f64>; 3] = Default::default();
    let mut last: [Option<Observed>; 3] = Default::default();
    for _ in 0..rounds {
        for (index, (_, observer, options)) in ways.iter().enumerate() {
            let mut command = Command::new(words.first().expect("a command"));
            command.args(&words[1..]).stdin(Stdio::null());
            let (start, before) = (Instant::now(), busy_ms());
            let observed = observer.run(&mut command, options).expect("started");
            times[index].push(start.elapsed().as_secs_f64() * 1000.0);
            busy[index].push(busy_ms() - before);
            last[index] = Some(observed);
        }
    }
    let [medians, busy] = [times, busy].map(|all| {
        all.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
    });
    for (index, (name, ..)) in ways.iter().enumerate() {
        let observed = last[index].as_ref().expect("run");
        assert!(observed.status.success(), "{:?}", observed.status);
        if lines {
            let effort = observed.effort;
            let times = format!("{:.2}\t{:.2}", medians[index], busy[index]);
            println!("{times}\t{}\t{}", effort.stopped, effort.written);
            continue;
        }
        println!(
            "{name:26} {:9.2} ms  {:5.2}  busy {:9.2} ms {:5.2}  stopped {:6}  written {:6}  files {:6}  blind {:?}",
            medians[index],
            medians[index] / medians[0],
            busy[index],
            busy[index] / busy[0],
            observed.effort.stopped,
            observed.effort.written,
            observed.observation.files.len(),
            observed.observation.blind,
        );
    }
    drop(std::fs::remove_dir_all(&directory));
}

/// What this process and the ones that have ended have used of the processors.
fn busy_ms() -> f64 {
    let used = |whose| {
        // SAFETY: plain data, and the structure that the call fills.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(whose, &raw mut usage);
            usage
        };
        let [user, system] = [usage.ru_utime, usage.ru_stime]
            .map(|time| time.tv_sec as f64 * 1000.0 + time.tv_usec as f64 / 1000.0);
        user + system
    };
    used(libc::RUSAGE_SELF) + used(libc::RUSAGE_CHILDREN)
}
