//! The parser of records, which reads what anybody may have written into the store's directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_base::Digest;
use rekindle_store::{Space, frame};

fuzz_target!(|bytes: &[u8]| {
    let key = Digest::of(b"key");
    check(bytes, &key);
    // A checksum stops nearly all bytes at the door; what is behind it must hold as well.
    check(&frame::seal(bytes.to_vec(), Space::Entries, &key), &key);
});

fn check(bytes: &[u8], key: &Digest) {
    let Ok(found) = frame::parse(bytes, Space::Entries, key) else {
        return;
    };
    let refs: Vec<Digest> = found.refs().collect();
    assert!(refs.len() * 32 + found.payload.len() <= bytes.len());
    if !found.version.is_newer() {
        let again = frame::encode(Space::Entries, key, &refs, found.payload);
        assert_eq!(again.as_deref(), Ok(bytes), "two spellings of one record");
    }
}
