//! Command lines, straight from whatever build tool calls.
#![no_main]

use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use rekindle_key::{Invocation, Manifest, Roots, arguments};

fuzz_target!(|bytes: &[u8]| {
    let _ = arguments::response_file(bytes);
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .map(|word| std::ffi::OsString::from_vec(word.to_vec()))
        .collect();
    if let Ok(invocation) = Invocation::parse(&words) {
        let mut manifest = Manifest::new();
        invocation.describe(&mut manifest, &Roots::default());
    }
});
