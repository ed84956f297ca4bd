//! Benchmarks: Rekindle, plain cargo and other caches build the same programs, in turns.
//!
//! [`unit_cache`] measures single builds with a store that is cold or warm, [`replay`] fresh
//! checkouts of one version after another, [`scale`] how the cost grows with a workspace,
//! [`remote`] machines that share a store over a link, [`advice`] whether what a report promises comes true,
//! [`observe`] what looking at processes costs them. All keep their figures in
//! `docs/benchmarks.json`; [`page`] writes `docs/benchmarks.md` from it.

mod advice;
mod corpus;
mod measure;
mod observe;
mod page;
mod projects;
mod record;
mod remote;
mod replay;
mod said;
mod scale;
mod tools;
mod unit_cache;

use std::path::{Path, PathBuf};

use crate::Failure;
use crate::args::Args;
use crate::process;
use projects::{make_dir, write};
use record::{Machine, NotMeasured, Records};
use tools::{Kind, Tool};

const HELP: &str = "\
Compares Rekindle with plain cargo and other caches, and writes docs/benchmarks.*

Usage: cargo xtask bench <bench> [flags]

  unit-cache   single builds: cold, warm, elsewhere, the next version (--help for its flags)
  replay       fresh checkouts of successive versions and of small changes (--help)
  scale        no change at all, in workspaces that grow (--help)
  remote       machines that are born empty, with a shared store behind a slow link (--help)
  advice       gains that advice predicts, against what taking it saves (--help)
  observe      processes that are looked at: what that costs them (--help)
  corpus       reads that nobody declares, and who is stale for them (--help)
  page         writes the page anew from the figures that are there
";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = Args::new(arguments);
    match arguments.word().as_deref() {
        Some("unit-cache") => unit_cache::run(arguments),
        Some("replay") => replay::run(arguments),
        Some("scale") => scale::run(arguments),
        Some("remote") => remote::run(arguments),
        Some("observe") => observe::run(arguments),
        // What `remote` starts in the far namespace.
        Some("relay") => remote::relay::run(arguments),
        Some("advice") => advice::run(arguments),
        Some("corpus") => corpus::run(arguments),
        Some("page") => {
            arguments.finish()?;
            Figures::at(process::root().join("docs"))?.change(|_| ())
        }
        None if arguments.switch("--help") => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err("name the bench; `cargo xtask bench --help` lists them".to_owned()),
    }
}

/// Where figures are kept, as JSON and as a page.
struct Figures {
    dir: PathBuf,
}

impl Figures {
    fn at(dir: PathBuf) -> Result<Self, Failure> {
        make_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Changes what is recorded and writes the page anew.
    fn change(&self, change: impl FnOnce(&mut Records)) -> Result<(), Failure> {
        let json = self.dir.join("benchmarks.json");
        let mut records = Records::read(&json)?;
        change(&mut records);
        records.write(&json)?;
        write(&self.dir.join("benchmarks.md"), &page::render(&records))
    }

    /// Says where the figures are, and what failed.
    fn report(&self, failed: &[String]) -> Result<(), Failure> {
        let page = self.dir.join("benchmarks.md");
        println!("figures are in {}", page.display());
        if failed.is_empty() {
            Ok(())
        } else {
            Err(format!("some builds failed:\n  {}", failed.join("\n  ")))
        }
    }
}

/// Figures of a trial stay out of `docs/`.
fn figures(scratch: &Path, trial: bool) -> Result<Figures, Failure> {
    Figures::at(if trial {
        scratch.to_owned()
    } else {
        process::root().join("docs")
    })
}

/// Takes a number of at least 1.
fn number(arguments: &mut Args, name: &str, default: u64) -> Result<u64, Failure> {
    arguments
        .value(name)?
        .map_or(Ok(default), |text| match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("`{name} {text}` is no number of at least 1")),
        })
}

/// Takes where to build.
fn scratch(arguments: &mut Args) -> Result<PathBuf, Failure> {
    match arguments.value("--scratch")? {
        // Relative to the root, wherever the chore was started.
        Some(dir) => Ok(process::root().join(dir)),
        None => Ok(process::target_dir()?.join("bench")),
    }
}

fn find_tools(
    kinds: &[Kind],
    scratch: &Path,
    rivals: Option<&Path>,
    not_measured: &mut Vec<NotMeasured>,
) -> Vec<Tool> {
    let mut tools = Vec::new();
    for kind in kinds {
        match Tool::find(*kind, scratch, rivals) {
            Ok(tool) => tools.push(tool),
            Err(why) => {
                eprintln!("{} is not measured: {why}", kind.name());
                not_measured.push(NotMeasured {
                    tool: kind.name().to_owned(),
                    why,
                });
            }
        }
    }
    tools
}

/// What the figures were measured on, without a name.
fn machine(scratch: &Path) -> Machine {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let said = |program: &str, arguments: &[&str]| {
        let said = process::capture(process::command(program).args(arguments));
        said.unwrap_or_default().trim().to_owned()
    };
    let scratch = scratch.to_string_lossy();
    let rustc = said("rustc", &["--version"]);
    Machine {
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
        memory_gib: (memory_kib + (1 << 19)) >> 20,
        // `stat --file-system` has one name for ext2, ext3 and ext4.
        file_system: said(
            "findmnt",
            &["--noheadings", "--output=FSTYPE", "--target", &scratch],
        ),
        rustc: rustc.split(' ').nth(1).unwrap_or("unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described_without_its_name() {
        let machine = machine(Path::new("."));
        assert!(machine.cores > 0 && machine.memory_gib > 0);
        assert!(machine.rustc.starts_with("1."), "{machine:?}");
    }

    #[test]
    fn numbers_start_at_one() {
        let mut given = Args::new(&["--rounds".to_owned(), "0".to_owned()]);
        assert!(number(&mut given, "--rounds", 3).is_err());
        assert_eq!(number(&mut given, "--rounds", 3), Ok(3));
    }
}
