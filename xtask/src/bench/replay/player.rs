//! One tool on its way through the steps of a project.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::record::{Build, Phase};
use super::repository::Repository;
use super::rust_cache::RustCache;
use super::scenario::{Act, Scenario, Step};
use super::witness;
use crate::Failure;
use crate::bench::measure::{self, Taken, disk_bytes};
use crate::bench::projects::{entries, make_dir, remove};
use crate::bench::said::{Said, packages_built};
use crate::bench::tools::{Kind, Tool};
use crate::process;

/// What is built, for all tools alike.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Stage<'a> {
    pub(in crate::bench) name: &'a str,
    pub(in crate::bench) repository: &'a Repository,
    /// The `CARGO_HOME` with all packages in it.
    pub(in crate::bench) home: &'a Path,
    /// The program that is built, and what makes it succeed at once.
    pub(in crate::bench) program: &'a str,
    pub(in crate::bench) try_out: &'a [&'a str],
    /// How many commits a checkout knows; `None` for all.
    pub(in crate::bench) depth: Option<u64>,
    pub(in crate::bench) logs: &'a Path,
}

/// A state that was built, and how.
type Built = (String, Act);

/// A tool, and what it built last.
pub(super) struct Player<'a> {
    pub(super) tool: &'a Tool,
    stage: Stage<'a>,
    last: Option<Built>,
    /// What is built in the other checkout, from which kache fills a new target directory.
    donor: Option<Built>,
    turn: u64,
}

impl<'a> Player<'a> {
    /// A tool that remembers nothing.
    pub(super) fn new(tool: &'a Tool, stage: Stage<'a>) -> Result<Self, Failure> {
        let player = Self {
            tool,
            stage,
            last: None,
            donor: None,
            turn: 0,
        };
        player.clean_up()?;
        Ok(player)
    }

    /// Removes all that the tool keeps.
    pub(super) fn clean_up(&self) -> Result<(), Failure> {
        for place in [self.here(), self.other()] {
            remove(&place)?;
        }
        remove(&self.tool.cargo_home())?;
        self.tool.empty_store()
    }

    /// Plays a step. A build that only prepares is left out where it would repeat the one before.
    pub(super) fn play(
        &mut self,
        scenario: Scenario,
        step: &Step,
        round: u64,
    ) -> Result<Option<Build>, Failure> {
        let built = (step.tag.clone(), step.act);
        if step.counted.is_none() && self.last.as_ref() == Some(&built) {
            return Ok(None);
        }
        self.turn += 1;
        // After a failure nobody knows what is there: the next step starts anew.
        let before = self.last.take();
        self.prepare(step, before)?;
        let log = self.log(scenario, step)?;
        let (taken, phases) = self.measure(step, &log)?;
        let build = self.describe(step, round, taken, phases, &log);
        self.leave()?;
        self.last = Some(built);
        // A store may be large: it is measured where somebody will read it.
        Ok(step.counted.is_some().then(|| Build {
            store_bytes: disk_bytes(&self.tool.store()),
            ..build
        }))
    }

    /// Builds the last state once more, watched and not measured.
    pub(super) fn witness(&mut self, step: &Step, round: u64) -> Result<Build, Failure> {
        self.turn += 1;
        let before = self.last.clone();
        self.prepare(step, before)?;
        let log = self
            .log(Scenario::NoChange, step)?
            .with_extension("witness.log");
        let trace = log.with_extension("trace");
        let checkout = self.here();
        let command = self
            .tool
            .build(&checkout, self.stage.home, step.act.arguments());
        let mut watched = witness::watched(&command, &trace);
        let taken = measure::build(&mut watched, &checkout, &log)?;
        let mut build = self.describe(step, round, taken, Vec::new(), &log);
        build.witnessed = Some(witness::read(&trace)?);
        self.leave()?;
        Ok(build)
    }

    /// Sets the stage; nothing here is measured.
    fn prepare(&mut self, step: &Step, before: Option<Built>) -> Result<(), Failure> {
        let checkout = self.here();
        let stage = &self.stage;
        if self.tool.kind == Kind::Kept && before.is_some() {
            return stage.repository.switch(&step.tag, &checkout);
        }
        self.tool.forget_checkout(&checkout)?;
        stage
            .repository
            .check_out(&step.tag, &checkout, stage.depth)?;
        self.prepare_donor(step, before)
    }

