//! Pages and documents of other tools that a person imports, as runs: what they become can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_base::Moment;
use rekindle_report::import::{cargo_timings, sccache_stats};
use rekindle_report::{Timeline, page};

fuzz_target!(|bytes: &[u8]| {
    let read = [
        cargo_timings(bytes, "r", Moment(1)),
        sccache_stats(bytes, "r", Moment(1)),
    ];
    for events in read.into_iter().flatten() {
        let timeline = Timeline::of_run("r", &events);
        let sum: u64 = timeline.parts.iter().map(|of| of.time_us).sum();
        assert_eq!(sum, timeline.wall_us);
        assert!(page(&timeline, &[]).is_ok());
    }
});
