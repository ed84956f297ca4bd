//! cargo's own `--timings` page: data as JavaScript constants, in the form of cargo 1.40 to 1.95 and later.
//!
//! `UNIT_DATA` is an array of units with begin and length in seconds, what their end lets begin
//! (`unblocked_units`, before 1.76 `unlocked_units`), what their metadata lets begin (`unblocked_rmeta_units`), and
//! either `sections` (from 1.8x on) or `rmeta_time`. `CPU_USAGE` holds pairs of seconds and per cent of all processors.

use std::collections::HashMap;

use rekindle_base::{Moment, parse_utc};
use rekindle_events::{
    Event, EventKind, Fate, ImportedEvent, MachineEvent, RunFinished, RunStarted, SamplesEvent,
    StepEvent, StepFate, UnitEvent, UnitTimes,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ImportError;

/// More units than any build has.
const UNITS_MAX: usize = 50_000;
/// The longest time that is believed, in seconds.
const SECONDS_MAX: f64 = 1e7;

#[derive(Deserialize)]
struct Unit {
    i: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    start: f64,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    rmeta_time: Option<f64>,
    #[serde(default, alias = "unlocked_units")]
    unblocked_units: Vec<u64>,
    #[serde(default, alias = "unlocked_rmeta_units")]
    unblocked_rmeta_units: Vec<u64>,
    #[serde(default)]
    sections: Option<Vec<(String, Section)>>,
}

#[derive(Deserialize)]
struct Section {
    #[serde(default)]
    start: f64,
    #[serde(default)]
    end: f64,
}

/// The events of the build that a page shows. `now` is when it is read: the build's begin, where the page does not
/// say it.
///
/// # Errors
/// [`ImportError`].
pub fn cargo_timings(page: &[u8], run: &str, now: Moment) -> Result<Vec<Event>, ImportError> {
    let page = String::from_utf8_lossy(page);
    let units: Vec<Unit> = constant(&page, "UNIT_DATA").ok_or(ImportError::NotTimings)?;
    if units.len() > UNITS_MAX {
        return Err(ImportError::TooMany(units.len()));
    }
    let cells = Cells(&page);
    let began = cells.begin().unwrap_or(now);
    let concurrency = cells.text("Max concurrency:").unwrap_or_default();
    let cores = number_behind(concurrency, "ncpu=").unwrap_or(0);
    let jobs = number_behind(concurrency, "jobs=").unwrap_or(cores);
    let wall_ms = cells.total_ms().unwrap_or(0).max(
        units
            .iter()
            .map(|unit| micros(unit.start + unit.duration) / 1000)
            .max()
            .unwrap_or(0),
    );
    let mut events = vec![
        Event::new(
            began,
            EventKind::RunStarted(RunStarted {
                run: run.to_owned(),
                command: "import".to_owned(),
                cwd: String::new(),
                rekindle: String::new(),
            }),
        ),
        Event::new(
            began,
            EventKind::Imported(ImportedEvent {
                from: "cargo --timings".to_owned(),
                ..ImportedEvent::default()
            }),
        ),
        Event::new(
            began,
            EventKind::Machine(MachineEvent {
                began_ms: began.0,
                cores: u32::try_from(jobs).unwrap_or(0),
                ..MachineEvent::default()
            }),
        ),
    ];
    let given = Given::of(&units);
    let built = units.iter().map(|unit| {
        let ended_ms = micros(unit.start + unit.duration) / 1000;
        Event::new(Moment(began.0.saturating_add(ended_ms)), given.event(unit))
    });
    events.extend(built);
    let end = Moment(began.0.saturating_add(wall_ms));
    let samples = samples(&page, cores);
    events.extend(samples.map(|samples| Event::new(end, EventKind::Samples(samples))));
    events.push(Event::new(
        end,
        EventKind::RunFinished(RunFinished {
            exit_code: 0,
            wall_ms,
            fresh: cells
                .text("Fresh units:")
                .and_then(|text| text.trim().parse().ok()),
            build_scripts: units.iter().filter(|unit| unit.is_run()).count() as u64,
            build_scripts_ms: units
                .iter()
                .filter(|unit| unit.is_run())
                .map(|unit| micros(unit.duration) / 1000)
                .sum(),
        }),
    ));
    Ok(events)
}

/// The value of a JavaScript constant that is written as JSON.
fn constant<T: DeserializeOwned>(page: &str, name: &str) -> Option<T> {
    let (_, behind) = page.split_once(&format!("const {name} = "))?;
    let mut values = serde_json::Deserializer::from_str(behind).into_iter::<T>();
    values.next()?.ok()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits"
)]
fn micros(seconds: f64) -> u64 {
    if seconds.is_nan() {
        return 0;
    }
    (seconds.clamp(0.0, SECONDS_MAX) * 1e6).round() as u64
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    let (_, behind) = text.split_once(name)?;
    let digits = behind.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The table at the page's top.
struct Cells<'a>(&'a str);

