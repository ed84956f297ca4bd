//! The graph of a run's events.
//!
//! Who waits for whom comes from what units were given: files of crates by name, the directory of a
//! build script's run. What a run of a build script waits for beside its own program is known only where a
//! unit names it: that scripts of packages with `links` wait for each other is in no event, so such runs may
//! start earlier in a simulation than in a build.

use std::collections::{BTreeSet, HashMap};

use rekindle_events::{
    Event, EventKind, Fate, RunFinished, ScriptRanEvent, StepEvent, StepFate, UnitEvent,
    UnitOptions,
};

use crate::graph::{Dependency, Gaps, Graph, Job, JobFate, Needs, Parts};

/// The kind of the steps that are runs of build scripts.
const BUILD_SCRIPT: &str = "build-script";

impl Graph {
    /// The graph of one run. Events of other kinds than units and runs of build scripts are passed over.
    #[must_use]
    pub fn of_events(events: &[Event]) -> Self {
        let mut recorded: Vec<Recorded<'_>> = events.iter().filter_map(Recorded::of).collect();
        forget_twice_told(&mut recorded);
        let first_us = recorded.iter().map(|job| job.started_us).min().unwrap_or(0);
        let makers = Makers::of(&recorded);
        let mut gaps = Gaps::default();
        let mut missing = Missing::default();
        let mut jobs = Vec::new();
        for job in &recorded {
            let mut made = job.job(first_us);
            made.dependencies = match job.source {
                Source::Unit(unit) => makers.of_unit(unit, &mut missing),
                Source::Run(step) => makers.of_run(step),
                Source::Ran(ran) => program_of(ran, &recorded),
            };
            jobs.push(made);
        }
        gaps.unmade_files = missing.files.len() as u64;
        gaps.untold_runs = missing.runs.len() as u64;
        let units = recorded.iter().filter_map(Recorded::unit);
        if units.clone().count() > 1 && units.clone().all(|unit| unit.externs.is_empty()) {
            gaps.without_dependencies = units.count() as u64;
        }
        let finished = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::RunFinished(finished) => Some(finished),
            _ => None,
        });
        if let Some(finished) = finished {
            gaps.fresh = finished.fresh;
            gaps.untold_runs_us = untold_us(finished, &recorded);
        }
        Self::new(jobs, gaps)
    }
}

/// A job's event.
struct Recorded<'a> {
    /// In microseconds since 1970. An event's time is that of its end.
    started_us: u64,
    source: Source<'a>,
}

enum Source<'a> {
    Unit(&'a UnitEvent),
    Run(&'a StepEvent),
    /// Of a build script that no launcher dealt with.
    Ran(&'a ScriptRanEvent),
}

impl<'a> Recorded<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let written_us = event.at_ms.0.saturating_mul(1000);
        let (source, total_us, ended_us) = match &event.kind {
            EventKind::Unit(unit) => (Source::Unit(unit), unit.times.total_us, written_us),
            EventKind::Step(step) if step.kind == BUILD_SCRIPT => {
                (Source::Run(step), step.times.total_us, written_us)
            }
            EventKind::ScriptRan(ran) => {
                let time_us = ran.time_ms.saturating_mul(1000);
                let began_us = ran.began_ms.saturating_mul(1000);
                (Source::Ran(ran), time_us, began_us.saturating_add(time_us))
            }
            _ => return None,
        };
        Some(Self {
            started_us: ended_us.saturating_sub(total_us),
            source,
        })
    }

    fn unit(&self) -> Option<&'a UnitEvent> {
        match self.source {
            Source::Unit(unit) => Some(unit),
            Source::Run(_) | Source::Ran(_) => None,
        }
    }

    fn job(&self, first_us: u64) -> Job {
        let mut job = match self.source {
            Source::Unit(unit) => Job {
                package: unit.package.clone(),
                version: unit.version.clone(),
                crate_name: unit.crate_name.clone(),
                kind: unit.kind.clone(),
                id: unit.id.clone(),
                fate: match unit.fate {
                    Fate::Hit => JobFate::Hit,
                    Fate::Miss => JobFate::Miss,
                    Fate::Uncacheable => JobFate::Uncacheable,
                },
                started_us: 0,
                parts: unit_parts(unit),
                is_divided: unit.times.codegen_us > 0,
                links: unit.links,
                linker: unit.linker.clone(),
                options: unit.options.clone(),
                dependencies: Vec::new(),
            },
            Source::Run(step) => {
                let fate = match step.fate {
                    StepFate::Hit => JobFate::Hit,
                    StepFate::Miss => JobFate::Miss,
                    StepFate::Refused => JobFate::Uncacheable,
                };
                run_job(
                    (&step.package, &step.version, &step.id),
                    fate,
                    run_parts(step),
                )
            }
            Source::Ran(ran) => {
                let parts = Parts {
                    front_us: ran.time_ms.saturating_mul(1000),
                    ..Parts::default()
                };
                run_job((&ran.package, "", &ran.id), JobFate::Uncacheable, parts)
            }
        };
        job.started_us = self.started_us - first_us;
        job
    }
}

