//! The two things that matter in cargo's fingerprints: a unit's own hash, and those of the units that it
//! was built with.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::Deserialize;

use crate::model::{Body, File, Unit};

/// The part of the JSON beside a hash that matters: package, name, visibility and hash of each
/// dependency.
#[derive(Deserialize)]
struct Fingerprint {
    deps: Vec<(u64, String, bool, u64)>,
}

/// The hash as cargo writes it: bytes in hex, the least significant first.
pub(crate) fn hash(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() == 16)?;
    Some(u64::from_str_radix(text, 16).ok()?.swap_bytes())
}

/// The hashes of the units that a unit was built with, from its JSON.
pub(crate) fn needs(json: &[u8]) -> Option<Vec<u64>> {
    let json: Fingerprint = serde_json::from_slice(json).ok()?;
    Some(json.deps.into_iter().map(|(_, _, _, hash)| hash).collect())
}

/// Those of the unit whose fingerprint is in this directory; `None` where that has none yet.
pub(crate) fn needs_at(dir: &Path) -> Option<Vec<u64>> {
    let names = rekindle_fsx::list_names(dir).ok()?;
    let is_json = |name: &OsString| Path::new(name).extension() == Some(OsStr::new("json"));
    let json = names.into_iter().find(is_json)?;
    needs(&rekindle_fsx::read(&dir.join(json)).ok()?)
}

/// The hash of a unit's fingerprint, which is its last file.
pub(crate) fn hash_of(unit: &Unit) -> Option<u64> {
    match &unit.files.last()?.body {
        Body::Inline(text) => hash(text),
        _ => None,
    }
}

/// The hashes of the units that it was built with.
pub(crate) fn needs_of(unit: &Unit) -> Option<Vec<u64>> {
    let (_, json) = json_of(&unit.files)?;
    needs(json)
}

/// The JSON beside the hash that is the last of a unit's files, and which file it is.
pub(crate) fn json_of(files: &[File]) -> Option<(usize, &[u8])> {
    let name = format!("{}.json", files.last()?.path);
    let at = files.iter().position(|file| file.path == name)?;
    match &files[at].body {
        Body::Inline(json) => Some((at, json)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_cargo_writes_them() {
        // From a real target directory: the file's text, and the number in a dependent's JSON.
        assert_eq!(hash(b"8a6b9a3ba3be3a85"), Some(9_600_195_163_982_556_042));
        assert_eq!(hash(b""), None);
        let json = br#"{"rustc":1,"deps":[[9,"build_script_build",false,7]],"local":[]}"#;
        assert_eq!(needs(json), Some(vec![7]));
    }
}
