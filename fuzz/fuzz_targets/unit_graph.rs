//! A run's log of whatever version: its graph, its schedule and advice come to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_events::read_log;
use rekindle_plan::advice::{Facts, advise};
use rekindle_plan::{critical_path, simulate};

fuzz_target!(|bytes: &[u8]| {
    let facts = Facts::of_events(&read_log(bytes).events);
    let played = simulate(&facts.graph, 2);
    assert_eq!(played.slots.len(), facts.graph.jobs().len());
    assert!(played.wall_us >= critical_path(&facts.graph).length_us);
    let _ = advise(&facts);
});
