//! `cargo xtask bench replay`: fresh checkouts of one state after another, as CI jobs make them.
//!
//! [`history`] makes a git repository of published versions and small changes, [`scenario`] says which
//! of its states are built after which, and [`player`] takes a tool through them. Tools take turns at every
//! step. A job's checkout is removed with its target directory and made anew at the same path; what
//! a tool keeps from one job to the next is its store alone.

pub(super) mod history;
pub(super) mod page;
pub(super) mod player;
pub(super) mod record;
pub(super) mod repository;
pub(super) mod rust_cache;
pub(super) mod scenario;
mod witness;

use std::path::PathBuf;

use super::projects::{Registry, make_dir};
use super::record::{NotMeasured, ToolRecord};
use super::tools::{Kind, Tool};
use super::{figures, find_tools, machine, number, scratch};
use crate::Failure;
use crate::args::Args;
use history::History;
use player::{Player, Stage};
use record::{Build, Played, ReplayRecord};
use repository::Repository;
use scenario::{Edit, Scenario, Step};

const HELP: &str = "\
Builds fresh checkouts of successive versions and of small changes, and writes docs/benchmarks.*

Usage: cargo xtask bench replay [flags]

  --projects A,B       of du-dust,zizmor,cargo-hack (default: the first two)
  --scenarios A,B      of versions,no-change,readme,leaf,root,lock,check,test,release (default: all);
                       scenarios and projects that are left out keep the figures they have
  --tools A,B          of kept,plain,rekindle,rust-cache,sccache,kache,mbx (default: all)
  --rivals-path DIR    where rivals are installed, beside PATH
  --versions N         how many successive versions count (default: 8)
  --rounds N           times that everything is played, from empty stores (default: 1)
  --repeats N          times that an unchanged or slightly changed state is built in a round (default: 3)
  --depth N            how many commits a checkout knows (default: all)
  --scratch DIR        where to build (default: target/bench)
  --trial              figures stay in the scratch directory
  --fetch              only fetch the versions and make their repositories
";

struct Options {
    histories: Vec<History>,
    scenarios: Vec<Scenario>,
    tools: Vec<Kind>,
    rivals: Option<PathBuf>,
    versions: u64,
    rounds: u64,
    repeats: u64,
    depth: Option<u64>,
    scratch: PathBuf,
    trial: bool,
    fetch_only: bool,
}

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let options = read_options(&mut arguments)?;
    arguments.finish()?;
    make_dir(&options.scratch)?;
    let registry = Registry::open(&options.scratch)?;
    let mut ready = Vec::new();
    for history in &options.histories {
        let repository = history.repository(&registry, &options.scratch)?;
        history.make_edits(&registry, &repository, options.repeats)?;
        ready.push((history, repository));
    }
    if options.fetch_only {
        return Ok(());
    }
    measure(&options, &registry, &ready)
}

fn measure(
    options: &Options,
    registry: &Registry,
    ready: &[(&History, Repository)],
) -> Result<(), Failure> {
    let mut missing = Vec::new();
    let rivals = options.rivals.as_deref();
    let tools = find_tools(&options.tools, &options.scratch, rivals, &mut missing);
    let out = figures(&options.scratch, options.trial)?;
    let mut failed = Vec::new();
    for (history, repository) in ready {
        let stage = Stage {
            name: history.name,
            repository,
            home: &registry.home,
            program: history.program,
            try_out: history.try_out,
            depth: options.depth,
            logs: &options.scratch.join("logs"),
        };
        let story = Story {
            scenarios: &options.scenarios,
            tags: history.tags(options.versions),
            edits: history.edits(),
            rounds: options.rounds,
            repeats: options.repeats,
        };
        let packages = registry.packages(repository.tree())?;
        let mut lost = Vec::new();
        story.tell(&tools, &stage, &missing, |played, tools| {
            lost = story.failures(history.name, &played, &missing);
            let record = ReplayRecord {
                name: history.name.to_owned(),
                kind: history.kind.to_owned(),
                packages,
                machine: machine(&options.scratch),
                tools,
                scenarios: played,
            };
            // Written after each round, so that an interrupted bench keeps what it has.
            out.change(|records| records.put_replay(record))
        })?;
        failed.extend(lost);
    }
    out.report(&failed)
}

fn read_options(arguments: &mut Args) -> Result<Options, Failure> {
    let trial = arguments.switch("--trial");
    let fetch_only = arguments.switch("--fetch");
    Ok(Options {
        histories: history::choose(arguments.value("--projects")?.as_deref(), false)?,
        scenarios: Scenario::choose(arguments.value("--scenarios")?.as_deref())?,
        tools: Kind::choose(arguments.value("--tools")?.as_deref(), &Kind::REPLAY)?,
        rivals: arguments.value("--rivals-path")?.map(PathBuf::from),
        versions: number(arguments, "--versions", 8)?,
        rounds: number(arguments, "--rounds", 1)?,
        repeats: number(arguments, "--repeats", 3)?,
        depth: match number(arguments, "--depth", u64::MAX)? {
            u64::MAX => None,
            depth => Some(depth),
        },
        scratch: scratch(arguments)?,
        trial,
        fetch_only,
    })
}