impl Cells<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        let (_, behind) = self.0.split_once(&format!("<td>{name}</td><td>"))?;
        Some(behind.split('<').next()?.trim())
    }

    /// As in `6.0s`, and `132.1s (2m 12.1s)`.
    fn total_ms(&self) -> Option<u64> {
        let text = self.text("Total time:")?;
        let seconds: f64 = text.split('s').next()?.parse().ok()?;
        Some(micros(seconds) / 1000)
    }

    /// As in `2026-11-26T17:46:55.163196062Z`.
    fn begin(&self) -> Option<Moment> {
        let text = self.text("Build start:")?;
        let in_utc = text.ends_with('Z').then_some(text)?;
        parse_utc(in_utc).map(Moment)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to what fits"
)]
fn samples(page: &str, cores: u64) -> Option<SamplesEvent> {
    let usage: Vec<(f64, f64)> = constant(page, "CPU_USAGE")?;
    let mut samples = SamplesEvent::default();
    for (seconds, percent) in usage.into_iter().take(4096) {
        samples.taken_ms.push(micros(seconds) / 1000);
        let milli = percent.clamp(0.0, 100.0) * 10.0 * cores as f64;
        samples.cpu_milli.push(milli as u32);
    }
    Some(samples)
}

impl Unit {
    fn is_run(&self) -> bool {
        self.mode == "run-custom-build"
    }

    /// Kind and name, from what cargo shows behind a package's name: nothing for a library, ` bin "x"`, ` build-script`,
    /// ` (check)`, ` test "x" (test)` and the like.
    fn kind(&self) -> (String, String) {
        let plain = self.name.replace('-', "_");
        let target = self.target.trim();
        let name = target.split('"').nth(1).map(|name| name.replace('-', "_"));
        let what = target.split([' ', '"']).find(|word| !word.is_empty());
        let kind = match what {
            _ if target.contains("(check)") || target.contains("(check-test)") => "check",
            _ if target.contains("(test)") => "test",
            _ if target.contains("(doc)") => "doc",
            Some("bin") => "bin",
            Some("build-script") => "build-script",
            Some(word @ ("example" | "bench" | "test")) => word,
            // Older pages say `tiny "bin"`.
            Some(_) if target.ends_with("\"bin\"") => "bin",
            Some(_) if target.ends_with("\"test\"") => "test",
            _ => "lib",
        };
        let crate_name = match kind {
            "build-script" => "build_script_build".to_owned(),
            _ => name
                .filter(|name| !matches!(name.as_str(), "bin" | "test" | "example" | "bench"))
                .unwrap_or(plain),
        };
        (kind.to_owned(), crate_name)
    }

    fn id(&self) -> String {
        format!("i{}", self.i)
    }

    fn file(&self, extension: &str) -> String {
        format!(
            "lib{}-{}.{extension}",
            self.name.replace('-', "_"),
            self.id()
        )
    }

    fn times(&self) -> UnitTimes {
        let total_us = micros(self.duration);
        let sections = self.sections.iter().flatten();
        let length = |name: &str| -> u64 {
            let of_name = sections.clone().filter(|(known, _)| known == name);
            of_name
                .map(|(_, section)| micros(section.end - section.start))
                .sum()
        };
        let link_us = length("link");
        let codegen_us = match (self.sections.is_some(), self.rmeta_time) {
            (true, _) => length("codegen") + link_us,
            (false, Some(rmeta)) if rmeta > 0.0 => total_us.saturating_sub(micros(rmeta)),
            _ => 0,
        };
        UnitTimes {
            total_us,
            compile_us: total_us,
            codegen_us: codegen_us.min(total_us),
            link_us: link_us.min(total_us),
            ..UnitTimes::default()
        }
    }
}

/// What each unit was given: the page says it the other way round.
struct Given<'a> {
    externs: HashMap<u64, Vec<String>>,
    scripts: HashMap<u64, &'a Unit>,
    programs: HashMap<u64, String>,
}

impl<'a> Given<'a> {
    fn of(units: &'a [Unit]) -> Self {
        let mut given = Self {
            externs: HashMap::new(),
            scripts: HashMap::new(),
            programs: HashMap::new(),
        };
        for unit in units {
            for of in &unit.unblocked_units {
                if unit.is_run() {
                    given.scripts.insert(*of, unit);
                } else {
                    given.programs.insert(*of, unit.id());
                    let externs = given.externs.entry(*of).or_default();
                    externs.push(unit.file("rlib"));
                }
            }
            for of in &unit.unblocked_rmeta_units {
                let externs = given.externs.entry(*of).or_default();
                externs.push(unit.file("rmeta"));
            }
        }
        given
    }

