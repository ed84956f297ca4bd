//! What cargo remembers of the compiler, in `.rustc_info.json` of the target directory.
//!
//! A fresh target has none, so cargo asks the compiler three questions before it does anything else; answered
//! from a memo, they still are three processes. The file holds a digest of the compiler's and the wrapper's paths and
//! times, which cargo checks, so what is brought back is believed only where nothing of that changed.
//!
//! In the store: the file itself, in the space `Memos`, under a digest of the toolchain and flags.

use std::path::Path;

use rekindle_base::{Digest, DigestHasher};
use rekindle_snapshot::base::Wanted;
use rekindle_store::{LocalStore, Space, Store};
use serde_json::Value;

const NAME: &str = ".rustc_info.json";

/// A file that is larger is none of cargo's.
const MAX_BYTES: usize = 1 << 20;

fn key(wanted: &Wanted) -> Digest {
    DigestHasher::new()
        .field(b"rekindle compiler info 1")
        .field(wanted.toolchain.as_bytes())
        .field(wanted.flags.as_bytes())
        .finish()
}

/// Puts it into a target directory that has none. Where that fails, cargo asks.
pub(super) fn restore(store: &LocalStore, wanted: &Wanted, build_dir: &Path) {
    let path = build_dir.join(NAME);
    if rekindle_fsx::exists(&path) || !rekindle_fsx::exists(build_dir) {
        return;
    }
    if let Ok(Some(record)) = store.get_record(Space::Memos, &key(wanted)) {
        let _ = rekindle_fsx::atomic::write(&path, &record.payload);
    }
}

/// Stores it, where it is another than the one that is stored.
pub(super) fn capture(store: &LocalStore, wanted: &Wanted, build_dir: &Path) {
    let Ok(bytes) = rekindle_fsx::read(&build_dir.join(NAME)) else {
        return;
    };
    if bytes.len() > MAX_BYTES || !has_only_answers(&bytes) {
        return;
    }
    let key = key(wanted);
    let known = store.get_record(Space::Memos, &key).ok().flatten();
    if known.is_none_or(|record| record.payload != bytes) {
        let _ = store.put_record(Space::Memos, &key, &[], &bytes);
    }
}

/// Whether every question was answered: cargo also remembers that a compiler was killed meanwhile.
fn has_only_answers(bytes: &[u8]) -> bool {
    let info: Option<Value> = serde_json::from_slice(bytes).ok();
    let outputs = info
        .as_ref()
        .and_then(|info| info.get("outputs")?.as_object());
    outputs.is_some_and(|outputs| {
        let mut outputs = outputs.values();
        outputs.all(|output| output.get("success").and_then(Value::as_bool) == Some(true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_an_answer_is_asked_again() {
        let check = |text: &str, expected| assert_eq!(has_only_answers(text.as_bytes()), expected);
        check(
            r#"{"outputs":{"1":{"success":true},"2":{"success":true}}}"#,
            true,
        );
        check(
            r#"{"outputs":{"1":{"success":true},"2":{"success":false}}}"#,
            false,
        );
        check(r#"{"outputs":{"1":{}}}"#, false);
        check("", false);
    }

    #[test]
    fn it_comes_back_into_a_target_that_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store"));
        let wanted = |toolchain: &[u8]| Wanted {
            toolchain: Digest::of(toolchain),
            flags: Digest::of(b"flags"),
            project: Digest::of(b"project"),
            lock: None,
            dirs: Vec::new(),
            git: None,
            workspace: dir.path().to_owned(),
        };
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let text = br#"{"outputs":{}}"#;
        rekindle_fsx::create_dir_all(&from).unwrap();
        rekindle_fsx::create_dir_all(&to).unwrap();
        rekindle_fsx::atomic::write(&from.join(NAME), text).unwrap();
        capture(&store, &wanted(b"one"), &from);
        restore(&store, &wanted(b"two"), &to);
        assert!(!rekindle_fsx::exists(&to.join(NAME)));
        restore(&store, &wanted(b"one"), &to);
        assert_eq!(rekindle_fsx::read(&to.join(NAME)).unwrap(), text);
        rekindle_fsx::atomic::write(&to.join(NAME), b"newer").unwrap();
        restore(&store, &wanted(b"one"), &to);
        assert_eq!(rekindle_fsx::read(&to.join(NAME)).unwrap(), b"newer");
    }
}
