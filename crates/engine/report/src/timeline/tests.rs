use rekindle_base::Moment;
use rekindle_events::{EventKind, Fate, PhaseEvent, StepFate, UnitTimes};

use super::*;
use crate::fixtures::{hit, missed, never_seen, step, unit};

const SECOND: u64 = 1_000_000;

fn at(ms: u64, kind: EventKind) -> Event {
    Event::new(Moment(ms), kind)
}

fn machine() -> Event {
    let machine = MachineEvent {
        began_ms: 100_000,
        cores: 2,
        ..MachineEvent::default()
    };
    at(100_001, EventKind::Machine(machine))
}

fn phase(name: PhaseName, at_s: u64, time_s: u64) -> Event {
    let phase = PhaseEvent {
        phase: name,
        at_us: at_s * SECOND,
        time_us: time_s * SECOND,
    };
    at(100_000 + (at_s + time_s) * 1000, EventKind::Phase(phase))
}

/// A unit that ends at a second since the begin.
fn compiled(package: &str, end_s: u64, seconds: (u64, u64, u64)) -> Event {
    let (front, codegen, link) = seconds;
    let mut unit = missed(package, never_seen());
    let compile_us = (front + codegen + link) * SECOND;
    unit.times = UnitTimes {
        total_us: compile_us,
        compile_us,
        codegen_us: (codegen + link) * SECOND,
        link_us: link * SECOND,
        ..UnitTimes::default()
    };
    at(100_000 + end_s * 1000, EventKind::Unit(unit))
}

fn seconds(timeline: &Timeline) -> Vec<(Part, u64)> {
    let parts = timeline.parts.iter();
    parts.map(|of| (of.part, of.time_us / SECOND)).collect()
}

#[test]
fn each_instant_is_divided_among_what_runs_and_all_adds_up() {
    let timeline = Timeline::of_run(
        "r",
        &[
            machine(),
            phase(PhaseName::Prepare, 0, 1),
            phase(PhaseName::Restore, 1, 2),
            // From 5 to 9, and from 7 to 11; nothing until 13; then a link to 15.
            compiled("a", 9, (2, 2, 0)),
            compiled("b", 11, (4, 0, 0)),
            compiled("c", 15, (0, 0, 2)),
            phase(PhaseName::Cargo, 3, 14),
            phase(PhaseName::Capture, 17, 3),
        ],
    );
    assert_eq!(timeline.wall_us, 20 * SECOND);
    assert_eq!(
        seconds(&timeline),
        [
            (Part::Prepare, 1),
            (Part::RestoreSnapshot, 2),
            (Part::CargoStart, 2),
            // Alone from 5 to 7.
            (Part::Frontend, 2),
            // Beside the other from 7 to 9.
            (Part::Codegen, 1),
            // `b` announces no metadata: half of 7 to 9, then alone to 11.
            (Part::Compile, 3),
            (Part::Link, 2),
            (Part::CargoBetween, 2),
            (Part::CargoEnd, 2),
            (Part::Capture, 3),
        ]
    );
    assert_eq!(timeline.link_share(), Some(10.0));
    assert_eq!(timeline.accounted_share(), Some(100.0));
}

#[test]
fn what_a_remote_costs_has_parts_of_its_own() {
    let mut restored = hit("a");
    restored.times = UnitTimes {
        total_us: 4 * SECOND,
        lookup_us: SECOND,
        restore_us: 3 * SECOND,
        remote_us: 2 * SECOND,
        ..UnitTimes::default()
    };
    let mut built = missed("b", never_seen());
    built.times = UnitTimes {
        total_us: 4 * SECOND,
        compile_at_us: 3 * SECOND,
        compile_us: SECOND,
        materialise_us: 3 * SECOND,
        remote_us: SECOND,
        ..UnitTimes::default()
    };
    let timeline = Timeline::of_run(
        "r",
        &[
            machine(),
            phase(PhaseName::Pull, 0, 1),
            at(105_000, EventKind::Unit(restored)),
            at(109_000, EventKind::Unit(built)),
            phase(PhaseName::Cargo, 1, 8),
            phase(PhaseName::Finish, 9, 1),
            phase(PhaseName::Push, 10, 4),
            phase(PhaseName::Finish, 14, 1),
        ],
    );
    assert_eq!(
        seconds(&timeline),
        [
            (Part::Pull, 1),
            (Part::Lookup, 1),
            (Part::RestoreUnit, 1),
            (Part::Materialise, 2),
            (Part::RemoteWait, 3),
            (Part::Compile, 1),
            (Part::Push, 4),
            (Part::Finish, 2),
        ]
    );
}