    fn event(&self, unit: &Unit) -> EventKind {
        let (kind, crate_name) = unit.kind();
        if unit.is_run() {
            let name = (unit.name.clone(), unit.version.clone());
            let mut step = StepEvent::new("build-script", name, unit.id());
            step.program = self.programs.get(&unit.i).cloned();
            step.fate = StepFate::Miss;
            step.times.total_us = micros(unit.duration);
            step.times.run_us = step.times.total_us;
            return EventKind::Step(Box::new(step));
        }
        let mut event = UnitEvent::new(Fate::Uncacheable);
        event.package.clone_from(&unit.name);
        event.version.clone_from(&unit.version);
        event.crate_name = crate_name;
        event.links = matches!(
            kind.as_str(),
            "bin" | "test" | "example" | "bench" | "build-script"
        );
        event.kind = kind;
        event.id = unit.id();
        event.outputs = vec![unit.file("rmeta"), unit.file("rlib")];
        event.externs = self.externs.get(&unit.i).cloned().unwrap_or_default();
        // That a unit's own script let it begin is told by the script, not by the unit.
        let script = self.scripts.get(&unit.i);
        event.script = script.map(|script| script.id());
        event.times = unit.times();
        event.rustc = 1;
        EventKind::Unit(Box::new(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headline, Timeline};

    const PAGE: &str = include_str!("../../testdata/cargo-timing-1.95.html");

    #[test]
    fn a_page_of_cargos_becomes_a_run() {
        let events = cargo_timings(PAGE.as_bytes(), "r", Moment(0)).unwrap();
        let timeline = Timeline::of_run("r", &events);
        assert_eq!(timeline.imported_from.as_deref(), Some("cargo --timings"));
        assert_eq!(timeline.began_ms, 1_795_715_215_163);
        assert_eq!(timeline.machine.as_ref().unwrap().cores, 2);
        let names: Vec<_> = timeline
            .bars
            .iter()
            .map(|bar| (bar.name(), bar.at_us))
            .collect();
        assert_eq!(
            names,
            [
                ("tiny 0.1.0 build script".to_owned(), 780_000),
                ("memchr 2.8.3".to_owned(), 790_000),
                ("tiny 0.1.0 build script run".to_owned(), 1_500_000),
                ("tiny 0.1.0 (bin)".to_owned(), 5_160_000),
            ]
        );
        // The program waited for the library, which no number of cores would have changed.
        let critical: Vec<_> = timeline
            .critical
            .iter()
            .map(|at| names[*at].0.as_str())
            .collect();
        assert_eq!(critical, ["memchr 2.8.3", "tiny 0.1.0 (bin)"]);
        assert_eq!(timeline.bars[3].ready_us, 5_160_000);
        assert_eq!(timeline.samples.cpu_milli[0], 2000);
        assert_eq!(
            Headline::of(&timeline).sentence(),
            "Built in 6.0 s: 3 compiled, 1 build script run"
        );
    }

    #[test]
    fn older_pages_have_a_time_of_metadata() {
        let page = r#"const UNIT_DATA = [{"i":0,"name":"a-b","version":"1.0.0","mode":"todo","target":"","start":0,
            "duration":4.0,"rmeta_time":1.5,"unlocked_units":[],"unlocked_rmeta_units":[1]},
            {"i":1,"name":"c","version":"1.0.0","mode":"todo","target":"","start":1.6,"duration":1.0,
            "rmeta_time":null,"unlocked_units":[],"unlocked_rmeta_units":[]},
            {"i":2,"name":"c","version":"1.0.0","mode":"todo","target":" bin \"d-e\"","start":5,"duration":1.0}];"#;
        let events = cargo_timings(page.as_bytes(), "r", Moment(5)).unwrap();
        let timeline = Timeline::of_run("r", &events);
        let names: Vec<_> = timeline.bars.iter().map(|bar| bar.name()).collect();
        assert_eq!(names, ["a-b 1.0.0", "c 1.0.0", "c 1.0.0 (bin d_e)"]);
        assert_eq!(
            timeline.bars[0].part_us(crate::timeline::Part::Codegen),
            2_500_000
        );
        assert_eq!(timeline.bars[1].ready_us, 1_500_000);
    }

    #[test]
    fn anything_else_is_an_error_and_nonsense_is_survived() {
        for bytes in [&b"<html>"[..], b"const UNIT_DATA = {", b"\xff"] {
            assert_eq!(
                cargo_timings(bytes, "r", Moment(0)).unwrap_err(),
                ImportError::NotTimings
            );
        }
        let page = r#"<td>Build start:</td><td>9999-99-99T99:99:99Z</td><td>Total time:</td><td>1e400s</td>
            const UNIT_DATA = [{"i":7,"start":-1e300,"duration":1e300,"unblocked_units":[7,8],"sections":[["codegen",{"start":9,"end":-9}]]}];
            const CPU_USAGE = [[-1e300,1e300]];"#;
        let events = cargo_timings(page.as_bytes(), "r", Moment(3)).unwrap();
        assert_eq!(Timeline::of_run("r", &events).bars.len(), 1);
    }
}
