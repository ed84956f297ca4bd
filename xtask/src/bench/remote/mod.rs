//! `cargo xtask bench remote`: machines that are born empty and share a store over a slow link.
//!
//! [`link`] makes two machines of network namespaces, [`server`] runs a real S3 server at the far one, [`player`] takes a
//! tool through one job at the near one. A job's machine has no local store, no target directory and an empty `CARGO_HOME`;
//! packages that nobody saved come for nothing, so that what crosses the link is what a cache sends. Tools that do not look
//! after packages have all of them.

pub(super) mod link;
pub(super) mod page;
mod player;
pub(super) mod record;
pub(super) mod relay;
mod server;

use std::collections::HashSet;
use std::path::PathBuf;

use super::projects::{Registry, make_dir};
use super::record::{NotMeasured, ToolRecord};
use super::replay::history::{self, History};
use super::replay::player::Stage;
use super::replay::scenario::Edit;
use super::tools::{Kind, Tool};
use super::{figures, find_tools, machine, number, scratch};
use crate::Failure;
use crate::args::Args;
use link::{Distance, Link};
use player::{Player, applies};
use record::{Job, RemoteRecord};
use server::Server;

const HELP: &str = "\
Builds on machines that are born empty and share a store over a slow link, and writes docs/benchmarks.*

Usage: cargo xtask bench remote [flags]

As root, with `ip`, `tc` and `curl`; the S3 server is what `cargo xtask servers` installs.

  --projects A,B       of du-dust,zizmor,cargo-hack (default: the first two)
  --links A,B          of runner (10 ms, 1 Gbit/s),office (40 ms, 200 Mbit/s) (default: both)
  --tools A,B          of rekindle,rust-cache,sccache,kache,mbx (default: all)
  --rivals-path DIR    where rivals are installed, beside PATH
  --rekindle PROGRAM   a rekindle that is built already (default: this workspace's, built for release)
  --rounds N           times that everything is played, from an empty bucket (default: 1)
  --scratch DIR        where to build (default: target/bench)
  --trial              figures stay in the scratch directory
";

struct Options {
    histories: Vec<History>,
    links: Vec<Distance>,
    tools: Vec<Kind>,
    rivals: Option<PathBuf>,
    rekindle: Option<PathBuf>,
    rounds: u64,
    scratch: PathBuf,
    trial: bool,
}

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let trial = arguments.switch("--trial");
    let options = Options {
        histories: history::choose(arguments.value("--projects")?.as_deref(), false)?,
        links: Distance::choose(arguments.value("--links")?.as_deref())?,
        tools: Kind::choose(arguments.value("--tools")?.as_deref(), &Kind::REMOTE)?,
        rivals: arguments.value("--rivals-path")?.map(PathBuf::from),
        rekindle: arguments.value("--rekindle")?.map(PathBuf::from),
        rounds: number(&mut arguments, "--rounds", 1)?,
        scratch: scratch(&mut arguments)?,
        trial,
    };
    arguments.finish()?;
    // Before anything is built: these are what a machine may lack.
    Server::program()?;
    drop(Link::make(Distance::Runner)?);
    measure(&options)
}

fn measure(options: &Options) -> Result<(), Failure> {
    make_dir(&options.scratch)?;
    let registry = Registry::open(&options.scratch)?;
    let own = options.scratch.join("remote");
    let mut missing = Vec::new();
    let mut tools = find(options, &own, &mut missing);
    let out = figures(&own, options.trial)?;
    let mut failed = Vec::new();
    for history in &options.histories {
        let repository = history.repository(&registry, &options.scratch)?;
        history.make_edits(&registry, &repository, options.rounds)?;
        let second = (edit(history), options.rounds);
        history.make_second_edits(&registry, &repository, second)?;
        let mut record = RemoteRecord {
            name: history.name.to_owned(),
            kind: history.kind.to_owned(),
            packages: registry.packages(repository.tree())?,
            machine: machine(&options.scratch),
            tools: tools.iter().map(tool_record).collect(),
            not_measured: missing.clone(),
            ..RemoteRecord::default()
        };
        let stage = Stage {
            name: history.name,
            repository: &repository,
            home: &registry.home,
            program: history.program,
            try_out: history.try_out,
            depth: None,
            logs: &options.scratch.join("logs"),
        };
        for round in 0..options.rounds {
            for distance in &options.links {
                let story = Story {
                    round,
                    bucket: own.join("s3"),
                    tags: tags(history, round)?,
                };
                story.tell(*distance, &stage, &mut tools, &mut record)?;
            }
            record.rounds = round + 1;
            // Written after each round, so that an interrupted bench keeps what it has.
            out.change(|records| records.put_remote(record.clone()))?;
        }
        let lost = record.not_measured.iter().skip(missing.len());
        failed.extend(lost.map(|one| format!("{} on {}: {}", one.tool, history.name, one.why)));
    }
    out.report(&failed)
}

