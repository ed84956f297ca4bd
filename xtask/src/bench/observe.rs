//! `cargo xtask bench observe`: what it costs a process tree to be looked at.
//!
//! Runs commands in turns unobserved, observed, and observed with the preload library, by the example
//! `cost` of the crate `rekindle-observe`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::page::shown;
use super::projects::{make_dir, write};
use super::record::Machine;
use super::{figures, machine, number, scratch};
use crate::Failure;
use crate::args::Args;
use crate::process::{self, capture, cargo};

const HELP: &str = "\
Measures what observing costs processes, and writes docs/benchmarks.*

Usage: cargo xtask bench observe [flags]

  --rounds N           times that each command runs in each way (default: 7)
  --configure DIR      sources with a `configure` and a Makefile from it, to be configured and made
  --scratch DIR        where to build (default: target/bench)
  --trial              figures stay in the scratch directory
";

const SPAWNS: &str = "#include <spawn.h>\n#include <stdlib.h>\n#include <sys/wait.h>\n\
    extern char **environ;\nint main(int count, char **words) {\n\
    for (int left = atoi(words[1]); left > 0; left--) { pid_t child; int status;\n\
    if (posix_spawn(&child, words[2], 0, 0, words + 2, environ)) return 1;\n\
    waitpid(child, &status, 0); if (status) return 1; } return 0; }\n";

const OPENS: &str = "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n\
    int main(int count, char **words) { char path[4096]; static char data[65536];\n\
    for (int at = 0; at < 10000; at++) { snprintf(path, sizeof path, \"%s/f%d\", words[1], at);\n\
    int file = open(path, O_RDONLY); if (file < 0) return 1;\n\
    if (count > 2) while (read(file, data, sizeof data) > 0) {}\n\
    close(file); } return 0; }\n";

/// All commands, by their last run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ObserveRecord {
    machine: Machine,
    rounds: u64,
    /// How many processes wanted to run when it began and when it was over: the load of one minute.
    load: (String, String),
    rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    what: String,
    /// Unobserved, observed, observed with the preload library.
    ways: Vec<Way>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Way {
    wall_ms: f64,
    /// Of all processors, the observer's included.
    busy_ms: f64,
    stopped: u64,
    written: u64,
}

/// A command to be measured.
struct Subject {
    what: &'static str,
    words: Vec<String>,
    /// What the loader is to go through.
    library_path: Option<String>,
}

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let trial = arguments.switch("--trial");
    let rounds = number(&mut arguments, "--rounds", 7)?;
    let configure = arguments.value("--configure")?.map(PathBuf::from);
    let scratch = scratch(&mut arguments)?;
    arguments.finish()?;

    let dir = scratch.join("observe");
    make_dir(&dir)?;
    let cost = built()?;
    let load = load();
    let mut rows = Vec::new();
    for subject in subjects(&dir, configure.as_deref())? {
        eprintln!("{}", subject.what);
        rows.push(measure(&cost, rounds, &dir, &subject)?);
    }
    let record = ObserveRecord {
        machine: machine(&scratch),
        rounds,
        load: (load, self::load()),
        rows,
    };
    let out = figures(&scratch, trial)?;
    out.change(|records| records.observe = Some(record))?;
    out.report(&[])
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn built() -> Result<PathBuf, Failure> {
    let words = ["build", "--release", "--quiet", "--package"];
    let mut build = cargo();
    build.args(words);
    process::run(build.args(["rekindle-observe", "--example", "cost"]))?;
    Ok(process::target_dir()?.join("release/examples/cost"))
}

fn subjects(dir: &Path, configure: Option<&Path>) -> Result<Vec<Subject>, Failure> {
    for (name, text) in [("spawns", SPAWNS), ("opens", OPENS)] {
        let source = dir.join(format!("{name}.c"));
        write(&source, text)?;
        let mut cc = process::command("cc");
        process::run(cc.arg("-O2").arg(&source).arg("-o").arg(dir.join(name)))?;
    }
    write(&dir.join("tiny.c"), "int f(int x) { return x + 1; }\n")?;
    let files = dir.join("files");
    make_dir(&files)?;
    for at in 0..10_000 {
        write(&files.join(format!("f{at}")), &"x".repeat(3000))?;
    }
    let name = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let shell = |script: &str| words(&["sh", "-c", script]);
    let subject = |what, words| Subject {
        what,
        words,
        library_path: None,
    };
    let (spawns, opens, files) = (name("spawns"), name("opens"), name("files"));
    let many = "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done";
    let gcc = "i=0; while [ $i -lt 60 ]; do gcc -O1 -c tiny.c -o tiny.o; i=$((i+1)); done";
    let mut all = vec![
        subject("10,000 opens by a C program", words(&[&opens, &files])),
        subject("the same, read (3 KB)", words(&[&opens, &files, "read"])),
        subject("1,000 × `true` from a shell", shell(many)),
        subject(
            "1,000 × `true` by `posix_spawn`",
            words(&[&spawns, "1000", "/bin/true"]),
        ),
        Subject {
            library_path: Some(library_path(dir)?),
            ..subject(
                "the same, with cargo's `LD_LIBRARY_PATH`",
                words(&[&spawns, "1000", "/bin/true"]),
            )
        },
        subject("60 × `gcc -O1 -c` of a tiny file", shell(gcc)),
    ];
    if let Some(sources) = configure {
        let fresh = format!(
            "rm -rf made && cp -r '{}' made && cd made",
            sources.display()
        );
        let configured = format!("{fresh} && ./configure > configured");
        all.push(subject("`configure`", shell(&configured)));
        let made = shell(&format!("{configured} && make > made"));
        all.push(subject("`configure` and `make`", made.clone()));
        all.push(Subject {
            library_path: Some(library_path(dir)?),
            ..subject("the same, with cargo's `LD_LIBRARY_PATH`", made)
        });
    }
    Ok(all)
}

