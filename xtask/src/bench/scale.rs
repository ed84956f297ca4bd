//! `cargo xtask bench scale`: what a build with no change at all costs as a workspace grows.
//!
//! Workspaces are generated: many tiny libraries, each built from two earlier ones, and a program at
//! their end. They are played as [`super::replay`] plays published programs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::projects::{Registry, make_dir, write};
use super::replay::Story;
use super::replay::player::Stage;
use super::replay::record::{ScaleRecord, Size};
use super::replay::repository::Repository;
use super::replay::scenario::Scenario;
use super::tools::Kind;
use super::{figures, find_tools, machine, number, scratch};
use crate::Failure;
use crate::args::Args;
use crate::process;

const HELP: &str = "\
Builds unchanged workspaces of several sizes in fresh checkouts, and writes docs/benchmarks.*

Usage: cargo xtask bench scale [flags]

  --sizes A,B          how many units the workspaces have (default: 100,400,1600)
  --tools A,B          of kept,plain,rekindle,rust-cache,sccache,kache,mbx (default: kept,rekindle)
  --rivals-path DIR    where rivals are installed, beside PATH
  --rounds N           times that everything is played, from empty stores (default: 1)
  --repeats N          builds that count in a round (default: 5)
  --scratch DIR        where to build (default: target/bench)
  --trial              figures stay in the scratch directory
";

const TAG: &str = "whole";

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let trial = arguments.switch("--trial");
    let sizes = read_sizes(
        arguments
            .value("--sizes")?
            .as_deref()
            .unwrap_or("100,400,1600"),
    )?;
    let names = arguments.value("--tools")?;
    let kinds = Kind::choose(names.as_deref().or(Some("kept,rekindle")), &Kind::REPLAY)?;
    let rivals = arguments.value("--rivals-path")?.map(PathBuf::from);
    let rounds = number(&mut arguments, "--rounds", 1)?;
    let repeats = number(&mut arguments, "--repeats", 5)?;
    let scratch = scratch(&mut arguments)?;
    arguments.finish()?;

    make_dir(&scratch)?;
    let mut missing = Vec::new();
    let tools = find_tools(&kinds, &scratch, rivals.as_deref(), &mut missing);
    let registry = Registry::open(&scratch)?;
    let mut record = ScaleRecord {
        machine: machine(&scratch),
        rounds,
        not_measured: missing.clone(),
        ..ScaleRecord::default()
    };
    for units in sizes {
        let name = format!("units-{units}");
        let repository = generate(&scratch.join("generated").join(&name), units, &registry)?;
        let stage = Stage {
            name: &name,
            repository: &repository,
            home: &registry.home,
            program: "app",
            try_out: &[],
            depth: None,
            logs: &scratch.join("logs"),
        };
        let story = Story {
            scenarios: &[Scenario::NoChange],
            tags: vec![TAG.to_owned()],
            edits: Vec::new(),
            rounds,
            repeats,
        };
        let mut last = None;
        story.tell(&tools, &stage, &missing, |played, tools| {
            last = Some((played, tools));
            Ok(())
        })?;
        if let Some((played, tools)) = last {
            record.tools = tools;
            record
                .sizes
                .extend(played.into_iter().map(|played| Size { units, played }));
        }
    }
    let out = figures(&scratch, trial)?;
    let failed = failures(&record, missing.len());
    out.change(|records| records.scale = Some(record))?;
    out.report(&failed)
}

fn failures(record: &ScaleRecord, never_there: usize) -> Vec<String> {
    let of = |size: &Size| {
        let lost = size.played.not_measured.iter().skip(never_there);
        let text = |one: &super::record::NotMeasured| {
            format!("{} on {} units: {}", one.tool, size.units, one.why)
        };
        lost.map(text).collect::<Vec<_>>()
    };
    record.sizes.iter().flat_map(of).collect()
}

fn read_sizes(text: &str) -> Result<Vec<u64>, Failure> {
    let size = |word: &str| match word.parse() {
        Ok(size) if size >= 3 => Ok(size),
        _ => Err(format!("`{word}` is no number of units of at least 3")),
    };
    text.split(',').map(size).collect()
}

/// A committed workspace of `units` members with its lock file.
fn generate(dir: &Path, units: u64, registry: &Registry) -> Result<Repository, Failure> {
    let repository = Repository::create(dir)?;
    let libraries = units - 1;
    let mut members = String::new();
    for number in 0..libraries {
        let member = dir.join("crates").join(library(number));
        make_dir(&member.join("src"))?;
        write(
            &member.join("Cargo.toml"),
            &manifest(&library(number), &earlier(number)),
        )?;
        write(&member.join("src/lib.rs"), &source(number))?;
        let _ = writeln!(members, "    \"crates/{}\",", library(number));
    }
    let app = dir.join("app");
    make_dir(&app.join("src"))?;
    let last: Vec<u64> = (0..libraries).rev().take(2).collect();
    write(&app.join("Cargo.toml"), &manifest("app", &last))?;
    let sum: Vec<String> = last.iter().map(|number| call(*number)).collect();
    let main = format!(
        "fn main() {{\n    println!(\"{{}}\", {});\n}}\n",
        sum.join(" ^ ")
    );
    write(&app.join("src/main.rs"), &main)?;
    let root = format!("[workspace]\nresolver = \"3\"\nmembers = [\n    \"app\",\n{members}]\n");
    write(&dir.join("Cargo.toml"), &root)?;
    write(&dir.join(".gitignore"), "/target\n")?;
    process::run(
        registry
            .cargo(dir)
            .args(["generate-lockfile", "--offline", "--quiet"]),
    )?;
    repository.commit(TAG, 0)?;
    Ok(repository)
}

fn library(number: u64) -> String {
    format!("unit-{number:05}")
}

/// What a library is built from: paths between two of them stay short, as in real workspaces.
fn earlier(number: u64) -> Vec<u64> {
    let mut all = vec![number / 2, number / 3];
    all.dedup();
    all.retain(|one| *one < number);
    all
}

fn manifest(name: &str, dependencies: &[u64]) -> String {
    let up = if name == "app" { "../crates" } else { ".." };
    let mut text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n"
    );
    for number in dependencies {
        let library = library(*number);
        let _ = writeln!(text, "{library} = {{ path = \"{up}/{library}\" }}");
    }
    text
}

fn call(number: u64) -> String {
    format!("{}::value({number})", library(number).replace('-', "_"))
}

fn source(number: u64) -> String {
    let mut text = format!(
        "//! Library {number}.\n\n/// A value.\npub fn value(seed: u64) -> u64 {{\n    seed.rotate_left(7)"
    );
    for other in earlier(number) {
        let _ = write!(text, " ^ {}", call(other));
    }
    text.push_str("\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_built_from_earlier_ones() {
        assert_eq!(earlier(0), [] as [u64; 0]);
        assert_eq!(earlier(1), [0]);
        assert_eq!(earlier(7), [3, 2]);
        assert!(manifest("app", &[3]).contains("{ path = \"../crates/unit-00003\" }"));
        assert!(source(7).contains("unit_00003::value(3) ^ unit_00002::value(2)"));
    }

    #[test]
    fn sizes_are_numbers() {
        assert_eq!(read_sizes("100,400"), Ok(vec![100, 400]));
        assert!(read_sizes("2").is_err() && read_sizes("many").is_err());
    }
}