    /// kache fills a new target directory from another checkout's, where there is one: here always
    /// one with the state before. It does so for the debug profile alone.
    fn prepare_donor(&mut self, step: &Step, before: Option<Built>) -> Result<(), Failure> {
        let counts = step.counted.is_some() && step.act != Act::Release;
        if self.tool.kind != Kind::Kache || !counts || self.donor == before {
            return Ok(());
        }
        let Some((tag, act)) = before.clone() else {
            return Ok(());
        };
        let (other, stage) = (self.other(), &self.stage);
        stage.repository.check_out(&tag, &other, stage.depth)?;
        self.tool.start(&other, stage.home)?;
        let log = stage.logs.join(format!("{}-kache-donor.log", stage.name));
        let mut build = self.tool.build(&other, stage.home, act.arguments());
        let built = measure::build(&mut build, &other, &log);
        self.tool.stop(&other, stage.home)?;
        built?;
        self.donor = before;
        Ok(())
    }

    fn measure(&self, step: &Step, log: &Path) -> Result<(Taken, Vec<Phase>), Failure> {
        let checkout = self.here();
        if self.tool.kind == Kind::RustCache {
            let action = RustCache {
                tool: self.tool,
                registry: self.stage.home,
            };
            let job = format!("{:?}", step.act).to_lowercase();
            let measured = action.build(&checkout, &job, step.act.arguments(), log)?;
            // Saved without the workspace's programs: there is nothing to try.
            return Ok(measured);
        }
        self.tool.start(&checkout, self.stage.home)?;
        let mut build = self
            .tool
            .build(&checkout, self.stage.home, step.act.arguments());
        let measured = measure::build(&mut build, &checkout, log);
        // Also after a failure: nothing of ours keeps running.
        let stopped = self.tool.stop(&checkout, self.stage.home);
        let taken = measured?;
        stopped?;
        if step.act.links() {
            self.try_out(step)?;
        }
        Ok((taken, Vec::new()))
    }

    /// The program that was built runs.
    fn try_out(&self, step: &Step) -> Result<(), Failure> {
        let program = self.programs(step).join(self.stage.program);
        let mut command = process::command(&program.to_string_lossy());
        process::capture(command.args(self.stage.try_out))
            .map(|_| ())
            .map_err(|why| format!("what it built does not run: {why}"))
    }

    fn describe(
        &self,
        step: &Step,
        round: u64,
        taken: Taken,
        phases: Vec<Phase>,
        log: &Path,
    ) -> Build {
        let said = Said::read(self.tool.statistics(&self.here(), self.stage.home));
        Build {
            tool: self.tool.kind.name().to_owned(),
            step: step.counted.clone().unwrap_or_default(),
            round,
            wall_ms: taken.wall_ms,
            cpu_ms: taken.cpu_ms,
            machine_cpu_ms: taken.machine_cpu_ms,
            build_scripts_ms: taken.build_scripts_ms,
            store_bytes: 0,
            packages_built: packages_built(&fs::read_to_string(log).unwrap_or_default()),
            program_bytes: program_bytes(&self.programs(step)),
            phases,
            units: said.units,
            processes: said.processes,
            snapshot: said.snapshot,
            witnessed: None,
        }
    }

    /// What ends with the job.
    fn leave(&self) -> Result<(), Failure> {
        if self.tool.kind == Kind::Kept {
            return Ok(());
        }
        self.tool.forget_checkout(&self.here())
    }

    pub(super) fn project(&self) -> &str {
        self.stage.name
    }

    fn programs(&self, step: &Step) -> PathBuf {
        self.here().join("target").join(step.act.profile())
    }

    /// The same path for every state.
    fn here(&self) -> PathBuf {
        self.tool.checkout("here").join(self.stage.name)
    }

    fn other(&self) -> PathBuf {
        self.tool.checkout("other").join(self.stage.name)
    }

    fn log(&self, scenario: Scenario, step: &Step) -> Result<PathBuf, Failure> {
        make_dir(self.stage.logs)?;
        let (tool, turn) = (self.tool.kind.name(), self.turn);
        let (name, tag) = (self.stage.name, &step.tag);
        let file = format!("{name}-{tool}-{turn:03}-{}-{tag}.log", scenario.name());
        Ok(self.stage.logs.join(file))
    }
}

/// Size of the files that may be run, directly in a directory.
fn program_bytes(dir: &Path) -> u64 {
    entries(dir)
        .unwrap_or_default()
        .iter()
        .filter_map(|path| fs::symlink_metadata(path).ok())
        .filter(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        .map(|found| found.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_files_that_may_be_run() {
        let dir = tempfile::tempdir().unwrap();
        for (name, mode) in [("app", 0o755), ("app.d", 0o644)] {
            let path = dir.path().join(name);
            fs::write(&path, "12345").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(dir.path().join("deps")).unwrap();
        assert_eq!(program_bytes(dir.path()), 5);
        assert_eq!(program_bytes(&dir.path().join("nothing")), 0);
    }
}
