//! Event logs, to which several processes append and which a full disk cuts short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_events::read_log;

fuzz_target!(|bytes: &[u8]| {
    let log = read_log(bytes);
    let written: Vec<u8> = log.events.iter().flat_map(|event| event.to_line()).collect();
    assert_eq!(read_log(&written).events, log.events);
});
