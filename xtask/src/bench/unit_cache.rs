//! `cargo xtask bench unit-cache`: Rekindle, plain cargo and other caches build the same published
//! programs, in turns.
//!
//! A round builds every project with every tool in each [`Scenario`], one build at a time: the tools
//! of a scenario run one after the other, and the first of them changes from round to round.

use std::path::{Path, PathBuf};

use super::projects::{self, Project, Sources, make_dir};
use super::record::{NotMeasured, ProjectRecord, Run, Scenario, ToolRecord};
use super::said::Said;
use super::tools::{Kind, Tool};
use super::{figures, find_tools, machine, measure, number, scratch};
use crate::Failure;
use crate::args::Args;
use crate::process;

const HELP: &str = "\
Builds published programs with plain cargo, Rekindle and other caches, and writes docs/benchmarks.*

Usage: cargo xtask bench unit-cache [flags]

  --projects A,B       only these projects; others keep the figures they have
  --tools A,B          of plain,rekindle,sccache,kache,mbx (default: all)
  --rivals-path DIR    where rivals are installed, beside PATH
  --rounds N           builds per scenario and tool (default: 3)
  --warm-repeats N     times that warm scenarios are repeated within a round (default: 1)
  --scratch DIR        where to build (default: target/bench)
  --quick              one round of a tiny project; figures stay in the scratch directory
";

struct Options {
    projects: Vec<Project>,
    tools: Vec<Kind>,
    rivals: Option<PathBuf>,
    rounds: u64,
    warm_repeats: u64,
    scratch: PathBuf,
    quick: bool,
}

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let options = read_options(&mut arguments)?;
    arguments.finish()?;
    make_dir(&options.scratch)?;
    let mut not_measured = Vec::new();
    let tools = find_tools(
        &options.tools,
        &options.scratch,
        options.rivals.as_deref(),
        &mut not_measured,
    );
    let sources = Sources::fetch(&options.scratch, &options.projects)?;
    let out = figures(&options.scratch, options.quick)?;
    let mut failed = Vec::new();
    for project in &options.projects {
        let record = measure_project(&options, &sources, &tools, project, &not_measured)?;
        failed.extend(
            record
                .not_measured
                .iter()
                .skip(not_measured.len())
                .map(|missing| format!("{} on {}: {}", missing.tool, project.name, missing.why)),
        );
        // Written after each project, so that an interrupted bench keeps what it has.
        out.change(|records| records.put(record))?;
    }
    out.report(&failed)
}

fn read_options(arguments: &mut Args) -> Result<Options, Failure> {
    let quick = arguments.switch("--quick");
    Ok(Options {
        projects: projects::choose(arguments.value("--projects")?.as_deref(), quick)?,
        tools: Kind::choose(arguments.value("--tools")?.as_deref(), &Kind::UNIT_CACHE)?,
        rivals: arguments.value("--rivals-path")?.map(PathBuf::from),
        rounds: number(arguments, "--rounds", if quick { 1 } else { 3 })?,
        warm_repeats: number(arguments, "--warm-repeats", 1)?,
        scratch: scratch(arguments)?,
        quick,
    })
}

fn measure_project(
    options: &Options,
    sources: &Sources,
    tools: &[Tool],
    project: &Project,
    not_measured: &[NotMeasured],
) -> Result<ProjectRecord, Failure> {
    let mut record = ProjectRecord {
        name: project.name.to_owned(),
        version: project.version.to_owned(),
        next_version: project.next_version.to_owned(),
        kind: project.kind.to_owned(),
        builds_c: project.builds_c,
        packages: sources.packages(project)?,
        rounds: options.rounds,
        machine: machine(&options.scratch),
        tools: Vec::new(),
        not_measured: not_measured.to_vec(),
        runs: Vec::new(),
    };
    let bench = Bench {
        options,
        sources,
        project,
    };
    let mut working: Vec<&Tool> = tools.iter().collect();
    for round in 0..options.rounds {
        for scenario in Scenario::ALL {
            bench.play(scenario, round, &mut working, &mut record)?;
        }
        // The first one meets the machine as the last left it; no tool should always be that one.
        if !working.is_empty() {
            working.rotate_left(1);
        }
    }
    for tool in tools {
        if record.runs.iter().any(|run| run.tool == tool.kind.name()) {
            record.tools.push(ToolRecord {
                name: tool.kind.name().to_owned(),
                version: tool.version.clone(),
                note: tool.note().to_owned(),
            });
        }
        bench.clean_up(tool)?;
    }
    Ok(record)
}

/// One project, being measured.
struct Bench<'a> {
    options: &'a Options,
    sources: &'a Sources,
    project: &'a Project,
}

