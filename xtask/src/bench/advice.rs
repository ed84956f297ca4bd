//! What advice says that a change saves, against what it saves: each change is taken, and both ways are built in turns.
//!
//! All is built on one processor (`taskset`; `-j1` would do, but the report plays a run on the processors that there were), so that a
//! build's wall is its processor time where the machine is quiet, and its processor time tells nearly the same where it is not. The prediction is that of the report of the build without the change, as a share of
//! its wall; what is measured is the share of the least processor time, and of the least wall, of all rounds.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::measure::{self, Taken};
use super::projects::{self, Project, Registry, copy, remove, stand_alone, write};
use super::tools::{Kind, Tool};
use super::{number, scratch};
use crate::Failure;
use crate::args::Args;
use crate::process::capture;

const HELP: &str = "\
Compares the gains that advice predicts with those of taking it

Usage: cargo xtask bench advice [flags]

  --only NAME,...   of debug, linker, lto, duplicate (all of them)
  --rounds N        builds of each way, in turns; the least counts (3)
  --project NAME    what is built (du-dust)
  --program PATH    the `rekindle` to measure with, its wrapper beside it (built here)
  --scratch DIR     where to build
";

/// The project of the version pair that is built unless another is named.
const PROJECT: &str = "du-dust";

/// A package with two versions that many builds have both of.
const DUPLICATE: (&str, &str, &str) = ("syn", "1.0.109", "2.0.106");

/// A change that a rule recommends.
struct Change {
    name: &'static str,
    /// The rule that is to recommend it.
    rule: &'static str,
    arguments: &'static [&'static str],
    /// Variables without it, and with it.
    before: &'static [(&'static str, &'static str)],
    after: &'static [(&'static str, &'static str)],
    /// Whether only the project's own units are built, everything else being there: links are a large part of that.
    own_alone: bool,
}

const GNU: &str = "-Clinker-features=-lld -Clink-arg=-fuse-ld=bfd";
const LLD: &str = "-Clink-arg=-fuse-ld=lld";

const CHANGES: &[Change] = &[
    Change {
        name: "debug",
        rule: "debug-info-in-ci",
        arguments: &["build"],
        before: &[("CARGO_PROFILE_DEV_DEBUG", "2")],
        after: &[("CARGO_PROFILE_DEV_DEBUG", "0")],
        own_alone: false,
    },
    Change {
        name: "linker",
        rule: "link-share",
        arguments: &["test", "--no-run"],
        before: &[("RUSTFLAGS", GNU)],
        after: &[("RUSTFLAGS", LLD)],
        own_alone: true,
    },
    Change {
        name: "lto",
        rule: "lto-in-tests",
        arguments: &["test", "--release", "--no-run"],
        before: &[("CARGO_PROFILE_RELEASE_LTO", "fat")],
        after: &[("CARGO_PROFILE_RELEASE_LTO", "off")],
        // What libraries take instead differs too much from project to project for more than a bound.
        own_alone: true,
    },
    Change {
        name: "duplicate",
        rule: "duplicate-versions",
        arguments: &["build"],
        before: &[],
        after: &[],
        own_alone: false,
    },
];

/// Which way is built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Before,
    After,
}

/// One build.
#[derive(Clone, Copy)]
struct Built {
    taken: Taken,
    /// What the rule predicts to save, in per cent of cargo's wall; `None` where it says nothing.
    predicted: Option<f64>,
}

struct Bench {
    tool: Tool,
    home: PathBuf,
    dir: PathBuf,
    /// The project's source.
    source: PathBuf,
}

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        arguments.finish()?;
        print!("{HELP}");
        return Ok(());
    }
    let only = arguments.value("--only")?;
    let rounds = number(&mut arguments, "--rounds", 3)?;
    let name = arguments.value("--project")?;
    let program = arguments.value("--program")?.map(PathBuf::from);
    let scratch = scratch(&mut arguments)?;
    arguments.finish()?;
    let wanted = |change: &&Change| match &only {
        Some(names) => names.split(',').any(|name| name == change.name),
        None => true,
    };
    let project = projects::choose(Some(name.as_deref().unwrap_or(PROJECT)), false)?[0];
    let tool = match program {
        Some(program) => Tool::at(Kind::Rekindle, program, &scratch)?,
        None => Tool::find(Kind::Rekindle, &scratch, None)?,
    };
    let registry = Registry::open(&scratch)?;
    let bench = Bench {
        tool,
        home: registry.home.clone(),
        dir: scratch.join("advice"),
        source: fetched(&registry, &project, &scratch)?,
    };
    projects::make_dir(&bench.dir)?;
    println!("| change | predicted | measured, processor time | measured, wall | apart |");
    println!("|---|---|---|---|---|");
    for change in CHANGES.iter().filter(wanted) {
        let all = bench.all(change, &registry, rounds)?;
        println!("{}", line(change, &all));
    }
    Ok(())
}

