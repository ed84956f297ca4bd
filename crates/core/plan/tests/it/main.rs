//! Recorded runs of real projects, played again: see `docs/design/0011-advice.md` for what they are.

use rekindle_events::{Event, read_log};
use rekindle_plan::advice::{Facts, RULES, advise};
use rekindle_plan::{Graph, critical_path, simulate};

/// The machine that both were recorded on.
const CORES: u32 = 2;

fn events(log: &[u8]) -> Vec<Event> {
    let log = read_log(log);
    assert_eq!(log.unread_lines, 0);
    log.events
}

fn dev() -> Vec<Event> {
    events(include_bytes!("runs/du-dust-dev.jsonl"))
}

fn release() -> Vec<Event> {
    events(include_bytes!("runs/du-dust-release.jsonl"))
}

/// The wall of a simulation is within so many per cent of the run's.
fn check(events: &[Event], jobs: usize, within_percent: u64) {
    let graph = Graph::of_events(events);
    assert_eq!(graph.jobs().len(), jobs);
    assert!(!graph.gaps().is_partial(), "{:?}", graph.gaps());
    let (real_us, played_us) = (graph.span_us(), simulate(&graph, CORES).wall_us);
    let apart = real_us.abs_diff(played_us) * 100;
    assert!(
        apart <= within_percent * real_us,
        "{played_us} instead of {real_us}"
    );
    // Nobody began before what it waits for was there: the graph has no edge too many. The log's clock
    // ticks in milliseconds.
    let slack_us = 3_000;
    for job in graph.jobs() {
        for dependency in &job.dependencies {
            let other = &graph.jobs()[dependency.on];
            let there_us = match dependency.needs {
                rekindle_plan::Needs::End => other.ended_us(),
                rekindle_plan::Needs::Metadata => {
                    other.started_us + other.parts.until_metadata_us()
                }
            };
            assert!(
                job.started_us + slack_us >= there_us,
                "{} began before {}",
                job.name(),
                other.name()
            );
        }
    }
}

#[test]
fn played_walls_are_close_to_recorded_ones() {
    check(&dev(), 93, 2);
    check(&release(), 102, 2);
}

#[test]
fn more_cores_help_until_the_critical_path() {
    let graph = Graph::of_events(&dev());
    let path = critical_path(&graph);
    let walls: Vec<u64> = [1, 2, 4, 64]
        .iter()
        .map(|cores| simulate(&graph, *cores).wall_us)
        .collect();
    assert_eq!(walls[0], graph.work_us());
    assert!(walls.is_sorted_by(|more, less| more > less), "{walls:?}");
    assert_eq!(walls[3], path.length_us);
    let last = path.steps.last().unwrap();
    assert_eq!(graph.jobs()[last.job].package, "du-dust");
}

/// Every gain that a rule gives for a real run is one that this run could have.
#[test]
fn gains_are_no_more_than_the_run() {
    for events in [dev(), release()] {
        for ci in [false, true] {
            let mut facts = Facts::of_events(&events);
            facts.is_ci = ci;
            facts.cores = CORES;
            for advice in advise(&facts) {
                assert!(RULES.iter().any(|rule| rule.id == advice.id));
                let ms = advice.gain.ms().unwrap_or(0);
                assert!(ms <= facts.wall_ms, "{advice:?}");
                assert!(!advice.evidence.is_empty() && !advice.remedy.is_empty());
            }
        }
    }
}
