//! What compilers and linkers say that they read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_key::{depinfo::DepInfo, makefile};

fuzz_target!(|bytes: &[u8]| {
    if let Some(info) = DepInfo::parse(bytes) {
        assert_eq!(info.write(), bytes, "read and written back are not the same");
    }
    let _ = makefile::inputs(bytes);
});