impl Bench {
    /// Both ways, in turns.
    fn all(
        &self,
        change: &Change,
        registry: &Registry,
        rounds: u64,
    ) -> Result<[Vec<Built>; 2], Failure> {
        let mut all = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (way, built) in [Way::Before, Way::After].into_iter().zip(&mut all) {
                let checkout = self.dir.join(change.name).join(match way {
                    Way::Before => "before",
                    Way::After => "after",
                });
                if change.name == "duplicate" {
                    duplicate(registry, &checkout, way)?;
                } else {
                    remove(&checkout)?;
                    projects::make_dir(&self.dir.join(change.name))?;
                    copy(&self.source, &checkout, false)?;
                }
                built.push(self.one(change, way, &checkout)?);
                // One at a time: disks fill.
                remove(&checkout)?;
            }
        }
        Ok(all)
    }

    fn one(&self, change: &Change, way: Way, checkout: &Path) -> Result<Built, Failure> {
        self.tool.empty_store()?;
        let log = self.dir.join(format!("{}.log", change.name));
        if change.own_alone {
            measure::build(&mut self.command(change, way, checkout), checkout, &log)?;
            touch(&checkout.join("src"))?;
        }
        let taken = measure::build(&mut self.command(change, way, checkout), checkout, &log)?;
        let like = self.tool.build(checkout, &self.home, &[]);
        let mut report = bare(&like, like.get_program());
        let report = capture(report.args(["report", "--format", "json"]))?;
        Ok(Built {
            taken,
            predicted: predicted(&report, change.rule)?,
        })
    }

    fn command(&self, change: &Change, way: Way, checkout: &Path) -> Command {
        let mut command = self.tool.build(checkout, &self.home, change.arguments);
        let variables = if way == Way::Before {
            change.before
        } else {
            change.after
        };
        command
            .env("CI", "true")
            .env("REKINDLE_REPORT", "0")
            .env("REKINDLE_SNAPSHOT", "0")
            // What is asked for is what links.
            .env("REKINDLE_LINKER", "system")
            .env("CARGO_INCREMENTAL", "0")
            .envs(variables.iter().copied());
        pinned(&command)
    }
}

/// The same command on one processor.
fn pinned(command: &Command) -> Command {
    let mut pinned = bare(command, "taskset");
    pinned
        .args(["-c", "0"])
        .arg(command.get_program())
        .args(command.get_args());
    pinned
}

/// Another program in the same surroundings, without arguments.
fn bare(command: &Command, program: impl AsRef<OsStr>) -> Command {
    let mut bare = Command::new(program);
    bare.env_clear().stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bare.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        bare.current_dir(dir);
    }
    bare
}

/// What a report says that a rule's advice saves, in per cent of cargo's wall.
fn predicted(report: &str, rule: &str) -> Result<Option<f64>, Failure> {
    let report: Value =
        serde_json::from_str(report).map_err(|error| format!("the report is no JSON: {error}"))?;
    let wall_ms = report.pointer("/stats/wall_ms").and_then(Value::as_f64);
    let wall_ms = wall_ms.ok_or("the report says no wall time")?;
    let advice = report["advice"].as_array().into_iter().flatten();
    let mut of_rule = advice.filter(|advice| advice["id"] == rule);
    let gain_ms = of_rule.next().and_then(|advice| advice["gain_ms"].as_f64());
    Ok(gain_ms.map(|gain_ms| gain_ms * 100.0 / wall_ms))
}

