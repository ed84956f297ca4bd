//! Command lines of C compilers and archivers, with their response files, from whatever build script.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use rekindle_key::cc::{Archive, Compile, response};

fuzz_target!(|bytes: &[u8]| {
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .map(|word| std::ffi::OsString::from_vec(word.to_vec()))
        .collect();
    let Ok(words) = response::expand(&words, |_| Some(bytes.to_vec())) else {
        return;
    };
    for program in ["cc", "clang++", "ar", "ranlib"] {
        let program = OsStr::new(program);
        if let Ok(compile) = Compile::parse(program, &words) {
            assert!(!compile.files().is_empty());
            assert!(compile.keyed().len() > 2);
            let _ = compile.preprocessing();
        }
        if let Ok(archive) = Archive::parse(program, &words) {
            assert!(archive.keyed().len() >= 2);
        }
    }
});