/// As cargo sets it for build scripts: two directories of the target's, two of the toolchain's.
fn library_path(dir: &Path) -> Result<String, Failure> {
    let mut rustc = process::command("rustc");
    let root = capture(rustc.args(["--print", "target-libdir", "--print", "sysroot"]))?;
    let (target, root) = root
        .trim()
        .split_once('\n')
        .ok_or("`rustc` named no directory")?;
    make_dir(&dir.join("debug/deps"))?;
    let debug = dir.join("debug");
    let debug = debug.to_string_lossy();
    Ok(format!("{debug}:{debug}/deps:{target}:{root}/lib"))
}

fn measure(cost: &Path, rounds: u64, dir: &Path, subject: &Subject) -> Result<Row, Failure> {
    let mut command = process::command(&cost.to_string_lossy());
    command.current_dir(dir).env_remove("LD_LIBRARY_PATH");
    if let Some(path) = &subject.library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    command
        .args(["--lines", &rounds.to_string()])
        .args(&subject.words);
    let said = capture(&mut command)?;
    let ways: Option<Vec<Way>> = said.lines().map(way).collect();
    let ways = ways.filter(|ways| ways.len() == 3);
    Ok(Row {
        what: subject.what.to_owned(),
        ways: ways.ok_or_else(|| format!("`cost` printed something else:\n{said}"))?,
    })
}

fn way(line: &str) -> Option<Way> {
    let mut fields = line.split('\t');
    let way = Way {
        wall_ms: fields.next()?.parse().ok()?,
        busy_ms: fields.next()?.parse().ok()?,
        stopped: fields.next()?.parse().ok()?,
        written: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(way)
}

/// The bar of each.
const MOST: f64 = 1.1;

pub(super) fn render_observe(page: &mut String, record: &ObserveRecord) {
    let (before, after) = &record.load;
    let _ = write!(
        page,
        "\n# What looking at processes costs them\n\n\
         Processors' time of the tree and the observer together, and the wall, each against the same command\n\
         unobserved; medians of {} rounds on {}. The load was {before} when it began and {after} when it was\n\
         over: above the number of cores the wall says little, as who is stopped often is preferred, and the\n\
         processors' time is held against the bar. Wanted: ≤ {MOST}.\n\n\
         | what | unobserved, CPU | without the library | with it | its wall | stopped | written down | |\n\
         |---|---|---|---|---|---|---|---|\n",
        record.rounds,
        shown(&record.machine),
    );
    for row in &record.rows {
        let [off, alone, with] = row.ways.as_slice() else {
            continue;
        };
        let (wall, busy) = (with.wall_ms / off.wall_ms, with.busy_ms / off.busy_ms);
        let judged = if is_quiet(record) { wall } else { busy };
        let _ = writeln!(
            page,
            "| {} | {:.0} ms | {:.2} | {busy:.2} | {wall:.2} | {} | {} | {} |",
            row.what,
            off.busy_ms,
            alone.busy_ms / off.busy_ms,
            with.stopped,
            with.written,
            if judged <= MOST { "met" } else { "**not met**" },
        );
    }
}

/// Whether there was a processor for each process that wanted one.
fn is_quiet(record: &ObserveRecord) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a few cores")]
    let cores = record.machine.cores as f64;
    let is_below = |load: &String| load.parse::<f64>().is_ok_and(|load| load <= cores);
    is_below(&record.load.0) && is_below(&record.load.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_shown() {
        let lines = "100.00\t50.00\t0\t0\n110.0\t60.0\t5\t0\n105.0\t75.0\t3\t9\n";
        let ways: Option<Vec<Way>> = lines.lines().map(way).collect();
        assert!(way("1\t2\t3").is_none() && way("1\t2\t3\t4\t5").is_none());
        let mut record = ObserveRecord {
            rounds: 3,
            rows: vec![Row {
                what: "opens".to_owned(),
                ways: ways.expect("read"),
            }],
            ..ObserveRecord::default()
        };
        record.machine.cores = 2;
        for (after, verdict) in [("1.9", "met"), ("2.5", "**not met**")] {
            record.load = ("0.50".to_owned(), after.to_owned());
            let mut page = String::new();
            render_observe(&mut page, &record);
            let row = format!("| opens | 50 ms | 1.20 | 1.50 | 1.05 | 3 | 9 | {verdict} |");
            assert!(page.contains(&row), "{page}");
        }
    }
}