/// What is played, how often.
pub(super) struct Story<'a> {
    pub(super) scenarios: &'a [Scenario],
    /// Versions, oldest first.
    pub(super) tags: Vec<String>,
    pub(super) edits: Vec<Edit>,
    pub(super) rounds: u64,
    pub(super) repeats: u64,
}

impl Story<'_> {
    /// Plays all rounds; `keep` is handed what there is after each of them.
    pub(super) fn tell(
        &self,
        tools: &[Tool],
        stage: &Stage<'_>,
        missing: &[NotMeasured],
        mut keep: impl FnMut(Vec<Played>, Vec<ToolRecord>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut all: Vec<Played> = self
            .scenarios
            .iter()
            .map(|scenario| Played {
                scenario: *scenario,
                depth: stage.depth,
                not_measured: missing.to_vec(),
                ..Played::default()
            })
            .collect();
        for round in 0..self.rounds {
            let mut players = tools
                .iter()
                .map(|tool| Player::new(tool, stage.clone()))
                .collect::<Result<Vec<_>, _>>()?;
            // The first one meets the machine as the last left it; no tool should always be that one.
            let first = usize::try_from(round).unwrap_or(0) % players.len().max(1);
            players.rotate_left(first);
            for played in &mut all {
                self.play(round, &mut players, played)?;
                played.rounds = round + 1;
            }
            for player in &players {
                player.clean_up()?;
            }
            let told: Vec<Played> = all
                .iter()
                .filter(|one| !one.runs.is_empty())
                .cloned()
                .collect();
            let records = tool_records(tools, &told);
            keep(told, records)?;
        }
        Ok(())
    }

    /// One scenario: every tool in turn at each step; one that fails is out of the scenario.
    fn play(
        &self,
        round: u64,
        players: &mut [Player<'_>],
        played: &mut Played,
    ) -> Result<(), Failure> {
        let scenario = played.scenario;
        let steps = scenario.steps(&self.tags, &self.edits, self.repeats);
        let mut failed = Vec::new();
        let mut counted = 0;
        for (number, step) in steps.iter().enumerate() {
            for player in players.iter_mut() {
                let kind = player.tool.kind;
                if failed.contains(&kind) || !step.applies(scenario, kind, counted) {
                    continue;
                }
                let outcome = player.play(scenario, step, round);
                let place = format!("{} {}/{}", scenario.name(), number + 1, steps.len());
                self.progress(player, round, &place, step, &outcome);
                match outcome {
                    Ok(build) => played.runs.extend(build),
                    Err(why) => {
                        failed.push(kind);
                        played.not_measured.push(NotMeasured {
                            tool: kind.name().to_owned(),
                            why: format!("{}, {}: {why}", scenario.name(), step.tag),
                        });
                    }
                }
            }
            counted += usize::from(step.counted.is_some());
        }
        match steps.last() {
            Some(step) if !failed.contains(&Kind::Rekindle) => {
                self.witness(round, players, played, step)
            }
            _ => Ok(()),
        }
    }

    /// Who says that nothing is compiled is watched once.
    fn witness(
        &self,
        round: u64,
        players: &mut [Player<'_>],
        played: &mut Played,
        step: &Step,
    ) -> Result<(), Failure> {
        if played.scenario != Scenario::NoChange || round > 0 || !witness::available() {
            return Ok(());
        }
        let ours = |player: &&mut Player<'_>| player.tool.kind == Kind::Rekindle;
        for player in players.iter_mut().filter(ours) {
            played.runs.push(player.witness(step, round)?);
        }
        Ok(())
    }

    fn progress(
        &self,
        player: &Player<'_>,
        round: u64,
        place: &str,
        step: &Step,
        outcome: &Result<Option<Build>, Failure>,
    ) {
        let took = match outcome {
            Ok(Some(build)) => format!(
                "{} ms, {} packages built",
                build.wall_ms, build.packages_built
            ),
            Ok(None) => "ready".to_owned(),
            Err(why) => format!("failed: {why}"),
        };
        let (project, round) = (player.project(), round + 1);
        let (tag, tool) = (&step.tag, player.tool.kind.name());
        eprintln!(
            "{project} · round {round}/{} · {place} · {tag} · {tool}: {took}",
            self.rounds
        );
    }

    /// What went wrong in this bench, not what was never there.
    fn failures(&self, name: &str, played: &[Played], missing: &[NotMeasured]) -> Vec<String> {
        played
            .iter()
            .flat_map(|one| one.not_measured.iter().skip(missing.len()))
            .map(|one| format!("{} on {name}: {}", one.tool, one.why))
            .collect()
    }
}

/// Those that built something.
fn tool_records(tools: &[Tool], played: &[Played]) -> Vec<ToolRecord> {
    let ran = |tool: &&Tool| {
        let mut runs = played.iter().flat_map(|one| &one.runs);
        runs.any(|run| run.tool == tool.kind.name())
    };
    tools
        .iter()
        .filter(ran)
        .map(|tool| ToolRecord {
            name: tool.kind.name().to_owned(),
            version: tool.version.clone(),
            note: tool.note().to_owned(),
        })
        .collect()
}
