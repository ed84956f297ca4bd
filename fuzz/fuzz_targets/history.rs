//! What a history takes in: answers of GitHub's API, and packed rows from a shared store.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use rekindle_history::{History, github, transfer};

const PROJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

thread_local! {
    static HISTORY: RefCell<Option<History>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    let _ = github::read(PROJECT, [("x", bytes)]);
    HISTORY.with_borrow_mut(|history| {
        let dir = std::env::temp_dir().join(format!("rekindle-fuzz-{}", std::process::id()));
        let history = history.get_or_insert_with(|| History::open(&dir).expect("a directory"));
        let _ = transfer::merge(history, PROJECT, bytes);
        let header = format!("{{\"rekindle_history\":1,\"project\":\"{PROJECT}\"}}\n");
        let lines = [header.as_bytes(), bytes].concat();
        let packed = transfer::pack(&lines).expect("memory");
        let _ = transfer::merge(history, PROJECT, &packed);
    });
});