/// The job of a build script's run.
fn run_job((package, version, id): (&str, &str, &str), fate: JobFate, parts: Parts) -> Job {
    Job {
        package: package.to_owned(),
        version: version.to_owned(),
        crate_name: String::new(),
        kind: Job::RUN.to_owned(),
        id: id.to_owned(),
        fate,
        started_us: 0,
        parts,
        is_divided: false,
        links: false,
        linker: None,
        options: UnitOptions::default(),
        dependencies: Vec::new(),
    }
}

/// A run that a launcher tells of may also have left cargo's stamps.
fn forget_twice_told(recorded: &mut Vec<Recorded<'_>>) {
    let told: BTreeSet<(&str, &str)> = recorded
        .iter()
        .filter_map(|job| match job.source {
            Source::Run(step) => Some((step.package.as_str(), step.id.as_str())),
            _ => None,
        })
        .collect();
    recorded.retain(|job| match job.source {
        Source::Ran(ran) => !told.contains(&(ran.package.as_str(), ran.id.as_str())),
        _ => true,
    });
}

/// The script that a run was one of: the package's last one that was there when it began.
fn program_of(ran: &ScriptRanEvent, recorded: &[Recorded<'_>]) -> Vec<Dependency> {
    let began_us = ran.began_ms.saturating_mul(1000);
    let programs = recorded.iter().enumerate().filter_map(|(index, job)| {
        let unit = job.unit()?;
        let ended_us = job.started_us.saturating_add(unit.times.total_us);
        let is_it = unit.kind == BUILD_SCRIPT
            && unit.package == ran.package
            && ended_us <= began_us.saturating_add(CLOCKS_APART_US);
        is_it.then_some((ended_us, index))
    });
    programs
        .max()
        .map(|(_, on)| after(on))
        .into_iter()
        .collect()
}

/// The file system's clock ticks this coarsely.
const CLOCKS_APART_US: u64 = 10_000;

/// The parts of a unit's time: their sum is its total.
fn unit_parts(unit: &UnitEvent) -> Parts {
    let times = &unit.times;
    let compile_us = times.compile_us.min(times.total_us);
    let link_us = times.link_us.min(compile_us);
    // What came after metadata holds linking, where both are known.
    let behind_us = times.codegen_us.min(compile_us);
    let codegen_us = behind_us.saturating_sub(link_us);
    let after_us = times.publish_us.min(times.total_us - compile_us);
    Parts {
        before_us: times.total_us - compile_us - after_us,
        front_us: compile_us - link_us - codegen_us,
        codegen_us,
        link_us,
        after_us,
    }
}

fn run_parts(step: &StepEvent) -> Parts {
    let times = &step.times;
    let run_us = times.run_us.min(times.total_us);
    let after_us = times.publish_us.min(times.total_us - run_us);
    Parts {
        before_us: times.total_us - run_us - after_us,
        front_us: run_us,
        after_us,
        ..Parts::default()
    }
}

/// Time in build scripts that no event tells of.
fn untold_us(finished: &RunFinished, recorded: &[Recorded<'_>]) -> u64 {
    let runs = recorded.iter().filter_map(|job| match job.source {
        Source::Run(step) if step.fate != StepFate::Hit => Some(step.times.run_us),
        Source::Ran(ran) => Some(ran.time_ms.saturating_mul(1000)),
        _ => None,
    });
    if runs.clone().count() as u64 >= finished.build_scripts {
        return 0;
    }
    let told_us = runs.fold(0, u64::saturating_add);
    (finished.build_scripts_ms.saturating_mul(1000)).saturating_sub(told_us)
}

/// What units were given and no job of the run made.
#[derive(Default)]
struct Missing<'a> {
    files: BTreeSet<&'a str>,
    runs: BTreeSet<(&'a str, &'a str)>,
}

/// Which job made what.
struct Makers<'a> {
    /// By file name without its extension: `.rmeta` and `.rlib` are one crate.
    files: HashMap<String, usize>,
    /// Build scripts' programs by package and id of the unit.
    programs: HashMap<(&'a str, &'a str), usize>,
    /// The last program of a package, where the run does not say whose it was.
    last_programs: HashMap<(&'a str, &'a str), usize>,
    /// Runs of build scripts by package and id.
    runs: HashMap<(&'a str, &'a str), usize>,
}

