//! Placeholders: what lies in a target directory, where anybody writes, and names a store and paths.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rekindle_outputs::placeholder::Placeholder;

fuzz_target!(|bytes: &[u8]| {
    if let Some(placeholder) = Placeholder::from_bytes(bytes) {
        for launcher in [None, Some(Path::new("/usr/bin/rekindle-rustc"))] {
            for name in ["program", "liba.rmeta", "liba.rlib", "liba.so"] {
                let bytes = placeholder.to_bytes(Path::new(name), launcher);
                assert_eq!(Placeholder::from_bytes(&bytes).as_ref(), Some(&placeholder));
            }
        }
    }
    if let Some(placeholder) = Placeholder::from_link(Path::new(OsStr::from_bytes(bytes))) {
        assert_eq!(Placeholder::from_link(&placeholder.to_link()), Some(placeholder));
    }
});