impl Bench<'_> {
    /// Every tool in turn; one that fails is out for the rest of the project.
    fn play(
        &self,
        scenario: Scenario,
        round: u64,
        tools: &mut Vec<&Tool>,
        record: &mut ProjectRecord,
    ) -> Result<(), Failure> {
        let warm = matches!(scenario, Scenario::WarmSame | Scenario::WarmElsewhere);
        let repeats = if warm { self.options.warm_repeats } else { 1 };
        for repeat in 0..repeats {
            let mut failed = Vec::new();
            for tool in tools.iter() {
                if !applies(scenario, tool.kind) {
                    continue;
                }
                match self.build(scenario, round * repeats + repeat, tool) {
                    Ok(run) => {
                        eprintln!(
                            "{} · {} · {}: {} ms",
                            self.project.name,
                            scenario.name(),
                            run.tool,
                            run.wall_ms
                        );
                        record.runs.push(run);
                    }
                    Err(why) => {
                        eprintln!("{}: {why}", tool.kind.name());
                        failed.push(tool.kind);
                        record.not_measured.push(NotMeasured {
                            tool: tool.kind.name().to_owned(),
                            why: format!("{}: {why}", scenario.name()),
                        });
                    }
                }
            }
            tools.retain(|tool| !failed.contains(&tool.kind));
        }
        if tools.is_empty() {
            return Err(format!("nothing could build {}", self.project.name));
        }
        Ok(())
    }

    fn build(&self, scenario: Scenario, turn: u64, tool: &Tool) -> Result<Run, Failure> {
        let place = match scenario {
            // A place of its own each time: the second build in one place would not be elsewhere.
            Scenario::WarmElsewhere => format!("elsewhere/{turn}/checkout"),
            _ => "here".to_owned(),
        };
        let checkout = tool.checkout(&place);
        let home = match scenario {
            Scenario::WarmElsewhere => &self.sources.other_home,
            _ => &self.sources.home,
        };
        self.prepare(scenario, tool, &checkout, home)?;
        tool.start(&checkout, home)?;
        let log = self.log(tool, scenario, turn)?;
        let measured = measure::build(
            &mut tool.build(&checkout, home, &["build"]),
            &checkout,
            &log,
        );
        // Also after a failure: nothing of ours keeps running.
        let stopped = tool.stop(&checkout, home);
        let taken = measured?;
        stopped?;
        self.try_out(&checkout)?;
        let said = Said::read(tool.statistics(&checkout, home));
        if scenario != Scenario::Cold {
            tool.remove_target(&checkout, home)?;
        }
        Ok(Run {
            scenario,
            tool: tool.kind.name().to_owned(),
            round: turn,
            wall_ms: taken.wall_ms,
            cpu_ms: taken.cpu_ms,
            machine_cpu_ms: taken.machine_cpu_ms,
            build_scripts_ms: taken.build_scripts_ms,
            store_bytes: measure::disk_bytes(&tool.store()),
            units: said.units,
            rustc_processes: said.processes.map(|started| started.rustc),
        })
    }

    /// Sets the stage; nothing here is measured.
    fn prepare(
        &self,
        scenario: Scenario,
        tool: &Tool,
        checkout: &Path,
        home: &Path,
    ) -> Result<(), Failure> {
        let version = match scenario {
            Scenario::NextVersion => self.project.next_version,
            _ => self.project.version,
        };
        match scenario {
            Scenario::Noop => Ok(()),
            Scenario::WarmSame => tool.remove_target(checkout, home),
            Scenario::Cold => {
                tool.remove_target(checkout, home)?;
                tool.empty_store()?;
                self.sources.check_out(self.project, version, checkout)
            }
            Scenario::WarmElsewhere | Scenario::NextVersion => {
                tool.remove_target(checkout, home)?;
                self.sources.check_out(self.project, version, checkout)
            }
        }
    }

    /// The program that was built runs.
    fn try_out(&self, checkout: &Path) -> Result<(), Failure> {
        let program = checkout.join("target/debug").join(self.project.program);
        let mut command = process::command(&program.to_string_lossy());
        process::capture(command.args(self.project.try_out))
            .map(|_| ())
            .map_err(|why| format!("what it built does not run: {why}"))
    }

    fn log(&self, tool: &Tool, scenario: Scenario, turn: u64) -> Result<PathBuf, Failure> {
        let dir = self.options.scratch.join("logs");
        make_dir(&dir)?;
        let (project, tool) = (self.project.name, tool.kind.name());
        Ok(dir.join(format!("{project}-{tool}-{scenario:?}-{turn}.log")))
    }

    fn clean_up(&self, tool: &Tool) -> Result<(), Failure> {
        for place in ["here", "elsewhere"] {
            projects::remove(&tool.checkout(place))?;
        }
        tool.empty_store()
    }
}

/// Only plain cargo shows the limit, and with `target/` removed it is always cold.
fn applies(scenario: Scenario, kind: Kind) -> bool {
    match scenario {
        Scenario::Cold | Scenario::NextVersion => true,
        Scenario::Noop => kind == Kind::Plain,
        Scenario::WarmSame | Scenario::WarmElsewhere => kind != Kind::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_cargo_is_never_warm() {
        assert!(applies(Scenario::Noop, Kind::Plain) && !applies(Scenario::Noop, Kind::Mbx));
        assert!(
            !applies(Scenario::WarmSame, Kind::Plain) && applies(Scenario::WarmSame, Kind::Mbx)
        );
    }
}
