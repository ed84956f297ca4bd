//! Path sets, the payload behind an invocation's digest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_key::pathset::PathSets;

fuzz_target!(|bytes: &[u8]| {
    if let Some(sets) = PathSets::decode(bytes) {
        assert_eq!(PathSets::decode(&sets.encode()), Some(sets));
    }
});