/// The project's source with all that it is built from, fetched once.
fn fetched(registry: &Registry, project: &Project, scratch: &Path) -> Result<PathBuf, Failure> {
    let sources = scratch.join("sources");
    let source = sources.join(format!("{}-{}", project.name, project.version));
    let done = sources.join(format!("{}-{}.fetched", project.name, project.version));
    if !done.exists() {
        registry.unpack(project.name, project.version, &source)?;
        stand_alone(&source)?;
        registry.fetch(&source, &["--locked"])?;
        write(&done, "")?;
    }
    Ok(source)
}

/// Gives every source other bytes that mean the same.
fn touch(dir: &Path) -> Result<(), Failure> {
    for path in projects::entries(dir)? {
        if path.is_dir() {
            touch(&path)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let mut text = fs::read_to_string(&path)
                .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
            text.push_str("\n// changed\n");
            write(&path, &text)?;
        }
    }
    Ok(())
}

/// A program that is given one package in two versions, or the newer one alone.
fn duplicate(registry: &Registry, checkout: &Path, way: Way) -> Result<(), Failure> {
    let (package, older, newer) = DUPLICATE;
    let line = |name: &str, version: &str| {
        format!(
            "{name} = {{ package = \"{package}\", version = \"={version}\", features = [\"full\"] }}\n"
        )
    };
    let mut manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n[dependencies]\n{}",
        line("newer", newer)
    );
    if way == Way::Before {
        manifest.push_str(&line("older", older));
    }
    remove(checkout)?;
    projects::make_dir(&checkout.join("src"))?;
    write(&checkout.join("src/main.rs"), "fn main() {}\n")?;
    write(&checkout.join("Cargo.toml"), &manifest)?;
    registry.fetch(checkout, &[])
}

/// A line of the table.
fn line(change: &Change, [before, after]: &[Vec<Built>; 2]) -> String {
    let least = |built: &[Built], of: fn(&Taken) -> u64| {
        built.iter().map(|one| of(&one.taken)).min().unwrap_or(0)
    };
    let saved = |of: fn(&Taken) -> u64| {
        let (without, with) = (least(before, of), least(after, of));
        (share_saved(without, with), without, with)
    };
    let (cpu, cpu_before, cpu_after) = saved(|taken| taken.cpu_ms);
    let (wall, ..) = saved(|taken| taken.wall_ms);
    let predicted = median(before.iter().filter_map(|one| one.predicted).collect());
    let seconds = |ms: u64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
    let (shown, apart) = match predicted {
        None => ("nothing".to_owned(), "–".to_owned()),
        Some(predicted) => {
            let apart = (predicted - cpu).abs() * 100.0 / cpu.abs().max(0.1);
            (format!("{predicted:.1} %"), format!("{apart:.0} %"))
        }
    };
    format!(
        "| {} | {shown} | {cpu:.1} % ({} to {}) | {wall:.1} % | {apart} |",
        change.name,
        seconds(cpu_before),
        seconds(cpu_after)
    )
}

#[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
fn share_saved(without: u64, with: u64) -> f64 {
    (without as f64 - with as f64) * 100.0 / (without.max(1)) as f64
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_a_share_of_the_wall() {
        let report = r#"{"stats": {"wall_ms": 20000}, "advice": [
            {"id": "other", "gain_ms": 9000}, {"id": "link-share", "gain_ms": 5000}, {"id": "none", "gain_ms": null}]}"#;
        assert_eq!(predicted(report, "link-share"), Ok(Some(25.0)));
        assert_eq!(predicted(report, "none"), Ok(None));
        assert_eq!(predicted(report, "debug-info-in-ci"), Ok(None));
        assert!(predicted("{}", "x").is_err());
    }

    #[test]
    fn the_least_of_all_rounds_counts() {
        let built = |cpu_ms, predicted| Built {
            taken: Taken {
                cpu_ms,
                wall_ms: 2 * cpu_ms,
                ..Taken::default()
            },
            predicted,
        };
        let before = vec![
            built(10_000, Some(30.0)),
            built(12_000, Some(28.0)),
            built(11_000, Some(90.0)),
        ];
        let after = vec![built(9_000, None), built(8_000, None)];
        assert_eq!(
            line(&CHANGES[0], &[before, after]),
            "| debug | 30.0 % | 20.0 % (10.0 s to 8.0 s) | 20.0 % | 50 % |"
        );
    }
}