/// A crate's file name without directory and extension.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn is_metadata(file: &str) -> bool {
    file.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "rmeta")
}

impl<'a> Makers<'a> {
    fn of(recorded: &[Recorded<'a>]) -> Self {
        let mut makers = Self {
            files: HashMap::new(),
            programs: HashMap::new(),
            last_programs: HashMap::new(),
            runs: HashMap::new(),
        };
        for (index, job) in recorded.iter().enumerate() {
            match job.source {
                Source::Unit(unit) => makers.add_unit(index, unit),
                Source::Run(step) => {
                    makers.runs.insert((&step.package, &step.id), index);
                }
                Source::Ran(ran) => {
                    makers.runs.insert((&ran.package, &ran.id), index);
                }
            }
        }
        makers
    }

    fn add_unit(&mut self, index: usize, unit: &'a UnitEvent) {
        // What could not be stored has no outputs in its event; its name says what they are.
        let stem_by_name = format!("lib{}-{}", unit.crate_name, unit.id);
        self.files.insert(stem_by_name, index);
        for output in &unit.outputs {
            self.files.insert(stem(output).to_owned(), index);
        }
        if unit.kind == BUILD_SCRIPT {
            self.programs.insert((&unit.package, &unit.id), index);
            self.last_programs
                .insert((&unit.package, &unit.version), index);
        }
    }

    fn of_unit(&self, unit: &'a UnitEvent, missing: &mut Missing<'a>) -> Vec<Dependency> {
        let mut dependencies = Vec::new();
        for file in &unit.externs {
            let Some(&on) = self.files.get(stem(file)) else {
                missing.files.insert(stem(file));
                continue;
            };
            dependencies.push(Dependency {
                on,
                needs: if is_metadata(file) {
                    Needs::Metadata
                } else {
                    Needs::End
                },
                is_direct: true,
            });
        }
        if let Some(run) = &unit.script {
            let run = (unit.package.as_str(), run.as_str());
            let on = self.runs.get(&run).or_else(|| {
                missing.runs.insert(run);
                self.last_programs
                    .get(&(unit.package.as_str(), unit.version.as_str()))
            });
            dependencies.extend(on.map(|&on| after(on)));
        }
        dependencies
    }

    fn of_run(&self, step: &StepEvent) -> Vec<Dependency> {
        let on = match &step.program {
            Some(program) => self
                .programs
                .get(&(step.package.as_str(), program.as_str())),
            None => self
                .last_programs
                .get(&(step.package.as_str(), step.version.as_str())),
        };
        on.map(|&on| after(on)).into_iter().collect()
    }
}

const fn after(on: usize) -> Dependency {
    Dependency {
        on,
        needs: Needs::End,
        is_direct: true,
    }
}

#[cfg(test)]
mod tests {
    use rekindle_base::Moment;
    use rekindle_events::UnitTimes;

    use super::*;
    use crate::fixtures::{finished, step_event, unit_event};
    use crate::{critical_path, simulate};

    fn graph(mut events: Vec<Event>, build_scripts: (u64, u64)) -> Graph {
        events.push(finished(build_scripts));
        Graph::of_events(&events)
    }

    #[test]
    fn units_wait_for_what_they_were_given() {
        let graph = graph(
            vec![
                unit_event(2_000, "sys", "build-script", &[], |_| ()),
                step_event(3_000, "sys", |step| step.program = Some("sysid".into())),
                unit_event(4_000, "sys", "lib", &["libgone-1.rmeta"], |unit| {
                    unit.id = "other".into();
                    unit.script = Some("sysrun".into());
                }),
                unit_event(5_000, "app", "bin", &["libsys-other.rmeta"], |unit| {
                    unit.script = Some("freshrun".into());
                }),
                unit_event(6_000, "top", "bin", &["libsys-other.rlib"], |_| ()),
            ],
            (1, 500),
        );
        let waits: Vec<Vec<(usize, Needs)>> = graph
            .jobs()
            .iter()
            .map(|job| {
                let waits = job.dependencies.iter();
                waits.map(|wait| (wait.on, wait.needs)).collect()
            })
            .collect();
        assert_eq!(
            waits,
            [
                vec![],
                vec![(0, Needs::End)],
                vec![(1, Needs::End)],
                vec![(2, Needs::Metadata)],
                vec![(2, Needs::End)],
            ]
        );
        assert_eq!(graph.gaps().unmade_files, 1);
        assert_eq!(graph.gaps().untold_runs, 1);
        assert_eq!(graph.gaps().untold_runs_us, 0, "the one run is told of");
        assert!(!graph.gaps().is_partial());
        assert_eq!(graph.jobs()[1].kind, Job::RUN);
        assert_eq!(graph.span_us(), 5_000_000);
    }

