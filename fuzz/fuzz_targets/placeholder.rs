//! Placeholders: what lies in a target directory, where anybody writes, and names a store and paths.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rekindle_outputs::placeholder::Placeholder;

fuzz_target!(|bytes: &[u8]| {
    if let Some(placeholder) = Placeholder::from_text(bytes) {
        for launcher in [None, Some(Path::new("/usr/bin/rekindle-rustc"))] {
            let text = placeholder.to_text(launcher);
            assert_eq!(Placeholder::from_text(&text).as_ref(), Some(&placeholder));
        }
    }
    if let Some(placeholder) = Placeholder::from_link(Path::new(OsStr::from_bytes(bytes))) {
        assert_eq!(Placeholder::from_link(&placeholder.to_link()), Some(placeholder));
    }
});
