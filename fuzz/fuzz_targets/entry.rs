//! Action entries: what is read here is written to a target directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_key::entry::Entry;

fuzz_target!(|bytes: &[u8]| {
    if let Some(entry) = Entry::decode(bytes) {
        for output in &entry.outputs {
            let path = std::path::Path::new(&output.name);
            assert_eq!(path.file_name(), Some(path.as_os_str()), "a name leads elsewhere");
        }
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
    }
});
