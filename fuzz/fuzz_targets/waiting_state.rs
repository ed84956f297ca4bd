//! Incremental state that waits beside a target directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_outputs::incremental::Waiting;

fuzz_target!(|bytes: &[u8]| {
    let _ = Waiting::decode(bytes);
});