    #[test]
    fn a_unit_that_could_not_be_stored_is_found_by_its_name() {
        let graph = graph(
            vec![
                unit_event(2_000, "odd", "lib", &[], |unit| {
                    unit.outputs.clear();
                    unit.fate = Fate::Uncacheable;
                }),
                unit_event(4_000, "app", "bin", &["libodd-oddid.rmeta"], |_| ()),
            ],
            (0, 0),
        );
        assert_eq!(graph.jobs()[1].dependencies.len(), 1);
    }

    #[test]
    fn scripts_that_no_event_tells_of_make_the_graph_partial() {
        let graph = graph(
            vec![
                unit_event(2_000, "sys", "build-script", &[], |_| ()),
                unit_event(4_000, "sys", "lib", &["libx-1.rmeta"], |unit| {
                    unit.id = "other".into();
                    unit.script = Some("untold".into());
                }),
            ],
            (1, 700),
        );
        // It cannot have started before the script was there.
        assert_eq!(graph.jobs()[1].dependencies[0].on, 0);
        assert_eq!(graph.gaps().untold_runs_us, 700_000);
        assert!(graph.gaps().is_partial());
        assert_eq!(graph.gaps().notes().len(), 2, "{:?}", graph.gaps().notes());
    }

    #[test]
    fn a_log_without_what_units_were_given_says_so() {
        let unit = |at| unit_event(at, "a", "lib", &[], |_| ());
        let graph = graph(vec![unit(1_000), unit(2_000)], (0, 0));
        assert_eq!(graph.gaps().without_dependencies, 2);
    }

    #[test]
    fn a_run_without_a_launcher_is_told_of_by_its_stamps_once() {
        let ran = |id: &str| {
            let ran = ScriptRanEvent {
                package: "sys".into(),
                id: id.into(),
                began_ms: 2_001,
                time_ms: 800,
            };
            Event::new(Moment(9_000), EventKind::ScriptRan(ran))
        };
        let graph = graph(
            vec![
                unit_event(2_000, "sys", "build-script", &[], |_| ()),
                unit_event(4_000, "sys", "lib", &["libx-1.rmeta"], |unit| {
                    unit.id = "other".into();
                    unit.script = Some("by-cargo".into());
                }),
                step_event(3_000, "sys", |_| ()),
                ran("sysrun"),
                ran("by-cargo"),
            ],
            (2, 1_300),
        );
        assert_eq!(graph.jobs().len(), 4);
        assert_eq!(graph.jobs()[1].dependencies[0].on, 3);
        assert_eq!(graph.jobs()[3].dependencies[0].on, 0);
        assert_eq!(graph.jobs()[3].parts.front_us, 800_000);
        assert_eq!(graph.gaps().untold_runs_us, 0);
    }

    fn check_parts(times: [u64; 5], parts: [u64; 5]) {
        let [total_us, compile_us, codegen_us, link_us, publish_us] = times;
        let event = unit_event(9_000, "a", "lib", &[], |unit| {
            unit.times = UnitTimes {
                total_us,
                compile_us,
                codegen_us,
                link_us,
                publish_us,
                ..UnitTimes::default()
            };
        });
        let graph = Graph::of_events(&[event]);
        let found = graph.jobs()[0].parts;
        let found = [
            found.before_us,
            found.front_us,
            found.codegen_us,
            found.link_us,
            found.after_us,
        ];
        assert_eq!(found, parts);
        assert_eq!(found.iter().sum::<u64>(), total_us);
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        check_parts([100, 80, 50, 10, 5], [15, 30, 40, 10, 5]);
        // A program: no metadata is announced.
        check_parts([100, 80, 0, 30, 5], [15, 50, 0, 30, 5]);
        // A hit.
        check_parts([100, 0, 0, 0, 0], [100, 0, 0, 0, 0]);
        // A damaged log.
        check_parts([10, 80, 90, 95, 5], [0, 0, 0, 10, 0]);
    }

    #[test]
    fn any_times_make_a_graph() {
        let mut event = unit_event(0, "a", "lib", &["liba-aid.rmeta"], |unit| {
            unit.times.total_us = u64::MAX;
        });
        event.at_ms = Moment(u64::MAX);
        let events = [event.clone(), event];
        let graph = Graph::of_events(&events);
        assert_eq!(graph.jobs().len(), 2);
        assert!(critical_path(&graph).length_us > 0);
        assert!(simulate(&graph, 2).wall_us > 0);
    }
}
