//! `rekindle report --format trace`: the trace events that Chrome's `about:tracing` and Perfetto read.
//!
//! Units and runs of build scripts are spread over lanes, as many as ran at once; parts of a unit lie within it.
//! Phases have a lane of their own; processor time and memory are counters.

use serde_json::{Value, json};

use crate::timeline::{Bar, Timeline};

/// The command's phases.
const PHASES: u64 = 1;
/// The first lane of units.
const FIRST_LANE: u64 = 2;

/// The trace of a run.
///
/// # Errors
/// None that is known: the data are texts and numbers.
pub fn trace(timeline: &Timeline) -> serde_json::Result<String> {
    let mut events = vec![
        name("process_name", 0, "rekindle"),
        name("thread_name", PHASES, "phases"),
    ];
    for phase in &timeline.phases {
        let name = serde_json::to_value(phase.name)?;
        events.push(json!({
            "name": name, "cat": "phase", "ph": "X", "pid": 1, "tid": PHASES,
            "ts": phase.at_us, "dur": phase.time_us,
        }));
    }
    let lanes = lanes(&timeline.bars);
    for lane in 0..lanes.iter().max().map_or(0, |most| most + 1) {
        events.push(name(
            "thread_name",
            FIRST_LANE + lane,
            &format!("units {}", lane + 1),
        ));
    }
    for (index, (bar, lane)) in timeline.bars.iter().zip(&lanes).enumerate() {
        add_bar(
            &mut events,
            bar,
            FIRST_LANE + lane,
            timeline.critical.contains(&index),
        );
    }
    let samples = &timeline.samples;
    for (taken_ms, cpu_milli) in samples.taken_ms.iter().zip(&samples.cpu_milli) {
        let cores = f64::from(*cpu_milli) / 1000.0;
        events.push(counter("processors", *taken_ms, json!(cores)));
    }
    for (taken_ms, memory_mib) in samples.taken_ms.iter().zip(&samples.memory_mib) {
        events.push(counter("memory (MiB)", *taken_ms, json!(memory_mib)));
    }
    serde_json::to_string(&json!({
        "displayTimeUnit": "ms",
        "otherData": { "run": timeline.summary.run, "version": "1" },
        "traceEvents": events,
    }))
}

fn name(what: &str, lane: u64, name: &str) -> Value {
    json!({ "name": what, "ph": "M", "pid": 1, "tid": lane, "args": { "name": name } })
}

fn counter(name: &str, at_ms: u64, value: Value) -> Value {
    json!({ "name": name, "ph": "C", "pid": 1, "ts": at_ms.saturating_mul(1000), "args": { "value": value } })
}

fn add_bar(events: &mut Vec<Value>, bar: &Bar, lane: u64, is_critical: bool) {
    events.push(json!({
        "name": bar.name(), "cat": "unit", "ph": "X", "pid": 1, "tid": lane,
        "ts": bar.at_us, "dur": bar.time_us,
        "args": {
            "kind": bar.kind, "id": bar.id, "message": bar.message, "waited_us": bar.at_us - bar.ready_us,
            "critical": is_critical,
        },
    }));
    for segment in &bar.segments {
        events.push(json!({
            "name": segment.part.title(), "cat": "part", "ph": "X", "pid": 1, "tid": lane,
            "ts": bar.at_us.saturating_add(segment.at_us), "dur": segment.time_us,
        }));
    }
}

/// The lane of each bar: the first that is free. Bars are ordered by their begin.
fn lanes(bars: &[Bar]) -> Vec<u64> {
    let mut free: Vec<u64> = Vec::new();
    let place = |bar: &Bar| {
        let at = free.iter().position(|until| *until <= bar.at_us);
        let at = at.unwrap_or_else(|| {
            free.push(0);
            free.len() - 1
        });
        free[at] = bar.end_us();
        at as u64
    };
    bars.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use rekindle_base::Moment;
    use rekindle_events::{Event, EventKind, SamplesEvent};

    use super::*;
    use crate::fixtures::hit;

    #[test]
    fn events_have_what_viewers_ask_for_and_lanes_do_not_overlap() {
        let mut events: Vec<Event> = (1..=6)
            .map(|number| {
                let mut unit = hit("\"</a>");
                unit.times.total_us = 2_500_000;
                unit.times.lookup_us = 1_000_000;
                Event::new(Moment(number * 1000 + 5000), EventKind::Unit(unit))
            })
            .collect();
        events.push(Event::new(
            Moment(13_000),
            EventKind::Samples(SamplesEvent {
                taken_ms: vec![1, 2],
                cpu_milli: vec![500, 700],
                memory_mib: vec![7, 8],
            }),
        ));
        let text = trace(&Timeline::of_run("r", &events)).unwrap();
        let trace: Value = serde_json::from_str(&text).unwrap();
        let mut ends = std::collections::BTreeMap::new();
        let mut units = 0;
        for event in trace["traceEvents"].as_array().unwrap() {
            assert!(
                event["name"].is_string() && event["pid"].is_u64(),
                "{event}"
            );
            match event["ph"].as_str().unwrap() {
                "X" => {
                    assert!(event["ts"].is_u64() && event["dur"].is_u64() && event["tid"].is_u64());
                    if event["cat"] == "unit" {
                        units += 1;
                        let at = event["ts"].as_u64().unwrap();
                        let end = at + event["dur"].as_u64().unwrap();
                        let last = ends.insert(event["tid"].as_u64().unwrap(), end);
                        assert!(last.is_none_or(|last| last <= at), "{event}");
                    }
                }
                "C" => assert!(event["ts"].is_u64() && event["args"]["value"].is_number()),
                "M" => assert!(event["args"]["name"].is_string()),
                other => panic!("{other}"),
            }
        }
        assert_eq!((units, ends.len()), (6, 3));
    }
}
