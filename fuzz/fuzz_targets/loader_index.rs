//! The dynamic loader's index of libraries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_key::loader;

fuzz_target!(|bytes: &[u8]| {
    let _ = loader::entries(bytes, b"libz.so.1");
});