fn find(options: &Options, own: &std::path::Path, missing: &mut Vec<NotMeasured>) -> Vec<Tool> {
    let rivals = options.rivals.as_deref();
    let Some(program) = &options.rekindle else {
        return find_tools(&options.tools, own, rivals, missing);
    };
    let mut tools = Vec::new();
    for kind in &options.tools {
        if *kind != Kind::Rekindle {
            tools.extend(find_tools(&[*kind], own, rivals, missing));
            continue;
        }
        match Tool::at(*kind, program.clone(), own) {
            Ok(tool) => tools.push(tool),
            Err(why) => missing.push(NotMeasured {
                tool: kind.name().to_owned(),
                why,
            }),
        }
    }
    tools
}

/// The change that a job in the middle of a history brings.
fn edit(history: &History) -> Edit {
    if history.edits().contains(&Edit::Leaf) {
        Edit::Leaf
    } else {
        Edit::Root
    }
}

/// The state before the newest, the newest, and that one with a small change and with one more.
fn tags(history: &History, round: u64) -> Result<[String; 4], Failure> {
    let [before, newest] = <[String; 2]>::try_from(history.tags(1))
        .map_err(|tags| format!("{} has {} versions, not two", history.name, tags.len()))?;
    let edit = edit(history);
    let (edited, again) = (edit.tag(round), edit.second_tag(round));
    Ok([before, newest, edited, again])
}

fn tool_record(tool: &Tool) -> ToolRecord {
    ToolRecord {
        name: tool.kind.name().to_owned(),
        version: tool.version.clone(),
        note: tool.kind.remote_note().to_owned(),
    }
}

/// All jobs of a round over one link.
struct Story {
    round: u64,
    bucket: PathBuf,
    tags: [String; 4],
}

impl Story {
    /// Tools take turns at each job; one that fails is out of this round.
    fn tell(
        &self,
        distance: Distance,
        stage: &Stage<'_>,
        tools: &mut [Tool],
        record: &mut RemoteRecord,
    ) -> Result<(), Failure> {
        let link = Link::make(distance)?;
        record.netem = link.delayed;
        let _server = Server::start(&link, &self.bucket)?;
        let player = Player { stage, link: &link };
        let mut failed = Vec::new();
        let mut saved = HashSet::new();
        for job in Job::ALL {
            for tool in tools.iter_mut() {
                let kind = tool.kind;
                if failed.contains(&kind) || !applies(job, kind, distance) {
                    continue;
                }
                let outcome = player.play(tool, job, self.tag(job), self.round, &mut saved);
                let place = format!("{} · {} · {}", stage.name, distance.name(), job.name());
                match outcome {
                    Ok(run) => {
                        eprintln!(
                            "{place} · {}: {} ms, {} bytes down, {} up, {} packages built, {:?}",
                            kind.name(),
                            run.wall_ms,
                            run.bytes_down,
                            run.bytes_up,
                            run.packages_built,
                            run.remote.unwrap_or_default()
                        );
                        record.runs.push(run);
                    }
                    Err(why) => {
                        eprintln!("{place} · {}: failed: {why}", kind.name());
                        failed.push(kind);
                        record.not_measured.push(NotMeasured {
                            tool: kind.name().to_owned(),
                            why: format!("{}, {}: {why}", distance.name(), job.name()),
                        });
                    }
                }
            }
        }
        for tool in tools.iter() {
            tool.empty_store()?;
        }
        Ok(())
    }

    fn tag(&self, job: Job) -> &str {
        let [before, newest, edited, again] = &self.tags;
        match job {
            Job::Alone | Job::Cold | Job::Warm | Job::NoChange => before,
            Job::Next => newest,
            Job::Edit => edited,
            Job::Commit => again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_starts_from_what_the_one_before_saved() {
        let dust = history::choose(Some("du-dust"), false).unwrap();
        let zizmor = history::choose(Some("zizmor"), false).unwrap();
        assert_eq!(
            tags(&dust[0], 1).unwrap(),
            ["v1.2.6", "v1.2.7", "root-1", "root-1-second"]
        );
        assert_eq!(
            tags(&zizmor[0], 0).unwrap(),
            ["v1.15.0", "v1.15.1", "leaf-0", "leaf-0-second"]
        );
    }
}
