//! What is read of packages in cargo's home: archives from a registry, markers, notes.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use rekindle_outputs::archive;
use rekindle_outputs::sparse::Marker;
use rekindle_outputs::sparse::note::Note;

fuzz_target!(|bytes: &[u8]| {
    let _ = archive::read(&mut &*bytes, bytes.len() as u64, "a-1.0.0", &mut |member, _| {
        let mut parts = member.path.components();
        assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{member:?}");
        Ok(())
    });
    if let Some(marker) = Marker::from_text(bytes) {
        assert_eq!(Marker::from_text(&marker.to_text()), Some(marker));
    }
    let _ = Note::from_bytes(bytes);
});
