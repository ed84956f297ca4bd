//! `rekindle report --format json`, version 1; its JSON Schema is made from these types and published as
//! `docs/reference/report.schema.json`. The page holds the same document. These types may only grow.
//!
//! Times are in microseconds since the command's begin, unless a name says otherwise.

use rekindle_events::{Fate, StepFate};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::advice::Advice;
use crate::json::{Stats, VERSION};
use crate::timeline::{Bar, Timeline, What};

/// A run, in time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "rekindle report --format json")]
pub struct Report {
    /// Version of this form: 1.
    pub version: u32,
    /// The run.
    pub run: Run,
    /// The machine; `null` where the log does not say.
    pub machine: Option<Machine>,
    /// What it came to: the form of `rekindle stats --format json`.
    pub stats: Stats,
    /// Where the wall time went, in the order of time. Each instant is divided equally among what ran then, so
    /// that these add up to `run.wall_us`.
    pub parts: Vec<Part>,
    /// What linking took of the wall, in per cent.
    pub link_share: Option<f64>,
    /// What of the wall has a name, in per cent.
    pub accounted_share: Option<f64>,
    /// The phases of the command, in order.
    pub phases: Vec<Phase>,
    /// Units and runs of build scripts, by their begin. Fresh units take no time and are not among them.
    pub units: Vec<Unit>,
    /// Indices in `units` of the chain that no number of cores makes shorter, first to last; empty where it is
    /// not known.
    pub critical_path: Vec<usize>,
    /// The length of that chain.
    pub critical_path_us: u64,
    /// What the machine did.
    pub samples: Samples,
    /// What changed since the run that it is compared with; `null` where there is none.
    pub since: Option<Since>,
    /// What would help, best first.
    pub advice: Vec<Advice>,
}

/// What changed since another run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Since {
    /// The branch that it was on, the one that work goes to; `null` for the last run of the command in the same directory.
    pub branch: Option<String>,
    /// Its commit; `null` where that is not known.
    pub commit: Option<String>,
    /// When it began: milliseconds since 1970.
    pub began_ms: u64,
    /// What changed, a sentence each; empty where nothing is worth one.
    pub changes: Vec<String>,
}

impl From<&crate::since::Since> for Since {
    fn from(since: &crate::since::Since) -> Self {
        Self {
            branch: since.branch.clone(),
            commit: since.commit.clone(),
            began_ms: since.began_ms,
            changes: since.lines(),
        }
    }
}

/// The run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// cargo's subcommand; `null` under a plain cargo.
    pub command: Option<String>,
    /// The directory that it ran in; `null` where the log does not say.
    pub directory: Option<String>,
    /// The version of Rekindle; `null` where the log does not say.
    pub rekindle: Option<String>,
    /// What it was imported from, as in `cargo --timings`; `null` for a run of Rekindle's.
    pub imported_from: Option<String>,
    /// When it began: milliseconds since 1970.
    pub began_ms: u64,
    /// cargo's exit code; `null` where the run did not end in order, and under a plain cargo.
    pub exit_code: Option<i32>,
    /// The whole time of the command.
    pub wall_us: u64,
}

/// The machine.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Machine {
    /// Processors that the command may use.
    pub cores: u32,
    /// Memory that it may use; 0 where it is not known.
    pub memory_bytes: u64,
    /// Whether samples are of a control group that has a limit; else of the whole machine.
    pub limited: bool,
    /// As in `linux x86_64`.
    pub system: String,
    /// The CI service; `null` elsewhere.
    pub ci: Option<String>,
}

/// A part of the wall time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Part {
    /// Its name.
    pub part: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How long.
    pub time_us: u64,
}

/// A phase of the command.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Phase {
    /// `prepare`, `pull`, `restore`, `cargo`, `collect`, `capture`, `push` or `finish`; a name may come several times.
    pub phase: String,
    /// Its begin.
    pub at_us: u64,
    /// Its length.
    pub time_us: u64,
}

