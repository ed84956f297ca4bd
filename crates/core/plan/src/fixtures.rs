//! Jobs and events for this crate's tests.

use rekindle_base::Moment;
use rekindle_events::{
    Event, EventKind, Fate, RunFinished, StepEvent, UnitEvent, UnitOptions, UnitTimes,
};

use crate::{Dependency, Job, JobFate, Needs, Parts};

pub(crate) fn metadata(on: usize) -> Dependency {
    Dependency {
        on,
        needs: Needs::Metadata,
        is_direct: true,
    }
}

pub(crate) fn end(on: usize) -> Dependency {
    Dependency {
        needs: Needs::End,
        ..metadata(on)
    }
}

/// A unit with seconds of front and of codegen.
pub(crate) fn job(package: &str, [front, codegen]: [u64; 2], waits: &[Dependency]) -> Job {
    Job {
        package: package.into(),
        version: "1.0.0".into(),
        crate_name: package.into(),
        kind: "lib".into(),
        id: format!("{package}id"),
        fate: JobFate::Miss,
        started_us: 0,
        parts: Parts {
            front_us: front * 1_000_000,
            codegen_us: codegen * 1_000_000,
            ..Parts::default()
        },
        is_divided: codegen > 0,
        links: false,
        linker: None,
        options: UnitOptions::default(),
        dependencies: waits.to_vec(),
    }
}

/// The event of a unit that took a second until `at_ms`.
pub(crate) fn unit_event(
    at_ms: u64,
    package: &str,
    kind: &str,
    externs: &[&str],
    change: impl FnOnce(&mut UnitEvent),
) -> Event {
    let mut unit = UnitEvent {
        package: package.into(),
        version: "1.0.0".into(),
        crate_name: package.into(),
        kind: kind.into(),
        id: format!("{package}id"),
        fate: Fate::Miss,
        miss: None,
        uncacheable: None,
        key: None,
        outputs: vec![format!("lib{package}-{package}id.rlib")],
        externs: externs.iter().map(|name| (*name).to_owned()).collect(),
        script: None,
        options: UnitOptions::default(),
        links: false,
        path_bound: false,
        bound_to_home: false,
        undeclared: false,
        vantage: None,
        incremental: None,
        without_state: false,
        times: UnitTimes {
            total_us: 1_000_000,
            compile_us: 900_000,
            ..UnitTimes::default()
        },
        bytes: 0,
        materialised: 0,
        materialised_bytes: 0,
        saved_us: 0,
        rustc: 1,
        linkers: 0,
        linker: None,
        verified: None,
        observed: None,
        exit_code: 0,
    };
    change(&mut unit);
    Event::new(Moment(at_ms), EventKind::Unit(Box::new(unit)))
}

/// The event of a build script's run of a second until `at_ms`.
pub(crate) fn step_event(at_ms: u64, package: &str, change: impl FnOnce(&mut StepEvent)) -> Event {
    let name = (package.to_owned(), "1.0.0".to_owned());
    let mut step = StepEvent::new("build-script", name, format!("{package}run"));
    step.times.total_us = 1_000_000;
    step.times.run_us = 500_000;
    change(&mut step);
    Event::new(Moment(at_ms), EventKind::Step(Box::new(step)))
}

/// The end of a run with this many build scripts of so many milliseconds.
pub(crate) fn finished((build_scripts, build_scripts_ms): (u64, u64)) -> Event {
    Event::new(
        Moment(10_000),
        EventKind::RunFinished(RunFinished {
            exit_code: 0,
            wall_ms: 9_000,
            fresh: Some(3),
            build_scripts,
            build_scripts_ms,
        }),
    )
}