#[test]
fn odd_times_lose_nothing_in_rounding() {
    let mut events = vec![machine()];
    for number in 0..7 {
        let mut unit = unit("x", Fate::Miss);
        unit.times = UnitTimes {
            total_us: 333_331 + number,
            lookup_us: 77,
            compile_us: 100_003,
            publish_us: 11,
            ..UnitTimes::default()
        };
        events.push(at(101_000 + number * 13, EventKind::Unit(unit)));
    }
    events.push(phase(PhaseName::Cargo, 0, 2));
    let timeline = Timeline::of_run("r", &events);
    let sum: u64 = timeline.parts.iter().map(|of| of.time_us).sum();
    assert_eq!(sum, timeline.wall_us);
    // What of a unit's time nothing tells is not passed off as something else.
    assert!(timeline.part_us(Part::Unnamed) > 0);
    assert!(timeline.accounted_share() < Some(95.0));
}

#[test]
fn a_second_cargo_begins_anew() {
    let timeline = Timeline::of_run(
        "r",
        &[
            machine(),
            compiled("a", 2, (1, 0, 0)),
            phase(PhaseName::Cargo, 0, 3),
            compiled("b", 6, (1, 0, 0)),
            phase(PhaseName::Cargo, 3, 4),
        ],
    );
    assert_eq!(
        seconds(&timeline),
        [
            (Part::CargoStart, 3),
            (Part::Compile, 2),
            (Part::CargoEnd, 2),
        ]
    );
}

#[test]
fn a_log_without_phases_is_all_cargos() {
    let timeline = Timeline::of_run("r", &[compiled("a", 2, (1, 0, 0))]);
    assert_eq!(timeline.began_ms, 101_000);
    assert_eq!(seconds(&timeline), [(Part::Compile, 1)]);
}

#[test]
fn parts_of_a_unit_follow_each_other() {
    let mut miss = missed("a", never_seen());
    miss.times = UnitTimes {
        total_us: 100,
        lookup_us: 10,
        materialise_us: 5,
        compile_at_us: 20,
        compile_us: 60,
        codegen_us: 40,
        link_us: 15,
        publish_us: 12,
        ..UnitTimes::default()
    };
    let mut restored = hit("b");
    restored.times = UnitTimes {
        total_us: 10,
        lookup_us: 4,
        restore_us: 5,
        ..UnitTimes::default()
    };
    let mut script = step("c", StepFate::Miss);
    script.times.total_us = 50;
    script.times.lookup_us = 5;
    script.times.run_us = 30;
    script.times.publish_us = 10;
    let kinds = [
        EventKind::Unit(miss),
        EventKind::Unit(restored),
        EventKind::Step(script),
    ];
    let events: Vec<Event> = (1..).zip(kinds).map(|(ms, kind)| at(ms, kind)).collect();
    let timeline = Timeline::of_run("r", &events);
    let laid: Vec<Vec<(Part, u64, u64)>> = timeline
        .bars
        .iter()
        .map(|bar| {
            let segments = bar.segments.iter();
            segments.map(|of| (of.part, of.at_us, of.time_us)).collect()
        })
        .collect();
    assert_eq!(
        laid,
        [
            vec![
                (Part::Lookup, 0, 10),
                (Part::Materialise, 10, 5),
                (Part::Unnamed, 15, 5),
                (Part::Frontend, 20, 20),
                (Part::Codegen, 40, 25),
                (Part::Link, 65, 15),
                (Part::Publish, 80, 12),
                (Part::Unnamed, 92, 8),
            ],
            vec![
                (Part::Lookup, 0, 4),
                (Part::RestoreUnit, 4, 5),
                (Part::Unnamed, 9, 1),
            ],
            vec![
                (Part::Lookup, 0, 5),
                (Part::Materialise, 5, 5),
                (Part::Script, 10, 30),
                (Part::Publish, 40, 10),
            ],
        ]
    );
}

#[test]
fn nonsense_in_a_log_is_survived() {
    let mut unit = unit("x", Fate::Miss);
    unit.times = UnitTimes {
        total_us: u64::MAX,
        lookup_us: u64::MAX,
        compile_at_us: 3,
        compile_us: u64::MAX,
        codegen_us: u64::MAX,
        link_us: u64::MAX,
        publish_us: u64::MAX,
        ..UnitTimes::default()
    };
    let mut late = machine();
    if let EventKind::Machine(machine) = &mut late.kind {
        machine.began_ms = u64::MAX;
    }
    let phase = PhaseEvent {
        phase: PhaseName::Cargo,
        at_us: u64::MAX,
        time_us: u64::MAX,
    };
    let events = [
        late,
        at(5, EventKind::Unit(unit)),
        at(6, EventKind::Phase(phase)),
    ];
    let timeline = Timeline::of_run("r", &events);
    assert_eq!(timeline.bars.len(), 1);
}