/// A unit, or a run of a build script.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Unit {
    /// `unit` or `script`.
    pub what: &'static str,
    /// Its name for people.
    pub name: String,
    /// Package.
    pub package: String,
    /// Its version; empty where it is not known.
    pub version: String,
    /// Crate; empty for a script's run.
    pub crate_name: String,
    /// A crate type, or `test`, `check`, `build-script`, `run-build-script`.
    pub kind: String,
    /// Tells units of one name and kind apart.
    pub id: String,
    /// Of a unit `hit`, `miss` or `uncacheable`; of a script's run `replayed`, `ran`, `refused` (it ran and is not
    /// stored) or `unknown` (it ran by itself).
    pub fate: &'static str,
    /// The type of the reason that it was compiled or run for.
    pub reason: Option<String>,
    /// That reason in a sentence.
    pub message: Option<String>,
    /// When all that it was given was there: it waited from then until `at_us`.
    pub ready_us: u64,
    /// Its begin.
    pub at_us: u64,
    /// Its length.
    pub time_us: u64,
    /// What was done in that time, in order.
    pub parts: Vec<UnitPart>,
    /// Bytes placed or stored.
    pub bytes: u64,
    /// On a hit, what it took when it was stored.
    pub saved_us: u64,
    /// The linker that made its output.
    pub linker: Option<String>,
    /// Its exit code.
    pub exit_code: i32,
}

/// A part of a unit's time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnitPart {
    /// Its name, one of those of `parts` of the run.
    pub part: &'static str,
    /// Its begin, since that of the unit.
    pub at_us: u64,
    /// Its length.
    pub time_us: u64,
}

/// What the machine did: the values of each sample at the same index. A column of what is not known is empty.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Samples {
    /// When each was taken, in milliseconds since the command's begin.
    pub at_ms: Vec<u64>,
    /// Processor time used since the sample before it, in thousandths of a processor.
    pub cpu_milli: Vec<u32>,
    /// Memory in use, in mebibytes.
    pub memory_mib: Vec<u32>,
}

impl Report {
    /// The JSON form of a run in time.
    #[must_use]
    pub fn new(timeline: &Timeline, advice: &[Advice]) -> Self {
        let summary = &timeline.summary;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            version: VERSION,
            run: Run {
                name: summary.run.clone().unwrap_or_default(),
                command: summary.command.clone(),
                directory: some(&timeline.directory),
                rekindle: some(&timeline.rekindle),
                imported_from: timeline.imported_from.clone(),
                began_ms: timeline.began_ms,
                exit_code: summary.exit_code,
                wall_us: timeline.wall_us,
            },
            machine: timeline.machine.as_ref().map(|machine| Machine {
                cores: machine.cores,
                memory_bytes: machine.memory_bytes,
                limited: machine.limited,
                system: machine.system.clone(),
                ci: machine.ci.clone(),
            }),
            stats: Stats::from(summary),
            parts: timeline
                .parts
                .iter()
                .map(|of| Part {
                    part: of.part.key(),
                    title: of.part.title(),
                    time_us: of.time_us,
                })
                .collect(),
            link_share: timeline.link_share(),
            accounted_share: timeline.accounted_share(),
            phases: timeline
                .phases
                .iter()
                .map(|phase| Phase {
                    phase: serde_json::to_value(phase.name)
                        .ok()
                        .and_then(|name| name.as_str().map(ToOwned::to_owned))
                        .unwrap_or_default(),
                    at_us: phase.at_us,
                    time_us: phase.time_us,
                })
                .collect(),
            units: timeline.bars.iter().map(Unit::from).collect(),
            critical_path: timeline.critical.clone(),
            critical_path_us: timeline.critical_us,
            samples: Samples {
                at_ms: timeline.samples.taken_ms.clone(),
                cpu_milli: timeline.samples.cpu_milli.clone(),
                memory_mib: timeline.samples.memory_mib.clone(),
            },
            since: timeline.since.as_ref().map(Since::from),
            advice: advice.to_vec(),
        }
    }

    /// The JSON Schema of this form.
    #[must_use]
    pub fn schema() -> Schema {
        schemars::generate::SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator()
            .into_root_schema_for::<Self>()
    }
}

