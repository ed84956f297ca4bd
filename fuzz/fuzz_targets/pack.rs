//! The readers of packs, indexes and tips, which read what anybody may have written into a remote.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_remote::blobs::Name;
use rekindle_remote::index::Index;
use rekindle_remote::pack;
use rekindle_remote::tip::Tip;

fuzz_target!(|bytes: &[u8]| {
    let _ = pack::check_all(bytes);
    if let Ok(name) = Name::new("tips/a")
        && let Ok(tip) = Tip::decode(bytes, &name, None)
        && bytes.get(56) == Some(&0)
    {
        assert_eq!(tip.encode(&name, None), bytes, "two spellings of one tip");
    }
    if let Ok(index) = Index::decode(bytes) {
        let places = index.places();
        assert!(places.values().all(|place| place.pack < index.packs.len()));
        let again = index.encode().expect("what was read is not too large");
        assert_eq!(Index::decode(&again), Ok(index));
    }
});
