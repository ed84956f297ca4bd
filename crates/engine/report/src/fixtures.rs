//! Events for this crate's tests.

use rekindle_base::Moment;
use rekindle_events::{
    Change, ChangeKind, Event, EventKind, Fate, MissReason, ProbeEvent, RunFinished, RunStarted,
    StepEvent, StepFate, UncacheableReason, UnitEvent, WarningEvent,
};

/// A log of these events, a second apart, the first at 1 s.
pub(crate) fn log(kinds: Vec<EventKind>) -> Vec<Event> {
    let numbered = (1u64..).zip(kinds);
    numbered
        .map(|(second, kind)| Event::new(Moment(second * 1000), kind))
        .collect()
}

pub(crate) fn started(run: &str) -> EventKind {
    EventKind::RunStarted(RunStarted {
        run: run.into(),
        command: "build".into(),
        cwd: "/work".into(),
        rekindle: "0.1.0".into(),
    })
}

pub(crate) fn finished(fresh: Option<u64>) -> EventKind {
    EventKind::RunFinished(RunFinished {
        exit_code: 0,
        wall_ms: 4_000,
        fresh,
        build_scripts: 1,
        build_scripts_ms: 20,
    })
}

pub(crate) fn probe(from_memo: bool) -> EventKind {
    EventKind::Probe(ProbeEvent { from_memo })
}

pub(crate) fn warning(id: &str) -> EventKind {
    EventKind::Warning(WarningEvent {
        id: id.into(),
        message: format!("about {id}"),
    })
}

pub(crate) fn unit(package: &str, fate: Fate) -> Box<UnitEvent> {
    Box::new(UnitEvent {
        package: package.into(),
        version: "1.0.0".into(),
        crate_name: package.into(),
        kind: "lib".into(),
        id: format!("{package}id"),
        outputs: vec![
            format!("lib{package}-{package}id.rlib"),
            format!("lib{package}-{package}id.rmeta"),
        ],
        ..UnitEvent::new(fate)
    })
}

pub(crate) fn step(package: &str, fate: StepFate) -> Box<StepEvent> {
    let name = (package.to_owned(), "1.0.0".to_owned());
    let mut step = StepEvent::new("build-script", name, format!("{package}id"));
    step.fate = fate;
    Box::new(step)
}

pub(crate) fn hit(package: &str) -> Box<UnitEvent> {
    unit(package, Fate::Hit)
}

pub(crate) fn missed(package: &str, reason: MissReason) -> Box<UnitEvent> {
    let mut unit = unit(package, Fate::Miss);
    unit.miss = Some(reason);
    unit
}

pub(crate) fn uncacheable(package: &str) -> Box<UnitEvent> {
    let mut unit = unit(package, Fate::Uncacheable);
    unit.uncacheable = Some(UncacheableReason::ClockWasSet);
    unit
}

pub(crate) fn never_seen() -> MissReason {
    MissReason::NeverSeen
}

pub(crate) fn changed(changes: &[(ChangeKind, &str)]) -> MissReason {
    let changes = changes.iter().map(|(kind, name)| Change {
        kind: *kind,
        name: (*name).to_owned(),
        old: Some("one".into()),
        new: Some("two".into()),
    });
    MissReason::Changed {
        changes: changes.collect(),
    }
}