impl From<&Bar> for Unit {
    fn from(bar: &Bar) -> Self {
        Self {
            what: match bar.what {
                What::Unit(_) => "unit",
                What::Script(_) => "script",
            },
            name: bar.name(),
            package: bar.package.clone(),
            version: bar.version.clone(),
            crate_name: bar.crate_name.clone(),
            kind: bar.kind.clone(),
            id: bar.id.clone(),
            fate: fate(bar.what),
            reason: bar.reason.clone(),
            message: bar.message.clone(),
            ready_us: bar.ready_us,
            at_us: bar.at_us,
            time_us: bar.time_us,
            parts: bar
                .segments
                .iter()
                .map(|of| UnitPart {
                    part: of.part.key(),
                    at_us: of.at_us,
                    time_us: of.time_us,
                })
                .collect(),
            bytes: bar.bytes,
            saved_us: bar.saved_us,
            linker: bar.linker.clone(),
            exit_code: bar.exit_code,
        }
    }
}

fn fate(what: What) -> &'static str {
    match what {
        What::Unit(Fate::Hit) => "hit",
        What::Unit(Fate::Miss) => "miss",
        What::Unit(Fate::Uncacheable) => "uncacheable",
        What::Script(Some(StepFate::Hit)) => "replayed",
        What::Script(Some(StepFate::Miss)) => "ran",
        What::Script(Some(StepFate::Refused)) => "refused",
        What::Script(None) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use rekindle_events::{EventKind, MachineEvent};
    use serde_json::Value;

    use super::*;
    use crate::fixtures::{finished, hit, log, missed, never_seen, started, step, warning};

    fn report() -> Value {
        let mut unit = missed("app", never_seen());
        unit.times.total_us = 700_000;
        unit.times.lookup_us = 100_000;
        unit.linker = Some("lld".into());
        let timeline = Timeline::of_run(
            "r",
            &log(vec![
                started("r"),
                EventKind::Machine(MachineEvent {
                    cores: 2,
                    ..MachineEvent::default()
                }),
                EventKind::Unit(hit("a")),
                EventKind::Unit(unit),
                EventKind::Step(step("z", StepFate::Refused)),
                warning("w"),
                finished(Some(1)),
            ]),
        );
        let advice = Advice {
            id: "x".into(),
            title: "t".into(),
            evidence: vec!["e".into()],
            remedy: vec!["r".into()],
            gain_ms: Some(1),
            gain_is_bound: false,
        };
        serde_json::to_value(Report::new(&timeline, &[advice])).unwrap()
    }

    /// Of each object, no field that the schema does not describe: what is published is all there is.
    fn closed(mut schema: Value) -> Value {
        if let Value::Object(map) = &mut schema {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), Value::Bool(false));
            }
            for value in map.values_mut() {
                *value = closed(value.take());
            }
        } else if let Value::Array(values) = &mut schema {
            for value in values {
                *value = closed(value.take());
            }
        }
        schema
    }

    #[test]
    fn what_is_written_is_what_the_schema_says() {
        let schema = closed(serde_json::to_value(Report::schema()).unwrap());
        let validator = jsonschema::validator_for(&schema).unwrap();
        let report = report();
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(report["units"].as_array().unwrap().len(), 3);
        // It does say something.
        for (pointer, wrong) in [
            ("/version", Value::Null),
            ("/units/0/at_us", Value::from(-1)),
            ("/units/0/parts", Value::from("x")),
            ("/machine/cores", Value::from("two")),
        ] {
            let mut report = report.clone();
            *report.pointer_mut(pointer).unwrap() = wrong;
            assert!(!validator.is_valid(&report), "{pointer}");
        }
    }

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let published = include_str!("../../../../docs/reference/report.schema.json");
        let published: Value = serde_json::from_str(published).unwrap();
        assert_eq!(published, serde_json::to_value(Report::schema()).unwrap());
    }
}
